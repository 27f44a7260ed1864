"""lua-resty-http itself, put on ``lua_package_path`` by a user, on pyresty and on the reference.

Two kinds of cases: those of ``test_resty_http.py``, against an origin that plays scripts, and talks to another server
block of the same server. The environment variable ``LUA_RESTY_HTTP`` names the ``lib`` folder of a lua-resty-http.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from harness import MODULES, REFERENCE, ROOT, Server, http, request
from origin import Origin
from resty_http_connections import CONNECTIONS
from resty_http_messages import MESSAGES
from resty_http_scripts import PRELUDE, SCRIPTS

LIBRARY = Path(os.environ.get("LUA_RESTY_HTTP") or ".")
if not (LIBRARY / "resty" / "http.lua").is_file():
    pytest.skip("LUA_RESTY_HTTP does not name the lib folder of a lua-resty-http", allow_module_level=True)

CONF = http(
    """
    lua_package_path "{prefix}/lib/?.lua;;";
    lua_socket_log_errors off;
    lua_code_cache CODE_CACHE;
    server {
        listen {port};
        listen unix:{prefix}/lua.sock;
        location = /hello { content_by_lua_block { ngx.print("hello") } }
        location ~ ^/run/([a-z_0-9.]+)$ { content_by_lua_file lua/$1.lua; }
    }
    server {
        listen {port2};
        default_type text/plain;
        location = /plain {
            content_by_lua_block {
                ngx.header["X-One"], ngx.header["Content-Length"] = 1, 11
                ngx.print("hello world")
            }
        }
        location = /chunked {
            content_by_lua_block {
                for _, part in ipairs { "first", "second", ("x"):rep(5000) } do ngx.print(part) ngx.flush(true) end
            }
        }
        location = /echo {
            content_by_lua_block {
                ngx.req.read_body()
                ngx.header["X-Method"] = ngx.req.get_method()
                ngx.header["Set-Cookie"] = { "a=1", "b=2" }
                ngx.say(ngx.var.request_uri, " ", ngx.req.get_headers()["X-Two"], " ", ngx.req.get_body_data())
            }
        }
        location = /slow { content_by_lua_block { ngx.sleep(2) ngx.say("late") } }
        location = /close { keepalive_timeout 0; return 200 "closing"; }
    }
    """
)

SCRIPTED = {name: case for name, case in (MESSAGES | CONNECTIONS).items() if not case.better}

#: Talks to the other server block: Lua, and the lines that it has to say.
TALKS = {
    "request_uri": (
        """
        local client = http.new()
        local res, err = client:request_uri(block .. "/plain")
        say(res.status, " ", res.reason, " ", res.headers["x-one"], " ", res.headers["Content-Length"])
        say(res.body, " ", err)
        res = client:request_uri(block .. "/echo?c=3", { method = "PUT", query = { a = "1 2" }, body = "content",
            headers = { ["X-Two"] = "two" } })
        say(res.headers["X-Method"], " ", table.concat(res.headers["Set-Cookie"], ","), " ", res.body)
        """,
        "200 OK 1 11\nhello world nil\nPUT a=1,b=2 /echo?a=1%202 two content\n\n",
    ),
    "reader": (
        """
        local client = http.new()
        say((client:connect { scheme = "http", host = "127.0.0.1", port = {port2} }))
        local res = client:request { path = "/chunked" }
        say(res.has_body, " ", res.headers["Transfer-Encoding"])
        local sizes, whole = {}, {}
        repeat
            local piece, err = res.body_reader(1024)
            assert(not err, err)
            if piece then
                sizes[#sizes + 1] = #piece <= 1024
                whole[#whole + 1] = piece
            end
        until not piece
        say(#sizes > 5, " ", table.concat(whole) == "firstsecond" .. ("x"):rep(5000))
        say(client:set_keepalive())
        """,
        "true\ntrue chunked\ntrue true\n1\n",
    ),
    "read_body": (
        """
        local client = http.new()
        client:connect { scheme = "http", host = "127.0.0.1", port = {port2} }
        for number = 1, 3 do
            local res = client:request { path = number == 2 and "/chunked" or "/plain" }
            say(#res:read_body(), " ", res.headers["Content-Length"])
        end
        say((client:close()))
        """,
        "11 11\n5011 nil\n11 11\n1\n",
    ),
    "keepalive": (
        """
        local client = http.new()
        local options = { scheme = "http", host = "127.0.0.1", port = {port2}, pool = ngx.var.uri }
        for path in ("/plain /chunked /close /plain"):gmatch("%S+") do
            client:connect(options)
            local reused = client:get_reused_times()
            local res = client:request { path = path }
            res:read_body()
            say(path, " ", reused, " ", client:set_keepalive(10000, 10))
        end
        """,
        "/plain 0 1\n/chunked 1 1\n/close 2 2connection must be closed\n/plain 0 1\n",
    ),
    "head": (
        """
        local client = http.new()
        client:connect { scheme = "http", host = "127.0.0.1", port = {port2} }
        local res = client:request { method = "HEAD", path = "/plain" }
        say(res.status, " ", res.headers["Content-Length"], " ", res.has_body)
        res = client:request { path = "/plain" }
        say(res:read_body())
        """,
        "200 11 false\nhello world\n",
    ),
    "pipeline": (
        """
        local client = http.new()
        client:connect { scheme = "http", host = "127.0.0.1", port = {port2} }
        local responses = client:request_pipeline {
            { path = "/plain" }, { path = "/echo", method = "POST", body = "one" }, { path = "/chunked" } }
        for _, res in ipairs(responses) do
            say(res.status, " ", #res:read_body())
        end
        """,
        "200 11\n200 14\n200 5011\n",
    ),
    "request_body_function": (
        """
        local client, sent = http.new(), 0
        local res = client:request_uri(block .. "/echo", { method = "POST", headers = { ["Content-Length"] = 12 },
            body = function()
                sent = sent + 1
                return sent <= 3 and "part" or nil
            end })
        say(res.body)
        """,
        "/echo nil partpartpart\n\n",
    ),
    "parse_uri": (
        """
        local client = http.new()
        for _, uri in ipairs { "http://example.com", "https://example.com:8443/a/b?c=d", "http://[::1]:81/x",
                "//example.com/x", "example.com" } do
            local parts, err = client:parse_uri(uri, false)
            say(parts and table.concat(parts, " ") or err)
        end
        say(unpack(client:parse_uri("http://example.com/a?b"), 1, 4))
        """,
        "http example.com 80 / \nhttps example.com 8443 /a/b c=d\nhttp [::1] 81 /x \nhttp example.com 80 /x \n"
        "bad uri: example.com\nhttpexample.com80/a?b\n",
    ),
    "timeout": (
        """
        local client = http.new()
        client:set_timeouts(1000, 1000, 100)
        say(select(2, client:request_uri(block .. "/slow")))
        """,
        "timeout\n",
    ),
    "refused": (
        """
        say(select(2, http.new():request_uri("http://127.0.0.1:{dead}/")))
        """,
        "connection refused\n",
    ),
    "string": (
        """
        local str = require "resty.string"
        say(str.to_hex("\\0\\1az\\n\\255"), " ", str.atoi("0042"), " ", str.atoi("4x"), " ", str.atoi(""))
        """,
        "0001617a0aff 42 -1 -1\n",
    ),
}

BLOCK = """
local block = "http://127.0.0.1:{port2}"
local http = require "resty.http"
local say = ngx.say
"""

HAVE_REFERENCE = os.access(REFERENCE, os.X_OK) and (MODULES / "ngx_http_lua_module.so").exists()
without_reference = pytest.mark.skipif(not HAVE_REFERENCE, reason="no nginx with ngx_lua is installed")


@pytest.fixture(
    scope="module",
    params=[("pyresty", "on"), ("pyresty", "off"), pytest.param(("reference", "on"), marks=without_reference)],
    ids=["pyresty", "code_cache_off", "reference"],
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with the library in ``lib`` and all cases."""
    run, cache = request.param
    files: dict[str, str | bytes] = {
        f"lib/resty/{path.name}": path.read_bytes() for path in (LIBRARY / "resty").glob("http*.lua")
    }
    if run == "reference":
        files["lib/resty/string.lua"] = (ROOT / "pyresty" / "lualib" / "resty" / "string.lua").read_bytes()
    scripted = {name: PRELUDE + dedent(case.lua) for name, case in SCRIPTED.items()}
    talks = {f"talk_{name}": BLOCK + dedent(lua) for name, (lua, _) in TALKS.items()}
    files |= {f"lua/{name}.lua": lua for name, lua in (scripted | talks).items()}
    conf = CONF.replace("CODE_CACHE", cache)
    with (
        Origin(SCRIPTS) as origin,
        Server(conf, files, reference=run == "reference", ports={"origin": origin.port}) as server,
    ):
        yield server


def said(server: Server, name: str) -> str:
    """What a case says; fails with the error log when it raises."""
    response = request(server, "GET", f"/run/{name}")
    assert response.status == 200, server.log_text()[-3000:]
    return response.body.decode()


@pytest.mark.parametrize("name", SCRIPTED)
def test_scripted(server: Server, name: str) -> None:
    assert said(server, name) == SCRIPTED[name].expected


@pytest.mark.parametrize("name", TALKS)
def test_talk(server: Server, name: str) -> None:
    assert said(server, f"talk_{name}") == TALKS[name][1]
