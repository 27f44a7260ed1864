"""The ClientHello, read before the handshake begins.

The one idea: Lua code that chooses the certificate may have to wait, but OpenSSL's callbacks, as Python has them, can't; so
we look at the first message ourselves, settle everything, and only then let OpenSSL have it. Nothing here is trusted:
what isn't a well-formed ClientHello is left to OpenSSL, which has the right alert for it.

RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2; server names: RFC 6066 section 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: The most bytes that are looked at; real ones take 200 to 2,000, with post-quantum keys.
MOST = 65536

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME = 0
#: Values that mean nothing and are sent to keep servers tolerant (RFC 8701).
GREASE = frozenset(0x0A0A + 0x1010 * n for n in range(16))


#: Numbers of the versions, as in the protocol.
VERSIONS = {"SSLv3": 0x300, "TLSv1": 0x301, "TLSv1.1": 0x302, "TLSv1.2": 0x303, "TLSv1.3": 0x304}

_SESSION_TICKET, _SUPPORTED_VERSIONS = 35, 43


class ClientHello(NamedTuple):
    """What a client has to say. ``extensions`` are in the order they came in, without GREASE."""

    server_name: bytes | None  #: as sent
    version: int
    random: bytes
    session_id: bytes  #: b"" for none; a client of TLSv1.3 makes one up
    all_ciphers: tuple[int, ...]
    extensions: dict[int, bytes]

    def version_with(self, protocols: Iterable[str]) -> int:
        """The version that comes of it with a server that speaks ``protocols``: RFC 8446 section 4.2.1. Where there is
        none the client's own.
        """
        listed = self.extensions.get(_SUPPORTED_VERSIONS, b"")[1:]
        theirs = {listed[i] << 8 | listed[i + 1] for i in range(0, len(listed) - 1, 2)}
        numbers = [VERSIONS[name] for name in protocols if name in VERSIONS]
        shared = [n for n in numbers if (n in theirs if theirs else n <= self.version)]
        return max(shared, default=self.version)

    def asks_for_session(self, protocols: Iterable[str], tickets: bool) -> bool:
        """Whether it names a session that a server's cache may have; ``tickets``: those of the server are good."""
        return bool(
            self.session_id
            and not (tickets and self.extensions.get(_SESSION_TICKET))
            and self.version_with(protocols) < VERSIONS["TLSv1.3"]
        )


class NotAHello(Exception):
    """The bytes are no ClientHello."""


def parse(data: bytes) -> ClientHello | None:
    """The ClientHello that ``data`` begins with; None if it isn't complete yet. Raises NotAHello."""
    message, position, end = b"", 0, len(data)
    while True:
        if end - position < 5:
            if position < end and data[position] != _HANDSHAKE:
                raise NotAHello
            return None
        if data[position] != _HANDSHAKE or data[position + 1] != 3:
            raise NotAHello
        size = data[position + 3] << 8 | data[position + 4]
        if not size or size > 16384:
            raise NotAHello
        message += data[position + 5 : position + 5 + size]
        position += 5 + size
        if message and message[0] != _CLIENT_HELLO:
            raise NotAHello
        if len(message) >= 4:
            length = int.from_bytes(message[1:4], "big")
            if length > MOST:
                raise NotAHello
            if len(message) >= 4 + length:
                return _body(message[4 : 4 + length])
        if position > end:
            return None


class _Reader:
    """Reads numbers and counted strings; raises NotAHello at the end."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        start = self.position
        self.position = start + size
        if self.position > len(self.data):
            raise NotAHello
        return self.data[start : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def counted(self, size: int) -> bytes:
        return self.take(self.number(size))

    @property
    def done(self) -> bool:
        return self.position >= len(self.data)


def _body(body: bytes) -> ClientHello:
    reader = _Reader(body)
    version = reader.number(2)
    random = reader.take(32)
    session_id = reader.counted(1)
    suites = reader.counted(2)
    if len(suites) % 2:
        raise NotAHello
    ciphers = tuple(suites[i] << 8 | suites[i + 1] for i in range(0, len(suites), 2))
    reader.counted(1)  # compression methods
    extensions: dict[int, bytes] = {}
    if not reader.done:
        listed = _Reader(reader.counted(2))
        while not listed.done:
            number = listed.number(2)
            content = listed.counted(2)
            if number in extensions:
                raise NotAHello
            extensions[number] = content
    if not reader.done:
        raise NotAHello
    name = server_name(extensions[_SERVER_NAME]) if _SERVER_NAME in extensions else None
    kept = {number: content for number, content in extensions.items() if number not in GREASE}
    return ClientHello(name, version, random, session_id, ciphers, kept)


def server_name(content: bytes) -> bytes | None:
    """The host name in the extension ``server_name``. Raises NotAHello if that is malformed."""
    reader = _Reader(content)
    names = _Reader(reader.counted(2))
    if not reader.done or names.done:
        raise NotAHello
    kind = names.number(1)
    name = names.counted(2)
    if kind != 0 or not names.done or not 0 < len(name) < 256 or b"\0" in name:
        raise NotAHello
    return name
