"""The clock, dates and ngx.sleep: https://github.com/openresty/lua-nginx-module#ngxtime"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http import dates
from ...http.request import Request

if TYPE_CHECKING:
    from ..vm import LuaVM


async def sleep(r: Request, ms: float) -> tuple[Any, ...]:
    """``ngx.sleep(seconds)``; resolution is a millisecond."""
    await asyncio.sleep(ms / 1000)
    return ()


async def yield_(r: Request) -> tuple[Any, ...]:
    """``coroutine.yield()`` in the handler itself: let others run."""
    await asyncio.sleep(0)
    return ()


class Clock:
    """The time as the worker sees it: it stands still while an iteration of the event loop lasts."""

    __slots__ = ("_iteration", "_vm", "seconds")

    def __init__(self, vm: LuaVM) -> None:
        self._vm = vm
        self._iteration = -1.0
        self.seconds = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        worker = self._vm.config.worker
        if worker is None:
            return time.time()
        iteration = worker.loop.time()
        if iteration != self._iteration:
            self._iteration = iteration
            self.seconds = time.time()
        elif self._vm.r is not None and self._vm.r.start > self.seconds:
            self.seconds = self._vm.r.start
        return self.seconds

    def update(self) -> None:
        """Look at the clock again."""
        self.seconds = time.time()


def _seconds(number: float) -> int:
    """A number of Lua's as whole seconds; what is no number, or out of range, is at the end of the range."""
    try:
        return int(number)
    except (ValueError, OverflowError):
        return 0 if number != number or number < 0 else 1 << 60


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    clock = Clock(vm)
    now = clock.now

    def update_time() -> tuple[()]:
        """``ngx.update_time()``."""
        now()
        clock.update()
        return ()

    def text(form: str, convert: Callable[[float], time.struct_time]) -> Callable[..., bytes]:
        """A function that gives the current time in the form of ``strftime``, made once a second."""
        made, kept = -1, b""

        def current() -> bytes:
            nonlocal made, kept
            second = int(now())
            if second != made:
                made, kept = second, time.strftime(form, convert(second)).encode()
            return kept

        return current

    return {
        "time": lambda: int(now()),
        "now": lambda: int(now() * 1000) / 1000,
        "today": text("%Y-%m-%d", time.localtime),
        "localtime": text("%Y-%m-%d %H:%M:%S", time.localtime),
        "utctime": text("%Y-%m-%d %H:%M:%S", time.gmtime),
        "update_time": update_time,
        "http_time": lambda seconds: dates.http_time(_seconds(seconds)),
        "cookie_time": lambda seconds: dates.cookie_time(_seconds(seconds)),
        "parse_http_time": dates.parse_http_time,
    }


OPERATIONS = {"sleep": sleep, "yield": yield_}
