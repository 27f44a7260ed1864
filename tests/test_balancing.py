"""least_conn while requests are under way. https://nginx.org/en/docs/http/ngx_http_upstream_module.html#least_conn"""

from __future__ import annotations

import socket

from pyresty.upstream.address import inet_address
from pyresty.upstream.balancing import LeastConn
from pyresty.upstream.peers import Peer, Peers


def _peers(*weights: int, max_conns: int = 0) -> Peers:
    addresses = [inet_address(socket.AF_INET, "127.0.0.1", 80 + number) for number in range(len(weights))]
    made = [Peer(address, weight, max_conns=max_conns) for address, weight in zip(addresses, weights, strict=True)]
    return Peers(b"test", made)


def _ask(peers: Peers, times: int) -> list[LeastConn]:
    choices = [LeastConn(peers) for _ in range(times)]
    for choice in choices:
        choice.get(100)
    return choices


def test_the_peer_with_the_fewest_connections_is_asked() -> None:
    peers = _peers(1, 1, 1)
    busy = _ask(peers, 3)
    assert [peer.conns for peer in peers.peers] == [1, 1, 1]
    freed = busy[1].peer
    assert freed is not None
    busy[1].free(False, 100)
    assert _ask(peers, 1)[0].peer is freed


def test_connections_are_counted_by_weight() -> None:
    peers = _peers(1, 3)
    _ask(peers, 8)
    assert [peer.conns for peer in peers.peers] == [2, 6]


def test_max_conns() -> None:
    peers = _peers(1, 1, max_conns=1)
    assert [choice.peer is None for choice in _ask(peers, 3)] == [False, False, True]
