"""ndk.set_var: https://github.com/openresty/lua-nginx-module#ndkset_vardirective"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    table = vm.config.set_var

    def has_set_var(name: bytes) -> bool:
        """Whether there is such a directive of one value."""
        return name in table

    def call_set_var(name: bytes, value: bytes) -> bytes | None:
        """What the directive makes of ``value``; None if it fails, and where no request runs."""
        return table[name](vm.r, value) if vm.r is not None else None

    return {"has_set_var": has_set_var, "call_set_var": call_set_var}
