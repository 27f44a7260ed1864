"""Memcached's text protocol on the connections and the exchange of ``http_client.py`` and ``exchange.py``.

The one idea: what the reply to a command looks like follows from the command, which is the first word of what was sent; so a reply is
parsed to a ResponseHead, and everything behind that (peers, pools, timeouts, passing the body on) is as with HTTP.

https://github.com/memcached/memcached/blob/master/doc/protocol.txt; ``ngx_http_memcached_module.c``, memc-nginx-module.
"""

from __future__ import annotations

import re
from typing import Any

from .exchange import Upstream
from .http_client import INVALID_HEADER, UpstreamConnection
from .response_head import ResponseHead

#: What follows the bytes of a value.
_TRAILER = b"\r\nEND\r\n"

_ERRORS = {b"ERROR\r\n": 502, b"CLIENT_ERROR ": 502, b"SERVER_ERROR ": 502}
_STORED = {b"STORED\r\n": 201, b"NOT_STORED\r\n": 200, b"EXISTS\r\n": 200, b"NOT_FOUND\r\n": 404} | _ERRORS
_DELETED = {b"DELETED\r\n": 200, b"NOT_FOUND\r\n": 404} | _ERRORS
_COUNTED = {b"NOT_FOUND\r\n": 404} | _ERRORS

#: The commands that store, and what each other one may be answered with: the beginning of a line, or the whole, and its status.
STORAGE = (b"set", b"add", b"replace", b"append", b"prepend")
_REPLIES: dict[bytes, dict[bytes, int]] = dict.fromkeys(STORAGE, _STORED) | {
    b"delete": _DELETED,
    b"incr": _COUNTED,
    b"decr": _COUNTED,
    b"flush_all": {b"OK\r\n": 200} | _ERRORS,
    b"version": {b"VERSION ": 200} | _ERRORS,
    b"stats": {b"STAT ": 200, b"END\r\n": 200} | _ERRORS,
}
#: All commands there are.
COMMANDS = (b"get", *_REPLIES)

_NUMBER = re.compile(rb"[0-9]+ *\r\n")
_PART_OF_NUMBER = re.compile(rb"[0-9]+ *\r?")


class InvalidReply(ValueError):
    """A reply that is refused; the text is what nginx logs."""


class Reply(ResponseHead):
    """The head of a reply: its status, the length of a value (None for no value), and the value's flags."""

    __slots__ = ("flags",)

    def __init__(self, status: int) -> None:
        super().__init__(status, b"", 1001)
        self.flags = b""


def parse_value(data: bytes, key: bytes) -> tuple[Reply, int] | None:
    """The reply to ``get``: the head, and where the value begins; None if it is not all here. Raises InvalidReply."""
    newline = data.find(b"\n")
    if newline < 0:
        return None
    line = data[:newline].removesuffix(b"\r")
    if line == b"END":
        reply = Reply(404)
        reply.content_length = 0
        return reply, newline + 1
    words = line.split(b" ")
    if line.startswith(b"VALUE ") and not words[1].startswith(key):
        raise InvalidReply(f'memcached sent invalid key in response "{_text(line)}" for key "{_text(key)}"')
    if words[0] != b"VALUE" or len(words) < 4 or words[1] != key or data[newline - 1] != 13:
        raise InvalidReply(f'memcached sent invalid response: "{_text(line)}"')
    length = line[len(key) + len(words[2]) + 8 :]
    if not length.isdigit():
        raise InvalidReply(f'memcached sent invalid length in response "{_text(line)}" for key "{_text(key)}"')
    reply = Reply(200)
    reply.flags = words[2]
    reply.content_length = int(length)
    return reply, newline + 1


def parse_line(data: bytes, command: bytes) -> tuple[Reply, int] | None:
    """The reply to any other command: the head, and where the reply ends; None if it is not all here. Raises InvalidReply."""
    replies = _REPLIES[command]
    at = 0
    if replies is _COUNTED:
        match = _NUMBER.match(data)
        if match is not None:
            return Reply(201), match.end()
        if _PART_OF_NUMBER.fullmatch(data) is not None:
            return None
    while True:
        rest = data[at:]
        word = next((word for word in replies if rest.startswith(word)), None)
        if word is None:
            break
        end = at + len(word) if word.endswith(b"\n") else data.find(b"\r\n", at) + 2
        if end == 1:
            return None
        if word != b"STAT ":
            return Reply(replies[word]), end
        at = end
    if any(word.startswith(rest) for word in replies):
        return None
    at += max(_same(rest, word) for word in replies)
    raise InvalidReply(
        f'memcached sent invalid response for command "{_text(command)}" at pos {at}: {_text(data[:at])}'
    )


def _same(one: bytes, other: bytes) -> int:
    """How many bytes are the same at the beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class MemcachedConnection(UpstreamConnection):
    """A connection to memcached. ``notice`` is what to log about a value that was not followed by what should follow."""

    __slots__ = ("_command", "_key", "_rest", "_trailer", "notice")

    head: Reply | None

    def send(self, data: bytes, head_request: bool, conf: Any) -> None:
        """Begin an exchange; the first line of ``data`` is the command with its key."""
        words = data[: data.find(b"\r\n")].split(b" ")
        self._command = words[0]
        self._key = words[1] if len(words) > 1 else b""
        self._rest = 0
        self._trailer = b""
        self.notice = ""
        super().send(data, head_request, conf)

    def _read_head(self, data: bytes) -> None:
        is_get = self._command == b"get"
        try:
            found = parse_value(data, self._key) if is_get else parse_line(data, self._command)
        except InvalidReply as bad:
            if is_get:
                self._fail(INVALID_HEADER, str(bad))
                return
            self.notice = str(bad)
            found = Reply(502), 0
            found[0].close = True
            data = b""
        if found is None:
            if len(data) >= self._conf.buffer_size:
                self._fail(INVALID_HEADER, "upstream sent too big header")
            self._buf = data
            return
        self._buf = b""
        head, end = found
        self.head = head
        if not is_get:
            head.content_length = None if self.notice else end
            head.close = head.close or len(data) > end
            if end:
                self._parts.append(data[:end])
            self._finish()
        elif head.status == 404:
            self.head_size = end
            head.close = len(data) > end
            self._finish()
        else:
            self.head_size = end
            self._rest = head.content_length or 0
            self._trailer = _TRAILER
            if len(data) > end:
                self._read_body(data[end:])

    def _read_body(self, data: bytes) -> None:
        value, trailer = data[: self._rest], data[self._rest :]
        if value:
            self._rest -= len(value)
            super()._read_body(value)
        if trailer:
            if self._trailer.startswith(trailer):
                self._trailer = self._trailer[len(trailer) :]
            else:
                self.notice = "memcached sent invalid trailer"
                self._trailer = b""
                assert self.head is not None
                self.head.close = True
            if not self._trailer:
                self._finish()


class MemcachedUpstream(Upstream):
    """The upstream of a request that memcached answers."""

    schema = b"memcached://"
    connection = MemcachedConnection
    key_tail = b" memcached"

    head: Reply | None
    conn: MemcachedConnection | None
