"""The head of an upstream's HTTP response, from bytes to what it says.

The one idea: an upstream repeats itself, so the heads parsed lately are kept by their bytes, and a head that comes
again (all those of one second usually do) costs one look-up. Parsing is by nginx's own grammar, which is more lenient
than RFC 9112, and gives nginx's own messages.

Rules: ``ngx_http_parse_status_line``, ``ngx_http_parse_header_line``, ``ngx_http_upstream_process_*``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: Heads kept, and the largest that is.
_KEPT, _LARGEST = 256, 2048

_kept: dict[bytes, ResponseHead] = {}

_STATUS_LINE = re.compile(rb"HTTP/([1-9][0-9]{0,2})\.([0-9]{1,3}) +([0-9]{3}(?:[ .][^\r\n]*)?)\r?\n")
_PART_OF_IT = re.compile(
    rb"H(T(T(P(/([1-9][0-9]{0,2}(\.([0-9]{1,3}( +([0-9]{0,2}|[0-9]{3}([ .][^\n]*|\r)?))?)?)?)?)?)?)?)?"
)
_NAME = bytes(c for c in range(0x21, 0x7F) if c != 0x3A) + bytes(range(0x80, 0x100))

#: Lower-case names by names as they come, learnt from what came.
_names: dict[bytes, bytes] = {}
_MOST_NAMES = 1024


class NoHead(ValueError):
    """The bytes are no HTTP response (nginx then takes them for HTTP/0.9)."""


class InvalidHead(ValueError):
    """A head that is refused; the text is what nginx logs after ``upstream sent``."""


class ResponseHead:
    """A response head. Shared by all responses with the same bytes: nobody changes it.

    ``headers`` are (name, lower-case name, value); ``status_line`` is the code with the reason; ``close`` tells that
    the upstream will not keep the connection; ``warnings`` are lines for the error log.
    """

    __slots__ = ("chunked", "close", "content_length", "headers", "status", "status_line", "version", "warnings")

    def __init__(self, status: int, status_line: bytes, version: int) -> None:
        self.status = status
        self.status_line = status_line
        self.version = version
        self.headers: list[tuple[bytes, bytes, bytes]] = []
        self.content_length: int | None = None
        self.chunked = False
        self.close = version < 1001
        self.warnings: list[bytes] = []

    def get(self, name: bytes) -> bytes | None:
        """The first value of the header ``name`` (lower case)."""
        for _, lower, value in self.headers:
            if lower == name:
                return value
        return None

    def get_all(self, name: bytes) -> list[bytes]:
        """All values of the header ``name`` (lower case)."""
        return [value for _, lower, value in self.headers if lower == name]


def parse_response_head(data: bytes) -> tuple[ResponseHead, int] | None:
    """The head at the beginning of ``data`` and its length in bytes; None if its end isn't there yet.

    Raises NoHead or InvalidHead as soon as the bytes show it.
    """
    end = data.find(b"\r\n\r\n") + 4
    if end > 3:
        raw = data if end == len(data) else data[:end]
        head = _kept.get(raw)
        if head is not None:
            return head, end
    found = _parse(data, end)
    if found is not None and found[1] == end and end <= _LARGEST:
        if len(_kept) >= _KEPT:
            _kept.clear()
        _kept[raw] = found[0]
    return found


def _parse(data: bytes, end: int) -> tuple[ResponseHead, int] | None:
    match = _STATUS_LINE.match(data)
    if match is None:
        if _PART_OF_IT.fullmatch(data) is None:
            raise NoHead
        return None
    major, minor, status_line = match.groups()
    head = ResponseHead(int(status_line[:3]), status_line, int(major) * 1000 + int(minor))
    position = match.end()
    lines = data.count(b"\r\n", position, end)
    if end > position and data.count(b"\n", position, end) == lines == data.count(b"\r", position, end):
        if end - position > 2:
            for line in data[position : end - 4].split(b"\r\n"):
                _add(head, line)
        return head, end
    while True:
        newline = data.find(b"\n", position)
        if newline < 0:
            _check_partial(data[position:])
            return None
        line = data[position:newline]
        position = newline + 1
        if b"\r" in line:
            line = line.rstrip(b"\r")
            if b"\r" in line:
                raise InvalidHead(_invalid(line))
        if not line:
            return head, position
        _add(head, line)


def _check_partial(line: bytes) -> None:
    """Refuse a header line of which the end isn't there yet as soon as it is wrong."""
    name = line.partition(b":")[0].rstrip(b"\r")
    if line and (not name or name.translate(None, _NAME) or b"\0" in line) and not line.startswith(b"HTTP/"):
        raise InvalidHead(_invalid(line))


