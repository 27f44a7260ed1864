"""The phase handlers that run Lua code, made once for each location.

The content handler is the path that everything else is measured by: one call into Lua, one answer, and the response is on its way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from errno import EISDIR, ENOENT
from typing import TYPE_CHECKING, Any

from ..http.request import OK, Finalize, Request
from ..http.template import Template, Variable
from ..process.logs import ERR
from .api.control import DECLINED
from .output import DOT, default_type, holds, send_header, set_length
from .scheduler import advance, carry_on, run_sync

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.routing import Handler, Location, PhaseHandler
    from .vm import LuaVM


class Code:
    """The code of one ``*_by_lua*`` directive: a source, or a template for the path of its file."""

    __slots__ = ("_files", "_fresh", "file", "line", "name", "number", "path", "phase", "source")

    def __init__(
        self, phase: str, path: Template | None, source: bytes | None, name: bytes, file: str, line: int
    ) -> None:
        self.phase = phase.encode()
        self.path = path
        self.source = source
        self.name = name
        self.file = file
        self.line = line
        self.number = 0  #: the chunk's number with the code cache on, once it is compiled
        self._fresh = 0  #: and with the code cache off
        self._files: dict[bytes, int] = {}

    def chunk(self, vm: LuaVM, r: Request, cache: bool) -> int:
        """The number of the compiled chunk; if negative, minus the status to answer with, whose reason is logged."""
        if self.path is None:
            number = self.number if cache else self._fresh
            if number:
                return number
            path = b""
        else:
            path = self.path.remembered(r)
            if cache:
                number = self._files.get(path, 0)
                if number:
                    return number
        number, error, _ = self.compile(vm, path, cache)
        if error is not None:
            r.log(ERR, error)
        return number

    def ready(self, r: Request) -> int:
        """The number of the chunk if it is compiled for the code cache, else 0."""
        return self.number if self.path is None else self._files.get(self.path.remembered(r), 0)

    def compile(self, vm: LuaVM, path: bytes, cache: bool) -> tuple[int, bytes | None, bytes]:
        """Compile the chunk, or the file ``path`` if it changed: number (or minus a status), error message, source."""
        if self.path is None:
            assert self.source is not None
            number = vm.code.number()
            error = vm.compile(number, self.source, self.name, not cache)
            if error is not None:
                return -500, b"failed to load inlined Lua code: " + error, self.source
            if cache:
                self.number = number
            else:
                self._fresh = number
            return number, None, self.source
        full = path if path.startswith(b"/") else vm.prefix + path
        try:
            number, source = vm.code.file(full, not cache)
        except OSError as reason:
            failed = b"read" if reason.errno == EISDIR else b"open"
            error = b"cannot %s %s: %s" % (failed, full, str(reason.strerror).encode())
            status = -404 if reason.errno == ENOENT else -503
            return status, b'failed to load external Lua file "%s": %s' % (full, error), b""
        if source is not None:
            error = vm.compile(number, source, b"@" + full, not cache)
            if error is not None:
                vm.code.forget(full, not cache)
                return -500, b'failed to load external Lua file "%s": %s' % (full, error), source
        if cache:
            self._files[path] = number
        return number, None, source or b""


def has_filters(loc: Location) -> bool:
    """Whether Lua filters see what handlers of the location print."""
    conf = loc.conf["lua"]
    return conf.header_filter is not None or conf.body_filter is not None


def make_content(loc: Location, code: Code) -> Handler:
    """The handler for ``content_by_lua*``."""
    conf = loc.conf["lua"]
    config = loc.server.config
    cache, need_body = conf.code_cache, conf.need_request_body
    watch = conf.check_client_abort
    filtered = has_filters(loc)
    last = conf.log is None
    usual_type = loc.core.default_type if conf.use_default_type else None

    def content(r: Request) -> int | Awaitable[int | None]:
        vm = config.lua
        chunk = (cache and code.number) or code.chunk(vm, r, cache)
        if chunk < 0:
            return -chunk
        vm.r = r
        if filtered or r.head.may_refuse_body:
            answer = vm.start_filtered(b"content", chunk, r.lua, r.header_sent, watch, filtered)
        elif r.lua or r.header_sent or watch:
            answer = vm.start(b"content", chunk, r.lua, r.header_sent, watch)
        else:
            answer = vm.start_last(chunk) if last else vm.start_content(chunk)
            if answer.__class__ is bytes:
                # the usual case: the code ran to its end, and this is all it printed
                if r.content_type is None:
                    r.content_type = usual_type if DOT not in r.uri and r.status != 304 else default_type(r)
                if r.version < 1001 and holds(r):
                    set_length(r, answer)
                return r.send_all(answer)
        return go_on(vm, r, answer)

    async def read_first(r: Request) -> int | None:
        await read_body(r)
        rc = content(r)
        return rc if isinstance(rc, int) else await rc

    if cache and not (filtered or watch or need_body):
        loc.lua_content = code, usual_type
    return read_first if need_body else content


def go_on(vm: LuaVM, r: Request, answer: Any) -> int | Awaitable[int | None]:
    """Go on with a content handler from Lua's answer: its code, or what gives it."""
    tid, code_or_waiting = advance(vm, r, answer, True)
    if tid:
        return _wait(vm, r, tid, code_or_waiting)
    return _end(r, code_or_waiting)


