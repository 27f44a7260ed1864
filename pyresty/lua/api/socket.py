"""ngx.socket.tcp: https://github.com/openresty/lua-nginx-module#ngxsockettcp

What can be answered from the buffer is answered by a plain call; only what has to wait is an operation. Sockets are known to Lua by
number, and belong to the request that made them: they are closed at its end at the latest.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Callable
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ...process.logs import ERR
from ..cosocket import POOLS, CoSocket, os_text

if TYPE_CHECKING:
    from ..vm import LuaVM



class UnknownHost(Exception):
    """A name that could not be resolved; its text is what Lua sees."""


Answer = tuple[Any, ...]

_sockets: dict[int, CoSocket] = {}
_by_request: dict[Request, set[CoSocket]] = {}
_last = 0

CLOSED: Answer = (None, b"closed")


def _register(socket: CoSocket, r: Request) -> int:
    global _last
    _last += 1
    socket.number = _last
    socket.owner = r
    _sockets[_last] = socket
    mine = _by_request.get(r.main)
    if mine is None:
        mine = _by_request[r.main] = set()
        r.main.at_end(close_all)
    mine.add(socket)
    return _last


def _unregister(socket: CoSocket) -> None:
    _sockets.pop(socket.number, None)
    if socket.owner is not None:
        _by_request[socket.owner.main].discard(socket)


def close_all(r: Request) -> None:
    """The request has ended: close what it left open."""
    for socket in _by_request.pop(r):
        _sockets.pop(socket.number, None)
        socket.close()


def count() -> int:
    """How many sockets Lua holds, for the tests that look for leaks."""
    return len(_sockets)


def _log(r: Request, text: str) -> None:
    if r.loc.conf["lua"].socket_log_errors:
        r.log(ERR, text)


# -- connect


async def connect(r: Request, host: bytes, port: float, pool: bytes | bool, timeout: float) -> Answer:
    """Connect; ``port`` is -1 for a unix socket whose path is ``host``. Returns the number and how often it was reused."""
    unix = port < 0
    key = pool if isinstance(pool, bytes) else host if unix else b"%s:%d" % (host, int(port))
    kept = POOLS.get(key)
    if kept is not None:
        return _register(kept, r), kept.reused
    conf = r.loc.conf["lua"]
    seconds = timeout / 1000 if timeout > 0 else conf.socket_connect_timeout
    loop = r.conn.loop
    target = ""
    try:
        if unix:
            path = host[5:].decode("utf-8", "surrogateescape")
            target = host.decode("utf-8", "surrogateescape")
            _, made = await asyncio.wait_for(loop.create_unix_connection(lambda: CoSocket(loop, key), path), seconds)
        else:
            address = await _address(r, host)
            target = f"{address}:{int(port)}"
            _, made = await asyncio.wait_for(loop.create_connection(lambda: CoSocket(loop, key), address, int(port)), seconds)
    except UnknownHost as error:
        return None, str(error).encode()
    except asyncio.TimeoutError:
        _log(r, f"lua tcp socket connect timed out, when connecting to {target}")
        return None, b"timeout"
    except OSError as error:
        text = os_text(error)
        if conf.socket_log_errors:
            where = f" to {target}" if unix else ""
            r.log(ERR, f"connect(){where} failed ({error.errno}: {os.strerror(error.errno or 0)})")
        return None, text
    return _register(made, r), 0


async def _address(r: Request, host: bytes) -> str:
    text = host.decode("ascii", "replace")
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    resolver = r.loc.core.resolver
    if resolver is not None:
        try:
            return str((await resolver.resolve(host))[0])
        except OSError as error:
            raise UnknownHost(str(error)) from None
    try:
        found = await r.conn.loop.getaddrinfo(text, None, type=SOCK_STREAM)
    except OSError:
        raise UnknownHost(f"{text} could not be resolved (3: Host not found)") from None
    return str(found[0][4][0])


# -- send


async def wait_sent(r: Request, number: float, timeout: float) -> Answer:
    """Wait until the peer has taken what ``send`` wrote."""
    socket = _sockets.get(int(number))
    if socket is None:
        return CLOSED
    seconds = timeout / 1000 if timeout > 0 else r.loc.conf["lua"].socket_send_timeout
    while socket.write_paused and socket.error is None:
        if not await socket.drained(seconds):
            _log(r, "lua tcp socket write timed out")
            return None, b"timeout"
    if socket.error is not None:
        return None, socket.error
    return (1,)


# -- receive


def _line(socket: CoSocket) -> bytes | None:
    end = socket.buffer.find(b"\n")
    if end < 0:
        return None
    line = socket.take(end + 1)[:-1]
    return line.replace(b"\r", b"") if b"\r" in line else line


def _try(socket: CoSocket, mode: float) -> bytes | None:
    """What the buffer has for ``receive``: ``mode`` is a size, -1 for a line, -2 for everything up to the end."""
    if mode >= 0:
        size = int(mode)
        return socket.take(size) if len(socket.buffer) >= size else None
    if mode == -1:
        return _line(socket)
    return socket.take_all() if socket.eof else None


async def receive(r: Request, number: float, mode: float, timeout: float) -> Answer:
    """Wait for what ``receive`` asked for. Returns the data, or None, the error and what there was."""
    socket = _sockets.get(int(number))
    if socket is None:
        return CLOSED
    seconds = timeout / 1000 if timeout > 0 else r.loc.conf["lua"].socket_read_timeout
    while True:
        data = _try(socket, mode)
        if data is not None:
            return (data,)
        if socket.eof:
            partial = socket.take_all()
            error = socket.error or b"closed"
            _finish(socket)
            return None, error, partial
        if not await socket.more(seconds):
            _log(r, "lua tcp socket read timed out")
            return None, b"timeout", socket.take_all()
        if _sockets.get(socket.number) is not socket:
            return None, b"closed", b""


async def receive_any(r: Request, number: float, size: float, timeout: float) -> Answer:
    """Wait for any bytes, at most ``size``."""
    socket = _sockets.get(int(number))
    if socket is None:
        return CLOSED
    seconds = timeout / 1000 if timeout > 0 else r.loc.conf["lua"].socket_read_timeout
    while not socket.buffer:
        if socket.eof:
            error = socket.error or b"closed"
            _finish(socket)
            return None, error
        if not await socket.more(seconds):
            _log(r, "lua tcp socket read timed out")
            return None, b"timeout"
    return (socket.take(int(size)),)


def _until(socket: CoSocket, pattern: bytes, inclusive: bool, size: float) -> tuple[bytes, bool] | None:
    """The bytes before ``pattern`` and whether it was reached; at most ``size`` of them if that isn't 0. None: not enough yet."""
    buffer = socket.buffer
    at = buffer.find(pattern)
    limit = int(size)
    if at >= 0:
        end = at + len(pattern) if inclusive else at
        if limit and end > limit:
            return socket.take(limit), False
        data = socket.take(at + len(pattern))
        return data if inclusive else data[:at], True
    if limit and len(buffer) - len(pattern) + 1 >= limit:
        return socket.take(limit), False
    return None


