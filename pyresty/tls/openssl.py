"""The functions of OpenSSL that Python's ``ssl`` has no name for, called through ctypes.

The one idea: they are called in the very library that ``_ssl`` is linked to, on the ``SSL_CTX`` and ``SSL`` that Python's
objects hold: in CPython 3.10 to 3.14 the first field of ``_ssl._SSLContext`` and the second of ``_ssl._SSLSocket``. Where
that can't be relied on (another Python, OpenSSL linked into the interpreter) ``WHY_NOT`` says so, and what needs it is
refused by name; everything else works without.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys
from typing import Any

_SET_CACHE_SIZE, _SET_CACHE_MODE, _SET_TICKET_KEYS, _SET_GROUPS, _SET_VERIFY_STORE, _GET_GROUP = (
    42,
    44,
    59,
    92,
    106,
    134,
)
#: ``ssl_session_cache``. nginx: ``ngx_ssl_session_cache``; SSL_SESS_CACHE_SERVER, _NO_AUTO_CLEAR, _NO_INTERNAL_STORE.
_CACHE_MODES = {"off": 0, "none": 0x2 | 0x80 | 0x200, "builtin": 0x2, "shared": 0x2}
_CONF_FILE, _CONF_SERVER, _CONF_CLIENT, _CONF_CERTIFICATE, _CONF_SHOW_ERRORS = 0x2, 0x8, 0x4, 0x20, 0x10
_NAMES_OF_CODES, _ERR_TEXT = 256, 2

_P, _I, _L, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "SSL_CTX_ctrl": (_L, (_P, _I, _L, _P)),
    "SSL_ctrl": (_L, (_P, _I, _L, _P)),
    "SSL_CTX_set_timeout": (_L, (_P, _L)),
    "SSL_CTX_set_session_id_context": (_I, (_P, _S, ctypes.c_uint)),
    "SSL_CTX_sess_set_get_cb": (None, (_P, _P)),
    "SSL_CTX_sess_set_new_cb": (None, (_P, _P)),
    "SSL_CTX_set_verify": (None, (_P, _I, _P)),
    "SSL_CTX_set_verify_depth": (None, (_P, _I)),
    "SSL_load_client_CA_file": (_P, (_S,)),
    "SSL_CTX_set_client_CA_list": (None, (_P, _P)),
    "SSL_get_verify_result": (_L, (_P,)),
    "X509_verify_cert_error_string": (_S, (_L,)),
    "SSL_CONF_CTX_new": (_P, ()),
    "SSL_CONF_CTX_free": (None, (_P,)),
    "SSL_CONF_CTX_set_flags": (ctypes.c_uint, (_P, ctypes.c_uint)),
    "SSL_CONF_CTX_set_ssl_ctx": (None, (_P, _P)),
    "SSL_CONF_CTX_finish": (_I, (_P,)),
    "SSL_CONF_cmd": (_I, (_P, _S, _S)),
    "SSL_get_client_random": (ctypes.c_size_t, (_P, _P, ctypes.c_size_t)),
    "SSL_get_server_random": (ctypes.c_size_t, (_P, _P, ctypes.c_size_t)),
    "SSL_get_session": (_P, (_P,)),
    "SSL_session_reused": (_I, (_P,)),
    "SSL_get1_session": (_P, (_P,)),
    "SSL_set_session": (_I, (_P, _P)),
    "SSL_SESSION_free": (None, (_P,)),
    "SSL_SESSION_is_resumable": (_I, (_P,)),
    "SSL_SESSION_get_id": (_P, (_P, _P)),
    "SSL_SESSION_get_protocol_version": (_I, (_P,)),
    "SSL_SESSION_get_time": (_L, (_P,)),
    "SSL_SESSION_get_timeout": (_L, (_P,)),
    "d2i_SSL_SESSION": (_P, (_P, _P, _L)),
    "i2d_SSL_SESSION": (_I, (_P, _P)),
    "SSL_SESSION_get_master_key": (ctypes.c_size_t, (_P, _P, ctypes.c_size_t)),
    "SSL_export_keying_material": (_I, (_P, _P, ctypes.c_size_t, _S, ctypes.c_size_t, _S, ctypes.c_size_t, _I)),
    "OBJ_nid2sn": (_S, (_I,)),
    "ERR_clear_error": (None, ()),
    "ERR_get_error_line_data": (ctypes.c_ulong, (_P, _P, _P, _P)),
    "ERR_error_string_n": (None, (ctypes.c_ulong, _P, ctypes.c_size_t)),
    "BIO_new_mem_buf": (_P, (_S, _I)),
    "BIO_free": (_I, (_P,)),
    "PEM_read_bio_PrivateKey": (_P, (_P, _P, _P, _S)),
    "d2i_AutoPrivateKey": (_P, (_P, _P, _L)),
    "i2d_PrivateKey": (_I, (_P, _P)),
    "EVP_PKEY_free": (None, (_P,)),
}


def _load() -> tuple[Any, str]:
    if sys.implementation.name != "cpython" or not (3, 10) <= sys.version_info[:2] <= (3, 14):
        return None, "it is only known how to in CPython 3.10 to 3.14"
    path = getattr(_ssl, "__file__", None)
    if path is None:
        return None, "OpenSSL is linked into this Python, so its functions can't be called"
    try:
        library = ctypes.CDLL(path)
        version = library.OpenSSL_version_num
        version.restype = ctypes.c_ulong
        if version() != ssl.OPENSSL_VERSION_NUMBER:
            return None, "another OpenSSL is in the way"
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as error:
        return None, f"OpenSSL's functions can't be called ({error})"
    return library, ""


_lib, WHY_NOT = _load()  #: ``WHY_NOT`` is "" where the functions below can be called

#: What is not verified is accepted here and judged later, as in nginx (``ngx_ssl_verify_callback``).
_accept = ctypes.CFUNCTYPE(_I, _I, _P)(lambda ok, store: 1)


def _ctx(context: ssl.SSLContext) -> int:
    return _P.from_address(id(context) + object.__basicsize__).value or 0


def _ssl_of(tls: ssl.SSLObject) -> int:
    inner = tls._sslobj  # type: ignore[attr-defined]
    return _P.from_address(id(inner) + object.__basicsize__ + ctypes.sizeof(_P)).value or 0


def errors() -> str:
    """What OpenSSL has queued, as nginx shows it: ``(SSL: error:0A000185:SSL routines::bad value)``; cleared by that."""
    found = []
    data, flags = ctypes.c_char_p(), ctypes.c_int()
    while code := _lib.ERR_get_error_line_data(None, None, ctypes.byref(data), ctypes.byref(flags)):
        buffer = ctypes.create_string_buffer(_NAMES_OF_CODES)
        _lib.ERR_error_string_n(code, buffer, len(buffer))
        text = buffer.value
        if flags.value & _ERR_TEXT and data.value:
            text += b":" + data.value
        found.append(text.decode("utf-8", "replace"))
    return f"(SSL: {' '.join(found)})" if found else ""


# -- contexts


def set_groups(context: ssl.SSLContext, names: str) -> bool:
    """Offer these curves, a list with colons; False where OpenSSL doesn't know one (``errors`` has why)."""
    _lib.ERR_clear_error()
    return bool(_lib.SSL_CTX_ctrl(_ctx(context), _SET_GROUPS, 0, names.encode()))


