"""What Lua may change before a handshake: certificates, protocols, whether the client has to show a certificate, the
session to be resumed; and after it, storing the session.

The one idea: Lua's wishes are gathered here, before OpenSSL has seen anything, and then become one or two contexts: that of
the server, which keeps the keys of session tickets, and, for other certificates, one that only lends them
(``SSLObject.context``, which is OpenSSL's ``SSL_set_SSL_CTX``).

Rules: ``ngx_http_lua_ssl_cert_handler``, ``ngx_http_lua_ssl_client_hello_handler``.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from ..http.codec.head import empty_head
from ..http.phases import begin
from ..http.request import Request
from ..process.cycle import describe
from ..process.logs import CRIT, DEBUG, ERR
from .context import TLSError
from .hello import VERSIONS
from .sessions import is_fresh

if TYPE_CHECKING:
    from ..http.routing import Location
    from .connection import TLSConnection
    from .settings import ServerTLS, Verify
    from .transport import TLSTransport

#: What OpenSSL says where a callback of ours says no.
CALLBACK_FAILED = "SSL_do_handshake() failed (SSL: error:0A0000EA:SSL routines::callback failed)"
CERT_CB_ERROR = "SSL_do_handshake() failed (SSL: error:0A000179:SSL routines::cert cb error)"


class HandshakeRequest(Request):
    """The request that stands for a handshake while Lua runs: it has no head and no answer."""

    conn: TLSConnection

    def __init__(self, handshake: Handshake, loc: Location, context: bytes) -> None:
        head = empty_head(b"")
        head.server = loc.server
        super().__init__(handshake.user, head, 0.0)
        self.loc = loc
        self.handshake = handshake
        self.context = context
        self.lua = handshake.ctx

    def end(self) -> None:
        """The code has ended: what it has left in ``ngx.ctx`` is there for the handshake's next."""
        self.handshake.ctx = self.lua
        for cleanup in self.cleanups or ():
            cleanup(self)

    def log_context(self) -> bytes:
        """``, context: ssl_certificate_by_lua*, client: …, server: …``."""
        conn = self.conn
        return b"%s, context: %s, client: %s, server: %s" % (
            self.action, self.context, conn.remote_addr, conn.address.text.encode(),
        )  # fmt: skip

    def emit_header(self) -> None:
        """There is nobody to send it to."""

    def emit(self, data: bytes) -> None:
        """Nor this."""


class Handshake:
    """One handshake that has not begun. ``pairs`` are certificates with their keys (PEM) that Lua has set."""

    __slots__ = (
        "certificates", "cleared", "ctx", "keys", "protocols", "session", "session_id", "settings", "transport", "user",
        "verify",
    )  # fmt: skip

    def __init__(self, transport: TLSTransport) -> None:
        self.transport = transport
        self.user: TLSConnection = transport.user
        self.settings: ServerTLS
        self.cleared = False
        self.certificates: list[bytes] = []  #: set by Lua, each with its chain, PEM
        self.keys: list[bytes] = []
        self.protocols: frozenset[str] | None = None
        self.verify: Verify | None = None
        self.session_id = b""  #: of the session that is looked for, or was made
        self.session = b""  #: that session, set by Lua or to be stored by it
        self.ctx = 0  #: the Lua side's number for ngx.ctx

    def run(self, settings: ServerTLS) -> asyncio.Task[None] | None:
        """Do all that has to be done, and let the handshake begin; a task if that has to wait."""
        self.settings = settings
        self.transport.handshake = self
        return begin(_Stand(self.user), self._run())  # type: ignore[arg-type]

    def store(self, settings: ServerTLS, version: int, session_id: bytes, session: bytes) -> None:
        """After the handshake: let Lua store its session, unless that is one of TLSv1.3."""
        assert settings.session_store is not None
        if version >= VERSIONS["TLSv1.3"]:
            text = f"ssl_session_store_by_lua*: skipped since TLS version >= 1.3 ({version:x})"
            self.user.worker.log(DEBUG, text, self.user)
            return
        self.settings, self.session_id, self.session = settings, session_id, session
        self.transport.handshake = self
        try:
            settings.session_store(self)
        finally:
            self._done()

    def _done(self) -> None:
        self.transport.handshake = None
        if self.ctx:
            self.user.worker.config.lua.forget(self.ctx)

    async def _run(self) -> None:
        try:
            await self._settle()
        except Exception as error:
            self.user.worker.log(CRIT, f"internal error, please report it: {describe(error)}", self.user)
            self.transport.abort()
        finally:
            self._done()

    async def _settle(self) -> None:
        transport, user, settings = self.transport, self.user, self.settings
        hello = transport.hello
        if settings.client_hello is not None:
            if not await settings.client_hello(self):
                transport.refuse(CALLBACK_FAILED)
                return
            if hello is not None and hello.server_name:
                self.settings = settings = user.choose_server(hello.server_name)
        if (
            settings.session_fetch is not None
            and hello is not None
            and hello.asks_for_session(self.protocols or settings.values.protocols, settings.values.tickets)
        ):
            self.session_id = hello.session_id
            await settings.session_fetch(self)
        resumes = self.session and is_fresh(self.session)
        if settings.certificate is not None and not resumes and not await settings.certificate(self):
            transport.refuse(CERT_CB_ERROR)
            return
        transport.handshake = None
        try:
            context, certificate = self.contexts()
        except TLSError as error:
            user.worker.log(ERR, f"{error} while SSL handshaking", user)
            transport.refuse(CERT_CB_ERROR)
            return
        transport.begin(settings, context, certificate, self.session)

    def contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext | None]:
        """The context of the handshake, and another for its certificates. Raises TLSError."""
        settings = self.settings
        context = settings.context
        assert context is not None
        if not (
            self.cleared or self.certificates or self.keys or self.protocols is not None or self.verify is not None
        ):
            return context, None
        whole = settings.variant(self.protocols, self.pairs(), self.verify)
        if self.protocols is not None or self.verify is not None:
            return whole, None
        return context, whole

    def pairs(self) -> tuple[tuple[bytes, bytes], ...]:
        """The certificates and keys that are to be used."""
        own = () if self.cleared else self.settings.pairs
        return (*own, *zip(self.certificates, self.keys, strict=False))


class _Stand:
    """What ``phases.begin`` asks of a request."""

    __slots__ = ("conn",)

    def __init__(self, conn: Any) -> None:
        self.conn = conn
