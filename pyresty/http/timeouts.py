"""Timeouts of thousands of connections on one timer.

A connection's deadline moves with every request, so a timer of the loop for each would cost more than the request. Instead each
connection sits in one bucket of a wheel, and only moves when the bucket's time has come and its deadline turns out to be later.
Setting a deadline is therefore one assignment. The resolution is ``TICK`` seconds.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

#: Seconds between two looks at the wheel.
TICK = 0.1

NEVER = float("inf")


class Timed(Protocol):
    """What the wheel holds.

    ``deadline`` is in seconds of ``loop.time()``, ``bucket`` is the wheel's own, and ``on_deadline`` is called when it is past.
    """

    deadline: float
    bucket: int

    def on_deadline(self) -> None: ...


class Wheel:
    """The connections of one worker by the tick at which to look at them again."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, set[Timed]] = {}
        self._last = int(loop.time() / TICK)
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, item: Timed, deadline: float) -> None:
        """Set the deadline; cheap when the item is already watched for an earlier or equal time."""
        item.deadline = deadline
        if deadline == NEVER:
            return
        tick = int(deadline / TICK) + 1
        if 0 < item.bucket <= tick:
            return
        self.forget(item)
        self._put(item, tick)

    def forget(self, item: Timed) -> None:
        """Take the item out (its connection is closed)."""
        if item.bucket:
            bucket = self._buckets.get(item.bucket)
            if bucket is not None:
                bucket.discard(item)
            item.bucket = 0

    def _put(self, item: Timed, tick: int) -> None:
        tick = max(tick, self._last + 1)
        item.bucket = tick
        self._buckets.setdefault(tick, set()).add(item)
        if self._timer is None:
            self._last = max(self._last, int(self._loop.time() / TICK))
            self._timer = self._loop.call_later(TICK, self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        tick = int(now / TICK)
        due = [t for t in self._buckets if t <= tick]
        self._last = tick
        for t in due:
            for item in self._buckets.pop(t):
                item.bucket = 0
                if item.deadline <= now:
                    item.on_deadline()
                elif item.deadline != NEVER:
                    self._put(item, int(item.deadline / TICK) + 1)
        self._timer = self._loop.call_later(TICK, self._turn) if self._buckets else None
