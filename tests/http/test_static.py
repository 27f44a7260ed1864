"""Files: types, validators, conditions, ranges, indexes, redirects, aliases, and paths that lead nowhere.

https://nginx.org/en/docs/http/ngx_http_core_module.html, ngx_http_index_module.html; RFC 9110 sections 13 and 14. The
reference server passes these tests, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from client import Connection, Response, raw, request
from harness import MTIME, Server, http
from observed import BOTH, logged, serve_both, wait_for

CONF = http(
    r"""
    types { text/html html; text/plain txt; image/png PNG; }
    default_type application/octet-stream;
    server_tokens off;
    server {
        listen {port};
        root html;
        location / { }
        location /since/ { alias html/; if_modified_since before; }
        location /always/ { alias html/; if_modified_since off; }
        location /plain/ { alias html/; etag off; max_ranges 0; }
        location /one/ { alias html/; max_ranges 1; }
        location /idx/ { index none.html $arg_name.html second.html; }
        location /idx/abs/ { index none.html /ten.txt; }
        location ~ ^/re/(\w+)/(.*)$ { alias html/$1/$2; }
        location /try/ { try_files $uri $uri/index.html /dir/$arg_else.html =410; }
        location /quiet/ { log_not_found off; }
        location /inner/ { internal; alias html/; }
        location /to-inner { try_files /none /inner/ten.txt; }
        location /lua { content_by_lua_block {
            local res = ngx.location.capture("/" .. ngx.var.arg_file)
            ngx.print(res.status, " ", #res.body, " ", ngx.md5(res.body), " ", res.header["Content-Length"] or "-")
        } }
    }
    server { listen {port2}; root html; absolute_redirect off; }
    server { listen {port2}; server_name named other; root html; server_name_in_redirect on; port_in_redirect off; }
    """
)
BIG = bytes(range(256)) * 12000
FILES: dict[str, str | bytes] = {
    "html/ten.txt": "0123456789",
    "html/page.html": "<p>page",
    "html/PICTURE.png": b"\x89PNG",
    "html/unknown": "?",
    "html/empty.txt": "",
    "html/big.bin": BIG,
    "html/dir/index.html": "dir index",
    "html/dir/file.html": "a file",
    "html/idx/second.html": "second",
    "html/idx/first.html": "first",
    "html/idx/abs/x": "",
    "html/bare/x": "",
    "html/try/a/index.html": "a index",
    "html/sp ace%.txt": "space",
    "html/sp ace dir/": "",
    "html/caf\xe9 \u65e5\u672c.txt": "unicode",
    "html/quiet/x": "",
    "html/private/x": "",
}
ETAG = f'"{MTIME:x}-a"'
MODIFIED = "Sat, 04 Mar 2023 05:06:07 GMT"
EARLIER, LATER = "Sat, 04 Mar 2023 05:06:06 GMT", "Sat, 04 Mar 2023 05:06:08 GMT"


@pytest.fixture(scope="module", params=BOTH)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    for server in serve_both(CONF, FILES, request.param, "/ten.txt"):
        html = server.prefix / "html"
        (html / "link.txt").symlink_to("ten.txt")
        (html / "dangling.txt").symlink_to("none.txt")
        (html / "loop.txt").symlink_to("loop.txt")
        os.mkfifo(html / "fifo")
        with open(os.fsencode(html) + b"/odd\xff\x01;.txt", "wb") as odd:
            odd.write(b"odd")
        yield server


def _get(server: Server, path: str, method: str = "GET", **headers: str) -> Response:
    return request(server, method, path, {name.replace("_", "-"): value for name, value in headers.items()})


def test_whole_file(server: Server) -> None:
    """Type by extension without regard to case, validators, length; HEAD says the same without the body."""
    for path, kind in (("ten.txt", "text/plain"), ("page.html", "text/html"), ("PICTURE.png", "image/png")):
        assert _get(server, f"/{path}").get("Content-Type") == kind
    answer = _get(server, "/unknown")
    assert (answer.get("Content-Type"), answer.body) == ("application/octet-stream", b"?")
    answer, bare = _get(server, "/ten.txt"), _get(server, "/ten.txt", "HEAD")
    assert (answer.get("ETag"), answer.get("Last-Modified"), answer.get("Accept-Ranges")) == (ETAG, MODIFIED, "bytes")
    drop = ("Date",)
    assert [h for h in bare.headers if h[0] not in drop] == [h for h in answer.headers if h[0] not in drop]
    assert (answer.body, bare.body) == (b"0123456789", b"")
    assert _get(server, "/empty.txt").get("Content-Length") == "0"
    assert _get(server, "/big.bin").body == BIG
    plain = _get(server, "/plain/ten.txt", Range="bytes=0-1")
    assert (plain.status, plain.get("ETag"), plain.get("Accept-Ranges")) == (200, None, None)


def test_change_shows_at_once(server: Server) -> None:
    """A file that is changed, grows, is removed or comes back is answered as it is now."""
    path = server.prefix / "html" / "changing.txt"
    for text in ("one", "two", "longer", "", "three"):
        path.write_text(text)
        assert _get(server, "/changing.txt").body == text.encode()
        path.unlink()
        assert _get(server, "/changing.txt").status == 404


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ten.txt", {"If-Modified-Since": MODIFIED}, 304),
        ("/ten.txt", {"If-Modified-Since": LATER}, 200),
        ("/ten.txt", {"If-Modified-Since": EARLIER}, 200),
        ("/ten.txt", {"If-Modified-Since": "nonsense"}, 200),
        ("/since/ten.txt", {"If-Modified-Since": LATER}, 304),
        ("/since/ten.txt", {"If-Modified-Since": EARLIER}, 200),
        ("/always/ten.txt", {"If-Modified-Since": MODIFIED}, 200),
        ("/ten.txt", {"If-None-Match": ETAG}, 304),
        ("/ten.txt", {"If-None-Match": f'"x", W/{ETAG}'}, 304),
        ("/ten.txt", {"If-None-Match": "*"}, 304),
        ("/ten.txt", {"If-None-Match": '"x"', "If-Modified-Since": MODIFIED}, 200),
        ("/ten.txt", {"If-Match": ETAG}, 200),
        ("/ten.txt", {"If-Match": '"x"'}, 412),
        ("/ten.txt", {"If-Unmodified-Since": EARLIER}, 412),
        ("/ten.txt", {"If-Unmodified-Since": MODIFIED}, 200),
        ("/big.bin", {"If-Modified-Since": MODIFIED}, 304),
        ("/big.bin", {"If-Match": '"x"'}, 412),
    ],
)
def test_conditions(server: Server, path: str, headers: dict[str, str], status: int) -> None:
    """304 has no body and keeps the connection; 412 is a page (after which nginx closes)."""
    with Connection(server) as client:
        answer = client.request("GET", path, headers)
        assert answer.status == status
        assert (answer.get("Content-Length") is None) == (status == 304)
        if status != 412:
            assert client.request("GET", "/ten.txt").body == b"0123456789"


@pytest.mark.parametrize(
    ("value", "status", "bodies"),
    [
        ("bytes=2-4", 206, [b"234"]),
        ("bytes=8-", 206, [b"89"]),
        ("bytes=-3", 206, [b"789"]),
        ("bytes=0-99", 206, [b"0123456789"]),
        ("bytes=-99", 206, [b"0123456789"]),
        ("bytes=10-", 416, []),
        ("bytes=5-3", 416, []),
        ("bytes=x", 416, []),
        ("items=0-1", 200, [b"0123456789"]),
        ("bytes=0-1, 4-5 ,-1", 206, [b"01", b"45", b"9"]),
        ("bytes=20-, 1-1", 206, [b"1"]),
        ("bytes=0-9,0-9", 200, [b"0123456789"]),
    ],
)
def test_ranges(server: Server, value: str, status: int, bodies: list[bytes]) -> None:
    """One range as it is, several in a multipart body, none that fits as 416 with the size."""
    answer = _get(server, "/ten.txt", Range=value)
    assert answer.status == status
    if status == 416:
        assert answer.get("Content-Range") == "bytes */10"
    elif len(bodies) == 1:
        assert answer.body == bodies[0]
        assert (answer.get("Content-Range") is None) == (status == 200)
    else:
        boundary = (answer.get("Content-Type") or "").partition("boundary=")[2].encode()
        first, *parts, last = answer.body.split(b"--" + boundary)
        assert (first, last) == (b"\r\n", b"--\r\n")
        assert [part.partition(b"\r\n\r\n")[2][:-2] for part in parts] == bodies
        assert all(b"\r\nContent-Type: text/plain\r\n" in part for part in parts)


def test_ranges_of_a_big_file(server: Server) -> None:
    """The same by sendfile; If-Range; ``max_ranges``; a subrequest ignores Range."""
    assert _get(server, "/big.bin", Range="bytes=1000000-1099999").body == BIG[1000000:1100000]
    parts = _get(server, "/big.bin", Range="bytes=0-69999,-70000").body
    assert BIG[:70000] in parts and BIG[-70000:] in parts
    assert _get(server, "/big.bin", Range="bytes=-10", If_Range=MODIFIED).body == BIG[-10:]
    assert _get(server, "/big.bin", Range="bytes=-10", If_Range=LATER).body == BIG
    assert _get(server, "/ten.txt", Range="bytes=-1", If_Range=ETAG).body == b"9"
    assert _get(server, "/one/ten.txt", Range="bytes=0-1,3-4").body == b"0123456789"
    assert _get(server, "/lua?file=big.bin", Range="bytes=0-9").body.startswith(b"200 3072000 ")
    head = _get(server, "/big.bin", "HEAD", Range="bytes=0-9")
    assert (head.status, head.get("Content-Length"), head.body) == (206, "10", b"")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/dir/", 200, b"dir index"),
        ("/idx/", 200, b"second"),
        ("/idx/?name=first", 200, b"first"),
        ("/idx/abs/", 200, b"0123456789"),
        ("/bare/", 403, None),
        ("/none/", 404, None),
        ("/ten.txt/", 404, None),
        ("/ten.txt/x", 404, None),
        ("/" + "n" * 300, 404, None),
        ("/link.txt", 200, b"0123456789"),
        ("/dangling.txt", 404, None),
        ("/loop.txt", 403, None),
        ("/fifo", 404, None),
        ("/sp%20ace%25.txt", 200, b"space"),
        ("/caf%C3%A9%20%E6%97%A5%E6%9C%AC.txt", 200, b"unicode"),
        ("/odd%FF%01%3b.txt", 200, b"odd"),
        ("/re/dir/file.html", 200, b"a file"),
        ("/re/dir/", 200, b"dir index"),
        ("/re/dir/none", 404, None),
        ("/try/ten.txt", 410, None),
        ("/try/a", 200, b"a index"),
        ("/try/x?else=file", 200, b"a file"),
        ("/inner/ten.txt", 404, None),
        ("/to-inner", 200, b"0123456789"),
    ],
)
def test_paths(server: Server, path: str, status: int, body: bytes | None) -> None:
    """What a URI leads to; the answer to HEAD has the same status and length."""
    answer = _get(server, path)
    assert answer.status == status
    if body is not None:
        assert answer.body == body
    same = _get(server, path, "HEAD")
    assert (same.status, same.get("Content-Length"), same.body) == (status, answer.get("Content-Length"), b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions mean nothing to the superuser")
def test_no_permission(server: Server) -> None:
    """A file or folder that may not be read is 403."""
    for path in ("ten.txt", "big.bin", "private"):
        (server.prefix / "html" / path).chmod(0)
    try:
        assert [_get(server, f"/{path}").status for path in ("ten.txt", "big.bin", "private/x")] == [403] * 3
    finally:
        for path, mode in (("ten.txt", 0o644), ("big.bin", 0o644), ("private", 0o755)):
            (server.prefix / "html" / path).chmod(mode)


@pytest.mark.parametrize(
    ("port", "host", "path", "location"),
    [
        ("port", "asked", "/dir", "http://asked:{port}/dir/"),
        ("port", "asked:77", "/dir?a=b", "http://asked:{port}/dir/?a=b"),
        ("port", "asked", "/sp%20ace%20dir", "http://asked:{port}/sp%20ace%20dir/"),
        ("port2", "x", "/dir", "/dir/"),
        ("port2", "other", "/dir", "http://named/dir/"),
    ],
)
def test_folder_redirect(server: Server, port: str, host: str, path: str, location: str) -> None:
    """A folder without its slash is redirected, in the form that absolute_redirect and its like ask for."""
    answer = request(server.ports[port], path=path, headers={"Host": host})
    assert (answer.status, answer.get("Location")) == (301, server.expand(location))


def test_methods(server: Server) -> None:
    """405 for what files don't take; the body passes by."""
    with Connection(server) as client:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"):
            assert client.request(method, "/ten.txt", body=b"body").status == 405
        assert client.request("POST", "/none.txt", body=b"body").status == 404
        assert client.request("POST", "/dir/", body=b"body").status == 405


def test_old_versions(server: Server) -> None:
    """HTTP/0.9 and 1.0, small and by sendfile."""
    assert raw(server, b"GET /ten.txt\r\n") == b"0123456789"
    assert raw(server, b"GET /big.bin\r\n") == BIG
    assert raw(server, b"GET /big.bin HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n" + BIG)


def test_pipelined_files(server: Server) -> None:
    """Small and big files in turn on one connection keep their order."""
    with Connection(server) as client:
        paths = ["/ten.txt", "/big.bin", "/ten.txt", "/big.bin", "/big.bin", "/dir/"]
        client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in paths))
        bodies = [client.response().body for _ in paths]
    assert bodies == [b"0123456789", BIG, b"0123456789", BIG, BIG, b"dir index"]


