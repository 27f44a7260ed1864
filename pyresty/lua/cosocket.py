"""A TCP or unix connection for Lua: bytes gather in a buffer, and at most one reader and one writer wait for it.

The pool of idle connections is per worker and by name, as in OpenResty.
https://github.com/openresty/lua-nginx-module#ngxsockettcp
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..http.request import Request

#: Bytes that may wait for a reader before the peer is told to pause.
HIGH_WATER = 262144


class CoSocket(asyncio.Protocol):
    """One connection. ``error`` is set once it can't be used any more: ``closed``, ``timeout``, or the system's text."""

    __slots__ = (
        "buffer", "eof", "error", "idle_timer", "key", "loop", "number", "owner", "paused", "read_paused", "reader", "reused",
        "transport", "until", "write_paused", "writer",
    )  # fmt: skip

    transport: Any

    def __init__(self, loop: asyncio.AbstractEventLoop, key: bytes) -> None:
        self.loop = loop
        self.key = key
        self.number = 0
        self.owner: Request | None = None
        self.buffer = bytearray()
        self.eof = False
        self.error: bytes | None = None
        self.reader: asyncio.Future[bool] | None = None
        self.writer: asyncio.Future[bool] | None = None
        self.write_paused = False
        self.read_paused = False
        self.reused = 0
        self.until: dict[int, list[Any]] | None = None
        self.idle_timer: asyncio.TimerHandle | None = None

    # -- the transport's calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.reader is not None:
            self._wake(self.reader)
        elif self.owner is None:
            self.close()  # an idle connection has nothing to say
        elif len(self.buffer) > HIGH_WATER and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.eof = True
        if self.reader is not None:
            self._wake(self.reader)
        if self.owner is None:
            self.close()
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof = True
        if self.error is None:
            self.error = b"closed" if exc is None else os_text(exc)
        if self.reader is not None:
            self._wake(self.reader)
        if self.writer is not None:
            self._wake(self.writer)
        if self.owner is None:
            self.close()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.writer is not None:
            self._wake(self.writer)

    @staticmethod
    def _wake(waiter: asyncio.Future[bool]) -> None:
        if not waiter.done():
            waiter.set_result(True)

    # -- waiting

    async def more(self, timeout: float) -> bool:
        """Wait until more bytes, the end or an error has come; False after ``timeout`` seconds."""
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.reader = waiter = self.loop.create_future()
        timer = self.loop.call_later(timeout, self._expire, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            self.reader = None

    async def drained(self, timeout: float) -> bool:
        """Wait until the peer has taken what was sent; False after ``timeout`` seconds."""
        self.writer = waiter = self.loop.create_future()
        timer = self.loop.call_later(timeout, self._expire, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            self.writer = None

    @staticmethod
    def _expire(waiter: asyncio.Future[bool]) -> None:
        if not waiter.done():
            waiter.set_result(False)

    # -- taking bytes out

    def take(self, count: int) -> bytes:
        """The first ``count`` bytes of the buffer."""
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def take_all(self) -> bytes:
        """What is in the buffer."""
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def close(self) -> None:
        """Close the connection and leave the pool."""
        if self.error is None:
            self.error = b"closed"
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None
            POOLS.remove(self)
        self.transport.close()


class Pools:
    """The idle connections of this worker, by pool name."""

    def __init__(self) -> None:
        self._pools: dict[bytes, deque[CoSocket]] = {}
        self._sizes: dict[bytes, int] = {}

    def get(self, key: bytes) -> CoSocket | None:
        """An idle connection of the pool, the one used last."""
        pool = self._pools.get(key)
        while pool:
            socket = pool.pop()
            if socket.idle_timer is not None:
                socket.idle_timer.cancel()
                socket.idle_timer = None
            if socket.error is None and not socket.eof and not socket.transport.is_closing():
                socket.reused += 1
                return socket
            socket.transport.close()
        return None

    def put(self, socket: CoSocket, timeout: float, size: int) -> None:
        """Keep a connection for ``timeout`` seconds (0: for ever); beyond ``size`` connections the one unused longest is closed."""
        key = socket.key
        size = self._sizes.setdefault(key, size)
        pool = self._pools.setdefault(key, deque())
        while len(pool) >= size:
            oldest = pool.popleft()
            if oldest.idle_timer is not None:
                oldest.idle_timer.cancel()
                oldest.idle_timer = None
            oldest.transport.close()
        socket.owner = None
        socket.until = None
        socket.idle_timer = socket.loop.call_later(timeout or 365 * 86400.0, socket.close)
        pool.append(socket)

    def remove(self, socket: CoSocket) -> None:
        """Forget a connection that has closed."""
        pool = self._pools.get(socket.key)
        if pool is not None:
            try:
                pool.remove(socket)
            except ValueError:
                return
            if not pool:
                del self._pools[socket.key]
                self._sizes.pop(socket.key, None)

    def count(self) -> int:
        """How many connections are idle, for the tests that look for leaks."""
        return sum(map(len, self._pools.values()))


POOLS = Pools()

_TEXTS = {
    32: b"broken pipe",
    99: b"cannot assign requested address",
    101: b"network is unreachable",
    104: b"connection reset by peer",
    110: b"timeout",
    111: b"connection refused",
    113: b"no route to host",
    2: b"no such file or directory",
    13: b"permission denied",
}


def os_text(error: BaseException) -> bytes:
    """The error text that Lua sees: nginx's ``ngx_strerror`` in lower case."""
    number = getattr(error, "errno", None)
    if number in _TEXTS:
        return _TEXTS[number]
    text = getattr(error, "strerror", None) or str(error) or "closed"
    return text.lower().encode()
