"""The pid file: how ``-s`` and the system's service manager find the master.

Source: nginx's "pid" (core module), "Controlling nginx".
"""

from __future__ import annotations

import os
import signal

from ..config.errors import ConfigError
from .logs import ALERT, ERR, NOTICE, ErrorLog, reason

#: ``-s NAME``.
SIGNALS = {"stop": signal.SIGTERM, "quit": signal.SIGQUIT, "reopen": signal.SIGUSR1, "reload": signal.SIGHUP}


def check(path: str) -> None:
    """See that the pid file could be written, creating it empty (``-t``). Raises :class:`ConfigError`."""
    _write(path, b"", os.O_RDWR | os.O_CREAT)


def write(path: str) -> None:
    """Write this process's id. Raises :class:`ConfigError`."""
    _write(path, b"%d\n" % os.getpid(), os.O_RDWR | os.O_CREAT | os.O_TRUNC)


def remove(path: str, log: ErrorLog) -> None:
    """Delete the pid file; what fails is told to ``log``."""
    try:
        os.unlink(path)
    except OSError as error:
        log.write(ALERT, f'unlink() "{path}" failed {reason(error)}')


def send(name: str, path: str, log: ErrorLog) -> int:
    """Send the signal called ``name`` to the process in the pid file; returns the exit code."""
    log.write(NOTICE, "signal process started")
    try:
        with open(path, "rb") as file:
            text = file.read(22).rstrip(b"\r\n")
    except OSError as error:
        log.write(ERR, f'open() "{path}" failed {reason(error)}')
        return 1
    if not text.isdigit() or not 0 < int(text) < 1 << 31:
        log.write(ERR, b'invalid PID number "%s" in "%s"' % (text, os.fsencode(path)))
        return 1
    try:
        os.kill(int(text), SIGNALS[name])
    except OSError as error:
        log.write(ALERT, f"kill({int(text)}, {SIGNALS[name]:d}) failed {reason(error)}")
        return 1
    return 0


def _write(path: str, data: bytes, flags: int) -> None:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f'open() "{path}" failed {reason(error)}') from None
    try:
        if data:
            os.write(fd, data)
    except OSError as error:
        raise ConfigError(f'pwrite() "{path}" failed {reason(error)}') from None
    finally:
        os.close(fd)
