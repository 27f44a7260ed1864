"""Connections to upstream servers that wait for their next request.

The one idea: the connection used last is used first, so that the rest can time out; and when there are too many, the
one that has waited longest is closed. Each worker has its own.

https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive. Since 1.29.7 it is on by default, with 32
connections for each location; here also where ``proxy_pass`` names a server instead of an ``upstream``.
"""

from __future__ import annotations

from typing import Protocol

#: nginx's defaults: connections, requests on one, seconds since it was made, seconds idle.
SIZE, REQUESTS, TIME, TIMEOUT = 32, 1000, 3600.0, 60.0


class Kept(Protocol):
    """What the pool holds."""

    pool: KeepalivePool | None
    key: bytes

    def close(self) -> None: ...


class KeepalivePool:
    """Idle connections by the name of the peer; ``requests``, ``time`` and ``timeout`` are for them to obey."""

    __slots__ = ("_idle", "_order", "requests", "size", "time", "timeout")

    def __init__(
        self, size: int = SIZE, requests: int = REQUESTS, time: float = TIME, timeout: float = TIMEOUT
    ) -> None:
        self.size = size
        self.requests = requests
        self.time = time
        self.timeout = timeout
        self._idle: dict[bytes, list[Kept]] = {}
        self._order: dict[Kept, None] = {}

    def __len__(self) -> int:
        return len(self._order)

    def get(self, key: bytes) -> Kept | None:
        """Take out the connection to ``key`` that was put in last; None if there is none."""
        idle = self._idle.get(key)
        if not idle:
            return None
        connection = idle.pop()
        if not idle:
            del self._idle[key]
        del self._order[connection]
        connection.pool = None
        return connection

    def put(self, connection: Kept) -> None:
        """Keep an idle connection, at the price of closing the oldest if there are too many."""
        connection.pool = self
        self._order[connection] = None
        idle = self._idle.get(connection.key)
        if idle is None:
            self._idle[connection.key] = [connection]
        else:
            idle.append(connection)
        if len(self._order) > self.size:
            oldest = next(iter(self._order))
            self.remove(oldest)
            oldest.close()

    def remove(self, connection: Kept) -> None:
        """Forget a connection that is in the pool."""
        connection.pool = None
        del self._order[connection]
        idle = self._idle[connection.key]
        idle.remove(connection)
        if not idle:
            del self._idle[connection.key]

    def close(self) -> None:
        """Close all."""
        for connection in list(self._order):
            self.remove(connection)
            connection.close()
