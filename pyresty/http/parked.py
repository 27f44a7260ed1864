"""A wait that costs neither a future nor a task.

The one idea: whoever steps a request's coroutine (``phases.start``) gets the Parked object that it waits for, leaves a
function there, and the event that ends the wait calls it: the coroutine goes on inside that event's callback. Inside a
task, where only futures can be awaited, a future takes its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any


class Parked:
    """What one waits for, again and again, one at a time: ``await parked``, until somebody calls ``wake``."""

    __slots__ = ("_future", "resume")

    def __init__(self) -> None:
        self.resume: Callable[[], None] | None = None  #: left by whoever steps the coroutine
        self._future: asyncio.Future[None] | None = None

    def __await__(self) -> Generator[Any, None, None]:
        if asyncio.current_task() is None:
            yield self
        else:
            yield from self.future()

    def future(self) -> asyncio.Future[None]:
        """The wait as a future."""
        self._future = asyncio.get_running_loop().create_future()
        return self._future

    def wake(self) -> None:
        """End the wait, if there is one. What waited may run before this returns."""
        resume = self.resume
        if resume is not None:
            self.resume = None
            resume()
        elif self._future is not None:
            future, self._future = self._future, None
            if not future.done():
                future.set_result(None)
