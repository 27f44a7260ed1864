from __future__ import annotations

import pytest

from pyresty.http.codec import BadHead, check_head_size, find_head_end

LINE = " while reading client request line"
HEADERS = " while reading client request headers"


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", 27),
        (b"GET / HTTP/1.1\nHost: a\n\n", 24),
        (b"GET / HTTP/1.1\nHost: a\n\nbody\r\n\r\n", 24),
        (b"GET / HTTP/1.1\nHost: a\n\r\n\n", 25),
        (b"GET / HTTP/1.1\r\n\n\r\n", 17),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 22),
        (b"\n\nGET / HTTP/1.1\n\n", 18),
        (b"", -1),
        (b"\r\n\r\n", -1),
        (b"G", -1),
        (b"GET", -1),
        (b"GET /", -1),
        (b"GET / HTTP/1.1\r\n", -1),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", -1),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", -1),
    ],
)
def test_the_end_of_a_head(data: bytes, end: int) -> None:
    assert find_head_end(data) == end
    assert find_head_end(bytearray(b"xx" + data), 2) == (end if end < 0 else end + 2)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"GET /\r\n", 7),
        (b"GET /\nrest", 6),
        (b"\r\nGET /\r\n", 9),
        (b"get / HTTP/1.1\r\n", 16),
        (b"GET / HTTP/2.0\r\nHost: a\r\n", 16),
        (b"g", 1),
        (b"\x16\x03\x01", 3),
        (b" GET", 4),
    ],
)
def test_a_head_that_is_settled_before_its_end(data: bytes, end: int) -> None:
    assert find_head_end(data) == end


def head(request_line: int, *lines: int, complete: bool = True, before: bytes = b"") -> bytes:
    """A head whose lines have these lengths, line ends included."""
    data = b"GET /" + b"a" * (request_line - 16) + b" HTTP/1.0\r\n"
    for i, length in enumerate(lines):
        name = b"X%d: " % i
        data += name + b"v" * (length - len(name) - 2) + b"\r\n"
    return before + data + (b"\r\n" if complete else b"")


TOO_LONG_URI = (414, "client sent too long URI" + LINE)


def too_long(number: int, shown: int = 1744) -> tuple[int, str]:
    return 494, f'client sent too long header line: "X{number}: {"v" * shown}..."{HEADERS}'


# What nginx 1.22 answers with its default buffers (1k, then four of 8k).
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (head(8192), None),
        (head(8193), TOO_LONG_URI),
        (head(8192, complete=False), None),
        (head(8193, complete=False)[:8192], TOO_LONG_URI),
        (head(8193, complete=False)[:8191], None),
        (head(8192, before=b"\r\n" * 600), None),
        (head(8193, before=b"\r\n" * 600), TOO_LONG_URI),
        (head(1024), None),
        (head(100, 8192), None),
        (head(100, 8193), too_long(0)),
        (head(1015, 8193), too_long(0)),
        (head(100, 8192, 8192, 8192), None),
        (head(1015, *[8192] * 3, 8000), None),
        (head(8192, *[8000] * 3), None),
        (head(8192, *[8000] * 4), too_long(3, 188)),
        (head(100, *[8000] * 5), too_long(4, 188)),
        (head(100, *[8000] * 4, 500, complete=False), too_long(4, 188)),
        (head(100, *[5000] * 8), too_long(4)),
        (head(100, *[40] * 800), None),
        (head(100, *[40] * 830), None),
        (head(100, *[40] * 840), too_long(839, 26)),
        (head(100, *[40] * 900), too_long(839, 26)),
    ],
)
def test_default_buffers(data: bytes, expected: tuple[int, str] | None) -> None:
    complete = data.endswith(b"\r\n\r\n")
    if expected is None:
        check_head_size(data, (4, 8192), 1024, complete)
    else:
        with pytest.raises(BadHead) as caught:
            check_head_size(data, (4, 8192), 1024, complete)
        assert (caught.value.status, caught.value.reason) == expected
