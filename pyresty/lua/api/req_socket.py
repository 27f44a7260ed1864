"""ngx.req.socket: https://github.com/openresty/lua-nginx-module#ngxreqsocket"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from .. import socket_request

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def body_socket() -> Any:
        """The number of a socket over the request's body; or (None, error)."""
        assert vm.r is not None
        made = socket_request.body_socket(vm.r)
        return (None, made) if isinstance(made, bytes) else made

    return {"body_socket": body_socket}


def raw_socket(r: Request) -> Any:
    """The number of a socket over the client's connection; or (None, error). What was printed before has been sent."""
    return socket_request.raw_socket(r)


OPERATIONS = {"raw_socket": raw_socket}
