"""A cycle, in nginx's word: one configuration together with what it needs of the system, its log files and sockets.

Opening one either succeeds whole or leaves the one before as it was: this is what makes a reload safe.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.errors import ConfigError, ConfigErrors
from . import logs, pidfile
from .listening import Listening
from .logs import ALERT, LEVELS, NOTICE, WARN, ErrorLog, reason
from .shared_memory import open_zones

if TYPE_CHECKING:
    from ..config.build import Config


class Cycle:
    """A configuration that is ready to serve."""

    __slots__ = ("config", "log", "listening", "user")

    def __init__(self, config: Config, listening: Listening, user: User | None) -> None:
        self.config = config
        self.log = config.error_log
        self.listening = listening
        self.user = user

    def close_unless_in(self, new: Cycle) -> None:
        """Give back what ``new`` does not use."""
        self.listening.close_unless_in(new.listening, new.log)
        if self.config.pid != new.config.pid:
            pidfile.remove(self.config.pid, new.log)
        logs.close_unused(_log_paths(new.config))


class User:
    """Whom the workers run as (``user``), looked up. Raises :class:`ConfigError` for a name that is unknown."""

    __slots__ = ("name", "uid", "gid")

    def __init__(self, name: str, group: str | None) -> None:
        import grp
        import pwd

        self.name = name
        try:
            self.uid = pwd.getpwnam(name).pw_uid
        except KeyError:
            raise ConfigError(f'getpwnam("{name}") failed') from None
        try:
            self.gid = grp.getgrnam(group or name).gr_gid
        except KeyError:
            raise ConfigError(f'getgrnam("{group or name}") failed') from None


def first_log(prefix: str, error_log: str | None) -> ErrorLog:
    """The log until a configuration is read: the file of ``-e``, or ``logs/error.log``; and the standard error output.

    A missing ``logs`` folder is no fault at this point, :func:`open_cycle` creates it.
    """
    if error_log == "stderr":
        return ErrorLog([(logs.standard_error, NOTICE)])
    path = error_log or os.path.join(prefix, "logs/error.log")
    try:
        logs.open_files([path])
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or os.path.dirname(path) != os.path.join(prefix, "logs"):
            logs.to_stderr(f'[alert] could not open error log file: open() "{path}" failed {reason(error)}')
            return ErrorLog([(logs.standard_error, NOTICE)])
    return ErrorLog([(logs.log_file(path), NOTICE)])


def open_cycle(config: Config, log: ErrorLog, *, old: Cycle | None = None, test: bool = False) -> Cycle:
    """Open the log files and the listening sockets of ``config`` and run its ``init_by_lua``.

    ``log`` hears of warnings. ``test`` (``-t``) opens everything but keeps no socket, and runs no Lua. Raises
    :class:`ConfigError`. A caller that has taken the new cycle over from ``old`` calls ``old.close_unless_in(new)``.
    """
    for warning in config.warnings:
        report(warning, log)
    for notice in config.notices:
        log.write(NOTICE, notice)
    user = User(*config.user) if config.user is not None and os.geteuid() == 0 else None
    if config.user is None and os.geteuid() == 0 and config.master_process:
        log.write(WARN, 'no "user" directive: the workers run with super-user privileges')
    created = _create_log_folder(config)
    if test:
        pidfile.check(config.pid)
    elif old is not None and old.config.pid != config.pid:
        pidfile.write(config.pid)
    try:
        logs.open_files(sorted(_log_paths(config)))
    except OSError as error:
        raise ConfigError(f'open() "{error.filename}" failed {reason(error)}') from None
    logs.set_main_log(config.error_log)
    if created is not None:
        config.error_log.write(NOTICE, f'created the missing folder "{created}"')
    if not test:
        open_zones(config.shared_memory, old.config.shared_memory if old is not None else {})
        config.master_init()
    before = old.listening if old is not None else None
    workers = config.worker_processes if config.master_process else 1
    listening = Listening.open(config.listens, workers, config.error_log, old=before, test=test)
    return Cycle(config, listening, user)


def next_cycle(load: Callable[[], Config], old: Cycle) -> Cycle | None:
    """A reload's new cycle; None if it cannot be had, which the log of ``old`` tells, and ``old`` is as it was."""
    try:
        return open_cycle(load(), old.log, old=old)
    except (ConfigError, ConfigErrors) as error:
        report(error, old.log)
    except Exception as error:  # a fault of ours must not end a server that runs
        old.log.write(ALERT, f"the new configuration cannot be used: {describe(error)}")
    logs.set_main_log(old.log)
    logs.close_unused(_log_paths(old.config))
    return None


def report(error: ConfigError | ConfigErrors, log: ErrorLog) -> None:
    """Tell ``log`` about one or more mistakes; the hints go where the person is looking."""
    if isinstance(error, ConfigErrors):
        for each in error.errors:
            report(each, log)
        return
    level = LEVELS[error.level]
    log.write(level, str(error))
    if error.hint and level <= WARN:
        if log.copy_to_stderr:
            os.write(2, f"    hint: {error.hint}\n".encode("utf-8", "surrogateescape"))
        else:
            log.write(level, f"hint: {error.hint}")


def describe(error: BaseException) -> str:
    """An exception that should not have happened, in one line: what, and where it came through, innermost first."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} at " + " < ".join(reversed(places))


def _log_paths(config: Config) -> set[str]:
    return config.log_files | config.error_log.paths()


def _create_log_folder(config: Config) -> str | None:
    """Create the folder ``logs`` right below the prefix if something is to be written there and it does not exist."""
    folder = os.path.join(config.prefix, "logs")
    if os.path.isdir(folder) or not any(os.path.dirname(path) == folder for path in (config.pid, *_log_paths(config))):
        return None
    try:
        os.mkdir(folder)
    except OSError as error:
        raise ConfigError(f'mkdir() "{folder}" failed {reason(error)}') from None
    return folder
