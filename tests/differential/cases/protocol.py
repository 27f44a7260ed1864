"""HTTP/1 on the wire: versions, keep-alive, pipelining, framing of bodies, refused heads, header rules.

RFC 9112, and nginx's limits: https://nginx.org/en/docs/http/ngx_http_core_module.html
"""

from __future__ import annotations

from harness import http
from origin import ECHO

from ..case import ERRORS, INFOS, Ask, Case, get, wire

_PLAIN = http(
    """
    server {
        listen {port};
        root html;
        location /r { return 200 "$request_method $server_protocol $http_connection\\n"; }
        location /long { return 200 "0123456789"; }
        location /off { keepalive_timeout 0; return 200 "off\\n"; }
        location /off-error { keepalive_timeout 0; error_page 404 = /r; return 404; }
        location /off-named { keepalive_timeout 0; error_page 404 = @on; return 404; }
        location /off-rewritten { keepalive_timeout 0; rewrite ^ /r; }
        location @on { return 200 "on\\n"; }
        location /header { keepalive_timeout 65 30; return 200 "header\\n"; }
        location /two { keepalive_requests 2; return 200 "two $connection_requests\\n"; }
        location /safari { return 200 "safari\\n"; }
    }
    """
)

#: Two requests; the second asks to close.
_CLOSE = b"GET /r HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def _closed(name: str, *send: bytes | float, count: int = 1, **options: object) -> Ask:
    return wire(name, *send, read=("GET",) * count, end=True, **options)


