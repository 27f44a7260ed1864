"""ngx.location.capture and capture_multi: https://github.com/openresty/lua-nginx-module#ngxlocationcapture

A subrequest without options to a location that has nothing but a Lua content handler runs *inside*: on the Lua side, in the coroutine of
the handler that asks for it. It crosses when it begins and when it ends; if it has to wait it goes on outside, as all others do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from ...http.body import RequestBody
from ...http.dates import http_time
from ...http.phases import begin
from ...http.regex import set_captures
from ...http.request import ERROR, Request
from ...http.subrequest import Subrequest, begin_subrequest, ended, may_go_deeper, run_handler
from ...http.uri import UnsafeURI, parse_unsafe_uri
from ...process.logs import DEBUG, ERR
from ..handlers import go_on
from ..output import DOT, default_type
from ..scheduler import Exit
from .req import set_request_header

if TYPE_CHECKING:
    from ...http.routing import Location, Server
    from ..vm import LuaVM

Answer = tuple[Any, ...]
Waiting = Coroutine[Any, Any, None]

SHARE, COPY, FORWARD = 1, 2, 4

_FIELDS = 6  # uri, method, args, body, flags, state; then the counted runs of vars and headers


def capture_plain(r: Request, held: int, *uris: bytes) -> Answer | Awaitable[Answer]:
    """``capture`` for subrequests without options: the ``held`` ones that have begun inside, and those to ``uris``."""
    if r.subrequests == 0 or r.host_in is not None or b"content-length" in r.index or b"transfer-encoding" in r.index:
        flat: list[Any] = []
        for uri in uris:
            flat += (uri, b"GET", False, False, 0, 0, 0, 0)
        return capture(r, len(uris), *flat)
    subs = []
    for raw in uris:
        parsed = _parsed.get(raw) or _parse(raw)
        if isinstance(parsed, bytes):
            return _refuse_after(_carry_on_held(r, []), parsed) if held else (None, parsed)
        subs.append(Subrequest(r, parsed[0], parsed[1], b"GET"))
    return _carry_on_held(r, subs) if held else _run(r, subs)


def _refuse_after(answer: Answer | Awaitable[Answer], message: bytes) -> Answer | Awaitable[Answer]:
    """The answer that refuses, once subrequests have ended that had begun before."""
    if isinstance(answer, tuple):
        return None, message

    async def wait() -> Answer:
        await answer
        return None, message

    return wait()


def _carry_on_held(r: Request, subs: list[Subrequest]) -> Answer | Awaitable[Answer]:
    """As ``_run``, and the subrequests that have begun inside come first."""
    vm = r.server.config.lua
    held, r.held_subrequests = r.held_subrequests, None
    begun, waiting = [], []
    for sub, answer, queued in held:
        vm.queued = queued
        coro = run_handler(sub, lambda sub, answer=answer: go_on(vm, sub, answer))  # type: ignore[misc]
        begun.append(sub)
        if coro is not None:
            waiting.append(coro)
    return _run(r, subs, begun, waiting)


def capture(r: Request, count: int, *flat: Any) -> Answer | Awaitable[Answer]:
    """Run ``count`` subrequests at once; the flat responses: status, truncated, body, number of headers, name, value, …

    A failure to make one is ``(None, message)``.
    """
    at = 0
    subs: list[Subrequest] = []
    for _ in range(int(count)):
        made, at = _make(r, flat, at)
        if isinstance(made, bytes):
            return None, made
        subs.append(made)
    return _run(r, subs)


def _run(
    r: Request, subs: list[Subrequest], begun: Sequence[Subrequest] = (), waiting: Sequence[Waiting] = ()
) -> Answer | Awaitable[Answer]:
    """Begin ``subs``, and wait for them and for those that have ``begun``; the responses of all."""
    if not r.loc.conf["lua"].code_cache:
        # without the code cache a VM belongs to a main request and its subrequests, so they share modules
        adopt = r.server.config.lua.adopt
        for sub in subs:
            sub.lua = adopt(r.lua, sub.lua)
    if r.loc.core.error_log.level >= DEBUG:
        for sub in subs:
            _log_begin(r, sub)
    waiting = [*waiting, *(coro for sub in subs if (coro := begin_subrequest(sub)) is not None)]
    if begun:
        subs = [*begun, *subs]
    if waiting:
        return _wait(r, subs, waiting)
    return _responses(subs)


def _log_begin(r: Request, sub: Subrequest) -> None:
    r.log(DEBUG, b'lua http subrequest "%s?%s"' % (sub.uri, sub.args or b""))


async def _wait(r: Request, subs: list[Subrequest], waiting: list[Waiting]) -> Answer:
    if len(waiting) == 1:
        await waiting[0]
    else:
        tasks = [task for coro in waiting if (task := begin(r, coro)) is not None]
        if tasks:
            await asyncio.wait(tasks)
    return _responses(subs)


def _responses(subs: list[Subrequest]) -> Answer:
    answer: list[Any] = []
    for sub in subs:
        if sub.truncated and sub.main.aborted:
            raise Exit(ERROR)
        _response(sub, answer)
    return tuple(answer)


#: Parsed forms of recent URIs.
_parsed: dict[bytes, tuple[bytes, bytes | None]] = {}


def _parse(raw: bytes) -> tuple[bytes, bytes | None] | bytes:
    """Path and arguments of a subrequest's URI, or the message that refuses it."""
    try:
        parsed = parse_unsafe_uri(raw)
    except UnsafeURI:
        return b"unsafe uri in argument #1: " + raw.partition(b"\0")[0]
    if len(_parsed) >= 1024:
        _parsed.clear()
    _parsed[raw] = parsed
    return parsed


