from __future__ import annotations

import pytest

from pyresty.http.ranges import (
    UNSATISFIABLE,
    Unsatisfiable,
    content_range,
    multipart,
    parse_ranges,
    unsatisfied_range,
)

DATA = b"0123456789abcdef"

# Range header and the slices of a file of 16 bytes that nginx 1.22 sends for it; None: the whole file.
ANSWERS: list[tuple[bytes, list[tuple[int, int]] | Unsatisfiable | None]] = [
    (b"bytes=0-4", [(0, 5)]),
    (b"Bytes=1-2", [(1, 3)]),
    (b"bytes=-4", [(12, 16)]),
    (b"bytes=-4 ", [(12, 16)]),
    (b"bytes=-99", [(0, 16)]),
    (b"bytes=4-", [(4, 16)]),
    (b"bytes=15-", [(15, 16)]),
    (b"bytes=3-99", [(3, 16)]),
    (b"bytes=1-9223372036854775807", [(1, 16)]),
    (b"bytes=00000000000000000000000001-2", [(1, 3)]),
    (b"bytes=0-0,5-6", [(0, 1), (5, 7)]),
    (b"bytes= 1 - 2 , 4 - 5 ", [(1, 3), (4, 6)]),
    (b"bytes=0-7,8-15", [(0, 8), (8, 16)]),
    (b"bytes=5-2,1-2", [(1, 3)]),
    (b"bytes=16-,1-2", [(1, 3)]),
    (b"bytes=0-,0-", None),
    (b"bytes=0-9,5-15", None),
    (b"items=1-2", None),
    (b"bytes=", None),
    (b"bytes", None),
    (b"", None),
    (b"bytes=16-", UNSATISFIABLE),
    (b"bytes=5-2", UNSATISFIABLE),
    (b"bytes=-0", UNSATISFIABLE),
    (b"bytes=x", UNSATISFIABLE),
    (b"bytes=1", UNSATISFIABLE),
    (b"bytes=-", UNSATISFIABLE),
    (b"bytes=--1", UNSATISFIABLE),
    (b"bytes=- 4", UNSATISFIABLE),
    (b"bytes=1-2,", UNSATISFIABLE),
    (b"bytes=,1-2", UNSATISFIABLE),
    (b"bytes=1-2;3", UNSATISFIABLE),
    (b"bytes=0-\t4", UNSATISFIABLE),
    (b"bytes=1-9223372036854775808", UNSATISFIABLE),
    (b"bytes=9223372036854775808-", UNSATISFIABLE),
]


@pytest.mark.parametrize(("value", "expected"), ANSWERS)
def test_ranges_as_nginx_reads_them(value: bytes, expected: list[tuple[int, int]] | Unsatisfiable | None) -> None:
    assert parse_ranges(value, len(DATA)) == expected


def test_an_empty_body() -> None:
    assert parse_ranges(b"bytes=0-", 0) is None
    assert parse_ranges(b"bytes=-5", 0) is None
    assert parse_ranges(b"bytes=1-", 0) is UNSATISFIABLE


def test_max_ranges() -> None:
    assert parse_ranges(b"bytes=0-1", 16, 0) is None
    assert parse_ranges(b"bytes=0-1", 16, 1) == [(0, 2)]
    assert parse_ranges(b"bytes=0-1,3-4", 16, 1) is None
    assert parse_ranges(b"bytes=0-1,3-4", 16, 2) == [(0, 2), (3, 5)]


def test_many_small_ranges_are_not_worth_it_unless_max_ranges_allows_them() -> None:
    spec = b"bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(0, 100, 2))
    assert parse_ranges(spec, 1000) is None
    few = parse_ranges(spec, 1000, 50)
    assert isinstance(few, list) and len(few) == 50
    assert isinstance(parse_ranges(spec, 50_000), list)


def test_content_range_headers() -> None:
    assert content_range(0, 5, 16) == b"bytes 0-4/16"
    assert unsatisfied_range(16) == b"bytes */16"


def test_multipart_body() -> None:
    ranges = [(0, 2), (10, 16)]
    frame = multipart(ranges, 16, b"text/plain; charset=utf-8")
    kind, _, boundary = frame.content_type.partition(b"; boundary=")
    assert kind == b"multipart/byteranges"
    assert len(boundary) == 20 and boundary.isdigit()
    body = b"".join(head + DATA[start:end] for head, (start, end) in zip(frame.heads, ranges, strict=True)) + frame.tail
    assert len(body) == frame.length
    assert body == (
        b"\r\n--%(b)b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/16\r\n\r\n01"
        b"\r\n--%(b)b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 10-15/16\r\n\r\nabcdef"
        b"\r\n--%(b)b--\r\n" % {b"b": boundary}
    )
    assert multipart(ranges, 16, b"").heads[0].count(b"Content-Type") == 0
    assert multipart(ranges, 16, b"").content_type != frame.content_type
