"""A UDP socket of Lua: a connected, non-blocking socket that the event loop watches only while somebody waits for a datagram.

It belongs to the request that made it, and is closed at that request's end.
Behaviour: https://github.com/openresty/lua-nginx-module#ngxsocketudp
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

from ..http.request import Request
from ..process.logs import CRIT, ERR
from ..upstream.address import Address, parse_url
from .cosocket import Answer
from .socket_connect import Target, find_address, host_of
from .socket_object import Sockets, time_for
from .strerror import failed, lua_text
from .wait import wake, within


class UdpSocket:
    """What a UDP object of Lua stands for, from its first ``setpeername`` to the end of the request."""

    __slots__ = ("number", "r", "reader", "resolving", "sock", "where")

    def __init__(self, r: Request) -> None:
        self.number = udp_sockets.add(r, self)
        self.r = r
        self.sock: socket.socket | None = None
        self.reader: asyncio.Future[bool] | None = None  #: a light thread waits for a datagram
        self.resolving = False
        self.where = b""  #: ``, upstream: HOST:PORT(ADDRESS)``, for the error log

    def open(self, target: Target, address: Address) -> Answer:
        """Make the socket and set its peer: (1,), or None and the error."""
        r = self.r
        family, sockaddr, name = address
        is_unix = family == socket.AF_UNIX
        port = b":%d" % target.port if target.port else b""
        self.where = b", upstream: %s%s(%s)" % (target.host, port, name if is_unix else host_of(name))
        sock = socket.socket(family, socket.SOCK_DGRAM)
        call = b"bind()"
        try:
            sock.setblocking(False)
            if is_unix:
                sock.bind("")  # the kernel finds an abstract name, so that the peer can answer
            elif target.local is not None:
                local = parse_url(target.local, 0, False).address
                assert local is not None
                call = b"bind(%s)" % host_of(local.name)
                sock.bind(local.sockaddr)
            call = b"connect()"
            sock.connect(sockaddr)
        except OSError as error:
            sock.close()
            r.log(CRIT, failed(call, error) + self.where)
            return None, lua_text(error)
        self.sock = sock
        return (1,)

    def send(self, data: bytes) -> Answer:
        """Send one datagram: (1,), or None and the error."""
        assert self.sock is not None
        try:
            count = self.sock.send(data)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self.r.log(ERR, failed(b"send()", error) + self.where)
            return None, lua_text(error)
        return (1,) if count == len(data) else (None, b"partial write")

    def receive(self, size: int) -> Answer | None:
        """The next datagram, cut to ``size`` bytes; None if none is here; or None and the error."""
        assert self.sock is not None
        try:
            return (self.sock.recv(size),)
        except BlockingIOError:
            return None
        except OSError as error:
            self.r.log(ERR, failed(b"recv()", error) + self.where)
            return None, lua_text(error)

    async def wait(self, size: int, seconds: float) -> Answer:
        """Wait for a datagram, at most ``seconds``: as ``receive``."""
        sock = self.sock
        assert sock is not None
        loop = self.r.conn.loop
        end = loop.time() + seconds
        self.reader = ready = loop.create_future()
        loop.add_reader(sock, wake, ready)
        try:
            while await within(ready, end - loop.time()):
                answer = self.receive(size)
                if answer is not None:
                    return answer
                self.reader = ready = loop.create_future()
                loop.add_reader(sock, wake, ready)
        finally:
            if sock.fileno() >= 0:
                loop.remove_reader(sock)
            if self.reader is ready:
                self.reader = None
                if ready.cancelled():
                    self.finalize()
        if self.r.loc.conf["lua"].socket_log_errors:
            self.r.log(ERR, b"lua udp socket read timed out" + self.where)
        return None, b"timeout"

    @property
    def busy(self) -> bool:
        """Whether a light thread uses it. One that was killed has left it closed."""
        if self.reader is not None and self.reader.cancelled():
            self.finalize()
        return self.reader is not None or self.resolving

    def finalize(self) -> None:
        """Close the socket if it is open."""
        sock, self.sock = self.sock, None
        if sock is not None:
            if self.reader is not None:
                self.r.conn.loop.remove_reader(sock)
                self.reader = None
            sock.close()


udp_sockets: Sockets[UdpSocket] = Sockets()


async def connect(r: Request, number: float, host: bytes, port: float, local: bytes | None) -> Answer:
    """``setpeername``: (1,), or None and an error. Waits only where a name has to be looked up."""
    u = udp_sockets[int(number)]
    target = Target(host, int(port), local)
    u.resolving = True
    try:
        address = await find_address(r, target)
    finally:
        u.resolving = False
    if u.number not in udp_sockets:
        return None, b"closed"
    return (None, address) if isinstance(address, bytes) else u.open(target, address)


def read(r: Request, number: float, size: float, timeout: float) -> Coroutine[Any, Any, Answer]:
    """Wait for a datagram. ``timeout`` in milliseconds, 0 for ``lua_socket_read_timeout``."""
    seconds = time_for(r, b"udp socket read", timeout, r.loc.conf["lua"].socket_read_timeout)
    return udp_sockets[int(number)].wait(int(size), seconds)
