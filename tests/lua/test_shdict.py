"""``ngx.shared.DICT`` against a plain model of it, by random operations; and its memory, whatever happens to it.

What it answers to each single call is compared with the reference in ``differential/cases/shdict.py``.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import OrderedDict
from typing import Any

import pytest
from shdict_vm import START, Dictionaries

LARGE = 4 << 20


class Model:
    """A dictionary that never lacks memory: key → (value, expiry in ms or 0, flags), least recently used first."""

    def __init__(self) -> None:
        self.entries: OrderedDict[bytes, tuple[Any, float, int]] = OrderedDict()
        self.now: float = START

    def _live(self, key: bytes) -> bool:
        entry = self.entries.get(key)
        return entry is not None and not 0 < entry[1] <= self.now

    def _sweep(self) -> None:
        for _ in range(2):
            oldest = next(iter(self.entries), None)
            if oldest is None or self._live(oldest):
                return
            del self.entries[oldest]

    def _store(self, key: bytes, value: Any, ttl: float, flags: int) -> list[Any]:
        self.entries[key] = (value, self.now + int(ttl * 1000) if ttl else 0, flags)
        self.entries.move_to_end(key)
        return [True, None, False]

    def _touch(self, key: bytes) -> bool:
        if self._live(key):
            self.entries.move_to_end(key)
            return True
        return False

    def set(self, key: bytes, value: Any, ttl: float = 0, flags: int = 0) -> list[Any]:
        self._sweep()
        return self._store(key, value, ttl, flags)

    def add(self, key: bytes, value: Any, ttl: float = 0, flags: int = 0) -> list[Any]:
        self._sweep()
        if self._touch(key):
            return [False, b"exists", False]
        return self._store(key, value, ttl, flags)

    def replace(self, key: bytes, value: Any, ttl: float = 0, flags: int = 0) -> list[Any]:
        self._sweep()
        if not self._touch(key):
            return [False, b"not found", False]
        return self._store(key, value, ttl, flags)

    def delete(self, key: bytes) -> list[Any]:
        self._sweep()
        self.entries.pop(key, None)
        return [True, None, False]

    def get(self, key: bytes) -> list[Any]:
        self._sweep()
        if not self._touch(key):
            return []
        value, _, flags = self.entries[key]
        if isinstance(value, list):
            return [None, b"value is a list"]
        return [value, flags] if flags else [value]

    def incr(self, key: bytes, by: float, init: float | None = None, ttl: float = 0) -> list[Any]:
        self._sweep()
        if self._touch(key):
            value, expires, flags = self.entries[key]
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return [None, b"not a number"]
            self.entries[key] = (value + by, expires, flags)
            return [value + by] if init is None else [value + by, None, False]
        if init is None:
            return [None, b"not found"]
        self._store(key, init + by, ttl, 0)
        return [init + by, None, False]

    def push(self, key: bytes, value: Any, left: bool) -> list[Any]:
        self._sweep()
        if not self._touch(key):
            self._store(key, [], 0, 0)
        items = self.entries[key][0]
        if not isinstance(items, list):
            return [None, b"value not a list"]
        items.insert(0 if left else len(items), value)
        return [len(items)]

    def pop(self, key: bytes, left: bool) -> list[Any]:
        self._sweep()
        if not self._touch(key):
            return []
        items = self.entries[key][0]
        if not isinstance(items, list):
            return [None, b"value not a list"]
        value = items.pop(0 if left else -1)
        if not items:
            del self.entries[key]
        return [value]

    def expire(self, key: bytes, ttl: float) -> list[Any]:
        if key not in self.entries:
            return [None, b"not found"]
        value, _, flags = self.entries[key]
        self.entries[key] = (value, self.now + int(ttl * 1000) if ttl else 0, flags)
        return [True]

    def flush_expired(self) -> list[Any]:
        dead = [key for key in self.entries if not self._live(key)]
        for key in dead:
            del self.entries[key]
        return [len(dead)]

    def keys(self) -> list[bytes]:
        return [key for key in self.entries if self._live(key)]


def values(rng: random.Random) -> Any:
    """Something that can be stored, often of the same size as something else."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.random() < 0.5
    if kind == 1:
        return rng.choice([0, 1, -7, 2.5, 1e300])
    length = rng.choice([0, 1, 8, 8, 30, 100, 700, 1900, 2100, 9000])
    return bytes(rng.randrange(256) for _ in range(min(length, 40))).ljust(length, b"\0")


