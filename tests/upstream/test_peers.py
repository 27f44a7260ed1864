from __future__ import annotations

from collections import Counter

from pyresty.upstream.address import Address
from pyresty.upstream.peers import Choice, Peer, Peers


def peer(
    name: str, weight: int = 1, max_fails: int = 1, fail_timeout: int = 10, max_conns: int = 0, down: bool = False
) -> Peer:
    return Peer(Address(2, (name, 80), name.encode()), weight, max_fails, fail_timeout, max_conns, down)


def ask(peers: Peers, now: int = 100) -> str:
    """One request that goes well; the name of its peer, "-" for none."""
    choice = Choice(peers)
    found = choice.get(now)
    if found is None:
        return "-"
    choice.free(False, now)
    return found.name.decode()


def test_equal_weights_take_turns() -> None:
    peers = Peers(b"u", [peer("a"), peer("b"), peer("c")])
    assert [ask(peers) for _ in range(7)] == list("abcabca")


def test_weights_are_mixed_smoothly() -> None:
    peers = Peers(b"u", [peer("a", weight=5), peer("b"), peer("c")])
    assert "".join(ask(peers) for _ in range(14)) == "aabacaa" * 2


def test_a_failed_peer_is_left_alone_for_its_timeout() -> None:
    peers = Peers(b"u", [peer("a", fail_timeout=10), peer("b")])
    choice = Choice(peers)
    first = choice.get(100)
    assert first is not None and first.name == b"a"
    assert choice.free(True, 100)
    assert choice.tries == 1
    second = choice.get(100)
    assert second is not None and second.name == b"b"
    assert not choice.free(False, 100)
    assert choice.tries == 0
    assert {ask(peers, 105) for _ in range(4)} == {"b"}
    assert {ask(peers, 110) for _ in range(4)} == {"b"}
    assert "a" in [ask(peers, 111) for _ in range(4)]


def test_it_takes_max_fails_failures() -> None:
    peers = Peers(b"u", [peer("a", max_fails=2), peer("b", max_fails=0)])
    for expected in (False, True):
        choice = Choice(peers)
        while (found := choice.get(100)) is not None and found.name != b"a":
            choice.free(False, 100)
            choice = Choice(peers)
        assert choice.free(True, 100) is expected


def test_without_max_fails_a_peer_is_never_disabled() -> None:
    peers = Peers(b"u", [peer("a", max_fails=0), peer("b", max_fails=0)])
    for _ in range(10):
        choice = Choice(peers)
        choice.get(100)
        assert not choice.free(True, 100)
    assert {ask(peers) for _ in range(4)} == {"a", "b"}


def test_a_request_asks_no_peer_twice() -> None:
    choice = Choice(Peers(b"u", [peer("a", max_fails=0), peer("b", max_fails=0)]))
    asked = []
    while (found := choice.get(100)) is not None:
        asked.append(found.name)
        choice.free(True, 100)
    assert sorted(asked) == [b"a", b"b"]


def test_backups_are_asked_last() -> None:
    peers = Peers(b"u", [peer("a"), peer("b")], [peer("c"), peer("d")])
    assert {ask(peers) for _ in range(6)} == {"a", "b"}
    choice = Choice(peers)
    assert choice.tries == 4
    asked = []
    while (found := choice.get(100)) is not None:
        asked.append(found.name)
        choice.free(True, 100)
    assert asked[2:] == [b"c", b"d"]
    assert choice.tries == 0


def test_a_single_peer_is_asked_whatever_happened() -> None:
    peers = Peers(b"u", [peer("a")])
    for _ in range(5):
        choice = Choice(peers)
        assert choice.get(100) is not None
        assert not choice.free(True, 100)
        assert choice.tries == 0


def test_down_peers_get_nothing() -> None:
    peers = Peers(b"u", [peer("a", down=True), peer("b")])
    assert peers.tries == 1
    assert {ask(peers) for _ in range(4)} == {"b"}
    assert ask(Peers(b"u", [peer("a", down=True)])) == "-"


def test_max_conns_limits_what_is_open_at_once() -> None:
    peers = Peers(b"u", [peer("a", max_conns=1), peer("b", max_conns=2)])
    open_ = [Choice(peers) for _ in range(4)]
    names = Counter(found.name if found is not None else b"-" for found in (choice.get(100) for choice in open_))
    assert names == {b"a": 1, b"b": 2, b"-": 1}
    open_[0].free(False, 100)
    assert ask(peers) != "-"
