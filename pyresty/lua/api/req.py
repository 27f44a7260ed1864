"""ngx.req, without the body: https://github.com/openresty/lua-nginx-module#ngxreqis_internal"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ...process.logs import DEBUG
from ..scheduler import Exit
from .header import escape_name, escape_value

if TYPE_CHECKING:
    from ..vm import LuaVM


def change_uri(r: Request, uri: bytes) -> None:
    """``ngx.req.set_uri``: the URI as it is, with no look-up of a location."""
    r.uri = uri
    r.internal = True
    r.valid_unparsed_uri = False
    r.valid_location = False
    r.uri_changed = False


def jump(r: Request, uri: bytes) -> tuple[Any, ...]:
    """``ngx.req.set_uri(uri, true)``: choose a location again; what Lua knew of the request is forgotten."""
    r.log(DEBUG, b'lua set uri jump to "%s"' % uri)
    change_uri(r, uri)
    r.valid_location = True
    r.uri_changed = True
    r.server.config.lua.release(r)
    raise Exit(None)


def _host(value: bytes) -> bytes | None:
    """The ``$host`` that a Host header set by Lua comes to; None if it can't be one. ngx_lua: ``ngx_http_lua_validate_host``."""
    if b".." in value or b"/" in value:
        return None
    inside, closed, _ = value.partition(b"]")
    name = inside + closed if value[:1] == b"[" else value.partition(b":")[0]
    return name.removesuffix(b".").lower() or None


def set_request_header(r: Request, name: bytes, values: tuple[bytes, ...]) -> bytes | None:
    """Replace a header of the request, or remove it; empty values count for nothing. An error message, or None."""
    if r.version < 1000:
        return None
    kept = [escape_value(value) for value in values if value]
    low = name.lower()
    if low == b"content-length" and kept and not kept[-1].isdigit():
        return b"failed to set header"
    if low == b"host":
        kept = kept[-1:]
        host = _host(kept[0]) if kept else b""
        if host is None:
            return b"failed to set header"
        r.host_in = host
    r.set_header_in(escape_name(name), kept)
    return None


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def request() -> Request:
        assert vm.r is not None
        return vm.r

    def get_method() -> bytes:
        return request().method

    def set_method(name: bytes) -> None:
        request().method = name

    def http_version() -> int:
        """nginx's number: 9, 1000, 1001."""
        return request().version

    def start_time() -> float:
        """Seconds since 1970, to the millisecond."""
        return int(request().start * 1000) / 1000

    def is_internal() -> bool:
        return request().internal

    def raw_header(no_request_line: bool) -> bytes:
        """The head as the client sent it."""
        raw = request().head.raw
        return raw.partition(b"\n")[2] if no_request_line else raw

    def get_args() -> bytes | None:
        r = vm.r
        assert r is not None
        return r.args

    def set_args(args: bytes) -> None:
        r = request()
        r.args = args
        r.valid_unparsed_uri = False

    def set_uri(uri: bytes) -> None:
        change_uri(request(), uri)

    def req_headers(start: int, most: int, raw: bool) -> tuple[bytes, ...]:
        """At most ``most`` headers from number ``start`` on: name, value, name, value …"""
        r = vm.r
        assert r is not None
        known: tuple[bytes, ...] | None = r.head.lua_headers
        usual = start == 0 and not raw and not r.headers_owned
        if usual and known is not None and len(known) <= 2 * most:
            return known
        flat: list[bytes] = []
        for name, value in r.headers_in[int(start) : int(start + most)]:
            flat += (name if raw else name.lower(), value)
        if usual and len(r.headers_in) <= most:
            r.head.lua_headers = tuple(flat)
        return tuple(flat)

    def req_headers_count() -> int:
        return len(request().headers_in)

    def set_req_header(name: bytes, *values: bytes) -> bytes | None:
        """Replace a header, or remove it; an error message, or None."""
        return set_request_header(request(), name, values)

    return {
        "get_method": get_method,
        "set_method": set_method,
        "http_version": http_version,
        "start_time": start_time,
        "is_internal": is_internal,
        "raw_header": raw_header,
        "get_args": get_args,
        "set_args": set_args,
        "set_uri": set_uri,
        "req_headers": req_headers,
        "req_headers_count": req_headers_count,
        "set_req_header": set_req_header,
    }


OPERATIONS = {"jump": jump}
