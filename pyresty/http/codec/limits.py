"""Where a request head ends, and whether it fits into nginx's header buffers.

The one idea: both are questions about line ends only, so both are answered by a few C-level searches, whatever the
lines say.
"""

from __future__ import annotations

from .grammar import line_is_final, method_is_wrong
from .head import READING_HEADERS, READING_LINE, BadHead, empty_head
from .rules import text

#: The most of a header line that nginx puts in the error log (NGX_MAX_ERROR_STR - 300).
_LOGGED = 1748


def find_head_end(buffer: bytes | bytearray, start: int = 0) -> int:
    """The index after the empty line that ends the head beginning at ``start``, or -1 if more must be read.

    Lines end with CRLF or LF; empty lines before the request line belong to the head. A request line that is HTTP/0.9
    or wrong ends the head at once, as nothing after it matters: ``parse_head`` tells which.
    """
    end = buffer.find(b"\n\r\n", start)
    if end > start and buffer[start] > 13 and buffer.find(b"\n\n", start, end + 1) < 0:
        return end + 3
    while buffer[start : start + 1] in (b"\r", b"\n"):
        start += 1
    ends = [at + len(mark) for mark in (b"\n\n", b"\n\r\n") if (at := buffer.find(mark, start)) >= 0]
    if ends:
        return min(ends)
    line_end = buffer.find(b"\n", start)
    if line_end < 0:
        return len(buffer) if start < len(buffer) and method_is_wrong(bytes(buffer[start:])) else -1
    return line_end + 1 if line_is_final(bytes(buffer[start:line_end])) else -1


def check_head_size(data: bytes, large_buffers: tuple[int, int], first_buffer: int, complete: bool) -> None:
    """Refuse a head that does not fit into nginx's buffers.

    ``data`` is the head so far, ``complete`` whether its empty line is there. ``large_buffers`` is
    large_client_header_buffers (how many, bytes each), ``first_buffer`` is client_header_buffer_size in bytes. A line
    never spans two buffers: what of it stands at the end of a full buffer is copied to the next. The head is taken to
    begin at the start of a buffer, which in nginx a pipelined one may not.

    Raises BadHead with status 414 for the request line, 494 otherwise.
    """
    number, size = large_buffers
    length = len(data)
    if length < first_buffer or length < size or (complete and length == first_buffer):
        return
    begin = length - len(data.lstrip(b"\r\n"))
    first = begin
    stop = begin + first_buffer - begin % first_buffer
    while length > stop or (length == stop and not complete):
        line = data.rfind(b"\n", begin, stop) + 1 or begin
        if stop - line >= size or number == 0:
            if data.find(b"\n", first, stop) < 0:
                cut = empty_head(data)
                cut.line = data[first:stop]
                raise BadHead(414, f"client sent too long URI while {READING_LINE}", cut)
            if line == stop:  # between two lines: nginx shows the one before
                line = data.rfind(b"\n", 0, stop - 1) + 1
            raise BadHead(494, _too_large(data, first, line, stop))
        number -= 1
        begin = line
        stop = begin + size


def _too_large(data: bytes, first: int, line: int, stop: int) -> str:
    if line <= first:
        return f"client sent too large request while {READING_HEADERS}"
    shown = text(data[line : min(stop, line + _LOGGED)])
    return f'client sent too long header line: "{shown}..." while {READING_HEADERS}'
