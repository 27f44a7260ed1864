"""ngx.sleep and the clock: https://github.com/openresty/lua-nginx-module#ngxtime"""

from __future__ import annotations

import asyncio
from typing import Any

from ...http.request import Request


async def sleep(r: Request, seconds: float) -> tuple[Any, ...]:
    """``ngx.sleep(seconds)``; resolution is a millisecond."""
    await asyncio.sleep(round(seconds, 3))
    return ()


async def yield_(r: Request) -> tuple[Any, ...]:
    """``coroutine.yield()`` in the handler itself: let others run."""
    await asyncio.sleep(0)
    return ()


OPERATIONS = {"sleep": sleep, "yield": yield_}
