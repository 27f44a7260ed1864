"""error_page in its variants, from where it can be reached, and what the page sees of the request that failed.

https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page; the reference server passes these tests, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client import Connection, raw, request
from harness import Server, http
from observed import BOTH, logged, serve_both

CONF = http(
    """
    server {
        listen {port};
        root html;
        error_page 404 /404.html;
        client_max_body_size 10;
        large_client_header_buffers 2 1k;
        error_page 500 502 503 504 /50x.html;
        location / { }
        location /show { return 200 "$request_method $uri $args $request_uri $status"; }
        location /keep { error_page 403 /show; return 403; }
        location /as200 { error_page 403 =200 /show?why=$arg_a; return 403; }
        location /as418 { error_page 403 =418 /404.html; return 403; }
        location /page-status { error_page 403 = /teapot; return 403; }
        location /teapot { return 418 "teapot"; }
        location /named { error_page 403 = @named; return 403; }
        location @named { return 201 "named $request_method $uri $status"; }
        location /url { error_page 403 http://elsewhere.example/x?y; return 403; }
        location /url301 { error_page 403 =301 http://localhost:{port}/elsewhere; return 403; }
        location /missing { error_page 403 /gone.html; return 403; }
        location /once { error_page 403 /twice; error_page 404 /show; return 403; }
        location /twice { error_page 404 /show; return 404; }
        location /rec { recursive_error_pages on; error_page 403 = /rec2; return 403; }
        location /rec2 { recursive_error_pages on; error_page 405 = /show; return 405; }
        location /loop { recursive_error_pages on; error_page 403 = /loop; return 403; }
        location /lua { error_page 503 =200 /show; content_by_lua_block { ngx.exit(503) } }
        location /lua-said { error_page 503 /show; content_by_lua_block { ngx.status = 503 ngx.print("said") } }
        location /lua-page { error_page 403 = /lua-shows; return 403; }
        location /lua-shows { content_by_lua_block {
            ngx.sleep(0.001)
            ngx.print("lua ", ngx.var.request_uri, " ", ngx.req.get_method())
        } }
        location /lua-raises { content_by_lua_block { error("broken") } }
        location /big { error_page 413 =200 /show; return 200; }
        location /big-kept { error_page 413 @big; return 200; }
        location @big { return 413 "too big: $content_length"; }
        location /static405 { error_page 405 =200 /ten.txt; alias html/; }
        location = /none-here { error_page 404 = @named; }
        location /off { error_page 404 /404.html; location /off/in { error_page 500 /50x.html; } }
        location /silent { error_page 444 408 /show; return 444; }
        location /redirect { error_page 302 = /show; return 302 http://elsewhere.example/; }
    }
    server {
        listen {port2};
        root html;
        error_page 400 414 505 /bad;
        location = /bad { return 200 "bad $request_method $status [$uri]"; }
    }
    """
)
FILES = {"html/404.html": "page 404", "html/50x.html": "page 50x", "html/ten.txt": "0123456789"}


@pytest.fixture(scope="module", params=BOTH)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from serve_both(CONF, FILES, request.param, "/ten.txt")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/none", 404, b"page 404"),
        ("/keep", 403, b"GET /show  /keep 403"),
        ("/as200?a=b", 200, b"GET /show why=b /as200?a=b 200"),
        ("/as418", 418, b"page 404"),
        ("/page-status", 418, b"teapot"),
        ("/named", 201, b"named GET /named 201"),
        ("/rec", 200, b"GET /show  /rec 200"),
        ("/lua", 200, b"GET /show  /lua 200"),
        ("/lua-said", 503, b"said"),
        ("/lua-page?q", 200, b"lua /lua-page?q GET"),
        ("/lua-raises", 500, b"page 50x"),
        ("/none-here", 201, b"named GET /none-here 201"),
        ("/redirect", 200, b"GET /show  /redirect 200"),
    ],
)
def test_pages(server: Server, path: str, status: int, body: bytes) -> None:
    """The status that the client sees, and the page's body; HEAD gets the same head."""
    answer = request(server, path=path)
    assert (answer.status, answer.body) == (status, body)
    assert logged(server, f'"GET {path} ').endswith(f" {status}")
    bare = request(server, "HEAD", path)
    assert (bare.status, bare.body) == (status, b"")


@pytest.mark.parametrize(("path", "status"), [("/missing", 404), ("/once", 404), ("/off/in", 404)])
def test_built_in_page(server: Server, path: str, status: int) -> None:
    """Where the page itself fails, or none is set for the status, nginx's own answers."""
    answer = request(server, path=path)
    assert answer.status == status
    assert b"<h1>404 Not Found</h1>" in answer.body


def test_cycle(server: Server) -> None:
    """Pages that lead to themselves end with 500, told in the log."""
    answer = request(server, path="/loop")
    assert (answer.status, answer.get("Connection")) == (500, "close")
    assert 'rewrite or internal redirection cycle while internally redirecting to "/loop"' in server.log_text()


def test_redirects(server: Server) -> None:
    """A URL instead of a path redirects the client: 302, or what ``=`` says."""
    answer = request(server, path="/url")
    assert (answer.status, answer.get("Location")) == (302, "http://elsewhere.example/x?y")
    answer = request(server, path="/url301")
    assert (answer.status, answer.get("Location")) == (301, server.expand("http://localhost:{port}/elsewhere"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "FOO", "HEAD"])
def test_method_becomes_get(server: Server, method: str) -> None:
    """A page by path is asked for by GET (HEAD stays), a named location keeps the method; the body is gone."""
    with Connection(server) as client:
        shown = b"" if method == "HEAD" else b"GET"
        assert client.request(method, "/as200", body=b"12345").body[:3] == shown
        assert client.request(method, "/lua-page", body=b"12345").body[-3:] == shown
        answer = client.request(method, "/named", body=b"12345")
        assert answer.body == (b"" if method == "HEAD" else f"named {method} /named 201".encode())
        assert client.request("GET", "/ten.txt").body == b"0123456789"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/big", 200, b"GET /show  /big "), ("/big-kept", 413, b"too big: 11"), ("/none", 413, b"<html>")],
)
def test_too_large_body(server: Server, path: str, status: int, body: bytes) -> None:
    """413 may have a page; the connection is closed whatever it says."""
    with Connection(server) as client:
        answer = client.request("POST", path, body=b"x" * 11)
        assert (answer.status, answer.get("Connection")) == (status, "close")
        assert answer.body.startswith(body)
        assert client.rest() == b""


def test_method_not_allowed(server: Server) -> None:
    """405 of a static file turned into the file."""
    answer = request(server, "POST", "/static405/ten.txt", body=b"12345")
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_silent_statuses_have_no_page(server: Server) -> None:
    """444 closes without an answer."""
    assert raw(server, b"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert logged(server, "GET /silent ").endswith(" 444")


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"GET /x HTTP/1.1\r\n\r\n", b"bad GET 400 [/bad]"),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"bad GET 400 [/bad]"),
        (b"GET /x HTTP/3.0\r\n\r\n", b"bad GET 505 [/bad]"),
        (b"GET /" + b"x" * 9000, b"bad GET 414 [/bad]"),
        (b"GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"<html>"),
    ],
)
def test_refused_requests(server: Server, data: bytes, body: bytes) -> None:
    """A request that could not be understood may have a page, too."""
    with Connection(server.ports["port2"]) as client:
        client.send(data)
        answer = client.response()
    assert answer.get("Connection") == "close"
    assert answer.body.startswith(body)
