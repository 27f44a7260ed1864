"""ngx.exit, ngx.exec, ngx.redirect: https://github.com/openresty/lua-nginx-module#ngxexit"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ..scheduler import Exit

if TYPE_CHECKING:
    from ..vm import LuaVM


async def exit_(r: Request, status: int) -> tuple[Any, ...]:
    """``ngx.exit(status)``: OK goes on to the next phase; a status of 200 or more ends the request with it."""
    raise Exit(exit_code(r, int(status)))


def exit_code(r: Request, status: int) -> int | None:
    """The handler's code for ``ngx.exit(status)``."""
    if status == 0:
        return None
    if r.header_sent and status != -1:
        return 0
    if 200 <= status < 300 and status not in (201, 204):
        r.status = status
        return 200
    return status


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def set_exit(status: int) -> None:
        """``ngx.exit`` in a phase that cannot wait: remember the status."""
        assert vm.r is not None
        vm.r.status = int(status)

    return {"set_exit": set_exit}


OPERATIONS = {"exit": exit_}
