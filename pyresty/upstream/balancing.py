"""Other ways of choosing a peer than round robin, by how busy the peers are or by chance.

The one idea: only the choice itself differs; what is tried, down or failed, and what becomes of backups, stays round
robin's.

Rules: ``ngx_http_upstream_least_conn_module.c``, ``ngx_http_upstream_random_module.c``.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod

from .peers import Choice, Peer, Peers, smoothest

#: Peers of no use are drawn so often, before it is round robin's turn.
DRAWS = 20


class LeastConn(Choice):
    """The peer with the fewest connections for its weight; round robin among equals."""

    __slots__ = ()

    def _best(self, now: int) -> Peer | None:
        usable = self._usable(now)
        if not usable:
            return None
        least = usable[0]
        for peer in usable:
            if peer.conns * least.weight < least.conns * peer.weight:
                least = peer
        return smoothest([peer for peer in usable if peer.conns * least.weight == least.conns * peer.weight])


class Draw(Choice, ABC):
    """A peer is drawn, and again if it is of no use; when that has happened too often, it is round robin's turn."""

    __slots__ = ("_misses",)

    def __init__(self, peers: Peers) -> None:
        super().__init__(peers)
        self._misses = 0

    def _best(self, now: int) -> Peer | None:
        while self._misses <= DRAWS:
            peer = self._draw(now)
            if peer is not None and self._may_ask(peer, now):
                return peer
            self._misses += 1
        return super()._best(now)

    def _may_ask(self, peer: Peer, now: int) -> bool:
        return peer not in self._tried and peer.usable(now)

    @abstractmethod
    def _draw(self, now: int) -> Peer | None:
        """The next peer drawn; None for none."""

    def _at(self, place: int) -> Peer:
        """The peer at ``place`` (from 0 to the total weight), each having as many places as its weight."""
        for peer in self._peers.peers:
            if place < peer.weight:
                break
            place -= peer.weight
        return peer


class Random(Draw):
    """A peer by chance, in proportion to the weights."""

    __slots__ = ()

    def _draw(self, now: int) -> Peer | None:
        return self._at(random.randrange(self._peers.total_weight))


class RandomTwo(Random):
    """Of two peers by chance the one with fewer connections for its weight."""

    __slots__ = ("_first",)

    def _best(self, now: int) -> Peer | None:
        self._first: Peer | None = None
        return super()._best(now)

    def _draw(self, now: int) -> Peer | None:
        peer = super()._draw(now)
        first = self._first
        if peer is None or peer is first or not self._may_ask(peer, now):
            return None
        if first is None:
            self._first = peer
            return None
        return first if peer.conns * first.weight > first.conns * peer.weight else peer
