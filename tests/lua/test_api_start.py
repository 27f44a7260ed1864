"""Lua before there are requests: ``-t`` compiles what it can know, ``init_by_lua*`` decides whether the server starts."""

from __future__ import annotations

import os
import re

import pytest
from harness import MODULES, REFERENCE, Server, http, request

HAVE_REFERENCE = os.access(REFERENCE, os.X_OK) and (MODULES / "ngx_http_lua_module.so").exists()

BROKEN = http(
    """
    rewrite_by_lua_block { local a = = 1 }
    server {
        listen {port};
        location /block { content_by_lua_block {
            local t = 1
            if t == 1
                ngx.say("x")
            end
        } }
        location /string { content_by_lua 'ngx.say("x"'; }
        location /file { content_by_lua_file lua/broken.lua; }
        location /good { content_by_lua_file lua/good.lua; }
        location /known-later { content_by_lua_file lua/$arg_name.lua; }
    }
    """
)
FILES = {"lua/broken.lua": "local t = 1\nreturn {method: t}\n", "lua/good.lua": "return 1\n"}


def test_every_error_is_reported() -> None:
    """All broken chunks, each with its place in the configuration; and the mend where it is known."""
    server = Server(BROKEN, FILES)
    try:
        done = server.run("-t")
        errors = [line for line in done.stderr.splitlines() if line.startswith("nginx: [emerg]")]
        conf = str(server.prefix / "conf/nginx.conf")
        assert done.returncode == 1
        assert [re.sub(r".* in (?=/)", "", line) for line in errors] == [
            f"{conf}:{number}"
            for number in line_numbers(server.expand(BROKEN), ("rewrite_by", "/block", "/string", "/file"))
        ]
        assert "failed to load inlined Lua code: rewrite_by_lua(nginx.conf:" in errors[0]
        assert "'then' expected near 'ngx'" in errors[1]
        assert f'failed to load external Lua file "{server.prefix}/lua/broken.lua": ' in errors[3]
        assert "hint: a Lua table is written {method = …}, not {method: …}" in done.stderr
        assert done.stderr.rstrip().endswith("test failed")
    finally:
        server.close()


def line_numbers(conf: str, words: tuple[str, ...]) -> list[int]:
    """The numbers of the lines that hold these words."""
    lines = conf.splitlines()
    return [next(n for n, line in enumerate(lines, 1) if word in line) for word in words]


def test_a_missing_file_is_a_warning() -> None:
    """nginx accepts the configuration and answers 404 later: so do we, but not silently."""
    server = Server(http("server { listen {port}; location / { content_by_lua_file lua/none.lua; } }"))
    try:
        done = server.run("-t")
        assert done.returncode == 0
        assert f'[warn] failed to load external Lua file "{server.prefix}/lua/none.lua": cannot open ' in done.stderr
        assert "test is successful" in done.stderr
    finally:
        server.close()


INIT = {
    "raises": 'init_by_lua_block { error("in init") }',
    "raises-table": "init_by_lua_block { error({}) }",
    "syntax": "init_by_lua_block { x = }",
    "refused": "init_by_lua_block { ngx.req.get_method() }",
    "file": "init_by_lua_file lua/init.lua;",
}


@pytest.mark.skipif(not HAVE_REFERENCE, reason="no nginx with ngx_lua is installed")
@pytest.mark.parametrize("name", INIT)
def test_init_that_fails_ends_the_start(name: str) -> None:
    """The reference's exit status, and its message up to the stack."""
    said = []
    for reference in (True, False):
        server = Server(
            http(INIT[name] + "\nserver { listen {port}; }"),
            {"lua/init.lua": '\nerror("in a file")\n'},
            reference=reference,
        )
        try:
            done = server.run()
            lines = [line for line in done.stderr.splitlines() if "init_by_lua" in line and line.startswith("nginx: ")]
            text = re.sub(
                r"/usr/share/lua/\S+:\d+: |init_by_lua\(nginx.conf:\d+\):\d+: (?=no request)", "", "\n".join(lines)
            )
            said.append((done.returncode, text.replace(str(server.prefix), "{prefix}")))
        finally:
            server.close()
    assert said[0][0] != 0
    assert said[1] == said[0]


def test_init_worker_that_fails_is_logged() -> None:
    """The server serves all the same."""
    conf = http(
        'init_worker_by_lua_block { error("in a worker") }\nserver { listen {port}; location / { return 200 ok; } }'
    )
    with Server(conf) as server:
        assert request(server, "GET", "/").body == b"ok"
        (entry,) = [entry for entry in server.error_log() if "init_worker_by_lua" in entry]
        assert "[error]" in entry
        assert "init_worker_by_lua error: init_worker_by_lua(nginx.conf:" in entry
        assert ": in a worker\nstack traceback:" in entry


OURS_FIRST = http(
    """
    lua_package_path "$prefix/lua/?.lua;;";
    server {
        listen {port};
        location /on { content_by_lua_file lua/which.lua; }
        location /off { lua_code_cache off; content_by_lua_file lua/which.lua; }
    }
    """
)
WHICH = """
ngx.say(require("resty.core").version == require("resty.core.base").version, " ", require("resty.core.base").new_tab == require("table.new"))
ngx.say(require("cjson").mine)
"""


@pytest.mark.parametrize("mode", ["on", "off"])
def test_whose_module_is_found(mode: str) -> None:
    """``resty.core`` is always ours, as OpenResty's needs nginx's C functions; of anything else the user's copy wins."""
    broken = 'error("not this one")'
    files = {
        "lua/which.lua": WHICH,
        "lua/resty/core.lua": broken,
        "lua/resty/core/base.lua": broken,
        "lua/cjson.lua": "return { mine = true }",
    }
    with Server(OURS_FIRST, files) as server:
        response = request(server, "GET", f"/{mode}")
        assert (response.status, response.body) == (200, b"true true\ntrue\n"), server.log_text()
