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

_kept: dict[tuple[object, ...], bytes] = {}
_second = 0
_date = b""


def current_date() -> bytes:
    """The value of the ``Date`` header for the current second."""
    global _second, _date
    now = int(time.time())
    if now != _second:
        _second = now
        _date = http_time(now)
        _kept.clear()
    return _date


def build_head(r: Request) -> bytes:
    """The bytes of the response head; settles ``header_only``, ``chunked`` and ``keepalive`` on the way. HTTP/0.9 gets none."""
    status = r.status
    version = r.version
    core = r.loc.core
    date = current_date()
    if r.method == b"HEAD":
        r.header_only = True
    if version < 1000:
        return b""
    if status == 204 or status == 304 or status < 200:
        r.header_only = True
        if status == 204:
            r.content_type = None
            r.last_modified = None
        if status != 304:
            r.content_length = None
    length = r.content_length
    framing = b""
    if length is None:
        if r.header_only:
            pass
        elif version >= 1001 and core.chunked_transfer_encoding:
            r.chunked = True
            framing = b"Transfer-Encoding: chunked\r\n"
        else:
            r.keepalive = False
    if r.keepalive and (core.keepalive_timeout == 0 or r.conn.requests >= core.keepalive_requests):
        r.keepalive = False
    if status == 101:
        connection = b"upgrade"
    elif r.keepalive:
        connection = b"keep-alive"
    else:
        connection = b"close"

    plain = not r.headers_out and r.last_modified is None and r.location is None
    if plain and r.server_header is None and r.date_header is None and r.status_line is None:
        key = (status, r.content_type, r.charset, length, framing, connection, core)
        head = _kept.get(key)
        if head is not None:
            return head
    else:
        key = None

    lines = [b"HTTP/1.1 " + (r.status_line or status_line(status))]
    if r.server_header is None:
        lines.append(core.server_line)
    elif r.server_header:
        lines.append(b"Server: " + r.server_header)
    lines.append(b"Date: " + (date if r.date_header is None else r.date_header))
    if r.content_type:
        if r.charset and b"charset=" not in r.content_type:
            lines.append(b"Content-Type: %s; charset=%s" % (r.content_type, r.charset))
        else:
            lines.append(b"Content-Type: " + r.content_type)
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    if r.last_modified is not None and status in (200, 206, 304):
        lines.append(b"Last-Modified: " + http_time(r.last_modified))
    if r.location is not None:
        lines.append(b"Location: " + absolute_location(r, r.location))
    if framing:
        lines.append(framing[:-2])
    lines.append(b"Connection: " + connection)
    if core.keepalive_header and r.keepalive and status != 101:
        lines.append(b"Keep-Alive: timeout=%d" % core.keepalive_header)
    for name, value in r.headers_out:
        lines.append(name + b": " + value)
    lines.append(b"\r\n")
    head = b"\r\n".join(lines)
    if key is not None:
        if len(_kept) > _KEPT_HEADS:
            _kept.clear()
        _kept[key] = head
    return head


def absolute_location(r: Request, location: bytes) -> bytes:
    """A ``Location`` that starts with ``/`` made absolute as ``absolute_redirect``, ``server_name_in_redirect`` and
    ``port_in_redirect`` say."""
    core = r.loc.core
    if not location.startswith(b"/") or not core.absolute_redirect:
        return location
    if core.server_name_in_redirect:
        host = r.server.name
    elif r.head.host:
        host = r.head.host
    else:
        host = r.conn.server_addr
    port = b""
    if core.port_in_redirect:
        number = r.conn.server_port
        if number and number != r.conn.default_port:
            port = b":%d" % number
    return b"%s://%s%s%s" % (r.conn.scheme, host, port, location)
