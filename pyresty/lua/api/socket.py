"""ngx.socket.tcp: https://github.com/openresty/lua-nginx-module#ngxsockettcp

What can be answered from the bytes that are here is answered by a plain call; only what has to wait is an operation.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ...process.logs import DEBUG, ERR
from ...upstream.address import is_inet, is_inet6
from ..cosocket import ALL, ANY, LINE, SIZE, UNTIL, Answer
from ..socket_connect import connect
from ..socket_object import (
    BAD_REQUEST,
    CLOSED,
    CONNECTING,
    DIALLING,
    READING,
    RESOLVING,
    WAIT,
    WRITING,
    CoSocket,
    sockets,
    time_for,
)
from ..socket_pool import POOLS, pool_for
from ..strerror import reason

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
    return peer.wait(time_for(r, b"tcp socket read", timeout, r.loc.conf["lua"].socket_read_timeout))


async def sent(r: Request, number: int, timeout: float) -> Answer:
    """Wait until the kernel has taken what ``socket_send`` was given."""
    u = sockets[int(number)]
    assert u.peer is not None
    answer = await u.peer.sent(time_for(r, b"tcp socket send", timeout, r.loc.conf["lua"].socket_send_timeout))
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

    def busy(u: CoSocket, reading: bool, writing: bool) -> int:
        """Which light thread uses the socket already, or will as soon as Lua has returned; 0 for none."""
        code = u.busy(reading, writing)
        if not code and vm.queued:
            if reading and vm.asked(read, u.number):
                return READING
            if writing and vm.asked(sent, u.number):
                return WRITING
        return code

    def socket_refused(number: int, reading: bool) -> int:
        """Why reading, or else sending, is refused; 0 if it isn't."""
        u = sockets.get(number)
        if u is None or u.peer is None or (u.read_closed if reading else u.write_closed):
            if u is not None and u.connecting == DIALLING:
                return CONNECTING
            return closed(u, b"receive" if reading else b"send", number)
        return BAD_REQUEST if u.r is not vm.r else busy(u, reading, not reading)

    def reader(number: int) -> Any:
        """The connection to read from, or why that is refused."""
        u = sockets.get(number)
        if u is not None and u.r is vm.r and not u.read_closed and not u.connecting and not vm.queued:
            peer = u.peer
            if peer is not None and peer.reader is None:
                return peer
        return socket_refused(number, True) or sockets[number].peer

    def socket_bind(protocol: bytes, address: bytes, port: float) -> bytes | None:
        """``bind``: the address with its port, if that is not 0; None if it isn't numeric."""
        if is_inet(address):
            name = address
        elif is_inet6(address):
            name = b"[%s]" % address
        else:
            return None
        assert vm.r is not None
        vm.r.log(DEBUG, b"lua %s socket bind ip: %s" % (protocol, address))
        return b"%s:%d" % (name, port) if port else name

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
            refused = busy(u, True, True)
            if refused and refused != CLOSED:
                return (refused,)
            if u.peer is not None:
                r.log(DEBUG, "lua tcp socket reconnect without shutting down")
            u.finalize()
            r.log(DEBUG, "lua reuse socket upstream ctx")
        else:
            u = CoSocket(r)
        u.key = key
        u.eof = False
        u.pool = pool = POOLS.get(key)
        if pool is not None:
            peer = pool.pop()
            if peer is not None:
                if r.loc.core.error_log.enabled(DEBUG):
                    at = id(peer), peer.sock.fileno()
                    r.log(DEBUG, b"lua tcp socket get keepalive peer: using connection %016X, fd:%d" % at)
                u.attach(peer)
                return 1, u.number
        u.connecting = RESOLVING
        return 0, u.number

    def socket_line(number: int) -> Any:
        """``receive`` of a line: the line, WAIT, why it is refused, or (None, error, what there was)."""
        peer = reader(number)
        if peer.__class__ is int:
            return peer
        line = peer.line()
        return peer.want(LINE, 0) or WAIT if line is None else line

    def socket_receive(number: int, mode: float) -> Any:
        """``receive``: ``mode`` is a size, or -2 for everything."""
        peer = reader(number)
        if peer.__class__ is int:
            return peer
        if mode == -2:
            return peer.want(ALL, 0) or WAIT
        size = int(mode)
        return peer.take(size) if peer.size >= size else peer.want(SIZE, size) or WAIT

    def socket_any(number: int, size: float) -> Any:
        """``receiveany``."""
        peer = reader(number)
        if peer.__class__ is int:
            return peer
        assert vm.r is not None
        vm.r.log(DEBUG, b"lua tcp socket calling receiveany() method to read at most %d bytes" % size)
        return peer.want(ANY, int(size)) or WAIT

    def socket_until(number: int, pattern: bytes, inclusive: bool, size: float) -> Any:
        """The iterator of ``receiveuntil``: the data and whether the pattern was reached."""
        u = sockets.get(number)
        if u is None or u.peer is None or u.read_closed:
            return CONNECTING if u is not None and u.connecting == DIALLING else CLOSED  # (nothing is logged)
        peer = reader(number)
        return peer if peer.__class__ is int else peer.want(UNTIL, int(size), pattern, inclusive) or WAIT

    def socket_send(number: int, data: bytes) -> Any:
        """``send``: the number of bytes, WAIT if the peer is slow, why it is refused, or (None, error)."""
        refused = socket_refused(number, False)
        if refused:
            return refused
        u = sockets[number]
        assert u.peer is not None
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
        refused = busy(u, True, True)
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
        if u is None or peer is None or u.read_closed or u.write_closed or peer.ended():
            return CONNECTING if u is not None and u.connecting == DIALLING else CLOSED
        if u.r is not r:
            return BAD_REQUEST
        if peer.reader is not None or peer.writer is not None or vm.queued:
            refused = busy(u, True, True)
            if refused:
                return refused
        if peer.size and not peer.fresh:
            return b"unread data in buffer"
        if peer.size:
            u.finalize()
            return b"connection in dubious state"
        if r.conn.worker.quitting:
            r.log(DEBUG, b"lua tcp socket set keepalive while process exiting, closing connection %016X" % id(peer))
            u.finalize()
            return 1
        conf = r.loc.conf["lua"]
        pool = POOLS.get(u.key)
        if pool is None:
            wanted: int = conf.socket_pool_size if size is None else int(size)
            if wanted <= 0:
                return 0
            pool = pool_for(r, u.key, wanted)
        u.peer = None
        u.read_closed = u.write_closed = True
        seconds = conf.socket_keepalive_timeout if timeout is None else max(timeout, 0) / 1000
        if r.loc.core.error_log.enabled(DEBUG):
            text = b"%d ms" % round(seconds * 1000) if seconds else b"unlimited"
            r.log(DEBUG, b"lua tcp socket keepalive timeout: " + text)
        pool.put(peer, seconds, u.pool is not None)
        return 1

    def socket_reused(number: int) -> int:
        """``getreusedtimes``; CLOSED without a connection; one that is being made has not been used again."""
        u = sockets.get(number)
        if u is None or u.peer is None or (u.read_closed and u.write_closed):
            return 0 if u is not None and u.connecting == DIALLING else CLOSED
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
            return None, reason(error)
        return 1

    def socket_fd(number: int) -> int:
        """``getfd``; CLOSED without a connection."""
        u = sockets.get(number)
        return CLOSED if u is None or u.peer is None else u.peer.sock.fileno()

    table = (
        socket_bind, socket_connect, socket_line, socket_receive, socket_any, socket_until, socket_refused,
        socket_send, socket_close, socket_keepalive, socket_reused, socket_option, socket_fd,
    )  # fmt: skip
    return {function.__name__: function for function in table}


OPERATIONS = {"connect": connect, "read": read, "sent": sent}
