"""A client's connection on an address of ``listen … ssl``.

The one idea: it is a Connection whose transport is TLS. The name in the ClientHello only chooses how to shake hands; whose
request it is, its Host says, as over plain HTTP (``ngx_http_ssl_servername``, ``ngx_http_set_virtual_server``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..http.codec import find_head_end
from ..http.codec.rules import host_and_port
from ..http.connection import Connection
from ..http.phases import refuse, start
from ..http.request import Request
from ..http.timeouts import NEVER
from ..process.logs import DEBUG, INFO
from ..upstream.tls_client import handshake_log
from .records import OPEN
from .transport import TLSTransport

if TYPE_CHECKING:
    from ..http.routing import Server
    from ..http.worker import Address, HttpWorker
    from .settings import ServerTLS

#: nginx's status for a plain request where TLS is spoken.
HTTP_TO_HTTPS = 497


class TLSConnection(Connection):
    """``tls`` is None where the client speaks in the clear, which ``not_tls`` says is a mistake; ``named`` is the server
    that the ClientHello names, and ``negotiated`` the name.
    """

    __slots__ = ("named", "negotiated", "not_tls", "tls")

    def __init__(self, worker: HttpWorker, address: Address) -> None:
        super().__init__(worker, address)
        self.tls: TLSTransport | None = TLSTransport(self)
        self.negotiated: bytes | None = None
        self.named: Server | None = None
        self.not_tls = False

    @property
    def scheme(self) -> bytes:  # type: ignore[override]
        """``$scheme``."""
        return b"http" if self.tls is None else b"https"

    @property
    def default_port(self) -> int:  # type: ignore[override]
        """The port that is not shown in redirects."""
        return 80 if self.tls is None else 443

    def choose_server(self, name: bytes) -> ServerTLS:
        """How the server called ``name`` shakes hands, or the default server where none has that name."""
        names = self.names
        known = host_and_port(name)
        if known is not None and known[0] and not names.simple:
            found = names.named(known[0])
            if found is not None:
                self.negotiated = known[0]
                self.named = found[0]
                settings: ServerTLS = found[0].conf["ssl"].made
                if settings.context is not None:
                    return settings
        default: ServerTLS = names.default.conf["ssl"].made
        return default

    def handshaked(self) -> None:
        """The handshake is over: the time for the first head begins."""
        worker = self.worker
        worker.wheel.watch(self, self.loop.time() + self.names.default.core.client_header_timeout)
        if worker.config.error_log.enabled(DEBUG):
            assert self.tls is not None
            tls = self.tls.object
            worker.log(DEBUG, handshake_log(tls), self)
            if tls.session_reused:
                worker.log(DEBUG, "SSL reused session", self)

    def _client_left(self) -> None:
        if self.tls is None or self.tls.state == OPEN or self.requests or self.buf:
            super()._client_left()

    def on_deadline(self) -> None:
        """The wheel's call."""
        if self.tls is not None and self.tls.state < OPEN:
            self.deadline = NEVER
            self.timed_out = True
            self.worker.log(INFO, "client timed out (110: Connection timed out) while SSL handshaking", self)
            self._abort(self.names.default.root.core)
        else:
            super().on_deadline()

    def _serve(self, data: bytes, pipelined: bool = False) -> None:
        if not self.not_tls:
            super()._serve(data, pipelined)
            return
        end = find_head_end(data, 0)
        if end < 0:
            self._incomplete(data, pipelined)
            return
        head = self._head(data[:end])
        if head is None:
            return
        self.buf = data[end:]
        self.requests += 1
        self.deadline = NEVER
        self.r = r = Request(self, head, time.time())
        r.log(INFO, "client sent plain HTTP request to HTTPS port while reading client request headers")
        start(r, refuse(r, HTTP_TO_HTTPS))


def accept(worker: HttpWorker, address: Address) -> Any:
    """The protocol for a new connection to ``address``."""
    return TLSConnection(worker, address).tls
