"""ngx.print, ngx.flush, ngx.eof, ngx.send_headers: https://github.com/openresty/lua-nginx-module#ngxprint

A filter may refuse the response. The handler goes on then, with errors from all output, and the refusal counts when it ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Finalize, Request
from ...process.logs import DEBUG
from ..output import begin, holds, send, send_header

if TYPE_CHECKING:
    from ..vm import LuaVM

Answer = tuple[Any, ...]

_FAILED = None, b"nginx output filter error"


def _gone(r: Request) -> bool:
    """Whether nothing reaches the client any more. (The loop tells of a write that failed only in its next turn.)"""
    return r.aborted or bool(r.conn.transport.is_closing())


async def output(r: Request) -> Answer:
    """A large print: wait while the client reads more slowly."""
    if r.aborted:
        return _FAILED
    if not r.is_subrequest:
        await r.drain()
        if _gone(r):
            return _FAILED
    return (1,)


def filter_output(r: Request, data: bytes) -> Answer | Awaitable[Answer]:
    """One print, in a location with Lua filters: it passes them now."""
    if r.filter_status is not None or r.aborted:
        return _FAILED
    try:
        if data:
            send(r, data)
        elif r.held is None:
            send_header(r, whole=False)
    except Finalize as stop:
        r.filter_status = stop.status
        return _FAILED
    if not r.is_subrequest and (r.conn.write_paused or _gone(r)):
        return output(r)
    return (1,)


async def flush(r: Request, wait: bool) -> Answer:
    """``ngx.flush([wait])``: hand everything to the socket, and wait for a slow client if asked to."""
    if r.filter_status is not None:
        return _FAILED
    if r.version < 1001 and holds(r):
        r.log(DEBUG, "lua http 1.0 buffering makes ngx.flush() a no-op")
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
    r.flush()
    if _gone(r):
        return _FAILED
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


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def send_head(gathered: bool) -> bool:
        """Something has been printed: send the head, unless the output (``gathered`` in Lua yet, or held) waits for its end.

        Answers whether it has been sent, or could not be.
        """
        r = vm.r
        assert r is not None
        if r.version < 1001 and (gathered or r.held is not None) and holds(r):
            begin(r)
            return False
        try:
            send_header(r, whole=False)
        except Finalize as stop:
            r.filter_status = stop.status
        return True

    def head_gone() -> bool:
        """Whether the head has been sent, or could not be."""
        r = vm.r
        assert r is not None
        return r.header_sent or r.filter_status is not None

    def header_only() -> bool:
        """Whether the head has been sent and is all there is to send."""
        r = vm.r
        assert r is not None
        return r.header_sent and r.header_only

    return {"send_head": send_head, "head_gone": head_gone, "header_only": header_only}


OPERATIONS = {
    "output": output, "filter": filter_output, "flush": flush, "eof": eof, "send_headers": send_headers,
}  # fmt: skip
