"""The request body: read from the connection when somebody asks for it, into memory or, beyond the buffer, a temporary file.

Nothing is read before it is wanted (except what came in the same packet as the head). ``read`` gathers the whole body;
``next`` streams it for ``proxy_request_buffering off``; ``discard`` throws away what nobody wanted.
https://nginx.org/en/docs/http/ngx_http_core_module.html#client_body_buffer_size
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from ..process.logs import ERR, NOTICE, WARN
from .chunked import BadChunk, ChunkedDecoder, TooLarge
from .request import CONTINUE, Finalize
from .timeouts import NEVER

if TYPE_CHECKING:
    from .request import Request


#: Bytes that may wait in memory for a streaming reader before the socket is told to pause.
_HIGH_WATER = 262144


class RequestBody:
    """The body of one main request. After ``read``, ``data`` holds it, or ``path`` names the temporary file that does."""

    __slots__ = (
        "_chunked", "_error", "_file", "_left", "_limit", "_parts", "_pending", "_waiter",
        "complete", "data", "discarding", "path", "r", "received", "size", "started", "until",
    )  # fmt: skip

    def __init__(self, r: Request) -> None:
        self.r = r
        head = r.head
        self.data: bytes | None = None
        self.path: str | None = None
        self.size = 0
        self.received = 0  #: bytes on the wire, framing included
        self.complete = False
        self.started = False
        self.discarding = False  #: what arrives is thrown away
        self.until = 0.0  #: loop time at which the connection stops discarding it
        self._left = head.content_length or 0
        self._chunked = ChunkedDecoder() if head.chunked else None
        self._parts: list[bytes] = []
        self._pending = 0
        self._file: BinaryIO | None = None
        self._limit = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error = 0

    async def read(self) -> None:
        """Gather the whole body. Raises Finalize with 400, 408, 413 or 499."""
        if self.complete and (self.data is not None or self.path is not None):
            return
        core = self.r.loc.core
        self._limit = -1 if core.client_body_in_file_only else self._memory(core.client_body_buffer_size)
        self._begin()
        while not self.complete:
            if self._error:
                raise Finalize(self._error)
            if self._pending > self._limit:
                self._spill()
            await self._wait()
        if self._error:
            raise Finalize(self._error)
        if self._file is not None or (self._limit < 0 and self._pending):
            self._spill()
            assert self._file is not None
            self._file.flush()
            self.path = self._file.name
        else:
            parts = self._parts
            self.data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []

    async def next(self) -> bytes:
        """The next piece of the body as it arrives; b"" at the end. Raises Finalize as ``read`` does."""
        self._begin()
        while not self._parts:
            if self._error:
                raise Finalize(self._error)
            if self.complete:
                return b""
            await self._wait()
        data = b"".join(self._parts)
        self._parts = []
        self._pending = 0
        self.r.conn.resume_reading()
        return data

    def bytes(self) -> bytes:
        """The whole body as bytes, from memory or from its file."""
        if self.path is not None:
            with open(self.path, "rb") as f:
                return f.read()
        return self.data or b""

    def set_data(self, data: bytes) -> None:
        """Replace the body (``ngx.req.set_body_data``)."""
        self.close()
        self.data, self.path, self.complete, self.size = data, None, True, len(data)

    def set_file(self, path: str, size: int) -> None:
        """Replace the body by a file (``ngx.req.set_body_file``); the file is not removed."""
        self.close()
        self.data, self.path, self.complete, self.size = None, path, True, size

    def close(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
            if self.r.loc.core.client_body_in_file_only != "on":
                with suppress(OSError):
                    os.unlink(file.name)

    # -- fed by the connection

    def feed(self, data: bytes) -> bytes:
        """Take bytes that arrived; returns what is not the body's (the next request)."""
        if self._error:
            return b""
        rest = b""
        self.received += len(data)
        if self._chunked is not None:
            decoder = self._chunked
            try:
                data = decoder.feed(data)
            except BadChunk:
                self.r.log(ERR, "client sent invalid chunked body")
                self._fail(400)
                return b""
            except TooLarge as error:
                self.r.log(ERR, "client intended to send too large chunked body: {}+{} bytes".format(*error.args))
                self._fail(413)
                return b""
            if decoder.done:
                rest = decoder.rest
                self.complete = True
        else:
            if len(data) > self._left:
                data, rest = data[: self._left], data[self._left :]
            self._left -= len(data)
            if self._left == 0:
                self.complete = True
        if data and not self.discarding:
            self.size += len(data)
            self._parts.append(data)
            self._pending += len(data)
            if self._pending > _HIGH_WATER:
                self.r.conn.pause_reading()
        self.received -= len(rest)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return rest

    def _fail(self, status: int) -> None:
        self._error = status
        self.r.keepalive = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, status: int) -> None:
        """The connection has closed (400) or stalled (408)."""
        if not self.complete:
            self._fail(status)

    @property
    def failed(self) -> bool:
        """Whether the body was malformed, too large, or broken off."""
        return self._error != 0

    # -- inside

    def _memory(self, size: int) -> int:
        """How many bytes may be kept in memory: the buffer's size, or a body that is not much larger.

        nginx keeps what came with the head, and makes the buffer up to a quarter larger where that spares a file
        (``ngx_http_read_client_request_body``).
        """
        if self._chunked is None:
            head = self.r.head
            free = self.r.server.core.client_header_buffer_size - len(head.raw)
            rest = self._left - max(0, min(free, len(self.r.conn.buf)))
            if rest < size + size // 4:
                return self._left
        return size

    def _begin(self) -> None:
        if self.started:
            return
        self.started = True
        r = self.r
        conn = r.conn
        if r.head.expect_continue and not r.expect_tested:
            conn.transport.write(CONTINUE)
        r.expect_tested = True
        if r.discarded or (self._chunked is None and self._left == 0):
            self.complete = True
            return
        if self._chunked is not None:
            self._chunked.limit = r.loc.core.client_max_body_size
        conn.body = self
        if conn.buf:
            data, conn.buf = conn.buf, b""
            conn.buf = self.feed(data)
        elif conn.eof:
            conn.eof_received()
        if self.complete:
            conn.body = None

    async def _wait(self) -> None:
        conn = self.r.conn
        if conn.lost:
            raise Finalize(400)
        loop = conn.loop
        self._waiter = loop.create_future()
        conn.worker.wheel.watch(conn, loop.time() + self.r.loc.core.client_body_timeout)
        conn.resume_reading()
        try:
            await self._waiter
        finally:
            self._waiter = None
            conn.deadline = NEVER
        if self.complete:
            conn.body = None

    def _spill(self) -> None:
        if self._file is None:
            core = self.r.loc.core
            self._file = tempfile.NamedTemporaryFile(prefix="", dir=core.client_body_temp_path, delete=False)  # noqa: SIM115
            level = NOTICE if core.client_body_in_file_only else WARN
            self.r.log(level, f"a client request body is buffered to a temporary file {self._file.name}")
        for part in self._parts:
            self._file.write(part)
        self._parts = []
        self._pending = 0
