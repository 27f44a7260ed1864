"""base64 as nginx decodes it: what follows the first ``=`` does not count, what is not in the alphabet is refused.

nginx: ``ngx_decode_base64`` and ``ngx_decode_base64url``; RFC 4648 sections 4 and 5.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ALPHABET, _URL_ALPHABET = _LETTERS + b"+/", _LETTERS + b"-_"


def decode_base64(text: bytes, alphabet: bytes = _ALPHABET) -> bytes | None:
    """The bytes of a base64 text; None if it is not one."""
    text = text.partition(b"=")[0]
    if len(text) % 4 == 1 or text.translate(None, alphabet):
        return None
    return b64decode(text + b"=" * (-len(text) % 4), b"-_" if alphabet is _URL_ALPHABET else None)


def decode_base64url(text: bytes) -> bytes | None:
    """The same in the alphabet for URLs."""
    return decode_base64(text, _URL_ALPHABET)


def encode_base64url(data: bytes) -> bytes:
    """In the alphabet for URLs, without padding."""
    return b64encode(data, b"-_").rstrip(b"=")
