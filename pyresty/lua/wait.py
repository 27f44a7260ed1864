"""Waiting for something, but not for ever: a future whose result is whether it has happened in time."""

from __future__ import annotations

import asyncio


def wake(waiter: asyncio.Future[bool], happened: bool = True) -> None:
    """Give the future its result, if it has none."""
    if not waiter.done():
        waiter.set_result(happened)


async def within(waiter: asyncio.Future[bool], seconds: float | None) -> bool:
    """Wait for ``wake``, ``seconds`` at most, or with None for as long as it takes; whether it came."""
    timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, wake, waiter, False)
    try:
        return await waiter
    finally:
        if timer is not None:
            timer.cancel()
