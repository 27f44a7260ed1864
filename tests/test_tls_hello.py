"""The ClientHello parser: real ones, in pieces, and damaged. RFC 8446 section 4.1.2."""

from __future__ import annotations

import random
import ssl
import struct

import pytest

from pyresty.tls.hello import GREASE, NotAHello, parse


def real(name: str | None = "one.test", *, old: bool = False) -> bytes:
    """What Python's own client sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if old:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def record(payload: bytes) -> bytes:
    return b"\x16\x03\x01" + struct.pack(">H", len(payload)) + payload


def made(*extensions: tuple[int, bytes], ciphers: bytes = b"\x13\x01", after: bytes = b"") -> bytes:
    """A ClientHello of these parts."""
    listed = b"".join(struct.pack(">HH", number, len(data)) + data for number, data in extensions)
    body = b"\x03\x03" + b"r" * 32 + b"\x00" + struct.pack(">H", len(ciphers)) + ciphers + b"\x01\x00"
    body += struct.pack(">H", len(listed)) + listed + after
    return record(b"\x01" + len(body).to_bytes(3, "big") + body)


def sni(*names: bytes, kind: int = 0) -> tuple[int, bytes]:
    listed = b"".join(struct.pack(">BH", kind, len(name)) + name for name in names)
    return 0, struct.pack(">H", len(listed)) + listed


def test_a_real_one() -> None:
    hello = parse(real())
    assert hello is not None
    assert hello.server_name == b"one.test"
    assert hello.version == 0x303
    assert len(hello.random) == 32
    assert 0x1301 in hello.all_ciphers
    assert b"\x03\x04" in hello.extensions[43]


def test_one_without_name_and_without_tls_1_3() -> None:
    hello = parse(real(None, old=True))
    assert hello is not None
    assert hello.server_name is None
    assert 43 not in hello.extensions


def test_it_may_come_byte_by_byte() -> None:
    data = real()
    for end in range(len(data)):
        assert parse(data[:end]) is None
    assert parse(data) is not None


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
def test_it_may_be_in_several_records(size: int) -> None:
    message = real()[5:]
    data = b"".join(record(message[i : i + size]) for i in range(0, len(message), size))
    hello = parse(data)
    assert hello is not None
    assert hello.server_name == b"one.test"
    assert parse(data[:-1]) is None


def test_what_comes_after_it_is_no_matter() -> None:
    data = made(sni(b"a.test"))
    assert parse(data + b"\x14\x03\x03\x00\x01\x01") == parse(data)


def test_grease_is_no_extension() -> None:
    grease = min(GREASE)
    hello = parse(made((grease, b""), sni(b"a.test"), ciphers=struct.pack(">HH", grease, 0x1302)))
    assert hello is not None
    assert hello.extensions.keys() == {0}
    assert hello.all_ciphers == (grease, 0x1302)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x16\x02\x01\x00\x05hello",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x50\x00" + b"\x01" * 100,
        record(b"\x02\x00\x00\x04abcd"),
        record(b"\x01\xff\xff\xff"),
        record(b"\x01\x00\x00\x04abcd"),
        made(after=b"x"),
        made((5, b""), (5, b"")),
        made(ciphers=b"\x13\x01\x13"),
        made(sni()),
        made(sni(b"")),
        made(sni(b"a", b"b")),
        made(sni(b"a", kind=1)),
        made(sni(b"a\0b")),
        made((0, b"\x00")),
        made((0, b"\x00\x05\x00\x00\x02ab" + b"x")),
    ],
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(NotAHello):
        parse(data)


def test_damage_is_noticed_or_does_no_harm() -> None:
    chance = random.Random(7)
    good = bytearray(real())
    for _ in range(5000):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            hello = parse(bytes(bad))
        except NotAHello:
            continue
        assert hello is None or hello.server_name is None or 0 < len(hello.server_name) < 256
