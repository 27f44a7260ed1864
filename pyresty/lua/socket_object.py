"""What a socket object of Lua stands for: OpenResty's ``u`` (``ngx_http_lua_socket_tcp_upstream_t``), known to Lua by
a number.

It belongs to the request that first connected it, and at that request's end its connection is closed and its number
forgotten.
"""

from __future__ import annotations

import ssl
from typing import Protocol, TypeVar

from ..http.request import Request
from ..process.logs import DEBUG, ERR
from ..upstream import tls_errors
from .cosocket import ALL, Peer
from .socket_pool import Pool
from .strerror import failed, lua_text

#: What a call answers instead of data: why it is refused (the same numbers are in runtime/socket_io.lua), or that it has
#: to wait.
CLOSED, BAD_REQUEST, CONNECTING, READING, WRITING, WAIT, BUSY = -1, -2, -3, -4, -5, -6, -7

#: How far a connect is.
IDLE, RESOLVING, DIALLING = range(3)


class Owned(Protocol):
    """What a request owns."""

    number: int

    def finalize(self) -> None: ...


T = TypeVar("T", bound=Owned)


class Sockets(dict[int, T]):
    """The sockets of a kind by number, each to be closed and forgotten at the end of its request."""

    def __init__(self) -> None:
        super().__init__()
        self._last = 0
        self._by_request: dict[Request, list[T]] = {}

    def add(self, r: Request, u: T) -> int:
        """The number of a new socket of ``r``'s."""
        self._last += 1
        self[self._last] = u
        mine = self._by_request.get(r.main)
        if mine is None:
            mine = self._by_request[r.main] = []
            r.main.at_end(self.close_all)
        mine.append(u)
        return self._last

    def close_all(self, r: Request) -> None:
        """The request has ended: close what it left open."""
        for u in self._by_request.pop(r):
            del self[u.number]
            u.finalize()


class CoSocket:
    """What a socket object stands for, from its first ``connect`` to the end of the request."""

    __slots__ = ("connecting", "eof", "key", "number", "peer", "pool", "r", "read_closed", "write_closed")

    def __init__(self, r: Request) -> None:
        self.number = sockets.add(r, self)
        self.r = r
        self.peer: Peer | None = None
        self.pool: Pool | None = None
        self.key = b""
        self.connecting = IDLE
        self.read_closed = self.write_closed = self.eof = False

    # -- what the connection calls

    def read_timed_out(self) -> None:
        """A read had to wait too long; the connection stays as it is."""
        self.log(b"lua tcp socket read timed out")

    def read_failed(self, error: OSError | None) -> bytes:
        """No more can be read; the text for Lua."""
        self.read_closed = True
        if error is None:
            self.eof = True
            return b"closed"
        return self._failed(b"recv()", "SSL_read()", error)

    def send_failed(self, error: OSError) -> bytes:
        """No more can be sent; the text for Lua."""
        self.write_closed = True
        return self._failed(b"send()", "SSL_write()", error)

    def _failed(self, call: bytes, tls_call: str, error: OSError) -> bytes:
        if isinstance(error, ssl.SSLError):
            level, text = tls_errors.failed(tls_call, error)
            self.r.log(level, text.encode() + self.where_reused())
            return b"error"
        self.r.log(ERR, failed(call, error) + self.where_reused())
        return lua_text(error)

    # -- state

    def attach(self, peer: Peer) -> None:
        """From now on this connection is the socket's."""
        self.read_closed = self.write_closed = self.eof = False
        peer.owner = self
        self.peer = peer

    def finalize(self) -> None:
        """Close the connection if there is one. nginx: ``ngx_http_lua_socket_tcp_finalize``."""
        peer, self.peer = self.peer, None
        self.read_closed = self.write_closed = True
        if peer is not None:
            self.eof = self.eof or (peer.eof and peer.kind == ALL and not peer.size)
            peer.close()
            if self.pool is not None:
                self.pool.leave()

    def busy(self, reading: bool, writing: bool) -> int:
        """Which light thread uses the socket already; 0 for none. One that was killed has left it closed."""
        peer = self.peer
        if self.connecting == DIALLING:
            if peer is None or peer.tls is None or not peer.tls.abandoned:
                return CONNECTING
            self.connecting = IDLE
            self.finalize()
            return CLOSED
        if peer is not None:
            reader, writer = peer.reader, peer.writer
            if (reader is not None and reader.cancelled()) or (writer is not None and writer.cancelled()):
                self.finalize()
                return CLOSED
            if reading and reader is not None:
                return READING
            if writing and writer is not None:
                return WRITING
        return 0

    # -- the error log

    def where(self) -> bytes:
        """Context of log lines: the peer. nginx: ``ngx_http_lua_socket_tcp_log_error``."""
        return b", upstream: " + self.peer.where if self.peer is not None else b""

    def where_reused(self) -> bytes:
        """The same in lines that are nginx's own: there only for connections out of a pool."""
        return self.where() if self.peer is not None and self.peer.reused else b""

    def log(self, text: bytes, where: bytes | None = None) -> None:
        """Log an error unless ``lua_socket_log_errors`` is off."""
        if self.r.loc.conf["lua"].socket_log_errors:
            self.r.log(ERR, text + (self.where() if where is None else where))


sockets: Sockets[CoSocket] = Sockets()


def time_for(r: Request, what: bytes, timeout: float, configured: float) -> float:
    """The seconds that an operation has: ``timeout``, which Lua has set in milliseconds, or, where that is 0, what is
    configured.
    """
    seconds = timeout / 1000 if timeout > 0 else configured
    if r.loc.core.error_log.enabled(DEBUG):
        r.log(DEBUG, b"lua %s timeout: %d" % (what, round(seconds * 1000)))
    return seconds
