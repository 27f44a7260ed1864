"""TLS as a client, between a connection and whoever uses it.

The one idea: to the socket's transport this is the protocol, to the user it is the transport. What arrives is decrypted
on the spot and handed over in one piece; what is written is encrypted on the spot. So the users
(``http_client.UpstreamConnection``, the cosockets' ``Peer``) do not know whether there is TLS under them.

The library is Python's ``ssl`` on memory buffers, because an event loop's own ``start_tls`` can't resume a session.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tls_client import TLSClient
    from .tls_session import TLSSession

#: Bytes asked of OpenSSL at once; it gives a record (16 KB) at most.
_RECORD = 16384


class TLSTransport(asyncio.Protocol):
    """TLS for ``user``, a protocol. ``session`` and ``object`` are the handshake's, once it has begun."""

    __slots__ = (
        "_closing", "_ended", "_error", "_incoming", "_loop", "_lower", "_outgoing", "_sock", "_user", "_waiter",
        "client", "handshaked", "object",
    )  # fmt: skip

    object: ssl.SSLObject
    client: TLSClient  #: whose ``context`` it is

    def __init__(self, loop: asyncio.AbstractEventLoop, user: Any, sock: socket.socket | None = None) -> None:
        """``sock`` is the socket itself where it is known: what the kernel takes is then sent at once."""
        self._loop = loop
        self._user = user
        self._sock = sock
        self._lower: Any = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._waiter: asyncio.Future[None] | None = None
        self._error: ssl.SSLError | None = None
        self._closing = False
        self._ended = False
        self.handshaked = False

    def take_over(self, lower: Any, arrived: bytes) -> None:
        """Begin TLS on a connection that has been used in the clear; ``arrived`` is what of it has not been read."""
        self._lower = lower
        self._incoming.write(arrived)
        lower.set_protocol(self)

    async def handshake(self, client: TLSClient, server_name: str | None, session: TLSSession | None) -> None:
        """Shake hands. Raises ssl.SSLError, or another OSError where the connection has broken.

        ``session`` must be one of ``client``'s. Where the peer just closes it is ssl.SSLEOFError.
        """
        self.client = client
        self.object = client.context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        if session is not None:
            session.resume(self.object)
        self._waiter = waiter = self._loop.create_future()
        self._shake()
        try:
            await waiter
        finally:
            self._waiter = None
            del waiter  # (its exception knows this frame: no cycle is to be left)

    def expire(self) -> None:
        """The handshake has taken too long: it ends with TimeoutError."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    @property
    def abandoned(self) -> bool:
        """Whether whoever awaited the handshake has been cancelled."""
        return self._waiter is not None and self._waiter.cancelled()

    def _shake(self) -> None:
        waiter = self._waiter
        assert waiter is not None
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()
            if not waiter.done():
                waiter.set_exception(error.with_traceback(None))
            return
        self._flush()
        self.handshaked = True
        if not waiter.done():
            waiter.set_result(None)
        self._decrypt()

    # -- the calls of the socket's transport

    def connection_made(self, transport: Any) -> None:
        self._lower = transport
        self._user.connection_made(self)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self.handshaked:
            self._decrypt()
        elif self._waiter is not None:
            self._shake()

    def eof_received(self) -> bool:
        self._incoming.write_eof()
        if self.handshaked:
            self._decrypt()
            return not self._closing
        if self._waiter is not None:
            self._shake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(exc or ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
        user, self._user = self._user, None  # (no cycle is to be left for the collector)
        user.connection_lost(self._error or exc)

    def pause_writing(self) -> None:
        self._user.pause_writing()

    def resume_writing(self) -> None:
        self._user.resume_writing()

    def _decrypt(self) -> None:
        """Hand over what has arrived. The end of the connection without TLS's own is an end like any other, as for
        nginx (``SSL_OP_IGNORE_UNEXPECTED_EOF``).
        """
        read, tls, incoming = self.object.read, self.object, self._incoming
        parts: list[bytes] = []
        ended = False
        try:
            while True:
                data = read(_RECORD)
                if not data:
                    ended = True
                    break
                parts.append(data)
                if not incoming.pending and not tls.pending() and not incoming.eof:
                    break
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            ended = True
        except ssl.SSLError as error:
            self._error = error
        if self._outgoing.pending:
            self._flush()
        if parts and not self._closing:
            self._user.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if self._error is not None:
            self._closing = True
            self._lower.abort()
        elif ended and not self._ended:
            self._ended = True
            if not self._closing and not self._user.eof_received():
                self.close()

    def _flush(self) -> None:
        """Send what OpenSSL has written."""
        data = self._outgoing.read()
        if not data or self._lower is None:
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

    # -- what a user calls

    def write(self, data: bytes) -> None:
        """Encrypt and send. What can't be encrypted any more is dropped: then the connection is lost, too."""
        if self._closing:
            return
        write = self.object.write
        try:
            count = write(data)
            if count < len(data):
                rest = memoryview(data)
                while count < len(data):
                    count += write(rest[count:])
        except ssl.SSLError as error:
            self._error = error
            self._closing = True
            self._lower.abort()
            return
        self._flush()

    def close(self) -> None:
        """Say goodbye as TLS has it, and close when everything is sent."""
        if not self._closing:
            self._closing = True
            self._goodbye()
        self._lower.close()

    def abort(self) -> None:
        """Close now; goodbye is said only if it won't have to wait."""
        if not self._closing and not self._lower.get_write_buffer_size():
            self.close()
        else:
            self._closing = True
            self._lower.abort()

    def _goodbye(self) -> None:
        if self.handshaked:
            with suppress(ssl.SSLError, ValueError):
                self.object.unwrap()
            self._flush()

    def pause_reading(self) -> None:
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        self._lower.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes, encrypted, that the kernel has not taken yet."""
        size: int = self._lower.get_write_buffer_size()
        return size

    def set_write_buffer_limits(self, high: int) -> None:
        """As the transport's below."""
        self._lower.set_write_buffer_limits(high)

    def get_extra_info(self, name: str) -> Any:
        """As the transport's below."""
        return self._lower.get_extra_info(name)
