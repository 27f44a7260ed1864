"""What OpenResty has and pyresty does not have yet is refused by name, with the user's file and line, where it is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Server, http, request

CODE = {
    "thread": "ngx.thread.spawn(function() end)",
    "timer": "ngx.timer.at(0, function() end)",
    "abort": "ngx.on_abort(function() end)",
    "worker": "ngx.run_worker_thread('a', 'b', 'c')",
    "udp": "ngx.socket.udp()",
    "request": "ngx.req.socket()",
    "ndk": "ndk.set_var.set_escape_uri('a b')",
    "semaphore": "require 'ngx.semaphore'",
    "balancer": "require 'ngx.balancer'",
}
NAMES = {
    "thread": "ngx.thread.spawn is",
    "timer": "ngx.timer.at is",
    "abort": "ngx.on_abort is",
    "worker": "ngx.run_worker_thread is",
    "udp": "ngx.socket.udp is",
    "request": "ngx.req.socket is",
    "ndk": "ndk.set_var.set_escape_uri is",
    "semaphore": "module 'ngx.semaphore' is",
    "balancer": "module 'ngx.balancer' is",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    locations = "".join(
        f"location /{mode}/{name} {{ lua_code_cache {mode};\n content_by_lua_block {{\n {code} }} }}\n"
        for name, code in CODE.items()
        for mode in ("on", "off")
    )
    with Server(http("server { listen {port}; " + locations + "}")) as running:
        yield running


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("name", CODE)
def test_refused_by_name(server: Server, mode: str, name: str) -> None:
    before = len(server.error_log())
    assert request(server, "GET", f"/{mode}/{name}").status == 500
    text = "\n".join(server.error_log()[before:])
    assert f"{NAMES[name]} not supported by pyresty yet" in text
    assert ":2: " in text
