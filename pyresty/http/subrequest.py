"""Subrequests: requests to locations of the same server whose output is gathered instead of sent.

nginx: ``ngx_http_subrequest`` with ``NGX_HTTP_SUBREQUEST_IN_MEMORY``; https://nginx.org/en/docs/dev/development_guide.html#http_subrequests.
They are run like main requests, by ``phases.run``, as a part of whatever waits for them: no task unless they wait themselves.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..process.logs import ERR
from .phases import at_once, run
from .regex import set_captures
from .request import Request

if TYPE_CHECKING:
    from .routing import Handler


#: What a subrequest has for the connection.
_NOTHING: list[bytes] = []


class Subrequest(Request):
    """A request made by another one. Its response is in ``status``, ``headers_out`` … and ``captured``."""

    __slots__ = ("captured", "main", "parent", "truncated", "valid_unparsed_uri")

    is_subrequest = True
    internal = True
    main: Request
    captured: list[bytes]
    truncated: bool

    def __init__(self, parent: Request, uri: bytes, args: bytes | None, method: bytes) -> None:
        self.conn = parent.conn
        self.head = parent.head
        self.main = main = parent if type(parent) is Request else parent.main
        if main.action:
            main.action = b""
        self.parent = parent
        self.start = parent.start
        self.method = method
        self.uri = uri
        self.args = args
        self.version = parent.version
        self.headers_in = parent.headers_in
        self.index = parent.index
        self.keepalive = False
        self.server = parent.server
        self.loc = parent.server.root
        self.headers_out = []
        self.out = _NOTHING
        self.captured = []
        self.subrequests = parent.subrequests - 1
        self.valid_unparsed_uri = self.truncated = False
        self.status = self.err_status = self.lua = 0
        self.header_sent = self.header_only = self.chunked = self.finished = self.aborted = self.allow_ranges = False
        self.content_type = self.charset = self.content_length = self.last_modified = self.location = None
        self.server_header = self.date_header = self.status_line = self.length_name = None
        self.body_filters = self.body = self.cleanups = self.captures = None

    def send_header(self) -> None:
        if not self.header_sent:
            self.filter_head(self.loc.capture_filters)
            if self.method == b"HEAD":
                self.header_only = self.truncated = True

    def send_all(self, data: bytes, last: bool = True) -> int:
        self.send_header()
        if self.body_filters is None and not self.header_only:
            self.captured.append(data)
            self.finished = True
        else:
            self.write(data, last)
        return 0

    def end_with(self, status: int) -> int:
        """End without a body, marked as truncated, as a captured subrequest does instead of serving an error page.

        ngx_lua: ``ngx_http_lua_post_subrequest``.
        """
        self.status = (self.status or 500) if status < 0 else status
        self.truncated = self.header_sent = self.finished = True
        if self.content_type is None:
            self.content_type = self.loc.core.type_of(self.uri)
        return 0

    def emit(self, data: bytes) -> None:
        self.captured.append(data)

    def emit_end(self) -> None:
        pass

    def flush(self) -> None:
        pass

    async def drain(self) -> None:
        pass


def begin_subrequest(sub: Subrequest) -> Coroutine[Any, Any, None] | None:
    """Serve a subrequest as far as it goes without waiting. None if that was to its end, else the coroutine that gets there."""
    loc, match = sub.server.find_location(sub.uri)
    if not loc.simple:
        return _finish(sub, run(sub))
    sub.loc = loc
    if match is not None:
        set_captures(sub, match)
    return run_handler(sub, loc.content)


def run_handler(sub: Subrequest, handler: Handler) -> Coroutine[Any, Any, None] | None:
    """As ``begin_subrequest``, for one whose location is known and has nothing but a content handler."""
    coro = at_once(sub, handler)
    if coro is not None:
        return _finish(sub, coro)
    if sub.lua or sub.body is not None or sub.loc.core.log_subrequest:
        ended(sub)
    return None


async def _finish(sub: Subrequest, coro: Coroutine[Any, Any, None]) -> None:
    await coro
    ended(sub)


def ended(sub: Subrequest) -> None:
    """Log a subrequest if that is wanted, and let go of what it held."""
    if sub.loc.core.log_subrequest and sub.loc.log:
        for log in sub.loc.log:
            log(sub)
    if sub.lua:
        sub.server.config.lua.release(sub)
    if sub.body is not None and sub.body is not sub.main.body:
        sub.body.close()


def may_go_deeper(parent: Request) -> bool:
    """Whether ``parent`` may make another level of subrequests; logs nginx's message if not."""
    if parent.subrequests == 0:
        parent.log(ERR, b'lua subrequests cycle while processing "%s"' % parent.uri)
        return False
    return True
