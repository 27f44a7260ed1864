"""Names of files with a zero byte in them, as a variable may bring them: no such file. nginx: the name would end there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Server, http, request

_CONF = http("""
    server {
        listen {port};
        root html;
        set_by_lua_block $name { return "file.txt\\0" }
        rewrite_by_lua_block { if ngx.var.arg_uri then ngx.req.set_uri(ngx.unescape_uri(ngx.var.arg_uri), false, true) end }
        location / {}
        location /gzip/ { alias html/; gzip_static on; }
        location /random/ { alias html/; random_index on; }
        location /listing/ { alias html/; autoindex on; }
        location /index/ { alias html/; index $name; }
        location /try { try_files /$name =410; }
        location /test { if (-e html/$name) { return 200; } return 410; }
        location /folder { root html/$name; }
        location /realpath { root html/$name; return 200 "[$realpath_root]"; }
        location /users { auth_basic x; auth_basic_user_file html/$name; }
        location /lua { content_by_lua_file html/$name; }
        location /log { access_log html/$name; return 204; }
        location /body { content_by_lua_block {
            ngx.req.read_body()
            ngx.say(select(2, pcall(ngx.req.set_body_file, ngx.var.name)))
        } }
    }
""")
_ANSWERS = {
    "/?uri=/file.txt%00": (404, None),
    "/?uri=/file.txt%00/": (404, None),
    "/?uri=/gzip/file.txt%00": (404, None),
    "/?uri=/random/%00/": (404, None),
    "/?uri=/listing/%00/": (404, None),
    "/index/": (404, None),
    "/try": (410, None),
    "/test": (410, None),
    "/folder/file.txt": (404, None),
    "/realpath": (200, b"[]"),
    "/users": (403, None),
    "/lua": (404, None),
    "/log": (204, b""),
    "/body": (200, b'stat() "file.txt\0" failed\n'),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(_CONF, {"html/file.txt": "hello\n"}) as server:
        yield server


@pytest.mark.parametrize("path", _ANSWERS)
def test_zero_byte(server: Server, path: str) -> None:
    response = request(server, "GET", path, [("Authorization", "Basic YTpi")])
    status, body = _ANSWERS[path]
    assert response.status == status
    assert body is None or response.body == body
    assert "internal error" not in server.log_text()