def test_captured_files(server: Server) -> None:
    """A subrequest gets the whole file, its headers, and no 304 for the client's conditions."""
    answer = _get(server, "/lua?file=ten.txt", If_Modified_Since=MODIFIED)
    assert answer.body == b"200 10 781e5e245d69b566979b86e28d23f2c7 10"
    assert _get(server, "/lua?file=none.txt").body.startswith(b"404 ")


def test_log_of_missing_files(server: Server) -> None:
    """What is not there is told at level error, except with ``log_not_found off``; folders without index are told."""
    for path in ("/missing.txt", "/quiet/missing.txt", "/missing-folder/", "/quiet/missing/", "/bare/?logged"):
        _get(server, path)
    wait_for(lambda: "/bare/?logged" in server.log_text(), "the last entry")
    log = server.log_text()
    html = f"{server.prefix}/html"
    entry = next(line for line in log.splitlines() if f'open() "{html}/missing.txt" failed' in line)
    assert "[error]" in entry
    assert "failed (2: No such file or directory), client: 127.0.0.1, server: , request: " in entry
    assert f'"{html}/missing-folder/index.html" is not found (2: No such file or directory)' in log
    assert f'directory index of "{html}/bare/" is forbidden' in log
    assert "quiet" not in log
    assert logged(server, "/quiet/missing.txt ").endswith(" 404")
