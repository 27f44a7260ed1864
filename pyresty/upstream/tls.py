"""TLS as a client, between a connection and whoever uses it (``http_client.UpstreamConnection``, a cosocket's ``Peer``).

The one idea: the handshake is awaited, all the rest is as with a connection in the clear. The loop's own ``start_tls``
won't do, because it can't resume a session.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

from ..tls import openssl
from ..tls.records import CLOSED, OPEN, SHAKING, TLSRecords

if TYPE_CHECKING:
    from .tls_client import TLSClient
    from .tls_session import TLSSession


class TLSTransport(TLSRecords):
    """``client`` is there once the handshake has begun; ``handshaked`` says whether it has gone well."""

    __slots__ = ("_error", "_loop", "_sock", "_waiter", "client", "handshaked")

    client: TLSClient  #: whose ``context`` it is

    def __init__(self, loop: asyncio.AbstractEventLoop, user: Any, sock: socket.socket | None = None) -> None:
        """``sock`` is the socket itself where it is known: what the kernel takes is then sent at once."""
        super().__init__(user, SHAKING)
        self._loop = loop
        self._sock = sock
        self._waiter: asyncio.Future[None] | None = None
        self._error: ssl.SSLError | None = None
        self.handshaked = False

    def take_over(self, lower: Any, arrived: bytes) -> None:
        """Begin TLS on a connection that has been used in the clear; ``arrived`` is what of it has not been read."""
        self._lower = lower
        self._incoming.write(arrived)
        lower.set_protocol(self)

    # -- the handshake

    async def handshake(
        self, client: TLSClient, server_name: str | None, session: TLSSession | None, store: int = 0
    ) -> None:
        """Shake hands. Raises ssl.SSLError, or another OSError where the connection has broken.

        ``session`` must be one of ``client``'s; ``store`` is OpenSSL's ``X509_STORE *`` if it has to be another than the
        client's. Where the peer just closes it is ssl.SSLEOFError.
        """
        self.client = client
        self.object = client.context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        if session is not None:
            session.resume(self.object)
        if store:
            openssl.trust_store(self.object, store)
        self._waiter = waiter = self._loop.create_future()
        self._shake()
        try:
            await waiter
        finally:
            self._waiter = None
            del waiter  # (its exception knows this frame: no cycle is to be left)

    def expire(self) -> None:
        """The handshake has taken too long: it ends with TimeoutError."""
        self._over(TimeoutError())

    @property
    def abandoned(self) -> bool:
        """Whether whoever awaited the handshake has been cancelled."""
        return self._waiter is not None and self._waiter.cancelled()

    def _shaken(self, error: ssl.SSLError | None) -> None:
        self.handshaked = error is None
        self._over(error)

    def _over(self, error: Exception | None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    # -- the calls of the socket's transport

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self.state == OPEN:
            self._decrypt()
        elif self._waiter is not None:
            self._shake()

    def eof_received(self) -> bool:
        self._incoming.write_eof()
        if self.state == OPEN:
            self._decrypt()
        elif self._waiter is not None:
            self._shake()
        return self.state != CLOSED

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(exc or ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
        super().connection_lost(self._error or exc)

    def _broken(self, call: str, error: ssl.SSLError) -> None:
        self._error = error
        super().abort()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if not data:
            return
        sock = self._sock
        if sock is not None and not self._lower.get_write_buffer_size():
            try:
                count = sock.send(data)
            except BlockingIOError:
                count = 0
            except OSError:
                return  # the transport sees it too, and says so
            if count == len(data):
                return
            data = data[count:]
        self._lower.write(data)

    def abort(self) -> None:
        """Close now; goodbye is said only if it won't have to wait."""
        if self.state == OPEN and not self._lower.get_write_buffer_size():
            self.close()
        else:
            super().abort()
