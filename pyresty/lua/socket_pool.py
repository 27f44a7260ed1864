"""Pools of idle connections, per worker and by name, as https://github.com/openresty/lua-nginx-module#tcpsockconnect
describes them.

A pool counts the connections that belong to it, idle or in use, and with a backlog the connects that wait for their
turn too. It is there as long as that count is not zero, and its size is the one it was made with.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ..process.logs import DEBUG
from .cosocket import NEVER, Peer
from .wait import within

if TYPE_CHECKING:
    from ..http.request import Request
    from ..process.logs import ErrorLog


class Pool:
    """The connections of one name. ``backlog`` is -1 where the number of open connections has no limit."""

    __slots__ = ("_log", "_waiting", "backlog", "connections", "idle", "name", "size")

    def __init__(self, name: bytes, size: int, backlog: int, log: ErrorLog) -> None:
        self._log = log
        self.name = name
        self.size = size
        self.backlog = backlog
        self.connections = 0
        self.idle: deque[Peer] = deque()
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def pop(self) -> Peer | None:
        """The idle connection that was used last."""
        if not self.idle:
            return None
        peer = self.idle.pop()
        peer.keeper = None
        peer.deadline = NEVER
        peer.reused += 1
        return peer

    def enter(self) -> bool:
        """Count a connect; False if too many wait already."""
        if 0 <= self.backlog <= self.connections - self.size:
            return False
        self.connections += 1
        return True

    def leave(self) -> None:
        """A connection has ended, or a connect has failed or waited in vain: another may have its turn."""
        self.connections -= 1
        if self.connections == 0:
            if POOLS.get(self.name) is self:
                del POOLS[self.name]
                self._debug(b'lua tcp socket keepalive: free connection pool for "%s"' % self.name)
        else:
            self.next()

    @property
    def full(self) -> bool:
        """Whether a connect that has entered has to wait for its turn."""
        return self.backlog >= 0 and self.connections > self.size

    async def turn(self, timeout: float) -> bool:
        """Wait for the turn; False after ``timeout`` seconds."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await within(waiter, timeout)
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def next(self) -> None:
        """Give the turn to the connect that has waited longest, if one more connection may be in use."""
        while self._waiting and self.connections - len(self._waiting) - len(self.idle) < self.size:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return

    def put(self, peer: Peer, timeout: float, counted: bool) -> None:
        """Keep a connection for ``timeout`` seconds (0: for ever). ``counted`` says that it belongs to this pool
        already."""
        if len(self.idle) >= self.size:
            oldest = self.idle.popleft()
            oldest.keeper = None
            oldest.close()
            if counted:
                self.connections -= 1
        elif not counted:
            self.connections += 1
        peer.owner = None
        peer.keeper = self
        self.idle.append(peer)
        if timeout:
            peer.watch(timeout)
        self.next()

    def disturbed(self, peer: Peer) -> None:
        """Close an idle connection: bytes or its end have come, or its time is over."""
        if not (peer.size or peer.eof):
            self._debug(b"lua tcp socket keepalive max idle timeout")
        self._debug(b"lua tcp socket keepalive close handler: fd:%d" % peer.sock.fileno())
        self.idle.remove(peer)
        peer.keeper = None
        peer.close()
        self.leave()

    def _debug(self, text: bytes) -> None:
        if self._log.enabled(DEBUG):
            self._log.write(DEBUG, text)


#: This worker's pools by name.
POOLS: dict[bytes, Pool] = {}


def pool_for(r: Request, name: bytes, size: int, backlog: int = -1) -> Pool:
    """The pool called ``name``, made with ``size`` and ``backlog`` if there is none."""
    pool = POOLS.get(name)
    if pool is None:
        r.log(DEBUG, b"lua tcp socket connection pool size: %d, backlog: %d" % (size, backlog))
        r.log(DEBUG, b'lua tcp socket keepalive create connection pool for key "%s"' % name)
        pool = POOLS[name] = Pool(name, size, backlog, r.server.config.error_log)
    return pool
