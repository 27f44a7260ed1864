from __future__ import annotations

import pytest

from pyresty.upstream.response_head import InvalidHead, NoHead, ResponseHead, parse_response_head

OK = b"HTTP/1.1 200 OK\r\n"


def parse(data: bytes) -> tuple[ResponseHead, bytes]:
    """The head at the beginning of ``data``, and the rest."""
    found = parse_response_head(data)
    assert found is not None
    return found[0], data[found[1] :]


def test_a_head() -> None:
    head, rest = parse(OK + b"Content-Type: text/plain\r\nX-A:  b c \r\nX-A:\r\nContent-Length: 5\r\n\r\nhello")
    assert (head.status, head.status_line, head.version) == (200, b"200 OK", 1001)
    assert head.headers == [
        (b"Content-Type", b"content-type", b"text/plain"),
        (b"X-A", b"x-a", b"b c"),
        (b"X-A", b"x-a", b""),
        (b"Content-Length", b"content-length", b"5"),
    ]
    assert (head.content_length, head.chunked, head.close) == (5, False, False)
    assert head.get(b"x-a") == b"b c"
    assert head.get_all(b"x-a") == [b"b c", b""]
    assert rest == b"hello"


def test_the_same_bytes_are_parsed_once() -> None:
    data = OK + b"X-Once: 1\r\n\r\n"
    assert parse(data)[0] is parse(data + b"body")[0]


@pytest.mark.parametrize("size", range(1, 58))
def test_a_head_in_pieces(size: int) -> None:
    data = OK + b"Transfer-Encoding: Chunked\r\nX-Pieces: 1\r\n\r\n"
    assert len(data) == 60
    assert parse_response_head(data[:size]) is None
    assert parse(data)[0].chunked


def test_carriage_returns_at_the_end_of_a_line() -> None:
    head, _ = parse(OK + b"X-A: b\r\r\n\r\r\n")
    assert head.headers == [(b"X-A", b"x-a", b"b")]


def test_line_feeds_will_do() -> None:
    head, rest = parse(b"HTTP/1.1 200 OK\nX-A: b\r\nX-B: c\n\nbody\r\n\r\nmore")
    assert [(name, value) for name, _, value in head.headers] == [(b"X-A", b"b"), (b"X-B", b"c")]
    assert rest == b"body\r\n\r\nmore"


@pytest.mark.parametrize(
    ("line", "status", "status_line", "version"),
    [
        (b"HTTP/1.0 200 OK", 200, b"200 OK", 1000),
        (b"HTTP/1.1 200", 200, b"200", 1001),
        (b"HTTP/1.1 200 ", 200, b"200 ", 1001),
        (b"HTTP/1.1   204 No Content at all", 204, b"204 No Content at all", 1001),
        (b"HTTP/1.1 403.1 Forbidden", 403, b"403.1 Forbidden", 1001),
        (b"HTTP/2.0 099 Low", 99, b"099 Low", 2000),
    ],
)
def test_status_lines(line: bytes, status: int, status_line: bytes, version: int) -> None:
    head, _ = parse(line + b"\r\n\r\n")
    assert (head.status, head.status_line, head.version) == (status, status_line, version)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"HTTX",
        b"http/1.1 200 OK",
        b"HTTP/0.9 200 OK",
        b"HTTP/1.1 20x",
        b"HTTP/1.1 2000",
        b"HTTP/1.1\r\n",
        b"HTTP/1.1 200 O\rK\r\n",
        b"\r\n",
    ],
)
def test_what_is_no_head(data: bytes) -> None:
    with pytest.raises(NoHead):
        parse_response_head(data)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"X A: b\r\n", 'invalid header: "X\\x20..."'),
        (b": b\r\n", 'invalid header: "\\x3a..."'),
        (b" X: b\r\n", 'invalid header: "\\x20..."'),
        (b"X\x7f: b\r\n", 'invalid header: "X\\x7f..."'),
        (b"X: a\0b\r\n", 'invalid header: "X: a\\x00..."'),
        (b"X Y", 'invalid header: "X\\x20..."'),
        (b"X: a\rb\r\n\r\n", 'invalid header: "X: a\\x0d..."'),
        (b"X\rY: b\r\n\r\n", 'invalid header: "X\\x0d..."'),
        (b"Content-Length: 1\r\nContent-Length: 1\r\n", "duplicate header line: "),
        (b"Content-Length: -1\r\n", 'invalid "Content-Length" header: "Content-Length: -1"'),
        (b"content-length:\r\n", 'invalid "Content-Length" header: "content-length: "'),
        (b"Transfer-Encoding: gzip\r\n", 'unknown "Transfer-Encoding": "gzip"'),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", '"Content-Length" and "Transfer-Encoding" headers'),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", '"Content-Length" and "Transfer-Encoding" headers'),
    ],
)
def test_invalid_heads(lines: bytes, message: str) -> None:
    with pytest.raises(InvalidHead) as caught:
        parse_response_head(OK + lines)
    assert str(caught.value).startswith(message)


def test_names_that_nginx_lets_through() -> None:
    head, _ = parse(OK + b"X_Y: 1\r\nX/Z: 2\r\nNoColon\r\n\xe4: 3\r\nHTTP/1.1 200 OK\r\n\r\n")
    assert [(name, value) for name, _, value in head.headers] == [
        (b"X_Y", b"1"),
        (b"X/Z", b"2"),
        (b"NoColon", b""),
        (b"\xe4", b"3"),
    ]


def test_of_some_headers_the_first_counts() -> None:
    head, _ = parse(OK + b"Location: /a\r\nLOCATION: /b\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n")
    assert head.get_all(b"location") == [b"/a"]
    assert head.get_all(b"set-cookie") == [b"a", b"b"]
    assert head.warnings == [
        b'upstream sent duplicate header line: "LOCATION: /b", previous value: "Location: /a", ignored'
    ]


@pytest.mark.parametrize(
    ("data", "close"),
    [
        (OK + b"\r\n", False),
        (OK + b"Connection: close\r\n\r\n", True),
        (OK + b"Connection: foo\r\nConnection: bar, Close\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_whether_the_connection_can_be_kept(data: bytes, close: bool) -> None:
    assert parse(data)[0].close is close
