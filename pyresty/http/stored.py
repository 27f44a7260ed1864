"""A response as bytes that another request can be answered with: head and body as they would be sent, without what belongs to a connection.

The one idea: what ``serialize`` writes is HTTP, so any program can fill the cache, and ``parse`` reads it with nginx's leniency.
srcache-nginx-module: ``ngx_http_srcache_store_response_header``, ``ngx_http_srcache_process_header``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .dates import http_time
from .headers_out import set_header_out
from .status import status_line

if TYPE_CHECKING:
    from .request import Request

#: Headers that belong to a connection or to one client. (Lower case.)
HIDDEN = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailers",
        b"transfer-encoding", b"upgrade", b"set-cookie",
    )
)  # fmt: skip

_ALLOW_RANGES = b"X-SRCache-Allow-Ranges"
#: Of a stored head, what is about the connection it came over, or is made anew.
_IGNORED = (b"connection", b"keep-alive", b"content-length")


class BadHead(ValueError):
    """A stored head that can't be used; the text is what is logged."""


class Stored(NamedTuple):
    """A response read back."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def serialize(r: Request, hidden: frozenset[bytes]) -> bytes:
    """The head of the response of ``r`` as it is before nginx's own last filters, without the headers ``hidden`` (lower case)."""
    lines = [b"HTTP/1.1 " + (r.status_line or status_line(r.status))]
    if r.content_type and b"content-type" not in hidden:
        text = r.content_type
        if r.charset and b"charset=" not in text:
            text += b"; charset=" + r.charset
        lines.append(b"Content-Type: " + text)
    if r.last_modified is not None and r.status in (200, 204, 206, 304) and b"last-modified" not in hidden:
        lines.append(b"Last-Modified: " + http_time(r.last_modified))
    if r.allow_ranges:
        lines.append(_ALLOW_RANGES + b": 1")
    if r.location is not None and b"location" not in hidden:
        lines.append(b"Location: " + r.location)
    lines += [b"%s: %s" % (name, value) for name, value in r.headers_out if name.lower() not in hidden]
    if r.length_name is not None and r.content_length is not None and b"content-length" not in hidden:
        lines.append(b"%s: %d" % (r.length_name, r.content_length))
    return b"\r\n".join((*lines, b"\r\n"))


def parse(data: bytes, longest: int) -> Stored:
    """Take a stored response apart; no line of its head may be longer than ``longest`` bytes. Raises BadHead."""
    at = data.find(b"\n")
    version, _, text = data[: max(at, 0)].rstrip(b"\r").partition(b" ")
    if at < 0 or not version.startswith(b"HTTP/") or not text[:3].isdigit() or text[3:4] not in (b"", b" "):
        if b"HTTP/".startswith(data[:5]) and at < 0:
            raise BadHead("srcache_fetch: cache sent truncated status line or headers")
        raise BadHead("srcache_fetch: cache sent invalid status line")
    headers: list[tuple[bytes, bytes]] = []
    start = at + 1
    while True:
        at = data.find(b"\n", start)
        if (at if at >= 0 else len(data)) - start >= longest:
            raise BadHead(
                "srcache_fetch: header buffer overflown (maybe you should consider increasing srcache_header_buffer_size?)"
            )
        if at < 0:
            raise BadHead("srcache_fetch: cache sent truncated status line or headers")
        line = data[start:at].rstrip(b"\r")
        start = at + 1
        if not line:
            return Stored(int(text[:3]), headers, data[start:])
        name, colon, value = line.partition(b":")
        if not colon or not name or b" " in name or b"\0" in line:
            raise BadHead("srcache_fetch: cache sent invalid header")
        headers.append((name, value.strip(b" ")))


def restore(r: Request, stored: Stored) -> None:
    """Give ``r`` the status and the headers of a stored response."""
    r.status = stored.status
    for name, value in stored.headers:
        low = name.lower()
        if low in _IGNORED:
            continue
        if low == b"x-srcache-allow-ranges":
            r.allow_ranges = True
        elif low in (b"content-type", b"last-modified", b"server", b"date"):
            set_header_out(r, name, [value])
        else:  # (a Location that begins with "/" stays as it is)
            r.headers_out.append((name, value))
