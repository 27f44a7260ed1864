"""Which of several servers gets a request: nginx's smooth weighted round robin, with failures and backup servers.

The one idea: every peer carries a running weight. Each choice adds its own weight to each, takes the highest, and takes
the sum off the one chosen; so over time peers are chosen in proportion to their weights, evenly mixed. A failure lowers
a peer's effective weight, which then recovers by one with each choice.

Rules: ``ngx_http_upstream_round_robin.c``; https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server. Times
are whole seconds, as nginx counts them here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .address import Address

if TYPE_CHECKING:
    from .exchange import Upstream

    #: Another way of choosing than round robin: makes the Choice for a request.
    Balancer = Callable[["Peers", Upstream], "Choice"]


class Peer:
    """One address of one ``server``, and how it has behaved. State is the worker's own."""

    __slots__ = (
        "accessed", "address", "checked", "conns", "current_weight", "down", "effective_weight", "fail_timeout",
        "fails", "max_conns", "max_fails", "name", "server", "weight",
    )  # fmt: skip

    def __init__(
        self,
        address: Address,
        weight: int = 1,
        max_fails: int = 1,
        fail_timeout: int = 10,
        max_conns: int = 0,
        down: bool = False,
        server: bytes = b"",
    ) -> None:
        self.address = address
        self.name = address.name
        self.server = server  #: as the directive ``server`` names it
        self.weight = weight
        self.effective_weight = weight
        self.current_weight = 0
        self.max_fails = max_fails
        self.fail_timeout = fail_timeout
        self.max_conns = max_conns
        self.down = down
        self.conns = 0
        self.fails = 0
        self.accessed = 0
        self.checked = 0

    def usable(self, now: int) -> bool:
        """Whether it may be asked: it is up, has not just failed, and has not too many connections."""
        if self.down or (self.max_fails and self.fails >= self.max_fails and now - self.checked <= self.fail_timeout):
            return False
        return not self.max_conns or self.conns < self.max_conns


class Peers:
    """The peers of an upstream; ``backup`` are those that are asked when none of these will do."""

    __slots__ = ("backup", "balancer", "name", "peers", "single", "total_weight", "tries")

    def __init__(self, name: bytes, peers: list[Peer], backup: list[Peer] | None = None) -> None:
        self.name = name
        self.peers = peers
        self.backup: Peers | None = None
        self.balancer: Balancer | None = None
        self.single = len(peers) == 1 and not backup
        self.total_weight = sum(peer.weight for peer in peers)
        if backup:
            self.backup = Peers(name, backup)
            self.backup.single = False
        self.tries: int = sum(not peer.down for peer in peers) + (self.backup.tries if self.backup is not None else 0)


def smoothest(peers: list[Peer]) -> Peer | None:
    """The peer whose turn it is among ``peers``; None if there are none."""
    best: Peer | None = None
    total = 0
    for peer in peers:
        peer.current_weight += peer.effective_weight
        total += peer.effective_weight
        if peer.effective_weight < peer.weight:
            peer.effective_weight += 1
        if best is None or peer.current_weight > best.current_weight:
            best = peer
    if best is not None:
        best.current_weight -= total
    return best


class Choice:
    """The way of one request through the peers.

    ``tries`` is how many may still be asked; ``peer`` the one that is being asked.
    """

    __slots__ = ("_peers", "_tried", "peer", "tries")

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._tried: frozenset[Peer] = frozenset()
        self.tries = peers.tries
        self.peer: Peer | None = None

    @property
    def name(self) -> bytes:
        """The name of the upstream."""
        return self._peers.name

    def get(self, now: int) -> Peer | None:
        """The next peer to ask; None if there is no live one. nginx: ``ngx_http_upstream_get_round_robin_peer``."""
        peers = self._peers
        if peers.single:
            peer: Peer | None = peers.peers[0]
            assert peer is not None
            if peer.down or (peer.max_conns and peer.conns >= peer.max_conns):
                peer = None
        else:
            peer = self._best(now)
            if peer is not None:
                self._tried |= {peer}
                if now - peer.checked > peer.fail_timeout:
                    peer.checked = now
            elif peers.backup is not None:
                self._peers = peers.backup
                self._tried = frozenset()
                return self.get(now)
        self.peer = peer
        if peer is not None:
            peer.conns += 1
        return peer

    def _usable(self, now: int) -> list[Peer]:
        """The peers that this request may still ask."""
        tried = self._tried
        return [peer for peer in self._peers.peers if peer not in tried and peer.usable(now)]

    def _best(self, now: int) -> Peer | None:
        """The one to ask; other ways of choosing differ in this."""
        return smoothest(self._usable(now))

    def cached_failed(self) -> None:
        """What has failed was a kept connection: the peer may be all right, so this was no try."""
        self.tries += 1

    def free(self, failed: bool, now: int) -> bool:
        """The peer has been asked. True if this failure has disabled it for a while (nginx logs that).

        nginx: ``ngx_http_upstream_free_round_robin_peer``. A single peer is never disabled.
        """
        peer = self.peer
        assert peer is not None
        self.peer = None
        peer.conns -= 1
        if self._peers.single:
            peer.fails = 0
            self.tries = 0
            return False
        disabled = False
        if failed:
            peer.fails += 1
            peer.accessed = peer.checked = now
            if peer.max_fails:
                peer.effective_weight = max(0, peer.effective_weight - peer.weight // peer.max_fails)
                disabled = peer.fails >= peer.max_fails
        elif peer.accessed < peer.checked:
            peer.fails = 0
        if self.tries:
            self.tries -= 1
        return disabled
