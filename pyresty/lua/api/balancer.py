"""ngx.balancer: https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/balancer.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..balancer import LuaChoice

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls, in the phase; each answers None, or an error's message."""

    def choice() -> LuaChoice:
        assert vm.r is not None and vm.r.upstream is not None
        found: LuaChoice = vm.r.upstream.choice
        return found

    def balancer_exit(status: float) -> None:
        """``ngx.exit``: the code goes on, and then the phase ends with ``status``."""
        choice().exit = int(status)

    def balancer_upstream() -> bool:
        """Whether the request has an upstream."""
        return vm.r is not None and vm.r.upstream is not None

    return {
        "balancer_exit": balancer_exit,
        "balancer_upstream": balancer_upstream,
        "balancer_set_peer": lambda address, port, host: choice().set_peer(address, int(port), host),
        "balancer_set_keepalive": lambda seconds, requests: choice().set_keepalive(seconds, int(requests)),
        "balancer_set_more_tries": lambda count: choice().set_more_tries(int(count)),
        "balancer_last_failure": lambda: choice().last_failure(),
        "balancer_set_timeouts": lambda connect, send, read: choice().set_timeouts(connect, send, read),
        "balancer_bind": lambda address: choice().bind(address),
        "balancer_set_tls": lambda on: choice().set_tls(on),
        "balancer_recreate": lambda: choice().recreate(),
    }
