"""Digests, base64 and checksums: https://github.com/openresty/lua-nginx-module#ngxmd5"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from ..vm import LuaVM

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_ALPHABET = bytes(byte for byte in range(256) if byte not in _ALPHABET)


def md5(data: bytes) -> bytes:
    """The digest as 32 hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def md5_bin(data: bytes) -> bytes:
    """The digest as 16 bytes."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def sha1_bin(data: bytes) -> bytes:
    """The digest as 20 bytes."""
    return hashlib.sha1(data, usedforsecurity=False).digest()


def hmac_sha1(key: bytes, data: bytes) -> bytes:
    """The message authentication code as 20 bytes. RFC 2104."""
    return hmac.digest(key, data, "sha1")


def encode_base64(data: bytes, no_padding: bool) -> bytes:
    """RFC 4648 section 4, without the ``=`` at the end if ``no_padding``."""
    text = b64encode(data)
    return text.rstrip(b"=") if no_padding else text


def decode_base64(text: bytes) -> bytes | None:
    """The bytes of a base64 text up to its first ``=``; None where nginx's ngx_decode_base64 refuses it."""
    text = text.partition(b"=")[0]
    if text.translate(None, _ALPHABET):
        return None
    return _decode(text)


def decode_base64mime(text: bytes) -> bytes | None:
    """As ``decode_base64``, but what is not in the alphabet is skipped. RFC 2045 section 6.8."""
    return _decode(text.partition(b"=")[0].translate(None, _NOT_ALPHABET))


def _decode(text: bytes) -> bytes | None:
    left = len(text) % 4
    if left == 1:
        return None
    return b64decode(text + b"=" * (-len(text) % 4))


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    return {
        "md5": md5,
        "md5_bin": md5_bin,
        "sha1_bin": sha1_bin,
        "hmac_sha1": hmac_sha1,
        "crc32_short": crc32,
        "encode_base64": encode_base64,
        "decode_base64": decode_base64,
        "decode_base64mime": decode_base64mime,
    }