def set_session_timeout(context: ssl.SSLContext, seconds: int) -> None:
    """Let sessions be resumed for so long."""
    _lib.SSL_CTX_set_timeout(_ctx(context), seconds)


def set_session_cache(context: ssl.SSLContext, kind: str, size: int) -> None:
    """Keep sessions as ``ssl_session_cache`` says: off, none, builtin or shared; at most ``size`` if that is not 0.
    Tickets are another matter.
    """
    _lib.SSL_CTX_ctrl(_ctx(context), _SET_CACHE_MODE, _CACHE_MODES[kind], None)
    if size:
        _lib.SSL_CTX_ctrl(_ctx(context), _SET_CACHE_SIZE, size, None)


def set_session_callbacks(context: ssl.SSLContext, get: Any, new: Any) -> None:
    """Ask ``get`` for sessions that are not in the cache, and tell ``new`` of new ones: functions of ctypes."""
    _lib.SSL_CTX_sess_set_get_cb(_ctx(context), ctypes.cast(get, _P))
    _lib.SSL_CTX_sess_set_new_cb(_ctx(context), ctypes.cast(new, _P))


def set_ticket_keys(context: ssl.SSLContext, keys: bytes) -> None:
    """Encrypt session tickets with ``keys``, 80 bytes: a name of 16, HMAC and AES keys of 32."""
    _lib.SSL_CTX_ctrl(_ctx(context), _SET_TICKET_KEYS, len(keys), keys)


