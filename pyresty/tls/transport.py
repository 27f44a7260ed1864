"""TLS as a server: between the loop's transport and the connection that serves.

The one idea: to the loop's transport this is the protocol, to the connection it is the transport. OpenSSL gets nothing to
see until the ClientHello is complete: only then it is known which server is meant, and its Lua code may wait before the
handshake begins. What arrives is decrypted on the spot, what is written is encrypted on the spot.

Rules: ``ngx_http_ssl_handshake``, ``ngx_http_ssl_servername``, ``ngx_ssl_shutdown``.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..process.logs import CRIT, INFO
from ..upstream.tls_errors import failed, handshake_failed
from .hello import MOST, ClientHello, NotAHello, parse

if TYPE_CHECKING:
    from .connection import TLSConnection
    from .handshake import Handshake
    from .settings import ServerTLS

#: Bytes asked of OpenSSL at once; it gives a record (16 KB) at most.
_RECORD = 16384
_FATAL_ALERT = b"\x15\x03\x03\x00\x02\x02"  # a fatal alert in the clear
_INTERNAL_ERROR = 80

#: What becomes of a connection, in this order.
WAITING, SETTLING, SHAKING, OPEN, CLOSED = range(5)


class TLSTransport(asyncio.Protocol):
    """TLS for ``user``. ``object`` and ``hello`` are there once the ClientHello is."""

    __slots__ = (
        "_first", "_incoming", "_lower", "_outgoing", "_task", "_write_size", "handshake", "hello", "object", "state", "user",
    )  # fmt: skip

    object: ssl.SSLObject
    _lower: Any

    def __init__(self, user: TLSConnection) -> None:
        self.user = user
        self.state = WAITING
        self.hello: ClientHello | None = None
        self.handshake: Handshake | None = None  #: what Lua changes, while it may
        self._first = b""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._write_size = 0
        self._task: asyncio.Task[None] | None = None

    # -- the calls of the loop's transport

    def connection_made(self, transport: Any) -> None:
        self._lower = transport
        self.user.connection_made(self)
        if not self.user.names.tls:  # another address of the same socket, without TLS
            self._in_the_clear()

    def data_received(self, data: bytes) -> None:
        if self.state == OPEN:
            self._incoming.write(data)
            self._decrypt()
        elif self.state == WAITING:
            self._first += data
            first = self._first[0]
            if first != 22 and not first & 0x80:
                self.user.not_tls = True
                self._in_the_clear()
                return
            try:
                self.hello = parse(self._first)
            except NotAHello:
                self._settle(None)
                return
            if self.hello is not None or len(self._first) > MOST:
                self._settle(self.hello)
        elif self.state != CLOSED:
            self._incoming.write(data)
            if self.state == SHAKING:
                self._shake()
            elif self._incoming.pending > MOST:
                self._lower.pause_reading()

    def eof_received(self) -> bool:
        if self.state == OPEN:
            self._incoming.write_eof()
            self._decrypt()
            return self.state != CLOSED
        if self.state == SETTLING:  # Lua goes on to its end, as in OpenResty
            self._incoming.write_eof()
            return True
        if self.state < OPEN:
            self._log_failure(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
            self.state = CLOSED
            self.user.eof = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state in (WAITING, SHAKING) and exc is not None and isinstance(exc, OSError):
            self._log_failure(exc)
        if self.state == OPEN:  # else OpenSSL forgets the session
            with suppress(ssl.SSLError, ValueError):
                self.object.unwrap()
        self.state = CLOSED
        self.user.connection_lost(exc)

    def pause_writing(self) -> None:
        self.user.pause_writing()

    def resume_writing(self) -> None:
        self.user.resume_writing()

    # -- the handshake

    def _in_the_clear(self) -> None:
        user, lower = self.user, self._lower
        self.state = CLOSED
        user.transport = lower
        lower.set_protocol(user)
        if self._first:
            user.data_received(self._first)

    def _settle(self, hello: ClientHello | None) -> None:
        """Find out how to shake hands, which may take a while, and begin."""
        self.state = SETTLING
        first, self._first = self._first, b""
        self._incoming.write(first)
        user = self.user
        settings: ServerTLS = user.names.default.conf["ssl"].made
        if settings.client_hello is None:
            settings = user.choose_server(hello.server_name) if hello is not None and hello.server_name else settings
            if settings.certificate is None:
                self.begin(settings, settings.context)
                return
        from .handshake import Handshake

        self.handshake = Handshake(self)
        self._task = self.handshake.run(settings)

    def begin(
        self, settings: ServerTLS, context: ssl.SSLContext | None, certificate: ssl.SSLContext | None = None
    ) -> None:
        """Let OpenSSL shake hands in ``context``, one of ``settings``; ``certificate`` has another certificate."""
        if self.state != SETTLING:
            return
        assert context is not None
        self.state = SHAKING
        if self._incoming.pending > MOST:
            self._lower.resume_reading()
        self._write_size = settings.buffer_size
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        if certificate is not None:
            self.object.context = certificate
        self._shake()

    def refuse(self, message: str) -> None:
        """End the handshake: Lua has said no. The client is told ``internal_error``, as OpenSSL does then."""
        if self.state == SETTLING:
            self.user.worker.log(INFO, f"{message} while SSL handshaking", self.user)
            self.state = CLOSED
            self._lower.write(_FATAL_ALERT + bytes((_INTERNAL_ERROR,)))
            self._lower.close()

    def _shake(self) -> None:
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()
            self._log_failure(error)
            self.state = CLOSED
            self._lower.close()
            return
        self._flush()
        self.state = OPEN
        self.user.handshaked()
        self._decrypt()

    def _log_failure(self, error: OSError) -> None:
        level, text = handshake_failed(error)
        if self.state == WAITING and not self._first:
            text = "client closed connection"
        if getattr(error, "reason", "") == "CALLBACK_FAILED":
            text = "handshake rejected"  # ssl_reject_handshake has the only callback
        self.user.worker.log(level if level == CRIT else INFO, f"{text} while SSL handshaking", self.user)

    # -- data

    def _decrypt(self) -> None:
        """Hand over what has arrived. The end of the connection without TLS's own is an end like any other."""
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
            level, text = failed("SSL_read()", error)
            self.user.worker.log(level if level == CRIT else INFO, text + " while waiting for request", self.user)
            self.state = CLOSED
            self._lower.abort()
            return
        if self._outgoing.pending:
            self._flush()
        if parts:
            self.user.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if ended and self.state == OPEN and not self.user.eof and not self.user.eof_received():
            self.close()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._lower.write(data)

    # -- what the connection calls

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if self.state != OPEN:
            return
        write, size = self.object.write, self._write_size
        try:
            if len(data) <= size:
                write(data)
            else:
                rest = memoryview(data)
                for start in range(0, len(data), size):
                    write(rest[start : start + size])
        except ssl.SSLError as error:
            level, text = failed("SSL_write()", error)
            self.user.worker.log(level if level == CRIT else INFO, text, self.user)
            self.abort()
            return
        self._lower.write(self._outgoing.read())

    def write_eof(self) -> None:
        """Say goodbye, and send nothing more; what the client still sends may come."""
        if self.state == OPEN:
            self._goodbye()
            self._lower.write_eof()

    def close(self) -> None:
        """Say goodbye as TLS has it, and close when everything is sent."""
        if self.state == OPEN:
            self._goodbye()
        self.state = CLOSED
        self._lower.close()

    def abort(self) -> None:
        """Close now."""
        self.state = CLOSED
        self._lower.abort()

    def _goodbye(self) -> None:
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

    def set_write_buffer_limits(self, high: int | None = None) -> None:
        """As the transport's below."""
        self._lower.set_write_buffer_limits(high)

    def get_extra_info(self, name: str) -> Any:
        """As the transport's below."""
        return self._lower.get_extra_info(name)
