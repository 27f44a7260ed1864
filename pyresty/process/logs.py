"""Log files and error logs. The idea: one path is one :class:`LogFile` in the whole process, whoever writes to it, so
that reopening (``USR1``, a reload) is done in one place, and every writer follows.

Sources: nginx's "error_log" (core module), "access_log" (log module), "Controlling nginx: Rotating Log-files".
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ..lua.errlog import Capture

#: Levels of messages, the more urgent the lower. ``STDERR`` is the one that only ``ngx.log(ngx.STDERR, …)`` uses.
STDERR, EMERG, ALERT, CRIT, ERR, WARN, NOTICE, INFO, DEBUG = range(9)

#: What stands between the brackets of a line, by level.
LEVEL_NAMES = ("", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")

#: The second argument of ``error_log``. nginx's ``debug_*`` masks let every ordinary message through too.
LEVELS = {name: level for level, name in enumerate(LEVEL_NAMES) if name} | {
    f"debug_{part}": DEBUG for part in ("core", "alloc", "mutex", "event", "http", "mail", "stream")
}

#: Bytes of a line of the error log, its end included: longer ones are cut. nginx's own limit is 2048; OpenResty builds with twice that.
MAX_LINE = 4096

#: Seconds in which failures to write to one file are reported once.
_REPORT_INTERVAL = 59

_pid = os.getpid()


def _after_fork() -> None:
    global _pid
    _pid = os.getpid()


os.register_at_fork(after_in_child=_after_fork)


def reason(error: OSError) -> str:
    """``(2: No such file or directory)``, as nginx ends its messages about a failed system call."""
    return f"({error.errno}: {error.strerror})"


class LogFile:
    """One log file. Get it from :func:`log_file`; it can be written to after :func:`open_files`.

    ``fd`` is -1 while it is not open: what is written then is dropped.
    """

    __slots__ = ("path", "fd", "_buffer", "_size", "_flush_after", "_asked", "_full_until", "_reported")

    def __init__(self, path: str, fd: int = -1) -> None:
        self.path = path
        self.fd = fd
        self._buffer = bytearray()
        self._size = 0
        self._flush_after: float | None = None
        self._asked: tuple[int, float | None] = (0, None)
        self._full_until = 0.0
        self._reported = 0.0

    def buffered(self, size: int, flush: float | None) -> None:
        """Collect up to ``size`` bytes before writing, for ``flush`` seconds at most (``None``: until they are full).

        What ``access_log``'s ``buffer=`` and ``flush=`` ask for; :func:`open_files` makes it so. The timer runs in the
        writer's event loop.
        """
        self._asked = (size, flush)

    def write(self, data: bytes) -> None:
        """Append ``data``, whole lines. Never raises: a failure goes to the main error log."""
        if not self._size:
            self._append(data)
            return
        if len(self._buffer) + len(data) > self._size:
            self.flush()
        if len(data) > self._size:
            self._append(data)
            return
        if not self._buffer and self._flush_after is not None:
            from asyncio import get_running_loop

            get_running_loop().call_later(self._flush_after, self.flush)
        self._buffer += data

    def flush(self) -> None:
        """Write what was collected."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._append(data)

    def _append(self, data: bytes) -> None:
        if self.fd < 0 or (self._full_until and time.time() < self._full_until):
            return
        try:
            written = os.write(self.fd, data)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._full_until = time.time() + 1
            self._report(f'write() to "{self.path}" failed {reason(error)}')
            return
        if written != len(data):
            self._report(f'write() to "{self.path}" was incomplete: {written} of {len(data)}')

    def _report(self, message: str) -> None:
        now = time.time()
        if main_log is not None and now - self._reported > _REPORT_INTERVAL:
            self._reported = now
            main_log.write(ALERT, message)


class ErrorLog:
    """Where the messages of one ``error_log`` scope go: one or more files, each with the least urgent level it takes.

    ``level`` is the least urgent level that any of them takes. nginx's line:
    ``2026/11/21 09:00:00 [error] 123#123: *5 message``.
    """

    __slots__ = ("level", "_targets")

    #: Until the server runs, ``emerg`` … ``warn`` are also shown on the standard error output: ``nginx: [emerg] …``.
    copy_to_stderr: ClassVar[bool] = False

    def __init__(self, targets: Sequence[tuple[LogFile, int]]) -> None:
        self._targets = tuple(sorted(targets, key=lambda target: -target[1]))
        self.level = self._targets[0][1] if self._targets else STDERR

    def enabled(self, level: int) -> bool:
        """Whether anything takes messages of this level; spares composing them."""
        return level <= self.level

    def write(self, level: int, message: str | bytes, connection: int | None = None) -> None:
        """Log ``message`` (one line, no line end); ``connection`` is the number after the asterisk."""
        if level > self.level:
            return
        if isinstance(message, str):
            message = message.encode("utf-8", "surrogateescape")
        head = f"{_timestamp()} [{LEVEL_NAMES[level]}] {_pid}#{_pid}: "
        if connection:
            head += f"*{connection} "
        line = (head.encode() + message)[: MAX_LINE - 1] + b"\n"
        if capture is not None:
            capture.add(level, line[:-1])
        shown = False
        for file, least in self._targets:
            if level > least:
                break
            file.write(line)
            shown = shown or file.fd == 2
        if self.copy_to_stderr and level <= WARN and not shown:
            to_stderr(f"[{LEVEL_NAMES[level]}] ".encode() + message)

    def file(self) -> LogFile | None:
        """The first file among the targets that is open and is not the standard error output."""
        return next((file for file, _ in self._targets if file.fd > 2), None)

    def paths(self) -> set[str]:
        """The absolute paths of its files."""
        return {file.path for file, _ in self._targets if file is not standard_error}

    def uses_stderr(self) -> bool:
        """Whether ``stderr`` is among the targets."""
        return any(file is standard_error for file, _ in self._targets)


