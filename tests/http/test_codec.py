"""The parser libraries must not show: each case goes through h11, httptools and nginx's grammar, with one result."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest

from pyresty.http.codec import BadHead, Head, HeadOptions, find_head_end, grammar, parse_head

DEFAULT = HeadOptions()
UNDERSCORES = HeadOptions(underscores_in_headers=True)
NOTHING_IGNORED = HeadOptions(ignore_invalid_headers=False)
SLASHES = HeadOptions(merge_slashes=False)

LINE = " while reading client request line"
HEADERS = " while reading client request headers"
INVALID = "client sent invalid request" + LINE


def with_parser(options: HeadOptions, parser: str) -> HeadOptions:
    return HeadOptions(
        options.ignore_invalid_headers,
        options.underscores_in_headers,
        options.merge_slashes,
        options.max_headers,
        parser,
    )


def outcome(raw: bytes, options: HeadOptions = DEFAULT) -> Head | tuple[Any, ...]:
    """The Head, or status, reason and what was understood; the same from all three."""
    results: list[Head | tuple[Any, ...]] = []
    for parser in ("h11", "httptools", ""):
        try:
            if parser:
                results.append(parse_head(raw, with_parser(options, parser)))
            else:
                results.append(grammar.parse(raw, options))
        except BadHead as bad:
            results.append((bad.status, bad.reason, bad.head))
    assert results[0] == results[1] == results[2]
    return results[0]


def parsed(raw: bytes, options: HeadOptions = DEFAULT) -> Head:
    head = outcome(raw, options)
    assert isinstance(head, Head), head
    return head


def get(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    """A head of these header lines, each without its end."""
    return b"".join(one + b"\r\n" for one in (line, *((host,) if host else ()), *lines)) + b"\r\n"


def test_a_plain_head() -> None:
    raw = get(b"Accept: */*", b"X-Id: 1", b"x-id:2", line=b"GET /a//b%41?c=d HTTP/1.1", host=b"Host: Name.:8080")
    head = parsed(raw)
    assert head.method == b"GET"
    assert head.target == b"/a//b%41?c=d"
    assert (head.uri, head.args, head.quoted) == (b"/a/bA", b"c=d", True)
    assert (head.version, head.protocol) == (1001, b"HTTP/1.1")
    assert head.line == b"GET /a//b%41?c=d HTTP/1.1"
    assert head.raw == raw
    assert head.headers == [(b"Host", b"Name.:8080"), (b"Accept", b"*/*"), (b"X-Id", b"1"), (b"x-id", b"2")]
    assert head.index == {b"host": b"Name.:8080", b"accept": b"*/*", b"x-id": [b"1", b"2"]}
    assert (head.host, head.port) == (b"name", 8080)
    assert (head.content_length, head.chunked, head.upgrade, head.expect_continue) == (None, False, None, False)
    assert head.keepalive and head.cacheable
    assert head.notices == ()


# Header lines after Host, and the fields that nginx 1.22 passes on.
FIELDS: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
    (b"A: b", [(b"A", b"b")]),
    (b"A:b", [(b"A", b"b")]),
    (b"A:   b c   ", [(b"A", b"b c")]),
    (b"A: b\t \tc", [(b"A", b"b\t \tc")]),
    (b"A:\tb\t", [(b"A", b"\tb\t")]),
    (b"A:", [(b"A", b"")]),
    (b"A:    ", [(b"A", b"")]),
    (b"A", [(b"A", b"")]),
    (b"A:b:c", [(b"A", b"b:c")]),
    (b"A: b\r\r", [(b"A", b"b")]),
    (b"A\r\r", [(b"A", b"")]),
    (b"A: b\nB: c", [(b"A", b"b"), (b"B", b"c")]),
    (b"A: \x01\x7f\xff", [(b"A", b"\x01\x7f\xff")]),
    (b"1-: 2", [(b"1-", b"2")]),
]


@pytest.mark.parametrize(("line", "fields"), FIELDS)
def test_header_lines_as_nginx_splits_them(line: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    assert parsed(get(line)).headers == [(b"Host", b"a"), *fields]


@pytest.mark.parametrize("name", [b"A_b", b"_a", b"A.b", b"(x)", b"A/b", b"\xffx", b"HTTP/1.1", b'"'])
def test_header_names_that_nginx_ignores(name: bytes) -> None:
    head = parsed(get(name + b": c  "))
    assert head.headers == [(b"Host", b"a")]
    shown = name.decode("utf-8", "surrogateescape")
    assert head.notices == (f'client sent invalid header line: "{shown}: c"{HEADERS}',)
    head = parsed(get(name + b": c"), NOTHING_IGNORED)
    assert head.headers[1] == (name, b"c")
    assert head.index[name.lower()] == b"c"
    assert head.notices == ()


def test_underscores_in_headers() -> None:
    head = parsed(get(b"A_b: c", b"X.y: z"), UNDERSCORES)
    assert head.headers[1:] == [(b"A_b", b"c")]
    assert head.notices == (f'client sent invalid header line: "X.y: z"{HEADERS}',)


def test_merge_slashes() -> None:
    assert parsed(get(line=b"GET /a//b HTTP/1.1"), SLASHES).uri == b"/a//b"


# Request lines, and method, version, protocol, $request_uri.
LINES: list[tuple[bytes, bytes, int, bytes, bytes]] = [
    (b"GET / HTTP/1.0", b"GET", 1000, b"HTTP/1.0", b"/"),
    (b"GET / HTTP/1.2", b"GET", 1002, b"HTTP/1.2", b"/"),
    (b"GET / HTTP/1.999", b"GET", 1999, b"HTTP/1.999", b"/"),
    (b"GET / HTTP/1.0001", b"GET", 1001, b"HTTP/1.0001", b"/"),
    (b"GET   /a   HTTP/1.1  ", b"GET", 1001, b"HTTP/1.1  ", b"/a"),
    (b"G-T_ / HTTP/1.1", b"G-T_", 1001, b"HTTP/1.1", b"/"),
    (b"PROPFIND / HTTP/1.1", b"PROPFIND", 1001, b"HTTP/1.1", b"/"),
    (b"GET /\xff\xe4 HTTP/1.1", b"GET", 1001, b"HTTP/1.1", b"/\xff\xe4"),
    (b"GET http://b HTTP/1.1", b"GET", 1001, b"HTTP/1.1", b"/"),
    (b"GET http://b?x HTTP/1.1", b"GET", 1001, b"HTTP/1.1", b"?x"),
]


@pytest.mark.parametrize(("line", "method", "version", "protocol", "target"), LINES)
def test_request_lines(line: bytes, method: bytes, version: int, protocol: bytes, target: bytes) -> None:
    head = parsed(get(line=line))
    assert (head.line, head.method, head.version, head.protocol, head.target) == (
        line,
        method,
        version,
        protocol,
        target,
    )


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"GET /\r\n", b"GET /"),
        (b"GET /\n", b"GET /"),
        (b"GET / \r\n", b"GET / "),
        (b"GET http://b/\r\n", b"GET http://b/"),
        (b"GET http://b \r\n", b"GET http://b "),
        (b"GET /\r\nHost: ignored\r\n\r\n", b"GET /"),
    ],
)
def test_http_09(raw: bytes, line: bytes) -> None:
    head = parsed(raw)
    assert (head.version, head.protocol, head.line, head.headers) == (9, b"", line, [])
    assert not head.keepalive and not head.cacheable


def test_empty_lines_before_the_request_do_not_belong_to_it() -> None:
    head = parsed(b"\r\n\n\r" + get())
    assert head.raw == get()


def test_bare_line_feeds() -> None:
    head = parsed(b"GET / HTTP/1.1\nHost: a\nB: c\n\n")
    assert head.line == b"GET / HTTP/1.1"
    assert head.headers == [(b"Host", b"a"), (b"B", b"c")]


# Request lines that are refused, with status and log text.
BAD_LINES: list[tuple[bytes, int, str]] = [
    *((line, 400, "client sent invalid method" + LINE) for line in (
        b"get / HTTP/1.1", b" GET / HTTP/1.1", b"GET\t/ HTTP/1.1", b"M1 / HTTP/1.1", b"GET", b"\x16\x03\x01\x00",
    )),
    *((line, 400, INVALID) for line in (
        b"GET ", b"GET * HTTP/1.1", b"GET a HTTP/1.1", b"GET /a b HTTP/1.1", b"GET / http/1.1", b"GET / HTTP",
        b"GET / HTTP/", b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/1.x", b"GET / HTTP/0.9", b"GET / HTTP/1.1000",
        b"GET / HTTP/1.1 x", b"GET / HTTP/1.1\t", b"GET / HTTP/ 1.1", b"GET / HTTP/1.1\r", b"GET /\x01 HTTP/1.1",
        b"GET /.. HTTP/1.1", b"GET /%00 HTTP/1.1", b"GET /%zz HTTP/1.1", b"GET http://b", b"GET http://b_c/ HTTP/1.1",
        b"CONNECT a HTTP/1.1", b"CONNECT / HTTP/1.1", b"CONNECT a: HTTP/1.1",
    )),
    *((line, 400, "client sent invalid host in request line" + LINE) for line in (
        b"GET http:/// HTTP/1.1", b"GET http://b..c/ HTTP/1.1", b"GET http://b:65536/ HTTP/1.1", b"CONNECT :1 HTTP/1.1",
    )),
    *((line, 505, "client sent invalid version" + LINE) for line in (
        b"GET / HTTP/2.0", b"GET / HTTP/11.0", b"GET / HTTP/9", b"GET /%zz HTTP/2.0",
    )),
    (b"POST /", 400, "client sent invalid method in HTTP/0.9 request" + LINE),
    (b"TRACE / HTTP/1.1", 405, "client sent TRACE method" + HEADERS),
    (b"CONNECT a:1 HTTP/1.1", 405, "client sent CONNECT method" + HEADERS),
]  # fmt: skip


@pytest.mark.parametrize(("line", "status", "reason"), BAD_LINES)
def test_request_lines_that_are_refused(line: bytes, status: int, reason: str) -> None:
    result = outcome(get(line=line))
    assert isinstance(result, tuple)
    assert result[:2] == (status, reason)
    assert result[2].line == line.partition(b"\r")[0]


DUPLICATE = 'client sent duplicate header line: "{0}: 2", previous value: "{0}: 1"' + HEADERS

# Header lines after "Host: a" that are refused, with status and log text.
BAD_HEADERS: list[tuple[bytes, int, str]] = [
    *((line, 400, f'client sent invalid header line: "{shown}..."{HEADERS}') for line, shown in (
        (b"A : b", "A\\x20"), (b" A: b", "\\x20"), (b"\tA: b", "\\x09"), (b":b", "\\x3a"), (b"A\x7f: b", "A\\x7f"),
        (b"A\0: b", "A\\x00"), (b"A: b\0c", "A: b\\x00"), (b"A: \0", "A: \\x00"), (b"A: b\rc", "A: b\\x0d"),
        (b"A: b  \rc", "A: b\\x20"), (b"A:  \rc", "A:  \\x0d"), (b"A\rb", "A\\x0d"), (b"\rA: b", "\\x0d"),
        (b"A: b\r\n c", "\\x20"), (b"A: b\n\tc", "\\x09"),
    )),
    *((b"%b: 1\r\n%b: 2" % (name, name), 400, DUPLICATE.format(name.decode())) for name in (
        b"Content-Length", b"Transfer-Encoding", b"If-Match", b"If-None-Match", b"If-Modified-Since",
        b"If-Unmodified-Since", b"If-Range", b"Expect", b"Authorization", b"Content-Range", b"Proxy-Authorization",
    )),
    (b"HOST: B", 400, f'client sent duplicate host header: "HOST: B", previous value: "Host: a"{HEADERS}'),
    *((b"Content-Length: " + value, 400, f'client sent invalid "Content-Length" header{HEADERS}') for value in (
        b"", b"x", b"-1", b"+1", b"1 1", b"1,1", b"0x1", b"9223372036854775808", b"99999999999999999999",
    )),
    *((b"Transfer-Encoding: " + value.encode(), 501, f'client sent unknown "Transfer-Encoding": "{value}"{HEADERS}')
      for value in ("gzip", "gzip, chunked", "identity", "")),
    (b"Content-Length: 0\r\nTransfer-Encoding: Chunked", 400,
     f'client sent "Content-Length" and "Transfer-Encoding" headers at the same time{HEADERS}'),
    (b"Transfer-Encoding: gzip\r\nContent-Length: 0", 501, f'client sent unknown "Transfer-Encoding": "gzip"{HEADERS}'),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "status", "reason"), BAD_HEADERS)
def test_headers_that_are_refused(lines: bytes, status: int, reason: str) -> None:
    result = outcome(get(lines))
    assert isinstance(result, tuple)
    assert result[:2] == (status, reason)
    assert result[2].host == b"a"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a", (b"a", 0)),
        (b"A.B", (b"a.b", 0)),
        (b"a.", (b"a", 0)),
        (b"a.:80", (b"a", 80)),
        (b".a", (b".a", 0)),
        (b"a:", (b"a", 0)),
        (b"a:0000080", (b"a", 80)),
        (b"a:65535", (b"a", 65535)),
        (b"a_b~%41,c", (b"a_b~%41,c", 0)),
        (b"[::1]", (b"[::1]", 0)),
        (b"[::F]:80", (b"[::f]", 80)),
        (b"[a.]", (b"[a.]", 0)),
        *((bad, None) for bad in (
            b"", b".", b"..", b"a..b", b":80", b"a:x", b"a:65536", b"[::1", b"[::1]x", b"[a..b]", b"a/b", b"a b",
            b'a"', b"a<", b"a\\", b"a@b", b"a#", b"a?", b"\xff", b"a\tb",
        )),
    ],
)  # fmt: skip
def test_host_values(value: bytes, expected: tuple[bytes, int] | None) -> None:
    result = outcome(get(host=b"Host: " + value))
    if expected is None:
        assert isinstance(result, tuple)
        assert result[:2] == (400, "client sent invalid host header" + HEADERS)
    else:
        assert isinstance(result, Head)
        assert (result.host, result.port) == expected


def test_the_host_of_the_request_line_wins() -> None:
    head = parsed(get(line=b"GET http://B:81/x HTTP/1.1"))
    assert (head.host, head.port, head.uri, head.index[b"host"]) == (b"b", 81, b"/x", b"a")
    result = outcome(get(line=b"GET http://b/ HTTP/1.1", host=b"Host: a/b"))
    assert isinstance(result, tuple) and result[0] == 400


def test_a_missing_host() -> None:
    for line in (b"GET / HTTP/1.1", b"GET / HTTP/1.2", b"GET http://b/ HTTP/1.1"):
        result = outcome(get(line=line, host=b""))
        assert isinstance(result, tuple)
        assert result[:2] == (400, 'client sent HTTP/1.1 request without "Host" header' + HEADERS)
    assert parsed(get(line=b"GET / HTTP/1.0", host=b"")).host is None


def test_transfer_encoding_in_http_10() -> None:
    result = outcome(get(b"Transfer-Encoding: chunked", line=b"GET / HTTP/1.0"))
    assert isinstance(result, tuple)
    assert result[:2] == (400, 'client sent HTTP/1.0 request with "Transfer-Encoding" header' + HEADERS)


@pytest.mark.parametrize(
    ("version", "values", "keepalive"),
    [
        (b"1.1", [], True),
        (b"1.0", [], False),
        (b"1.1", [b"close"], False),
        (b"1.1", [b"TE, Close"], False),
        (b"1.0", [b"Keep-Alive"], True),
        (b"1.0", [b"keep-alive, close"], False),
        (b"1.1", [b"close", b"keep-alive"], True),
        (b"1.0", [b"keep-alive", b"upgrade"], True),
        (b"1.1", [b"upgrade"], True),
    ],
)
def test_keepalive(version: bytes, values: list[bytes], keepalive: bool) -> None:
    head = parsed(get(*(b"Connection: " + value for value in values), line=b"GET / HTTP/" + version))
    assert head.keepalive is keepalive


def test_bodies_upgrades_and_expect() -> None:
    head = parsed(get(b"Content-Length: 00000000000000000000010", line=b"POST / HTTP/1.1"))
    assert (head.content_length, head.has_body, head.cacheable) == (10, True, True)
    head = parsed(get(b"Content-Length: 0"))
    assert (head.content_length, head.has_body, head.cacheable) == (0, False, True)
    head = parsed(get(b"Transfer-Encoding: Chunked"))
    assert (head.chunked, head.content_length, head.has_body, head.cacheable) == (True, None, True, False)
    assert head.index[b"transfer-encoding"] == b"Chunked"
    head = parsed(get(b"Connection: upgrade", b"Upgrade: websocket", b"Upgrade: x"))
    assert (head.upgrade, head.cacheable) == (b"websocket", False)
    head = parsed(get(b"Expect: 100-Continue"))
    assert (head.expect_continue, head.cacheable) == (True, False)
    head = parsed(get(b"Expect: other"))
    assert (head.expect_continue, head.cacheable) == (False, False)
    assert not parsed(get(b"Expect: 100-continue", line=b"GET / HTTP/1.0")).expect_continue


def test_max_headers() -> None:
    options = HeadOptions(max_headers=3)
    assert len(parsed(get(b"A: b", b"C_d: ignored", b"E: f"), options).headers) == 3
    result = outcome(get(b"A: b", b"C: d", b"E: f"), options)
    assert isinstance(result, tuple)
    assert result[:2] == (494, "client sent too many header lines" + HEADERS)


def test_bytes_of_the_client_survive_in_log_texts() -> None:
    result = outcome(get(b"A: \xff\xc3\xa9\0"))
    assert isinstance(result, tuple)
    assert result[1].encode("utf-8", "surrogateescape") == (
        b'client sent invalid header line: "A: \xff\xc3\xa9\\x00..." while reading client request headers'
    )


def test_a_refused_head_tells_what_was_understood() -> None:
    result = outcome(get(b"A : b", line=b"HEAD /x%41?y HTTP/1.1"))
    assert isinstance(result, tuple)
    head = result[2]
    assert (head.method, head.uri, head.args, head.version, head.host) == (b"HEAD", b"/xA", b"y", 1001, b"a")
    bad = BadHead(494, "too large")
    head = Head.unparsed(b"\r\nPOST /x%41?y HTTP/1.1\r\nHost: a\r\n", bad)
    assert (head.method, head.line, head.uri, head.args) == (b"POST", b"POST /x%41?y HTTP/1.1", b"/xA", b"y")
    assert Head.unparsed(b"GET /aaaaaa", bad).line == b"GET /aaaaaa"
    assert Head.unparsed(b"x", bad).version == 1000


def test_only_the_parser_in_use_is_imported() -> None:
    code = (
        "import sys; from pyresty.http.codec import HeadOptions, parse_head; "
        "assert not {'h11', 'httptools'} & set(sys.modules); "
        "options = HeadOptions(parser=sys.argv[1]); parse_head(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n', options); "
        "print(*({'h11', 'httptools'} & set(sys.modules)))"
    )
    for parser in ("h11", "httptools"):
        done = subprocess.run([sys.executable, "-c", code, parser], capture_output=True, text=True, check=True)
        assert done.stdout == parser + "\n"
    with pytest.raises(ValueError, match='unknown parser "other"'):
        HeadOptions(parser="other")


def mutate(rnd: random.Random, raw: bytes) -> bytes:
    pieces = (
        b"\r", b"\n", b"\r\n", b"\r\n ", b" ", b"\t", b":", b"/", b"?", b"#", b"%", b"%2e", b"..", b"\0", b"\x7f",
        b"\xff", b"_", b"[", b"]", b",", b"0", b"HTTP/1.0", b"Host", b"Content-Length: 3\r\n", b"Connection: close\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Upgrade: x\r\n",
    )  # fmt: skip
    data = bytearray(raw)
    for _ in range(rnd.choice((1, 1, 2, 4))):
        at = rnd.randrange(len(data) + 1)
        end = at + rnd.choice((0, 0, 1, 3))
        data[at:end] = rnd.choice((b"", rnd.choice(pieces), rnd.choice(pieces), bytes((rnd.randrange(256),))))
    return bytes(data)


def test_mutated_heads_give_one_result() -> None:
    rnd = random.Random(20)
    seeds = [
        get(),
        get(b"User-Agent: curl/7.88.1", b"Accept: */*", line=b"GET /to?x=1 HTTP/1.1", host=b"Host: 127.0.0.1:80"),
        get(b"Content-Length: 5", b"Connection: keep-alive", line=b"POST /a%20b HTTP/1.1"),
        get(b"Transfer-Encoding: chunked", b"X_y: z", line=b"PUT http://b/a/../c HTTP/1.1"),
        get(b"Upgrade: websocket", b"Connection: upgrade", line=b"GET / HTTP/1.0"),
    ]
    options = (DEFAULT, UNDERSCORES, NOTHING_IGNORED, SLASHES)
    accepted = 0
    for _ in range(4000):
        raw = mutate(rnd, rnd.choice(seeds))
        end = find_head_end(raw)
        if end > 0:
            accepted += isinstance(outcome(raw[:end], rnd.choice(options)), Head)
    assert 500 < accepted < 3500
