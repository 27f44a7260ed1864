"""What OpenSSL says is wrong, in nginx's words: ``(SSL: error:0A00010B:SSL routines::wrong version number)``.

The one idea: Python tells an error's library and reason by name, and knows the numbers of the names; nginx's lines and
levels are made of the numbers.

Rules: ``ngx_ssl_error`` and ``ngx_ssl_connection_error`` in ``ngx_event_openssl.c``.
"""

from __future__ import annotations

import _ssl
import errno
import os
import ssl
from typing import Any

from ..process.logs import ALERT, CRIT, ERR

#: Numbers of OpenSSL's names: ``{"WRONG_VERSION_NUMBER": (20, 267)}``.
_CODES: dict[str, Any] = getattr(_ssl, "err_names_to_codes", {})
_SSL_LIBRARY = 20
#: OpenSSL's names of its libraries, where they aren't Python's.
_LIBRARIES = {"SSL": "SSL", "X509": "x509 certificate"}

#: Reasons that are the peer's doing, and those of alerts (from 1000 on); any other is logged as critical.
_PEERS = frozenset(
    (
        101, 102, 103, 108, 110, 111, 112, 115, 118, 122, 129, 133, 137, 145, 146, 149, 150, 151, 152, 154, 155, 156,
        159, 160, 182, 183, 186, 187, 193, 198, 205, 213, 220, 226, 227, 234, 235, 244, 245, 246, 252, 253, 256, 258,
        266, 267, 270, 271, 281, 291, 292, 293, 298, 300, 306, 313, 335, 336, 337, 338, 345, 373, 376, 377, 396, 409,
        443,
    )
)  # fmt: skip
_ALERTS = 1000

#: Errors of a connection that are no surprise.
_EXPECTED = frozenset(
    (
        errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ENETDOWN,
        errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    )
)  # fmt: skip


def _codes(error: ssl.SSLError) -> tuple[int, int]:
    library, reason = _CODES.get(error.reason or "", (_SSL_LIBRARY, 0))
    return library, reason


def openssl_text(error: ssl.SSLError) -> str:
    """OpenSSL's text, ``error:0A00010B:SSL routines::wrong version number``, with ``SSL alert number`` where it has
    one.
    """
    library, reason = _codes(error)
    text = str(error.args[-1] if error.args else "")
    text = text.partition("] ")[2] or text
    text = text.rpartition(" (_ssl.c")[0] or text
    if error.reason == "CERTIFICATE_VERIFY_FAILED":
        text = "certificate verify failed"
    number = f":SSL alert number {reason - _ALERTS}" if reason >= _ALERTS else ""
    name = _LIBRARIES.get(error.library or "SSL", error.library)
    return f"error:{library << 23 | reason:08X}:{name} routines::{text}{number}"


def handshake_failed(error: OSError) -> tuple[int, str]:
    """The level and text to log for a handshake that ``error`` has ended. nginx: ``ngx_ssl_handshake``."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ERR, "peer closed connection in SSL handshake"
    if isinstance(error, ssl.SSLError):
        return failed("SSL_do_handshake()", error)
    number = error.errno or 0
    level = ERR if number in _EXPECTED else ALERT
    return level, f"peer closed connection in SSL handshake ({number}: {os.strerror(number)})"


def failed(call: str, error: ssl.SSLError) -> tuple[int, str]:
    """The level and text to log where ``call`` has failed: ``SSL_read() failed (SSL: …)``."""
    _, reason = _codes(error)
    level = ERR if reason in _PEERS or _ALERTS <= reason <= _ALERTS + 255 else CRIT
    return level, f"{call} failed (SSL: {openssl_text(error)})"
