"""least_conn while requests are under way, and random.

https://nginx.org/en/docs/http/ngx_http_upstream_module.html#least_conn
"""

from __future__ import annotations

import random
import socket
from collections import Counter

import pytest

from pyresty.upstream.address import inet_address
from pyresty.upstream.balancing import DRAWS, LeastConn, Random, RandomTwo
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


class _Drawn:
    """Stands for ``random.randrange``: the numbers that come next, each checked to be possible."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = iter(numbers)

    def __call__(self, end: int) -> int:
        number = next(self.numbers)
        assert number < end
        return number


def test_random_goes_by_weight() -> None:
    peers = _peers(1, 3, 4)
    random.seed(1)
    names = Counter(choice.peer.name[-2:] for _ in range(4000) if (choice := Random(peers)).get(100) and choice.peer)
    assert names.keys() == {b"80", b"81", b"82"}
    assert all(abs(names[name] - expected) < 150 for name, expected in ((b"80", 500), (b"81", 1500), (b"82", 2000)))


def test_random_draws_again_where_a_peer_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "randrange", _Drawn([0, 0, 0, 4]))
    peers = _peers(1, 3, 1)
    choice = Random(peers)
    assert choice.get(100) is peers.peers[0]
    choice.free(True, 100)
    assert choice.get(100) is peers.peers[2]


def test_after_too_many_draws_it_is_round_robins_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "randrange", _Drawn([0] * (DRAWS + 1)))
    peers = _peers(1, 1)
    peers.peers[0].down = True
    assert Random(peers).get(100) is peers.peers[1]


@pytest.mark.parametrize(("drawn", "chosen"), [([0, 1], 1), ([1, 0], 1), ([0, 0, 2], 2), ([1, 2], 2), ([2, 1], 1)])
def test_of_two_random_peers_the_less_busy_one(monkeypatch: pytest.MonkeyPatch, drawn: list[int], chosen: int) -> None:
    monkeypatch.setattr(random, "randrange", _Drawn(drawn))
    peers = _peers(1, 1, 1)
    peers.peers[0].conns = 1
    assert RandomTwo(peers).get(100) is peers.peers[chosen]  # of two that are equal, the second


def test_one_random_peer_of_two_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "randrange", _Drawn([0, 1] * DRAWS))
    peers = _peers(1, 1)
    peers.peers[0].down = True
    assert RandomTwo(peers).get(100) is peers.peers[1]
