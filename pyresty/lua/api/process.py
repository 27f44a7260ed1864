"""ngx.process: https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/process.md"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...process.worker import PRIVILEGED

if TYPE_CHECKING:
    from ..vm import LuaVM


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    config = vm.config

    def process_type() -> bytes:
        """What kind of process this is."""
        if not config.master_process:
            return b"single"
        if config.worker is None:
            return b"master"
        return b"privileged agent" if config.worker_id == PRIVILEGED else b"worker"

    def process_enable_agent() -> None:
        """The master is to start a privileged agent."""
        config.privileged_agent = True

    def process_quit() -> None:
        """End this process gracefully, as SIGQUIT does."""
        os.kill(os.getpid(), signal.SIGQUIT)

    def process_master_pid() -> int:
        """The process id of the master, or of the only process."""
        return os.getppid() if config.master_process and config.worker is not None else os.getpid()

    table = (process_type, process_enable_agent, process_quit, process_master_pid)
    return {function.__name__: function for function in table}
