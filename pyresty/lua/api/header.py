"""ngx.header, ngx.status, ngx.resp.get_headers: https://github.com/openresty/lua-nginx-module#ngxheaderheader

Names are put into their final form once and remembered: underscores are hyphens, bytes that no header may have are
percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.dates import http_time, parse_http_time
from ...http.request import Request

if TYPE_CHECKING:
    from ..vm import LuaVM

_control = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]").search
_TOKEN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&'*+-.^_`|~"
_KEPT_NAMES = 1024

#: Headers of which nginx knows only one: the last value counts.
_SINGLE = frozenset(
    (b"content-encoding", b"refresh", b"content-range", b"accept-ranges", b"expires", b"etag", b"e-tag", b"location")
)

#: Replaces the header (name, lower-case name) by values, of which empty ones count for nothing; gives an error message, or None.
Replace = Callable[[Request, bytes, bytes, tuple[bytes, ...]], "bytes | None"]

_names: dict[bytes, tuple[bytes, bytes, Replace]] = {}


def header_name(key: bytes) -> tuple[bytes, bytes, Replace]:
    """The name that ``ngx.header[key]`` stands for, its lower-case form, and how it is set."""
    if len(_names) >= _KEPT_NAMES:
        _names.clear()
    name = escape_name(key.replace(b"_", b"-"))
    made = _names[key] = name, name.lower(), _way_to_set(name.lower())
    return made


def header_name_in(r: Request, key: bytes) -> tuple[bytes, bytes, Replace]:
    """As ``header_name``, where ``lua_transform_underscores_in_response_headers`` is off in some locations."""
    if r.loc.conf["lua"].transform_underscores:
        return header_name(key)
    name = escape_name(key)
    return name, name.lower(), _way_to_set(name.lower())


def escape_name(name: bytes) -> bytes:
    """A header's name with the bytes that no name may have percent-encoded."""
    if not name.translate(None, _TOKEN):
        return name
    return b"".join(bytes((byte,)) if byte in _TOKEN else b"%%%02X" % byte for byte in name)


def escape_value(value: bytes) -> bytes:
    """A header's value without the bytes that would end it: control characters are percent-encoded."""
    if _control(value) is None:
        return value
    return b"".join(b"%%%02X" % byte if byte < 32 and byte != 9 or byte == 127 else bytes((byte,)) for byte in value)


def set_special(r: Request, name: bytes, low: bytes, value: bytes) -> bytes | None:
    """Set one of the headers that are no entries of the list; an error message if the value is no good."""
    if low == b"content-type":
        r.content_type = value or b""
        r.charset = None
    elif low == b"content-length":
        if value and not value.isdigit():
            return b"failed to set header"
        r.content_length = int(value) if value else None
        r.length_name = name
    elif low == b"server":
        r.server_header = value or b""
    else:
        r.date_header = value or b""
    return None


_SPECIAL = frozenset((b"content-type", b"content-length", b"server", b"date"))
_KNOWN = _SPECIAL | _SINGLE | {b"last-modified"}


def _way_to_set(low: bytes) -> Replace:
    return _set_known if low in _KNOWN else _set_listed


def _set_known(r: Request, name: bytes, low: bytes, values: tuple[bytes, ...]) -> bytes | None:
    """Set a header that has a field of its own in the request, or of which there is only one."""
    if low in _SPECIAL:
        error = None
        for value in values or (b"",):
            error = error or set_special(r, name, low, escape_value(value))
        return error
    if low == b"last-modified":
        r.last_modified = parse_http_time(values[-1]) if values else None
        values = () if r.last_modified is not None else values[-1:]
    elif low in _SINGLE:
        if low == b"location":
            r.location = None
        values = values[-1:]
    _set_listed(r, name, low, values)
    return None


def _set_listed(r: Request, name: bytes, low: bytes, values: tuple[bytes, ...]) -> bytes | None:
    """Set a header that is nothing but an entry of the list. A name without a letter is no name."""
    if not name:
        return None
    if len(values) == 1 and values[0] and not r.headers_out:
        r.headers_out.append((name, escape_value(values[0])))
        return None
    left = [escape_value(value) for value in values if value]
    if r.headers_out:
        kept, size, found = [], len(low), False
        for header in r.headers_out:
            key = header[0]
            if len(key) != size or (key != name and key.lower() != low):
                kept.append(header)
            elif left and not found:
                kept.append((key, left.pop(0)))  # the first one is replaced, and keeps its name
                found = True
        r.headers_out = kept
    for value in left:
        r.headers_out.append((name, value))
    return None


