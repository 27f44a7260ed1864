"""TLS as a server: between the loop's transport and the connection that serves.

The one idea: OpenSSL gets nothing to see until the ClientHello is complete: only then it is known which server is meant,
and its Lua code may wait before the handshake begins.

Rules: ``ngx_http_ssl_handshake``, ``ngx_http_ssl_servername``, ``ngx_ssl_shutdown``.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from ..process.logs import CRIT, INFO
from ..upstream.tls_errors import failed, handshake_failed
from .hello import MOST, ClientHello, NotAHello, parse
from .records import CLOSED, OPEN, SETTLING, SHAKING, WAITING, TLSRecords
from .sessions import exchange

if TYPE_CHECKING:
    from .connection import TLSConnection
    from .handshake import Handshake
    from .settings import ServerTLS

#: A fatal alert in the clear: ``internal_error``.
_INTERNAL_ERROR = b"\x15\x03\x03\x00\x02\x02\x50"


class TLSTransport(TLSRecords):
    """TLS for ``user``. ``hello`` is there once the ClientHello is, if that is one."""

    __slots__ = ("_first", "_settings", "_task", "handshake", "hello")

    user: TLSConnection
    _settings: ServerTLS

    def __init__(self, user: TLSConnection) -> None:
        super().__init__(user, WAITING)
        self.hello: ClientHello | None = None
        self.handshake: Handshake | None = None  #: what Lua changes, while it may
        self._first = b""
        self._task: asyncio.Task[None] | None = None

    # -- the calls of the loop's transport

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
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
        if self.state in (WAITING, SHAKING) and isinstance(exc, OSError):
            self._log_failure(exc)
        super().connection_lost(exc)

    # -- the handshake

    def _in_the_clear(self) -> None:
        user, lower = self.user, self._lower
        self.state = CLOSED
        user.tls, user.transport = None, lower
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
            if settings.certificate is None and settings.session_fetch is None:
                self.begin(settings, settings.context)
                return
        from .handshake import Handshake

        self._task = Handshake(self).run(settings)

    def begin(
        self,
        settings: ServerTLS,
        context: ssl.SSLContext | None,
        certificate: ssl.SSLContext | None = None,
        session: bytes = b"",
    ) -> None:
        """Let OpenSSL shake hands in ``context``, one of ``settings``; ``certificate`` has another certificate, and
        ``session`` may be resumed.
        """
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
        self._settings = settings
        exchange.offered = session
        self._shake()
        exchange.offered = b""

    def refuse(self, message: str) -> None:
        """End the handshake: Lua has said no. The client is told ``internal_error``, as OpenSSL does then."""
        if self.state == SETTLING:
            self.user.worker.log(INFO, f"{message} while SSL handshaking", self.user)
            self._lower.write(_INTERNAL_ERROR)
            self.close()

    def _shaken(self, error: ssl.SSLError | None) -> None:
        made, exchange.made = exchange.made, None
        if error is None:
            if made is not None and self._settings.session_store is not None:
                from .handshake import Handshake

                Handshake(self).store(self._settings, *made)
            self.user.handshaked()
        else:
            self._log_failure(error)
            self.close()

    def _log_failure(self, error: OSError) -> None:
        level, text = handshake_failed(error)
        if self.state == WAITING and not self._first:
            text = "client closed connection"
        if getattr(error, "reason", "") == "CALLBACK_FAILED":
            text = "handshake rejected"  # ssl_reject_handshake has the only callback
        self.user.worker.log(level if level == CRIT else INFO, f"{text} while SSL handshaking", self.user)

    def _broken(self, call: str, error: ssl.SSLError) -> None:
        level, text = failed(call, error)
        level = level if level == CRIT else INFO
        user = self.user
        if user.r is not None:
            user.r.log(level, text)
        else:
            doing = "keepalive" if user.requests else "waiting for request"
            user.worker.log(level, f"{text} while {doing}", user)
        self.abort()
