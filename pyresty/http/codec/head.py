"""What a parsed request head is.

The one idea: a Head holds everything that follows from the bytes of the head alone, so that a remembered Head needs
no second look at them. It is shared by all requests with the same bytes: whoever changes a request's headers or URI
copies first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

READING_LINE = "reading client request line"
READING_HEADERS = "reading client request headers"


@dataclass(slots=True)
class Head:
    """A request head. All text is bytes as the client sent them, unless said otherwise."""

    method: bytes
    target: bytes  #: path and query as sent, without "scheme://host": $request_uri
    version: int  #: major * 1000 + minor as in nginx's http_version: 9, 1000, 1001
    headers: list[tuple[bytes, bytes]]  #: names in the client's case, values without surrounding spaces
    line: bytes  #: the request line: $request
    raw: bytes  #: from the request line to the empty line: ngx.req.raw_header()
    index: dict[bytes, bytes | list[bytes]]  #: value by lower-case name; a list where a name occurs more than once
    uri: bytes  #: decoded, normalised: $uri
    args: bytes | None  #: $args; None when there is none
    quoted: bool  #: the path was percent-encoded
    host: bytes | None  #: server name asked for, lower case, without port and final dot; None when not sent
    port: int  #: the port that came with it, 0 if none
    protocol: bytes  #: $server_protocol; empty for HTTP/0.9
    content_length: int | None = None
    chunked: bool = False
    keepalive: bool = False  #: what the client wants; the server may still decide otherwise
    upgrade: bytes | None = None  #: the (first) Upgrade header
    expect_continue: bool = False
    has_body: bool = False  #: a body follows, of known length or in chunks
    cacheable: bool = False  #: no chunks, no upgrade, no Expect: the Head may be remembered
    may_refuse_body: bool = False  #: HEAD, or with preconditions: what a handler sends may not be wanted
    notices: tuple[str, ...] = ()  #: for the error log at level info: header lines that were ignored
    server: Any = None  #: for the core: the virtual server, and what its server_name regex captured
    server_match: Any = None
    location: Any = None  #: for the core: the location, and what its regex captured
    captures: Any = None
    lua_headers: Any = None  #: for Lua: the headers as ngx.req.get_headers() shows them
    rendered: dict[Any, bytes] | None = None  #: for the core: templates that depend on those captures alone, rendered

    @classmethod
    def unparsed(cls, raw: bytes, bad: BadHead) -> Head:
        """The Head that answers, and logs, a refused one: as much as was understood before ``bad`` was raised."""
        from .grammar import understood

        head = understood(raw) if bad.head is None else bad.head
        if bad.reason.endswith(READING_LINE):
            # nginx counts, and names in variables, only what it had taken in when it refused
            end = head.raw.find(b"\n") + 1
            head.raw = head.raw[:end] if head.method else b""
            head.target = b""
        return head


class BadHead(Exception):
    """A head that nginx refuses.

    ``status`` is nginx's status code (494 for a head too large is shown as 400), ``reason`` its line for the error
    log at level info ("client sent invalid method while reading client request line"; bytes of the client's in it are
    decoded with "surrogateescape"), ``head`` what was understood, if anything was read. The connection is always
    closed afterwards.
    """

    def __init__(self, status: int, reason: str, head: Head | None = None) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.head = head


def empty_head(raw: bytes) -> Head:
    """A Head of which nothing is known yet; its version is 1000 as nginx's is before the request line has been read."""
    return Head(b"", b"", 1000, [], b"", raw, {}, b"", None, False, None, 0, b"")
