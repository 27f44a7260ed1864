"""Starts Lua for a configuration: the VM and ``init_by_lua*`` in the master, ``init_worker_by_lua*`` in each worker."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from ..config.errors import ConfigError
from ..config.hints import lua_hint
from ..process.logs import ERR
from ..process.signals import IDLE
from .shdict import add_dictionaries
from .vm import LuaVM

if TYPE_CHECKING:
    from ..config.build import Builder, Config
    from .handlers import Code


def start_lua(cf: Builder, main: Any) -> None:
    """Make the VM for ``cf.config`` and register what runs when processes start. ``main`` is the LuaMain settings."""
    config = cf.config
    config.lua = vm = LuaVM(config)
    path, cpath = main.package_path, main.package_cpath
    vm.set_paths(_expand(path, vm.default_path), _expand(cpath, vm.default_cpath))

    def run_init(config: Config) -> None:
        vm.keep_globals()
        if main.init is not None:
            error = run_code(vm, main.init, b"init")
            if error is None and main.code_cache_off:
                number, error, _ = main.init.compile(vm, const_path(main.init), False)
                vm.set_init(number)
            if error is not None:
                raise ConfigError(error.decode("utf-8", "surrogateescape"), level="error")
        vm.guard_globals()

    vm.timers.max_pending, vm.timers.max_running = main.max_pending_timers, main.max_running_timers
    config.master_start.append(lambda config: add_dictionaries(vm, config))
    config.master_start.append(run_init)
    config.worker_quit.append(vm.timers.abort_pending)
    if not main.sa_restart:
        config.worker_start.append(let_signals_interrupt)
    if main.init_worker is not None:

        async def run_init_worker(worker: Any) -> None:
            error = run_code(vm, main.init_worker, b"init_worker")
            if error is not None:
                config.error_log.write(ERR, error)

        config.worker_start.append(run_init_worker)
    if main.exit_worker is not None:
        config.worker_end.append(lambda: run_exit_worker(vm, main.exit_worker))


def _expand(path: str | None, default: bytes) -> bytes | None:
    """``;;`` stands for the default path."""
    if path is None:
        return None
    text = path.encode("utf-8", "surrogateescape")
    return text.replace(b";;", b";" + default + b";").strip(b";") if b";;" in text else text


def const_path(code: Code) -> bytes:
    """The path of the code's file if that is known before there is a request; empty for code in the configuration."""
    return (code.path.const or b"") if code.path is not None else b""


async def let_signals_interrupt(worker: Any) -> None:
    """``lua_sa_restart off``: a signal that does nothing else ends the system call that Lua code is in."""
    for each in IDLE:
        signal.siginterrupt(each, True)


def run_exit_worker(vm: LuaVM, code: Code) -> None:
    """Run ``exit_worker_by_lua*``, and log how it fails."""
    error = run_code(vm, code, b"exit_worker")
    if error is not None:
        vm.config.error_log.write(ERR, error)


def run_code(vm: LuaVM, code: Code, phase: bytes) -> bytes | None:
    """Run code that belongs to no request; returns OpenResty's message if it fails."""
    failed = phase + (b"_by_lua error: " if code.path is None else b"_by_lua_file error: ")
    number, error, _ = code.compile(vm, const_path(code), True)
    if error is not None:
        # the message of the compiler alone, as OpenResty has it here
        return failed + error.partition(b": ")[2]
    vm.r = None
    vm.context = phase + b"_by_lua*"
    answer = vm.start(phase, number, 0, False)
    if answer[1]:
        vm.forget(answer[1])
    if answer[0] == 0:
        return None
    if answer[0] > 0:
        vm.cancel(answer[3])
        return failed + b"attempt to yield across C-call boundary"
    return failed + bytes(answer[3])


def check_code(cf: Builder, codes: list[Code]) -> None:
    """``-t``: compile all code that can be known now; what is wrong with it goes to ``cf.errors``."""
    vm: LuaVM = cf.config.lua
    for code in codes:
        if code.path is not None and code.path.const is None:
            continue
        status, message, source = code.compile(vm, const_path(code), True)
        if message is None:
            continue
        text = message.decode("utf-8", "surrogateescape")
        if status == -500:
            cf.errors.append(ConfigError(text, code.file, code.line, lua_hint(text, source)))
        else:
            cf.config.warnings.append(ConfigError(text, code.file, code.line, None, "warn"))
