"""What the directives of set-misc compute: functions from bytes to bytes.

Each takes the request and the values of its arguments; None is a failure, whose reason it has logged.
https://github.com/openresty/set-misc-nginx-module
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import time
from base64 import b32decode, b32encode, b64encode
from typing import TYPE_CHECKING

from ..http.base64 import decode_base64, decode_base64url, encode_base64url
from ..http.uri import unescape
from ..process.logs import ERR

if TYPE_CHECKING:
    from ..http.request import Request

_SQL = {byte: b"\\" + bytes((byte,)) for byte in b"\\'\"$"} | {
    0: b"\\0", 8: b"\\b", 9: b"\\t", 10: b"\\n", 13: b"\\r", 26: b"\\Z",
}  # fmt: skip
_JSON = {byte: b"\\u%04x" % byte for byte in range(32)} | {
    8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\",
}  # fmt: skip
_URI = {byte: b"%%%02X" % byte for byte in (*range(33), *b'"#%&+/:;<=>?[\\]^{}', *range(127, 256))}
_HIGH = {byte: b"\\\\%03o" % byte for byte in range(128, 256)}

_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ALPHANUM = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#: nginx's buffer for a formatted time.
_TIME_LENGTH = 256


def _escape(value: bytes, table: dict[int, bytes]) -> bytes:
    return b"".join([table.get(byte) or bytes((byte,)) for byte in value])


def _fail(r: Request, message: bytes) -> bytes | None:
    r.log(ERR, message)
    return None


def number(value: bytes) -> int | None:
    """A number as nginx reads one (``ngx_atoi``); None for anything else, and for what does not fit into 63 bits."""
    return int(value) if value.isdigit() and len(value) < 19 else None


# -- quoting


def quote_sql_str(r: Request, value: bytes) -> bytes:
    """``set_quote_sql_str``: a string of MySQL."""
    return b"'" + _escape(value, _SQL) + b"'"


def quote_pgsql_str(r: Request, value: bytes) -> bytes:
    """``set_quote_pgsql_str``: a string of PostgreSQL; one that is not UTF-8 has its high bytes in octal."""
    if not value:
        return b"''"
    quoted = b"E" + quote_sql_str(r, value)
    try:
        quoted.decode()
    except UnicodeDecodeError:
        return _escape(quoted, _HIGH)
    return quoted


def quote_json_str(r: Request, value: bytes) -> bytes:
    """``set_quote_json_str``: a string of JSON; an empty one is ``null``."""
    return b'"' + _escape(value, _JSON) + b'"' if value else b"null"


def escape_uri(r: Request, value: bytes) -> bytes:
    """``set_escape_uri``."""
    return _escape(value, _URI)


def unescape_uri(r: Request, value: bytes) -> bytes:
    """``set_unescape_uri``; ``+`` is a space."""
    return unescape(value.replace(b"+", b" "))


# -- encodings


def encode_base32(r: Request, value: bytes) -> bytes:
    """``set_encode_base32``, in the location's alphabet."""
    conf = r.loc.conf["set_misc"]
    text = b32encode(value)
    if not conf.base32_padding:
        text = text.rstrip(b"=")
    return text.translate(bytes.maketrans(_BASE32, conf.base32_alphabet))


def decode_base32(r: Request, value: bytes) -> bytes:
    """``set_decode_base32``; what is no base32 gives an empty string."""
    alphabet = r.loc.conf["set_misc"].base32_alphabet
    text = value.partition(b"=")[0]
    if len(text) % 8 in (1, 3, 6) or text.translate(None, alphabet):
        return b""
    return b32decode(text.translate(bytes.maketrans(alphabet, _BASE32)) + b"=" * (-len(text) % 8))


def encode_base64(r: Request, value: bytes) -> bytes:
    """``set_encode_base64``."""
    return b64encode(value)


def decode_base64_(r: Request, value: bytes) -> bytes | None:
    """``set_decode_base64``."""
    decoded = decode_base64(value)
    return _fail(r, b"set_decode_base64: invalid value") if decoded is None else decoded


def encode_base64url_(r: Request, value: bytes) -> bytes:
    """``set_encode_base64url``."""
    return encode_base64url(value)


def decode_base64url_(r: Request, value: bytes) -> bytes | None:
    """``set_decode_base64url``."""
    decoded = decode_base64url(value)
    return _fail(r, b"set_decode_base64url: invalid value") if decoded is None else decoded


