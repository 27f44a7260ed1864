"""One LuaJIT VM per worker, and the border between it and Python.

Across the border go bytes, numbers, booleans, None and flat tuples of them, nothing else: a Lua table or function that Python keeps
after the coroutine that passed it has died would crash the process. The only Lua objects that Python holds are the dispatcher's
functions below, made at start-up in the main state. Python functions that Lua calls never raise; they return a code or
``(None, message)``, and the Lua side raises, so that messages carry the user's file and line.

While Lua runs, ``vm.r`` is the request it runs for; that is how Python functions know, without an object crossing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import lupa

with lupa.allow_lua_module_loading():
    from lupa import luajit21

from ..http.request import Request
from ..process.logs import DEBUG
from .code import CodeLoader, ours_first

if TYPE_CHECKING:
    from ..config.build import Config
    from .pipe import Process
    from .timers import Timers
    from .worker_thread import WorkerThreads

RUNTIME = os.path.join(os.path.dirname(__file__), "runtime")
LUALIB = os.path.join(os.path.dirname(os.path.dirname(__file__)), "lualib")

#: The groups of the API, in the order they are loaded: api/NAME.py (where there is one) and runtime/NAME.lua.
GROUPS = (
    "coroutine", "constants", "log", "output", "var", "args", "codec", "header", "req", "req_body", "clock", "time", "location",
    "shdict_memory", "shdict_table", "shdict_lock", "shdict", "shdict_list", "shdict_zone", "control", "filter", "thread", "timer",
    "semaphore", "config", "ndk", "socket_io", "socket", "socket_udp", "req_socket", "socket_tls", "proxy_ssl", "ssl", "balancer",
    "worker_thread_copy", "worker_thread", "modules", "errlog", "process", "pipe", "re_pcre2", "re", "re_sub",
)  # fmt: skip

#: An operation that Lua asks for: ``op(r, *args)`` gives the tuple of results, or something to await that does.
Operation = Callable[..., Any]


class LuaVM:
    """The VM with the ngx API in it. ``config`` is the configuration whose code it runs."""

    timers: Timers
    worker_threads: WorkerThreads
    processes: dict[int, Process]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.r: Request | None = None
        self.context = b"init_by_lua*"
        self.set_args: tuple[bytes, ...] = ()
        self.queued: list[
            tuple[int, int, tuple[Any, ...]]
        ] = []  #: what light threads ask for: thread, operation, arguments
        self.prefix = config.prefix.rstrip("/").encode() + b"/"
        self.code = CodeLoader(LUALIB)
        self._killed: dict[int, str] = {}
        self.functions: dict[str, Callable[..., Any]] = {}
        self.ops: list[Operation] = [_reserved]
        numbers: dict[str, int] = {}
        for group in GROUPS:
            if os.path.exists(os.path.join(os.path.dirname(__file__), "api", group + ".py")):
                module = import_module(f"{__package__}.api.{group}")
                for name, op in getattr(module, "OPERATIONS", {}).items():
                    numbers[name] = len(self.ops)
                    self.ops.append(op)
                for name, message in getattr(module, "KILLED", {}).items():
                    self._killed[numbers[name]] = message
                if hasattr(module, "functions"):
                    self.functions.update(module.functions(self))
        self.functions["module"] = self.code.module
        self.functions["forget_module"] = self.code.forget_module
        self.functions["bundled"] = self.code.bundled
        self.functions["ours_first"] = ours_first
        self.runtime = luajit21.LuaRuntime(encoding=None, unpack_returned_tuples=True, register_eval=False)
        self._boot(numbers)

    def _boot(self, numbers: dict[str, int]) -> None:
        lua = self.runtime
        rt = lua.execute(b"local rt = { py = {}, ops = {} }; python = nil; package.loaded.python = nil; return rt")
        for name, function in self.functions.items():
            rt[b"py"][name.encode()] = function
        for name, number in numbers.items():
            rt[b"ops"][name.encode()] = number
        load = lua.eval(
            b"function(rt, source, name) local fn, err = load(source, name) if not fn then error(err) end fn(rt) end"
        )
        for name in ("scheduler", "loader", "ngx", *GROUPS):
            path = os.path.join(RUNTIME, name + ".lua")
            with open(path, "rb") as f:
                load(rt, f.read(), b"=(pyresty)" if not os.environ.get("PYRESTY_LUA_NAMES") else b"@" + path.encode())
        self._rt = rt
        self.start = rt[b"start"]
        self.start_content = rt[b"start_content"]
        self.start_last = rt[b"start_last"]
        self.resume = rt[b"resume"]
        self.start_filtered = rt[b"start_filtered"]
        self.header_filter = rt[b"header_filter"]
        self.body_filter = rt[b"body_filter"]
        self.cancel = rt[b"cancel"]
        self.adopt = rt[b"adopt"]
        self.counts = rt[b"counts"]
        self.end_group = rt[b"end_group"]
        self.output_failed = rt[b"output_failed"]
        self.client_aborted = rt[b"client_aborted"]
        self.start_timer = rt[b"start_timer"]
        self.drop_timer = rt[b"drop_timer"]
        self.add_dictionary = rt[b"add_dictionary"]
        self._release = rt[b"release"]
        self._compile = rt[b"compile"]
        self._guard = rt[b"guard_globals"]
        self.set_init = rt[b"set_init"]
        self.keep_globals = rt[b"keep_globals"]
        package = lua.globals()[b"package"]
        self.default_path = bytes(package[b"path"])
        self.default_cpath = bytes(package[b"cpath"])

    def compile(self, number: int, source: bytes, name: bytes, factory: bool) -> bytes | None:
        """Compile a chunk under ``number``; returns LuaJIT's message if it doesn't compile."""
        error: bytes | None = self._compile(number, source, name, factory)
        return error

    def set_paths(self, path: bytes | None, cpath: bytes | None) -> None:
        """Set ``package.path`` and ``package.cpath`` where the configuration gives them."""
        package = self.runtime.globals()[b"package"]
        if path is not None:
            package[b"path"] = path
        if cpath is not None:
            package[b"cpath"] = cpath

    def guard_globals(self) -> None:
        """From now on new globals are warned of (``lua_code_cache on``, after init)."""
        self._guard()

    def killed(self, op: int) -> None:
        """The thread that waited for operation ``op`` is not to be resumed: say so in the log where OpenResty does (level debug)."""
        message = self._killed.get(op)
        if message is not None:
            self.config.error_log.write(DEBUG, message)

    def asked(self, op: Operation, first: Any) -> bool:
        """Whether a light thread has asked for ``op`` with this first argument, and Lua has not returned since."""
        return any(self.ops[number] is op and args[0] == first for _, number, args in self.queued)

    def forget(self, state: int) -> None:
        """Forget the state of code that belonged to no request."""
        self._release(state)

    def release(self, r: Request) -> None:
        """Forget the Lua side's state of a request that has ended."""
        if r.lua:
            self._release(r.lua)
            r.lua = 0


async def _reserved(r: Request) -> tuple[()]:
    raise AssertionError("operation 0 does not exist")
