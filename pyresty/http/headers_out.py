"""Response headers by name, whether nginx keeps them apart (Content-Type, Content-Length, …) or in the list.

The names that are attributes of the request are those of ``ngx_http_headers_out_t`` that the header filter writes itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.directives import ANY_TYPE
from .conditional import weak_etag
from .dates import http_time, parse_http_time

if TYPE_CHECKING:
    from .request import Request


def split_type(content_type: bytes) -> tuple[bytes, bytes | None]:
    """The media type without its charset, and the charset if it names one. nginx: ``ngx_http_upstream_copy_content_type``."""
    at = content_type.find(b";")
    while at >= 0:
        rest = content_type[at + 1 :].lstrip(b" ")
        if rest[:8].lower() == b"charset=":
            return content_type[:at], rest[8:].removeprefix(b'"').removesuffix(b'"')
        at = content_type.find(b";", at + 1)
    return content_type, None


def has_type(r: Request, types: frozenset[bytes]) -> bool:
    """Whether the response's media type is one of ``types`` (as ``mime_types`` makes them). nginx: ``ngx_http_test_content_type``."""
    if types is ANY_TYPE:
        return True
    return bool(r.content_type) and split_type(r.content_type or b"")[0].lower() in types


def body_changes(r: Request) -> None:
    """A filter is going to change the body: its length is unknown, parts of it can't be had, and its ETag is a weak one.

    nginx: ``ngx_http_clear_content_length``, ``ngx_http_clear_accept_ranges``, ``ngx_http_weak_etag``.
    """
    r.content_length = None
    r.allow_ranges = False
    headers = []
    for name, value in r.headers_out:
        low = name.lower()
        if low == b"etag":
            weak = weak_etag(value)
            if weak is not None:
                headers.append((name, weak))
        elif low not in (b"accept-ranges", b"content-length"):
            headers.append((name, value))
    r.headers_out = headers


def get_headers_out(r: Request, name: bytes) -> list[bytes]:
    """All values of the response header ``name`` (lower case)."""
    if name == b"content-type":
        if r.content_type is None:
            return []
        if r.charset and b"charset=" not in r.content_type:
            return [r.content_type + b"; charset=" + r.charset]
        return [r.content_type]
    if name == b"content-length":
        return [] if r.content_length is None else [b"%d" % r.content_length]
    if name == b"last-modified" and r.last_modified is not None:
        return [http_time(r.last_modified)]
    if name == b"location" and r.location is not None:
        return [r.location]
    if name == b"server" and r.server_header:
        return [r.server_header]
    if name == b"date" and r.date_header:
        return [r.date_header]
    return [value for key, value in r.headers_out if key.lower() == name]


def get_header_out(r: Request, name: bytes) -> bytes | None:
    """The value of the response header ``name`` (lower case), repeated ones joined by ``, ``; None if there is none."""
    values = get_headers_out(r, name)
    if not values:
        return None
    return values[0] if len(values) == 1 else b", ".join(values)


def set_header_out(r: Request, name: bytes, values: list[bytes]) -> None:
    """Replace the response header ``name`` by ``values``; an empty list removes it. The header must not have been sent yet."""
    low = name.lower()
    value = values[-1] if values else None
    if low == b"content-type":
        r.content_type = value
        r.charset = None
        return
    if low == b"content-length":
        r.content_length = int(value) if value is not None and value.isdigit() else None
        return
    if low == b"last-modified":
        r.last_modified = parse_http_time(value) if value is not None else None
        if r.last_modified is not None:
            values = []
    elif low == b"location":
        r.location = value if value is not None and value.startswith(b"/") else None
        if r.location is not None:
            values = []
    elif low == b"server":
        r.server_header = value or b""
        return
    elif low == b"date":
        r.date_header = value
        return
    at = -1
    kept: list[tuple[bytes, bytes]] = []
    for entry in r.headers_out:
        if entry[0].lower() == low:
            if at < 0:
                at = len(kept)
        else:
            kept.append(entry)
    if at < 0:
        at = len(kept)
    r.headers_out = kept[:at] + [(name, v) for v in values] + kept[at:]


def add_header_out(r: Request, name: bytes, value: bytes) -> None:
    """Append a response header beside those that are there (``Set-Cookie``)."""
    if name.lower() in (b"content-type", b"content-length", b"last-modified", b"server", b"date"):
        set_header_out(r, name, [value])
    else:
        r.headers_out.append((name, value))