async def _wait(vm: LuaVM, r: Request, tid: int, waiting: Any) -> int | None:
    return _end(r, await carry_on(vm, r, tid, waiting, True))


def _end(r: Request, rc: int | None) -> int:
    if r.filter_status is not None:
        return refused(r, r.filter_status)
    if rc is None:
        send_header(r)
        return OK
    return rc


def refused(r: Request, status: int) -> int:
    """The code of a handler whose output a filter has refused: body filters still hear of the end."""
    if r.header_sent:
        with suppress(Finalize):
            r.finish()
    return status


def make_phase(loc: Location, code: Code) -> PhaseHandler:
    """The handler for the phases before content: declines unless the code ended the request."""
    conf = loc.conf["lua"]
    config = loc.server.config
    cache, need_body, phase = conf.code_cache, conf.need_request_body, code.phase
    watch, filtered = conf.check_client_abort, has_filters(loc)
    passed = OK if phase == b"access" else None  # which ``satisfy any`` takes for consent

    async def handler(r: Request) -> int | None:
        vm = config.lua
        if need_body:
            await read_body(r)
        chunk = code.chunk(vm, r, cache)
        if chunk < 0:
            return -chunk
        vm.r = r
        if filtered or r.head.may_refuse_body:
            answer = vm.start_filtered(phase, chunk, r.lua, r.header_sent, watch, filtered)
        else:
            answer = vm.start(phase, chunk, r.lua, r.header_sent, watch)
        tid, waiting = advance(vm, r, answer, False)
        rc = await carry_on(vm, r, tid, waiting, False)
        if r.filter_status is not None:
            return refused(r, r.filter_status)
        if rc is None and (r.header_sent or r.held is not None):
            send_header(r)
            return OK
        if rc is None:
            return passed
        return None if rc == DECLINED else rc

    return handler


def make_log(loc: Location, code: Code) -> Callable[[Request], None]:
    """The handler for ``log_by_lua*``."""
    config = loc.server.config
    cache = loc.conf["lua"].code_cache

    def log(r: Request) -> None:
        vm = config.lua
        r.action = b" while logging request"
        chunk = code.chunk(vm, r, cache)
        if chunk < 0:
            return
        ok, result = run_sync(vm, r, b"log", chunk)
        if not ok:
            r.log(ERR, b"failed to run log_by_lua*: " + result)

    return log


def make_set(cf: Builder, code: Code, variable: Variable, args: list[Template]) -> Callable[[Request], int | None]:
    """The operation for ``set_by_lua*`` in the sequence of rewrite directives."""
    config = cf.config

    def set_(r: Request) -> int | None:
        vm = config.lua
        chunk = code.chunk(vm, r, r.loc.conf["lua"].code_cache)
        if chunk < 0:
            return 500
        vm.set_args = tuple(arg(r) for arg in args)
        ok, result = run_sync(vm, r, b"set", chunk)
        if not ok:
            r.log(ERR, b"failed to run set_by_lua*: " + result)
            return 500
        assert variable.set is not None
        variable.set(r, to_bytes(result))
        return None

    return set_


def to_bytes(value: Any) -> bytes:
    """A Lua result as the text that a variable gets."""
    if isinstance(value, bytes):
        return value
    if value is None or isinstance(value, bool):
        return b""
    if isinstance(value, float):
        return b"%.14g" % value
    return str(value).encode()


async def read_body(r: Request) -> None:
    """``lua_need_request_body on``."""
    from ..http.body import RequestBody

    main = r.main
    if main.body is None:
        main.body = RequestBody(main)
        main.body.clean = True
    await main.body.read()
