"""memcached_pass, memc_pass and srcache on a real memcached: pyresty and the reference answer the same, and leave the same behind.

https://nginx.org/en/docs/http/ngx_http_memcached_module.html, https://github.com/openresty/memc-nginx-module,
https://github.com/openresty/srcache-nginx-module
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import MODULES, REFERENCE, Connection, Server, head, http, request
from rawserver import Peer, RawServer

from pyresty.upstream.memcached import InvalidReply, parse_line

MEMCACHED = shutil.which("memcached")
NAMES = (
    "ndk_http_module",
    "ngx_http_lua_module",
    "ngx_http_memc_module",
    "ngx_http_srcache_filter_module",
)

needs_reference = pytest.mark.skipif(
    MEMCACHED is None or not Path(REFERENCE).exists() or not all((MODULES / f"{name}.so").exists() for name in NAMES),
    reason="no memcached, or no reference server with these modules",
)

CONF = http("""
    upstream mem { server 127.0.0.1:{mem}; keepalive 4; }
    upstream gone { server 127.0.0.1:{dead}; }
    lua_package_path "$prefix/?.lua;;";
    server {
        listen {port};
        root html;
        location /memc {
            set $memc_cmd $arg_cmd; set $memc_key $arg_key; set $memc_flags $arg_flags; set $memc_exptime $arg_exptime;
            memc_pass mem;
        }
        location /value {
            set $memc_cmd $arg_cmd; set $memc_key $arg_key; set $memc_value $arg_val;
            memc_pass 127.0.0.1:{mem};
        }
        location /named { set $memc_key $arg_key; set $up $arg_up; memc_pass $up; }
        location /few { set $memc_cmd $arg_cmd; set $memc_key $arg_key; memc_cmds_allowed get version; memc_pass mem; }
        location /flags {
            set $memc_key $arg_key; memc_flags_to_last_modified on; memc_pass mem;
            add_header X-Flags $memc_flags; add_header X-Time $memc_flags_as_http_time;
        }
        location /gone { set $memc_key foo; memc_pass gone; }
        location /page { set $memc_key none; error_page 404 = /instead; memc_pass mem; }
        location /instead { return 200 "instead"; }
        location /mc.txt { set $memcached_key $arg_key; memcached_pass mem; }
        location /unset { memcached_pass mem; }
        location /gzip { set $memcached_key $arg_key; memcached_gzip_flag 2; memcached_pass mem; }
        location /capture {
            content_by_lua_block {
                local put = ngx.location.capture("/memc?key=captured", {method = ngx.HTTP_PUT, body = "by Lua"})
                local got = ngx.location.capture("/memc?key=captured")
                local none = ngx.location.capture("/memc?key=none")
                ngx.say(put.status, " ", put.body, got.status, " ", got.body, " ", none.status)
            }
        }
        location = /cache { internal; set $memc_key $query_string; set $memc_exptime 300; memc_pass mem; }
        location /c/ {
            srcache_fetch GET /cache $uri; srcache_store PUT /cache $uri;
            srcache_fetch_skip $arg_nofetch; srcache_store_skip $arg_nostore; srcache_store_max_size 200;
            add_header X-Fetch $srcache_fetch_status; add_header X-Store $srcache_store_status;
            add_header X-Expire $srcache_expire;
            location /c/lua {
                content_by_lua_block {
                    local args = ngx.req.get_uri_args()
                    for name, value in pairs(args) do
                        if name:find("^h_") then ngx.header[name:sub(3)] = value end
                    end
                    if args.status then ngx.status = tonumber(args.status) end
                    ngx.print("one ") ngx.print(args.body or "two")
                }
            }
            location /c/hidden {
                srcache_store_hide_header X-Secret; srcache_store_pass_header Set-Cookie; srcache_max_expire 7;
                content_by_lua_block {
                    ngx.header["X-Secret"] = "s" ngx.header["Set-Cookie"] = {"a=1", "b=2"} ngx.header["X-Open"] = "o"
                    ngx.header.content_length = 4 ngx.print("body")
                }
            }
            location /c/any {
                srcache_store_statuses 201 404; srcache_response_cache_control off; srcache_request_cache_control on;
                srcache_methods PUT; srcache_default_expire 3;
                content_by_lua_block { ngx.status = tonumber(ngx.var.arg_status) ngx.print("made by ", ngx.req.get_method()) }
            }
        }
        location /broken/ { srcache_fetch GET /cache $uri; add_header X-Fetch $srcache_fetch_status; return 200 "fresh"; }
        location /bad/ {
            srcache_fetch GET /cache $uri; srcache_header_buffer_size 64; add_header X-Fetch $srcache_fetch_status;
            content_by_lua_block { ngx.print("fresh") }
        }
        location /lost/ {
            srcache_fetch GET /gone; srcache_store PUT /gone;
            add_header X-Fetch $srcache_fetch_status; add_header X-Store $srcache_store_status;
            content_by_lua_block { ngx.print("fresh") }
        }
    }