def step(rng: random.Random, dicts: Dictionaries, model: Model) -> tuple[str, list[Any], list[Any]]:
    """One random operation on both: what it was, and the two answers."""
    key = b"key%d" % rng.randrange(60) * rng.choice([1, 1, 1, 9])
    name = rng.choice(
        ["set", "set", "add", "replace", "delete", "get", "get", "incr", "push", "pop", "expire", "flush"]
    )
    ttl = rng.choice([0, 0, 0, 0.05, 1, 100])
    if name in ("set", "add", "replace"):
        args: tuple[Any, ...] = (key, values(rng), ttl, rng.choice([0, 0, 5]))
        return name, dicts.call("d", name, *args), getattr(model, name)(*args)
    if name == "incr":
        args = (key, rng.choice([1, -2, 0.5]), *rng.choice([(), (10,), (10, ttl)]))
        return name, dicts.call("d", name, *args), model.incr(*args)
    if name == "push":
        left, value = rng.random() < 0.5, rng.choice([1.5, b"", b"item", b"x" * 3000])
        return name, dicts.call("d", "lpush" if left else "rpush", key, value), model.push(key, value, left)
    if name == "pop":
        left = rng.random() < 0.5
        return name, dicts.call("d", "lpop" if left else "rpop", key), model.pop(key, left)
    if name == "expire":
        return name, dicts.call("d", name, key, ttl), model.expire(key, ttl)
    if name == "flush":
        return name, dicts.call("d", "flush_expired"), model.flush_expired()
    return name, dicts.call("d", name, key), getattr(model, name)(key)


@pytest.mark.parametrize("seed", range(6))
def test_model(seed: int) -> None:
    """As long as there is memory, every answer and the order of use are the model's, and the zone is sound."""
    rng = random.Random(seed)
    dicts, model = Dictionaries(d=LARGE), Model()
    for number in range(3000):
        if rng.random() < 0.2:
            model.now += rng.choice([1, 40, 60, 2000])
            dicts.clock(model.now)
        name, answer, expected = step(rng, dicts, model)
        assert answer == expected, (number, name)
        if number % 50 == 0:
            assert dicts.keys("d") == model.keys(), number
            assert dicts.check("d") == len(model.entries), number
    for key in list(model.entries):
        dicts.call("d", "delete", key)
    assert dicts.check("d") == 0
    assert dicts.call("d", "free_space") == Dictionaries(d=LARGE).call("d", "free_space")


@pytest.mark.parametrize("size", [12 << 10, 20 << 10, 64 << 10, 300_001])
def test_memory_shortage(size: int) -> None:
    """Where memory lacks, what is stored is what was stored last, values are whole, and the zone stays sound."""
    rng = random.Random(size)
    dicts = Dictionaries(d=size)
    stored: dict[bytes, Any] = {}
    forced = refused = 0
    for number in range(4000):
        key, value = b"key%d" % rng.randrange(400), values(rng)
        name = rng.choice(["set", "set", "set", "safe_set", "delete", "rpush", "lpop"])
        if name in ("set", "safe_set"):
            done, error, forcible = dicts.call("d", name, key, value)
            forced, refused = forced + forcible, refused + (not done)
            stored[key] = value if done else None
            assert done or error == b"no memory"
            assert not (forcible and name == "safe_set")
        elif name == "delete":
            dicts.call("d", name, key)
            stored[key] = None
        else:
            dicts.call("d", name, b"list", *([b"y" * rng.choice([1, 90, 900])] if name == "rpush" else []))
        probe = rng.choice(list(stored or [key]))
        found = dicts.call("d", "get", probe)
        assert not found or found == [stored[probe]], number
        if number % 40 == 0:
            dicts.check("d")
    assert forced and refused
    dicts.call("d", "flush_all")
    dicts.call("d", "flush_expired")
    assert dicts.check("d") == 0
    assert dicts.call("d", "free_space") == Dictionaries(d=size).call("d", "free_space")