#: A subrequest that can run inside: path, arguments, location, what matched its regular expression, and the chunk's number if it is
#: always the same.
Target = tuple[bytes, "bytes | None", "Location", Any, int]

_OUTSIDE: Any = (b"",)


def _find_inside(server: Server, raw: bytes) -> Target:
    """What the URI ``raw`` stands for inside this server, which remembers it; ``_OUTSIDE`` if it can't run inside."""
    parsed = _parsed.get(raw) or _parse(raw)
    if isinstance(parsed, bytes):
        return _OUTSIDE  # type: ignore[no-any-return]
    loc, match = server.find_location(parsed[0])
    target: Target = _OUTSIDE
    if loc.lua_content is not None and loc.simple and not loc.capture_filters and not loc.core.log_subrequest:
        code = loc.lua_content[0]
        target = *parsed, loc, match, code.number
        if code.path is None and not code.number:  # not yet
            return target
    if len(server.inside) >= 1024:
        server.inside.clear()
    server.inside[raw] = target
    return target


def _make(r: Request, flat: tuple[Any, ...], at: int) -> tuple[Subrequest | bytes, int]:
    """The subrequest described from position ``at``, or an error message; and the position after it."""
    raw, method, args, body, flags, state = flat[at : at + _FIELDS]
    at += _FIELDS
    count = int(flat[at])
    at += 1
    extra_vars = flat[at : at + 2 * count]
    at += 2 * count
    count = int(flat[at])
    at += 1
    extra_headers = flat[at : at + 2 * count]
    at += 2 * count
    parsed = _parsed.get(raw) or _parse(raw)
    if isinstance(parsed, bytes):
        return parsed, at
    uri, own_args = parsed
    if args is False:
        args = own_args
    elif own_args:
        args = own_args + b"&" + args if args else own_args
    elif not args:
        args = own_args
    if not may_go_deeper(r):
        return b"failed to issue subrequest: -1", at
    sub = Subrequest(r, uri, args, method)
    sub.lua = int(state)
    flags = int(flags)
    if r.vars is not None:
        if flags & SHARE:
            sub.vars = r.vars
        elif flags & COPY:
            sub.vars = dict(r.vars)
    elif flags & SHARE:
        sub.vars = r.vars = {}
    _set_body(sub, r, body, method, flags)
    if r.host_in is not None:
        sub.host_in = r.host_in
    for i in range(0, len(extra_headers), 2):
        if set_request_header(sub, extra_headers[i], (extra_headers[i + 1],)) is not None:
            return b"failed to adjust the subrequest: -1", at
    for i in range(0, len(extra_vars), 2):
        failure = _set_var(sub, extra_vars[i], extra_vars[i + 1])
        if failure is not None:
            message, rc = failure
            r.log(ERR, message)
            return b"failed to adjust the subrequest: %d" % rc, at
    return sub, at


def _set_body(sub: Subrequest, r: Request, body: Any, method: bytes, flags: int) -> None:
    """Give the subrequest its body: the option's, or the parent's for PUT and POST or where always forwarded.

    The parent's Content-Length goes with its body. ngx_lua: ``ngx_http_lua_adjust_subrequest``.
    """
    if body is not False:
        sub.body = RequestBody(r.main)
        sub.body.set_data(body)
        sub.set_header_in(b"Content-Length", [b"%d" % len(body)])
    elif flags & FORWARD or method in (b"PUT", b"POST"):
        sub.body = r.body
        if r.head.chunked:
            sub.set_header_in(b"Content-Length", [])
    elif b"content-length" in sub.index:
        sub.set_header_in(b"Content-Length", [])
    if b"transfer-encoding" in sub.index:
        sub.set_header_in(b"Transfer-Encoding", [])


