"""User and password of ``Authorization: Basic``, and the ways in which password files keep a password.

RFC 7617; nginx: ``ngx_http_auth_basic_user`` and ``ngx_crypt``. What nginx leaves to the C library's ``crypt()`` (bcrypt, SHA-512,
yescrypt, DES …) is left to it here too, by ctypes: Python's own ``crypt`` module is gone since 3.13.
"""

from __future__ import annotations

import ctypes
import hashlib
from base64 import b64encode
from functools import cache
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from .base64 import decode_base64

if TYPE_CHECKING:
    from .request import Request

_ITOA64 = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def basic_credentials(r: Request) -> tuple[bytes, bytes] | None:
    """(user, password) of the request; None if it has none, or none that nginx understands."""
    value = r.header_in(b"authorization")
    if value is None or value[:6].lower() != b"basic ":
        return None
    decoded = decode_base64(value[6:].lstrip(b" "))
    if decoded is None:
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon and user else None


def check_password(password: bytes, stored: bytes) -> bool | None:
    """Whether ``password`` is the one of which a file has ``stored``; None if ``crypt()`` does not know that kind."""
    password = password.partition(b"\0")[0]
    if stored.startswith(b"$apr1$"):
        made: bytes | None = apr1(password, stored[6:].partition(b"$")[0][:8])
    elif stored.startswith(b"{PLAIN}"):
        made = b"{PLAIN}" + password
    elif stored.startswith(b"{SSHA}"):
        known = decode_base64(stored[6:]) or b""
        salt = known[20:]
        made = b"{SSHA}" + b64encode(hashlib.sha1(password + salt, usedforsecurity=False).digest() + salt)
    elif stored.startswith(b"{SHA}"):
        made = b"{SHA}" + b64encode(hashlib.sha1(password, usedforsecurity=False).digest())
    else:
        made = libc_crypt(password, stored)
    return None if made is None else compare_digest(made, stored)


def _md5(*parts: bytes) -> bytes:
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()


def apr1(password: bytes, salt: bytes) -> bytes:
    """Apache's variant of the MD5-based ``crypt``: ``$apr1$SALT$…``."""
    inner = _md5(password, salt, password)
    size = len(password)
    parts = [password, b"$apr1$", salt, (inner * (size // 16 + 1))[:size]]
    while size:
        parts.append(b"\0" if size & 1 else password[:1])
        size >>= 1
    digest = _md5(*parts)
    for turn in range(1000):
        odd = turn & 1
        digest = _md5(
            password if odd else digest,
            salt if turn % 3 else b"",
            password if turn % 7 else b"",
            digest if odd else password,
        )
    out = bytearray(b"$apr1$" + salt + b"$")
    for places in ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5), (11,)):
        value = int.from_bytes(bytes(digest[place] for place in places), "big")
        for _ in range(4 if len(places) == 3 else 2):
            out.append(_ITOA64[value & 63])
            value >>= 6
    return bytes(out)


@cache
def _libc() -> Any:
    """The C library's ``crypt``; None where there is none. glibc's is in a library of its own."""
    for library in ("libcrypt.so.1", "libcrypt.so.2", None):
        try:
            function = ctypes.CDLL(library).crypt
        except (OSError, AttributeError):
            continue
        function.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
        function.restype = ctypes.c_char_p
        return function
    return None


def libc_crypt(password: bytes, stored: bytes) -> bytes | None:
    """``crypt(password, stored)``; None where it fails."""
    function = _libc()
    made: bytes | None = function(password, stored) if function is not None else None
    return made
