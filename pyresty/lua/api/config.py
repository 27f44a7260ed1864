"""ngx.config and ngx.worker: https://github.com/openresty/lua-nginx-module#ngxconfigsubsystem"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import NGINX_VERSION, NGX_LUA_VERSION

if TYPE_CHECKING:
    from ..vm import LuaVM


def version_number(text: str) -> int:
    """``1.31.5`` as nginx writes it in a number: 1031005."""
    major, minor, patch = (int(part) for part in text.split("."))
    return major * 1000000 + minor * 1000 + patch


def _children(pid: int) -> list[int]:
    """The processes that ``pid`` has started; on systems that don't tell, this one alone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return [os.getpid()]


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    config = vm.config

    def nginx_configure() -> bytes:
        """The ``configure arguments`` of ``-V``."""
        from ...cli import configure_arguments
        from ...modules import names

        return " ".join(configure_arguments(names())).encode()

    def worker_id() -> int | None:
        """This worker's place, from 0; None before there are workers."""
        return config.worker_id if config.worker is not None and config.worker_id >= 0 else None

    def worker_pids() -> tuple[int, ...]:
        """The process ids of all workers."""
        if not config.master_process:
            return (os.getpid(),)
        return tuple(_children(os.getppid()))

    def worker_exiting() -> bool:
        """Whether this worker is ending gracefully."""
        return config.worker is not None and config.worker.quitting

    return {
        "prefix": lambda: vm.prefix,
        "nginx_version": lambda: version_number(NGINX_VERSION),
        "ngx_lua_version": lambda: version_number(NGX_LUA_VERSION),
        "nginx_configure": nginx_configure,
        "worker_pid": lambda: os.getpid(),
        "worker_id": worker_id,
        "worker_count": lambda: config.worker_processes,
        "worker_pids": worker_pids,
        "worker_exiting": worker_exiting,
    }
