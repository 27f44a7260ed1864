"""The serving part of a worker process: accepts on the sockets that the master bound, and ends gracefully or at once.

Everything that connections share within a worker is here: the loop, the wheel of timeouts, the remembered heads of each address.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from ..process.logs import ERR
from .connection import Connection
from .timeouts import Wheel

if TYPE_CHECKING:
    from ..config.build import AddressConfig, Config, Listen
    from .codec import Head

#: Heads remembered for each address, in each of two generations.
KEPT_HEADS = 512


class Address:
    """A listening address in this worker, and the recent heads that came in on it.

    ``heads`` and ``older`` are two generations: when the first is full it becomes the second, so that what is in use survives and the
    rest is dropped, at no cost for a hit.
    """

    __slots__ = ("by_local", "heads", "kept", "names", "older", "port", "text", "tls")

    def __init__(self, config: AddressConfig, kept: int) -> None:
        self.names = config.names
        self.by_local = config.by_local
        self.tls = config.names.tls or any(names.tls for names in config.by_local.values())
        self.port = config.port
        self.text = config.listen.text
        self.heads: dict[bytes, Head] = {}
        self.older: dict[bytes, Head] = {}
        self.kept = kept


class HttpWorker:
    """Serves one compiled configuration on one event loop."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.loop = loop
        self.wheel = Wheel(loop)
        self.connections: set[Connection] = set()
        self.accepted = 0
        self.quitting = False
        self.held = 0  #: what a graceful end waits for beside connections: Lua timers that run
        self._number = 0
        self._servers: list[asyncio.AbstractServer] = []
        self._empty: asyncio.Future[None] | None = None

    def next_number(self) -> int:
        """The next connection's number, as it stands in log lines (``*1``)."""
        self._number += 1
        return self._number

    async def start(self, sockets: dict[Listen, list[socket.socket]], worker_id: int) -> None:
        """Run ``init_worker`` handlers and begin to accept on ``sockets``."""
        self.config.worker = self
        self.config.worker_id = worker_id
        for hook in self.config.worker_start:
            await hook(self)
        kept = KEPT_HEADS if self.config.options.remember_heads else 0
        for listen, socks in sockets.items():
            address = Address(self.config.addresses[listen], kept)
            accept: Any = Connection
            if address.tls:
                from ..tls.connection import accept
            for sock in socks:

                def make(address: Address = address, accept: Any = accept) -> Any:
                    return accept(self, address)

                if sock.family == socket.AF_UNIX:
                    server: Any = await self.loop.create_unix_server(make, sock=sock, backlog=listen.backlog)
                else:
                    server = await self.loop.create_server(make, sock=sock, backlog=listen.backlog)
                self._servers.append(server)

    async def quit(self, timeout: float | None) -> None:
        """Stop accepting, let requests finish (at most ``timeout`` seconds), close idle connections; returns when all are closed."""
        self.quitting = True
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)  # connections accepted in this turn of the loop are made known in the next
        for connection in list(self.connections):
            connection.close_idle()
        for on_quit in self.config.worker_quit:
            on_quit()
        if self.connections or self.held:
            self._empty = self.loop.create_future()
            try:
                await asyncio.wait_for(self._empty, timeout)
            except asyncio.TimeoutError:
                for connection in list(self.connections):
                    connection.transport.abort()
        for hook in self.config.worker_exit:
            await hook(self)
        self._end()

    def check_empty(self) -> None:
        """Called when a connection has closed, or something else has ended, while quitting."""
        if not self.connections and not self.held and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def stop(self) -> None:
        """Close everything at once."""
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        self._end()

    def _end(self) -> None:
        for on_end in self.config.worker_end:
            on_end()

    def log(self, level: int, message: str, connection: Connection) -> None:
        """Write what belongs to no request to the connection's error log, with its number and client."""
        log = connection.error_log
        if log.enabled(level):
            message += f", client: {connection.remote_addr.decode()}, server: {connection.address.text}"
            log.write(level, message, connection.number)


__all__ = ["ERR", "Address", "HttpWorker"]
