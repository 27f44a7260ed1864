"""One client connection: bytes come in, requests are made of them, one after the other.

A head that was seen before is not parsed again: the address keeps the parsed form of recent heads by their bytes. A request that is
answered without waiting is complete when ``data_received`` returns; while one waits, what the client sends meanwhile (pipelined
requests) is kept in ``buf``. An idle connection holds nothing but its slots.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from ..process.logs import INFO
from .codec import BadHead, Head, check_head_size, find_head_end, parse_head, parse_odd
from .phases import refuse, start
from .request import Finalize, Request
from .throttle import Throttle
from .timeouts import NEVER, TICK

if TYPE_CHECKING:
    from ..modules.http_core import CoreLocation
    from ..process.logs import ErrorLog
    from .body import RequestBody
    from .worker import Address, HttpWorker

#: Pipelined bytes that are kept while a request is being served, before reading is paused.
_PIPELINE_BYTES = 65536
#: The longest head that is remembered.
_REMEMBERED_BYTES = 4096


class Connection(asyncio.Protocol):
    """The protocol object of one accepted connection (HTTP/1.x and 0.9)."""

    __slots__ = (
        "_ending", "_head_timed", "_looping", "_read_paused", "_unread", "_unsent", "address", "body", "bucket", "buf",
        "deadline", "eof", "lingering", "loop", "lost", "names", "number", "on_data", "r", "real", "requests", "task", "timed_out",
        "transport", "waiting_write", "worker", "write_paused",
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
        self.real: tuple[bytes, int] | None = (
            None  #: the client's address and port where a proxy has named another one (realip)
        )
        self.number = 0
        self.deadline = NEVER
        self.bucket = 0
        self.lost = False
        self.eof = False
        self.lingering = 0.0
        self.timed_out = False  #: what ends now ends because the client was too slow
        self.write_paused = False
        self.task: asyncio.Task[None] | None = None
        self.on_data: Any = None  #: takes the bytes of a connection that has become a tunnel, or of ngx.req.socket
        self.waiting_write: asyncio.Future[None] | None = None
        self._read_paused = False
        self._looping = False
        self._unread: RequestBody | None = None  # a body that nobody wants
        self._ending: Request | None = None  # all of its response is written, but the client has not taken it yet
        self._unsent = 0
        self._head_timed = 0  # requests that had been served when client_header_timeout began to count

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
            body = self._unread
            self._take_unread(data)
            if self.r is None:
                self._await_unread(body)
        else:
            self.buf += data
            if len(self.buf) > _PIPELINE_BYTES:
                self.pause_reading()

    def eof_received(self) -> bool:
        """The client has sent all it will: what was asked for is still answered."""
        r = self.r
        self.eof = True
        if self.on_data is not None:
            self.on_data(b"")
            return True
        if r is None:
            self._client_left()
            return False
        if self.body is not None:
            r.log(INFO, "client prematurely closed connection")
            r.aborted = True
            self.body.fail(400)
        elif r.on_abort is not None:
            r.client_closed()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        worker = self.worker
        worker.connections.discard(self)
        worker.wheel.forget(self)
        if self.r is None:
            if not self.eof:
                self._client_left()
        else:
            if isinstance(exc, BrokenPipeError):
                self.r.log(INFO, "writev() failed (32: Broken pipe)")
            if self.body is not None:
                self.r.aborted = True
                self.body.fail(400)
            if self.on_data is not None:
                self.on_data(b"")
            if self.waiting_write is not None and not self.waiting_write.done():
                self.waiting_write.set_exception(Finalize(499))
            self.r.client_closed()
            if self._ending is not None:
                self.resume_writing()
        if worker.quitting:
            worker.check_empty()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        if self.transport.__class__ is Throttle and self.transport.holds and not self.lost:
            return
        self.write_paused = False
        if self.waiting_write is not None:
            if not self.waiting_write.done():
                self.waiting_write.set_result(None)
        elif self._ending is not None:
            r, self._ending = self._ending, None
            self.deadline = NEVER
            self.ended(r)

    @property
    def error_log(self) -> ErrorLog:
        """That of the address's default server. nginx: ``ls->logp``."""
        log: ErrorLog = self.names.default.root.core.error_log
        return log

    # -- requests

    def _serve(self, data: bytes, pipelined: bool = False) -> None:
        """Serve the requests in ``data`` as far as they are complete and answer at once."""
        self._looping = True
        address = self.address
        head = None
        if not pipelined and self.names is address.names:
            head = address.heads.get(data)
        rest = b""
        while True:
            if head is None:
                end = find_head_end(data, 0)
                if end < 0:
                    self._incomplete(data, pipelined)
                    break
                rest = data[end:]
                head = self._head(data[:end] if rest else data)
                if head is None:
                    break
            self.buf = rest
            self.requests += 1
            self.deadline = NEVER
            self.r = r = Request(self, head, time.time())
            if pipelined:
                r.pipeline = True
            if head.notices:
                for notice in head.notices:
                    r.log(INFO, notice)
            start(r)
            data = self.buf
            if not data or self.r is not None or self.lost or self.lingering or self._unread is not None:
                break
            self.buf = b""
            head = None
            pipelined = True
        self._looping = False

    def _head(self, raw: bytes) -> Head | None:
        """The parsed head for ``raw``; None if it is bad and has been answered."""
        address = self.address
        same = self.names is address.names
        head = (address.heads.get(raw) or address.older.get(raw)) if same else None
        if head is None:
            core = self.names.default.core
            try:
                check_head_size(raw, core.large_client_header_buffers, core.client_header_buffer_size, True)
                if self.names.mixed:
                    head = parse_odd(raw, core.head_options, self.names.head_options)
                else:
                    head = parse_head(raw, core.head_options)
            except BadHead as bad:
                self._refuse(bad, raw)
                return None
            server, match = self.names.find(head.host)
            head.server = server
            head.server_match = match
        if same and head.cacheable and not head.notices and len(raw) <= _REMEMBERED_BYTES:
            heads = address.heads
            heads[raw] = head
            if len(heads) > address.kept:
                address.older = heads if address.kept else {}
                address.heads = {}
        return head

    def _incomplete(self, data: bytes, pipelined: bool) -> None:
        """Keep the beginning of a head for later, unless it is too large already."""
        core = self.names.default.core
        try:
            check_head_size(data, core.large_client_header_buffers, core.client_header_buffer_size, False)
        except BadHead as bad:
            self._refuse(bad, data)
            return
        self.buf = data
        if self.eof:
            self._client_left()
            self.transport.close()
        elif self.requests != self._head_timed and not self.lost:
            # one timeout for the whole head, however its bytes trickle in
            self._head_timed = self.requests
            self.worker.wheel.watch(self, self.loop.time() + core.client_header_timeout)

    def _refuse(self, bad: BadHead, raw: bytes) -> None:
        """Answer a head that is not to be understood."""
        r = self._unparsed(bad, raw)
        r.log(INFO, bad.reason)
        self.buf = b""
        self.r = r
        start(r, refuse(r, bad.status))

    def _unparsed(self, bad: BadHead, raw: bytes) -> Request:
        head = Head.unparsed(raw, bad)
        head.server, head.server_match = self.names.find(head.host)
        self.requests += 1
        self.deadline = NEVER
        r = Request(self, head, time.time())
        r.keepalive = False
        r.refused = True
        return r

    def _client_left(self) -> None:
        """The client has closed while no request was being served."""
        if self.lingering or self._unread is not None:
            return
        if self.buf:
            self._broken_off(400, "client prematurely closed connection")
        elif not self.timed_out:
            if self.requests:
                log = self.error_log
                if log.enabled(INFO):
                    log.write(INFO, b"client %s closed keepalive connection" % self.remote_addr, self.number)
            else:
                self.worker.log(INFO, "client closed connection while waiting for request", self)

    def _broken_off(self, status: int, reason: str) -> None:
        """Log a request of which the head never became complete; nginx answers nothing."""
        raw, self.buf = self.buf, b""
        reading = "headers" if b"\n" in raw.lstrip(b"\r\n") else "line"
        r = self._unparsed(BadHead(status, reason), raw)
        r.log(INFO, f"{reason} while reading client request {reading}")
        r.aborted = True
        r.status = status
        for log in r.loc.log:
            log(r)

    # -- the end of a request

    def ended(self, r: Request) -> None:
        """The response has been written: once the client has taken it, log it, and go on to the next request or the end."""
        if self.write_paused and not self.lost and not r.upgraded:
            self._ending = r
            self.watch_sending(r)
            return
        for log in r.loc.log:
            log(r)
        if r.lua:
            r.server.config.lua.release(r)
        if r.cleanups is not None:
            for cleanup in r.cleanups:
                cleanup(r)
        self.r = None
        if r.body is not None or r.head.has_body:
            self._after_body(r)
        elif not self.lost:
            self._go_on(r)

    def _after_body(self, r: Request) -> None:
        """Go on after a request that came with a body: what is left of it must pass by first."""
        body = r.body
        if body is not None:
            self.body = None
            body.close()
        if self.lost:
            return
        if r.head.has_body and not r.upgraded and not r.refused:
            if body is not None and body.started:
                if not body.complete:
                    self._discard(body)
            elif not r.discarded:
                self.discard(r)
            if self._unread is not None:
                self._await_unread(self._unread)
                return
        self._go_on(r)

    def _go_on(self, r: Request) -> None:
        """Close the connection, or wait for the next request on it, or serve that if it is here already."""
        self.on_data = None
        if not r.keepalive or self.worker.quitting:
            self._close(r)
            return
        if self.eof and not self.buf:
            if not r.aborted:
                self._client_left()
            self._close(r)
            return
        self.deadline = deadline = self.loop.time() + r.loc.core.keepalive_timeout
        if not 0 < self.bucket * TICK <= deadline:
            self.worker.wheel.watch(self, deadline)
        if self._read_paused:
            self.resume_reading()
        if not self._looping and self.buf:
            data, self.buf = self.buf, b""
            self._serve(data, True)

    # -- bodies that nobody reads. nginx: ``ngx_http_discard_request_body``

    def discard(self, r: Request) -> bool:
        """Begin to let the body of ``r`` pass by; False if it turns out to be malformed."""
        from .body import RequestBody

        r.discarded = True
        body = RequestBody(r)
        self._discard(body)
        return not body.failed

    @property
    def discarding(self) -> bool:
        """Whether more of a body that nobody wants is to come."""
        return self._unread is not None

    def _discard(self, body: RequestBody) -> None:
        body.started = True
        body.discarding = True
        self.body = None
        self._unread = body
        if self._read_paused:
            self.resume_reading()
        data, self.buf = self.buf, b""
        if data:
            self._take_unread(data)

    def _take_unread(self, data: bytes) -> None:
        body = self._unread
        assert body is not None
        rest = body.feed(data)
        if body.complete:
            self._unread = None
            self.buf = rest

    def _await_unread(self, body: RequestBody) -> None:
        """The response is complete: wait for what is left of the body, but not for ever."""
        r = body.r
        if body.complete:
            self._go_on(r)
        elif body.failed or not r.keepalive or self.eof:
            self._unread = None
            self._close(r, unread=True)
        else:
            now = self.loop.time()
            core = r.loc.core
            if not body.until:
                body.until = now + core.lingering_time
            self.worker.wheel.watch(self, min(body.until, now + core.lingering_timeout))

    # -- the end of the connection

    def _close(self, r: Request, unread: bool = False) -> None:
        """Close, lingering if the client may still be sending. https://nginx.org/en/docs/http/ngx_http_core_module.html#lingering_close"""
        core = r.loc.core
        unread = unread or r.refused or r.raw_socket or bool(self.buf)
        self.buf = b""
        if self.timed_out:
            self._abort(core)
        elif not self.eof and not r.aborted and core.lingering_close in (("on", "always") if unread else ("always",)):
            now = self.loop.time()
            self.lingering = now + core.lingering_time
            if self._read_paused:
                self.resume_reading()
            self.transport.write_eof()
            self.worker.wheel.watch(self, min(self.lingering, now + core.lingering_timeout))
        else:
            self.transport.close()
            # what is left to be sent may be more than the client ever takes
            self.worker.wheel.watch(self, self.loop.time() + core.send_timeout)

    def _abort(self, core: CoreLocation) -> None:
        """Close at once; by a reset where ``reset_timedout_connection`` asks for it."""
        if core.reset_timedout_connection and not self.lost:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def on_deadline(self) -> None:
        """The wheel's call: the client was idle or slow for too long."""
        self.deadline = NEVER
        r = self.r
        if r is None:
            core = self.names.default.root.core
            self.timed_out = True
            if not self.lingering and self._unread is None:
                if self.buf:
                    self._broken_off(408, "client timed out (110: Connection timed out)")
                elif not self.requests:
                    reason = "client timed out (110: Connection timed out) while waiting for request"
                    self.worker.log(INFO, reason, self)
            self._abort(core)
        elif self.body is not None:
            self.timed_out = True
            self.body.fail(408)
        elif self.waiting_write is not None or self._ending is not None:
            unsent = self.transport.get_write_buffer_size()
            if unsent < self._unsent:  # slow, but not stalled
                self.watch_sending(r)
                return
            self.timed_out = True
            r.bytes_sent -= unsent
            r.body_bytes = max(0, r.body_bytes - unsent)
            r.log(INFO, "client timed out (110: Connection timed out) while sending response to client")
            if self.waiting_write is not None and not self.waiting_write.done():
                self.waiting_write.set_exception(Finalize(408))
            self._abort(r.loc.core)

    def close_idle(self) -> None:
        """Close a kept-alive connection that waits for its next request (graceful shutdown); a new one may still send its first."""
        if self.requests and self.r is None and not self.buf and self._unread is None and not self.lingering:
            self.transport.close()

    # -- flow

    async def drained(self) -> None:
        """Wait until the client has read enough. Raises Finalize with 499 if it leaves, 408 if it stalls longer than ``send_timeout``."""
        if self.lost:
            raise Finalize(499)
        await self.wait_writable(self.loop.create_future())

    async def wait_writable(self, ready: asyncio.Future[None]) -> None:
        """Wait for ``ready``, which the transport's ``resume_writing`` sets too. Raises as ``drained``."""
        assert self.r is not None
        self.waiting_write = ready
        self.watch_sending(self.r)
        try:
            await ready
        finally:
            self.waiting_write = None
            self.deadline = NEVER

    def watch_sending(self, r: Request) -> None:
        """Give the client ``send_timeout`` to take something of what the transport holds."""
        self._unsent = self.transport.get_write_buffer_size()
        self.worker.wheel.watch(self, self.loop.time() + r.loc.core.send_timeout)

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
        return self.peer_addr if self.real is None else self.real[0]

    @property
    def remote_port(self) -> int:
        """The client's port, 0 for a unix socket."""
        return self.peer_port if self.real is None else self.real[1]

    def _peername(self) -> Any:
        try:
            return self.transport.get_extra_info("peername")
        except (OSError, ValueError):
            return None  # closed before anybody asked

    @property
    def peer_addr(self) -> bytes:
        """The address at the other end of the connection, as text."""
        peer = self._peername()
        return peer[0].encode() if isinstance(peer, tuple) and peer else b"unix:"

    @property
    def peer_port(self) -> int:
        """The port at the other end of the connection, 0 for a unix socket."""
        peer = self._peername()
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
    tls: Any = None  #: what speaks TLS below, if anything does (``tls/transport.py``)
