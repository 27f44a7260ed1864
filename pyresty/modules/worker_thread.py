"""``thread_pool`` and ``lua_worker_thread_vm_pool_size``: the threads of ``ngx.run_worker_thread``.

https://nginx.org/en/docs/ngx_core_module.html#thread_pool
https://github.com/openresty/lua-nginx-module#lua_worker_thread_vm_pool_size
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HTTP, MAIN, TAKE1, TAKE23, Directive, Module, Settings, inner, number, setting

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node

MAX_QUEUE = 65536


@dataclass(eq=False)
class WorkerThreadMain(Settings):
    """The thread pools by name: how many threads, and how many tasks may wait; and how many VMs there may be."""

    pools: dict[bytes, tuple[int, int]] = inner(dict)
    vm_pool_size: int = setting(10)


def set_thread_pool(cf: Builder, conf: WorkerThreadMain, node: Node) -> None:
    """``thread_pool name threads=number [max_queue=number]``."""
    name = node.args[0]
    key = name.encode("utf-8", "surrogateescape")
    if key in conf.pools:
        raise cf.error(f'duplicate thread pool "{name}"')
    numbers = {"threads": 0, "max_queue": MAX_QUEUE}
    for word in node.args[1:]:
        which, eq, text = word.partition("=")
        if not eq or which not in numbers:
            raise cf.error(f'invalid parameter "{word}"')
        if not (text.isascii() and text.isdigit()) or (which == "threads" and int(text) == 0):
            raise cf.error(f'invalid {which} value "{word}"')
        numbers[which] = int(text)
    if not numbers["threads"]:
        raise cf.error(f'"{name}" must have "threads" parameter')
    conf.pools[key] = numbers["threads"], numbers["max_queue"]


def finish(cf: Builder) -> None:
    """Settle what was not set."""
    cf.config.main["worker_thread"].merge(None)


MODULE = Module(
    name="worker_thread",
    main=WorkerThreadMain,
    finish=finish,
    directives=(
        Directive("thread_pool", MAIN, TAKE23, set_thread_pool, "main"),
        Directive("lua_worker_thread_vm_pool_size", HTTP, TAKE1, number("vm_pool_size"), "main"),
    ),
)
