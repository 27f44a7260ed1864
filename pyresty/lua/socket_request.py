"""``ngx.req.socket``: the client's connection, or the body that comes over it, read like any other cosocket.

A Downstream is a Peer whose bytes the connection hands over (``Connection.on_data``) and whose closing only lets go of that connection.
https://github.com/openresty/lua-nginx-module#ngxreqsocket
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..http.body import RequestBody
from ..http.request import Request
from .cosocket import ALL, HIGH_WATER, Answer, Peer
from .socket_object import CoSocket

if TYPE_CHECKING:
    from ..http.connection import Connection


class RequestSocket(CoSocket):
    """What ``ngx.req.socket`` gives stands for. The client's address is in log lines anyway, so there is no ``upstream:``."""

    __slots__ = ()

    peer: Downstream | None

    def where(self) -> bytes:
        """No peer to name."""
        return b""

    where_reused = where

    def read_failed(self, error: OSError | None) -> bytes:
        """No more can be read; the text for Lua."""
        peer = self.peer
        if error is None and peer is not None and peer.client_gone:
            self.read_closed = True
            return b"client aborted"
        return super().read_failed(error)


class Downstream(Peer):
    """The client's connection as a peer; with ``body`` only as much of it as the request's body has."""

    __slots__ = ("body", "client_gone", "conn", "left", "r")

    def __init__(self, r: Request, owner: RequestSocket, body: RequestBody | None) -> None:
        conn: Connection = r.conn
        super().__init__(conn.loop, conn.transport.get_extra_info("socket"), owner, b"")
        self.r = r
        self.conn = conn
        self.body = body
        self.left = body.lend() if body is not None else 0
        self.client_gone = False  #: the end came where it should not have come
        self.transport = conn.transport
        self.transport.get_extra_info("peername")  # (which remembers it for the error log: a reset would take it away)
        conn.on_data = self.arrived
        data, conn.buf = conn.buf, b""
        if data:
            self.arrived(data)
        if conn.eof or conn.lost:
            self.arrived(b"")

    def arrived(self, data: bytes) -> None:
        """The connection's call: bytes, or b"" for the end."""
        conn = self.conn
        if not data:
            self._client_ended()
        elif self.body is None:
            self.data_received(data)
        else:
            mine = data[: self.left]
            conn.buf += data[self.left :]
            self.left -= len(mine)
            self.data_received(mine)
            if not self.left:
                self.eof = True
                conn.on_data = None
                self._ended()

    def _client_ended(self) -> None:
        conn, r = self.conn, self.r
        self.lost = conn.lost
        if conn.lost and not conn.eof:
            self.error = ConnectionResetError(104, "Connection reset by peer")
        watched = r.loc.conf["lua"].check_client_abort
        self.client_gone = self.error is None and (self.left > 0 or watched)
        unread = self.reader is None
        self.eof = True
        self._ended()
        if watched and unread and not conn.lost and r.on_abort is not None:
            r.client_closed()

    def attempt(self) -> Answer | None:
        """As Peer's; what a client that has gone leaves is not all of it."""
        return None if self.client_gone and self.kind == ALL else super().attempt()

    # -- flow: the connection keeps count of who has paused it

    def _limit(self) -> None:
        if self.size > HIGH_WATER and not self.read_paused:
            self.read_paused = True
            self.conn.pause_reading()

    def wait(self, timeout: float) -> asyncio.Future[Answer]:
        """As Peer's; the client may go on sending."""
        self.read_paused = False
        self.conn.resume_reading()
        return super().wait(timeout)

    # -- sending

    def send(self, data: bytes) -> bool:
        """Send to the client; False if it is too slow to take everything now. Raises OSError."""
        if self.lost or self.conn.lost:
            raise self.error or BrokenPipeError(32, "Broken pipe")
        if not self.write_limited:
            self.write_limited = True
            self.transport.set_write_buffer_limits(0)
        self.r.bytes_sent += len(data)
        self.transport.write(data)
        return self.taken()

    async def sent(self, timeout: float) -> Answer:
        """As Peer's; the connection says when the client has taken everything."""
        conn = self.conn
        conn.waiting_write = taken = conn.loop.create_future()
        taken.add_done_callback(self._taken)
        try:
            return await super().sent(timeout)
        finally:
            conn.waiting_write = None

    def _taken(self, taken: asyncio.Future[None]) -> None:
        if taken.cancelled():
            return
        if taken.exception() is None:
            self.resume_writing()
        elif self.writer is not None and not self.writer.done():
            assert self.owner is not None
            self.writer.set_result((None, self.owner.send_failed(BrokenPipeError(32, "Broken pipe"))))

    def close(self) -> None:
        """Let go of the connection; what is left of the body is the connection's to read."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.conn.on_data = None
        if self.body is not None:
            self.body.give_back(self.left)


def body_socket(r: Request) -> int | bytes:
    """``ngx.req.socket()``: the number of a new socket object, or why there is none."""
    head = r.head
    if head.chunked:
        return b"chunked request bodies not supported yet"
    if r.body is not None or r.raw_socket:
        return b"request body already exists"
    if r.discarded:
        return b"request body discarded" if r.conn.discarding else b"no body"
    if not head.content_length:
        return b"no body"
    r.body = body = RequestBody(r)
    u = RequestSocket(r)
    u.attach(Downstream(r, u, body))
    return u.number


def raw_socket(r: Request) -> Answer:
    """``ngx.req.socket(true)``: the number of a new socket object, or None and why there is none."""
    body = r.body
    if body is not None and body.started and not body.complete:
        return None, b"pending request body reading in some other thread"
    r.flush()
    conn = r.conn
    if conn.transport.get_write_buffer_size():
        return None, b"pending data to write"
    if r.held is not None:
        return None, b"http 1.0 buffering"
    if r.raw_socket:
        return None, b"duplicate call"
    r.raw_socket = r.header_sent = r.finished = r.discarded = True
    r.keepalive = False
    u = RequestSocket(r)
    u.attach(Downstream(r, u, None))
    return (u.number,)