def set_session_context(context: ssl.SSLContext, name: bytes) -> None:
    """Resume sessions only of contexts with the same ``name``, at most 32 bytes."""
    _lib.SSL_CTX_set_session_id_context(_ctx(context), name, len(name))


def accept_unverified(context: ssl.SSLContext, depth: int) -> None:
    """Ask for a certificate, at most ``depth`` intermediate ones away, and go on whatever it is: see ``verify_result``."""
    _lib.SSL_CTX_set_verify(_ctx(context), 1, ctypes.cast(_accept, _P))
    _lib.SSL_CTX_set_verify_depth(_ctx(context), depth)


def set_verify_depth(context: ssl.SSLContext, depth: int) -> None:
    """Accept at most ``depth`` intermediate certificates."""
    _lib.SSL_CTX_set_verify_depth(_ctx(context), depth)


def send_ca_names(context: ssl.SSLContext, path: str) -> None:
    """Tell clients the names of the CAs in the PEM file ``path``."""
    names = _lib.SSL_load_client_CA_file(path.encode("utf-8", "surrogateescape"))
    if names:
        _lib.SSL_CTX_set_client_CA_list(_ctx(context), names)
    _lib.ERR_clear_error()


def conf_command(context: ssl.SSLContext, name: str, value: str, server: bool) -> str:
    """Run one command of ``SSL_CONF_cmd(3)``; "" or why it can't be, in nginx's words."""
    conf = _lib.SSL_CONF_CTX_new()
    try:
        side = _CONF_SERVER if server else _CONF_CLIENT
        _lib.SSL_CONF_CTX_set_flags(conf, _CONF_FILE | side | _CONF_CERTIFICATE | _CONF_SHOW_ERRORS)
        _lib.SSL_CONF_CTX_set_ssl_ctx(conf, _ctx(context))
        _lib.ERR_clear_error()
        if _lib.SSL_CONF_cmd(conf, name.encode(), value.encode()) <= 0:
            return f'SSL_CONF_cmd("{name}", "{value}") failed {errors()}'.rstrip()
        if _lib.SSL_CONF_CTX_finish(conf) != 1:
            return f"SSL_CONF_finish() failed {errors()}".rstrip()
    finally:
        _lib.SSL_CONF_CTX_free(conf)
    return ""


# -- sessions: numbers that are OpenSSL's pointers


def read_session(data: bytes) -> int:
    """The session that ``write_session`` has made ``data`` of, to be given back by ``free_session``; 0 if it is none."""
    start = ctypes.c_char_p(data)
    session = _lib.d2i_SSL_SESSION(None, ctypes.byref(start), len(data))
    _lib.ERR_clear_error()
    return session or 0


def write_session(session: int) -> bytes:
    """The session in DER."""
    return _i2d(_lib.i2d_SSL_SESSION, session)


def session_id(session: int) -> bytes:
    """The session's identifier."""
    size = ctypes.c_uint()
    start = _lib.SSL_SESSION_get_id(session, ctypes.byref(size))
    return ctypes.string_at(start, size.value)


def session_version(session: int) -> int:
    """The number of its protocol, 0x303 for TLSv1.2."""
    return int(_lib.SSL_SESSION_get_protocol_version(session))


def session_end(session: int) -> int:
    """Until when it may be resumed, in seconds since 1970."""
    return int(_lib.SSL_SESSION_get_time(session) + _lib.SSL_SESSION_get_timeout(session))


def is_resumable(session: int) -> bool:
    """Whether the server would know it again."""
    return bool(_lib.SSL_SESSION_is_resumable(session))


def free_session(session: int) -> None:
    """Give back a session."""
    _lib.SSL_SESSION_free(session)


# -- connections


def pointer(tls: ssl.SSLObject) -> int:
    """OpenSSL's ``SSL *``, as long as ``tls`` lives."""
    return _ssl_of(tls)


def context_pointer(tls: ssl.SSLObject) -> int:
    """Its ``SSL_CTX *``."""
    return _ctx(tls.context)


def session_reused(pointer: int) -> bool:
    """Whether the session of an ``SSL *`` has been resumed."""
    return bool(_lib.SSL_session_reused(pointer))


