"""ngx.resp and ngx.req, the modules: https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/resp.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from .header import escape_name, escape_value, get_header, header_name_in

if TYPE_CHECKING:
    from ..vm import LuaVM

#: Request headers of which nginx knows only one.
_SINGLE_IN = frozenset((b"host", b"content-length", b"content-type", b"user-agent", b"referer", b"authorization"))


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def request() -> Request:
        assert vm.r is not None
        return vm.r

    def add_resp_header(key: bytes, *values: bytes) -> bytes | None:
        """Add a header for each value, beside what is there; an error message, or None."""
        r = request()
        name, low, replace = header_name_in(r, key)
        return replace(r, name, low, (*get_header(r, low), *values))

    def set_status_line(status: float, reason: bytes) -> None:
        """Set the status, and what stands behind it in the status line."""
        r = request()
        r.status = int(status)
        r.err_status = 0
        if r.status == 101:
            reason = b"Switching Protocols"
        r.status_line = b"%d %s" % (r.status, reason) if reason else None

    def bypass_if_checks() -> None:
        """``If-Modified-Since`` and its like are not looked at."""
        request().disable_not_modified = True

    def add_req_header(key: bytes, *values: bytes) -> bytes | None:
        """Add a header for each value, beside what is there; an error message, or None."""
        r = request()
        if r.version < 1000:
            return None
        low = key.lower()
        if low in _SINGLE_IN:
            set_it: Callable[..., bytes | None] = vm.functions["set_req_header"]
            return set_it(key, *values)
        known = r.index.get(low)
        before = [] if known is None else [known] if isinstance(known, bytes) else list(known)
        r.set_header_in(escape_name(key), before + [escape_value(value) for value in values])
        return None

    table = (add_resp_header, set_status_line, bypass_if_checks, add_req_header)
    return {function.__name__: function for function in table}
