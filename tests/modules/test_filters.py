"""Filters together: their order, what they make of length, ETag and ranges, and headers-more's newer options."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from client import Response, request
from harness import Server, http

from pyresty.http.request import Request
from pyresty.http.template import Template
from pyresty.modules.sub_filter import Substitution

TEXT = "one two three. " * 50

CONF = http(
    r"""
    gzip_vary on; log_format ratio '$gzip_ratio|$status'; charset_map koi8-r utf-8 { C1 D0B0; }
    server {
        listen {port};
        root html;
        default_type text/html;
        location /append { more_set_headers -a 'X-Foo: 1' 'X-Foo: 2'; more_set_headers -a 'X-Foo: $arg_none';
            return 200 "x"; }
        location /append-set { more_set_headers -a 'X-Foo: 1' 'X-Foo: 2'; more_set_headers 'x-foo: 3'; return 200 "x"; }
        location /append-clear { more_set_headers -a 'X-Foo: 1' 'X-Foo: 2'; more_clear_headers 'x-*'; return 200 "x"; }
        location /lua-sees { more_set_headers 'X-Foo: 1'; header_filter_by_lua_block {
            ngx.header['X-Seen'] = ngx.header['X-Foo'] ngx.header['X-Foo'] = nil } return 200 "x"; }
        location /all { gzip on; charset utf-8; source_charset koi8-r; sub_filter one 1; sub_filter_once off; alias html/;
            sub_filter_last_modified on; }
        location /lua-body { gzip on; sub_filter LUA 'the filter'; alias html/;
            header_filter_by_lua_block { ngx.header.content_length = nil }
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:gsub('two', 'Lua') } }
        location /lua-prints { gzip on; content_by_lua_block {
            for n = 1, 100 do ngx.say('line ', n) if n % 10 == 0 then ngx.flush(true) end end } }
        location /etag-lua { gzip on; content_by_lua_block {
            ngx.header.etag = ngx.var.arg_e ngx.say(('x'):rep(100)) } }
        location /large { gzip on; alias html/; }
        location /error { gzip on; more_set_headers -s 404 'X-Missing: yes'; }
        location /log { gzip on; alias html/; access_log {prefix}/logs/ratio.log ratio; }
    }
    """
)

FILES: dict[str, str | bytes] = {
    "html/page": TEXT,
    "html/koi": b"one \xc1 one",
    "html/large": b"0123456789" * 100000,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(CONF, FILES) as running:
        yield running


def packed(server: Server, path: str, method: str = "GET") -> Response:
    """The answer for a client that takes gzip."""
    return request(server.port, method, path, (("Accept-Encoding", "gzip"),))


def all_of(response: Response, name: str) -> list[str]:
    """Every value of a header."""
    return [value for key, value in response.headers if key.lower() == name.lower()]


@pytest.mark.parametrize(("path", "values"), [("/append", ["1", "2"]), ("/append-set", ["3"]), ("/append-clear", [])])
def test_append(server: Server, path: str, values: list[str]) -> None:
    """``more_set_headers -a`` adds; what comes later without it replaces or clears all of them."""
    assert all_of(request(server.port, "GET", path), "X-Foo") == values


def test_lua_filter_comes_later(server: Server) -> None:
    """header_filter_by_lua sees what headers-more has set, and has the last word."""
    response = request(server.port, "GET", "/lua-sees")
    assert (response.get("X-Seen"), response.get("X-Foo")) == ("1", None)


def test_charset_sub_gzip(server: Server) -> None:
    """Strings are replaced first, then the charset is changed, then the body is compressed."""
    response = packed(server, "/all/koi")
    assert response.get("Content-Type") == "text/html; charset=utf-8"
    assert (response.get("ETag") or "").startswith('W/"')
    assert gzip.decompress(response.body).decode() == "1 \N{CYRILLIC SMALL LETTER A} 1"


def test_lua_body_then_sub(server: Server) -> None:
    """body_filter_by_lua runs before sub_filter, and gzip comes last."""
    response = packed(server, "/lua-body/page")
    assert response.get("Content-Encoding") == "gzip"
    body = gzip.decompress(response.body).decode()
    assert body == TEXT.replace("two", "Lua").replace("Lua", "the filter", 1)


def test_flushed_pieces(server: Server) -> None:
    """What Lua flushes can be decompressed before the end."""
    response = packed(server, "/lua-prints")
    assert response.get("Transfer-Encoding") == "chunked"
    assert gzip.decompress(response.body).decode() == "".join(f"line {n}\n" for n in range(1, 101))


@pytest.mark.parametrize(("given", "shown"), [('"x"', 'W/"x"'), ('W/"x"', 'W/"x"'), ("bare", None)])
def test_etag(server: Server, given: str, shown: str | None) -> None:
    """Compression makes an ETag weak; one without quotes is left out."""
    response = packed(server, f"/etag-lua?e={given}")
    assert response.get("Content-Encoding") == "gzip"
    assert response.get("ETag") == shown


def test_large_file(server: Server) -> None:
    """A file that is otherwise passed on by the kernel goes through the filter."""
    response = packed(server, "/large/large")
    assert response.get("Accept-Ranges") is None
    assert zlib.decompress(response.body, 31) == b"0123456789" * 100000
    plain = request(server.port, "GET", "/large/large")
    assert (plain.get("Content-Length"), plain.get("Vary")) == ("1000000", "Accept-Encoding")


def test_head(server: Server) -> None:
    """HEAD gets the head of the compressed response and nothing else."""
    response = packed(server, "/large/page", method="HEAD")
    assert (response.get("Content-Encoding"), response.get("Content-Length"), response.body) == ("gzip", None, b"")


def test_error_page(server: Server) -> None:
    """Error pages are compressed, and headers-more goes by the final status."""
    response = packed(server, "/error")
    assert (response.status, response.get("X-Missing"), response.get("Content-Encoding")) == (404, "yes", "gzip")
    assert b"404 Not Found" in gzip.decompress(response.body)


def test_ratio(server: Server) -> None:
    """``$gzip_ratio``: how many times smaller, or nothing where nothing was compressed."""
    packed(server, "/log/large")
    request(server.port, "GET", "/log/large")
    server.stop()
    first, second = server.log_text("ratio.log").split()
    ratio, status = first.split("|")
    assert (float(ratio) > 100, status, second) == (True, "200", "-|200")
    server.start()


def test_sub_filter_holds_back_only_what_may_begin_a_string() -> None:
    pairs = [(b"one two", Template("1 2", (b"1 2",))), (b"twice", Template("2", (b"2",)))]
    sub, r = Substitution(pairs, once=False), cast(Request, SimpleNamespace(header_only=False))
    pieces = [b"no o", b"ne", b" t", b"wine", b" tw", b"elve t", b"w", b"ice", b" one t"]
    given = [sub(r, piece, last=False) for piece in pieces]
    assert given == [b"no ", b"", b"", b"one twine", b" ", b"twelve ", b"", b"2", b" "]
    assert sub(r, b"wo o", last=True) == b"1 2 o"
