"""``ngx.socket.tcp``: what ``socket_snippets.py`` says on pyresty is what it says on the reference, log and all.

What the reference cannot show (it is older, or what it does is a crash or a leak) is checked against the documentation:
https://github.com/openresty/lua-nginx-module#ngxsockettcp
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from harness import Connection, Server, http, request
from nameserver import NameServer
from origin import WAIT, Origin
from socket_runs import HAVE_REFERENCE, PRELUDE, Runs, check_answer, check_log
from socket_snippets import ALL

ASKS = [
    pytest.param(runs, number, id=f"{runs.name}-{name}") for runs in ALL for number, name in enumerate(runs.snippets)
]


@pytest.mark.parametrize(("runs", "number"), ASKS)
def test_answer(runs: Runs, number: int) -> None:
    """Same results, partial data and messages."""
    check_answer(runs, number)


@pytest.mark.parametrize("runs", ALL, ids=lambda runs: runs.name)
def test_error_log(runs: Runs) -> None:
    """Same lines in the error log, in the same order."""
    check_log(runs)


def serve(code: str, origin: Origin, around: str = "") -> Server:
    """A server with this code at ``/``."""
    conf = http(f"{PRELUDE} server {{ listen {{port}}; {around} location / {{ content_by_lua_block {{ {code} }} }} }}")
    return Server(conf, ports={"origin": origin.port})


def soon(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true before long."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ngx.say(pcall(s.setkeepalive, s, {}))", "falsebad argument #2 to '?' (number expected, got table)\n"),
        ("ngx.say(pcall(s.setkeepalive, s, 1, 'x'))", "falsebad argument #3 to '?' (number expected, got string)\n"),
        ("ngx.say(pcall(s.receive, s, -1))", "falsebad argument #2 to '?' (bad number argument)\n"),
        ("ngx.say(pcall(s.receive, s, {}))", "falsebad argument #2 to '?' (bad argument)\n"),
        ("ngx.say(s:getfd() > 2, ' ', s:setoption('keepintvl', 5), ' ', s:getoption('keepintvl'))", "true true 5\n"),
        (
            "ngx.say(pcall(s.setoption, s, 'keepalive', 'x'))",
            "falsebad argument #3 to 'setoption' (cannot convert 'string' to 'int')\n",
        ),
        (
            "local q = ngx.socket.tcp() ngx.say(select(2, pcall(q.setoption, q, 'keepalive', 1)))",
            "socket is never created nor connected\n",
        ),
    ],
)
def test_newer(code: str, expected: str) -> None:
    """What newer versions do, or what is refused by name."""
    with Origin({}) as origin, serve(f"local s = dial() {code}", origin) as server:
        assert request(server).body.decode() == expected


def test_names_by_the_system() -> None:
    """Without a ``resolver``, names are looked up by the system: a documented difference."""
    code = """local s = ngx.socket.tcp() ngx.say(s:connect('localhost', {origin}))
        ngx.say(s:connect('no.such.name.invalid', 80))"""
    with Origin({}) as origin, serve(code, origin) as server:
        assert request(server).body == b"1\nnilno.such.name.invalid could not be resolved (3: Host not found)\n"


def test_names_by_the_resolver() -> None:
    """The directive ``resolver`` and its errors, as on the reference."""
    if not HAVE_REFERENCE:
        pytest.skip("no nginx with ngx_lua is installed")
    names = NameServer()
    conf = http(
        f"""
        resolver {names.address}; resolver_timeout 300ms; lua_socket_log_errors off;
        server {{ listen {{port}}; location / {{ content_by_lua_block {{
            for _, name in ipairs{{"two", "two", "nx", "broken", "refused", "none", "silent"}} do
                local s = ngx.socket.tcp() ngx.say(s:connect(name .. ".test", {{port}}))
            end }} }} }}"""
    )
    bodies = []
    for reference in (False, True):
        with Server(conf, reference=reference) as server:
            bodies.append(request(server).body)
    names.close()
    assert bodies[0].startswith(b"1\n1\nnilnx.test could not be resolved (3: Host not found)")
    assert bodies[0] == bodies[1]


def test_peer_is_named_in_the_log() -> None:
    """Since 0.10.27 log lines name the peer: host and port as asked for, and the address."""
    code = "local s = dial('silent') s:settimeout(20) s:receive() s:close() s:receive()"
    with Origin({"silent": (WAIT,)}) as origin, serve(code, origin) as server:
        request(server)
        lines = [line for line in server.error_log() if "[error]" in line]
        where = f"upstream: 127.0.0.1:{origin.port}(127.0.0.1), client: 127.0.0.1"
        assert f"lua tcp socket read timed out, {where}" in lines[0]
        assert "attempt to receive data on a closed socket" in lines[1]
        assert "upstream" not in lines[1]


def test_left_open_is_closed() -> None:
    """Sockets that a request leaves open are closed at its end."""
    code = "for i = 1, 5 do dial('silent') end ngx.say('left')"
    with Origin({"silent": (WAIT,)}) as origin, serve(code, origin) as server:
        for _ in range(4):
            assert request(server).body == b"left\n"
        assert soon(lambda: not origin._open)


@pytest.mark.parametrize(
    "code", ["s:receive()", "s:receiveuntil('x')()", "s:receiveany(1)", "s:send(string.rep('x', 20000000))"]
)
def test_client_goes_away(code: str) -> None:
    """A socket that waits for a client who has left is closed when its time is over, and the server goes on."""
    code = f"local s = dial('silent') s:settimeout(100) {code} ngx.say('over')"
    with Origin({"silent": (2.0,)}) as origin, serve(code, origin) as server:
        with Connection(server.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert soon(lambda: bool(origin._open))
        assert soon(lambda: "timed out" in server.log_text())
        assert request(server).body == b"over\n"


def test_connect_from_another_request() -> None:
    """A socket object stays with the request that connected it, even when the connection is closed."""
    code = """
        local old = package.loaded.old
        if old then ngx.say(pcall(old.connect, old, "127.0.0.1", {origin})) end
        package.loaded.old = dial()
    """
    with Origin({}) as origin, serve(code, origin) as server:
        assert request(server).body == b""
        assert request(server).body == b"falsebad request\n"


def test_reading_is_paused() -> None:
    """A peer that sends more than anybody reads is made to wait, and goes on when somebody reads."""
    sent = 0
    listener = socket.create_server(("127.0.0.1", 0))
    conf = http(
        f"""{PRELUDE} server {{ listen {{port}}; location / {{ content_by_lua_block {{
            local s = dial() ngx.sleep(0.3) local data = s:receive({1 << 26}) ngx.say(#data) }} }} }}"""
    )
    port = listener.getsockname()[1]
    with listener, Server(conf, ports={"origin": port}) as server, Connection(server.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        peer, _ = listener.accept()
        with peer:
            peer.setblocking(False)
            stalled, end, piece = False, time.monotonic() + 20, b"x" * 65536
            while sent < 1 << 26 and time.monotonic() < end:
                try:
                    sent += peer.send(piece[: (1 << 26) - sent])
                except BlockingIOError:
                    stalled = stalled or sent < 1 << 25
                    time.sleep(0.001)
            assert stalled
            assert client.response().body == b"%d\n" % (1 << 26)
