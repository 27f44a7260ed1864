"""A client that goes away while Lua works for it: with and without ``lua_check_client_abort``, with and without ``ngx.on_abort``.

https://github.com/openresty/lua-nginx-module#lua_check_client_abort. Each conf runs on the reference too, where it is installed, and has
to leave the same lines in both logs.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator

import pytest
from harness import REFERENCE, Server, http

_DO = {
    "unchecked": "ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
    "sleep": "ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
    "sleep-sent": "ngx.say('x') ngx.flush(true) ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
    "socket": (
        "local s = ngx.socket.tcp() s:connect('127.0.0.1', ngx.var.server_port) s:settimeout(150) ngx.log(ngx.WARN, s:receive() or 'nothing')"
    ),
    "thread": "ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on') end))",
    "on-abort-exit": "ngx.on_abort(function() ngx.log(ngx.WARN, 'aborted') ngx.exit(444) end) ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
    "on-abort-499": "ngx.on_abort(function() ngx.log(ngx.WARN, 'aborted') ngx.exit(499) end) ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
    "on-abort-on": "ngx.on_abort(function() ngx.log(ngx.WARN, 'aborted') end) ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
    "on-abort-waits": "ngx.on_abort(function() ngx.sleep(0.01) ngx.log(ngx.WARN, 'aborted') ngx.exit(499) end) ngx.sleep(0.15) ngx.log(ngx.WARN, 'no')",
    "on-abort-twice": "ngx.on_abort(function() end) ngx.log(ngx.WARN, select(2, ngx.on_abort(function() end))) ngx.sleep(0.15)",
    "on-abort-fails": "ngx.on_abort(function() error('abort') end) ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
}

#: What has printed once when the client leaves, and goes on printing.
_PRINTS = {
    "prints": "{}",
    "prints-in-thread": "ngx.thread.wait(ngx.thread.spawn(function() {} end))",
}
_PRINT = """
    ngx.say(1) ngx.flush(true) ngx.sleep(0.1) ngx.say(2) ngx.flush(true) ngx.sleep(0.03) ngx.say(3) ngx.flush(true) ngx.sleep(0.03)
    local function log(...) ngx.log(ngx.WARN, ...) end
    log(ngx.say(4)) log(ngx.print(5)) log(ngx.flush()) log(ngx.flush(true)) log(ngx.send_headers()) log(ngx.eof())
"""

#: What answers a client that has only ended its own half.
_ANSWERS = {
    "half-closed": "ngx.sleep(0.15) ngx.say('x') ngx.log(ngx.WARN, ngx.flush(true))",
    "half-closed-on-abort": (
        "ngx.on_abort(function() ngx.say('aborted') ngx.log(ngx.WARN, ngx.flush(true), ngx.on_abort(function() end)) end)"
        " ngx.sleep(0.15) ngx.say('x') ngx.log(ngx.WARN, ngx.flush(true))"
    ),
}
_UNCHECKED = {"unchecked", "half-closed", *_PRINTS}

_CONF = http(
    "error_log {prefix}/logs/error.log info;\nserver {\nlisten {port};\n"
    + "\n".join(
        f"location = /{name} {{ lua_check_client_abort {'off' if name in _UNCHECKED else 'on'}; content_by_lua_block {{ {code} }} }}"
        for name, code in {**_DO, **{name: code.format(_PRINT) for name, code in _PRINTS.items()}, **_ANSWERS}.items()
    )
    + """
location = /off { content_by_lua_block { ngx.log(ngx.WARN, select(2, ngx.on_abort(function() end))) ngx.say("x") } }
location = /access { lua_check_client_abort on; access_by_lua_block { ngx.sleep(0.15) } content_by_lua_block { ngx.log(ngx.WARN, "no") } }
}
"""
)
PATHS = [*_DO, *_PRINTS, "off", "access"]


def _lines(server: Server) -> list[str]:
    """What the request wrote into both logs (the first connection was the harness's), without what is never the same twice."""
    entries = [
        line
        for line in server.log_text().splitlines()
        if "*2 client 127.0.0.1 closed keepalive" not in line
        and ("*2 " in line or line.startswith(("stack", "coroutine", "\t")))
    ]
    lines = [re.sub(r"^\S+ \S+ (\[\w+\]) \S+: \*2 ", r"\1 ", line) for line in entries]
    # whether the client's end arrives as a reset depends on what was still unread
    masked = [re.sub(r"nginx.conf:\d+|:\d{5}| \(104: Connection reset by peer\)", "", line) for line in lines]
    return masked + server.access_log()


def _play(server: Server, path: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if path in _PRINTS:
            sock.recv(65536)  # or its end would be a reset
        time.sleep(0.05)
    time.sleep(0.3)
    return _lines(server)


def _half_close(server: Server, path: str) -> list[str]:
    """The body that a client gets that says nothing more but goes on reading, and the lines."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(0.05)
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(65536):
            answer += data
    return [answer.partition(b"\r\n\r\n")[2].decode(), *_lines(server)]


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


@pytest.mark.skipif(not os.path.exists(REFERENCE), reason="nginx with ngx_lua is not installed")
def test_as_the_reference(path: str) -> None:
    """Same lines in both logs."""
    with Server(_CONF) as ours, Server(_CONF, reference=True) as theirs:
        assert _play(ours, path) == _play(theirs, path)


@pytest.mark.skipif(not os.path.exists(REFERENCE), reason="nginx with ngx_lua is not installed")
@pytest.mark.parametrize("path", _ANSWERS)
def test_half_closed_as_the_reference(path: str) -> None:
    """Same answer, same lines in both logs."""
    with Server(_CONF) as ours, Server(_CONF, reference=True) as theirs:
        assert _half_close(ours, path) == _half_close(theirs, path)


@pytest.mark.parametrize("path", _PRINTS)
def test_output_after_the_client(path: str) -> None:
    """What prints on for a client that has gone is told so."""
    with Server(_CONF) as server:
        lines = _play(server, path)
    failed = "nilnginx output filter error"
    assert lines[0].startswith("[info] writev() failed (32: Broken pipe), client: ")
    assert [line.split(" log(): ")[1].split(",")[0] for line in lines[1:-1]] == [failed] * 4 + ["1", failed]
