"""ngx.timer: https://github.com/openresty/lua-nginx-module#ngxtimerat"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..timers import Timers

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    timers = vm.timers = Timers(vm)
    return {"timer_refused": timers.refused, "timer_at": timers.at, "timer_counts": timers.counts}
