"""Starts Lua for a configuration: makes the VM in the master, runs ``init_by_lua*`` there and ``init_worker_by_lua*`` in each worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..process.logs import ERR
from .vm import LuaVM

if TYPE_CHECKING:
    from ..config.build import Builder, Config
    from .handlers import Code


def start_lua(cf: Builder, main: Any) -> None:
    """Make the VM for ``cf.config`` and register what has to run when processes start. ``main`` is the LuaMain settings."""
    config = cf.config
    config.lua = vm = LuaVM(config)
    path, cpath = main.package_path, main.package_cpath
    vm.set_paths(_expand(path, vm.default_path), _expand(cpath, vm.default_cpath))

    def run_init(config: Config) -> None:
        if main.init is not None:
            run_code(vm, main.init, b"init")
        vm.guard_globals()

    config.master_start.append(run_init)
    if main.init_worker is not None:

        async def run_init_worker(worker: Any) -> None:
            run_code(vm, main.init_worker, b"init_worker")

        config.worker_start.append(run_init_worker)


def _expand(path: str | None, default: bytes) -> bytes | None:
    """``;;`` stands for the default path."""
    if path is None:
        return None
    text = path.encode("utf-8", "surrogateescape")
    return text.replace(b";;", b";" + default + b";").strip(b";") if b";;" in text else text


def run_code(vm: LuaVM, code: Code, phase: bytes) -> None:
    """Run code that belongs to no request; its error goes to the error log. nginx refuses to start on an error in init_by_lua."""
    chunk = code.chunk(vm, None, True)
    if chunk < 0:
        return
    vm.r = None
    vm.context = phase + b"_by_lua*"
    answer = vm.start(phase, chunk, 0, False)
    if answer[0] < 0:
        vm.config.error_log.write(ERR, phase + b"_by_lua error: " + answer[3])
