"""Request bodies: whole, split, too large, malformed, unread, slow, broken off; and what is left of them afterwards.

https://nginx.org/en/docs/http/ngx_http_core_module.html#client_max_body_size and the directives beside it; RFC 9112
sections 6 and 7.1; ngx_http_request_body.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from client import Connection, head, raw
from harness import http
from observed import VARIANTS, Observed, logged, serve, wait_for

CONF = http(
    """
    client_max_body_size 100k;
    client_body_buffer_size 16k;
    client_body_temp_path {prefix}/temp;
    client_body_timeout 300ms;
    lingering_timeout 400ms;
    server {
        listen {port};
        location / { return 200 "ok $request_method"; }
        location /read {
            content_by_lua_block {
                ngx.req.read_body()
                local file = ngx.req.get_body_file()
                local data = ngx.req.get_body_data()
                if file then local f = io.open(file, "rb") data = f:read("*a") f:close() end
                ngx.print(file and "file " or "memory ", ngx.md5(data or ""), " ", ngx.var.request_length)
            }
        }
        location /file {
            client_body_in_file_only on;
            proxy_http_version 1.0;
            proxy_set_header X-File $request_body_file;
            proxy_pass http://127.0.0.1:{port}/name;
            location /file/lua { content_by_lua_block { ngx.req.read_body() ngx.print(ngx.req.get_body_file()) } }
        }
        location /clean {
            client_body_in_file_only clean;
            proxy_http_version 1.0;
            proxy_set_header X-File $request_body_file;
            proxy_pass http://127.0.0.1:{port}/name;
        }
        location /name { return 200 $http_x_file; }
        location /unread { content_by_lua_block { ngx.sleep(0.02) ngx.print("unread") } }
        location /any {
            client_max_body_size 0;
            content_by_lua_block { ngx.req.read_body() ngx.print(#(ngx.req.get_body_data() or "")) }
        }
        location /static { root html; }
        location /small { client_max_body_size 10; return 200 "small"; }
        location /page { client_max_body_size 10; error_page 413 = @page; }
        location @page { return 200 "page $request_method"; }
        location /nowhere {
            client_body_temp_path {prefix}/gone;
            content_by_lua_block { ngx.req.read_body() ngx.print("read") }
        }
    }
    """
)
FILES = {"html/static": "file"}


@pytest.fixture(scope="module", params=VARIANTS)
def server(request: pytest.FixtureRequest) -> Iterator[Observed]:
    for server in serve(CONF, FILES, request.param):
        yield server
        assert [path for path in (server.prefix / "temp").iterdir() if path.read_bytes() != b"kept"] == []


def _chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _post(path: str, *headers: tuple[str, str]) -> bytes:
    return head("POST", path, headers)


LENGTH = ("Content-Length", "12")
CHUNKED = ("Transfer-Encoding", "chunked")
MD5 = b"memory fc3ff98e8c6a0d3087d515c0473f8677 "


@pytest.mark.parametrize("gap", range(0, 100, 7))
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_split_anywhere(server: Observed, framing: str, gap: int) -> None:
    """A body that comes in three packets, cut at any place, is the same body; the request after it is served too."""
    data = _post("/read", LENGTH) + b"hello world!"
    if framing == "chunked":
        data = _post("/read", CHUNKED) + _chunked(b"hello ", b"world!")
    length = len(data)
    data += head("GET", "/after", {"Connection": "close"})
    cut = max(1, length - 40 + gap)
    with Connection(server) as client:
        for part in (data[:cut], data[cut : cut + 5], data[cut + 5 :]):
            client.send(part)
            server.state()
        assert client.response().body == MD5 + b"%d" % length
        assert client.response().body == b"ok GET"


def test_large_bodies_go_to_a_file(server: Observed) -> None:
    """Up to a quarter over the buffer stays in memory; what goes to a temporary file is removed with the request."""
    for size, where in ((16000, b"memory"), (20000, b"memory"), (23000, b"file"), (100000, b"file")):
        answer = Connection(server).request("POST", "/read", body=b"x" * size)
        assert answer.body.split()[0] == where, size
    answer = Connection(server).request("POST", "/read", [CHUNKED], _chunked(b"x" * 5000, b"y" * 40000))
    assert answer.body.split()[0] == b"file"
    assert "a client request body is buffered to a temporary file" in server.log_text()
    wait_for(lambda: not _temporary(server), "no temporary file")


def _temporary(server: Observed) -> list[Path]:
    return [path for path in (server.prefix / "temp").iterdir() if path.read_bytes() != b"kept"]


def _is_gone(path: Path) -> bool:
    return not path.exists()


def test_in_file_only(server: Observed) -> None:
    """``on`` keeps the file, ``clean`` removes it; what Lua has read is removed in any case, as in ngx_lua."""
    kept = Path(Connection(server).request("POST", "/file", body=b"kept").body.decode())
    assert kept.read_bytes() == b"kept"
    for path in ("/clean", "/file/lua"):
        gone = Path(Connection(server).request("POST", path, body=b"gone").body.decode())
        assert gone.parent == kept.parent
        wait_for(partial(_is_gone, gone), "the file removed")


def test_no_folder_for_files(server: Observed) -> None:
    """Where the temporary file can't be made the request fails, with the reason in the log, and nothing else does."""
    (server.prefix / "gone").rmdir()
    with Connection(server) as client:
        client.send(_post("/nowhere", ("Content-Length", "50000")) + b"x" * 50000)
        assert client.response().status == 500
    (server.prefix / "gone").mkdir()
    assert f'[crit] open() "{server.prefix}/gone" failed (2: No such file or directory)' in _without_pids(server)


def _without_pids(server: Observed) -> str:
    return "\n".join(f"{line[20:].split(' ', 1)[0]} {line.split(' ', 5)[-1]}" for line in server.error_log())


@pytest.mark.parametrize("path", ["/read", "/small", "/static", "/page"])
def test_too_large(server: Observed, path: str) -> None:
    """413 comes at once, before the body, which is not taken; a client that goes on sending still sees it."""
    with Connection(server) as client:
        client.send(_post(path, ("Content-Length", "100000000")))
        answer = client.response()
        assert (answer.status, answer.interim) == (200 if path == "/page" else 413, [])
        for _ in range(20):
            client.send(b"x" * 50000)
        if path != "/page":
            assert answer.get("Connection") == "close"
    assert "client intended to send too large body: 100000000 bytes" in server.log_text()


def test_too_large_chunks(server: Observed) -> None:
    """A chunked body is refused by the size of the chunk that would make it too large, before its data."""
    with Connection(server) as client:
        client.send(_post("/read", CHUNKED) + b"ffff\r\n" + b"x" * 0xFFFF + b"\r\na000\r\nxx")
        answer = client.response()
    assert (answer.status, answer.get("Connection"), answer.complete) == (413, "close", True)
    assert "client intended to send too large chunked body: 65535+40960 bytes" in server.log_text()


def test_no_limit(server: Observed) -> None:
    """``client_max_body_size 0``."""
    with Connection(server) as client:
        assert client.request("POST", "/any", body=b"x" * 3_000_000).body == b"0"  # in a file
        assert client.request("POST", "/any", [CHUNKED], _chunked(b"x" * 10000)).body == b"10000"


@pytest.mark.parametrize("path", ["/read", "/", "/static", "/unread"])
@pytest.mark.parametrize("bad", [b"x\r\n", b"5\r\nhelloX", b"\r\n", b"-1\r\n", b"5\nhello\n0\n\n", b"f" * 17 + b"\r\n"])
def test_malformed_chunks(server: Observed, path: str, bad: bytes) -> None:
    """400 where the body is read (or thrown away before the answer), and the connection is closed in any case."""
    answers = raw(server, _post(path, CHUNKED) + bad + head("GET", "/evil"))
    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.startswith({"/unread": b"HTTP/1.1 200", "/static": b"HTTP/1.1 405"}.get(path, b"HTTP/1.1 400"))
    assert "client sent invalid chunked body" in server.log_text()
    assert "GET /evil" not in server.log_text("access.log")


@pytest.mark.parametrize("path", ["/", "/static", "/unread", "/none"])
@pytest.mark.parametrize("size", [10, 5000, 90000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_unread_bodies(server: Observed, path: str, size: int, framing: str) -> None:
    """Nobody reads the body: it passes by, and the connection goes on with the next request, not with the body."""
    body = (b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)[:size]
    sent = _post(path, ("Content-Length", str(size))) + body
    if framing == "chunked":
        sent = _post(path, CHUNKED) + _chunked(body)
    with Connection(server) as client:
        for cut in (len(sent), len(sent) - 5, len(sent) - size // 2, len(sent) - size):
            client.send(sent[:cut])
            server.state()
            client.send(sent[cut:] + head("GET", "/next"))
            assert client.response().status in (200, 405)
            assert client.response().body == b"ok GET"
    assert "evil" not in server.log_text("access.log")


def test_unread_body_over_the_pipeline_buffer(server: Observed) -> None:
    """More than is kept while a request is being served: reading stops meanwhile, and goes on afterwards."""
    with Connection(server) as client:
        client.send(_post("/unread", ("Content-Length", "100000")) + b"x" * 100000 + head("GET", "/next"))
        assert client.response().body == b"unread"
        assert client.response().body == b"ok GET"


def test_body_on_any_method(server: Observed) -> None:
    """GET and HEAD may have a body, which is read or passed by as that of a POST."""
    with Connection(server) as client:
        for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            assert client.request(method, "/read", body=b"hello world!").body[:40] == (b"" if method == "HEAD" else MD5)
            assert client.request(method, "/", body=b"hello world!").status == 200
        assert client.request("GET", "/next").body == b"ok GET"


def test_expect(server: Observed) -> None:
    """``100 Continue`` comes when the body is asked for, and not when it is refused."""
    expect = ("Expect", "100-continue")
    with Connection(server) as client:
        client.send(_post("/read", expect, LENGTH))
        assert client._until(b"\r\n\r\n")[0] == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello world!")
        assert client.response().body.startswith(MD5)
        client.send(_post("/read", expect, LENGTH) + b"hello world!")
        assert client.response().body.startswith(MD5)
        client.send(_post("/", expect, LENGTH))
        answer = client.response()
        assert (answer.interim, answer.body) == ([100], b"ok POST")
        client.send(b"hello world!" + _post("/none/", expect, LENGTH) + b"hello world!")
        assert client.response().status == 200
        client.send(_post("/read", expect, ("Content-Length", "1000000")))
        answer = client.response()
        assert (answer.interim, answer.status, answer.get("Connection")) == ([], 413, "close")
    with Connection(server) as client:
        client.send(head("POST", "/read", [expect, LENGTH], version="1.0") + b"hello world!")
        assert client.response().interim == []


@pytest.mark.parametrize("path", ["/read", "/unread", "/"])
@pytest.mark.parametrize("sent", [b"", b"x" * 10, b"x" * 60000])
def test_client_leaves_in_the_body(server: Observed, path: str, sent: bytes) -> None:
    """The request ends with 400 where the body was wanted, without an answer; nothing stays behind."""
    mark = f"?leaves={len(sent)}"
    with Connection(server) as client:
        client.send(_post(path + mark, ("Content-Length", "90000")) + sent)
        server.state()
    line = logged(server, f"{path}{mark} ")
    assert line.endswith(" 400" if path == "/read" else " 200")
    server.check_well()


def test_half_closed_in_the_body(server: Observed) -> None:
    """A body that ends before its end: no answer."""
    assert raw(server, _post("/read", LENGTH) + b"hello", shutdown=True) == b""
    assert raw(server, _post("/read", CHUNKED) + b"5\r\nhello\r\n", shutdown=True) == b""
    assert raw(server, _post("/read", LENGTH) + b"hello world!", shutdown=True).count(MD5) == 1


@pytest.mark.parametrize("sent", [b"", b"x" * 10, b"x" * 60000])
def test_stalled_body(server: Observed, sent: bytes) -> None:
    """``client_body_timeout``: nginx closes without an answer and logs 408."""
    mark = f"?stalled={len(sent)}"
    assert raw(server, _post("/read" + mark, ("Content-Length", "90000")) + sent) == b""
    assert logged(server, mark + " ").endswith(" 408")
    server.check_well()


def test_stalled_unread_body(server: Observed) -> None:
    """A body that is only thrown away is not waited for longer than ``lingering_timeout``."""
    with Connection(server) as client:
        client.send(_post("/", LENGTH) + b"hello")
        assert client.response().status == 200
        assert client.rest() == b""
    server.check_well()
