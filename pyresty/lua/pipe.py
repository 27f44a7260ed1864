"""``ngx.pipe``: child processes whose ends of three pipes Lua reads and writes without blocking.

The one idea: nothing is watched until somebody waits for it. A read takes what is in the pipe and looks at it; only when
that is not enough does the event loop watch the pipe, for as long as the reader's timeout.

Rules: ``ngx_http_lua_pipe.c``; https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/pipe.md
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

from .wait import wake, within

#: How a read ends: everything, a number of bytes, a line, whatever is there.
ALL, BYTES, LINE, ANY = range(4)

_PIECE = 65536

#: The coroutine of an operation that waits, or has waited.
Waiting = Coroutine[Any, Any, tuple[Any, ...]] | None


def busy(waiting: Waiting) -> bool:
    """Whether the operation is still under way."""
    return waiting is not None and waiting.cr_frame is not None  # type: ignore[attr-defined]


class Stream:
    """The reading end of a pipe from the process."""

    __slots__ = ("_data", "eof", "fd", "reader", "waiter")

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.eof = False
        self._data = bytearray()
        self.reader: Waiting = None
        self.waiter: asyncio.Future[bool] | None = None

    def fill(self) -> bool:
        """Take something out of the pipe, if there is anything; whether there was, or has been an end."""
        if self.eof:
            return False
        try:
            piece = os.read(self.fd, _PIECE)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        self._data += piece
        self.eof = not piece
        return True

    def take(self, kind: int, size: int) -> tuple[Any, ...] | None:
        """The results of a read, or None if there is not enough for it yet."""
        data = self._data
        if kind == ALL:
            return (self._cut(len(data)),) if self.eof else None
        if kind == BYTES and len(data) >= size:
            return (self._cut(size),)
        if kind == ANY and data:
            return (self._cut(min(size, len(data))),)
        if kind == LINE:
            end = data.find(b"\n")
            if end >= 0:
                line = self._cut(end + 1)
                return (line[:-2] if line.endswith(b"\r\n") else line[:-1],)
        return self.failed(b"closed") if self.eof else None

    def failed(self, error: bytes) -> tuple[Any, ...]:
        """The results of a read that has failed: what there was goes with it."""
        return None, error, self._cut(len(self._data))

    def _cut(self, size: int) -> bytes:
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def close(self) -> None:
        """Close; whoever waits is told."""
        if self.fd >= 0:
            if self.waiter is not None:
                wake(self.waiter)
            os.close(self.fd)
            self.fd = -1


class Process:
    """A process. ``status`` is its exit code, minus the signal that ended it, or None while it runs."""

    def __init__(
        self, args: list[bytes], environ: dict[bytes, bytes] | None, merge: bool, log: Callable[[str], None]
    ) -> None:
        """Start it. What can't be executed has exited with 1, as a child that fails to execute has. Raises OSError."""
        self.merged = merge
        self.closed = False
        self.status: int | None = None
        self.waiter: Waiting = None
        self.writer: Waiting = None
        self._writable: asyncio.Future[bool] | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        stderr = subprocess.STDOUT if merge else subprocess.PIPE
        pipe = subprocess.PIPE
        try:
            self._popen = popen = subprocess.Popen(args, bufsize=0, stdin=pipe, stdout=pipe, stderr=stderr, env=environ)
        except OSError as error:
            if error.filename is None:  # not of exec()
                raise
            name = args[0].decode("utf-8", "replace")
            function = "execvp" if environ is None else "execvpe"
            log(f"lua pipe child {function}() failed while executing {name} ({error.errno}: {error.strerror})")
            self.pid, self.status = 0, 1
            self.streams = [Stream(os.open(os.devnull, os.O_RDONLY)) for _ in range(1 if merge else 2)]
            self.stdin = -1
            return
        assert popen.stdin is not None and popen.stdout is not None
        self.pid = popen.pid
        # our own numbers, so that nobody else closes them
        self.stdin = os.dup(popen.stdin.fileno())
        os.set_blocking(self.stdin, False)
        self.streams = [Stream(os.dup(file.fileno())) for file in (popen.stdout, popen.stderr) if file is not None]
        for file in (popen.stdin, popen.stdout, popen.stderr):
            if file is not None:
                file.close()

    def ended(self) -> bool:
        """Whether it has ended."""
        if self.status is None and self._popen is not None:
            self.status = self._popen.poll()
        return self.status is not None

    def result(self) -> tuple[bool, bytes, int]:
        """What ``wait`` answers; and then the process is done with."""
        assert self.status is not None
        self.close()
        if self.status < 0:
            return False, b"signal", -self.status
        return self.status == 0, b"exit", self.status

    def kill(self, number: int) -> bytes | None:
        """Send a signal; an error message, or None."""
        if self.closed or self.ended():
            return b"exited"
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return b"exited"
        except OSError as error:
            return b"invalid signal" if error.errno == 22 else (error.strerror or "").encode()
        return None

    def shutdown(self, which: bytes) -> bytes | None:
        """Close one of the pipes; an error message, or None."""
        if self.closed:
            return b"closed"
        if which == b"stdin":
            self._close_stdin()
        elif which == b"stdout":
            self.streams[0].close()
        elif self.merged:
            return b"merged to stdout"
        else:
            self.streams[1].close()
        return None

    def _close_stdin(self) -> None:
        if self.stdin >= 0:
            if self._writable is not None:
                wake(self._writable)
            os.close(self.stdin)
            self.stdin = -1

    def close(self) -> None:
        """Close the pipes."""
        if not self.closed:
            self.closed = True
            self._close_stdin()
            for stream in self.streams:
                stream.close()

    def destroy(self) -> None:
        """Nobody knows it any more: close the pipes, and kill it if it still runs."""
        self.close()
        if not self.ended():
            assert self._popen is not None
            os.kill(self.pid, signal.SIGKILL)
            self._popen.wait()

    # -- what may wait; timeouts are seconds, 0 for none

    async def read(self, stream: Stream, kind: int, size: int, timeout: float) -> tuple[Any, ...]:
        """Read once there is enough, or no more to come."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        try:
            while True:
                fd = stream.fd
                stream.waiter = waiter = loop.create_future()
                loop.add_reader(fd, wake, waiter)
                try:
                    if not await within(waiter, end - loop.time() if timeout else None):
                        return stream.failed(b"timeout")
                finally:
                    loop.remove_reader(fd)
                if stream.fd < 0:
                    return stream.failed(b"aborted")
                stream.fill()
                found = stream.take(kind, size)
                if found is not None:
                    return found
        finally:
            stream.waiter = None

    def write_now(self, data: bytes) -> int | None:
        """Write as much as fits: how many bytes; None if nobody reads any more."""
        try:
            return os.write(self.stdin, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._close_stdin()
            return None

    async def write(self, data: bytes, written: int, timeout: float) -> tuple[Any, ...]:
        """Write the rest of ``data``, of which ``written`` bytes have been."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        try:
            while True:
                fd = self.stdin
                self._writable = waiter = loop.create_future()
                loop.add_writer(fd, wake, waiter)
                try:
                    if not await within(waiter, end - loop.time() if timeout else None):
                        return None, b"timeout"
                finally:
                    loop.remove_writer(fd)
                if self.stdin < 0:
                    return None, b"aborted"
                more = self.write_now(data[written:])
                if more is None:
                    return None, b"closed"
                written += more
                if written == len(data):
                    return (written,)
        finally:
            self._writable = None

    async def wait(self, timeout: float) -> tuple[Any, ...]:
        """Wait for its end."""
        loop = asyncio.get_running_loop()
        fd = -1
        waiter: asyncio.Future[bool] = loop.create_future()
        try:
            if hasattr(os, "pidfd_open"):
                fd = os.pidfd_open(self.pid)
                loop.add_reader(fd, wake, waiter)
            else:
                assert self._popen is not None
                loop.run_in_executor(None, self._popen.wait).add_done_callback(lambda _: wake(waiter))
            if not await within(waiter, timeout or None):
                return None, b"timeout"
        finally:
            if fd >= 0:
                loop.remove_reader(fd)
                os.close(fd)
        self.ended()
        return self.result()
