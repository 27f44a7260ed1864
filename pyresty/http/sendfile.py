"""A slice of a file to the client: by the kernel's ``sendfile`` where nothing stands between file and socket, else read and written.

The loop's transport owns the socket, so while it has nothing of its own to send we write to the same socket; when the socket is full
we wait on a duplicate of its descriptor, which the loop can watch beside the transport's.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from ..process.logs import ALERT, INFO
from .request import Finalize

if TYPE_CHECKING:
    from .request import Request

#: Bytes that the kernel may send in one go, so that a fast reader does not keep the worker (nginx's default sendfile_max_chunk).
SENDFILE_CHUNK = 2 << 20
#: Bytes read at once where the body goes through filters, TLS or a subrequest's buffer.
CHUNK = 65536


async def send_slice(r: Request, fd: int, start: int, end: int) -> None:
    """Send the bytes ``start`` to ``end`` (exclusive) of the open file ``fd``. Raises Finalize if the client leaves or stalls."""
    conn = r.conn
    if (
        r.is_subrequest
        or r.need_memory
        or r.body_filters is not None
        or r.chunked
        or r.limit_rate
        or conn.scheme != b"http"
        or not hasattr(os, "sendfile")
    ):
        await _copy(r, fd, start, end)
        return
    sock = conn.transport.get_extra_info("socket").fileno()
    if not conn.transport.get_write_buffer_size():
        _write_head(r, sock)
    if r.out:
        r.flush()
        await _transport_empty(r)
    if conn.lost:
        raise Finalize(499)
    watched = -1
    try:
        while start < end:
            try:
                sent = os.sendfile(sock, fd, start, min(SENDFILE_CHUNK, end - start))
            except BlockingIOError:
                if watched < 0:
                    watched = os.dup(sock)
                await _writable(r, watched)
                continue
            except OSError as error:
                r.log(INFO, f"sendfile() failed ({error.errno}: {error.strerror}) while sending response to client")
                raise Finalize(499) from None
            if sent == 0:
                r.log(ALERT, "the file was truncated while it was sent")
                raise Finalize(500)
            start += sent
            r.body_bytes += sent
            r.bytes_sent += sent
            if sent == SENDFILE_CHUNK:
                await asyncio.sleep(0)
                if conn.lost:
                    raise Finalize(499)
    finally:
        if watched >= 0:
            os.close(watched)


def _write_head(r: Request, sock: int) -> None:
    """Write what is queued straight to the socket; what doesn't fit stays queued."""
    data = b"".join(r.out)
    try:
        sent = os.write(sock, data)
    except OSError:
        return
    r.bytes_sent += sent
    r.out[:] = [data[sent:]] if sent < len(data) else []


async def _transport_empty(r: Request) -> None:
    """Wait until the transport has written what it holds: our own writes must come after it."""
    transport = r.conn.transport
    while transport.get_write_buffer_size() and not r.conn.lost:
        transport.set_write_buffer_limits(0)
        try:
            if r.conn.write_paused:
                await r.conn.drained()
            else:
                await asyncio.sleep(0)
        finally:
            if not r.conn.lost:
                transport.set_write_buffer_limits()


async def _writable(r: Request, fd: int) -> None:
    conn = r.conn
    loop = conn.loop
    ready = loop.create_future()
    loop.add_writer(fd, _done, ready)
    try:
        await conn.wait_writable(ready)
    finally:
        loop.remove_writer(fd)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _copy(r: Request, fd: int, start: int, end: int) -> None:
    while start < end:
        data = os.pread(fd, min(CHUNK, end - start), start)
        if not data:
            r.log(ALERT, "the file was truncated while it was sent")
            raise Finalize(500)
        start += len(data)
        r.write(data)
        await r.drain()
