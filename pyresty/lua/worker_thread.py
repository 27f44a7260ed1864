"""``ngx.run_worker_thread``: Lua that computes beside the event loop.

The one idea: a task has a LuaJIT VM of its own for as long as it runs, in a Python thread; Lua lets go of Python's lock
while it runs, so the loop goes on. What goes in and comes out is LuaJIT's serialised form of the values: bytes.

https://github.com/openresty/lua-nginx-module#ngxrun_worker_thread
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

import lupa

with lupa.allow_lua_module_loading():
    from lupa import luajit21

from .shdict import chains

if TYPE_CHECKING:
    from .vm import LuaVM

#: The groups of the API that are there, of those in ``vm.py``.
GROUPS = (
    "constants", "worker_thread_copy", "clock", "args", "codec", "config", "shdict_memory", "shdict_table", "shdict_lock",
    "shdict", "shdict_list", "shdict_zone", "worker_thread_call",
)  # fmt: skip


class TaskVM:
    """A VM for tasks, one at a time. ``path`` and ``cpath`` are those of the worker's VM."""

    r = None
    context = b"ngx.run_worker_thread"

    def __init__(self, vm: LuaVM, path: bytes, cpath: bytes, runtime_folder: str, lualib: str) -> None:
        self.config = vm.config
        self.prefix = vm.prefix
        lua = luajit21.LuaRuntime(encoding=None, unpack_returned_tuples=True, register_eval=False)
        rt = lua.execute(b"local rt = { py = {}, ops = {} }; python = nil; package.loaded.python = nil; return rt")
        for group in ("codec", "config", "shdict"):
            functions: dict[str, Callable[..., Any]] = import_module(f"{__package__}.api.{group}").functions(self)
            for name, function in functions.items():
                rt[b"py"][name.encode()] = function
        load = lua.eval(
            b"function(rt, source) local fn, err = load(source, '=(pyresty)') if not fn then error(err) end fn(rt) end"
        )
        for group in ("ngx", *GROUPS):
            with open(os.path.join(runtime_folder, group + ".lua"), "rb") as f:
                load(rt, f.read())
        package = lua.globals()[b"package"]
        ours = os.fsencode(lualib)
        package[b"path"] = b"%s;%s/?.lua;%s/?/init.lua" % (path, ours, ours)
        package[b"cpath"] = cpath
        for name, zone in vm.config.shared_memory.items():
            rt[b"add_dictionary"](name.encode("utf-8", "surrogateescape"), zone.address, zone.size, chains(zone.size))
        self._call: Callable[[bytes, bytes, int, bytes], Any] = rt[b"call"]
        self._tidy: Callable[[], Any] = rt[b"tidy"]
        self._runtime = lua

    def run(self, *task: Any) -> Any:
        """Call a module's function. What it leaves behind, its results among it, does not stay in an idle VM."""
        results = self._call(*task)
        self._tidy()
        return results


class Pool:
    """The threads of one ``thread_pool``."""

    def __init__(self, threads: int, max_queue: int) -> None:
        self.executor = ThreadPoolExecutor(threads)
        self.max_queue = max_queue
        self.threads = threads
        self.tasks = 0


class WorkerThreads:
    """The thread pools and VMs of one worker process."""

    def __init__(self, vm: LuaVM, runtime_folder: str, lualib: str) -> None:
        self._vm = vm
        self._folders = runtime_folder, lualib
        self._pools: dict[bytes, Pool] = {}
        self._idle: list[TaskVM] = []
        self._made = 0
        self._lock = threading.Lock()

    def known(self, name: bytes) -> bool:
        """Whether there is such a ``thread_pool``."""
        return name in self._settings.pools

    @property
    def _settings(self) -> Any:
        return self._vm.config.main["worker_thread"]

    def _pool(self, name: bytes) -> Pool:
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = Pool(*self._settings.pools[name])
        return pool

    def _take_vm(self, path: bytes, cpath: bytes) -> TaskVM | None:
        if self._idle:
            return self._idle.pop()
        if self._made >= self._settings.vm_pool_size:
            return None
        task_vm = TaskVM(self._vm, path, cpath, *self._folders)
        self._made += 1
        return task_vm

    def submit(
        self, name: bytes, paths: tuple[bytes, bytes], module: bytes, function: bytes, count: int, data: bytes
    ) -> Future[Any] | bytes:
        """Start a task: what to wait for, or why there is no task. The future's result is ``ok, count or message, data``."""
        pool = self._pool(name)
        task_vm = self._take_vm(*paths)
        if task_vm is None:
            return b"no available Lua vm"
        with self._lock:
            full = pool.tasks - pool.threads >= pool.max_queue
            pool.tasks += not full
        if full:
            self._idle.append(task_vm)
            return b"ngx_thread_task_post failed"

        def over(_: Future[Any]) -> None:
            # in whichever thread ends or cancels it
            with self._lock:
                pool.tasks -= 1
            self._idle.append(task_vm)

        future = pool.executor.submit(task_vm.run, module, function, count, data)
        future.add_done_callback(over)
        return future

    def close(self) -> None:
        """Let running tasks end, as nginx does when a worker ends; what only waits is dropped."""
        for pool in self._pools.values():
            pool.executor.shutdown(wait=True, cancel_futures=True)
