"""The chunked transfer coding, both ways.

The one idea: a chunk's size line is nearly always whole and short, so it is taken at once; only what is split between
two reads, or has an extension, goes through the states. Nothing of a line is kept but what is needed, so no client
can make us store much.

Rules: RFC 9112 section 7.1 as nginx reads it (ngx_http_parse_chunked): CRLF only; anything after ";", space or tab is
an extension; a size beyond 2^63 is refused.
"""

from __future__ import annotations

LAST_CHUNK = b"0\r\n\r\n"

#: Bytes of trailer lines that are kept at most; more is refused.
TRAILER_LIMIT = 65536

_HEX = b"0123456789abcdefABCDEF"
_LARGEST = 2**63 - 1
_LONGEST_PLAIN = 14  # hexadecimal digits that cannot overflow

_SIZE_START, _SIZE, _EXTENSION, _SIZE_LF, _DATA, _DATA_CR, _DATA_LF, _TRAILERS = range(8)


class BadChunk(ValueError):
    """The body is not in the chunked coding (nginx: "client sent invalid chunked body", "upstream sent invalid
    chunked response")."""


class TooLarge(ValueError):
    """A chunk would make the body larger than allowed: ``args`` are the bytes before it, and the chunk's."""


class ChunkedDecoder:
    """Decodes a chunked body as its bytes arrive.

    ``limit`` is the most bytes that the chunks may add up to (0: any number); a chunk is refused by the size that it
    announces. ``done`` tells that the end was reached; ``rest`` is then what follows the body; ``trailers`` are the
    (name, value) lines after the last chunk.
    """

    __slots__ = ("_left", "_state", "_tail", "_total", "_trailer_bytes", "done", "limit", "rest", "trailers")

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.done = False
        self.rest = b""
        self.trailers: list[tuple[bytes, bytes]] = []
        self._state = _SIZE_START
        self._left = 0  # of the chunk's data; the size while its line is being read
        self._tail = b""  # the trailer line of which the end is not there yet
        self._total = 0  # of all chunks that were announced
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Take some bytes of the body and return what they decode to. Raises BadChunk, TooLarge."""
        out: list[bytes] = []
        pos = 0
        end = len(data)
        while pos < end and not self.done:
            state = self._state
            if state == _DATA:
                piece = data[pos : pos + self._left]
                pos += len(piece)
                self._left -= len(piece)
                out.append(piece)
                if not self._left:
                    self._state = _DATA_CR
            elif state == _SIZE_START:
                line_end = data.find(b"\r\n", pos, pos + _LONGEST_PLAIN + 2)
                digits = data[pos:line_end]
                if line_end > pos and not digits.translate(None, _HEX):
                    pos = line_end + 2
                    self._left = int(digits, 16)
                    self._begin_chunk()
                elif data[pos] in _HEX:
                    self._left = 0
                    self._state = _SIZE
                else:
                    raise BadChunk("a chunk begins with its size")
            elif state == _DATA_CR and data.startswith(b"\r\n", pos):
                pos += 2
                self._state = _SIZE_START
            elif state == _TRAILERS:
                self._take_trailers(data[pos:])
                pos = end
            elif state == _EXTENSION:
                pos = self._skip_extension(data, pos)
            else:
                self._step(data[pos])
                pos += 1
        if self.done and pos < end:
            self.rest += data[pos:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _begin_chunk(self) -> None:
        size = self._left
        if self.limit and self._total + size > self.limit:
            raise TooLarge(self._total, size)
        self._total += size
        self._state = _DATA if size else _TRAILERS

    def _step(self, byte: int) -> None:
        """The states that go byte by byte."""
        state = self._state
        if state == _SIZE:
            if self._left > _LARGEST // 16:
                raise BadChunk("the size of a chunk is too large")
            if byte in _HEX:
                self._left = self._left * 16 + int(chr(byte), 16)
            elif byte == 13:
                self._state = _SIZE_LF
            elif byte in b"; \t":
                self._state = _EXTENSION
            else:
                raise BadChunk("invalid size of a chunk")
        elif state == _SIZE_LF and byte == 10:
            self._begin_chunk()
        elif state == _DATA_CR and byte == 13:
            self._state = _DATA_LF
        elif state == _DATA_LF and byte == 10:
            self._state = _SIZE_START
        else:
            raise BadChunk("a line of a chunk ends with CRLF")

    def _skip_extension(self, data: bytes, pos: int) -> int:
        cr = data.find(b"\r", pos)
        if data.find(b"\n", pos, cr if cr >= 0 else len(data)) >= 0:
            raise BadChunk("LF in a chunk extension")
        if cr < 0:
            return len(data)
        self._state = _SIZE_LF
        return cr + 1

    def _take_trailers(self, data: bytes) -> None:
        self._trailer_bytes += len(data)
        tail = self._tail + data
        pos = 0
        while (cr := tail.find(b"\r", pos)) >= 0 and cr + 1 < len(tail):
            line = tail[pos:cr]
            if b"\n" in line or tail[cr + 1] != 10:
                raise BadChunk("a trailer ends with CRLF")
            pos = cr + 2
            if not line:
                self.done = True
                self.rest = tail[pos:]
                self._tail = b""
                return
            name, _, value = line.partition(b":")
            self.trailers.append((name, value.strip(b" ")))
        self._tail = tail[pos:]
        if b"\n" in self._tail:
            raise BadChunk("a trailer ends with CRLF")
        if self._trailer_bytes > TRAILER_LIMIT:
            raise BadChunk("too many trailers")


def encode_chunk(data: bytes) -> bytes:
    """One chunk holding ``data``; b"" for no data, as an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
