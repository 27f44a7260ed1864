"""TLS in a request's exchange with its upstream: the handshake, and what is logged of it.

The one idea: a Security says for one request how to be secure; whether it was worked out when the configuration was
built (names and certificates without variables) or for this request makes no difference here.

Rules: ``ngx_http_upstream_ssl_init_connection``, ``ngx_http_upstream_ssl_handshake``.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from ..process.logs import DEBUG, ERR
from .tls_client import Origin, check_host, log_handshake
from .tls_errors import handshake_failed

if TYPE_CHECKING:
    from .exchange import Upstream
    from .http_client import UpstreamConnection
    from .tls import TLSTransport
    from .tls_client import TLSClient

HANDSHAKING = b"SSL handshaking to upstream"

#: X509_V_ERR_CERT_CHAIN_TOO_LONG
TOO_LONG = 22, "certificate chain too long"


class Refused(OSError):
    """A handshake is not good enough; ``level`` and ``text`` say what to log."""

    def __init__(self, level: int, text: str) -> None:
        super().__init__(text)
        self.level = level
        self.text = text


class Security(NamedTuple):
    """How one request speaks TLS. ``checks`` says whether the certificate must be for the origin's name.

    ``certify`` may choose another client for a new connection (``proxy_ssl_certificate_by_lua*``), and ``judge`` has
    the last word on the peer (``proxy_ssl_verify_by_lua*``); they raise Refused.
    """

    origin: Origin
    checks: bool
    certify: Callable[[Upstream], Awaitable[TLSClient | None]] | None = None
    judge: Callable[[Upstream, TLSTransport], Awaitable[None]] | None = None

    async def shake_hands(self, u: Upstream, conn: UpstreamConnection, tls: TLSTransport) -> str:
        """Shake hands on a new connection: "" if that went well, else what ``proxy_next_upstream`` calls it."""
        u.action = HANDSHAKING
        await conn.within(self._shake(u, conn, tls), u.conf.connect_timeout)
        if conn.failure and conn.error is not None:
            _log_failure(u, conn.error)
        return conn.failure

    async def _shake(self, u: Upstream, conn: UpstreamConnection, tls: TLSTransport) -> None:
        origin = self.origin
        client = origin.client
        if self.certify is not None:
            client = await self.certify(u) or client
            conn.made = -math.inf  # it won't be kept: the next request might choose another certificate
        if origin.server_name is not None:
            u.r.log(DEBUG, f'upstream SSL server name: "{origin.server_name}"')
        session = client.sessions.get(conn.key) if origin.reuse else None
        await tls.handshake(client, origin.server_name, session)
        log_handshake(u.r, tls.object)
        if client.chain_too_long(tls):
            raise Refused(ERR, f"upstream SSL certificate verify error: ({TOO_LONG[0]}:{TOO_LONG[1]})")
        if self.judge is not None:
            await self.judge(u, tls)
        if self.checks and not check_host(tls.object, origin.name):
            raise Refused(ERR, f'upstream SSL certificate does not match "{origin.name}"')

    def keep_session(self, conn: UpstreamConnection) -> None:
        """The server has answered, so its session tickets are here: remember the session for the next connection."""
        if self.origin.reuse:
            tls: TLSTransport = conn.transport
            tls.client.remember(conn.key, tls.object)


def _log_failure(u: Upstream, error: OSError) -> None:
    """Log why a handshake has failed."""
    if isinstance(error, Refused):
        u.log(error.level, error.text)
    elif isinstance(error, ssl.SSLCertVerificationError):
        u.log(ERR, f"upstream SSL certificate verify error: ({error.verify_code}:{error.verify_message})")
    else:
        u.log(*handshake_failed(error))
