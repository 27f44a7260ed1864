"""ngx.socket.udp against a real UDP server, and what newer versions of ngx_lua than the reference do.

https://github.com/openresty/lua-nginx-module#ngxsocketudp
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness import Server, http, request


@contextmanager
def echo(family: int = socket.AF_INET, address: str = "127.0.0.1") -> Iterator[int]:
    """A server that sends back every datagram, ``slow`` not at all, ``twice`` twice; its port."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))

        def serve() -> None:
            while True:
                data, peer = sock.recvfrom(65536)
                if data == b"end":
                    return
                if data != b"silent":
                    sock.sendto(data, peer)
                if data == b"twice":
                    sock.sendto(b"again", peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            with socket.socket(family, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", (address, sock.getsockname()[1]))
            thread.join()


def answer(code: str, port: int, more: str = "", level: str = "info") -> tuple[str, list[str]]:
    """What ``code`` prints with ``PORT`` for the port, and the error log from ``level`` up."""
    conf = http(
        f"{more} server {{ listen {{port}}; location / {{ content_by_lua_block {{\n"
        "local function show(...) local t = {...} for i = 1, select('#', ...) do t[i] = tostring(t[i]) end\n"
        f"ngx.say(table.concat(t, ' ')) end {code.replace('PORT', str(port))} }} }} }}"
    )
    with Server(conf.replace("error.log info", f"error.log {level}")) as server:
        return request(server).body.decode(), server.error_log()


_OPEN = "local u = ngx.socket.udp() assert(u:setpeername('127.0.0.1', PORT))"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("show(u:send('hello')) show(u:receive())", "1\nhello\n"),
        ("show(u:send({'a', 1, {'b', 2}})) show(u:receive())", "1\na1b2\n"),
        ("u:send(true) show(u:receive()) u:send(nil) show(u:receive()) u:send(12) show(u:receive())", "true\nnil\n12\n"),
        ("show(u:send('')) show(#u:receive())", "1\n0\n"),
        ("u:send('longer') show(u:receive(3)) u:send('next') show(u:receive('2'))", "lon\nne\n"),
        ("u:send('twice') show(u:receive()) show(u:receive())", "twice\nagain\n"),
        ("u:settimeout(50) u:send('silent') show(u:receive()) u:send('loud') show(u:receive())", "nil timeout\nloud\n"),
        ("show(u:close()) show(u:close()) show(u:send('x')) show(u:receive())", "1\nnil closed\nnil closed\nnil closed\n"),
        ("show(u:setpeername('127.0.0.1', PORT)) u:send('again') show(u:receive())", "1\nagain\n"),
        ("local data = ('x'):rep(60000) u:send(data) show(u:receive() == data)", "true\n"),
        ("u:send(('x'):rep(70000)) show(u:send(('x'):rep(70000)))", "nil message too long\n"),
        ("show(u:bind('127.0.0.1')) show(u:bind('localhost')) show(u:bind('127.0.0.1:53')) show(u:bind('::1'))",
         "1\nnil bad address\nnil bad address\n1\n"),
        ("show(u:bind('192.0.2.7')) show(u:setpeername('127.0.0.1', PORT))", "1\nnil cannot assign requested address\n"),
    ],
)  # fmt: skip
def test_datagrams(code: str, expected: str) -> None:
    """Each method against the server."""
    with echo() as port:
        assert answer(f"{_OPEN} {code}", port)[0] == expected


def test_bind_is_logged() -> None:
    """At level debug, as that of a TCP socket is."""
    _, log = answer("ngx.socket.udp():bind('::1') ngx.socket.tcp():bind('127.0.0.1', 8)", 0, level="debug")
    found = [line.partition("[debug] ")[2].partition(" ")[2].partition(",")[0] for line in log if "bind ip" in line]
    assert [line.partition(" ")[2] for line in found] == [
        "lua udp socket bind ip: ::1",
        "lua tcp socket bind ip: 127.0.0.1",
    ]


def test_busy() -> None:
    """While one light thread waits for a datagram, nobody else may use the socket."""
    code = f"""{_OPEN}
        local waiting = ngx.thread.spawn(function() return u:receive() end)
        show(u:receive()) show(u:send('x')) show(u:close()) show(u:setpeername('127.0.0.1', PORT))
        u = nil ngx.thread.kill(waiting)"""
    with echo() as port:
        assert answer(code, port)[0] == "nil socket busy\n" * 4


def test_killed() -> None:
    """A thread that is killed while it waits leaves its socket closed."""
    code = f"""{_OPEN}
        local waiting = ngx.thread.spawn(function() return u:receive() end)
        ngx.sleep(0.01) show(ngx.thread.kill(waiting)) show(u:send('x'))"""
    with echo() as port:
        assert answer(code, port)[0] == "1\nnil closed\n"


def test_names() -> None:
    """A name is looked up, and named in the error log with its address."""
    code = "local u = ngx.socket.udp() u:settimeout(20) show(u:setpeername('localhost', PORT)) u:send('silent') show(u:receive())"
    with echo() as port:
        body, log = answer(code, port)
        assert body == "1\nnil timeout\n"
        assert any(
            f"lua udp socket read timed out, upstream: localhost:{port}(127.0.0.1), client: " in line for line in log
        )


def test_errors_can_be_kept_out_of_the_log() -> None:
    """lua_socket_log_errors off."""
    with echo() as port:
        code = f"{_OPEN} u:settimeout(20) u:send('silent') show(u:receive()) u:close() u:send('x')"
        _, log = answer(code, port, "lua_socket_log_errors off;")
        assert not [line for line in log if "[error]" in line]


def test_arguments() -> None:
    """Wrong numbers of arguments, and objects that are none."""
    code = """
        local u = ngx.socket.udp()
        show(pcall(ngx.socket.udp, 1)) show(pcall(u.send, u)) show(pcall(u.receive, u, 1, 2)) show(pcall(u.close))
        show(pcall(u.settimeout, u)) show(pcall(u.setpeername, u)) show(pcall(u.bind, u)) show(pcall(u.send, "x", "y"))
        show(pcall(u.setpeername, u, {}, 1)) show(pcall(u.receive, u))"""
    assert answer(code, 0)[0].splitlines() == [
        "false expecting zero arguments, but got 1",
        "false expecting 2 arguments (including the object), but got 1",
        "false expecting 1 or 2 arguments (including the object), but got 3",
        "false expecting 1 argument (including the object) but seen 0",
        "false ngx.socket settimeout: expecting at least 2 arguments (including the object) but seen 1",
        "false ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), but seen 1",
        "false expecting 2 arguments, but got 1",
        "false bad argument #1 to '?' (table expected, got string)",
        "false bad argument #2 to '?' (string expected, got table)",
        "true nil closed",
    ]
