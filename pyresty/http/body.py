"""The request body: read from the connection when somebody asks for it, into memory or, beyond the buffer, a temporary file.

Nothing is read before it is wanted (except what came in the same packet as the head). ``read`` gathers the whole body;
``next`` streams it for ``proxy_request_buffering off``; ``discard`` throws away what nobody wanted.
https://nginx.org/en/docs/http/ngx_http_core_module.html#client_body_buffer_size
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

from ..process.logs import CRIT, ERR, NOTICE, WARN, reason
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
        "_chunked", "_error", "_fd", "_left", "_limit", "_parts", "_pending", "_removed", "_temp", "_waiter",
        "clean", "complete", "data", "discarding", "path", "r", "received", "size", "started", "until",
    )  # fmt: skip

    def __init__(self, r: Request) -> None:
        self.r = r
        head = r.head
        self.data: bytes | None = None
        self.path: str | None = None
        self.size = 0
        self.received = 0  #: bytes on the wire, framing included
        self.complete = False
        self.clean = False  #: the temporary file does not stay, whatever ``client_body_in_file_only`` says
        self.started = False
        self.discarding = False  #: what arrives is thrown away
        self.until = 0.0  #: loop time at which the connection stops discarding it
        self._left = head.content_length or 0
        self._chunked = ChunkedDecoder() if head.chunked else None
        self._parts: list[bytes] = []
        self._pending = 0
        self._fd = -1
        self._temp = ""
        self._removed = ""  #: the file to be removed when the body is not wanted any more
        self._limit = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error = 0

    async def read(self) -> None:
        """Gather the whole body. Raises Finalize with 400, 408, 413 or 499."""
        if self.complete and (self.data is not None or self.path is not None):
            return
        self.begin()
        while not self.complete:
            if self._error:
                raise Finalize(self._error)
            if self._pending and self.received > self._limit:
                self._spill()
            await self._wait()
        if self._error:
            raise Finalize(self._error)
        if self._fd >= 0 or (self._pending and self.received > self._limit):
            self._spill()
            self.path = self._temp
        else:
            parts = self._parts
            self.data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []

    def read_now(self) -> bool:
        """``read`` as far as it needs no waiting: whether the whole body is in memory already."""
        self.begin()
        if not self.complete or self._error or self._fd >= 0 or (self._pending and self.received > self._limit):
            return False
        if self.data is None and self.path is None:
            parts = self._parts
            self.data = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []
        return True

    async def next(self) -> bytes:
        """The next piece of the body as it arrives; b"" at the end. Raises Finalize as ``read`` does."""
        self.begin()
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

    def set_data(self, data: bytes) -> None:
        """Replace the body (``ngx.req.set_body_data``)."""
        self.close()
        self.data, self.path, self.complete, self.size = data, None, True, len(data)

    def set_file(self, path: str, size: int, *, clean: bool = False) -> None:
        """Replace the body by a file (``ngx.req.set_body_file``), to be removed when the body is not wanted any more if ``clean``."""
        self.close()
        self.data, self.path, self.complete, self.size = None, path, True, size
        self._removed = path if clean else ""

    def append(self, data: bytes) -> None:
        """Add to a body that has been replaced, in a temporary file (``ngx.req.append_body``). Raises Finalize with 500."""
        self._parts = [data]
        self._spill()
        self.data, self.path, self.size = None, self._temp, self.size + len(data)
        self.clean = True

    def lend(self) -> int:
        """Let somebody else read the body from the connection (``ngx.req.socket``): how many bytes it has. To others it is empty."""
        self.started = True
        self.data = b""
        self._ask_for_it()
        return self._left

    def give_back(self, left: int) -> None:
        """``lend`` is over, with ``left`` bytes unread."""
        self._left = left
        self.complete = left == 0

    def close(self) -> None:
        """The body is not wanted any more: remove its file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self.clean or self.r.loc.core.client_body_in_file_only != "on":
                self._removed = self._temp
        if self._removed:
            path, self._removed = self._removed, ""
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                self.r.log(CRIT, f'unlink() "{path}" failed {reason(error)}')

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
        """How many received bytes are kept in memory; if there are more, all go to a file.

        nginx keeps what came with the head, makes the buffer up to a quarter larger where that spares a file, and fills
        it with the framing of chunks, too (``ngx_http_read_client_request_body``).
        """
        r = self.r
        free = r.server.core.client_header_buffer_size - len(r.head.raw)
        preread = max(0, min(free, len(r.conn.buf)))
        if self._chunked is not None:
            return preread + size
        rest = self._left - preread
        return self._left if rest < size + size // 4 else 0

    def begin(self) -> None:
        """Start to read; what has arrived already may be all of it."""
        if self.started:
            return
        self.started = True
        r = self.r
        conn = r.conn
        core = r.loc.core
        self._limit = -1 if core.client_body_in_file_only else self._memory(core.client_body_buffer_size)
        self._ask_for_it()
        if r.discarded or (self._chunked is None and self._left == 0):
            self.complete = True
            return
        if self._chunked is not None:
            self._chunked.limit = core.client_max_body_size
        conn.body = self
        if conn.buf:
            data, conn.buf = conn.buf, b""
            conn.buf = self.feed(data)
        elif conn.eof:
            conn.eof_received()
        if self.complete:
            conn.body = None

    def _ask_for_it(self) -> None:
        """Answer ``Expect: 100-continue``."""
        r = self.r
        if r.head.expect_continue and not r.expect_tested:
            r.conn.transport.write(CONTINUE)
        r.expect_tested = True

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
        """Move what is in memory to the temporary file. Raises Finalize with 500 where that fails."""
        call = "open()"
        core = self.r.loc.core
        try:
            if self._fd < 0:
                self._fd, self._temp = _temporary_file(core.client_body_temp_path)
                level = NOTICE if core.client_body_in_file_only else WARN
                self.r.log(level, f"a client request body is buffered to a temporary file {self._temp}")
            call = "write()"
            for part in self._parts:
                while part:
                    part = part[os.write(self._fd, part) :]
        except OSError as error:
            self.r.log(CRIT, f'{call} "{self._temp or core.client_body_temp_path}" failed {reason(error)}')
            self._fail(500)
            raise Finalize(500) from None
        self._parts = []
        self._pending = 0


_number = random.randrange(10**10)


def _temporary_file(folder: str) -> tuple[int, str]:
    """A new file, open for writing, and its path: named by a number of ten digits, as nginx's are."""
    global _number
    while True:
        _number = (_number + 1) % 10**10
        path = f"{folder}/{_number:010d}"
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path
        except FileExistsError:
            _number = random.randrange(10**10)