def trust_store(tls: ssl.SSLObject, store: int) -> None:
    """Verify the peer by the ``X509_STORE *`` instead of the context's, in the handshake that is about to begin."""
    _lib.SSL_ctrl(_ssl_of(tls), _SET_VERIFY_STORE, 1, store)


def verify_result(tls: ssl.SSLObject) -> tuple[int, str]:
    """The number and text of the peer's certificate's verification: (0, "ok") if all is well."""
    code = _lib.SSL_get_verify_result(_ssl_of(tls))
    return code, _lib.X509_verify_cert_error_string(code).decode()


def client_random(tls: ssl.SSLObject) -> bytes:
    """The client's 32 random bytes."""
    return _filled(_lib.SSL_get_client_random, _ssl_of(tls), 32)


def server_random(tls: ssl.SSLObject) -> bytes:
    """The server's 32 random bytes."""
    return _filled(_lib.SSL_get_server_random, _ssl_of(tls), 32)


def own_session_id(tls: ssl.SSLObject) -> bytes:
    """The identifier of the session; b"" if there is none."""
    session = _lib.SSL_get_session(_ssl_of(tls))
    return session_id(session) if session else b""


def get_session(tls: ssl.SSLObject) -> int:
    """The session, to be given back by ``free_session``; 0 if there is none."""
    return _lib.SSL_get1_session(_ssl_of(tls)) or 0


def set_session(tls: ssl.SSLObject, session: int) -> None:
    """Offer this session in the handshake."""
    _lib.SSL_set_session(_ssl_of(tls), session)
    _lib.ERR_clear_error()


def master_key(tls: ssl.SSLObject) -> bytes:
    """The session's master key."""
    session = _lib.SSL_get_session(_ssl_of(tls))
    return _filled(_lib.SSL_SESSION_get_master_key, session, 64) if session else b""


def _filled(function: Any, of: int, size: int) -> bytes:
    buffer = ctypes.create_string_buffer(size)
    return buffer.raw[: function(of, buffer, size)]


def keying_material(tls: ssl.SSLObject, length: int, label: bytes, context: bytes | None) -> bytes | None:
    """``length`` bytes as RFC 5705 has them; None if that can't be."""
    buffer = ctypes.create_string_buffer(length)
    given = context is not None
    done = _lib.SSL_export_keying_material(
        _ssl_of(tls), buffer, length, label, len(label), context, len(context or b""), given
    )
    _lib.ERR_clear_error()
    return buffer.raw if done == 1 else None


def curve(tls: ssl.SSLObject) -> str:
    """OpenSSL's short name of the key exchange's group; "" for none."""
    nid = _lib.SSL_ctrl(_ssl_of(tls), _GET_GROUP, 0, None)
    if nid <= 0:
        return ""
    if nid & 0x1000000:
        return f"0x{nid & 0xFFFF:04x}"
    return (_lib.OBJ_nid2sn(nid) or b"").decode()


# -- private keys


def key_from_pem(pem: bytes, password: bytes | None) -> bytes | None:
    """The private key in ``pem`` as DER, in its own type's form; None if it can't be read (with this password)."""
    bio = _lib.BIO_new_mem_buf(pem, len(pem))
    try:
        return _der(_lib.PEM_read_bio_PrivateKey(bio, None, None, password if password is not None else b""))
    finally:
        _lib.BIO_free(bio)


def key_from_der(der: bytes) -> bytes | None:
    """The same key, in its own type's form; None if it is none."""
    start = ctypes.c_char_p(der)
    return _der(_lib.d2i_AutoPrivateKey(None, ctypes.byref(start), len(der)))


def _der(key: int | None) -> bytes | None:
    if not key:
        _lib.ERR_clear_error()
        return None
    try:
        return _i2d(_lib.i2d_PrivateKey, key) or None
    finally:
        _lib.EVP_PKEY_free(key)


def _i2d(function: Any, of: int) -> bytes:
    """What one of OpenSSL's ``i2d_…`` functions makes of an object; b"" if it can't."""
    buffer = ctypes.create_string_buffer(max(function(of, None), 1))
    start = ctypes.c_void_p(ctypes.addressof(buffer))
    size = function(of, ctypes.byref(start))
    return buffer.raw[: max(size, 0)]