async def receive_until(r: Request, number: float, pattern: bytes, inclusive: bool, size: float, timeout: float) -> Answer:
    """Wait for a pattern. Returns the data and whether the pattern was reached, or None, the error and what there was."""
    socket = _sockets.get(int(number))
    if socket is None:
        return CLOSED
    seconds = timeout / 1000 if timeout > 0 else r.loc.conf["lua"].socket_read_timeout
    while True:
        found = _until(socket, pattern, inclusive, size)
        if found is not None:
            return found
        if socket.eof:
            partial = socket.take_all()
            error = socket.error or b"closed"
            _finish(socket)
            return None, error, partial
        if not await socket.more(seconds):
            _log(r, "lua tcp socket read timed out")
            return None, b"timeout", socket.take_all()


def _finish(socket: CoSocket) -> None:
    """The peer has closed: so do we."""
    _unregister(socket)
    socket.close()


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def socket_send(number: float, data: bytes) -> Any:
        """Write; 0: written, 1: written but the peer is slow (wait), or None and the error."""
        socket = _sockets.get(int(number))
        if socket is None:
            return CLOSED
        if socket.error is not None:
            return None, socket.error
        socket.transport.write(data)
        return 1 if socket.write_paused else 0

    def socket_receive(number: float, mode: float) -> bytes | None:
        """What the buffer has already, or None."""
        socket = _sockets.get(int(number))
        return None if socket is None else _try(socket, mode)

    def socket_close(number: float) -> bool:
        """Close; False if it was closed already."""
        socket = _sockets.get(int(number))
        if socket is None:
            return False
        _finish(socket)
        return True

    def socket_keepalive(number: float, timeout: float, size: float) -> bytes | None:
        """Put into the pool; an error text, or None."""
        socket = _sockets.get(int(number))
        if socket is None:
            return b"closed"
        if socket.buffer:
            _finish(socket)
            return b"unread data in buffer"
        if socket.eof or socket.error is not None:
            _finish(socket)
            return b"connection in dubious state"
        r = vm.r
        assert r is not None
        conf = r.loc.conf["lua"]
        seconds = timeout / 1000 if timeout >= 0 else conf.socket_keepalive_timeout
        _unregister(socket)
        POOLS.put(socket, seconds, int(size) if size > 0 else conf.socket_pool_size)
        return None

    return {
        "socket_send": socket_send,
        "socket_receive": socket_receive,
        "socket_close": socket_close,
        "socket_keepalive": socket_keepalive,
    }


OPERATIONS = {
    "connect": connect,
    "wait_sent": wait_sent,
    "receive": receive,
    "receive_any": receive_any,
    "receive_until": receive_until,
}
