"""The variables ``$ssl_…``. https://nginx.org/en/docs/http/ngx_http_ssl_module.html#variables

The one idea: each is a function of the connection's ``TLSTransport``; over plain HTTP none is found.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..tls import openssl
from ..tls.names import one_line, rfc2253
from ..tls.records import OPEN
from ..tls.verify import result

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..tls.transport import TLSTransport

_GROUPS = 10
_DAY = 86400
#: OpenSSL's short names of the groups (RFC 8446 section 4.2.7, RFC 7919, RFC 8422).
_GROUP_NAMES = {
    0x16: "secp256k1", 0x17: "prime256v1", 0x18: "secp384r1", 0x19: "secp521r1", 0x1A: "brainpoolP256r1",
    0x1B: "brainpoolP384r1", 0x1C: "brainpoolP512r1", 0x1D: "X25519", 0x1E: "X448", 0x100: "ffdhe2048",
    0x101: "ffdhe3072", 0x102: "ffdhe4096", 0x103: "ffdhe6144", 0x104: "ffdhe8192",
}  # fmt: skip


@cache
def _cipher_names() -> dict[int, str]:
    """OpenSSL's names of all cipher suites it has, by their numbers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {cipher["id"] & 0xFFFF: cipher["name"] for cipher in context.get_ciphers()}


def _ciphers(tls: TLSTransport) -> str:
    names = _cipher_names()
    return ":".join(names.get(number, f"0x{number:04x}") for number in tls.hello.all_ciphers) if tls.hello else ""


def _curves(tls: TLSTransport) -> str:
    listed = tls.hello.extensions.get(_GROUPS, b"")[2:] if tls.hello else b""
    numbers = [listed[i] << 8 | listed[i + 1] for i in range(0, len(listed) - 1, 2)]
    return ":".join(_GROUP_NAMES.get(number, f"0x{number:04x}") for number in numbers)


def _cipher(tls: TLSTransport) -> str:
    found = tls.object.cipher()
    return found[0] if found is not None else ""


def _session_id(tls: TLSTransport) -> str:
    if not openssl.WHY_NOT:  # (reading ``session`` leaks memory: see ``TLSSession``)
        return openssl.own_session_id(tls.object).hex()
    session = tls.object.session
    return session.id.hex() if session is not None else ""


# -- the client's certificate: None where it sent none


def _certificate(tls: TLSTransport) -> Any:
    return tls.object.getpeercert()


def _field(name: str) -> Callable[[TLSTransport], str]:
    def get(tls: TLSTransport) -> str:
        found = _certificate(tls)
        return str(found.get(name, "")) if found else ""

    return get


def _name(field: str, show: Callable[[Any], str]) -> Callable[[TLSTransport], str]:
    def get(tls: TLSTransport) -> str:
        found = _certificate(tls)
        return show(found.get(field, ())) if found else ""

    return get


def _pem(tls: TLSTransport) -> str:
    der = tls.object.getpeercert(True)
    return ssl.DER_cert_to_PEM_cert(der) if der else ""


def _escaped(tls: TLSTransport) -> str:
    return quote(_pem(tls), safe="")


def _fingerprint(tls: TLSTransport) -> str:
    der = tls.object.getpeercert(True)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest() if der else ""


def _verify(tls: TLSTransport) -> str:
    if not tls.object.getpeercert(True):
        return "NONE"
    code, text = result(tls.object)
    return "SUCCESS" if code == 0 else f"FAILED:{text}"


def _remain(tls: TLSTransport) -> str:
    found = _certificate(tls)
    if not found:
        return ""
    left = ssl.cert_time_to_seconds(found["notAfter"]) - int(time.time())
    return str(max(0, left // _DAY))


TABLE: dict[str, Callable[[TLSTransport], str]] = {
    "protocol": lambda tls: tls.object.version() or "",
    "cipher": _cipher,
    "ciphers": _ciphers,
    "curve": lambda tls: "" if openssl.WHY_NOT else openssl.curve(tls.object),
    "curves": _curves,
    "session_id": _session_id,
    "session_reused": lambda tls: "r" if tls.object.session_reused else ".",
    "early_data": lambda tls: "",
    "alpn_protocol": lambda tls: tls.object.selected_alpn_protocol() or "",
    "client_cert": lambda tls: _pem(tls)[:-1].replace("\n", "\n\t"),
    "client_raw_cert": _pem,
    "client_escaped_cert": _escaped,
    "client_s_dn": _name("subject", rfc2253),
    "client_i_dn": _name("issuer", rfc2253),
    "client_s_dn_legacy": _name("subject", one_line),
    "client_i_dn_legacy": _name("issuer", one_line),
    "client_serial": _field("serialNumber"),
    "client_fingerprint": _fingerprint,
    "client_verify": _verify,
    "client_v_start": _field("notBefore"),
    "client_v_end": _field("notAfter"),
    "client_v_remain": _remain,
}


def _variable(get: Callable[[TLSTransport], str]) -> Callable[[Request], bytes | None]:
    def read(r: Request) -> bytes | None:
        tls = r.conn.tls
        if tls is None or tls.state < OPEN or not hasattr(tls, "object"):
            return None
        return get(tls).encode("utf-8", "surrogateescape") or None

    return read


def _server_name(r: Request) -> bytes | None:
    """``$ssl_server_name``, which is known during the handshake already."""
    tls = r.conn.tls
    return tls.hello.server_name if tls is not None and tls.hello is not None else None


def define_variables(cf: Builder) -> None:
    """Declare the variables."""
    for name, get in TABLE.items():
        cf.define("ssl_" + name, _variable(get))
    cf.define("ssl_server_name", _server_name)
