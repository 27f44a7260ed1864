"""ngx.socket.tcp: https://github.com/openresty/lua-nginx-module#ngxsockettcp

What can be answered from the bytes that are here is answered by a plain call; only what has to wait is an operation.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ...process.logs import ERR
from ...upstream.address import BadAddress, parse_url
from ..cosocket import ALL, ANY, LINE, SIZE, UNTIL, Answer, os_reason
from ..socket_connect import connect
from ..socket_object import BAD_REQUEST, CLOSED, CONNECTING, DIALLING, RESOLVING, WAIT, CoSocket, sockets
from ..socket_pool import POOLS, pool_for

if TYPE_CHECKING:
    from ..vm import LuaVM

#: The options of ``setoption``.
_OPTIONS = {
    b"keepalive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    b"reuseaddr": (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    b"tcp-nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    b"sndbuf": (socket.SOL_SOCKET, socket.SO_SNDBUF),
    b"rcvbuf": (socket.SOL_SOCKET, socket.SO_RCVBUF),
    b"keepintvl": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    b"keepcnt": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
}


def read(r: Request, number: int, timeout: float) -> asyncio.Future[Answer]:
    """Wait for what a call has found missing. ``timeout`` in milliseconds, 0 for the configured one."""
    peer = sockets[int(number)].peer
    assert peer is not None
    return peer.wait(timeout / 1000 if timeout > 0 else r.loc.conf["lua"].socket_read_timeout)


async def sent(r: Request, number: int, timeout: float) -> Answer:
    """Wait until the kernel has taken what ``socket_send`` was given."""
    u = sockets[int(number)]
    assert u.peer is not None
    answer = await u.peer.sent(timeout / 1000 if timeout > 0 else r.loc.conf["lua"].socket_send_timeout)
    if answer[0] is None and not u.write_closed:
        u.log(b"lua tcp socket write timed out")
        u.write_closed = True
    return answer


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls. A number is 0 for an object that was never connected."""

    def closed(u: CoSocket | None, action: bytes, number: int) -> int:
        r = vm.r
        assert r is not None
        if r.loc.conf["lua"].socket_log_errors:
            peer = u.peer if u is not None else None
            pointers = int(number) if u is None else id(u), 0 if peer is None else id(peer)
            eof = u is not None and u.eof
            text = b"attempt to %s data on a closed socket: u:%016X, c:%016X, ft:0 eof:%d" % (action, *pointers, eof)
            r.log(ERR, text if u is None else text + u.where())
        return CLOSED

    def reader(number: int) -> Any:
        """The connection to read from, or why that is refused."""
        u = sockets.get(number)
        if u is None:
            return closed(None, b"receive", number)
        peer = u.peer
        if peer is None or u.read_closed:
            return CONNECTING if u.connecting == DIALLING else closed(u, b"receive", number)
        if u.r is not vm.r:
            return BAD_REQUEST
        if peer.reader is not None or u.connecting:
            return u.busy(True, False) or peer
        return peer

    def socket_bind(address: bytes) -> bool:
        """Whether ``bind`` can use this address."""
        try:
            url = parse_url(address, 0, False)
        except BadAddress:
            return False
        return url.address is not None and not url.is_unix

    def socket_connect(number: int, key: bytes) -> Answer:
        """Prepare a connect: (1, number) if the pool had a connection, (0, number) if ``connect`` must make one.

        Or (code,) where it is refused.
        """
        r = vm.r
        assert r is not None
        if number:
            u = sockets.get(number)
            if u is None or u.r is not r:
                return (BAD_REQUEST,)
            if u.connecting:
                return (CONNECTING,)
            busy = u.busy(True, True)
            if busy and busy != CLOSED:
                return (busy,)
            u.finalize()
        else:
            u = CoSocket(r)
        u.key = key
        u.eof = False
        u.pool = pool = POOLS.get(key)
        if pool is not None:
            peer = pool.pop()
            if peer is not None:
                u.attach(peer)
                return 1, u.number
        u.connecting = RESOLVING
        return 0, u.number

    def socket_line(number: int) -> Any:
        """``receive`` of a line: the line, WAIT, why it is refused, or (None, error, what there was)."""
        u = sockets.get(number)
        if u is not None and u.r is vm.r and not u.read_closed:
            peer = u.peer
            if peer is not None and peer.reader is None:
                buf, pos = peer.buf, peer.pos
                end = buf.find(b"\n", pos)
                if end < 0:
                    return peer.want(LINE, 0) or WAIT
                peer.pos = end + 1
                peer.size -= end + 1 - pos
                peer.fresh = False
                line = buf[pos:end]
                return line.replace(b"\r", b"") if 13 in line else line
        return reader(number)

    def socket_receive(number: int, mode: float) -> Any:
        """``receive``: ``mode`` is a size, or -2 for everything."""
        u = sockets.get(number)
        if u is not None and u.r is vm.r and not u.read_closed:
            peer = u.peer
            if peer is not None and peer.reader is None:
                if mode == -2:
                    return peer.want(ALL, 0) or WAIT
                size = int(mode)
                if peer.size >= size:
                    return peer.take(size)
                return peer.want(SIZE, size) or WAIT
        return reader(number)

    def socket_any(number: int, size: float) -> Any:
        """``receiveany``."""
        peer = reader(number)
        return peer if peer.__class__ is int else peer.want(ANY, int(size)) or WAIT

    def socket_until(number: int, pattern: bytes, inclusive: bool, size: float) -> Any:
        """The iterator of ``receiveuntil``: the data and whether the pattern was reached."""
        u = sockets.get(number)
        if u is None or u.peer is None or u.read_closed:
            return CONNECTING if u is not None and u.connecting == DIALLING else CLOSED  # (nothing is logged)
        peer = reader(number)
        return peer if peer.__class__ is int else peer.want(UNTIL, int(size), pattern, inclusive) or WAIT

    def socket_check_read(number: int) -> int:
        """Why reading is refused; 0 if it isn't."""
        peer = reader(number)
        return peer if peer.__class__ is int else 0

    def socket_check_send(number: int) -> int:
        """Why sending is refused; 0 if it isn't."""
        u = sockets.get(number)
        if u is None:
            return closed(None, b"send", number)
        peer = u.peer
        if peer is None or u.write_closed:
            return CONNECTING if u.connecting == DIALLING else closed(u, b"send", number)
        if u.r is not vm.r:
            return BAD_REQUEST
        return u.busy(False, True)

    def socket_send(number: int, data: bytes) -> Any:
        """``send``: the number of bytes, WAIT if the peer is slow, why it is refused, or (None, error)."""
        u = sockets.get(number)
        if u is None or u.peer is None or u.write_closed or u.r is not vm.r or u.peer.writer is not None:
            refused = socket_check_send(number)
            assert refused
            return refused
        if not data:
            return 0
        try:
            return len(data) if u.peer.send(data) else WAIT
        except OSError as error:
            return None, u.send_failed(error)

    def socket_close(number: int) -> int:
        """``close``: 1, or why it is refused."""
        u = sockets.get(number)
        if u is None or u.peer is None or (u.read_closed and u.write_closed):
            return CONNECTING if u is not None and u.connecting == DIALLING else CLOSED
        if u.r is not vm.r:
            return BAD_REQUEST
        refused = u.busy(True, True)
        if not refused:
            u.finalize()
        return refused or 1

    def socket_keepalive(number: int, timeout: float | None, size: float | None) -> Any:
        """``setkeepalive``: 1, why it is refused, an error text, or 0 for a size that can't be.

        ``timeout`` in milliseconds; None is what is configured, for ``size`` too.
        """
        r = vm.r
        assert r is not None
        u = sockets.get(number)
        peer = u.peer if u is not None else None
        if u is None or peer is None or u.read_closed or u.write_closed or peer.eof:
            return CONNECTING if u is not None and u.connecting == DIALLING else CLOSED
        if u.r is not r:
            return BAD_REQUEST
        if peer.reader is not None or peer.writer is not None:
            refused = u.busy(True, True)
            if refused:
                return refused
        if peer.size:
            if not peer.fresh:
                return b"unread data in buffer"
            u.finalize()
            return b"connection in dubious state"
        conf = r.loc.conf["lua"]
        pool = POOLS.get(u.key)
        if pool is None:
            wanted: int = conf.socket_pool_size if size is None else int(size)
            if wanted <= 0:
                return 0
            pool = pool_for(u.key, wanted)
        u.peer = None
        u.read_closed = u.write_closed = True
        pool.put(peer, conf.socket_keepalive_timeout if timeout is None else max(timeout, 0) / 1000, u.pool is not None)
        return 1

    def socket_reused(number: int) -> int:
        """``getreusedtimes``; CLOSED without a connection."""
        u = sockets.get(number)
        if u is None or u.peer is None or (u.read_closed and u.write_closed):
            return CLOSED
        return u.peer.reused

    def socket_option(number: int, name: bytes, value: float | None) -> Any:
        """Set (or with None get) an option of the system's: its value, CLOSED, or (None, error)."""
        option = _OPTIONS.get(name)
        if option is None:
            return None, b"unsupported option " + name
        u = sockets.get(number)
        if u is None or u.peer is None or u.peer.lost:
            return CLOSED
        try:
            if value is None:
                return u.peer.sock.getsockopt(*option)
            u.peer.sock.setsockopt(*option, int(value))
        except OSError as error:
            return None, os_reason(error)
        return 1

    def socket_fd(number: int) -> int:
        """``getfd``; CLOSED without a connection."""
        u = sockets.get(number)
        return CLOSED if u is None or u.peer is None else u.peer.sock.fileno()

    table = (
        socket_bind, socket_connect, socket_line, socket_receive, socket_any, socket_until, socket_check_read,
        socket_check_send, socket_send, socket_close, socket_keepalive, socket_reused, socket_option, socket_fd,
    )  # fmt: skip
    return {function.__name__: function for function in table}


OPERATIONS = {"connect": connect, "read": read, "sent": sent}
