"""What the server's side of a handshake needs: made when the configuration is built, shared by all connections.

The one idea: everything that a context is made of is a plain value, so that contexts with what Lua wants changed are made
by the same function and remembered by their values.
"""

from __future__ import annotations

import hashlib
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from . import openssl, sessions
from .context import (
    DEFAULT_CIPHERS,
    DEFAULT_PROTOCOLS,
    TLSError,
    conf_command,
    load_crl,
    load_pem,
    load_trusted,
    load_trusted_pem,
    new_context,
    read_certificate,
    set_ciphers,
    set_curves,
    set_dhparam,
    set_key_log,
    set_protocols,
)

if TYPE_CHECKING:
    from .handshake import Handshake

#: Runs before a handshake; False ends that, and the reason has been logged.
Step = Callable[["Handshake"], Awaitable[bool]]

#: Contexts that a server remembers beside its own.
_KEPT = 256
#: ``ssl_verify_client``.
OFF, ON, OPTIONAL, OPTIONAL_NO_CA = range(4)
#: The TLS alert ``unrecognized_name``.
_UNRECOGNIZED_NAME = 112


class Verify(NamedTuple):
    """What Lua's ``verify_client`` asks for: CAs in PEM whose names the client is told, CAs in PEM, intermediate ones."""

    names: bytes
    trusted: bytes
    depth: int


class Values(NamedTuple):
    """The settings that a context is made of. Paths are absolute, "" where there is none."""

    protocols: frozenset[str] = DEFAULT_PROTOCOLS
    ciphers: str = DEFAULT_CIPHERS
    prefer_server_ciphers: bool = False
    curves: str = "auto"
    dhparam: str = ""
    verify: int = OFF
    depth: int = 1
    client_certificate: str = ""
    trusted_certificate: str = ""
    crl: str = ""
    tickets: bool = True
    ticket_key: bytes = b""
    timeout: float = 300.0
    cache: str = "none"
    cache_size: int = 0  #: sessions, 0 for OpenSSL's own number
    by_lua: bool = False  #: Lua fetches or stores sessions
    reject: bool = False
    commands: tuple[tuple[str, str], ...] = ()
    key_log: str = ""


class ServerTLS:
    """The TLS of one server. ``context`` is None where the server has no certificate."""

    __slots__ = (
        "_made", "buffer_size", "certificate", "client_hello", "context", "pairs", "passwords", "session_fetch",
        "session_store", "values",
    )  # fmt: skip

    def __init__(self, values: Values, buffer_size: int) -> None:
        self.values = values
        self.buffer_size = buffer_size
        self.context: ssl.SSLContext | None = None
        self.pairs: tuple[tuple[bytes, bytes], ...] = ()  #: certificates with chains, and keys, in PEM
        self.passwords: tuple[bytes, ...] = ()
        self.client_hello: Step | None = None  #: ``ssl_client_hello_by_lua*``
        self.certificate: Step | None = None  #: ``ssl_certificate_by_lua*``, or certificates that variables name
        self.session_fetch: Step | None = None  #: ``ssl_session_fetch_by_lua*``
        self.session_store: Callable[[Handshake], None] | None = None  #: ``ssl_session_store_by_lua*``
        self._made: OrderedDict[object, ssl.SSLContext] = OrderedDict()

    def variant(
        self, protocols: frozenset[str] | None, pairs: tuple[tuple[bytes, bytes], ...], verify: Verify | None
    ) -> ssl.SSLContext:
        """The context with other protocols, other certificates, another verification. Raises TLSError."""
        key = protocols, pairs, verify
        found = self._made.get(key)
        if found is None:
            values = self.values if protocols is None else self.values._replace(protocols=protocols)
            found = make_context(values, verify)
            for certificate, private in pairs:
                load_pem(found, certificate, private, self.passwords)
            if len(self._made) >= _KEPT:
                self._made.popitem(last=False)
            self._made[key] = found
        else:
            self._made.move_to_end(key)
        return found


def make_context(values: Values, verify: Verify | None = None) -> ssl.SSLContext:
    """A server's context, without certificates yet. Raises TLSError."""
    context = new_context(True)
    set_protocols(context, values.protocols)
    set_ciphers(context, values.ciphers)
    if not values.prefer_server_ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if values.curves != "auto":
        set_curves(context, values.curves)
    if values.dhparam:
        set_dhparam(context, values.dhparam)
    if values.client_certificate:
        load_trusted(context, values.client_certificate)
    if values.trusted_certificate:
        load_trusted(context, values.trusted_certificate)
    if values.crl:
        load_crl(context, values.crl)
    if verify is not None:
        load_trusted_pem(context, verify.names + verify.trusted)
        _verify(context, verify.depth if verify.depth >= 0 else values.depth)
    elif values.verify:
        _verify(context, values.depth)
        if values.client_certificate and not openssl.WHY_NOT:
            openssl.send_ca_names(context, values.client_certificate)
    _sessions(context, values, verify)
    context.set_alpn_protocols(["http/1.1", "http/1.0", "http/0.9"])
    for name, value in values.commands:
        conf_command(context, name, value, server=True)
    if values.reject:
        context.sni_callback = _reject
    if values.key_log:
        set_key_log(context, values.key_log)
    return context


def _verify(context: ssl.SSLContext, depth: int) -> None:
    """Ask for a certificate. What is wrong with it is told to the requests, where OpenSSL can be made to go on."""
    context.verify_mode = ssl.CERT_OPTIONAL
    if not openssl.WHY_NOT:
        openssl.accept_unverified(context, depth)


def _sessions(context: ssl.SSLContext, values: Values, verify: Verify | None) -> None:
    if not values.tickets:
        context.options |= ssl.OP_NO_TICKET
    if openssl.WHY_NOT:
        if values.ticket_key:
            raise TLSError(f'"ssl_session_ticket_key" is not possible: {openssl.WHY_NOT}')
        return
    openssl.set_session_timeout(context, int(values.timeout))
    openssl.set_session_cache(context, values.cache, values.cache_size)
    openssl.set_session_context(context, _verification(values, verify))
    if values.by_lua:
        sessions.watch(context)
    if values.ticket_key:
        openssl.set_ticket_keys(context, values.ticket_key)


def _verification(values: Values, verify: Verify | None) -> bytes:
    """A digest of how clients are verified. Servers may have one key for their tickets, or Lua may keep the sessions of
    several; a client that one of them has verified is still a stranger to another with other CAs. nginx:
    ``ngx_ssl_session_id_context``.
    """
    digest = hashlib.sha256(repr((values.verify, verify)).encode())
    for path in (values.client_certificate, values.trusted_certificate):
        digest.update(read_certificate(path) if path else b"-")
    return digest.digest()


def _reject(tls: ssl.SSLObject, name: str, context: ssl.SSLContext) -> int:
    return _UNRECOGNIZED_NAME
