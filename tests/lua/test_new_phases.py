"""Directives that the reference's module does not have yet: their order, what they may do, and how they fail.

server_rewrite_by_lua*, precontent_by_lua*, exit_worker_by_lua*, precontent_by_lua_no_postpone, and settings around them:
https://github.com/openresty/lua-nginx-module#directives
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from harness import Server, http, request
from observed import wait_for

_CONF = http(
    """
    server_rewrite_by_lua_block { ngx.ctx.trace = ngx.get_phase() }
    exit_worker_by_lua_block {
        ngx.log(ngx.NOTICE, "leaving: ", ngx.get_phase())
        local ok, err = pcall(function() return ngx.var.uri end)
        ngx.log(ngx.NOTICE, "var: ", err)
        error("at the end")
    }
    init_worker_by_lua_block { ngx.log(ngx.NOTICE, "arriving") }
    server {
        listen {port};
        location / { content_by_lua_block { ngx.say(ngx.ctx.trace) } }
        location /phases {
            rewrite_by_lua_block { ngx.ctx.trace = ngx.ctx.trace .. " " .. ngx.get_phase() }
            access_by_lua_block { ngx.ctx.trace = ngx.ctx.trace .. " " .. ngx.get_phase() }
            precontent_by_lua_block { ngx.sleep(0) ngx.ctx.trace = ngx.ctx.trace .. " " .. ngx.get_phase() }
            content_by_lua_block { ngx.say(ngx.ctx.trace) }
        }
        location /say { precontent_by_lua_block { ngx.say("here") } content_by_lua_block { ngx.say("not here") } }
        location /exit { precontent_by_lua_block { ngx.exit(403) } content_by_lua_block { ngx.say("not here") } }
        location /fails { precontent_by_lua_block { error("oh") } content_by_lua_block { ngx.say("not here") } }
        location /exec { precontent_by_lua_block { ngx.exec("/phases") } content_by_lua_block { ngx.say("not here") } }
        location /body { precontent_by_lua_block { ngx.req.read_body() ngx.say(ngx.req.get_body_data()) } }
        location /capture { content_by_lua_block { ngx.print(ngx.location.capture("/phases").body) } }
        location /names {
            lua_transform_underscores_in_response_headers off;
            content_by_lua_block {
                ngx.header.X_Foo = "a"
                ngx.say(ngx.header.X_Foo, " ", ngx.header["X-Foo"])
            }
        }
        location /core { content_by_lua_block { ngx.say(type(package.loaded["resty.core"])) } }
        location /tried { try_files /none /phases; precontent_by_lua_block { ngx.ctx.tried = true } }
    }
    server {
        listen {port2};
        set $by nginx;
        server_rewrite_by_lua_block {
            ngx.ctx.by = ngx.var.by
            local uri = ngx.var.uri
            if uri == "/plain" then ngx.req.set_uri("/found")
            elseif uri == "/jump" then ngx.req.set_uri("/found", true)
            elseif uri == "/exit" then ngx.exit(405)
            elseif uri == "/say" then ngx.say("from the server") ngx.exit(200)
            elseif uri == "/fails" then error("oh") end
        }
        location /found { return 200 "found $by"; }
        location /by { content_by_lua_block { ngx.say(ngx.ctx.by) } }
    }
    """
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(_CONF) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, b"server_rewrite\n"),
        ("/phases", 200, b"server_rewrite rewrite access precontent\n"),
        ("/say", 200, b"here\n"),
        ("/exit", 403, None),
        ("/fails", 500, None),
        ("/capture", 200, b"server_rewrite rewrite precontent\n"),
        ("/exec", 200, b"server_rewrite rewrite access precontent\n"),
        ("/names", 200, b"a nil\n"),
        ("/core", 200, b"table\n"),
        ("/tried", 200, b"server_rewrite rewrite access precontent\n"),
    ],
)
def test_phases(server: Server, path: str, status: int, body: bytes | None) -> None:
    answer = request(server, path=path)
    assert answer.status == status
    if body is not None:
        assert answer.body == body


def test_underscores(server: Server) -> None:
    assert request(server, path="/names").get("X_Foo") == "a"


def test_body_in_precontent(server: Server) -> None:
    assert request(server, "POST", "/body", body=b"given").body == b"given\n"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/plain", 200, b"found nginx"),
        ("/jump", 200, b"found nginx"),
        ("/exit", 405, None),
        ("/say", 200, b"from the server\n"),
        ("/fails", 500, None),
        ("/by", 200, b"\n"),  # in front of the rewrite directives of the server
    ],
)
def test_server_rewrite(server: Server, path: str, status: int, body: bytes | None) -> None:
    answer = request(server.ports["port2"], path=path)
    assert answer.status == status
    if body is not None:
        assert answer.body == body


def test_error_messages(server: Server) -> None:
    request(server, path="/fails")
    request(server.ports["port2"], path="/fails")
    text = server.log_text()
    assert "lua entry thread aborted: runtime error: precontent_by_lua(nginx.conf:" in text
    assert "lua entry thread aborted: runtime error: server_rewrite_by_lua(nginx.conf:" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_exit_worker(number: int) -> None:
    """It runs once for each worker, however that ends."""
    with Server(_CONF) as server:
        request(server)
        server.signal(number)
        wait_for(lambda: "exit_worker_by_lua error" in server.log_text(), "the worker's end")
        text = server.log_text()
        assert text.count("leaving: exit_worker") == text.count(": arriving") == 1
        assert "var: exit_worker_by_lua(nginx.conf:" in text
        assert "API disabled in the current context" in text
        assert "at the end\nstack traceback:" in text


@pytest.mark.parametrize(
    "postpone", ["", "rewrite_by_lua_no_postpone on; access_by_lua_no_postpone on; precontent_by_lua_no_postpone on;"]
)
def test_no_postpone(postpone: str) -> None:
    conf = http(
        postpone
        + """
        server {
            listen {port};
            location /rewrite { set $x nginx; rewrite_by_lua_block { ngx.ctx.x = ngx.var.x } content_by_lua_block { ngx.say(ngx.ctx.x) } }
            location /access { deny all; access_by_lua_block { ngx.say("Lua") ngx.exit(200) } }
            location /precontent { try_files /none =404; precontent_by_lua_block { ngx.say("Lua") ngx.exit(200) } }
        }"""
    )
    with Server(conf) as server:
        assert request(server, path="/rewrite").body == (b"\n" if postpone else b"nginx\n")
        assert request(server, path="/access").status == (200 if postpone else 403)
        assert request(server, path="/precontent").status == (200 if postpone else 404)


_INHERIT = http(
    """
    log_format sent "trailer: $sent_trailer_x_trailer";
    add_header X-Outer o;
    add_trailer X-Trailer outer;
    server {
        listen {port};
        location /merge { add_header_inherit merge; add_header X-Own own; return 200 x; }
        location /off { add_header_inherit off; return 200 x; }
        location /on { add_header X-Own own; return 200 x; }
        location /trailer { add_trailer_inherit merge; add_trailer X-Own t$status; return 200 text; }
        location /sent { access_log {prefix}/logs/sent.log sent; return 200 text; }
    }
    """
)


def test_inherited_headers() -> None:
    """add_header_inherit and add_trailer_inherit are newer than the reference."""
    with Server(_INHERIT) as server:
        merged = request(server, path="/merge")
        assert (merged.get("X-Own"), merged.get("X-Outer")) == ("own", "o")
        off = request(server, path="/off")
        assert off.get("X-Outer") is None
        on = request(server, path="/on")
        assert (on.get("X-Own"), on.get("X-Outer")) == ("own", None)
        request(server, path="/sent")
        wait_for(lambda: "trailer: outer" in server.log_text("sent.log"), "the trailer's variable")
