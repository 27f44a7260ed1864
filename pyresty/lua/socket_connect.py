"""Connecting a socket object: its turn in the pool, the address of the name, the connection. One operation: ``connect``.

https://github.com/openresty/lua-nginx-module#tcpsockconnect
"""

from __future__ import annotations

import asyncio
import socket
from errno import EHOSTUNREACH, EINPROGRESS, ENETDOWN, ENETUNREACH
from typing import NamedTuple

from ..http.request import Request
from ..process.logs import CRIT, DEBUG, ERR
from ..upstream.address import Address, BadAddress, inet_address, is_inet, parse_url
from ..upstream.resolver import SYSTEM, ResolveError
from .cosocket import Answer, Peer
from .socket_object import DIALLING, IDLE, CoSocket, sockets, time_for
from .socket_pool import POOLS, pool_for
from .strerror import failed, lua_text
from .wait import wake, within

#: Of a host, as much as the error log names (COSOCKET_HOST_LEN).
_HOST_BYTES = 32


class Target(NamedTuple):
    """What to connect to, and the address of ours to connect from."""

    host: bytes
    port: int
    local: bytes | None


async def connect(
    r: Request, number: int, host: bytes, port: float, size: float, backlog: float, local: bytes | None, timeout: float
) -> Answer:
    """Connect a socket for which no idle connection was there (``socket_connect``); ``port`` is 0 for a unix socket.

    A pool is made if ``size`` is not 0; -1 is the configured size. ``timeout`` in milliseconds, 0: the configured one.
    """
    u = sockets[number]
    conf = r.loc.conf["lua"]
    seconds = time_for(r, b"tcp socket connect", timeout, conf.socket_connect_timeout)
    target = Target(host, int(port), local)
    pool = POOLS.get(u.key)
    if size:
        pool = pool_for(r, u.key, int(size) if size > 0 else conf.socket_pool_size, int(backlog))
    u.pool = counted = pool
    if pool is not None and not pool.enter():
        u.pool = None
        u.connecting = IDLE
        return None, b"too many waiting connect operations"
    try:
        if pool is not None and pool.full:
            text = b'lua tcp socket queue connect operation for connection pool "%s", connections: %d'
            r.log(DEBUG, text % (u.key, pool.connections))
            if not await pool.turn(seconds):
                u.log(b"lua tcp socket queued connect timed out, when trying to connect to %s:%d" % target[:2])
                return None, b"timeout"
            kept = pool.pop()
            if kept is not None:
                pool.connections -= 1  # it was counted itself
                counted = None
                u.attach(kept)
                return (1,)
        address = await find_address(r, target)
        if isinstance(address, bytes):
            return None, address
        u.connecting = DIALLING
        error = await _dial(r, u, target, address, seconds)
        if error is not None:
            return None, error
        counted = None
        return (1,)
    finally:
        u.connecting = IDLE
        if counted is not None:
            counted.leave()


async def find_address(r: Request, target: Target) -> Address | bytes:
    """The address to connect to, or an error for Lua."""
    try:
        url = parse_url(target.host, target.port, False)
    except BadAddress as error:
        return b'failed to parse host name "%s": %s' % (target.host, str(error).encode())
    if url.address is not None:
        return url.address
    core = r.loc.core
    try:
        found = await (core.resolver or SYSTEM).resolve(url.host, core.resolver_timeout)
    except ResolveError as failure:
        return failure.text
    name = found[0]
    if core.resolver is None:
        # The family that any system has a route for: "localhost" is mostly meant for 127.0.0.1.
        name = next((one for one in found if is_inet(one.encode())), name)
    return inet_address(socket.AF_INET if is_inet(name.encode()) else socket.AF_INET6, name, target.port)


async def _dial(r: Request, u: CoSocket, target: Target, address: Address, seconds: float) -> bytes | None:
    """Connect, and give the connection to ``u``; an error for Lua if that fails. nginx: ``ngx_event_connect_peer``."""
    loop = r.conn.loop
    family, sockaddr, name = address
    unix = isinstance(sockaddr, str)
    if unix:
        name = target.host
    where = _where(target.host, 0 if unix else sockaddr[1], name)  # type: ignore[arg-type]
    sock = socket.socket(family, socket.SOCK_STREAM)
    kept = False
    try:
        sock.setblocking(False)
        if target.local is not None:
            local = parse_url(target.local, 0, False).address
            assert local is not None
            try:
                sock.bind(local.sockaddr)
            except OSError as failure:
                r.log(CRIT, b"%s, upstream: %s" % (failed(b"bind(%s)" % host_of(local.name), failure), where))
                return lua_text(failure)
        rc = sock.connect_ex(sockaddr)
        if rc == EINPROGRESS:
            if not await _writable(loop, sock, seconds):
                u.log(b"lua tcp socket connect timed out", b", upstream: " + where)
                return b"timeout"
            rc = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if rc:
                error = OSError(rc, "")
                u.log(failed(b"connect()", error), b"")
                return lua_text(error)
        elif rc:
            error = OSError(rc, "")
            level = ERR if rc in (11, 104, 111, ENETDOWN, ENETUNREACH, EHOSTUNREACH) else CRIT
            r.log(level, b"%s, upstream: %s" % (failed(b"connect() to " + name, error), where))
            return lua_text(error)
        peer = Peer(loop, sock, u, where)
        if unix:
            await loop.create_unix_connection(lambda: peer, sock=sock)
        else:
            await loop.create_connection(lambda: peer, sock=sock)
        kept = True
        if u.number not in sockets:
            peer.close()
            return b"closed"
        u.attach(peer)
        return None
    finally:
        if not kept:
            sock.close()


async def _writable(loop: asyncio.AbstractEventLoop, sock: socket.socket, seconds: float) -> bool:
    """Wait until a connecting socket is connected or has failed; False after ``seconds``."""
    waiter: asyncio.Future[bool] = loop.create_future()
    loop.add_writer(sock, wake, waiter)
    try:
        return await within(waiter, seconds)
    finally:
        loop.remove_writer(sock)


def _where(host: bytes, port: int, name: bytes) -> bytes:
    """``HOST:PORT(ADDRESS)``; the address without its port."""
    if len(host) >= _HOST_BYTES:
        host = host[: _HOST_BYTES - 4] + b"..."
    if not port:
        return b"%s(%s)" % (host, name)
    return b"%s:%d(%s)" % (host, port, host_of(name))


def host_of(name: bytes) -> bytes:
    """The address in ``ADDRESS:PORT``, an IPv6 one without its brackets."""
    return name.rpartition(b":")[0].strip(b"[]")
