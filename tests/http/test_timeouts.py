"""Clients that are slow, stall, or leave: what they cost, how long they are waited for, and how they are got rid of.

https://nginx.org/en/docs/http/ngx_http_core_module.html: client_header_timeout, keepalive_timeout, keepalive_requests,
send_timeout, lingering_close, reset_timedout_connection.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import Connection, head, raw
from harness import http
from observed import Observed, logged, serve, wait_for

CONF = http(
    """
    lua_socket_log_errors off;
    server {
        listen {port};
        root html;
        client_header_timeout 300ms;
        keepalive_timeout 300ms;
        keepalive_requests 3;
        send_timeout 300ms;
        lingering_timeout 300ms;
        location / { return 200 "ok"; }
        location = /big { }
        location = /half { }
        location = /lua-big {
            content_by_lua_block {
                local piece = string.rep("x", 65536)
                for i = 1, 800 do
                    local ok, err = ngx.print(piece)
                    if not ok then return end
                    ngx.flush(true)
                end
            }
        }
        location = /lua-once { content_by_lua_block { ngx.print(string.rep("x", 8000000)) } }
        location = /sleep { content_by_lua_block { ngx.sleep(0.3) ngx.print("slept") } }
        location = /close { return 444; }
        location = /captured { content_by_lua_block { ngx.print(#ngx.location.capture("/half").body) } }
    }
    server {
        listen {port2};
        reset_timedout_connection on;
        client_header_timeout 300ms;
        client_body_timeout 300ms;
        send_timeout 300ms;
        root html;
        location = /big { }
        location = /close { return 444; }
        location = /read { content_by_lua_block { ngx.req.read_body() } }
    }
    server {
        listen {port3};
        lingering_time 600ms;
        lingering_timeout 200ms;
        location /off { lingering_close off; return 400; }
        location /on { lingering_close on; return 400; }
        location /pile { keepalive_requests 100000; root html; try_files /page =404; }
        location /always { lingering_close always; keepalive_timeout 0; return 200; }
    }
    """
)
SIZE = 50 << 20
GET = head("GET", "/")


@pytest.fixture(scope="module")
def server() -> Iterator[Observed]:
    for server in serve(CONF, {"html/half": b"h" * 3_000_000, "html/page": b"p" * 60_000}):
        with open(server.prefix / "html" / "big", "wb") as big:
            big.truncate(SIZE)
        yield server


def _small_window(server: Observed, port: str = "port") -> Connection:
    """A connection whose client takes little unless it reads."""
    client = Connection.__new__(Connection)
    client.sock = socket.socket()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.sock.settimeout(15)
    client.sock.connect(("127.0.0.1", server.ports[port]))
    client._buffer, client._ended = b"", False
    return client


def test_nothing_sent(server: Observed) -> None:
    """A connection that never says anything is closed, and so told in the log."""
    assert raw(server, b"") == b""
    assert "client timed out (110: Connection timed out) while waiting for request" in server.log_text()


@pytest.mark.parametrize("data", [b"GET /stalled-line HTTP/1.1", b"GET /stalled-head HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
def test_stalled_head(server: Observed, data: bytes) -> None:
    """nginx closes without an answer, and logs the request with 408."""
    assert raw(server, data) == b""
    if data.strip():
        assert logged(server, data.split(b"\r")[0].decode()).endswith('HTTP/1.1" 408')
    part = "line" if b"line" in data else "headers"
    assert f"client timed out (110: Connection timed out) while reading client request {part}" in server.log_text()


@pytest.mark.parametrize("before", [0, 1])
def test_trickled_head(server: Observed, before: int) -> None:
    """``client_header_timeout`` is for the whole head: bytes that trickle in don't extend it."""
    with Connection(server) as client:
        for _ in range(before):
            client.request()
        client.sock.settimeout(0.05)
        sent = 0
        for byte in b"GET /trickled HTTP/1.1\r\nX: " + b"y" * 1000:
            try:
                client.sock.sendall(bytes((byte,)))
                if client.sock.recv(100) == b"":
                    break
            except TimeoutError:
                sent += 1
            except OSError:
                break
        else:
            pytest.fail("still open after the whole head")
    assert 0 < sent < 100


def test_idle_connections(server: Observed) -> None:
    """``keepalive_timeout`` closes an idle connection, however long the timeout of its first head was."""
    clients = [Connection(server) for _ in range(20)]
    for number, client in enumerate(clients):
        for _ in range(1 + number % 2):
            assert client.request().get("Connection") == "keep-alive"
    assert [client.rest() for client in clients] == [b""] * 20
    server.check_well()


def test_keepalive_requests(server: Observed) -> None:
    """The last request that a connection may make is answered with ``Connection: close``, also in a pipeline."""
    assert raw(server, GET * 5).count(b"Connection: keep-alive") == 2
    answers = raw(server, GET * 5)
    assert (answers.count(b"HTTP/1.1 200"), answers.count(b"Connection: close")) == (3, 1)


@pytest.mark.parametrize("path", ["/big", "/lua-big", "/lua-once", "/captured"])
def test_client_that_does_not_read(server: Observed, path: str) -> None:
    """It costs no more memory than what is being sent, and is dropped after ``send_timeout``."""
    base = server.resident()
    with _small_window(server) as client:
        client.send(head("GET", path))
        if path == "/captured":
            assert client.response().body == b"3000000"
            return
        wait_for(lambda: logged(server, f"GET {path} ").endswith(" 200"), "the end")
        assert server.resident() - base < (30 << 20 if path == "/lua-once" else 8 << 20)
        assert len(client.rest()) < SIZE // 5
    assert "client timed out (110: Connection timed out) while sending response to client" in server.log_text()
    (server.prefix / "logs" / "access.log").write_bytes(b"")
    server.check_well()


@pytest.mark.parametrize("path", ["/big", "/lua-once"])
def test_slow_reader(server: Observed, path: str) -> None:
    """A client that goes on reading is not dropped, though the whole takes longer than ``send_timeout``."""
    with _small_window(server) as client:
        client.send(head("GET", path, {"Connection": "close"}))
        size = 0
        while data := client.sock.recv(65536):
            size += len(data)
            if size < 4_000_000:
                threading.Event().wait(0.001)
    assert size > (SIZE if path == "/big" else 8_000_000)


@pytest.mark.parametrize("path", ["/big", "/lua-big", "/lua-once", "/sleep"])
@pytest.mark.parametrize("reset", [False, True])
def test_client_leaves_in_the_answer(server: Observed, path: str, reset: bool) -> None:
    """The worker notices, stops, and has nothing left of it."""
    with _small_window(server) as client:
        client.send(head("GET", path))
        if path != "/sleep":
            assert client.sock.recv(1000)
        server.state()
        if reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.check_well()


def test_pipelining_without_reading(server: Observed) -> None:
    """Answers that nobody takes hold up the requests behind them: they do not pile up in memory."""
    base = server.resident()
    with _small_window(server, "port3") as client:
        client.send(head("GET", "/pile") * 3000)
        server.state()
        assert server.resident() - base < 8 << 20
        assert server.access_log().count('"GET /pile HTTP/1.1" 200') < 300
    server.check_well()


@pytest.mark.parametrize("path", ["/", "/sleep", "/half", "/captured"])
def test_half_closed(server: Observed, path: str) -> None:
    """A client that ends its half right after the request gets the whole answer."""
    with Connection(server) as client:
        client.send(head("GET", path))
        client.shutdown()
        answer = client.response()
        assert answer.complete
        assert client.rest() == b""
    assert answer.body == {"/": b"ok", "/sleep": b"slept", "/half": b"h" * 3_000_000, "/captured": b"3000000"}[path]


def test_close_without_answer(server: Observed) -> None:
    """``return 444``: closed, logged as 444; by a reset with ``reset_timedout_connection``."""
    assert raw(server, head("GET", "/close")) == b""
    assert logged(server, "/close ").endswith(" 444")
    assert _reset(server, head("GET", "/close"))


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n", head("POST", "/read", {"Content-Length": "10"}), head("GET", "/big")],
    ids=["head", "body", "answer"],
)
def test_reset_timedout_connection(server: Observed, data: bytes) -> None:
    """A connection that timed out is reset, so that the kernel holds nothing for it."""
    assert _reset(server, data)


def _reset(server: Observed, data: bytes) -> bool:
    with _small_window(server, "port2") as client:
        client.send(data)
        server.state()
        if b"/big" in data:
            wait_for(lambda: server.state()[0] == 0, "the connection dropped")
        try:
            while client.sock.recv(1 << 20):
                pass
        except ConnectionResetError:
            return True
    return False


@pytest.mark.parametrize(("path", "lingers"), [("/off", False), ("/on", True), ("/always", True)])
def test_lingering_close(server: Observed, path: str, lingers: bool) -> None:
    """After ``Connection: close`` what the client still sends is read, up to ``lingering_timeout`` after the last."""
    length = "1000000" if path != "/always" else "0"
    with Connection(server.ports["port3"]) as client:
        client.send(head("POST", path, {"Content-Length": length}))
        answer = client.response()
        assert answer.get("Connection") == "close"
        assert client.rest() == b""
        assert (server.state()[0] == 1) == lingers
        if lingers:
            client.send(b"x" * 1000)
            server.state()
            client.send(b"x" * 1000)
    wait_for(lambda: server.state()[0] == 0, "the connection closed")


def test_lingering_time(server: Observed) -> None:
    """A client that never stops sending is closed after ``lingering_time``."""
    with Connection(server.ports["port3"]) as client:
        client.send(head("POST", "/on", {"Content-Length": "100000000"}))
        client.response()
        for _ in range(200):
            try:
                client.sock.sendall(b"x" * 100)
            except OSError:
                break
            threading.Event().wait(0.05)
        else:
            pytest.fail("still open")


def test_open_files(server: Observed) -> None:
    """No descriptor is left open by all of this."""
    server.check_well()
    before = len(list(Path(f"/proc/{server.worker}/fd").iterdir()))
    for path in ("/big", "/lua-big"):
        for _ in range(10):
            with _small_window(server) as client:
                client.send(head("GET", path))
                assert client.sock.recv(10)
    server.check_well()
    assert len(list(Path(f"/proc/{server.worker}/fd").iterdir())) == before