def _add(head: ResponseHead, line: bytes) -> None:
    name, _, value = line.partition(b":")
    lower = _names.get(name)
    if lower is None:
        if line.startswith(b"HTTP/"):
            return  # IIS may send the status line twice
        if not name or name.translate(None, _NAME):
            raise InvalidHead(_invalid(line))
        lower = name.lower()
        if len(_names) < _MOST_NAMES:
            _names[name] = lower
    if b"\0" in value:
        raise InvalidHead(_invalid(line))
    value = value.strip(b" ")
    check = _CHECKS.get(lower)
    if check is None or check(head, name, lower, value):
        head.headers.append((name, lower, value))


def _invalid(line: bytes) -> str:
    """nginx's words for a bad header line: what is before the bad byte, and that byte."""
    name = line.partition(b":")[0]
    at = next((i for i, byte in enumerate(name) if byte not in _NAME), -1 if name else 0)
    if at < 0:
        at = next(i for i, byte in enumerate(line) if byte in b"\r\0")
    return f'invalid header: "{_text(line[:at])}\\x{line[at]:02x}..."'


def _content_length(head: ResponseHead, name: bytes, lower: bytes, value: bytes) -> bool:
    _refuse_second(head, name, lower, value)
    if head.chunked:
        raise InvalidHead('"Content-Length" and "Transfer-Encoding" headers at the same time')
    if not value.isdigit() or len(value) > 18:
        raise InvalidHead(f'invalid "Content-Length" header: "{_text(name)}: {_text(value)}"')
    head.content_length = int(value)
    return True


def _transfer_encoding(head: ResponseHead, name: bytes, lower: bytes, value: bytes) -> bool:
    _refuse_second(head, name, lower, value)
    if head.content_length is not None:
        raise InvalidHead('"Content-Length" and "Transfer-Encoding" headers at the same time')
    if value.lower() != b"chunked":
        raise InvalidHead(f'unknown "Transfer-Encoding": "{_text(value)}"')
    head.chunked = True
    return True


def _connection(head: ResponseHead, name: bytes, lower: bytes, value: bytes) -> bool:
    head.close = head.close or b"close" in value.lower()
    return True


def _once(head: ResponseHead, name: bytes, lower: bytes, value: bytes) -> bool:
    """nginx takes the first of these and drops the rest, with a warning."""
    for key, low, previous in head.headers:
        if low == lower:
            head.warnings.append(
                b'upstream sent duplicate header line: "%s: %s", previous value: "%s: %s", ignored'
                % (name, value, key, previous)
            )
            return False
    return True


def _refuse_second(head: ResponseHead, name: bytes, lower: bytes, value: bytes) -> None:
    for key, low, previous in head.headers:
        if low == lower:
            raise InvalidHead(
                f'duplicate header line: "{_text(name)}: {_text(value)}", '
                f'previous value: "{_text(key)}: {_text(previous)}"'
            )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


#: What is done with a header besides keeping it; the answer tells whether it is kept.
_CHECKS: dict[bytes, Callable[[ResponseHead, bytes, bytes, bytes], bool]] = {
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"status": _once,
    b"content-type": _once,
    b"date": _once,
    b"last-modified": _once,
    b"etag": _once,
    b"server": _once,
    b"location": _once,
    b"refresh": _once,
    b"expires": _once,
    b"x-accel-expires": _once,
    b"x-accel-redirect": _once,
    b"x-accel-limit-rate": _once,
}
