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
    "on-abort-twice": "ngx.on_abort(function() end) ngx.log(ngx.WARN, select(2, ngx.on_abort(function() end))) ngx.sleep(0.05)",
    "on-abort-fails": "ngx.on_abort(function() error('abort') end) ngx.sleep(0.15) ngx.log(ngx.WARN, 'went on')",
}

_CONF = http(
    "error_log {prefix}/logs/error.log info;\nserver {\nlisten {port};\n"
    + "\n".join(
        f"location = /{name} {{ lua_check_client_abort {'off' if name == 'unchecked' else 'on'}; content_by_lua_block {{ {code} }} }}"
        for name, code in _DO.items()
    )
    + """
location = /off { content_by_lua_block { ngx.log(ngx.WARN, select(2, ngx.on_abort(function() end))) ngx.say("x") } }
location = /access { lua_check_client_abort on; access_by_lua_block { ngx.sleep(0.15) } content_by_lua_block { ngx.log(ngx.WARN, "no") } }
}
"""
)
PATHS = [*_DO, "off", "access"]


def _lines(server: Server) -> list[str]:
    """What the request wrote into both logs (the first connection was the harness's), without what is never the same twice."""
    entries = [
        line
        for line in server.log_text().splitlines()
        if "*2 " in line or line.startswith(("stack", "coroutine", "\t"))
    ]
    lines = [re.sub(r"^\S+ \S+ (\[\w+\]) \S+: \*2 ", r"\1 ", line) for line in entries]
    # whether the client's end arrives as a reset depends on what was still unread
    masked = [re.sub(r"nginx.conf:\d+|:\d{5}| \(104: Connection reset by peer\)", "", line) for line in lines]
    return masked + server.access_log()


def _play(server: Server, path: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(0.05)
    time.sleep(0.3)
    return _lines(server)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


@pytest.mark.skipif(not os.path.exists(REFERENCE), reason="nginx with ngx_lua is not installed")
def test_as_the_reference(path: str) -> None:
    """Same lines in both logs."""
    with Server(_CONF) as ours, Server(_CONF, reference=True) as theirs:
        assert _play(ours, path) == _play(theirs, path)
