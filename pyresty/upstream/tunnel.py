"""A connection that has been upgraded (101): bytes go both ways until one side ends.

The one idea: what the upstream sends is a body without end, read by the request's own coroutine; what the client sends
is written straight to the upstream where it arrives, and the client is not read from while the upstream doesn't take
it.

https://nginx.org/en/docs/http/websocket.html; ``ngx_http_upstream_process_upgraded``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http.request import OK
from ..process.logs import ERR, INFO
from .http_client import TIMEOUT

if TYPE_CHECKING:
    from .exchange import Upstream
    from .http_client import UpstreamConnection

_PROXYING = b"proxying upgraded connection"


async def tunnel(u: Upstream, conn: UpstreamConnection) -> int:
    """Send the 101 and pass bytes both ways. Returns OK when it is over, or the code to break off with."""
    r = u.r
    client = r.conn
    r.send_header()
    if r.is_subrequest:
        u.log(ERR, "connection upgrade in subrequest")
        u.finish(False)
        return 502
    u.action = _PROXYING
    r.upgraded = True
    r.keepalive = False
    r.on_abort = None
    ended = False

    def from_client(data: bytes) -> None:
        nonlocal ended
        if data:
            conn.write(data)
            conn.touch()
            if conn.write_paused:
                client.pause_reading()
        elif not ended:
            ended = True
            conn.close_when_sent()

    conn.on_writable = client.resume_reading
    client.on_data = from_client
    if client.buf:
        data, client.buf = client.buf, b""
        from_client(data)
    client.resume_reading()
    conn.become_tunnel()
    try:
        while True:
            data = conn.take()
            if data:
                r.emit(data)
            r.flush()
            if client.write_paused:
                conn.stop_clock()
                await r.drain()
            elif conn.complete or conn.failure:
                break
            else:
                await conn.wait()
    finally:
        conn.on_writable = None
        client.on_data = None
    if conn.failure == TIMEOUT:
        u.log(ERR if not ended else INFO, "upstream timed out (110: Connection timed out)")
    elif conn.failure and not ended:
        u.log(ERR, conn.message)
    u.finish(True)
    return OK