_KEEPALIVE = (
    _closed("1.1, then close", b"GET /r HTTP/1.1\r\nHost: x\r\n\r\n" + _CLOSE, count=2),
    _closed(
        "1.1 keep-alive in words", b"GET /r HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n", _CLOSE, count=2
    ),
    _closed("1.1 close", _CLOSE),
    _closed("close in capitals", b"GET /r HTTP/1.1\r\nHost: x\r\nConnection: CLOSE\r\n\r\n"),
    _closed("close in a list", b"GET /r HTTP/1.1\r\nHost: x\r\nConnection: foo, close\r\n\r\n"),
    _closed("closely", b"GET /r HTTP/1.1\r\nHost: x\r\nConnection: closely\r\n\r\n"),
    _closed("1.0", b"GET /r HTTP/1.0\r\n\r\n"),
    _closed("1.0 keep-alive", b"GET /r HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + _CLOSE, count=2),
    _closed("1.0 keep-alive in a list", b"GET /r HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n" + _CLOSE, count=2),
    _closed("1.0 static", b"GET /ten.txt HTTP/1.0\r\n\r\n"),
    _closed("1.0 static keep-alive", b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + _CLOSE, count=2),
    _closed("1.0 error keep-alive", b"GET /no HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + _CLOSE, count=2),
    _closed("keepalive_timeout 0", b"GET /off HTTP/1.1\r\nHost: x\r\n\r\n"),
    *(
        _closed(f"keepalive_timeout 0, {how}", b"GET /off-%s HTTP/1.1\r\nHost: x\r\n\r\n" % how.encode())
        for how in ("error", "named", "rewritten")
    ),
    _closed("Keep-Alive header", b"GET /header HTTP/1.1\r\nHost: x\r\n\r\n" + _CLOSE, count=2),
    _closed("Keep-Alive header in 1.0", b"GET /header HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + _CLOSE, count=2),
    _closed("keepalive_requests", b"GET /two HTTP/1.1\r\nHost: x\r\n\r\n" * 3, count=2),
    _closed("pipeline of five", b"GET /r HTTP/1.1\r\nHost: x\r\n\r\n" * 4 + _CLOSE, count=5),
    _closed(
        "pipeline with bodies", b"POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 3 + _CLOSE, count=4
    ),
    _closed("pipeline of files", b"GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + _CLOSE, count=4),
    _closed("empty lines between", b"GET /r HTTP/1.1\r\nHost: x\r\n\r\n\r\n\r\n" + _CLOSE, count=2),
    _closed("empty lines in front", b"\r\n\n\r\n" + _CLOSE),
    _closed(
        "head in pieces",
        *(bytes([byte]) for byte in b"GET /r HTTP/1.1\r\nHo"),
        b"st: x\r\nConnection: close\r",
        0.05,
        b"\n\r\n",
    ),
    _closed("bare line feeds", b"GET /r HTTP/1.1\nHost: x\nConnection: close\n\n"),
    _closed("error, then go on", b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n" + _CLOSE, count=2),
    _closed("half closed", b"GET /r HTTP/1.1\r\nHost: x\r\n\r\n", shutdown=True),
    wire("HEAD, then GET", b"HEAD /r HTTP/1.1\r\nHost: x\r\n\r\n" + _CLOSE, read=("HEAD", "GET"), end=True),
    wire("0.9", b"GET /long\r\n", read=()),
    wire("0.9 not found", b"GET /none\r\n", read=()),
    wire("0.9 POST", b"POST /long\r\n", read=()),
    wire("0.9 with a query", b"GET /r?x\r\n", read=()),
    _closed("1.2", b"GET /r HTTP/1.2\r\nHost: x\r\nConnection: close\r\n\r\n"),
    _closed(
        "MSIE posts",
        b"POST /r HTTP/1.1\r\nHost: x\r\nUser-Agent: MSIE 6.0;\r\nContent-Length: 0\r\n\r\n" + _CLOSE,
        count=2,
    ),
)

_BODY = http(
    """
    client_max_body_size 20;
    client_body_buffer_size 8;
    server {
        listen {port};
        location /r { return 200 "$request_method $content_length $http_transfer_encoding\\n"; }
        location /lua { content_by_lua_block {
            ngx.req.read_body()
            local data, file = ngx.req.get_body_data(), ngx.req.get_body_file()
            if file then local f = io.open(file) data = "file:" .. f:read("*a") f:close() end
            ngx.say("[", data, "] ", ngx.var.content_length, " ", ngx.var.request_length > 0 and "")
        } }
        # The reference has nothing to complain about here, so the log stays out of the comparison.
        location /bare { error_log {prefix}/logs/bare.log; content_by_lua_block { ngx.req.read_body() ngx.say("read")
            } }
        location /big { client_max_body_size 0; client_body_buffer_size 16k; content_by_lua_block {
            ngx.req.read_body()
            local data = ngx.req.get_body_data()
            ngx.say(data and #data, " ", ngx.req.get_body_file() ~= nil)
        } }
        location /proxy { proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass http://127.0.0.1:{origin}/echo; }
        location /errpage { error_page 413 /page; }
        location /page { return 200 "page $request_method"; }
    }
    """
).replace('" ", ngx.var.request_length > 0 and "")', '"")')

_POST = b"POST /lua HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"

_BODIES = (
    wire("length", _POST + b"Content-Length: 5\r\n\r\nhello"),
    wire("length, in a file", _POST + b"Content-Length: 12\r\n\r\nhello, world"),
    wire("length in pieces", _POST + b"Content-Length: 12\r\n\r\nhel", 0.05, b"lo, wo", 0.05, b"rld"),
    wire("length zero", _POST + b"Content-Length: 0\r\n\r\n"),
    wire("no length", _POST + b"\r\n"),
    wire("length at the limit", _POST + b"Content-Length: 20\r\n\r\n" + b"x" * 20),
    wire("over the limit", _POST + b"Content-Length: 21\r\n\r\n" + b"x" * 21, end=True),
    wire("over the limit, return", b"POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\n\r\n" + b"x" * 21, end=True),
    wire(
        "over the limit, error_page",
        b"POST /errpage HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\n\r\n" + b"x" * 21,
        end=True,
    ),
    wire("no limit", b"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10000),
    wire("no limit, in a file", b"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000),
    wire("chunked", _CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"),
    wire("chunked, several", _CHUNKED + b"1\r\nh\r\n2\r\nel\r\n00002\r\nlo\r\n0\r\n\r\n"),
    wire("chunked, in pieces", _CHUNKED, 0.02, b"5", 0.02, b"\r\nhel", 0.02, b"lo\r", 0.02, b"\n0\r\n", 0.02, b"\r\n"),
    wire("chunked, hexadecimal", _CHUNKED + b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
    wire("chunked, empty", _CHUNKED + b"0\r\n\r\n"),
    wire("chunked, extension", _CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n'),
    wire("chunked, spaces", _CHUNKED + b"5  \r\nhello\r\n0 \r\n\r\n"),
    wire("chunked, trailers", _CHUNKED + b"5\r\nhello\r\n0\r\nX-Trailer: y\r\nZ: 1\r\n\r\n"),
    wire("chunked, over the limit", _CHUNKED + b"15\r\n" + b"x" * 21 + b"\r\n0\r\n\r\n", end=True),
    wire("chunked, over the limit in two", _CHUNKED + b"a\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", end=True),
    wire("chunked, bad size", _CHUNKED + b"x\r\nhello\r\n0\r\n\r\n", end=True),
    wire("chunked, empty size", _CHUNKED + b"\r\nhello\r\n0\r\n\r\n", end=True),
    wire("chunked, huge size", _CHUNKED + b"ffffffffffffffffff\r\nhello", end=True),
    wire("chunked, negative size", _CHUNKED + b"-1\r\nhello", end=True),
    wire("chunked, wrong end", _CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n", end=True),
    wire("chunked, in capitals", _POST + b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    wire("chunked with length", _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", end=True),
    wire(
        "chunked, bare line feeds",
        _CHUNKED.replace(b"/lua", b"/bare") + b"5\nhello\n0\n\n",
        differs="an error since 1.29.4",
        expect={"status": 400, "headers": {"Connection": "close"}},
    ),
    wire(
        "chunked in 1.0", b"POST /lua HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", end=True
    ),
    wire(
        "chunked twice", _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", end=True
    ),
    wire("gzip, chunked", _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", end=True),
    wire("identity", _POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", end=True),
    wire("unknown coding", _POST + b"Transfer-Encoding: foo\r\n\r\n", end=True),
    wire("length, not a number", _POST + b"Content-Length: abc\r\n\r\n", end=True),
    wire("length, negative", _POST + b"Content-Length: -1\r\n\r\n", end=True),
    wire("length, plus", _POST + b"Content-Length: +1\r\n\r\nx", end=True),
    wire("length, empty", _POST + b"Content-Length: \r\n\r\n", end=True),
    wire("length, overflow", _POST + b"Content-Length: 99999999999999999999\r\n\r\n", end=True),
    wire("length, hexadecimal", _POST + b"Content-Length: 0x3\r\n\r\nabc", end=True),
    wire("length twice, same", _POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", end=True),
    wire("length twice, different", _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", end=True),
    wire("length in a list", _POST + b"Content-Length: 3, 3\r\n\r\nabc", end=True),
    wire("expect", _POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 0.1, b"hello"),
    wire("expect in capitals", _POST + b"Expect: 100-CONTINUE\r\nContent-Length: 5\r\n\r\n", 0.1, b"hello"),
    wire("expect with the body", _POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
    wire("expect in 1.0", b"POST /lua HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
    wire(
        "expect, chunked",
        _POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        0.1,
        b"2\r\nhi\r\n0\r\n\r\n",
    ),
    wire("expect, over the limit", _POST + b"Expect: 100-continue\r\nContent-Length: 50\r\n\r\n"),
    wire("expect, unread body", b"POST /r HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
    wire("expect something else", _POST + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello"),
    wire(
        "unread body, then another",
        b"POST /r HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + _CLOSE,
        read=("GET", "GET"),
        end=True,
    ),
    wire(
        "unread chunks, then another",
        b"POST /r HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + _CLOSE,
        read=("GET", "GET"),
        end=True,
    ),
    wire("proxied length", b"POST /proxy HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\nhello, world"),
    wire(
        "proxied chunks",
        b"POST /proxy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello,\r\n6\r\n world\r\n0\r\n\r\n",
    ),
    wire("GET with a body", b"GET /lua HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
    wire("DELETE with a body", b"DELETE /lua HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
)

_REFUSED = http(
    """
    client_header_buffer_size 256;
    large_client_header_buffers 2 1k;
    server {
        listen {port};
        error_page 494 /494;
        location /494 { return 200 "error page 494"; }
        location / { return 200 "$request_length [$http_x_a] [$http_host] [$host]\\n"; }
    }
    server { listen {port}; server_name b; ignore_invalid_headers off; location / {
        return 200 "b [$http_x_a] [$http_host]\\n"; } }
    server { listen {port2}; large_client_header_buffers 1 512; location / { return 200 "fine\\n"; } }
    server { listen {port3}; client_header_timeout 1s; client_body_timeout 1s; location / { return 200 "fine\\n"; }
        location /lua { content_by_lua_block { ngx.req.read_body() ngx.say("read") } } }
    """
)


def _head(name: str, data: bytes, **options: object) -> Ask:
    return wire(name, data, end=True, **options)


_BAD = (
    _head("no Host in 1.1", b"GET / HTTP/1.1\r\n\r\n"),
    _head("empty Host", b"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"),
    _head("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    _head("Host with a slash", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    _head("Host with two dots", b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n"),
    _head("Host with a zero", b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n"),
    _head("Host of dots", b"GET / HTTP/1.1\r\nHost: .\r\nConnection: close\r\n\r\n"),
    _head("Host with a bracket", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n"),
    _head("no method", b" / HTTP/1.1\r\nHost: x\r\n\r\n"),
    _head("lower-case method", b"get / HTTP/1.1\r\nHost: x\r\n\r\n"),
    _head("method with a dash", b"GE-T / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    _head("method with an underscore", b"GE_T / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    _head("long method", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    _head("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    _head("a word", b"hello\r\n\r\n"),
    _head("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    _head("HTTP/3.1", b"GET / HTTP/3.1\r\nHost: x\r\n\r\n"),
    _head("HTTP/0.8", b"GET / HTTP/0.8\r\nHost: x\r\n\r\n"),
    _head("HTTP/1", b"GET / HTTP/1\r\nHost: x\r\n\r\n"),
    _head("HTTP/1.", b"GET / HTTP/1.\r\nHost: x\r\n\r\n"),
    _head("HTTP/1.x", b"GET / HTTP/1.x\r\nHost: x\r\n\r\n"),
    _head("HTTP/01.1", b"GET / HTTP/01.1\r\nHost: x\r\n\r\n"),
    _head("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: x\r\nConnection: close\r\n\r\n"),
    _head("http/1.1", b"GET / http/1.1\r\nHost: x\r\n\r\n"),
    _head("HTTQ/1.1", b"GET / HTTQ/1.1\r\nHost: x\r\n\r\n"),
    _head("line without end", b"GET / HTTP/1.1", shutdown=True),
    _head("TRACE", b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    _head("header without colon", b"GET / HTTP/1.1\r\nHost: x\r\nX-A\r\nConnection: close\r\n\r\n"),
    _head("header without name", b"GET / HTTP/1.1\r\nHost: x\r\n: v\r\nConnection: close\r\n\r\n"),
    _head("space before the colon", b"GET / HTTP/1.1\r\nHost: x\r\nX-A : v\r\nConnection: close\r\n\r\n"),
    _head("space in the name", b"GET / HTTP/1.1\r\nHost: x\r\nX A: v\r\nConnection: close\r\n\r\n"),
    _head("space in front of the name", b"GET / HTTP/1.1\r\nHost: x\r\n X-A: v\r\nConnection: close\r\n\r\n"),
    _head("folded header", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: v\r\n w\r\nConnection: close\r\n\r\n"),
    _head(
        "odd byte in the name", b"GET / HTTP/1.1\r\nHost: x\r\nX-\xc3\xa4: v\r\nX-A: ok\r\nConnection: close\r\n\r\n"
    ),
    _head("zero in a value", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n"),
    _head("zero in a name", b"GET / HTTP/1.1\r\nHost: x\r\nX\x00A: a\r\n\r\n"),
    _head("control bytes in a value", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x01\x7f\tb\r\nConnection: close\r\n\r\n"),
    _head("carriage return in a value", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\nConnection: close\r\n\r\n"),
    _head("spaces around a value", b"GET / HTTP/1.1\r\nHost: x\r\nX-A:   a b  \t \r\nConnection: close\r\n\r\n"),
    _head("no space after the colon", b"GET / HTTP/1.1\r\nHost:x\r\nX-A:a:b\r\nConnection:close\r\n\r\n"),
    _head("invalid header kept", b"GET / HTTP/1.1\r\nHost: b\r\nX.A: v\r\nX-A: w\r\nConnection: close\r\n\r\n"),
    _head("long URI", b"GET /" + b"u" * 1100 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    _head("URI in the large buffer", b"GET /" + b"u" * 900 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    _head("long header", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"v" * 1100 + b"\r\n\r\n"),
    _head(
        "header in the large buffer",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"v" * 900 + b"\r\nConnection: close\r\n\r\n",
    ),
    _head(
        "many headers",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: 0123456789012345678901234567890123456789\r\n" * 60 + b"\r\n",
    ),
    _head("long URI, error without page", b"GET /" + b"u" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n", port="port2"),
    _head(
        "long header, error without page",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"v" * 600 + b"\r\n\r\n",
        port="port2",
    ),
    wire("silence", read=(), port="port3"),
    wire("slow head", b"GET / HTTP/1.1\r\nHost: x\r\n", read=(), port="port3"),
    wire("slow body", b"POST /lua HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", read=(), port="port3"),
    wire("client leaves in the head", b"GET / HTTP/1.1\r\nHost", read=(), shutdown=True),
    wire(
        "client leaves in the body",
        b"POST /lua HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        read=(),
        shutdown=True,
        port="port3",
    ),
    _head(
        "CONNECT",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
        differs="since 1.31.0 CONNECT takes an authority",
        expect={"status": 405, "headers": {"Connection": "close"}},
    ),
)

_UNDERSCORES = http(
    """
    server { listen {port}; location / { return 200 "[$http_a_b] [$http_x_y]\\n"; } }
    server { listen {port2}; underscores_in_headers on; location / { return 200 "[$http_a_b] [$http_x_y]\\n"; } }
    server { listen {port3}; server_tokens off; location / { return 200 "tokens off"; } }
    """
)

CASES = (
    Case("keep-alive", _PLAIN, _KEEPALIVE, files={"html/ten.txt": "0123456789"}, levels=INFOS),
    Case(
        "request-body",
        _BODY,
        _BODIES,
        scripts={"/echo": (ECHO,)},
        levels=INFOS,
        newer={'"POST /bare HTTP/1.1" 200': '"POST /bare HTTP/1.1" 400'},
    ),
    Case(
        "refused-heads",
        _REFUSED,
        _BAD,
        levels=INFOS,
        newer={
            '"CONNECT localhost:80 HTTP/1.1" 400': '"CONNECT localhost:80 HTTP/1.1" 405',
            "[info] client sent invalid request while reading client request line, client: 127.0.0.1, server: , "
            'request: "CONNECT localhost:80 HTTP/1.1"': "[info] client sent CONNECT method while reading client "
            "request headers, client: 127.0.0.1, server: , "
            'request: "CONNECT localhost:80 HTTP/1.1", host: "localhost:80"',
        },
    ),
    Case(
        "header-rules",
        _UNDERSCORES,
        (
            *(
                get("/", headers, port=port, name=f"{port} {headers}")
                for port in ("port", "port2")
                for headers in ({"A_B": "1", "X-Y": "2"}, {"A-B": "1", "X_Y": "2"}, {"_": "1"})
            ),
            get("/", {"A_B": "1", "A-B": "2"}, name="two that become one variable"),
            get(
                "/",
                {"A_B": "1", "A-B": "2"},
                port="port2",
                name="two that become one variable, both valid",
                differs="since 1.23.0 $http_name combines all lines that match",
                expect={"body": "[1, 2] []\n"},
            ),
            get("/", port="port3"),
            get("/%", port="port3", name="error page without tokens"),
        ),
        levels=ERRORS,
    ),
)
