"""ngx.flush, ngx.eof, ngx.send_headers: https://github.com/openresty/lua-nginx-module#ngxflush"""

from __future__ import annotations

from typing import Any

from ...http.request import Finalize, Request
from ..output import holds, send_header

Answer = tuple[Any, ...]


async def output(r: Request) -> Answer:
    """A large print: wait while the client reads more slowly."""
    if r.aborted:
        return None, b"nginx output filter error"
    if not r.is_subrequest:
        await r.drain()
    return (1,)


async def flush(r: Request, wait: bool) -> Answer:
    """``ngx.flush([wait])``: hand everything to the socket, and wait for a slow client if asked to."""
    if r.version < 1001 and holds(r):
        return None, b"buffering"
    send_header(r)
    if r.is_subrequest:
        return (1,)
    if r.aborted:
        return None, b"client aborted"
    r.flush()
    if wait and r.conn.write_paused:
        try:
            await r.drain()
        except Finalize as stop:
            return None, b"timeout" if stop.status == 408 else b"client aborted"
    return (1,)


async def eof(r: Request) -> Answer:
    """``ngx.eof()``: the response is complete, the handler goes on."""
    send_header(r)
    r.finish()
    return (1,)


async def send_headers(r: Request) -> Answer:
    """``ngx.send_headers()``."""
    send_header(r, whole=False)
    return (1,)


OPERATIONS = {"output": output, "flush": flush, "eof": eof, "send_headers": send_headers}
