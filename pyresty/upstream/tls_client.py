"""How connections to one kind of TLS server are made: the certificates, what is trusted, and the sessions to resume.

The one idea: whatever two connections must have in common to be interchangeable is in a TLSClient (settings with their
``ssl.SSLContext``) and an Origin (the names); their ``key`` goes into the key of every pool, so that connections under
other names or certificates are never shared.

Rules: ``ngx_http_upstream_ssl_init_connection``, ``ngx_http_upstream_ssl_handshake``; names as ``X509_check_host``.
"""

from __future__ import annotations

import itertools
import ssl
from typing import TYPE_CHECKING, Any

from ..process.logs import DEBUG
from .tls import TLSTransport
from .tls_session import TLSSession

if TYPE_CHECKING:
    from ..http.request import Request

#: Sessions that one client remembers.
_SESSIONS = 1024

_numbers = itertools.count(1)


class TLSClient:
    """Settings of connections. ``verify`` is what ``context`` does; ``depth`` is how many intermediate certificates
    there may be.
    """

    __slots__ = ("context", "depth", "number", "sessions", "verify")

    def __init__(self, context: ssl.SSLContext, verify: bool, depth: int) -> None:
        self.context = context
        self.verify = verify
        self.depth = depth
        self.number = next(_numbers)
        self.sessions: dict[bytes, TLSSession] = {}

    def chain_too_long(self, tls: TLSTransport) -> bool:
        """Whether the peer's certificate is verified by more intermediate ones than ``depth``, which is OpenSSL's
        error 22 (Python's ``ssl`` has no such limit of its own).
        """
        return self.verify and chain_length(tls.object) > self.depth + 2

    def remember(self, key: bytes, tls: ssl.SSLObject) -> None:
        """Keep the session of a connection to ``key``, if it can be resumed."""
        session = TLSSession(tls)
        if session.resumable:
            if len(self.sessions) >= _SESSIONS and key not in self.sessions:
                del self.sessions[next(iter(self.sessions))]
            self.sessions[key] = session


class Origin:
    """The names of one server: ``server_name`` to send (None for none), ``name`` to find in its certificate."""

    __slots__ = ("client", "key", "name", "reuse", "server_name")

    def __init__(self, client: TLSClient, name: str, send_name: bool, checks: bool, reuse: bool) -> None:
        """``checks``: the certificate has to be for ``name``. ``reuse``: sessions are resumed."""
        name = without_port(name)
        self.client = client
        self.name = name
        self.server_name = name if send_name and is_host_name(name) else None
        self.reuse = reuse
        self.key = f"\0{client.number}\0{self.server_name or ''}\0{name if checks else ''}".encode(
            "utf-8", "surrogateescape"
        )


def without_port(name: str) -> str:
    """``host:port`` without the port, as ``proxy_ssl_name`` has it from ``$proxy_host``."""
    start = name.find("]") if name.startswith("[") else 0
    colon = name.find(":", max(start, 0))
    return name if colon < 0 else name[:colon]


def is_host_name(name: str) -> bool:
    """Whether ``name`` may be sent as a server name (RFC 6066 section 3: no addresses), and ``ssl`` can send it."""
    if not name or name.startswith(("[", ".")):
        return False
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return not all(part.isdigit() for part in name.split("."))


def chain_length(tls: ssl.SSLObject) -> int:
    """Certificates in the verified chain, the trusted one included; 0 where there is none (a resumed session)."""
    return len(_peer(tls).get_verified_chain() or ())


def _peer(tls: ssl.SSLObject) -> Any:
    """OpenSSL's side of ``tls``, which knows more of the peer than the public class tells before Python 3.13."""
    return tls._sslobj  # type: ignore[attr-defined]


def check_host(tls: ssl.SSLObject, name: str) -> bool:
    """Whether the peer's certificate is for ``name``. As OpenSSL's ``X509_check_host``: the common name counts only
    where there is no DNS name.
    """
    certificate: Any = tls.getpeercert()
    if not certificate:  # it has not been verified
        chain = _peer(tls).get_unverified_chain()
        certificate = chain[0].get_info() if chain else None
    if not certificate or not name:
        return False
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if not names:
        names = [
            value for part in certificate.get("subject", ()) for attribute, value in part if attribute == "commonName"
        ]
    name = name.lower()
    return any(_matches(pattern.lower(), name) for pattern in names)


def _matches(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    label, _, rest = pattern.partition(".")
    first, _, others = name.partition(".")
    if label.count("*") != 1 or "." not in rest or "*" in rest or others != rest:
        return False
    before, _, after = label.partition("*")
    if label != "*" and first.startswith("xn--"):
        return False
    return len(first) > len(before) + len(after) and first.startswith(before) and first.endswith(after)


def log_handshake(r: Request, tls: ssl.SSLObject) -> None:
    """Tell the debug log of a handshake with an upstream that went well."""
    if r.loc.core.error_log.enabled(DEBUG):
        r.log(DEBUG, "SSL_do_handshake: 1")
        r.log(DEBUG, handshake_log(tls))
        if tls.session_reused:
            r.log(DEBUG, "SSL reused session")


def handshake_log(tls: ssl.SSLObject) -> str:
    """What nginx's debug log says of a handshake: ``SSL: TLSv1.3, cipher: "…"``. (Asking for all ciphers takes long.)"""
    cipher = tls.cipher()
    name = cipher[0] if cipher is not None else ""
    described = next((c["description"] for c in tls.context.get_ciphers() if c["name"] == name), name)
    return f'SSL: {tls.version()}, cipher: "{" ".join(str(described).split())}"'