def _set_var(sub: Subrequest, name: bytes, value: bytes) -> tuple[bytes, int] | None:
    """Assign one of the option ``vars``; nginx's message and code where it can't be. ngx_lua: ``…_subrequest_add_extra_vars``."""
    name = name.lower()
    variable = sub.server.config.defined(name.decode("utf-8", "surrogateescape"))
    if variable is None:
        return b'variable "%s" cannot be assigned a value (maybe you forgot to define it first?) ' % name, ERROR
    if variable.set is None:
        return b'variable "%s" not changeable' % name, 500
    variable.set(sub, value)
    return None


def _response(sub: Subrequest, answer: list[Any]) -> None:
    """Append the response of ``sub`` in its flat form."""
    parts = sub.captured
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if sub.content_type and not sub.headers_out and not _has_fields(sub):
        answer += (sub.status, sub.truncated, body, 1, b"Content-Type", sub.content_type)
    else:
        headers = _headers(sub)
        answer += (sub.status, sub.truncated, body, len(headers) >> 1, *headers)


def _has_fields(sub: Subrequest) -> bool:
    """Whether the head has more than what is in ``headers_out`` and ``content_type``."""
    return (
        sub.content_length is not None
        or sub.last_modified is not None
        or sub.location is not None
        or sub.charset is not None
    )


def _headers(sub: Subrequest) -> list[Any]:
    """The headers of a response: name, value, name, value …"""
    headers: list[Any] = []
    for name, value in sub.headers_out:
        headers += (name, value)
    kind = sub.content_type
    if kind:
        if sub.charset and b"charset=" not in kind:
            kind += b"; charset=" + sub.charset
        headers += (b"Content-Type", kind)
    if sub.content_length is not None:
        # what Lua has set is text, under the name it was set by
        named = sub.length_name is not None
        headers += (sub.length_name, b"%d" % sub.content_length) if named else (b"Content-Length", sub.content_length)
    if sub.location is not None:
        headers += (b"Location", sub.location)
    if sub.last_modified is not None and sub.status in (200, 204, 206, 304):
        headers += (b"Last-Modified", http_time(sub.last_modified))
    return headers


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def begin_inside(raw: bytes) -> int | None:
        """Begin a subrequest inside: the chunk to run. None, and nothing has happened, where that is not possible."""
        r = vm.r
        assert r is not None
        target = r.server.inside.get(raw) or _find_inside(r.server, raw)
        if target is _OUTSIDE or r.version < 1001:  # whose output would have to be held
            return None
        if (
            r.subrequests == 0
            or r.host_in is not None
            or b"content-length" in r.index
            or b"transfer-encoding" in r.index
        ):
            return None
        uri, args, loc, match, chunk = target
        sub = Subrequest(r, uri, args, b"GET")
        sub.loc = loc
        if match is not None:
            set_captures(sub, match)
        chunk = chunk or loc.lua_content[0].ready(sub)
        if not chunk:
            return None
        if r.loc.core.error_log.level >= DEBUG:
            _log_begin(r, sub)
        vm.r = sub
        return chunk

    def end_inside() -> tuple[Any, ...]:
        """The subrequest has run to its end: its status, and its type if that is all it has for a head, else False, name, value …"""
        sub: Any = vm.r
        vm.r = sub.parent
        kind = sub.content_type
        if kind is None:
            plain = DOT not in sub.uri and sub.status != 304
            kind = sub.content_type = sub.loc.lua_content[1] if plain else default_type(sub)
        status = sub.status = sub.err_status or sub.status or 200
        if sub.body is not None:
            ended(sub)
        if kind and not (sub.headers_out or _has_fields(sub)):
            return status, kind
        return status, False, *_headers(sub)

    def hold_inside(*answer: Any) -> None:
        """The subrequest has not run to its end: it goes on from Lua's answer in ``capture_plain``."""
        sub = vm.r
        assert isinstance(sub, Subrequest)
        vm.r = r = sub.parent
        assert r is not None
        queued, vm.queued = vm.queued, []
        if r.held_subrequests is None:
            r.held_subrequests = []
        r.held_subrequests.append((sub, answer, queued))

    def is_subrequest() -> bool:
        """``ngx.is_subrequest``."""
        return vm.r is not None and vm.r.is_subrequest

    return {
        "begin_inside": begin_inside,
        "end_inside": end_inside,
        "hold_inside": hold_inside,
        "is_subrequest": is_subrequest,
    }


OPERATIONS = {"capture": capture, "capture_plain": capture_plain}