def encode_hex(r: Request, value: bytes) -> bytes:
    """``set_encode_hex``."""
    return value.hex().encode()


def decode_hex(r: Request, value: bytes) -> bytes | None:
    """``set_decode_hex``."""
    if len(value) % 2 or value.translate(None, b"0123456789abcdefABCDEF"):
        return _fail(r, b"set_decode_hex: invalid value")
    return bytes.fromhex(value.decode())


# -- digests


def sha1(r: Request, value: bytes) -> bytes:
    """``set_sha1``: hexadecimal."""
    return hashlib.sha1(value, usedforsecurity=False).hexdigest().encode()


def md5(r: Request, value: bytes) -> bytes:
    """``set_md5``: hexadecimal."""
    return hashlib.md5(value, usedforsecurity=False).hexdigest().encode()


def hmac_sha1(r: Request, secret: bytes, text: bytes) -> bytes:
    """``set_hmac_sha1``: 20 bytes."""
    return hmac.digest(secret, text, "sha1")


def hmac_sha256(r: Request, secret: bytes, text: bytes) -> bytes:
    """``set_hmac_sha256``: 32 bytes."""
    return hmac.digest(secret, text, "sha256")


# -- numbers and times


def if_empty(r: Request, value: bytes, default: bytes) -> bytes:
    """``set_if_empty``."""
    return value or default


def random_number(r: Request, low: bytes, high: bytes) -> bytes | None:
    """``set_random``: a number from ``low`` to ``high``, both included."""
    first, last = number(low), number(high)
    if first is None:
        return _fail(r, b'set_random: bad "from" argument: ' + low)
    if last is None:
        return _fail(r, b'set_random: bad "to" argument: ' + high)
    return b"%d" % random.randint(min(first, last), max(first, last))


def rotate(r: Request, current: bytes, low: bytes, high: bytes) -> bytes | None:
    """``set_rotate``: the number after ``current``, or after the one that this location had last; at the end begin again."""
    first, last = number(low), number(high)
    if first is None:
        return _fail(r, b'set_rotate: bad "from" argument value: "%s"' % low)
    if last is None:
        return _fail(r, b'set_rotate: bad "to" argument value: "%s"' % high)
    first, last = min(first, last), max(first, last)
    conf = r.loc.conf["set_misc"]
    now = number(current)
    if now is None:
        if current:
            r.log(ERR, b'set_rotate: bad current value: "%s"' % current)
        now = first - 1 if conf.current is None else conf.current
    now += 1
    if not first <= now <= last:
        now = first
    conf.current = now
    return b"%d" % now


def _secure_random(r: Request, length: bytes, alphabet: bytes) -> bytes | None:
    size = number(length)
    if size is None or not 1 <= size <= 64:
        return _fail(r, b'set_random: bad "length" argument: ' + length)
    return bytes(alphabet[byte % len(alphabet)] for byte in os.urandom(size))


def secure_random_alphanum(r: Request, length: bytes) -> bytes | None:
    """``set_secure_random_alphanum``: up to 64 letters and digits."""
    return _secure_random(r, length, _ALPHANUM)


def secure_random_lcalpha(r: Request, length: bytes) -> bytes | None:
    """``set_secure_random_lcalpha``: up to 64 small letters."""
    return _secure_random(r, length, _ALPHANUM[:26])


def local_today(r: Request) -> bytes:
    """``set_local_today``: ``2026-01-31``."""
    return time.strftime("%Y-%m-%d").encode()


def _formatted(value: bytes, moment: time.struct_time) -> bytes | None:
    if not value:
        return b""
    text = time.strftime(value.decode("utf-8", "surrogateescape"), moment).encode("utf-8", "surrogateescape")
    return text if 0 < len(text) < _TIME_LENGTH else None


def formatted_gmt_time(r: Request, value: bytes) -> bytes | None:
    """``set_formatted_gmt_time``: by ``strftime``."""
    return _formatted(value, time.gmtime())


def formatted_local_time(r: Request, value: bytes) -> bytes | None:
    """``set_formatted_local_time``: by ``strftime``."""
    return _formatted(value, time.localtime())


def hashed(key: bytes, names: list[bytes]) -> bytes:
    """``set_hashed_upstream``: one of ``names`` by nginx's ``ngx_hash_key_lc`` of ``key``."""
    if len(names) < 2:
        return names[0] if names else b""
    value = 0
    for byte in key.lower():
        value = (value * 31 + byte) & 0xFFFFFFFF
    return names[value % len(names)]
