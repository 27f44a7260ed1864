"""Sessions that Lua keeps (``ssl_session_fetch_by_lua*``, ``ssl_session_store_by_lua*``): OpenSSL's side of it.

The one idea: the callbacks of OpenSSL's cache run inside ``do_handshake`` and can't wait, so they decide nothing. What Lua
has fetched is laid ready before that call, what is to be stored is taken up after it; since only one such call runs at a
time, one place for each is enough.

``SSL_CTX_sess_set_get_cb(3)``; sessions are text as ``i2d_SSL_SESSION(3)`` has them.
"""

from __future__ import annotations

import ctypes
import ssl
import time
from typing import Any

from . import openssl

#: The longest session that is taken. nginx: ``NGX_SSL_MAX_SESSION_SIZE``.
_LONGEST = 4096


class Exchange:
    """What goes between a handshake and OpenSSL: the session ``offered`` to be resumed, and the one that was ``made``: the
    number of its protocol, its identifier and itself.
    """

    __slots__ = ("made", "offered")

    def __init__(self) -> None:
        self.offered = b""
        self.made: tuple[int, bytes, bytes] | None = None


exchange = Exchange()


def _get(tls: int, name: int, size: int, copy: Any) -> int | None:
    copy[0] = 0
    data, exchange.offered = exchange.offered, b""
    return openssl.read_session(data) if data else None


def _new(tls: int, session: int) -> int:
    version = openssl.session_version(session)
    exchange.made = version, openssl.session_id(session), openssl.write_session(session)
    return 0


_P, _I = ctypes.c_void_p, ctypes.c_int
_get_callback = ctypes.CFUNCTYPE(_P, _P, _P, _I, ctypes.POINTER(_I))(_get)
_new_callback = ctypes.CFUNCTYPE(_I, _P, _P)(_new)


def watch(context: ssl.SSLContext) -> None:
    """Let the handshakes of ``context`` use ``exchange``. Only where ``openssl.WHY_NOT`` is empty."""
    openssl.set_session_callbacks(context, _get_callback, _new_callback)


def check(data: bytes) -> str:
    """What is wrong with a session that is to be offered; nothing if it can be. ngx_lua:
    ``ngx_http_lua_ffi_ssl_set_serialized_session``.
    """
    if not 0 < len(data) <= _LONGEST:
        return "invalid session length"
    session = openssl.read_session(data)
    if not session:
        return "failed to de-serialize session"
    openssl.free_session(session)
    return ""


def is_fresh(data: bytes) -> bool:
    """Whether a session that can be offered is not too old to be resumed."""
    session = openssl.read_session(data)
    ends = openssl.session_end(session)
    openssl.free_session(session)
    return time.time() < ends
