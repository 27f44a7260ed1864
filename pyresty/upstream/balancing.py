"""Other ways of choosing a peer than round robin.

The one idea: only the choice itself differs; what is tried, down or failed, and what becomes of backups, stays round
robin's.

Rules: ``ngx_http_upstream_least_conn_module.c``, ``ngx_http_upstream_ip_hash_module.c``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .peers import Choice, Peer

if TYPE_CHECKING:
    from .exchange import Upstream
    from .peers import Peers

#: Addresses that fall on peers of no use are hashed again so often, before it is round robin's turn.
_REHASHED = 20


class LeastConn(Choice):
    """The peer with the fewest connections for its weight; round robin among equals."""

    __slots__ = ()

    def _best(self, now: int) -> Peer | None:
        if self._tried is None:
            self._tried = set()
        usable = [peer for peer in self._peers.peers if peer not in self._tried and peer.usable(now)]
        if not usable:
            return None
        best = usable[0]
        for peer in usable:
            if peer.conns * best.weight < best.conns * peer.weight:
                best = peer
        equal = [peer for peer in usable if peer.conns * best.weight == best.conns * peer.weight]
        if len(equal) > 1:
            total = 0
            for peer in equal:
                peer.current_weight += peer.effective_weight
                total += peer.effective_weight
                if peer.effective_weight < peer.weight:
                    peer.effective_weight += 1
                if peer.current_weight > best.current_weight:
                    best = peer
            best.current_weight -= total
        self._tried.add(best)
        if now - best.checked > best.fail_timeout:
            best.checked = now
        return best


class IPHash(Choice):
    """The peer that the client's address stands for: of an IPv4 address its first three bytes."""

    __slots__ = ("_address", "_hash", "_hashed")

    def __init__(self, peers: Peers, u: Upstream) -> None:
        super().__init__(peers)
        address = u.r.conn.binary_remote_addr
        self._address = address[:3] if len(address) == 4 else address or b"\0\0\0"
        self._hash = 89
        self._hashed = 0

    def _best(self, now: int) -> Peer | None:
        if self._tried is None:
            self._tried = set()
        total = sum(peer.weight for peer in self._peers.peers)
        while self._hashed <= _REHASHED:
            for byte in self._address:
                self._hash = (self._hash * 113 + byte) % 6271
            left = self._hash % total
            for peer in self._peers.peers:
                if left < peer.weight:
                    break
                left -= peer.weight
            if peer not in self._tried and peer.usable(now):
                self._tried.add(peer)
                if now - peer.checked > peer.fail_timeout:
                    peer.checked = now
                return peer
            self._hashed += 1
        return super()._best(now)
