"""ngx.errlog: https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/errlog.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...process import logs

if TYPE_CHECKING:
    from ..vm import LuaVM

_NOT_SET = b'directive "lua_capture_error_log" is not set'


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def errlog_set_level(level: int) -> bytes | None:
        """Keep only lines of this level or more urgent ones; an error message, or None."""
        if logs.capture is None:
            return _NOT_SET
        if not 0 <= level <= logs.DEBUG:
            return b"bad log level: %d" % level
        logs.capture.level = int(level)
        return None

    def errlog_take() -> Any:
        """Level, time and line of the oldest message; nothing; or False and a message."""
        if logs.capture is None:
            return False, _NOT_SET
        return logs.capture.take()

    def errlog_level() -> int:
        """The level of the error log."""
        r = vm.r
        log = r.loc.core.error_log if r is not None else vm.config.error_log
        return log.level

    table = (errlog_set_level, errlog_take, errlog_level)
    return {function.__name__: function for function in table}
