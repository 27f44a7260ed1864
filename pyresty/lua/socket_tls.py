"""TLS on a socket object: the handshake, sessions, and what this side shows of itself.

The one idea: Lua never holds what Python made. A session is a number here and a ``cdata`` there, whose finalizer gives
the number back; a certificate is its PEM text.

https://github.com/openresty/lua-nginx-module#tcpsocksslhandshake
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from typing import TYPE_CHECKING

from ..http.request import Request
from ..process.logs import DEBUG, ERR
from ..tls.context import TLSError
from ..upstream.tls import TLSTransport
from ..upstream.tls_client import TLSClient, check_host, is_host_name, log_handshake
from ..upstream.tls_errors import handshake_failed
from ..upstream.tls_exchange import TOO_LONG
from ..upstream.tls_session import TLSSession
from ..upstream.tls_settings import client
from .cosocket import Answer
from .socket_object import DIALLING, IDLE, CoSocket, sockets

if TYPE_CHECKING:
    from .cosocket import Peer

_numbers = itertools.count(0x10000, 16)  # (they are seen as addresses)

#: The sessions that Lua holds, by number, with the client they belong to.
sessions: dict[int, tuple[TLSSession, TLSClient]] = {}


async def sslhandshake(
    r: Request,
    number: int,
    session: int,
    wanted: bool,
    name: bytes | None,
    verify: bool,
    certificate: bytes | None,
    key: bytes | None,
    timeout: float,
    store: float,
) -> Answer:
    """Shake hands on a connected socket: the number of the new session (0 if none is ``wanted``), or None and why not.

    ``session`` is the number of one to resume, 0 for none; ``name`` is sent, and where ``verify`` asks for it, checked;
    ``certificate`` and ``key`` are PEM. ``timeout`` in milliseconds, 0 for the configured one. ``store`` is the
    ``X509_STORE *`` to verify by, 0 for what is configured: nobody else's sessions are resumed then, nor this one by others.
    """
    u = sockets[number]
    peer = u.peer
    assert peer is not None
    conf = r.loc.conf["lua_ssl"]
    settings = conf.settings._replace(verify=verify)
    if certificate is not None and key is not None:
        settings = settings._replace(certificates=(("data:" + certificate.decode(), "data:" + key.decode()),))
    try:
        used = client(settings)
    except TLSError as error:
        r.log(ERR, str(error))
        return None, b"ssl set client certificate failed"
    if store:
        used = TLSClient(used.context, used.verify, used.depth)
    text = name.decode("utf-8", "surrogateescape") if name else ""
    if name is not None:
        r.log(DEBUG, b'lua ssl server name: "%s"' % name)
        if not name:
            return None, b"SSL_set_tlsext_host_name failed"
    kept = sessions.get(session)
    resumed = None
    if kept is not None and kept[1] is used:
        resumed = kept[0]
        r.log(DEBUG, b"lua ssl set session: %016X" % int(session))
    seconds = timeout / 1000 if timeout > 0 else r.loc.conf["lua"].socket_connect_timeout
    peer.tls = tls = TLSTransport(r.conn.loop, peer, peer.sock)
    u.connecting = DIALLING
    peer.writer = r.conn.loop.create_future()  # (so that others find the socket busy)
    try:
        problem = await _shake(r, u, peer, tls, used, text, resumed, seconds, int(store))
    finally:
        u.connecting = IDLE
        peer.writer = None
    if problem is None and verify:
        problem = _judge(u, tls, used, text)
    if problem is not None:
        u.finalize()
        return None, problem
    log_handshake(r, tls.object)
    return (save_session(r, tls) if wanted else 0,)


async def _shake(
    r: Request,
    u: CoSocket,
    peer: Peer,
    tls: TLSTransport,
    used: TLSClient,
    name: str,
    session: TLSSession | None,
    seconds: float,
    store: int,
) -> bytes | None:
    """The handshake itself; an error for Lua if it fails."""
    loop = r.conn.loop
    lower = peer.transport
    arrived = peer.take(peer.size)
    peer.transport = tls
    tls.take_over(lower, arrived)
    if peer.lost or lower.is_closing():
        return b"handshake failed"
    if peer.read_paused:
        peer.read_paused = False
        lower.resume_reading()
    timer = loop.call_later(seconds, tls.expire)
    try:
        await tls.handshake(used, name if is_host_name(name) else None, session, store)
    except TimeoutError:
        return b"timeout"
    except ssl.SSLCertVerificationError as failure:
        text = failure.verify_message.encode()
        u.log(b"lua ssl certificate verify error: (%d: %s)" % (failure.verify_code, text), b"")
        return b"%d: %s" % (failure.verify_code, text)
    except OSError as failure:
        level, message = handshake_failed(failure)
        r.log(level, message)
        return b"handshake failed"
    except asyncio.CancelledError:
        u.finalize()  # its thread was killed
        raise
    finally:
        timer.cancel()
    return None


def _judge(u: CoSocket, tls: TLSTransport, used: TLSClient, name: str) -> bytes | None:
    """What is wrong with the peer's certificate though OpenSSL finds it good."""
    if used.chain_too_long(tls):
        code, text = TOO_LONG[0], TOO_LONG[1].encode()
        u.log(b"lua ssl certificate verify error: (%d: %s)" % (code, text), b"")
        return b"%d: %s" % (code, text)
    if name and not check_host(tls.object, name):
        u.log(b'lua ssl certificate does not match host "%s"' % name.encode("utf-8", "surrogateescape"), b"")
        return b"certificate host mismatch"
    return None


def save_session(r: Request, tls: TLSTransport) -> int:
    """Keep the session of a connection for Lua under a number."""
    return keep_session(r, tls, TLSSession(tls.object))


def keep_session(r: Request, tls: TLSTransport, session: TLSSession) -> int:
    """Keep ``session`` for Lua under a number."""
    number = next(_numbers)
    sessions[number] = session, tls.client
    r.log(DEBUG, b"lua ssl save session: %016X" % number)
    return number