def get_header(r: Request, low: bytes) -> list[bytes]:
    """The values of a header; none: an empty list."""
    if low == b"content-type":
        if r.content_type:
            return [r.content_type]
    elif low == b"content-length":
        if r.content_length is not None:
            return [b"%d" % r.content_length]
    elif low == b"last-modified":
        if r.last_modified is not None:
            return [http_time(r.last_modified)]
        if r.upstream is None:  # what Lua set and is no date cannot be read back, as in OpenResty
            return []
    elif low == b"location" and r.location is not None:
        return [r.location]
    elif low == b"server" and r.server_header:
        return [r.server_header]
    elif low == b"date" and r.date_header:
        return [r.date_header]
    return [value for key, value in r.headers_out if key.lower() == low]


def all_headers(r: Request) -> list[tuple[bytes, bytes]]:
    """All headers of the response, as ``ngx.resp.get_headers`` shows them; nginx's own have names in lower case."""
    found: list[tuple[bytes, bytes]] = []
    if r.content_type:
        found.append((b"content-type", r.content_type))
    if r.content_length is not None:
        found.append((b"content-length", b"%d" % r.content_length))
    found.append((b"connection", b"upgrade" if r.status == 101 else b"keep-alive" if r.keepalive else b"close"))
    if r.chunked:
        found.append((b"transfer-encoding", b"chunked"))
    if r.last_modified is not None:
        found.append((b"Last-Modified", http_time(r.last_modified)))
    if r.location is not None:
        found.append((b"Location", r.location))
    if r.server_header:
        found.append((b"Server", r.server_header))
    if r.date_header:
        found.append((b"Date", r.date_header))
    return found + r.headers_out


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def py_set_header(key: bytes, *values: bytes) -> bytes | None:
        """Set, or remove if there are no values; an error message, or None."""
        name, low, replace = _names.get(key) or header_name(key)
        return replace(vm.r, name, low, values)  # type: ignore[arg-type]

    def py_get_header(key: bytes) -> Any:
        """The value, several of them, or None."""
        assert vm.r is not None
        values = get_header(vm.r, (_names.get(key) or header_name(key))[1])
        return tuple(values) if values else None

    def careful_set_header(key: bytes, *values: bytes) -> bytes | None:
        assert vm.r is not None
        name, low, replace = header_name_in(vm.r, key)
        return replace(vm.r, name, low, values)

    def careful_get_header(key: bytes) -> Any:
        assert vm.r is not None
        values = get_header(vm.r, header_name_in(vm.r, key)[1])
        return tuple(values) if values else None

    careful = vm.config.main["lua"].keeps_underscores  # type: ignore[attr-defined]

    def resp_headers(start: int, most: int, raw: bool) -> tuple[bytes, ...]:
        """At most ``most`` headers from number ``start`` on: name, value, name, value …"""
        assert vm.r is not None
        flat: list[bytes] = []
        for name, value in all_headers(vm.r)[int(start) : int(start + most)]:
            flat += (name if raw else name.lower(), value)
        return tuple(flat)

    def resp_headers_count() -> tuple[int, int]:
        """How many headers there are, and how many of them stand in front of the list."""
        assert vm.r is not None
        count = len(all_headers(vm.r))
        return count, count - len(vm.r.headers_out)

    def get_status() -> int:
        """``ngx.status``."""
        r = vm.r
        assert r is not None
        return r.err_status or r.status or (9 if r.version == 9 else 0)

    def set_status(status: int) -> None:
        """``ngx.status = status``."""
        r = vm.r
        assert r is not None
        r.status = int(status)
        r.err_status = 0
        r.status_line = b"101 Switching Protocols" if status == 101 else None

    return {
        "set_header": careful_set_header if careful else py_set_header,
        "get_header": careful_get_header if careful else py_get_header,
        "resp_headers": resp_headers,
        "resp_headers_count": resp_headers_count,
        "get_status": get_status,
        "set_status": set_status,
    }
