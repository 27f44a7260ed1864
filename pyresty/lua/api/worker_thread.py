"""ngx.run_worker_thread: https://github.com/openresty/lua-nginx-module#ngxrun_worker_thread"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ..worker_thread import WorkerThreads

if TYPE_CHECKING:
    from ..vm import LuaVM


def run_worker_thread(
    r: Request, pool: bytes, path: bytes, cpath: bytes, module: bytes, function: bytes, count: float, data: bytes
) -> Any:
    """Run a function of a module in a thread: True, the number of results and the results; or False and a message."""
    threads: WorkerThreads = r.server.config.lua.worker_threads
    future = threads.submit(pool, (path, cpath), module, function, int(count), data)
    if isinstance(future, bytes):
        return False, future
    return asyncio.wrap_future(future, loop=r.conn.loop)


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    from ..vm import LUALIB, RUNTIME

    vm.worker_threads = WorkerThreads(vm, RUNTIME, LUALIB)

    async def close(worker: Any) -> None:
        vm.worker_threads.close()

    vm.config.worker_exit.append(close)
    return {"thread_pool_known": vm.worker_threads.known}


OPERATIONS = {"run_worker_thread": run_worker_thread}
