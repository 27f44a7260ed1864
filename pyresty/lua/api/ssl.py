"""ngx.ssl, ngx.ssl.clienthello, ngx.ssl.session: https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/ssl.md

The one idea: until the handshake begins, what Lua sets goes into the Handshake of the request that runs (``HandshakeRequest``);
what Lua asks is answered from the ClientHello, and afterwards from the connection.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...tls import openssl, pem, sessions
from ...tls.context import TLSError
from ...tls.hello import GREASE, VERSIONS
from ...tls.records import OPEN
from ...tls.settings import Verify

if TYPE_CHECKING:
    from ...tls.handshake import Handshake
    from ...tls.transport import TLSTransport
    from ..vm import LuaVM

_EARLY = b"not known before the handshake has begun"


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls. Where they can fail they answer (None, error)."""

    def connection() -> TLSTransport | None:
        return vm.r.conn.tls if vm.r is not None else None

    def handshake() -> Handshake | None:
        tls = connection()
        return tls.handshake if tls is not None else None

    def missing() -> tuple[None, bytes]:
        return None, b"bad request" if connection() is None else b"bad ssl conn"

    def opened() -> TLSTransport | None:
        tls = connection()
        return tls if tls is not None and tls.state >= OPEN else None

    # -- changing the handshake

    def clear_certs() -> Any:
        shaking = handshake()
        if shaking is None:
            return missing()
        shaking.cleared = True
        shaking.certificates.clear()
        shaking.keys.clear()
        return True

    def set_cert(text: bytes) -> Any:
        """A certificate with its chain, in PEM."""
        return add(text, False)

    def set_key(text: bytes) -> Any:
        """A private key in PEM."""
        return add(text, True)

    def add(text: bytes, is_key: bool) -> Any:
        """Add a certificate or key, if it goes with what has been added before."""
        shaking = handshake()
        if shaking is None:
            return missing()
        mine, other = shaking.certificates, shaking.keys
        if is_key:
            mine, other = other, mine
        mine.append(text)
        if len(mine) <= len(other):
            try:
                shaking.contexts()
            except TLSError:
                mine.pop()
                other.pop()
                return None, b"SSL_use_PrivateKey() failed" if is_key else b"SSL_use_certificate() failed"
        return True

    def verify_client(names: bytes | None, trusted: bytes | None, depth: float) -> Any:
        """Ask for a client certificate that one of these CAs (PEM) has signed."""
        shaking = handshake()
        if shaking is None:
            return missing()
        shaking.verify = Verify(names or b"", trusted or b"", int(depth))
        return True

    def set_protocols(names: bytes) -> Any:
        """The protocols that may be spoken, with commas between."""
        shaking = handshake()
        if shaking is None:
            return missing()
        shaking.protocols = frozenset(names.decode().split(",")) if names else frozenset()
        return True

    # -- looking at it

    def server_name() -> Any:
        tls = connection()
        if tls is None:
            return missing()
        return tls.hello.server_name if tls.hello is not None else None

    def address(server: bool) -> Any:
        """The packed address and its kind."""
        r = vm.r
        if r is None:
            return None, None, b"bad request"
        if connection() is None:
            return None, None, b"bad request"
        text = (r.conn.server_addr if server else r.conn.remote_addr).decode("utf-8", "surrogateescape")
        if text.startswith("unix:"):
            return text[5:].encode("utf-8", "surrogateescape"), b"unix", None
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        return socket.inet_pton(family, text), b"inet6" if ":" in text else b"inet", None

    def server_port() -> Any:
        tls = connection()
        if tls is None:
            return missing()
        name = tls.get_extra_info("sockname")
        return name[1] if isinstance(name, tuple) else (None, b"unix domain has no port")

    def version() -> Any:
        """The number of the protocol: before the handshake, of what it will be."""
        tls = connection()
        if tls is None:
            return missing()
        if tls.state >= OPEN:
            return VERSIONS.get(tls.object.version() or "", 0)
        shaking = tls.handshake
        if shaking is None or tls.hello is None:
            return missing()
        ours = shaking.protocols if shaking.protocols is not None else shaking.settings.values.protocols
        return tls.hello.version_with(ours)

    def extension(number: int) -> bytes | None:
        tls = connection()
        return tls.hello.extensions.get(int(number)) if tls is not None and tls.hello is not None else None

    def extensions() -> bytes:
        """The numbers of the ClientHello's extensions."""
        tls = connection()
        return b",".join(b"%d" % n for n in tls.hello.extensions) if tls is not None and tls.hello is not None else b""

    def ciphers() -> bytes:
        """The numbers of the ClientHello's cipher suites."""
        tls = connection()
        if tls is None or tls.hello is None:
            return b""
        return b",".join(b"%d" % number for number in tls.hello.all_ciphers if number not in GREASE)

    def shared_ciphers(filtered: bool) -> Any:
        tls = connection()
        if tls is None or tls.hello is None:
            return missing()
        shaking = tls.handshake
        context = tls.object.context if tls.state >= OPEN else None
        if shaking is not None:
            context = shaking.settings.context
        if context is None:
            return missing()
        ours = {cipher["id"] & 0xFFFF for cipher in context.get_ciphers()}
        return b",".join(b"%d" % n for n in tls.hello.all_ciphers if n in ours or (not filtered and n in GREASE))

    def client_random() -> Any:
        tls = connection()
        if tls is None or tls.hello is None:
            return missing()
        return tls.hello.random

    def server_random() -> Any:
        return secret(openssl.server_random)

    def master_key() -> Any:
        return secret(openssl.master_key)

    def secret(get: Callable[[Any], bytes]) -> Any:
        tls = opened()
        if tls is None:
            return missing() if connection() is None else (None, _EARLY)
        return (None, openssl.WHY_NOT.encode()) if openssl.WHY_NOT else get(tls.object)

    def keying_material(length: float, label: bytes, context: bytes | None = None) -> Any:
        tls = opened()
        if tls is None:
            return missing() if connection() is None else (None, _EARLY)
        if openssl.WHY_NOT:
            return None, openssl.WHY_NOT.encode()
        found = openssl.keying_material(tls.object, int(length), label, context)
        return found if found is not None else (None, b"SSL_export_keying_material() failed")

    def pointer() -> Any:
        """OpenSSL's pointer to the connection."""
        tls = connection()
        if tls is None or not hasattr(tls, "object"):
            return missing()
        return (None, openssl.WHY_NOT.encode()) if openssl.WHY_NOT else openssl.pointer(tls.object)

    def upstream_pointer() -> Any:
        """OpenSSL's pointer to the connection to the upstream."""
        u = vm.r.upstream if vm.r is not None else None
        if u is None:
            return None, b"bad upstream"
        if u.conn is None:
            return None, b"bad peer connection"
        tls = u.conn.transport
        if not hasattr(tls, "object"):
            return None, b"not ssl connection"
        return (None, openssl.WHY_NOT.encode()) if openssl.WHY_NOT else openssl.pointer(tls.object)

    def session_reused(pointer: int) -> bool:
        return not openssl.WHY_NOT and openssl.session_reused(int(pointer))

    # -- the session that Lua fetches or stores

    def session_id() -> Any:
        """The identifier, as hexadecimal digits."""
        shaking = handshake()
        if shaking is None:
            return missing() if connection() is None else (None, b"bad lua context")
        return shaking.session_id.hex().encode() or (None, b"uninitialized session id len in lua context")

    def session() -> Any:
        """The session itself."""
        shaking = handshake()
        if shaking is None:
            return missing() if connection() is None else (None, b"bad lua context")
        return shaking.session or (None, b"bad session in lua context")

    def set_session(data: bytes) -> Any:
        """Offer a session to be resumed."""
        shaking = handshake()
        if shaking is None:
            return missing() if connection() is None else (None, b"bad lua context")
        wrong = openssl.WHY_NOT or sessions.check(data)
        if wrong:
            return None, wrong.encode()
        shaking.session = data
        return True

    # -- certificates and keys

    def cert_pem_to_der(text: bytes) -> Any:
        found = pem.certificates(text)
        if found is None:
            return None, b"PEM_read_bio_X509() failed"
        return b"".join(found) or (None, b"PEM_read_bio_X509_AUX() failed")

    def cert_der_to_pem(der: bytes) -> Any:
        return pem.certificate_pem(der) or (None, b"d2i_X509_bio() failed")

    def key_pem_to_der(text: bytes, password: bytes | None = None) -> Any:
        return pem.key_der(text, password) or (None, b"PEM_read_bio_PrivateKey() failed")

    def key_der_to_pem(der: bytes) -> Any:
        return pem.key_pem(der) or (None, b"d2i_PrivateKey_bio() failed")

    return {
        "ssl_" + function.__name__: function
        for function in (
            clear_certs, set_cert, set_key, verify_client, set_protocols, server_name, address, server_port, version,
            extension, extensions, ciphers, shared_ciphers, client_random, server_random, master_key, keying_material,
            session_id, session, set_session, pointer, upstream_pointer, session_reused,
            cert_pem_to_der, cert_der_to_pem, key_pem_to_der, key_der_to_pem,
        )
    }  # fmt: skip