def test_least_recently_used_goes_first() -> None:
    dicts = Dictionaries(d=64 << 10)
    number = 0
    while not dicts.call("d", "set", b"key%d" % number, number)[2]:
        dicts.call("d", "get", b"key0")
        number += 1
    assert dicts.call("d", "get", b"key0") == [0]
    assert dicts.call("d", "get", b"key1") == []
    assert dicts.call("d", "get", b"key%d" % number) == [number]


def test_keys_in_one_chain() -> None:
    """Keys that meet in one hash chain are told apart: here all 1,500 entries are in sixteen chains."""
    dicts = Dictionaries(d=1 << 20)
    dicts.run(b"ngx.shared.d[1].m[21] = 15")
    for number in range(1500):
        assert dicts.call("d", "set", b"%d" % number, number)[0]
    for number in range(0, 1500, 3):
        assert dicts.call("d", "delete", b"%d" % number)[0]
    for number in range(1500):
        assert dicts.call("d", "get", b"%d" % number) == ([number] if number % 3 else [])
    assert dicts.check("d") == 1000


#: What a child does until it is killed: everything that changes a zone, as fast as it goes.
_WRITER = b"""
    local rt = ...
    local d = ngx.shared.d
    for i = 1, 1e12 do
        local key = "key" .. i % 97
        d:set(key, ("v"):rep(i % 13 * 50), i % 5 == 0 and 0.001 or 0)
        d:incr("n" .. i % 7, 1, 0)
        d:rpush("list" .. i % 3, i) d:lpush("list" .. i % 3, ("x"):rep(i % 200))
        if i % 2 == 0 then d:rpop("list" .. i % 3) d:lpop("list" .. i % 3) end
        d:get("key" .. i % 31) d:delete("key" .. i % 89)
        if i % 1000 == 0 then d:flush_expired() rt.now = rt.now + 1 end
    end
"""


@pytest.mark.parametrize("size", [40 << 10, 1 << 20])
def test_killed_while_writing(size: int) -> None:
    """Processes that are killed at any moment leave no lock behind, and a zone that is sound and still has what it had."""
    dicts = Dictionaries(d=size)
    rng = random.Random(size)
    for number in range(20):
        dicts.call("d", "set", b"kept%d" % number, b"value%d" % number)
    kills = 0
    while kills < 60 or dicts.recovered == 0:
        child = os.fork()
        if child == 0:
            try:
                dicts.run(_WRITER)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.005, 0.02))
        os.kill(child, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        kills += 1
        dicts.call("d", "ttl", b"any")  # takes the lock
        dicts.check("d")
        assert kills < 3000, "no child was killed while it held the lock"
        if size > 1 << 19:
            for number in range(20):
                assert dicts.call("d", "get", b"kept%d" % number) == [b"value%d" % number]


def test_counts_of_several_processes() -> None:
    """Nothing is lost when processes write at the same time."""
    dicts = Dictionaries(d=LARGE)
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                dicts.run(b"for i = 1, 20000 do ngx.shared.d:incr('n', 1, 0) ngx.shared.d:rpush('q', i) end")
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    assert dicts.call("d", "get", b"n") == [80000]
    assert dicts.check("d") == 2
    assert dicts.call("d", "llen", b"q")[0] == 80000 or dicts.call("d", "free_space")[0] < 8192


def test_broken_off_by_an_error() -> None:
    """A Lua error while the lock is held (the stack is full) does not lock the process out."""
    dicts = Dictionaries(d=LARGE)
    overflows = dicts.run(
        b"""
        jit.off()
        local d = ngx.shared.d
        local count = 0
        for extra = 1, 6 do
            local function deep(n) d:set("k" .. n % 50, n) d:rpush("l", n) d:lpop("l") return 1 + deep(n + 1) end
            local function pad(...) return 1 + deep(1) end
            if not pcall(pad, unpack({}, 1, extra)) then count = count + 1 end
        end
        return count
    """
    )
    assert overflows == 6 and dicts.recovered > 0
    dicts.call("d", "set", b"after", 1)
    assert dicts.call("d", "get", b"after") == [1]
    dicts.check("d")
