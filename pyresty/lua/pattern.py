"""``receiveuntil`` by pieces: a piece may not end inside of what may be the pattern's beginning."""

from __future__ import annotations


def begun(buf: bytes, pos: int, end: int, pattern: bytes) -> int:
    """How many bytes at the end of ``buf[pos:end]`` begin ``pattern``: the longest such run that is not all of it."""
    first = pattern[:1]
    at = buf.find(first, max(pos, end - len(pattern) + 1), end)
    while at >= 0:
        if buf.startswith(pattern[: end - at], at):
            return end - at
        at = buf.find(first, at + 1, end)
    return 0


def piece_end(buf: bytes, pos: int, limit: int, pattern: bytes) -> int:
    """Where a piece ends that begins at ``pos`` and should end at ``limit``; -1 if more bytes have to tell.

    It ends later if ``limit`` is within what may be the pattern's beginning: where that proves to be none, as
    OpenResty's automaton (``ngx_http_lua_socket_read_until``) has it.
    """
    end = limit
    if end > len(buf):
        return -1
    start = end - begun(buf, pos, end, pattern)
    while start < limit:
        end += 1
        if end > len(buf):
            return -1
        run = begun(buf, pos, end, pattern)
        start = end - run if run else end - 1
    return start
