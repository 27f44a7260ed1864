"""``limit_rate``: when what may be sent, on a clock of the test's own; and that whole responses come through, limited or not.

https://nginx.org/en/docs/http/ngx_http_core_module.html#limit_rate
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from harness import Server, http, request
from observed import wait_for

from pyresty.http import throttle
from pyresty.http.throttle import Throttle


class FakeLoop:
    """Calls what is due when the clock is moved on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> Any:
        entry = (self.now + delay, call)
        self.calls.append(entry)
        return SimpleNamespace(cancel=lambda: self.calls.remove(entry) if entry in self.calls else None)

    def move(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [entry for entry in self.calls if entry[0] <= end]:
            entry = min(due, key=lambda each: each[0])
            self.calls.remove(entry)
            self.now = entry[0]
            entry[1]()
        self.now = end


class FakeTransport:
    def __init__(self) -> None:
        self.sent = b""
        self.ended: list[str] = []

    def write(self, data: bytes) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.ended.append("close")

    def abort(self) -> None:
        self.ended.append("abort")


class FakeConnection:
    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.lost = False
        self.write_paused = False
        self.transport: Any = FakeTransport()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> tuple[Throttle, FakeConnection, FakeTransport]:
    """A response that began at the full second, at 100 bytes a second."""
    conn = FakeConnection()
    monkeypatch.setattr(throttle, "time", SimpleNamespace(time=lambda: conn.loop.now))
    r = SimpleNamespace(conn=conn, limit_rate=100, limit_rate_after=0, start=1000.0)
    transport = conn.transport
    made = Throttle(r, transport)  # type: ignore[arg-type]
    conn.transport = made
    return made, conn, transport


def test_rate(limited: tuple[Throttle, FakeConnection, FakeTransport]) -> None:
    made, conn, transport = limited
    made.write(b"x" * 250)
    assert len(transport.sent) == 100
    assert conn.write_paused
    assert made.get_write_buffer_size() == 150
    conn.loop.move(0.9)
    assert len(transport.sent) == 100
    conn.loop.move(0.2)
    assert len(transport.sent) == 200
    conn.loop.move(1)
    assert len(transport.sent) == 250
    assert not conn.write_paused


def test_after(limited: tuple[Throttle, FakeConnection, FakeTransport]) -> None:
    made, conn, transport = limited
    made.r.limit_rate_after = 150
    made.write(b"x" * 300)
    assert len(transport.sent) == 250
    conn.loop.move(1.1)
    assert len(transport.sent) == 300


def test_changed_rate(limited: tuple[Throttle, FakeConnection, FakeTransport]) -> None:
    """A new rate counts from the next piece on; 0 lets everything go."""
    made, conn, transport = limited
    made.write(b"x" * 1000)
    made.r.limit_rate = 0
    conn.loop.move(1.1)
    assert len(transport.sent) == 1000
    assert not conn.write_paused


def test_close_waits(limited: tuple[Throttle, FakeConnection, FakeTransport]) -> None:
    made, conn, transport = limited
    made.write(b"x" * 150)
    made.close()
    assert transport.ended == []
    conn.loop.move(1.1)
    assert (len(transport.sent), transport.ended) == (150, ["close"])


def test_abort_does_not(limited: tuple[Throttle, FakeConnection, FakeTransport]) -> None:
    made, conn, transport = limited
    made.write(b"x" * 150)
    made.abort()
    assert (transport.ended, conn.loop.calls) == (["abort"], [])


def test_removed(limited: tuple[Throttle, FakeConnection, FakeTransport]) -> None:
    made, conn, transport = limited
    made.remove()
    assert conn.transport is transport


def test_lost_client(limited: tuple[Throttle, FakeConnection, FakeTransport]) -> None:
    made, conn, transport = limited
    made.write(b"x" * 150)
    conn.lost = True
    conn.loop.move(2)
    assert (len(transport.sent), conn.loop.calls) == (100, [])


_CONF = http(
    """
    log_format rate "$uri $limit_rate"; access_log {prefix}/logs/rate.log rate;
    server {
        listen {port};
        location /file { limit_rate 40k; limit_rate_after 10k; alias html/file; }
        location /variable { limit_rate $arg_rate; return 200 text; }
        location /set { set $limit_rate 7k; return 200 $limit_rate; }
        location /lua { content_by_lua_block {
            ngx.var.limit_rate = "30k"
            for i = 1, 4 do ngx.print(string.rep(i, 10000)) ngx.flush(true) end
        } }
        location /rate { content_by_lua_block { ngx.header["X-Accel-Limit-Rate"] = "50000" ngx.print(string.rep("x", 60000)) } }
        location /proxy { proxy_pass http://127.0.0.1:{port}/rate; }
        location / { return 200 ok; }
    }
    """
)


def test_whole_responses() -> None:
    """What is limited comes whole, and the connection's next response is not limited."""
    content = bytes(range(256)) * 200
    with Server(_CONF, {"html/file": content}) as server:
        assert request(server, path="/file").body == content
        assert request(server, path="/lua").body == b"".join(b"%d" % i * 10000 for i in range(1, 5))
        assert request(server, path="/proxy").body == b"x" * 60000
        assert request(server, path="/variable?rate=9k").body == b"text"
        assert request(server, path="/variable?rate=bad").body == b"text"
        assert request(server, path="/set").body == b"7168"
        assert request(server).body == b"ok"
        assert 'invalid size "bad"' in server.log_text()
        wait_for(lambda: "/ 0\n" in server.log_text("rate.log"), "the last request in the log")
        assert "/file 40960\n" in server.log_text("rate.log")
        assert "/variable 9216\n" in server.log_text("rate.log")
