"""Idle connections, queues of connects, phases, and sockets of other requests: as on the reference, log and all."""

from __future__ import annotations

import re

import pytest
from harness import Server, http, request
from origin import COUNT, KEEP, Origin
from socket_pool_snippets import ALL
from socket_runs import PRELUDE, Runs, check_answer, check_log

ASKS = [
    pytest.param(runs, number, id=f"{runs.name}-{name}")
    for runs in ALL
    for number, name in enumerate([*runs.snippets, *(path.lstrip("/") for path in runs.more)])
]


@pytest.mark.parametrize(("runs", "number"), ASKS)
def test_answer(runs: Runs, number: int) -> None:
    """Same connections, errors and messages."""
    check_answer(runs, number)


@pytest.mark.parametrize("runs", ALL, ids=lambda runs: runs.name)
def test_error_log(runs: Runs) -> None:
    """Same lines in the error log, in the same order."""
    check_log(runs)


def test_pools_without_code_cache() -> None:
    """With ``lua_code_cache off`` pools go on working: a documented difference."""
    conf = http(
        f"""{PRELUDE} lua_code_cache off; server {{ listen {{port}}; location / {{ content_by_lua_block {{
            local s = ngx.socket.tcp() s:connect("127.0.0.1", {{origin}}) ngx.say(s:getreusedtimes())
            s:setkeepalive() }} }} }}"""
    )
    with Origin({"who": (COUNT, KEEP)}) as origin, Server(conf, ports={"origin": origin.port}) as server:
        assert [request(server).body for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]


def test_debug_lines() -> None:
    """At level debug: which pool is made, for how long a connection is kept, and why it is closed."""
    conf = http(
        f"""{PRELUDE} server {{ listen {{port}}; location / {{ content_by_lua_block {{
            local s = ngx.socket.tcp() s:connect("127.0.0.1", {{origin}}, {{ pool = "P" }}) s:setkeepalive(20, 5) }} }} }}"""
    ).replace("error.log info", "error.log debug")
    with Origin({"who": (COUNT, KEEP)}) as origin, Server(conf, ports={"origin": origin.port}) as server:
        request(server)
        lines = [entry.partition("lua tcp socket ")[2] for entry in server.logged("free connection pool")]
    kept = [re.sub(r", client: .*|(?<=fd:)\d+", "", line) for line in lines if "pool" in line or "keepalive" in line]
    assert kept == [
        "connection pool size: 5, backlog: -1",
        'keepalive create connection pool for key "P"',
        "keepalive timeout: 20 ms",
        "keepalive max idle timeout",
        "keepalive close handler: fd:",
        'keepalive: free connection pool for "P"',
    ]


def test_no_socket_outside_of_requests() -> None:
    """``init_by_lua*`` belongs to no request."""
    conf = http(
        """
        init_by_lua_block { ok, err = pcall(ngx.socket.tcp) }
        server { listen {port}; location / { content_by_lua_block { ngx.say(ok, err) } } }
        """
    )
    with Server(conf) as server:
        assert request(server).body == b"falseno request found\n"
