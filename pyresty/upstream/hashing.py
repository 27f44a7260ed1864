"""Peers chosen by a hash, so that the same client, or the same key, gets the same peer.

The one idea: a hash draws the peer (``balancing.Draw``) instead of chance.

Rules: ``ngx_http_upstream_ip_hash_module.c``, ``ngx_http_upstream_hash_module.c``.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING
from zlib import crc32

from .balancing import DRAWS, Draw
from .peers import Peer, Peers, smoothest

if TYPE_CHECKING:
    from .exchange import Upstream

#: Points on the ring for each unit of a peer's weight.
_POINTS = 160


class IPHash(Draw):
    """The peer that the client's address stands for: of an IPv4 address its first three bytes."""

    __slots__ = ("_address", "_hash")

    def __init__(self, peers: Peers, u: Upstream) -> None:
        super().__init__(peers)
        address = u.r.conn.binary_remote_addr
        self._address = address[:3] if len(address) == 4 else address or b"\0\0\0"
        self._hash = 89

    def _draw(self, now: int) -> Peer | None:
        for byte in self._address:
            self._hash = (self._hash * 113 + byte) % 6271
        return self._at(self._hash % self._peers.total_weight)


class Hash(Draw):
    """The peer that a key stands for, as Cache::Memcached reckons it. An empty key is left to round robin."""

    __slots__ = ("_draws", "_hash", "_key")

    def __init__(self, peers: Peers, key: bytes) -> None:
        super().__init__(peers)
        self._key = key
        self._hash = 0
        self._draws = 0
        if not key:
            self._misses = DRAWS + 1

    def _draw(self, now: int) -> Peer | None:
        salt = b"%d" % self._draws if self._draws else b""
        self._draws += 1
        self._hash += crc32(salt + self._key) >> 16 & 0x7FFF
        return self._at(self._hash % self._peers.total_weight)


class Ring:
    """Points around a circle, each of a server; a server has as many as its weight says. Made as Cache::Memcached::Fast does."""

    __slots__ = ("_hashes", "_servers")

    def __init__(self, peers: Peers) -> None:
        points: dict[int, bytes] = {}
        for peer in peers.peers:
            base = crc32(b"%s\0%s" % _host_and_port(peer.server))
            previous = 0
            for _ in range(peer.weight * _POINTS):
                previous = crc32(previous.to_bytes(4, "little"), base)
                points.setdefault(previous, peer.server)
        self._hashes = sorted(points)
        self._servers = [points[value] for value in self._hashes]

    def find(self, key: bytes) -> int:
        """The number of the point that follows the key's hash."""
        return bisect_left(self._hashes, crc32(key))

    def server(self, number: int) -> bytes:
        """Whose point it is; the first point follows the last one."""
        return self._servers[number % len(self._servers)]


def _host_and_port(server: bytes) -> tuple[bytes, bytes]:
    if server[:5].lower() == b"unix:":
        return server[5:], b""
    host, colon, port = server.rpartition(b":")
    return (host, port) if colon and not port.strip(b"0123456789") else (server, b"")


class ConsistentHash(Draw):
    """The peer whose point follows the key's on the ring; round robin among the addresses of one server."""

    __slots__ = ("_place", "_ring")

    def __init__(self, peers: Peers, key: bytes, ring: Ring) -> None:
        super().__init__(peers)
        self._ring = ring
        self._place = ring.find(key)
        if not key:
            self._misses = DRAWS + 1

    def _draw(self, now: int) -> Peer | None:
        server = self._ring.server(self._place)
        peer = smoothest([peer for peer in self._usable(now) if peer.server == server])
        if peer is None:
            self._place += 1
        return peer
