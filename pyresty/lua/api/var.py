"""ngx.var: https://github.com/openresty/lua-nginx-module#ngxvarvariable"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.regex import capture

if TYPE_CHECKING:
    from ..vm import LuaVM

#: Names whose getters are remembered: a program may make names (``"arg_" .. something``) without end.
_KEPT_GETTERS = 1024


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    getters: dict[bytes, Any] = {}

    def get_var(name: bytes) -> bytes | None:
        """The variable's value for the request that runs; None if it has none or does not exist."""
        getter = getters.get(name)
        if getter is None:
            variable = vm.config.variable(name.decode("utf-8", "surrogateescape"))
            if variable is None or variable.get is None:
                return None
            if len(getters) >= _KEPT_GETTERS:
                getters.clear()
            getter = getters[name] = variable.get
        assert vm.r is not None
        value: bytes | None = getter(vm.r)
        return value

    def get_capture(number: int) -> bytes | None:
        """``ngx.var[1]``: a capture of the last regular expression."""
        return capture(vm.r, number) if vm.r is not None and number >= 1 else None

    def set_var(name: bytes, value: bytes | None) -> bytes | None:
        """Assign; returns OpenResty's message where it can't be."""
        name = name.lower()
        variable = vm.config.defined(name.decode("utf-8", "surrogateescape"))
        if variable is None:
            return (
                b'variable "%s" not found for writing; maybe it is a built-in variable that is not changeable or you forgot to use '
                b"\"set $%s '';\" in the config file to define it first" % (name, name)
            )
        if variable.set is None:
            return b'variable "%s" not changeable' % name
        assert vm.r is not None
        variable.set(vm.r, value)
        return None

    def get_arg(number: int) -> bytes | None:
        """``ngx.arg[number]`` in ``set_by_lua*``."""
        at = int(number) - 1
        return vm.set_args[at] or None if 0 <= at < len(vm.set_args) else None

    return {"get_var": get_var, "get_capture": get_capture, "set_var": set_var, "get_arg": get_arg}
