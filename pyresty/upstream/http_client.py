"""A connection to an upstream server that speaks HTTP/1.x, made for one waiting reader.

The one idea: bytes are parsed where they arrive, and whoever waits is woken once, when there is something for it: the
head with as much of the body as came along, or the next piece. A small response is complete when its reader wakes. The
reader's side never raises: it looks at ``failure`` when it has been woken and there is nothing.

RFC 9112; framing as nginx decides it (``ngx_http_proxy_input_filter_init``).
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import ssl
import types
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from ..http.chunked import BadChunk, ChunkedDecoder
from ..http.parked import Parked
from ..http.timeouts import NEVER
from .response_head import InvalidHead, NoHead, ResponseHead, parse_response_head
from .tls_errors import failed as tls_failed

if TYPE_CHECKING:
    from ..http.timeouts import Wheel
    from .address import Address
    from .pool import KeepalivePool
    from .tls import TLSTransport

#: What can become of an exchange, in the words of ``proxy_next_upstream``; "" while all is well.
ERROR, TIMEOUT, INVALID_HEADER = "error", "timeout", "invalid_header"
#: The body is malformed: too late for another upstream.
INVALID_BODY = "invalid_body"


class UpstreamConnection(asyncio.Protocol):
    """A connection, and the exchange that is under way on it.

    ``head`` is the response's head once it is there (None with ``http_09`` set for a response without one),
    ``complete`` tells that all of the body has arrived, ``failure`` why it never will, ``message`` what to log about
    that, in nginx's words without the context ("" after a timeout); ``excess`` that more came than should have,
    ``feeding`` that the request's body is still being sent.
    """

    __slots__ = (
        "_buf", "_conf", "_connecting", "_decoder", "_head_request", "_left", "_loop", "_parked", "_parts", "_paused",
        "_wheel", "bucket", "closed", "complete", "deadline", "error", "excess", "failure", "feeding", "head",
        "head_size", "http_09", "key", "made", "message", "on_writable", "pending", "pool", "received", "requests",
        "sent", "transport", "write_paused",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel, key: bytes) -> None:
        self._loop = loop
        self._wheel = wheel
        self.key = key
        self.transport: Any = None
        self.bucket = 0
        self.deadline = NEVER
        self.made = loop.time()
        self.requests = 0
        self.pool: KeepalivePool | None = None
        self.closed = False
        self.error: OSError | None = None
        self.write_paused = False
        self.on_writable: Callable[[], None] | None = None
        self._parked = Parked()
        self._connecting: asyncio.Future[None] | None = None
        self._conf: Any = None
        self._head_request = False
        self._paused = False
        self._buf = b""
        self._parts: list[bytes] = []
        self._decoder: ChunkedDecoder | None = None
        self._left = 0  # of the body; -1 for a body that ends with the connection
        self.pending = 0
        self.head: ResponseHead | None = None
        self.http_09 = False
        self.head_size = 0
        self.received = self.sent = 0
        self.complete = True
        self.excess = False
        self.feeding = False
        self.failure = self.message = ""

    async def connect(
        self,
        address: Address,
        timeout: float,
        local: tuple[str, int] | None = None,
        tls: TLSTransport | None = None,
    ) -> None:
        """Connect within ``timeout`` seconds, from the local address ``local``, under ``tls`` if that is given (which
        then has to shake hands: ``secure``); ``failure`` tells whether that failed, ``error`` why.
        """
        loop: Any = self._loop
        protocol = self if tls is None else tls
        if isinstance(address.sockaddr, str):
            made = loop.create_unix_connection(lambda: protocol, address.sockaddr)
        else:
            host, port = address.sockaddr
            made = loop.create_connection(lambda: protocol, host, port, family=address.family, local_addr=local)
        await self.within(made, timeout)

    async def within(self, coro: Any, timeout: float) -> None:
        """Await ``coro``, a part of connecting, for ``timeout`` seconds; ``failure`` and ``error`` as with ``connect``.

        That has a timer of its own: beside connecting it costs nothing, and the wheel's resolution is coarse for it.
        """
        timer = self._loop.call_later(timeout, self.on_deadline)
        try:
            await _step(coro, self)
        except OSError as error:
            self.error = error.with_traceback(None)
            self.failure = ERROR
        except asyncio.CancelledError:
            if not self.failure:
                raise
        finally:
            timer.cancel()
            if self.failure:
                self.close()

    # -- an exchange

    def send(self, data: bytes, head_request: bool, conf: Any) -> None:
        """Begin an exchange: send ``data`` (the head, with the body if that is small).

        ``conf`` has the limits: the head of the response may have ``buffer_size`` bytes; reading pauses while more than
        ``window`` bytes of the body wait for their reader; ``read_timeout`` is the time in seconds for the head, and
        between two pieces of the body.
        """
        self._conf = conf
        self._head_request = head_request
        self.head = None
        self.complete = False
        self.received = self.head_size = 0
        self.sent = len(data)
        self.requests += 1
        self.transport.write(data)
        self._wheel.watch(self, self._loop.time() + conf.read_timeout)

    def write(self, data: bytes) -> None:
        """Send more of the request's body."""
        if not self.closed:
            self.sent += len(data)
            self.transport.write(data)

    def wait(self) -> Parked:
        """To be awaited until something has happened: bytes, the end, a failure. Only one may wait."""
        if self.deadline == NEVER and not self._paused and not self.feeding:
            self._wheel.watch(self, self._loop.time() + self._conf.read_timeout)
        return self._parked

    def take(self) -> bytes:
        """What has arrived of the body; b"" if there is nothing (yet)."""
        parts = self._parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        self.pending = 0
        if self._paused:
            self._paused = False
            if not self.closed:
                self.transport.resume_reading()
        return data

    def stop_clock(self) -> None:
        """The reader is busy with something else: its slowness is not the upstream's."""
        self.deadline = NEVER

    def start_clock(self) -> None:
        """The upstream has ``timeout`` seconds again."""
        self._wheel.watch(self, self._loop.time() + self._conf.read_timeout)

    def touch(self) -> None:
        """Something has happened on the other side: the time begins anew."""
        if self.deadline != NEVER:
            self.deadline = self._loop.time() + self._conf.read_timeout

    async def drained(self, timeout: float) -> None:
        """Wait until the upstream has taken what was written, at most ``timeout`` seconds (then ``failure`` is
        TIMEOUT).
        """
        self._wheel.watch(self, self._loop.time() + timeout)
        waiter = self._loop.create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        self.on_writable = wake
        try:
            await waiter
        finally:
            self.on_writable = None
            self.deadline = NEVER

    def wake(self) -> None:
        """Wake the reader, which may run before this returns."""
        self._parked.wake()

    def give_up(self) -> None:
        """Wake the reader, and end an attempt to connect."""
        if self._connecting is not None:
            self.failure = ERROR
            self._connecting.cancel()
        self.wake()

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """The trailers of a chunked response, once it is complete."""
        return self._decoder.trailers if self._decoder is not None else []

    def become_tunnel(self) -> None:
        """After 101: whatever comes is the body, until the end."""
        self.complete = False
        self._left = -1

    def keep(self, pool: KeepalivePool, now: float) -> None:
        """The exchange is over: put the connection into ``pool`` if it can serve another, else close it."""
        head = self.head
        if (
            self.complete
            and head is not None
            and not head.close
            and not self.excess
            and not self.closed
            and not self.write_paused
            and self.requests < pool.requests
            and pool.size
            and now - self.made <= pool.time
        ):
            if self._paused:
                self._paused = False
                self.transport.resume_reading()
            self._decoder = None
            if self._parts:
                self._parts = []
                self.pending = 0
            pool.put(self)
            self._wheel.watch(self, now + pool.timeout)
        else:
            self.close()

    def stale(self) -> bool:
        """Whether a kept connection has been closed by the upstream, though the event loop doesn't know yet."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close, without waiting for anything."""
        if not self.closed:
            self.closed = True
            self._wheel.forget(self)
            self.deadline = NEVER
            if self.transport is not None:
                self.transport.abort()

    def close_when_sent(self) -> None:
        """Close when what has been written is sent."""
        if not self.closed:
            self.transport.close()

    # -- the transport's calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.pool is not None:
            self._leave_pool()
            return
        self.received += len(data)
        if self.head is None and not self.http_09:
            if self._buf:
                data = self._buf + data
            self._read_head(data)
        elif self.complete:
            self.excess = True
        else:
            self._read_body(data)
            if not self.complete and self.deadline != NEVER:
                self.deadline = self._loop.time() + self._conf.read_timeout
        self._parked.wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._wheel.forget(self)
        self.deadline = NEVER
        if self.pool is not None:
            self.pool.remove(self)
            return
        if not self.complete and not self.failure:
            self._ended(exc)
        self.wake()
        if self.on_writable is not None:
            self.on_writable()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.on_writable is not None:
            self.on_writable()

    def on_deadline(self) -> None:
        """The wheel's call: idle in the pool, or waiting for too long."""
        self.deadline = NEVER
        if self.pool is not None:
            self._leave_pool()
        elif self._connecting is not None:
            self.failure = TIMEOUT
            self._connecting.cancel()
        elif not self.complete:
            self.failure = TIMEOUT
            self.wake()

    # -- inside

    def _leave_pool(self) -> None:
        assert self.pool is not None
        self.pool.remove(self)
        self.close()

    def _read_head(self, data: bytes) -> None:
        while True:
            try:
                found = parse_response_head(data)
            except NoHead:
                self._buf = b""
                self.http_09 = True
                self._left = -1
                self._read_body(data)
                return
            except InvalidHead as bad:
                self._fail(INVALID_HEADER, f"upstream sent {bad}")
                return
            if found is None:
                if len(data) >= self._conf.buffer_size:
                    self._fail(INVALID_HEADER, "upstream sent too big header")
                self._buf = data
                return
            head, end = found
            self.head_size += end
            if end > self._conf.buffer_size:
                self._fail(INVALID_HEADER, "upstream sent too big header")
                return
            if head.status >= 200 or head.status == 101 or head.status < 100:
                break
            data = data[end:]  # 100 Continue, 103 Early Hints: the real head is still to come
            if not data:
                self._buf = b""
                return
        self._buf = b""
        self.head = head
        length = head.content_length
        if self._head_request or length == 0 or head.status == 204 or head.status == 304:
            self._finish()
            self.excess = len(data) > end
        elif length == len(data) - end:
            self._finish()
            self._parts.append(data[end:])
        else:
            if head.chunked:
                self._decoder = ChunkedDecoder()
            else:
                self._left = -1 if length is None else length
            if len(data) > end:
                self._read_body(data[end:])
            if not self.complete and self.deadline != NEVER:
                self.deadline = self._loop.time() + self._conf.read_timeout

    def _read_body(self, data: bytes) -> None:
        if self._decoder is not None:
            try:
                data = self._decoder.feed(data)
            except BadChunk:
                self._fail(INVALID_BODY, "upstream sent invalid chunked response")
                return
            if self._decoder.done:
                self._finish()
                self.excess = bool(self._decoder.rest)
        elif self._left > 0:
            size = len(data)
            if size > self._left:
                data = data[: self._left]
                self.excess = True
            self._left -= len(data)
            if not self._left:
                self._finish()
        if data:
            self._parts.append(data)
            self.pending += len(data)
            if self.pending > self._conf.window and not self._paused and not self.complete:
                self._paused = True
                self.deadline = NEVER
                self.transport.pause_reading()

    def _finish(self) -> None:
        self.complete = True
        self.deadline = NEVER

    def _fail(self, failure: str, message: str) -> None:
        self.failure = failure
        self.message = message
        self.deadline = NEVER

    def _ended(self, exc: Exception | None) -> None:
        """The upstream has closed; that may be the end of the body."""
        if isinstance(exc, ssl.SSLError):
            self.error = exc
            self._fail(ERROR, tls_failed("SSL_read()", exc)[1])
        elif isinstance(exc, OSError):
            self.error = exc
            call = "writev()" if exc.errno == errno.EPIPE else "recv()"
            self._fail(ERROR, f"{call} failed ({exc.errno}: {os.strerror(exc.errno or 0)})")
        elif self._left < 0:
            self.complete = True
        else:
            self._fail(ERROR, "upstream prematurely closed connection")


@types.coroutine
def _step(coro: Any, connection: UpstreamConnection) -> Generator[Any, Any, None]:
    """Await ``coro`` and let ``connection`` know the future that it waits for, so that it can be cancelled."""
    try:
        waited = coro.send(None)
        while True:
            connection._connecting = waited
            try:
                yield waited
            except BaseException as error:
                waited = coro.throw(error)
            else:
                waited = coro.send(None)
    except StopIteration:
        pass
    finally:
        connection._connecting = None
