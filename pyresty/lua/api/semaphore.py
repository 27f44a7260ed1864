"""ngx.semaphore: https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/semaphore.md"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request

if TYPE_CHECKING:
    from ..vm import LuaVM

#: The futures of the threads that wait, by the number that the Lua side gave them.
_waiting: dict[int, asyncio.Future[None]] = {}
#: Those that were let pass before their waiting began.
_woken: set[int] = set()


async def semaphore_wait(r: Request, number: int, ms: float) -> tuple[Any, ...]:
    """Wait at most ``ms`` milliseconds; False if nobody has posted by then."""
    if number in _woken:
        _woken.discard(number)
        return (True,)
    future = _waiting[number] = r.conn.loop.create_future()
    try:
        await asyncio.wait_for(future, ms / 1000)
    except asyncio.TimeoutError:
        return (False,)
    finally:
        _waiting.pop(number, None)
    return (True,)


def semaphore_wake(number: int) -> None:
    """Let the thread pass."""
    future = _waiting.pop(number, None)
    if future is None:
        _woken.add(number)
    elif not future.done():
        future.set_result(None)


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    return {"semaphore_wake": semaphore_wake, "semaphore_waits": lambda number: number in _waiting}


OPERATIONS = {"semaphore_wait": semaphore_wait}