""")
FILES = {"html/c/file.txt": "in a file", "html/gone": ""}

_CACHED = "HTTP/1.1%20200%20OK%0D%0AContent-Type%3A%20text/plain%0D%0A"

#: Method, path, body and headers.
Ask = tuple[str, str, bytes | None, dict[str, str]]


def ask(path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Ask:
    """One request; ``_`` in the names of headers is ``-``."""
    return method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}


ASKS = (
    ask("/value?cmd=get&key=foo"),
    ask("/value?cmd=set&key=foo&val=hello"),
    ask("/value?cmd=get&key=foo"),
    ask("/value?cmd=get&key=foo", "HEAD"),
    ask("/value?cmd=add&key=foo&val=other"),
    ask("/value?cmd=replace&key=foo&val=replaced"),
    ask("/value?cmd=append&key=foo&val=+more"),
    ask("/value?cmd=prepend&key=foo&val=less+"),
    ask("/value?key=foo"),
    ask("/value?cmd=replace&key=none&val=x"),
    ask("/value?cmd=set&key=n&val=41"),
    ask("/value?cmd=incr&key=n&val=1"),
    ask("/value?cmd=decr&key=n&val=2"),
    ask("/value?cmd=incr&key=none&val=1"),
    ask("/value?cmd=incr&key=foo&val=1"),
    ask("/value?cmd=incr&key=n"),
    ask("/value?cmd=incr&key=n&val=x"),
    ask("/value?cmd=delete&key=n"),
    ask("/value?cmd=delete&key=n"),
    ask("/value?cmd=set&val=x"),
    ask("/value?cmd=bogus&key=x"),
    ask("/value?cmd=set&key=a%20b%25&val=escaped"),
    ask("/value?cmd=get&key=a%20b%25"),
    ask("/memc?cmd=set&key=nothing"),
    ask("/memc?key=put&flags=1700000000&exptime=100", "PUT", b"the body"),
    ask("/memc?key=put", "POST", b"again"),
    ask("/memc?key=put", "PATCH", b"again"),
    ask("/memc?key=put"),
    ask("/memc?key=put&flags=x", "PUT", b"y"),
    ask("/memc?key=put&exptime=12345678901", "PUT", b"y"),
    ask("/memc?key=big", "PUT", b"0123456789" * 20000),
    ask("/memc?key=big"),
    ask("/memc?key=huge", "PUT", b"x" * 900000),
    ask("/flags?key=put"),
    ask("/flags?key=foo"),
    ask("/memc?key=put", "DELETE"),
    ask("/memc?cmd=version"),
    ask("/memc?cmd=flush_all&exptime=100"),
    ask("/named?key=foo&up=mem"),
    ask("/named?key=foo&up=MEM"),
    ask("/named?key=foo&up=other"),
    ask("/named?key=foo"),
    ask("/few?cmd=get&key=foo"),
    ask("/few?cmd=delete&key=foo"),
    ask("/few?cmd=version"),
    ask("/gone"),
    ask("/page"),
    ask("/mc.txt?key=foo"),
    ask("/mc.txt?key=foo", "HEAD"),
    ask("/mc.txt?key=foo", "POST", b"x"),
    ask("/mc.txt?key=foo", Range="bytes=1-3"),
    ask("/mc.txt?key=big", Range="bytes=0-9,199990-"),
    ask("/mc.txt?key=foo", Range="bytes=900-"),
    ask("/mc.txt?key=none"),
    ask("/unset"),
    ask("/memc?key=zipped&flags=2", "PUT", b"not really"),
    ask("/gzip?key=zipped"),
    ask("/gzip?key=foo"),
    ask("/capture"),
    # srcache
    ask("/c/file.txt"),
    ask("/c/file.txt"),
    ask("/c/file.txt", "HEAD"),
    ask("/c/file.txt", Range="bytes=2-4"),
    ask("/c/file.txt?nofetch=1"),
    ask("/c/file.txt", "POST", b"x"),
    ask("/c/missing.txt"),
    ask("/memc?key=/c/file.txt"),
    ask("/c/lua"),
    ask("/c/lua?body=other"),
    ask("/c/lua1?nostore=1"),
    ask("/c/lua1?nostore=0&nofetch=0"),
    ask("/c/lua1"),
    ask("/c/lua2?h_cache-control=max-age%3D20&h_x-a=b"),
    ask("/c/lua2"),
    ask("/c/lua3?h_cache-control=private"),
    ask("/c/lua3?h_cache-control=no-store"),
    ask("/c/lua3?h_cache-control=no-cache"),
    ask("/c/lua3?h_cache-control=max-age%3D0"),
    ask("/c/lua3?h_expires=Thu,%2001%20Jan%201970%2000:00:01%20GMT"),
    ask("/c/lua3?h_content-encoding=gzip"),
    ask("/c/lua3?status=500"),
    ask("/c/lua3?status=302&h_location=/there"),
    ask("/c/lua3"),
    ask("/c/lua4?body=" + "x" * 300),
    ask("/c/lua4?h_content-length=304&body=" + "x" * 300),
    ask("/c/lua5?h_content-length=40", Connection="close"),
    ask("/c/hidden"),
    ask("/c/hidden"),
    ask("/memc?key=/c/hidden"),
    ask("/c/any?status=200"),
    ask("/c/any?status=201"),
    ask("/c/any?status=200"),
    ask("/c/any?status=200", Cache_Control="no-cache"),
    ask("/c/any?status=404", Cache_Control="no-cache"),
    ask("/c/any?status=404", Cache_Control="no-cache, no-store"),
    ask("/c/any1?status=201", Pragma="no-cache"),
    ask("/c/any2?status=404", "PUT", b"x"),
    ask("/c/any2?status=404", "PUT", b"x"),
    ask("/broken/x"),
    ask("/value?cmd=set&key=/bad/1&val=nothing"),
    ask("/bad/1"),
    ask("/memc?key=/bad/2", "PUT", b"HTTP/1.1 200 OK\r\n"),
    ask("/bad/2"),
    ask("/memc?key=/bad/3", "PUT", b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 100 + b"\r\n\r\nbody"),
    ask("/bad/3"),
    ask("/memc?key=/bad/4", "PUT", b"HTTP/1.0 202 Fine\nX-A: b\nServer: mine\nContent-Length: 4\n\nbody"),
    ask("/bad/4"),
    ask("/memc?key=/bad/5", "PUT", b"HTTP/1.1 200 OK\r\n\r\n"),
    ask("/bad/5"),
    ask("/lost/x"),
)  # fmt: skip


@contextmanager
def memcached() -> Iterator[int]:
    """A memcached of our own; its port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    assert MEMCACHED is not None
    with subprocess.Popen([MEMCACHED, "-u", "nobody", "-l", "127.0.0.1", "-p", str(port), "-U", "0"]) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 0.1).close()
                    break
                except OSError:
                    assert process.poll() is None
            yield port
        finally:
            process.terminate()


