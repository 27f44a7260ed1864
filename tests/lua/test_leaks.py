"""Nothing is left behind: after many requests of each kind that waits, Lua's and Python's memory are where they were.

Lua's memory is what its collector counts after two full collections; Python's is the private memory of the worker process.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path

import pytest
from harness import Server, http, request

#: Requests of each kind, after a tenth as many to warm up.
REQUESTS = 100_000
CONNECTIONS = 50

_LOCATIONS = {
    "sleep": "ngx.sleep(0.001) ngx.say('x')",
    "capture": "local r = ngx.location.capture('/waits') ngx.print(r.body)",
    "cosocket": (
        "local s = ngx.socket.tcp() s:connect('127.0.0.1', ngx.var.server_port) "
        "s:send('GET /x HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n') while s:receive() ~= '' do end s:receive(2) s:setkeepalive() ngx.say('x')"
    ),
    "timer": "ngx.timer.at(0, function() local t = {} t.self = t end) ngx.say('x')",
    "thread": (
        "local t = ngx.thread.spawn(function() ngx.sleep(0) return {} end) ngx.thread.spawn(function() ngx.sleep(9) end) "
        "ngx.thread.wait(t) ngx.say('x') ngx.exit(0)"
    ),
    "semaphore": (
        "local s = require('ngx.semaphore').new(0) ngx.thread.spawn(function() s:wait(1) end) ngx.thread.spawn(function() s:wait(0.001) end) "
        "s:post() ngx.say('x')"
    ),
    "killed": (
        "local t = ngx.thread.spawn(function() ngx.sleep(9) end) ngx.thread.kill(t) "
        "local s = ngx.thread.spawn(function() ngx.socket.tcp():connect('127.0.0.1', ngx.var.server_port) ngx.sleep(9) end) "
        "ngx.sleep(0) ngx.thread.kill(s) ngx.say('x')"
    ),
}

_CONF = http(
    """
    access_log off; error_log {prefix}/logs/error.log error; lua_max_pending_timers 100000; lua_max_running_timers 100000;
    server {
        listen {port}; keepalive_requests 1000000000; client_header_timeout 1s;
        location = /count { content_by_lua_block { collectgarbage() collectgarbage() ngx.say(collectgarbage("count")) } }
        location = /waits { content_by_lua_block { ngx.sleep(0) ngx.say("x") } }
        location = /x { return 200 "x\\n"; }
"""
    + "\n".join(
        f"        location = /{name} {{ content_by_lua_block {{ {code} }} }}" for name, code in _LOCATIONS.items()
    )
    + "\n    }\n",
    main="master_process off;",
)


class _Client(asyncio.Protocol):
    """Sends the same request again whenever it has the answer, while there are any left to send."""

    def __init__(self, request: bytes, left: list[int], done: asyncio.Future[None]) -> None:
        self.request, self.left, self.done = request, left, done
        self.got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.got.endswith(b"x\n\r\n0\r\n\r\n"):
            return
        self.got = b""
        if self.left[0] <= 0:
            self.transport.close()
            return
        self.left[0] -= 1
        self.transport.write(self.request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.got or self.left[0] > 0:
            self.done.set_exception(AssertionError(f"the connection ended with {self.got!r}"))
        elif not self.done.done():
            self.done.set_result(None)


async def _play(port: int, path: str, count: int) -> None:
    loop = asyncio.get_running_loop()
    left, ends = [count - CONNECTIONS], []
    for _ in range(CONNECTIONS):
        done = loop.create_future()
        ends.append(done)
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        await loop.create_connection(partial(_Client, request, left, done), "127.0.0.1", port)
    await asyncio.gather(*ends)


def _lua_kb(server: Server) -> float:
    return float(request(server.port, "GET", "/count").body)


def _private_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.M))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's smaps_rollup")
@pytest.mark.parametrize("kind", _LOCATIONS)
def test_memory_stays(kind: str) -> None:
    """A byte kept for each request would be 100 KB in Lua; the bound is below that, Python's allocator gets some slack."""
    with Server(_CONF) as server:
        port, worker = server.port, server.pid
        asyncio.run(_play(port, f"/{kind}", REQUESTS // 10))
        lua, private = _lua_kb(server), _private_kb(worker)
        asyncio.run(_play(port, f"/{kind}", REQUESTS))
        assert _lua_kb(server) - lua < 64
        assert _private_kb(worker) - private < 2048
        assert not [line for line in server.error_log() if "[error]" in line or "[alert]" in line or "[crit]" in line]


def test_refused_subrequests_leave_nothing() -> None:
    """The states that are made for ``ctx`` options are forgotten where no subrequest comes of it."""
    code = """
        local function kilobytes() collectgarbage() collectgarbage() return collectgarbage("count") end
        local before = kilobytes()
        local options = function(i) return {ctx = {("x"):rep(1000) .. i}} end
        for i = 1, 1000 do
            pcall(ngx.location.capture, "/a/../../b", options(i))
            pcall(ngx.location.capture_multi, {{"/x", options(i)}, {"/a/../../b", options(i)}})
            pcall(ngx.location.capture, "/x", {ctx = {("y"):rep(1000) .. i}, vars = true})
        end
        ngx.say(kilobytes() - before < 1000)"""
    with Server(http("server { listen {port}; location / { content_by_lua_block { " + code + " } } }")) as server:
        assert request(server, "GET", "/").body == b"true\n"
