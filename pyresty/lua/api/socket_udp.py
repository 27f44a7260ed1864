"""ngx.socket.udp: https://github.com/openresty/lua-nginx-module#ngxsocketudp"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...process.logs import DEBUG, ERR
from ..socket_object import BAD_REQUEST, BUSY, CLOSED, WAIT
from ..socket_udp import UdpSocket, connect, read, udp_sockets

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls. A number is 0 for an object that was never connected."""

    def usable(number: int) -> int:
        """Why the socket can't be used now; 0 if it can."""
        u = udp_sockets.get(number)
        busy = u is not None and (u.busy or (bool(vm.queued) and (vm.asked(read, number) or vm.asked(connect, number))))
        if u is None or u.sock is None:
            return CLOSED
        if u.r is not vm.r:
            return BAD_REQUEST
        return BUSY if busy else 0

    def udp_open(number: int) -> tuple[int, int]:
        """Prepare ``setpeername``: (0, number), or (code, 0) where it is refused."""
        r = vm.r
        assert r is not None
        u = udp_sockets.get(number)
        if u is None and not number:
            return 0, UdpSocket(r).number
        if u is None or u.r is not r:
            return BAD_REQUEST, 0
        if usable(number) == BUSY:
            return BUSY, 0
        if u.sock is not None:
            r.log(DEBUG, "lua udp socket reconnect without shutting down")
        u.finalize()
        r.log(DEBUG, "lua reuse socket upstream ctx")
        return 0, number

    def udp_check(number: int, action: bytes) -> int:
        """``usable``, with a word in the error log about a socket that is closed."""
        r = vm.r
        assert r is not None
        code = usable(number)
        if code == CLOSED and r.loc.conf["lua"].socket_log_errors:
            u = udp_sockets.get(number)
            pointer = 0 if u is None else id(u)
            r.log(ERR, b"attempt to %s data on a closed socket: u:%016X, c:%016X" % (action, pointer, 0))
        return code

    def udp_send(number: int, data: bytes) -> Any:
        """``send``, of a socket that ``udp_check`` has found usable."""
        return udp_sockets[number].send(data)

    def udp_receive(number: int, size: float) -> Any:
        """``receive``, of a socket that ``udp_check`` has found usable: the datagram, WAIT, or (None, error)."""
        assert vm.r is not None
        vm.r.log(DEBUG, b"lua udp socket receive buffer size: %d" % size)
        return udp_sockets[number].receive(int(size)) or WAIT

    def udp_close(number: int) -> int:
        """``close``: 0, or why it is refused."""
        code = usable(number)
        if not code:
            udp_sockets[number].finalize()
        return code

    table = (udp_open, udp_check, udp_send, udp_receive, udp_close)
    return {function.__name__: function for function in table}


OPERATIONS = {"udp_connect": connect, "udp_read": read}
