from __future__ import annotations

from pyresty.upstream.pool import KeepalivePool


class Kept:
    """A connection as far as the pool is concerned."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.pool: KeepalivePool | None = None
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_the_connection_used_last_comes_first() -> None:
    pool = KeepalivePool()
    first, second = Kept(b"a"), Kept(b"a")
    pool.put(first)
    pool.put(second)
    assert len(pool) == 2
    assert pool.get(b"a") is second
    assert second.pool is None
    assert pool.get(b"a") is first
    assert pool.get(b"a") is None


def test_peers_are_kept_apart() -> None:
    pool = KeepalivePool()
    a, b = Kept(b"a"), Kept(b"b")
    pool.put(a)
    pool.put(b)
    assert pool.get(b"c") is None
    assert pool.get(b"a") is a
    assert pool.get(b"b") is b


def test_the_oldest_is_closed_when_there_are_too_many() -> None:
    pool = KeepalivePool(size=2)
    kept = [Kept(b"a"), Kept(b"b"), Kept(b"a")]
    for one in kept:
        pool.put(one)
    assert [one.closed for one in kept] == [True, False, False]
    assert len(pool) == 2
    assert pool.get(b"a") is kept[2]
    assert pool.get(b"a") is None


def test_a_connection_that_closes_is_forgotten() -> None:
    pool = KeepalivePool()
    kept = [Kept(b"a"), Kept(b"a"), Kept(b"b")]
    for one in kept:
        pool.put(one)
    pool.remove(kept[1])
    assert kept[1].pool is None
    assert pool.get(b"a") is kept[0]
    pool.remove(kept[2])
    assert len(pool) == 0


def test_close_closes_all() -> None:
    pool = KeepalivePool()
    kept = [Kept(b"a"), Kept(b"b")]
    for one in kept:
        pool.put(one)
    pool.close()
    assert all(one.closed for one in kept)
    assert len(pool) == 0
