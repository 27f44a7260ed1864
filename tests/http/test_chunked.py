from __future__ import annotations

import random

import pytest

from pyresty.http.chunked import LAST_CHUNK, TRAILER_LIMIT, BadChunk, ChunkedDecoder, encode_chunk

# Body, what it decodes to, what follows it, its trailers. nginx 1.22 answers these with the same body.
GOOD: list[tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]]] = [
    (b"0\r\n\r\n", b"", b"", []),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"", []),
    (b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n", b"hello", b"GET / HTTP/1.1\r\n", []),
    (b"2\r\nhe\r\n3\r\nllo\r\n000\r\n\r\n", b"hello", b"", []),
    (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2, b"", []),
    (b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"hello", b"", []),
    (b"5 \r\nhello\r\n0\t\r\n\r\n", b"hello", b"", []),
    (b"00000000000000000000005\r\nhello\r\n0\r\n\r\n", b"hello", b"", []),
    (b"1\r\n\n\r\n0\r\n\r\n", b"\n", b"", []),
    (b"0\r\nX: y\r\nfoo\r\nBar:  z \r\n\r\nrest", b"", b"rest", [(b"X", b"y"), (b"foo", b""), (b"Bar", b"z")]),
]

BAD = [
    b"g",
    b"\r\n",
    b"-1\r\n",
    b"+5\r\n",
    b"0x5\r\n",
    b"1_0\r\n",
    b" 5\r\n",
    b"5\n",
    b"5\rx",
    b"5;a\nb",
    b"5;a\rb",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\n0",
    b"5\r\nhello\rx",
    b"0\n\r\n",
    b"0\r\n\n",
    b"0\r\n\rx",
    b"0\r\nX: y\n",
    b"0\r\nX: y\rz\r\n",
    b"8000000000000000\r\n",
    b"ffffffffffffffffff\r\n",
]


@pytest.mark.parametrize(("body", "data", "rest", "trailers"), GOOD)
def test_good_bodies_however_they_are_split(
    body: bytes, data: bytes, rest: bytes, trailers: list[tuple[bytes, bytes]]
) -> None:
    for size in (len(body), 7, 3, 2, 1):
        decoder = ChunkedDecoder()
        out = b"".join(decoder.feed(body[i : i + size]) for i in range(0, len(body), size))
        assert (out, decoder.done, decoder.rest, decoder.trailers) == (data, True, rest, trailers)


@pytest.mark.parametrize("body", BAD)
def test_bad_bodies_however_they_are_split(body: bytes) -> None:
    for size in (len(body), 2, 1):
        decoder = ChunkedDecoder()
        with pytest.raises(BadChunk):
            for i in range(0, len(body), size):
                decoder.feed(body[i : i + size])


def test_the_largest_size_is_taken() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"7ffffffffffffff\r\nabc") == b"abc"
    assert not decoder.done


def test_an_unfinished_body_is_not_done() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"5\r\nhel") == b"hel"
    assert decoder.feed(b"lo\r\n0\r\n") == b"lo"
    assert not decoder.done
    assert decoder.feed(b"\r\nnext") == b""
    assert (decoder.done, decoder.rest) == (True, b"next")


def test_an_endless_extension_costs_no_memory_and_endless_trailers_are_refused() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"1;")
    for _ in range(100):
        decoder.feed(b"x" * 10_000)
    assert decoder.feed(b"\r\na\r\n0\r\n") == b"a"
    with pytest.raises(BadChunk):
        for _ in range(TRAILER_LIMIT // 1000 + 1):
            decoder.feed(b"x" * 998 + b"\r\n")


def test_encode_then_decode_is_the_identity() -> None:
    rnd = random.Random(2)
    pieces = [rnd.randbytes(rnd.randrange(1, 300)) for _ in range(50)]
    body = b"".join(map(encode_chunk, pieces)) + LAST_CHUNK
    decoder = ChunkedDecoder()
    assert decoder.feed(body) == b"".join(pieces)
    assert decoder.done and not decoder.rest
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert encode_chunk(b"") == b""