_SHOWN = (
    "content-type", "content-length", "content-range", "content-encoding", "last-modified", "location", "cache-control",
    "set-cookie", "x-flags", "x-time", "x-fetch", "x-store", "x-expire", "x-a", "x-secret", "x-open", "accept-ranges",
)  # fmt: skip


def _plain(text: str) -> str:
    """Without what is never twice the same."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\d{20}", "BOUNDARY", text)
    text = re.sub(r'"\S+/html/', '"html/', text)
    return re.sub(r"(nginx|pyresty)/[\d.]+", "SERVER", text)


def _run(reference: bool) -> tuple[list[str], list[str]]:
    """What the answers were, and the messages of the error log."""
    answers = []
    with (
        memcached() as port,
        Server(CONF.replace("{mem}", str(port)), FILES, reference=reference, modules=NAMES) as server,
    ):
        connection = Connection(server)
        for method, path, body, headers in ASKS:
            # on one connection as long as it lasts, so that what a request stores is there for the next one
            if connection.sock.fileno() < 0:
                connection = Connection(server)
            connection.send(head(method, path, headers, body))
            got = connection.response(method)
            if got.get("connection") == "close":
                connection.close()
            page = b"<hr><center>" in got.body  # with the server's name in it, so its length is not the same
            names = [name for name in _SHOWN if not (page and name == "content-length")]
            shown = [f"{name}: {value}" for name in names for value in got.all(name)]
            answers.append(
                _plain("\n".join((f"{method} {path[:70]}", str(got.status), *shown, got.body.decode("latin-1"))))
            )
        connection.close()
        lines = [
            _plain(re.sub(r"^\S+ \S+ (\[\w+\]) \d+#\d+: \*\d+ ", r"\1 ", line))
            for line in server.error_log()
            if not re.search("buffered to a temporary file|cache sent truncated response body", line)
            and re.search(r"\[(error|crit|alert|warn)\].*\*\d", line)
            or "was not found" in line
        ]
    return answers, lines


@needs_reference
def test_same_as_the_reference() -> None:
    """The same answers and the same lines in the error log."""
    ours, our_lines = _run(False)
    theirs, their_lines = _run(True)
    for one, other in zip(ours, theirs, strict=True):
        assert one == other
    assert our_lines == their_lines


#: What a peer answers to ``get foo``, in pieces; the status and the body that come of it, and what is logged.
HOSTILE: dict[str, tuple[list[bytes], int, bytes, str]] = {
    "byte by byte": ([bytes([byte]) for byte in b"VALUE foo 0 5\r\nhello\r\nEND\r\n"], 200, b"hello", ""),
    "trailer in halves": ([b"VALUE foo 0 5\r\nhello\r\nE", b"ND\r\n"], 200, b"hello", ""),
    "empty value": ([b"VALUE foo 0 0\r\n\r\nEND\r\n"], 200, b"", ""),
    "no command": ([b"ERROR\r\n"], 502, b"", 'memcached sent invalid response: "ERROR"'),
    "another key": ([b"VALUE bar 0 5\r\nhello\r\nEND\r\n"], 502, b"", "memcached sent invalid key in response"),
    "no length": ([b"VALUE foo 0 x\r\nhello\r\nEND\r\n"], 502, b"", "memcached sent invalid length in response"),
    "no end": ([b"VALUE foo 0 5\r\nhello\r\nENDE\r\n"], 200, b"hello", "memcached sent invalid trailer"),
    "cut head": ([b"VALUE foo 0"], 502, b"", "upstream prematurely closed connection while reading response header"),
    "too big head": ([b"V" * 5000], 502, b"", "upstream sent too big header"),
    "cut value": ([b"VALUE foo 0 5\r\nhel"], 200, b"hel", "upstream prematurely closed connection"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_peer(name: str) -> None:
    """What comes from a server that is none, or that breaks off."""
    pieces, status, body, logged = HOSTILE[name]

    def play(peer: Peer) -> None:
        assert peer.until(b"\r\n") == b"get foo\r\n"
        for piece in pieces:
            peer.send(piece)
            time.sleep(0.002)

    with RawServer(play) as raw:
        conf = http(
            f"server {{ listen {{port}}; location / {{ set $memc_key foo; memc_pass 127.0.0.1:{raw.port}; }} "
            f"location /m {{ set $memcached_key foo; memcached_pass 127.0.0.1:{raw.port}; }} }}"
        )
        with Server(conf) as server:
            for path in ("/", "/m"):
                got = request(server, path=path)
                assert (got.status, got.body if status == 200 else b"") == (status, body)
                assert got.complete == (name != "cut value")
            errors = [line for line in server.error_log() if "[error]" in line]
            assert len(errors) == (2 if logged else 0)
            assert all(logged in line for line in errors)


def test_stalling_peer() -> None:
    """A server that does not answer in time."""

    def play(peer: Peer) -> None:
        peer.until(b"\r\n")
        peer.rest()

    with RawServer(play) as raw:
        conf = http(
            "server { listen {port}; memc_read_timeout 50ms; "
            f"location / {{ set $memc_key foo; memc_pass 127.0.0.1:{raw.port}; }} }}"
        )
        with Server(conf) as server:
            assert request(server).status == 504
            assert any(
                "upstream timed out (110: Connection timed out) while reading" in line for line in server.error_log()
            )


@pytest.mark.parametrize(
    ("data", "command", "status", "end"),
    [
        (b"STORED\r\n", b"set", 201, 8),
        (b"NOT_STORED\r\nmore", b"add", 200, 12),
        (b"SERVER_ERROR out of memory\r\n", b"set", 502, 28),
        (b"42 \r\n", b"incr", 201, 5),
        (b"STAT a 1\r\nSTAT b 2\r\nEND\r\n", b"stats", 200, 25),
        (b"VERSION 1.6\r\n", b"version", 200, 13),
    ],
)
def test_replies(data: bytes, command: bytes, status: int, end: int) -> None:
    """A reply is known when it is whole, not before, wherever it is cut."""
    for cut in range(end):
        assert parse_line(data[:cut], command) is None
    found = parse_line(data, command)
    assert found is not None
    assert (found[0].status, found[1]) == (status, end)


def test_invalid_reply() -> None:
    """What no server says, and where that shows."""
    with pytest.raises(InvalidReply, match='for command "delete" at pos 3: DEL'):
        parse_line(b"DELAYED\r\n", b"delete")
