"""One client connection: bytes come in, requests are made of them, one after the other.

A head that was seen before is not parsed again: the address keeps the parsed form of recent heads by their bytes. A request that is
answered without waiting is complete when ``data_received`` returns; while one waits, what the client sends meanwhile (pipelined
requests) is kept in ``buf``. An idle connection holds nothing but its slots.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

from ..process.logs import INFO
from .codec import BadHead, Head, check_head_size, find_head_end, parse_head
from .phases import run, start
from .request import Finalize, Request
from .special import special_response
from .timeouts import NEVER

if TYPE_CHECKING:
    from .body import RequestBody
    from .worker import Address, HttpWorker

#: Pipelined bytes that are kept while a request is being served, before reading is paused.
_PIPELINE_BYTES = 65536


class Connection(asyncio.Protocol):
    """The protocol object of one accepted connection (HTTP/1.x and 0.9)."""

    __slots__ = (
        "_looping", "_read_paused", "_unread", "address", "body", "bucket", "buf", "deadline", "eof", "lingering", "loop",
        "lost", "names", "number", "on_data", "r", "requests", "task", "transport", "waiting_write", "worker", "write_paused",
    )  # fmt: skip

    transport: Any

    def __init__(self, worker: HttpWorker, address: Address) -> None:
        self.worker = worker
        self.address = address
        self.loop = worker.loop
        self.names = address.names
        self.r: Request | None = None
        self.buf = b""
        self.body: RequestBody | None = None
        self.requests = 0
        self.number = 0
        self.deadline = NEVER
        self.bucket = 0
        self.lost = False
        self.eof = False
        self.lingering = 0.0
        self.write_paused = False
        self.task: asyncio.Task[None] | None = None
        self.on_data: Any = None  #: takes the bytes of a connection that has become a tunnel, or of ngx.req.socket
        self.waiting_write: asyncio.Future[None] | None = None
        self._read_paused = False
        self._looping = False
        self._unread: RequestBody | None = None

    # -- the transport's calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        worker = self.worker
        worker.connections.add(self)
        worker.accepted += 1
        self.number = worker.next_number()
        if self.address.by_local:
            sockname = transport.get_extra_info("sockname")
            self.names = self.address.by_local.get(sockname[0], self.names)
        worker.wheel.watch(self, self.loop.time() + self.names.default.core.client_header_timeout)

    def data_received(self, data: bytes) -> None:
        if self.r is None and not self.lingering and self._unread is None:
            if self.buf:
                data = self.buf + data
                self.buf = b""
            self._serve(data)
        elif self.body is not None:
            self.buf = self.body.feed(data)
            if self.body is not None and self.body.complete:
                self.body = None
        elif self.on_data is not None:
            self.on_data(data)
        elif self.lingering:
            self.worker.wheel.watch(
                self, min(self.lingering, self.loop.time() + self.names.default.root.core.lingering_timeout)
            )
        elif self._unread is not None:
            self._discard(data)
        else:
            self.buf += data
            if len(self.buf) > _PIPELINE_BYTES:
                self.pause_reading()

    def eof_received(self) -> bool:
        r = self.r
        self.eof = True
        if self.on_data is not None:
            self.on_data(b"")
            return True
        if r is None:
            if self.buf and not self.lingering:
                self.worker.log(INFO, "client prematurely closed connection", self)
            return False
        r.keepalive = False
        if self.body is not None:
            r.log(INFO, "client prematurely closed connection")
            self.body.fail(400)
        elif r.on_abort is not None:
            r.client_closed()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        worker = self.worker
        worker.connections.discard(self)
        worker.wheel.forget(self)
        if self.body is not None:
            self.body.fail(400)
        if self.on_data is not None:
            self.on_data(b"")
        if self.waiting_write is not None and not self.waiting_write.done():
            self.waiting_write.set_exception(Finalize(499))
        if self.r is not None:
            self.r.client_closed()
        if worker.quitting:
            worker.check_empty()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.waiting_write is not None and not self.waiting_write.done():
            self.waiting_write.set_result(None)

    # -- requests

    def _serve(self, data: bytes) -> None:
        """Serve the requests in ``data`` as far as they are complete and answer at once."""
        self._looping = True
        address = self.address
        while data:
            head = address.heads.get(data)
            rest = b""
            if head is None or self.names is not address.names:
                end = find_head_end(data, 0)
                if end < 0:
                    if self._incomplete(data):
                        break
                    return
                rest = data[end:]
                head = self._head(data[:end] if rest else data)
                if head is None:
                    break
            self.buf = rest
            self.requests += 1
            self.deadline = NEVER
            self.r = r = Request(self, head, time.time())
            start(r, self._ended)
            if self.r is not None:
                break
            data = self.buf
            if data:
                self.buf = b""
                if self.lost or self.lingering or self._unread is not None:
                    break
        self._looping = False

    def _head(self, raw: bytes) -> Head | None:
        """The parsed head for ``raw``; None if it is bad and has been answered."""
        address = self.address
        same = self.names is address.names
        head = address.older.get(raw) if same else None
        if head is None:
            core = self.names.default.core
            try:
                check_head_size(raw, core.large_client_header_buffers, core.client_header_buffer_size, True)
                head = parse_head(raw, core.head_options)
            except BadHead as bad:
                self._refuse(bad, raw)
                return None
            server, match = self.names.find(head.host)
            head.server = server
            head.server_match = match
        if same and head.cacheable:
            heads = address.heads
            heads[raw] = head
            if len(heads) > address.kept:
                address.older = heads
                address.heads = {}
        return head

    def _incomplete(self, data: bytes) -> bool:
        """Keep the beginning of a head for later; True if it was refused instead."""
        core = self.names.default.core
        try:
            check_head_size(data, core.large_client_header_buffers, core.client_header_buffer_size, False)
        except BadHead as bad:
            self._refuse(bad, data)
            return True
        self._looping = False
        self.buf = data
        if self.requests and self.deadline != NEVER and not self.lost:
            self.worker.wheel.watch(self, self.loop.time() + core.client_header_timeout)
        return False

    def _refuse(self, bad: BadHead, raw: bytes) -> None:
        """Answer a head that is not to be understood."""
        head = Head.unparsed(raw, bad)
        head.server = self.names.default
        self.requests += 1
        self.deadline = NEVER
        self.r = r = Request(self, head, time.time())
        r.keepalive = False
        r.log(INFO, bad.reason)
        self.buf = b""
        start(r, self._ended, _refusal(r, bad.status))

    def _ended(self, r: Request) -> None:
        """The response is complete: log it, and make ready for the next request or the end."""
        for log in r.loc.log:
            log(r)
        if r.lua:
            r.server.config.lua.release(r)
        if r.cleanups is not None:
            for cleanup in r.cleanups:
                cleanup(r)
        self.r = None
        if self.lost:
            if r.body is not None:
                r.body.close()
            return
        body = r.body
        head = r.head
        if head.content_length or head.chunked:
            if body is not None:
                self.body = None
                body.close()
            if (body is None or not body.started or not body.complete) and not r.upgraded:
                self._skip_body(r)
                return
        self.on_data = None
        if r.upgraded or not r.keepalive or self.eof or self.worker.quitting:
            self._close(r)
            return
        self._next(r)

    def _next(self, r: Request) -> None:
        """Wait for the next request on this connection, or serve it if it is here already."""
        self.deadline = deadline = self.loop.time() + r.loc.core.keepalive_timeout
        if not self.bucket or deadline - self.loop.time() < 5:
            self.worker.wheel.watch(self, deadline)
        if self._read_paused:
            self.resume_reading()
        if not self._looping and self.buf:
            data, self.buf = self.buf, b""
            self._serve(data)

    def _skip_body(self, r: Request) -> None:
        """Nobody read the body: let it pass by, as nginx does (``ngx_http_discard_request_body``)."""
        from .body import RequestBody

        body = r.body if r.body is not None and r.body.started else RequestBody(r)
        self._unread = body
        body.started = True
        body.discarding = True
        if r.head.expect_continue and not self.buf:
            self._unread = None
            self._close(r)
            return
        data, self.buf = self.buf, b""
        self._discard(data)

    def _discard(self, data: bytes) -> None:
        body = self._unread
        assert body is not None
        r = body.r
        rest = body.feed(data) if data else b""
        if body.failed:
            self._unread = None
            self._close(r)
        elif body.complete:
            self._unread = None
            self.buf = rest
            if not r.keepalive or self.worker.quitting:
                self._close(r)
            else:
                self._next(r)
        elif not r.keepalive:
            self._unread = None
            self._close(r, unread=True)
        else:
            self.worker.wheel.watch(self, self.loop.time() + r.loc.core.lingering_timeout)

    # -- the end

    def _close(self, r: Request, unread: bool = False) -> None:
        """Close, lingering if the client may still be sending. https://nginx.org/en/docs/http/ngx_http_core_module.html#lingering_close"""
        core = r.loc.core
        always = core.lingering_close == "always"
        if core.lingering_close != "off" and not self.eof and (always or unread or self.buf) and not r.aborted:
            self.buf = b""
            now = self.loop.time()
            self.lingering = now + core.lingering_time
            if self._read_paused:
                self.resume_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.worker.wheel.watch(self, min(self.lingering, now + core.lingering_timeout))
        else:
            self.transport.close()

    def on_deadline(self) -> None:
        """The wheel's call: the client was idle or slow for too long."""
        self.deadline = NEVER
        if self.body is not None:
            assert self.r is not None
            self.r.log(INFO, "client timed out (110: Connection timed out) while reading client request body")
            self.body.fail(408)
        elif self.waiting_write is not None and not self.waiting_write.done():
            self.waiting_write.set_exception(Finalize(408))
            self.transport.abort()
        elif self.r is None:
            if self.buf and not self.lingering:
                bad = BadHead(408, "client timed out (110: Connection timed out) while reading client request headers")
                if self.requests == 0 or self.buf:
                    self.worker.log(INFO, bad.reason, self)
            self.transport.close()

    def close_idle(self) -> None:
        """Close if no request is under way (graceful shutdown)."""
        if self.r is None and not self.buf and self._unread is None:
            self.transport.close()

    # -- flow

    async def drained(self) -> None:
        """Wait until the client has read enough. Raises Finalize with 499 if it leaves, 408 if it stalls longer than ``send_timeout``."""
        if self.lost:
            raise Finalize(499)
        self.waiting_write = self.loop.create_future()
        r = self.r
        timeout = r.loc.core.send_timeout if r is not None else 60.0
        self.worker.wheel.watch(self, self.loop.time() + timeout)
        try:
            await self.waiting_write
        finally:
            self.stop_waiting()

    def stop_waiting(self) -> None:
        """The wait for the client to read is over."""
        self.waiting_write = None
        self.deadline = NEVER

    def pause_reading(self) -> None:
        """Stop reading from the client until ``resume_reading``."""
        if not self._read_paused and not self.lost:
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._read_paused and not self.lost:
            self._read_paused = False
            self.transport.resume_reading()

    # -- addresses, looked up only when somebody asks

    @property
    def remote_addr(self) -> bytes:
        """The client's address as text (``$remote_addr``); ``unix:`` for a unix socket."""
        peer = self.transport.get_extra_info("peername")
        return peer[0].encode() if isinstance(peer, tuple) and peer else b"unix:"

    @property
    def remote_port(self) -> int:
        """The client's port, 0 for a unix socket."""
        peer = self.transport.get_extra_info("peername")
        return int(peer[1]) if isinstance(peer, tuple) and peer else 0

    @property
    def binary_remote_addr(self) -> bytes:
        """The client's address in network order, 4 or 16 bytes (``$binary_remote_addr``)."""
        text = self.remote_addr.decode()
        if text == "unix:":
            return b"unix:"
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)

    @property
    def server_addr(self) -> bytes:
        """The address the client connected to (``$server_addr``)."""
        name = self.transport.get_extra_info("sockname")
        return name[0].encode() if isinstance(name, tuple) else b"unix:" + str(name).encode()

    @property
    def server_port(self) -> int:
        """The port the client asked for: the one in the ``listen`` directive, even where ``--listen`` maps it elsewhere."""
        return self.address.port

    scheme = b"http"
    default_port = 80


async def _refusal(r: Request, status: int) -> None:
    rc = await special_response(r, status)
    if rc != 0:
        await run(r)
    else:
        r.finish()
