"""One request: what came in, what goes out, and where it stands on its way.

What every request reads is in slots, set by ``__init__``. Most requests use few of the other fields, so those are attributes of the
class until somebody sets them. Subrequests (``subrequest.py``) are requests whose output goes to a buffer instead of the connection.

Names follow nginx's ``ngx_http_request_t`` where it has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, SupportsBytes

from ..process.logs import ERR
from .codec import Head
from .output import build_head
from .regex import set_captures

if TYPE_CHECKING:
    from .body import RequestBody
    from .connection import Connection
    from .routing import HeaderFilter, Location, Server

#: nginx's limits: NGX_HTTP_MAX_URI_CHANGES + 1 and NGX_HTTP_MAX_SUBREQUESTS + 1.
MAX_URI_CHANGES = 11
MAX_SUBREQUESTS = 51

#: The interim answer to ``Expect: 100-continue``.
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


#: A body filter gives what is to go on instead of a piece of the body: ``filter(r, data, last)``. It may set ``r.body_last``.
BodyFilter = Callable[["Request", bytes, bool], bytes]


class Finalize(Exception):
    """Ends the request with ``status`` from wherever it is raised (for rare paths; handlers usually return the status)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request:
    """A request of a client. ``headers_in`` and ``index`` belong to the remembered head until ``own_headers_in`` copies them."""

    __slots__ = (
        "__dict__", "aborted", "allow_ranges", "args", "body", "body_filters", "captures", "charset", "chunked", "cleanups", "conn",
        "content_length", "content_type", "date_header", "err_status", "finished", "head", "header_only", "header_sent",
        "headers_in", "headers_out", "index", "keepalive", "last_modified", "length_name", "loc", "location", "lua", "method", "out",
        "server", "server_header", "start", "status", "status_line", "subrequests", "uri", "version",
    )  # fmt: skip

    # -- what came in, when it differs from the head
    is_subrequest = False
    parent: Request | None = None
    captures: Any  #: the last match object of a location, server_name or rewrite regex; $1 … read it
    match: Any = None  #: the match object that chose the location, if a regular expression did
    vars: dict[str, bytes | None] | None = None
    cached: dict[str, bytes | None] | None = (
        None  #: values of variables computed once per request (map, set by modules)
    )
    body: RequestBody | None
    internal = False
    uri_changed = False
    uri_changes = MAX_URI_CHANGES
    subrequests: int  #: how many levels of subrequests may still be made below this one
    named = False
    valid_unparsed_uri = True
    valid_location = True  #: the location was chosen by this URI; not after ``rewrite … break``
    add_uri_to_alias = False
    headers_owned = False
    host_in: bytes | None = None  #: replaces what the head says of the host (``ngx.req.set_header("Host", …)``)

    # -- what goes out
    status: int
    content_type: bytes | None
    charset: bytes | None
    content_length: int | None
    length_name: bytes | None  #: how Lua spelled the name of Content-Length
    last_modified: int | None
    location: bytes | None
    server_header: bytes | None  #: replaces our ``Server`` header; b"" leaves it out
    date_header: bytes | None
    status_line: bytes | None
    header_sent: bool
    held: bytes | None = None  #: output that waits for the end, because the head has to say its length
    header_only: bool
    chunked: bool
    finished: bool
    upgraded = False  #: the connection has become a tunnel (101)
    raw_socket = False  #: Lua has taken over the connection (``ngx.req.socket(true)``)
    allow_ranges: bool
    single_range = False  #: several ranges at once are not served
    disable_not_modified = False  #: conditional requests are not ours to answer
    ranges: list[tuple[int, int]] | None = None  #: slices (start, end) to send instead of the whole body
    multipart: Any = None  #: the frame around several slices
    need_memory = False  #: a body filter wants bytes, so files may not be passed to the kernel
    body_filters: list[BodyFilter] | None
    body_last: bool | None = None  #: how a body filter has changed whether its piece is the last one
    body_ended = False  #: the Lua body filter has seen the end
    filter_status: int | None = None  #: what a filter wants the response to end with, while a Lua handler goes on
    filter_exit = 0  #: the last status that a Lua header filter has ended a response with
    expect_trailers = False  #: fields may follow the body, so it has to be chunked
    trailers: list[tuple[bytes, bytes]] | None = None
    body_bytes = 0  #: of ``bytes_sent``, what is not the head: the framing of chunks is counted, as in nginx
    bytes_sent = 0
    limit_rate = 0  #: bytes a second (http/throttle.py)
    limit_rate_set = False
    limit_rate_after = 0

    # -- errors
    err_status: int
    error_page = False  #: an error_page is being served
    expect_tested = False
    refused = False  #: the head was bad: nothing after it can be understood
    pipeline = False  #: was sent before the response to the request in front of it (``$pipe``)
    discarded = False  #: the body is being thrown away
    aborted: bool  #: the client has gone away, or gets no more
    action = b""  #: what is being done, for error log lines: `` while logging request``
    on_abort: Callable[[], None] | None = None

    # -- for modules
    cleanups: list[Callable[[Request], None]] | None
    upstream: Any = None
    upstream_log: SupportsBytes | None = None  #: its bytes are the peer's URL, for error log lines
    lua: int  #: the Lua side's number of this request's state; 0 while it has none
    held_subrequests: Any = None  #: those of its Lua handler that have begun inside (lua/api/location.py)
    threads: Any = None  #: the light threads of the Lua handler that runs, if it has several
    contexts: dict[str, Any] | None = None  #: what modules remember of this request, by the module's name
    postponed: Any = None  #: its subrequests that it has to wait for (``postpone.Node``)
    capture: Any = None

    def __init__(self, conn: Connection, head: Head, start: float) -> None:
        self.conn = conn
        self.head = head
        self.start = start
        self.method = head.method
        self.uri = head.uri
        self.args = head.args
        self.version = head.version
        self.headers_in = head.headers
        self.index = head.index
        self.keepalive = head.keepalive
        self.server: Server = head.server
        self.loc: Location = head.server.root
        self.headers_out: list[tuple[bytes, bytes]] = []
        self.out: list[bytes] = []
        self.subrequests = MAX_SUBREQUESTS
        self.status = self.err_status = self.lua = 0
        self.header_sent = self.header_only = self.chunked = self.finished = self.aborted = self.allow_ranges = False
        self.content_type = self.charset = self.content_length = self.last_modified = self.location = None
        self.server_header = self.date_header = self.status_line = self.length_name = None
        self.body_filters = self.body = self.cleanups = self.captures = None
        if head.server_match is not None:
            set_captures(self, head.server_match)

    # -- reading the head

    def header_in(self, name: bytes) -> bytes | None:
        """The value of a request header by its lower-case name; repeated headers are joined by ``, `` (``; `` for Cookie)."""
        value = self.index.get(name)
        if value is None or isinstance(value, bytes):
            return value
        return (b"; " if name == b"cookie" else b", ").join(value)

    @property
    def main(self) -> Request:
        """The client's request: this one, or for a subrequest the one it belongs to."""
        return self

    def own_headers_in(self) -> None:
        """Give this request its own copy of the request headers, before they are changed."""
        if not self.headers_owned:
            self.headers_owned = True
            self.headers_in = list(self.headers_in)
            self.index = dict(self.index)

    def set_header_in(self, name: bytes, values: list[bytes]) -> None:
        """Replace every request header called ``name`` (any case); an empty list removes it."""
        self.own_headers_in()
        low = name.lower()
        at = next((i for i, (n, _) in enumerate(self.headers_in) if n.lower() == low), len(self.headers_in))
        kept = [(n, v) for n, v in self.headers_in if n.lower() != low]
        self.headers_in = kept[:at] + [(name, value) for value in values] + kept[at:]
        if not values:
            self.index.pop(low, None)
        else:
            self.index[low] = values[0] if len(values) == 1 else list(values)

    @property
    def request_line(self) -> bytes:
        """The request line as the client sent it (``$request``)."""
        return self.head.line

    # -- sending

    def send_header(self) -> None:
        """Run the header filters and queue the response head. nginx: ``ngx_http_send_header``."""
        if self.header_sent:
            self.log(1, "header already sent")
            return
        self.filter_head(self.loc.header_filters)
        self.emit_header()

    def filter_head(self, filters: tuple[HeaderFilter, ...]) -> None:
        """Settle the status and run the header filters."""
        if self.err_status:
            self.status = self.err_status
        elif self.status == 0:
            self.status = 200
        for header_filter in filters:
            header_filter(self)
        self.header_sent = True

    def emit_header(self) -> None:
        """Put the head on its way; subrequests keep it instead."""
        self.out.append(build_head(self))
        if not self.loc.core.postpone_output:
            self.flush()

    def write(self, data: bytes, last: bool = False) -> None:
        """Pass a piece of the body through the body filters to the connection. Call ``await drain()`` between large pieces.

        ``last``: it ends the response. An empty piece that doesn't asks the filters to give out what they hold. Raises Finalize if
        a filter refuses.
        """
        if self.body_filters is not None:
            if self.finished:
                return
            self.finished = last
            self._write_through(self.body_filters, data, last)
            return
        if data and not self.header_only:
            self.emit(data)
        if last:
            self.finished = True
            self.emit_end()
        elif self.finished:
            self.flush()

    def write_after(self, body_filter: BodyFilter, data: bytes, last: bool = False) -> None:
        """Pass a piece on that ``body_filter`` has held back or made, to what comes after it. nginx: a filter's ``next_body_filter``."""
        filters = self.body_filters or []
        at = filters.index(body_filter) + 1 if body_filter in filters else 0
        self._write_through(filters[at:], data, last)

    def _write_through(self, filters: list[BodyFilter], data: bytes, last: bool) -> None:
        given = bool(data)
        for body_filter in filters:
            data = body_filter(self, data, last)
            if self.body_last is not None:
                last, self.body_last = self.body_last, None
            if given and not data and not last:
                break
        if data and not self.header_only:
            self.emit(data)
        if last:
            self.finished = True
            self.emit_end()
        elif self.finished and self.postponed is None:
            self.flush()

    def add_body_filter(self, body_filter: BodyFilter) -> None:
        """Let ``body_filter`` see what follows; for header filters, which run in the order of the body filters."""
        if self.body_filters is None:
            self.body_filters = []
        self.body_filters.append(body_filter)

    def add_trailer(self, name: bytes, value: bytes) -> None:
        """Add a field to be sent after the body, if that is chunked."""
        if self.trailers is None:
            self.trailers = []
        self.trailers.append((name, value))

    def emit(self, data: bytes) -> None:
        """Queue body bytes that have passed the filters."""
        size = len(data)
        if self.chunked:
            line = b"%x\r\n" % size
            self.out += (line, data, b"\r\n")
            size += len(line) + 2
        else:
            self.out.append(data)
        self.body_bytes += size
        if sum(map(len, self.out)) >= self.loc.core.postpone_output:
            self.flush()

    def finish(self) -> None:
        """End the response: flush the filters and the connection's framing."""
        if self.finished:
            return
        self.write(b"", True)

    def emit_end(self) -> None:
        """Close the framing and hand everything to the transport."""
        out = self.out
        if self.chunked and not self.header_only:
            last = b"0\r\n\r\n"
            if self.trailers is not None:
                last = b"0\r\n%s\r\n" % b"".join([b"%s: %s\r\n" % field for field in self.trailers])
            out.append(last)
            self.body_bytes += len(last)
        if out:
            data = b"".join(out)
            out.clear()
            if not self.aborted:
                self.bytes_sent += len(data)
                self.conn.transport.write(data)

    def flush(self) -> None:
        """Hand what has been queued to the transport now."""
        out = self.out
        if out:
            data = b"".join(out)
            out.clear()
            if not self.aborted:
                self.bytes_sent += len(data)
                self.conn.transport.write(data)

    async def drain(self) -> None:
        """Flush, and wait while the client reads more slowly than we write. Raises Finalize(499) if it goes away or stalls."""
        self.flush()
        if self.conn.write_paused:
            await self.conn.drained()

    def send_all(self, data: bytes, last: bool = True) -> int:
        """Send the head and ``data`` as the whole body, in one write. Returns OK (0).

        Without ``last`` body filters see the end as a piece of its own.
        """
        if self.body_filters is not None:
            self.send_header()
            self.write(data, last)
            return 0
        self.filter_head(self.loc.header_filters)
        head = build_head(self)
        if self.body_filters is not None:
            self.out.append(head)
            self.write(data, last)
            return 0
        self.finished = True
        if self.header_only:
            whole = head
        else:
            if not self.chunked:
                whole = head + data
            elif data:
                whole = b"".join((head, b"%x\r\n" % len(data), data, b"\r\n0\r\n\r\n"))
            else:
                whole = head + b"0\r\n\r\n"
            self.body_bytes = len(whole) - len(head)
        if not self.aborted:
            self.bytes_sent = len(whole)
            self.conn.transport.write(whole)
        return 0

    def end_with(self, status: int) -> int:
        """Subrequests end with a bare status where main requests get an error page."""
        raise AssertionError("only subrequests end without a response")

    def respond(self, data: bytes) -> int:
        """Send a whole response whose body is ``data``, with its Content-Length. Returns OK (0)."""
        self.content_length = len(data)
        return self.send_all(data)

    def discard_body(self) -> bool:
        """Throw away the body that nobody is going to read; False if it is malformed. nginx: ``ngx_http_discard_request_body``.

        To be called before the answer, where nginx does: it asks for the body (``100 Continue``) unless ``expect_tested``.
        """
        head = self.head
        if not head.has_body or self.is_subrequest or self.discarded or self.body is not None:
            return True
        if head.expect_continue and not self.expect_tested:
            self.conn.transport.write(CONTINUE)
        self.expect_tested = True
        if not head.content_length and not head.chunked:
            return True
        if self.conn.discard(self):
            return True
        self.keepalive = False
        return False

    # -- moving on

    def redirect(self, uri: bytes, args: bytes | None) -> int:
        """Go on with another URI inside the server. nginx: ``ngx_http_internal_redirect``. Returns the code for the handler to return."""
        self.uri_changes -= 1
        if self.uri_changes == 0:
            self.log(ERR, b'rewrite or internal redirection cycle while internally redirecting to "%s"' % uri)
            return 500
        self.main.action = b""
        self.uri = uri
        self.args = args
        self.internal = True
        self.valid_unparsed_uri = False
        self.valid_location = True
        self.add_uri_to_alias = False
        self.named = False
        self.clear_module_contexts()
        return REDIRECTED

    def redirect_named(self, name: bytes) -> int:
        """Go on in the named location ``@name``. nginx: ``ngx_http_named_location``."""
        self.uri_changes -= 1
        if self.uri_changes == 0:
            self.log(ERR, b'rewrite or internal redirection cycle while redirect to named location "%s"' % name)
            return 500
        if not self.uri:
            self.log(ERR, b'empty URI in redirect to named location "%s"' % name)
            return 500
        found = self.server.locations.named.get(name)
        if found is None:
            self.log(ERR, b'could not find named location "%s"' % name)
            return 500
        self.internal = True
        self.loc = found
        self.named = True
        self.uri_changed = False
        self.clear_module_contexts()
        return REDIRECTED

    def clear_module_contexts(self) -> None:
        """Forget what modules remember of this request, as nginx does at an internal redirect."""
        if self.lua:
            self.server.config.lua.release(self)
        self.body_filters = self.contexts = None
        self.cached = None

    def at_end(self, cleanup: Callable[[Request], None]) -> None:
        """Call ``cleanup(r)`` when the main request has ended and been logged. nginx: ``ngx_http_cleanup_add``."""
        if self.cleanups is None:
            self.cleanups = []
        self.cleanups.append(cleanup)

    # -- logging

    def log(self, level: int, message: bytes | str) -> None:
        """Write to the error log of the current location, with nginx's context (``, client: …``)."""
        log = self.loc.core.error_log
        if log.enabled(level):
            text = message if isinstance(message, bytes) else message.encode("utf-8", "surrogateescape")
            log.write(level, text + self.log_context(), self.conn.number)

    def log_context(self) -> bytes:
        """``, client: …, server: …, request: "…"`` as nginx appends it (``ngx_http_log_error``)."""
        main = self.main
        parts = [b"%s, client: %s, server: %s" % (main.action, self.conn.remote_addr, self.server.name)]
        if main.head.line:
            parts.append(b', request: "%s"' % main.head.line)
        if self is not main:
            parts.append(b', subrequest: "%s"' % self.uri)
        if self.upstream_log is not None:
            parts.append(b', upstream: "%s"' % self.upstream_log)
        host = main.index.get(b"host")
        if isinstance(host, bytes):
            parts.append(b', host: "%s"' % host)
        referer = main.index.get(b"referer")
        if isinstance(referer, bytes):
            parts.append(b', referrer: "%s"' % referer)
        return b"".join(parts)

    def client_closed(self) -> None:
        """Called by the connection when the client has gone."""
        self.aborted = True
        if self.on_abort is not None:
            self.on_abort()

    def request_time(self) -> float:
        """Seconds since the first byte of the request."""
        return max(0.0, time.time() - self.start)


#: Codes that handlers return (nginx's NGX_OK, NGX_DONE, NGX_ERROR); None is NGX_DECLINED.
OK = 0
ERROR = -1
REDIRECTED = -4
