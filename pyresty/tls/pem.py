"""Certificates and private keys between PEM and DER.

The one idea: a certificate's DER is what is inside its PEM, so no library is needed; of a key's three forms (PKCS#8, and RSA
and EC keys' own) the first bytes tell which it is, which makes the label. Only encrypted keys need OpenSSL.

RFC 7468, RFC 5208, RFC 8017 appendix A.1.2, RFC 5915.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from functools import lru_cache

from . import openssl

_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.+?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.S
)
_KEY = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?)PRIVATE KEY-----(.+?)-----END \1PRIVATE KEY-----", re.S)

_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30


def certificates(pem: bytes) -> list[bytes] | None:
    """The certificates of ``pem`` in DER: none where the first is no good, None where a later one is."""
    found: list[bytes] = []
    for match in _CERTIFICATE.finditer(pem):
        try:
            der = binascii.a2b_base64(match[1])
        except binascii.Error:
            der = b""
        parts = split(der)
        if not parts or not is_certificate(parts[0]):
            return None if found else []
        found.append(parts[0])
    return found


def split(der: bytes) -> list[bytes] | None:
    """The SEQUENCEs of which ``der`` is made, one after the other; None where it isn't."""
    parts = []
    while der:
        end = _end(der)
        if der[0] != _SEQUENCE or end is None or end > len(der):
            return None
        parts.append(der[:end])
        der = der[end:]
    return parts


def _end(der: bytes) -> int | None:
    """Where the first element of ``der`` ends."""
    if len(der) < 2:
        return None
    size, start = der[1], 2
    if size & 0x80:
        count = size & 0x7F
        if not 0 < count <= 4 or len(der) < 2 + count:
            return None
        size, start = int.from_bytes(der[2 : 2 + count], "big"), 2 + count
    return start + size


@lru_cache(256)
def is_certificate(der: bytes) -> bool:
    """Whether OpenSSL can read this certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except ssl.SSLError:
        return False
    return True


def certificate_pem(der: bytes) -> bytes | None:
    """Certificates in DER, one after the other, as PEM; None where one is none."""
    parts = split(der)
    if not parts or not all(is_certificate(part) for part in parts):
        return None
    return b"".join(_armour(part, "CERTIFICATE") for part in parts)


def key_der(pem: bytes, password: bytes | None) -> bytes | None:
    """The private key in ``pem`` as DER; None where there is none, or ``password`` doesn't open it."""
    if not openssl.WHY_NOT:
        return openssl.key_from_pem(pem, password)
    match = _KEY.search(pem)
    if match is None or match[1] == b"ENCRYPTED " or b"Proc-Type:" in match[2]:
        return None
    try:
        der = binascii.a2b_base64(match[2])
    except binascii.Error:
        return None
    return der if _label(der) else None


def key_pem(der: bytes) -> bytes | None:
    """A private key in DER as PEM; None if it is none."""
    label = _label(der)
    if not label or (not openssl.WHY_NOT and openssl.key_from_der(der) is None):
        return None
    return _armour(der, label)


def _label(der: bytes) -> str:
    """What kind of key: told by what comes after the version."""
    end = _end(der)
    if end is None or der[0] != _SEQUENCE or end > len(der):
        return ""
    start = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    version = der[start : start + 4]
    if len(version) < 4 or version[0] != _INTEGER or version[1] != 1:
        return ""
    return {_INTEGER: "RSA PRIVATE KEY", _OCTETS: "EC PRIVATE KEY", _SEQUENCE: "PRIVATE KEY"}.get(version[3], "")


def _armour(der: bytes, label: str) -> bytes:
    text = base64.b64encode(der)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    name = label.encode()
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (name, b"\n".join(lines), name)
