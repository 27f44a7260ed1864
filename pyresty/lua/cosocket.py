"""A connection that Lua reads and writes: what arrives is kept in pieces, and looked at no more often than it can
matter.

A reader first takes what is there already (``line``, ``take``, ``attempt``), by plain calls. Only if that is not
enough does it wait, and then the arriving bytes themselves decide whether it is worth looking again; the reader gets
its result, not a wake-up. Sending goes straight to the kernel, and to the transport only with what the kernel does not
take. One lazy timer serves all reads and the idle time in a pool: setting a deadline is an assignment as long as the
timer would fire before it.

Behaviour: https://github.com/openresty/lua-nginx-module#ngxsockettcp
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING, Any, Protocol

from .pattern import begun, piece_end

if TYPE_CHECKING:
    from ..upstream.tls import TLSTransport

#: Bytes that may lie here unread before the peer is told to pause.
HIGH_WATER = 262144

NEVER = float("inf")

#: What poll(2) is asked for, to know that the other end has closed the connection.
_ENDED = getattr(select, "POLLRDHUP", select.POLLHUP)

#: What a reader may want: a number of bytes, a line, everything up to the end, anything, everything up to a pattern.
SIZE, LINE, ALL, ANY, UNTIL = range(5)

#: The results that a Lua function gets: values, or None, an error and what had been read.
Answer = tuple[Any, ...]


class Owner(Protocol):
    """Who uses a connection: a socket object of Lua."""

    def read_timed_out(self) -> None: ...

    def read_failed(self, error: OSError | None) -> bytes: ...

    def send_failed(self, error: OSError) -> bytes: ...


class Keeper(Protocol):
    """Who keeps an idle connection: a pool. ``disturbed`` is called when bytes, the end or the deadline have come."""

    def disturbed(self, peer: Peer) -> None: ...


class Peer(asyncio.Protocol):
    """One connection and the bytes that came over it. At most one reader and one writer wait for it."""

    __slots__ = (
        "buf", "deadline", "eof", "error", "fresh", "inclusive", "keeper", "kind", "later", "loop", "lost", "need",
        "owner", "pattern", "pos", "read_paused", "reader", "reused", "size", "sock", "tail", "timeout", "timer", "tls",
        "transport", "where", "write_limited", "writer",
    )  # fmt: skip

    transport: Any

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, owner: Owner, where: bytes) -> None:
        self.loop = loop
        self.sock = sock
        self.owner: Owner | None = owner
        self.keeper: Keeper | None = None
        self.where = where  #: ``HOST:PORT(ADDRESS)``, for the error log
        self.reused = 0
        self.buf = b""
        self.pos = 0
        self.later: list[bytes] = []
        self.size = 0  #: bytes unread
        self.fresh = False  #: they have come since the last reader was done
        self.eof = False
        self.lost = False
        self.error: OSError | None = None
        self.reader: asyncio.Future[Answer] | None = None
        self.writer: asyncio.Future[Answer] | None = None
        self.kind = LINE
        self.need = 0
        self.pattern = b""
        self.inclusive = False
        self.tail = b""
        self.timeout = 0.0
        self.deadline = NEVER
        self.timer: asyncio.TimerHandle | None = None
        self.read_paused = False
        self.write_limited = False
        self.tls: TLSTransport | None = None  #: also ``transport``, once TLS has begun

    # -- the transport's calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.pos == len(self.buf) and not self.later:
            self.buf = data
            self.pos = 0
        else:
            self.later.append(data)
        self.fresh = self.fresh or not self.size
        self.size += len(data)
        reader = self.reader
        if reader is not None and not reader.done():
            if self._enough(data):
                answer = self.attempt()
                if answer is not None:
                    self._answer(answer)
                    self._limit()
                    return
            self.deadline = self.loop.time() + self.timeout
        else:
            self._limit()
            if self.keeper is not None:
                self.keeper.disturbed(self)

    def eof_received(self) -> bool:
        self.eof = True
        self._ended()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof = self.lost = True
        if isinstance(exc, OSError):
            self.error = exc
        self._ended()
        if self.writer is not None and not self.writer.done():
            error = self.error or BrokenPipeError(32, "Broken pipe")
            assert self.owner is not None
            self.writer.set_result((None, self.owner.send_failed(error)))

    def resume_writing(self) -> None:
        if self.writer is not None and not self.writer.done():
            self.writer.set_result((1,))

    def _ended(self) -> None:
        reader = self.reader
        if reader is not None and not reader.done():
            self._answer(self.attempt() or self.fail())
        elif self.keeper is not None:
            self.keeper.disturbed(self)

    def _limit(self) -> None:
        if self.size > HIGH_WATER and not self.read_paused and not self.lost:
            self.read_paused = True
            self.transport.pause_reading()

    # -- waiting

    def wait(self, timeout: float) -> asyncio.Future[Answer]:
        """Wait for what ``want`` said; the result is that of ``attempt``, or None, the error and what there was."""
        self.reader = reader = self.loop.create_future()
        self.timeout = timeout
        self.watch(timeout)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        return reader

    def watch(self, seconds: float) -> None:
        """Set the deadline: ``seconds`` from now."""
        self.deadline = deadline = self.loop.time() + seconds
        timer = self.timer
        if timer is not None:
            if timer.when() <= deadline:
                return
            timer.cancel()
        self.timer = self.loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self.timer = None
        if self.deadline == NEVER:
            return
        if self.deadline - self.loop.time() > 0.0005:
            self.timer = self.loop.call_at(self.deadline, self._tick)
            return
        self.deadline = NEVER
        reader = self.reader
        if reader is None:
            if self.keeper is not None:
                self.keeper.disturbed(self)
        elif not reader.done():
            assert self.owner is not None
            self.owner.read_timed_out()
            self._answer((None, b"timeout", self._partial()))

    def _answer(self, answer: Answer) -> None:
        reader = self.reader
        assert reader is not None
        self.reader = None
        self.fresh = False
        self.deadline = NEVER
        reader.set_result(answer)

    # -- taking bytes out

    def line(self) -> bytes | None:
        """The next line without its end and without any carriage return; None if its end is not here."""
        buf, pos = self.buf, self.pos
        end = buf.find(b"\n", pos)
        if end < 0:
            if not self.later:
                return None
            buf, pos = self._join(), 0
            end = buf.find(b"\n")
            if end < 0:
                return None
        line = buf[pos:end]
        self.pos = end + 1
        self.size -= end + 1 - pos
        self.fresh = False
        return line.replace(b"\r", b"") if 13 in line else line

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes; so many must be here."""
        end = self.pos + count
        buf = self.buf
        if end > len(buf):
            buf = self._join()
            end = count
        data = buf[self.pos : end]
        self.pos = end
        self.size -= count
        self.fresh = False
        return data

    def want(self, kind: int, need: int, pattern: bytes = b"", inclusive: bool = False) -> Answer | None:
        """Say what the reader wants; answers as ``attempt``, or with the failure if no more will come."""
        self.kind = kind
        self.need = need
        if kind == UNTIL:
            self.pattern = pattern
            self.inclusive = inclusive
        answer = self.attempt()
        if answer is None and self.eof:
            return self.fail()
        if answer is None and kind == UNTIL:
            buf = self._join()
            self.tail = buf[max(self.pos, len(buf) - len(pattern) + 1) :]
        self.fresh = False
        return answer

    def attempt(self) -> Answer | None:
        """What the reader wants if it is here."""
        kind = self.kind
        if kind == LINE:
            line = self.line()
            return None if line is None else (line,)
        if kind == SIZE:
            return (self.take(self.need),) if self.size >= self.need else None
        if kind == ANY:
            return (self.take(min(self.size, self.need)),) if self.size else None
        if kind == ALL:
            return (self.take(self.size),) if self.eof and self.error is None else None
        return self._until()

    def _enough(self, data: bytes) -> bool:
        """Whether ``data``, just come, may have brought what the reader wants."""
        kind = self.kind
        if kind == LINE:
            return b"\n" in data
        if kind == SIZE:
            return self.size >= self.need
        if kind == UNTIL:
            pattern = self.pattern
            whole = self.tail + data
            self.tail = whole[max(0, len(whole) - len(pattern) + 1) :]
            return pattern in whole or 0 < self.need <= self.size
        return kind == ANY

    def _until(self) -> Answer | None:
        """The bytes before the pattern and True, or where pieces are wanted, a piece and False."""
        buf, pos, pattern = self._join(), self.pos, self.pattern
        at = buf.find(pattern, pos)
        limit = pos + self.need
        if self.need and not pos <= at < limit:
            end = piece_end(buf, pos, limit, pattern)
            return None if end < 0 else (self.take(end - pos), False)
        if at < 0:
            return None
        data = self.take(at - pos + len(pattern))
        return data if self.inclusive else data[: at - pos], True

    def fail(self) -> Answer:
        """The results of a read that the connection's end has cut short."""
        partial = self._partial()
        self.take(self.size)
        assert self.owner is not None
        return None, self.owner.read_failed(self.error), partial

    def _partial(self) -> bytes:
        """What a reader has read that did not get what it wants. The beginning of a pattern stays for the next one."""
        kind = self.kind
        if kind == UNTIL:
            buf = self._join()
            return self.take(self.size - begun(buf, self.pos, len(buf), self.pattern))
        data = self.take(self.size)
        return data.replace(b"\r", b"") if kind == LINE else data

    def _join(self) -> bytes:
        if self.later:
            self.buf = b"".join((self.buf[self.pos :], *self.later))
            self.pos = 0
            self.later.clear()
        return self.buf

    def ended(self) -> bool:
        """Whether the other end has closed the connection, even if the event loop has not said so yet."""
        if self.eof:
            return True
        poll = select.poll()
        poll.register(self.sock, _ENDED)
        return bool(poll.poll(0))

    # -- sending

    def send(self, data: bytes) -> bool:
        """Send; False if the peer is too slow to take everything now (wait with ``sent``). Raises OSError."""
        if self.lost:
            raise self.error or BrokenPipeError(32, "Broken pipe")
        if self.tls is not None:
            self.tls.write(data)
            return self.taken()
        try:
            count = self.sock.send(data)
        except BlockingIOError:
            count = 0
        if count == len(data):
            return True
        if not self.write_limited:
            self.write_limited = True
            self.transport.set_write_buffer_limits(0)
        self.transport.write(memoryview(data)[count:] if count else data)
        return self.taken()

    def taken(self) -> bool:
        """Whether nothing of what has been written waits. Raises OSError where it never will be sent: the loop tells of a write that
        failed only in its next turn, and Lua that goes on sending gives it none.
        """
        if self.transport.is_closing():
            raise self.error or BrokenPipeError(32, "Broken pipe")
        return not self.transport.get_write_buffer_size()

    async def sent(self, timeout: float) -> Answer:
        """Wait until the kernel has taken everything. The time runs anew whenever it takes some."""
        left: int = self.transport.get_write_buffer_size()
        timer: asyncio.TimerHandle
        self.writer = writer = self.loop.create_future()

        def expire() -> None:
            nonlocal left, timer
            now = self.transport.get_write_buffer_size()
            if now < left:
                left = now
                timer = self.loop.call_later(timeout, expire)
            elif not writer.done():
                writer.set_result((None, b"timeout"))

        timer = self.loop.call_later(timeout, expire)
        try:
            answer: Answer = await writer
            return answer
        finally:
            timer.cancel()
            if not writer.cancelled():
                self.writer = None

    def close(self) -> None:
        """Close; what has not been sent is lost, as in OpenResty."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.deadline = NEVER
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()
