"""Sessions of TLS, to be resumed.

The one idea: reading ``SSLObject.session`` leaks five kilobytes each time (CPython 3.10 to 3.14: the getter duplicates the
session and drops the copy), so OpenSSL's own pointer is kept where its functions can be called (``tls/openssl.py``), and
Python's object only elsewhere.
"""

from __future__ import annotations

import ssl

from ..tls import openssl


class TLSSession:
    """The session of a connection. It may be resumed by connections of the same ``ssl.SSLContext``."""

    __slots__ = ("_object", "_pointer", "resumable")

    def __init__(self, tls: ssl.SSLObject) -> None:
        """``resumable``: the server has given what it takes to resume it (in TLSv1.3 that comes after the handshake)."""
        self._object: ssl.SSLSession | None = None
        self._pointer = 0
        if openssl.WHY_NOT:
            self._object = tls.session
            self.resumable = self._object is not None and bool(self._object.has_ticket or self._object.id)
        else:
            self._pointer = openssl.get_session(tls)
            self.resumable = bool(self._pointer) and openssl.is_resumable(self._pointer)

    def resume(self, tls: ssl.SSLObject) -> None:
        """Offer the session in the handshake that is about to begin."""
        if self._pointer:
            openssl.set_session(tls, self._pointer)
        elif self._object is not None:
            tls.session = self._object

    def __del__(self) -> None:
        if self._pointer:
            openssl.free_session(self._pointer)
