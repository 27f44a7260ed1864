"""``limit_rate``: a response goes out no faster than so many bytes a second.

While a limited response is being sent, the connection has a ``Throttle`` in place of its transport: what is written waits there for its
time, and the connection counts as paused, so that handlers and the end of the request wait as they do for a slow client.
nginx: ``ngx_http_write_filter``; https://nginx.org/en/docs/http/ngx_http_core_module.html#limit_rate.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..process.logs import ERR

if TYPE_CHECKING:
    from .request import Request
    from .template import Template


def limit_rate(r: Request, rate: int) -> None:
    """Send the response of ``r`` at ``rate`` bytes a second; 0: as fast as it goes. Takes effect for what has not been sent."""
    r.limit_rate = rate
    r.limit_rate_set = True
    conn = r.conn
    if rate and not r.is_subrequest and not conn.lost and not isinstance(conn.transport, Throttle):
        r.limit_rate_after = size_of(r, r.loc.core.limit_rate_after)
        conn.transport = throttle = Throttle(r, conn.transport)
        r.at_end(lambda r: throttle.remove())


def size_of(r: Request, value: Template | None) -> int:
    """The size in bytes that a setting with variables comes to; 0 where it is none. nginx: ``ngx_http_complex_value_size``."""
    from ..config.directives import parse_size

    if value is None:
        return 0
    text = value(r)
    try:
        return parse_size(text.decode("latin-1"))
    except ValueError:
        r.log(ERR, b'invalid size "%s"' % text)
        return 0


#: With more than this to send the transport has paused the connection itself, and resumes it.
_HIGH = 65536


class Throttle:
    """Stands for the transport of a connection while one response is limited. What it doesn't have is the transport's own."""

    __slots__ = ("_closing", "_queue", "_sent", "_size", "_timer", "r", "transport")

    def __init__(self, r: Request, transport: Any) -> None:
        self.r = r
        self.transport = transport
        self._queue: list[bytes] = []
        self._size = 0
        self._sent = 0
        self._timer: Any = None
        self._closing: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Queue ``data``, and send as much as may be sent now."""
        self._queue.append(data)
        self._size += len(data)
        if self._timer is None:
            self._pump()
        if self._size and not self.r.conn.write_paused:
            self.r.conn.pause_writing()

    @property
    def holds(self) -> bool:
        """Something waits for its time."""
        return self._size > 0

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._size + int(self.transport.get_write_buffer_size())

    def close(self) -> None:
        """Close once everything is sent."""
        self._close("close")

    def write_eof(self) -> None:
        """End our half once everything is sent."""
        self._close("write_eof")

    def abort(self) -> None:
        """Close now."""
        self._drop()
        self.transport.abort()

    def remove(self) -> None:
        """The response has ended: the connection gets its transport back."""
        if self.r.conn.transport is self:
            self.r.conn.transport = self.transport
        self._drop()

    def _close(self, how: str) -> None:
        if self._size:
            self._closing = how
        else:
            getattr(self.transport, how)()

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queue.clear()
        self._size = 0

    def _pump(self) -> None:
        self._timer = None
        r = self.r
        conn = r.conn
        if conn.lost:
            self._drop()
            return
        rate = r.limit_rate
        if not rate:
            self._pass_on(self._size)
        elif self._size:
            free = rate * (int(time.time()) - int(r.start) + 1) - (self._sent - r.limit_rate_after)
            if free <= 0:
                self._timer = conn.loop.call_later(-free / rate + 0.001, self._pump)
                return
            before = max(0, self._sent - r.limit_rate_after)
            self._pass_on(min(self._size, free))
            wait = int((max(0, self._sent - r.limit_rate_after) - before) * 1000 / rate)
            if self._size or wait:
                self._timer = conn.loop.call_later(max(wait, 1) / 1000, self._pump)
        if not self._size and conn.write_paused and self.transport.get_write_buffer_size() <= _HIGH:
            conn.resume_writing()

    def _pass_on(self, size: int) -> None:
        """Give the first ``size`` bytes to the transport."""
        data = b"".join(self._queue)
        self._queue[:] = [data[size:]] if size < len(data) else []
        self._size -= size
        self._sent += size
        self.transport.write(data[:size])
        if not self._size and self._closing is not None:
            getattr(self.transport, self._closing)()
