"""One socket and two that want it: the calls of ``api/socket.py`` on a connection that somebody waits for already."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

from pyresty.lua.api.socket import functions
from pyresty.lua.cosocket import Peer
from pyresty.lua.socket_object import (
    BAD_REQUEST,
    CLOSED,
    CONNECTING,
    DIALLING,
    READING,
    WAIT,
    WRITING,
    CoSocket,
    sockets,
)

LINE = "socket_line"


def request() -> Any:
    """What the calls need of a request."""
    conf = {"lua": SimpleNamespace(socket_log_errors=False, socket_keepalive_timeout=1.0, socket_pool_size=1)}
    r = SimpleNamespaceHashed(loc=SimpleNamespace(conf=conf), at_end=lambda cleanup: None)
    r.main = r
    return r


class SimpleNamespaceHashed(SimpleNamespace):
    """A namespace that can be a key, as requests can."""

    __hash__ = object.__hash__  # type: ignore[assignment]


async def connected(r: Any) -> tuple[CoSocket, socket.socket]:
    """A socket of the request's and the other end of its connection."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    u = CoSocket(r)
    peer = Peer(loop, ours, u, b"")
    await loop.create_unix_connection(lambda: peer, sock=ours)
    u.attach(peer)
    return u, theirs


def test_busy() -> None:
    """A second reader, writer or anything that needs the whole socket is refused; the other direction is free."""

    async def main() -> None:
        r = request()
        calls = functions(SimpleNamespace(queued=[], r=r))  # type: ignore[arg-type]
        u, theirs = await connected(r)
        assert u.peer is not None
        assert calls[LINE](u.number) == WAIT
        reader = u.peer.wait(5)
        for call in (LINE, "socket_close"):
            assert calls[call](u.number) == READING
        assert calls["socket_refused"](u.number, True) == READING
        assert calls["socket_refused"](u.number, False) == 0
        assert calls["socket_any"](u.number, 1) == READING
        assert calls["socket_receive"](u.number, 5) == READING
        assert calls["socket_until"](u.number, b"x", False, 0) == READING
        assert calls["socket_keepalive"](u.number, None, None) == READING
        assert calls["socket_connect"](u.number, b"key") == (READING,)
        assert calls["socket_send"](u.number, b"full duplex") == len(b"full duplex")
        theirs.sendall(b"one\ntwo\n")
        assert await reader == (b"one",)
        assert calls[LINE](u.number) == b"two"

        theirs.setblocking(False)
        assert calls["socket_send"](u.number, b"x" * 5_000_000) == WAIT
        writer = asyncio.ensure_future(u.peer.sent(5))
        await asyncio.sleep(0)
        assert calls["socket_send"](u.number, b"y") == WRITING
        assert calls["socket_close"](u.number) == WRITING
        while not writer.done():
            await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)
        assert await writer == (1,)

        u.finalize()
        u.connecting = DIALLING
        assert calls["socket_send"](u.number, b"y") == CONNECTING
        assert calls["socket_connect"](u.number, b"key") == (CONNECTING,)
        theirs.close()
        sockets.close_all(r)
        assert u.number not in sockets

    asyncio.run(main())


def test_reader_killed() -> None:
    """A light thread that is killed while it reads leaves the socket closed."""

    async def main() -> None:
        r = request()
        calls = functions(SimpleNamespace(queued=[], r=r))  # type: ignore[arg-type]
        u, theirs = await connected(r)
        assert u.peer is not None and calls[LINE](u.number) == WAIT
        u.peer.wait(5).cancel()
        theirs.sendall(b"too late\n")
        await asyncio.sleep(0.01)
        assert calls["socket_send"](u.number, b"x") == CLOSED
        assert calls[LINE](u.number) == CLOSED
        assert u.peer is None
        theirs.close()
        sockets.close_all(r)

    asyncio.run(main())


def test_end_that_the_loop_has_not_seen() -> None:
    """A connection that the other end has closed is not kept: nginx has EPOLLRDHUP by then."""

    async def main() -> None:
        r = request()
        calls = functions(SimpleNamespace(queued=[], r=r))  # type: ignore[arg-type]
        u, theirs = await connected(r)
        theirs.close()
        assert u.peer is not None and not u.peer.eof
        assert calls["socket_keepalive"](u.number, None, None) == CLOSED
        u.peer.transport.abort()
        await asyncio.sleep(0.01)
        assert u.peer.lost and u.peer.sock.fileno() == -1
        assert calls["socket_keepalive"](u.number, None, None) == CLOSED
        sockets.close_all(r)

    asyncio.run(main())


def test_other_request() -> None:
    """While a socket is open, only the request that connected it may use it."""

    async def main() -> None:
        r = request()
        vm = SimpleNamespace(queued=[], r=r)
        calls = functions(vm)  # type: ignore[arg-type]
        u, theirs = await connected(r)
        vm.r = request()
        assert calls[LINE](u.number) == BAD_REQUEST
        assert calls["socket_send"](u.number, b"x") == BAD_REQUEST
        assert calls["socket_connect"](u.number, b"key") == (BAD_REQUEST,)
        theirs.close()
        sockets.close_all(r)

    asyncio.run(main())
