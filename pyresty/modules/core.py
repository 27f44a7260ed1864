"""The main context: processes, logs, paths. https://nginx.org/en/docs/ngx_core_module.html"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    FLAG,
    MAIN,
    ONE_MORE,
    TAKE1,
    TAKE12,
    UNSET,
    Directive,
    Module,
    Settings,
    flag,
    no_effect,
    number,
    seconds,
    setting,
    store,
)
from ..process.logs import LEVELS, ErrorLog, error_log

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node


@dataclass
class CoreSettings(Settings):
    """Settings of the main context, copied to attributes of the Config in ``finish``."""

    daemon: bool = setting(False)
    master_process: bool = setting(True)
    worker_processes: int = setting(1)
    pid: str = setting("")
    user: tuple[str, str | None] | None = setting(None)
    error_logs: list[tuple[str, str]] | None = setting(None)
    worker_rlimit_nofile: int | None = setting(None)
    worker_shutdown_timeout: float | None = setting(None)
    working_directory: str | None = setting(None)


def set_worker_processes(cf: Builder, conf: CoreSettings, node: Node) -> None:
    """``worker_processes number | auto``."""
    text = node.args[0]
    if text == "auto":
        store(
            conf,
            "worker_processes",
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        )
        return
    number("worker_processes")(cf, conf, node)
    if conf.worker_processes == 0:
        conf.worker_processes = 1


def set_user(cf: Builder, conf: CoreSettings, node: Node) -> None:
    """``user name [group]``; names must exist. Only the superuser can change, otherwise nginx warns."""
    import grp
    import pwd

    store(conf, "user", (node.args[0], node.args[1] if len(node.args) > 1 else None))
    if os.geteuid() != 0:
        cf.warn('the "user" directive makes sense only if the master process runs with super-user privileges, ignored')
        conf.user = None
        return
    try:
        pwd.getpwnam(node.args[0])
    except KeyError:
        raise cf.error(f'getpwnam("{node.args[0]}") failed') from None
    try:
        grp.getgrnam(node.args[-1])
    except KeyError:
        raise cf.error(f'getgrnam("{node.args[-1]}") failed') from None


def set_error_log(cf: Builder, conf: CoreSettings, node: Node) -> None:
    """``error_log file [level]`` of the main context."""
    if conf.error_logs is UNSET or conf.error_logs is None:
        conf.error_logs = []
    conf.error_logs.append(error_log_target(cf, node))


def error_log_target(cf: Builder, node: Node) -> tuple[str, str]:
    """The (path or ``stderr``, level name) of an ``error_log`` directive. https://nginx.org/en/docs/ngx_core_module.html#error_log"""
    target = node.args[0]
    level = node.args[1] if len(node.args) > 1 else "error"
    if level not in LEVELS or level == "stderr":
        raise cf.error(f'invalid log level "{level}"')
    if target.startswith(("syslog:", "memory:")):
        raise cf.error(f'"error_log {target.split(":")[0]}:" is not supported by pyresty yet')
    if target == "stderr":
        return target, level
    path = cf.path(target) if target else "stderr"
    return path, level


def set_env(cf: Builder, conf: CoreSettings, node: Node) -> None:
    """``env NAME[=value]``: kept or set in the workers."""
    cf.config.env.append(node.args[0])


def set_load_module(cf: Builder, conf: CoreSettings, node: Node) -> None:
    """``load_module``: accepted where what it loads is built in here, refused otherwise."""
    name = os.path.basename(node.args[0]).removesuffix(".so").removeprefix("ngx_").removesuffix("_module")
    if name not in BUILT_IN and name not in {module.name for module in cf.modules}:
        raise cf.error(
            f'module "{node.args[0]}" is not available',
            "pyresty loads no nginx modules; those it knows are built in (pyresty -V lists them)",
        )


#: Dynamic modules whose functions are part of other modules here.
BUILT_IN = frozenset(("http_headers_more_filter", "http_set_misc", "http_array_var", "ndk_http", "http_lua"))


def set_working_directory(cf: Builder, conf: CoreSettings, node: Node) -> None:
    """``working_directory directory``."""
    store(conf, "working_directory", node.args[0])


def set_pid(cf: Builder, conf: CoreSettings, node: Node) -> None:
    """``pid file``."""
    store(conf, "pid", cf.path(node.args[0]))


def make_error_log(cf: Builder, targets: list[tuple[str, str]] | None) -> ErrorLog:
    """The ErrorLog for these targets (None: the main ones); their files are opened before the workers start."""
    targets = main_error_logs(cf) if targets is None else targets
    cf.config.log_files.update(path for path, _ in targets if path != "stderr")
    return error_log(targets)


def finish(cf: Builder) -> None:
    """Copy to the Config what the processes need, and open the main error log."""
    conf = cf.config.main["core"]
    assert isinstance(conf, CoreSettings)
    conf.merge(None)
    config = cf.config
    config.daemon = conf.daemon
    config.master_process = conf.master_process
    config.worker_processes = conf.worker_processes if conf.master_process else 1
    config.pid = conf.pid or cf.path("logs/nginx.pid")
    config.user = conf.user
    config.error_logs = main_error_logs(cf)
    config.worker_rlimit_nofile = conf.worker_rlimit_nofile
    config.worker_shutdown_timeout = conf.worker_shutdown_timeout
    config.working_directory = conf.working_directory
    config.error_log = make_error_log(cf, None)


def main_error_logs(cf: Builder) -> list[tuple[str, str]]:
    """The targets of the main error log: what the conf says, else ``-e``, else ``logs/error.log``."""
    conf = cf.config.main["core"]
    assert isinstance(conf, CoreSettings)
    if conf.error_logs:
        return conf.error_logs
    default = cf.options.error_log or "logs/error.log"
    return [(default if default == "stderr" else cf.path(default), "error")]


AFFINITY = "the system's scheduler places workers"

MODULE = Module(
    name="core",
    main=CoreSettings,
    finish=finish,
    directives=(
        Directive("daemon", MAIN, FLAG, flag("daemon"), "main"),
        Directive("master_process", MAIN, FLAG, flag("master_process"), "main"),
        Directive("worker_processes", MAIN, TAKE1, set_worker_processes, "main"),
        Directive("pid", MAIN, TAKE1, set_pid, "main"),
        Directive("user", MAIN, TAKE12, set_user, "main"),
        Directive("error_log", MAIN, ONE_MORE, set_error_log, "main"),
        Directive("env", MAIN, TAKE1, set_env, "main"),
        Directive("load_module", MAIN, TAKE1, set_load_module, "main"),
        Directive("worker_rlimit_nofile", MAIN, TAKE1, number("worker_rlimit_nofile"), "main"),
        Directive("worker_shutdown_timeout", MAIN, TAKE1, seconds("worker_shutdown_timeout"), "main"),
        Directive("working_directory", MAIN, TAKE1, set_working_directory, "main"),
        Directive("worker_cpu_affinity", MAIN, ONE_MORE, no_effect(AFFINITY), "main"),
        Directive("worker_priority", MAIN, TAKE1, no_effect(AFFINITY), "main"),
        Directive("timer_resolution", MAIN, TAKE1, no_effect("the event loop keeps its own time"), "main"),
        Directive("pcre_jit", MAIN, FLAG, no_effect("regular expressions are always compiled by PCRE2's JIT"), "main"),
        Directive("lock_file", MAIN, TAKE1, no_effect("the system's accept queue needs no lock"), "main"),
    ),
)