#: The target ``stderr``.
standard_error = LogFile("stderr", 2)

#: The error log of the main block, once there is one: failures to write to other logs are told there.
main_log: ErrorLog | None = None

#: What else is given every line that is logged, while a configuration asks for it.
capture: Capture | None = None

_files: dict[str, LogFile] = {}


def log_file(path: str) -> LogFile:
    """The one :class:`LogFile` for the absolute ``path``, not opened yet if it is new."""
    file = _files.get(path)
    if file is None:
        file = _files[path] = LogFile(path)
    return file


def error_log(targets: Iterable[tuple[str, str]]) -> ErrorLog:
    """An :class:`ErrorLog` from configuration: pairs of ``stderr`` or an absolute path, and the name of a level."""
    return ErrorLog(
        [(standard_error if path == "stderr" else log_file(path), LEVELS[level]) for path, level in targets]
    )


def set_main_log(log: ErrorLog) -> None:
    """From now on ``log`` is told when another log cannot be written."""
    global main_log
    main_log = log


def open_files(paths: Iterable[str]) -> None:
    """Open (again) and create where missing, mode 0644, the files with these absolute paths: all of them or none.

    Raises :class:`OSError` (its ``filename`` says which) for the first one that cannot be opened.
    """
    opened: list[tuple[str, int]] = []
    try:
        for path in paths:
            opened.append((path, _open(path)))
    except OSError:
        for _, fd in opened:
            os.close(fd)
        raise
    for path, fd in opened:
        file = log_file(path)
        file.flush()
        file._size, file._flush_after = file._asked
        _replace(file, fd)


def close_unused(paths: set[str]) -> None:
    """Close the files whose absolute path is not in ``paths``: no log writes to them any more.

    To be called when a configuration has been taken up, or given up: what it asked for is settled then.
    """
    for file in _files.values():
        file._asked = (0, None)
    for path in [path for path in _files if path not in paths]:
        file = _files.pop(path)
        file.flush()
        if file.fd >= 0:
            os.close(file.fd)
            file.fd = -1


def reopen(log: ErrorLog, uid: int | None = None) -> None:
    """Open every open file again by its path, so that a moved one is left and a new one begun (``USR1``).

    ``uid``: the numeric user of the workers, whom the files are given to, so that the workers can do the same. What
    fails is told to ``log``, and that file stays as it was.
    """
    for path, file in _files.items():
        if file.fd < 0:
            continue
        file.flush()
        try:
            fd = _open(path)
        except OSError as error:
            log.write(EMERG, f'open() "{path}" failed {reason(error)}')
            continue
        if uid is not None and not _give_to(path, uid, log):
            os.close(fd)
            continue
        _replace(file, fd)


def flush() -> None:
    """Write what buffered logs have collected: a process does this before it exits."""
    for file in _files.values():
        file.flush()


def redirect_stderr(log: ErrorLog) -> None:
    """Send the standard error output to the error log's file, unless ``error_log stderr`` asks for the real one."""
    file = log.file()
    if file is not None and not log.uses_stderr():
        os.dup2(file.fd, 2)


def to_stderr(message: str | bytes) -> None:
    """One line on the standard error output, behind ``nginx:``, as nginx speaks to the one who started it."""
    if isinstance(message, str):
        message = message.encode("utf-8", "surrogateescape")
    with suppress(OSError):  # nobody may be listening
        os.write(2, b"nginx: " + message + b"\n")


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _replace(file: LogFile, fd: int) -> None:
    """Let ``file`` write to the newly opened ``fd``. An open file keeps its number, so nothing is lost in between."""
    if file.fd < 0:
        file.fd = fd
    else:
        os.dup2(fd, file.fd, inheritable=False)
        os.close(fd)


def _give_to(path: str, uid: int, log: ErrorLog) -> bool:
    owner_may = stat.S_IRUSR | stat.S_IWUSR
    action = "stat()"
    try:
        info = os.stat(path)
        if info.st_uid != uid:
            action = "chown()"
            os.chown(path, uid, -1)
        if info.st_mode & owner_may != owner_may:
            action = "chmod()"
            os.chmod(path, stat.S_IMODE(info.st_mode) | owner_may)
    except OSError as error:
        log.write(EMERG, f'{action} "{path}" failed {reason(error)}')
        return False
    return True


_second = 0
_text = ""


def _timestamp() -> str:
    """The local time as the error log shows it; made anew once a second."""
    global _second, _text
    now = int(time.time())
    if now != _second:
        _second = now
        _text = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now))
    return _text
