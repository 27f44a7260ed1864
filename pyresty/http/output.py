"""The response head: nginx's header filter, and its chunked filter's decision.

Heads that say the same within one second are the same bytes, so they are kept until the ``Date`` changes. The order of the lines is
nginx's (``ngx_http_header_filter``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .dates import http_time
from .status import status_line

if TYPE_CHECKING:
    from .request import Request

_KEPT_HEADS = 1024

#: Head, header_only, chunked and keepalive by what they follow from.
_kept: dict[tuple[object, ...], tuple[bytes, bool, bool, bool]] = {}
_next_second = 0
_date = b""


def current_date() -> bytes:
    """The value of the ``Date`` header for the current second."""
    global _next_second, _date
    now = int(time.time())
    if now + 1 != _next_second:
        _next_second = now + 1
        _date = http_time(now)
        _kept.clear()
    return _date


def build_head(r: Request) -> bytes:
    """The bytes of the response head; settles ``header_only``, ``chunked`` and ``keepalive`` on the way. HTTP/0.9 gets none."""
    core = r.loc.core
    if r.conn.requests >= core.keepalive_limit:
        r.keepalive = False
    if time.time() >= _next_second:
        current_date()
    if (
        r.location is not None or r.server_header is not None or r.date_header is not None
        or r.status_line is not None or r.length_name is not None or r.status == 204
    ):  # fmt: skip
        return _with_headers(_make_head(r), r.headers_out)
    key = (
        r.status,
        r.content_type,
        r.charset,
        r.content_length,
        r.last_modified,
        r.version,
        r.keepalive,
        r.method == b"HEAD",
        r.header_only,
        core,
    )
    kept = _kept.get(key)
    if kept is None:
        head = _make_head(r)
        if len(_kept) > _KEPT_HEADS:
            _kept.clear()
        _kept[key] = head, r.header_only, r.chunked, r.keepalive
    else:
        head, r.header_only, r.chunked, r.keepalive = kept
    return _with_headers(head, r.headers_out) if r.headers_out else head


def _with_headers(head: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """``head`` with these headers at its end, where nginx has those that it has no field for."""
    if not head:
        return head
    parts = [head[:-2]]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def _make_head(r: Request) -> bytes:
    """The head without ``headers_out``."""
    status = r.status
    version = r.version
    core = r.loc.core
    if r.method == b"HEAD":
        r.header_only = True
    if version < 1000:
        return b""
    if status == 204 or status == 304 or 100 <= status < 200:
        r.header_only = True
        if status == 204 and r.status_line is None:  # what comes with a status line of its own is left as it is
            r.content_type = None
            r.last_modified = None
        if status != 304 and r.status_line is None:
            r.content_length = None
    length = r.content_length
    if (length is None or r.expect_trailers) and not r.header_only:
        if version >= 1001 and core.chunked_transfer_encoding:
            r.chunked = True
            length = r.content_length = None
        elif length is None:
            r.keepalive = False
    lines = [b"HTTP/1.1 " + (r.status_line or status_line(status))]
    if r.server_header is None:
        lines.append(core.server_line)
    elif r.server_header:
        lines.append(b"Server: " + r.server_header)
    if r.date_header is None:
        lines.append(b"Date: " + _date)
    elif r.date_header:
        lines.append(b"Date: " + r.date_header)
    if r.content_type:
        if r.charset and b"charset=" not in r.content_type:
            lines.append(b"Content-Type: %s; charset=%s" % (r.content_type, r.charset))
        else:
            lines.append(b"Content-Type: " + r.content_type)
    if length is not None:
        lines.append(b"%s: %d" % (r.length_name or b"Content-Length", length))
    if r.last_modified is not None and status in (200, 206, 304):
        lines.append(b"Last-Modified: " + http_time(r.last_modified))
    if r.location is not None:
        lines.append(b"Location: " + absolute_location(r, r.location))
    if r.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if status == 101:
        lines.append(b"Connection: upgrade")
    elif r.keepalive:
        lines.append(b"Connection: keep-alive")
        if core.keepalive_header:
            lines.append(b"Keep-Alive: timeout=%d" % core.keepalive_header)
    else:
        lines.append(b"Connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def absolute_location(r: Request, location: bytes) -> bytes:
    """A ``Location`` that starts with ``/`` made absolute as ``absolute_redirect``, ``server_name_in_redirect`` and
    ``port_in_redirect`` say."""
    core = r.loc.core
    if not location.startswith(b"/") or not core.absolute_redirect:
        return location
    if core.server_name_in_redirect:
        host = r.server.name
    else:
        host = (r.head.host if r.host_in is None else r.host_in) or r.conn.server_addr
    port = b""
    if core.port_in_redirect:
        number = r.conn.server_port
        if number and number != r.conn.default_port:
            port = b":%d" % number
    return b"%s://%s%s%s" % (r.conn.scheme, host, port, location)
