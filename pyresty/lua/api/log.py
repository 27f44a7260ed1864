"""ngx.log and print: https://github.com/openresty/lua-nginx-module#ngxlog"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def log_enabled(level: int) -> bool:
        """Whether a message of this level is written anywhere, for the request that runs."""
        r = vm.r
        log = r.loc.core.error_log if r is not None else vm.config.error_log
        return log.enabled(level)

    def log(level: int, message: bytes) -> None:
        """Write a message, with the request's context if there is one."""
        r = vm.r
        if r is None:
            where = b"" if vm.context == b"init_by_lua*" else b", context: " + vm.context
            vm.config.error_log.write(level, message + where)
        else:
            r.log(level, message)

    return {"log": log, "log_enabled": log_enabled}
