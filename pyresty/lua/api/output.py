"""ngx.print, ngx.flush, ngx.eof, ngx.send_headers: https://github.com/openresty/lua-nginx-module#ngxprint

A filter may refuse the response. The handler goes on then, with errors from all output, and the refusal counts when it ends.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ...http.request import Finalize, Request
from ..output import begin, holds, send, send_header

Answer = tuple[Any, ...]

_FAILED = None, b"nginx output filter error"


async def output(r: Request) -> Answer:
    """A large print: wait while the client reads more slowly."""
    if r.aborted:
        return _FAILED
    if not r.is_subrequest:
        await r.drain()
    return (1,)


def filter_output(r: Request, data: bytes) -> Answer | Awaitable[Answer]:
    """One print, in a location with Lua filters: it passes them now."""
    if r.filter_status is not None or r.aborted:
        return _FAILED
    if r.header_only and r.header_sent:
        return None, b"header only"
    try:
        if data:
            send(r, data)
        elif r.version < 1001 and holds(r):
            begin(r)
        else:
            send_header(r, whole=False)
    except Finalize as stop:
        r.filter_status = stop.status
        return _FAILED
    if not r.is_subrequest and r.conn.write_paused:
        return output(r)
    return (1,)


async def flush(r: Request, wait: bool) -> Answer:
    """``ngx.flush([wait])``: hand everything to the socket, and wait for a slow client if asked to."""
    if r.filter_status is not None:
        return _FAILED
    if r.version < 1001 and holds(r):
        return None, b"buffering"
    try:
        send_header(r)
        if r.body_filters is not None:
            r.write(b"")
    except Finalize as stop:
        r.filter_status = stop.status
        return _FAILED
    if r.is_subrequest:
        return (1,)
    if r.aborted:
        return _FAILED
    r.flush()
    if wait and r.conn.write_paused:
        try:
            await r.drain()
        except Finalize as stop:
            return None, b"timeout" if stop.status == 408 else b"client aborted"
    return (1,)


async def eof(r: Request) -> Answer:
    """``ngx.eof()``: the response is complete, the handler goes on."""
    if r.filter_status is not None:
        return _FAILED
    try:
        send_header(r)
        r.finish()
    except Finalize as stop:
        r.filter_status = stop.status
        return _FAILED
    return _FAILED if r.aborted else (1,)


async def send_headers(r: Request) -> Answer:
    """``ngx.send_headers()``."""
    if r.filter_status is None:
        try:
            send_header(r, whole=False)
        except Finalize as stop:
            r.filter_status = stop.status
    return (1,) if r.filter_status is None and not r.aborted else _FAILED


OPERATIONS = {
    "output": output, "filter": filter_output, "flush": flush, "eof": eof, "send_headers": send_headers,
}  # fmt: skip
