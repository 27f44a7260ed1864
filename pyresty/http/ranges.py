"""The Range header and the answers to it.

The one idea: a pure step from the header and the size of the body to a list of slices, or to the refusal.

Rules: RFC 9110 section 14 as nginx reads it (ngx_http_range_filter_module.c);
https://nginx.org/en/docs/http/ngx_http_core_module.html#max_ranges.
"""

from __future__ import annotations

from itertools import count
from secrets import randbelow
from typing import Final, NamedTuple

#: The default of max_ranges: as many as it takes, unless they cost more than the whole body.
UNLIMITED = 2**31 - 1

_MAX_OFF_T = 2**63 - 1
_numbers = count(randbelow(2**32))


class Unsatisfiable:
    """No range of the header lies within the body, or it is malformed: status 416."""


UNSATISFIABLE: Final = Unsatisfiable()


class Multipart(NamedTuple):
    """A multipart/byteranges body: ``heads[i]``, the bytes of range i, and so on, then ``tail``."""

    content_type: bytes  #: of the whole response, with the boundary
    heads: list[bytes]
    tail: bytes
    length: int  #: of the whole body, in bytes


def parse_ranges(value: bytes, size: int, max_ranges: int = UNLIMITED) -> list[tuple[int, int]] | Unsatisfiable | None:
    """The ranges that a Range header asks for of a body of ``size`` bytes, as (start, end) with the end exclusive.

    UNSATISFIABLE calls for status 416; None for the whole body with 200: another unit than bytes, more than
    ``max_ranges`` ranges (0 allows none), ranges that together exceed the body, or "0-" of an empty body.
    """
    if max_ranges == 0 or len(value) < 7 or value[:6].lower() != b"bytes=":
        return None
    ranges: list[tuple[int, int]] = []
    total = 0
    for spec in value[6:].split(b","):
        found = _parse_spec(spec, size)
        if found is None:
            return UNSATISFIABLE
        start, end = found
        if start < end:
            ranges.append(found)
            total += end - start
            if len(ranges) > max_ranges:
                return None
        elif start == 0:
            return None
    if not ranges:
        return UNSATISFIABLE
    if len(ranges) == 1:
        return ranges
    costly = total > size or (max_ranges == UNLIMITED and total + 256 * len(ranges) > size + 4096)
    return None if costly else ranges


def _parse_spec(spec: bytes, size: int) -> tuple[int, int] | None:
    first, dash, last = spec.partition(b"-")
    first = first.strip(b" ")
    if not dash:
        return None
    if first:
        start = _offset(first)
        last = last.strip(b" ")
        end = _offset(last) if last else size - 1
        if start is None or end is None:
            return None
        return start, min(end + 1, size)
    length = _offset(last.rstrip(b" "))
    if length is None:
        return None
    return max(size - length, 0), size


def _offset(digits: bytes) -> int | None:
    if not digits.isdigit() or len(digits.lstrip(b"0")) > 19:
        return None
    number = int(digits)
    return number if number <= _MAX_OFF_T else None


def content_range(start: int, end: int, size: int) -> bytes:
    """The Content-Range of a single range: b"bytes 0-4/16"."""
    return b"bytes %d-%d/%d" % (start, end - 1, size)


def unsatisfied_range(size: int) -> bytes:
    """The Content-Range that goes with 416: b"bytes */16"."""
    return b"bytes */%d" % size


def multipart(ranges: list[tuple[int, int]], size: int, content_type: bytes) -> Multipart:
    """The frame of a multipart/byteranges body of ``ranges``.

    ``content_type`` is what the whole body would have been sent with, including "; charset=..." if any; b"" for none.
    """
    boundary = b"%020d" % next(_numbers)
    part = b"\r\n--" + boundary + b"\r\n"
    if content_type:
        part += b"Content-Type: " + content_type + b"\r\n"
    heads = [b"%bContent-Range: %b\r\n\r\n" % (part, content_range(start, end, size)) for start, end in ranges]
    tail = b"\r\n--" + boundary + b"--\r\n"
    length = sum(map(len, heads)) + sum(end - start for start, end in ranges) + len(tail)
    return Multipart(b"multipart/byteranges; boundary=" + boundary, heads, tail, length)
