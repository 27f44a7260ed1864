"""TLS on cosockets: https://github.com/openresty/lua-nginx-module#tcpsocksslhandshake"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...process.logs import DEBUG
from ...tls import openssl
from ...upstream.tls_session import TLSSession
from ..socket_object import BAD_REQUEST, CLOSED, sockets
from ..socket_tls import keep_session, sessions, sslhandshake

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls. A number is 0 for an object that was never connected."""

    def socket_secured(number: int) -> int:
        """Whether TLS is there already (1) or not (0), or why a handshake is refused."""
        u = sockets.get(number)
        if u is None or u.peer is None or u.read_closed or u.write_closed:
            return CLOSED
        if u.r is not vm.r:
            return BAD_REQUEST
        busy = u.busy(True, True)
        if busy:
            return busy
        tls = u.peer.tls
        return 1 if tls is not None and tls.handshaked else 0

    def socket_session(number: int, resumable: bool) -> Any:
        """A number for the session of a connection, 0 if it has none; or (None, error). ``resumable`` asks for one that
        can be resumed.
        """
        u = sockets.get(number)
        if u is None or u.peer is None or (u.read_closed and u.write_closed):
            return None, b"closed"
        tls = u.peer.tls
        if tls is None or not tls.handshaked:
            return None, b"no session"
        session = TLSSession(tls.object)
        if resumable and not session.resumable:
            return None, b"not resumable"
        assert vm.r is not None
        return keep_session(vm.r, tls, session)

    def socket_ssl_pointer(number: int, context: bool) -> Any:
        """OpenSSL's pointer to a connection, or to its context; or (None, error)."""
        u = sockets.get(number)
        if u is None or u.peer is None or (u.read_closed and u.write_closed):
            return None, b"closed"
        tls = u.peer.tls
        if tls is None or not tls.handshaked:
            return None, b"no ssl context" if context else b"no ssl connection"
        if openssl.WHY_NOT:
            return None, openssl.WHY_NOT.encode()
        return openssl.context_pointer(tls.object) if context else openssl.pointer(tls.object)

    def ssl_free_session(number: int) -> None:
        """Lua has let go of a session."""
        sessions.pop(int(number), None)
        log = vm.config.error_log
        if log.enabled(DEBUG):
            log.write(DEBUG, b"lua ssl free session: %016X" % int(number))

    table = (socket_secured, socket_session, socket_ssl_pointer, ssl_free_session)
    return {function.__name__: function for function in table}


OPERATIONS = {"sslhandshake": sslhandshake}
