"""Signals of the master, taken one at a time where it waits for them: no handler ever interrupts it.

Source: nginx's "Controlling nginx".
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from signal import Signals
from typing import Any

from .logs import ERR, NOTICE, ErrorLog

#: What the master does about a signal, as its log line ends.
MASTER_ACTIONS = {
    Signals.SIGHUP: ", reconfiguring",
    Signals.SIGUSR1: ", reopening logs",
    Signals.SIGUSR2: ", ignoring",
    Signals.SIGQUIT: ", shutting down",
    Signals.SIGTERM: ", exiting",
    Signals.SIGINT: ", exiting",
    Signals.SIGWINCH: "",
    Signals.SIGCHLD: "",
    Signals.SIGALRM: "",
}

#: What a worker catches and does nothing about.
IDLE = (Signals.SIGALRM, Signals.SIGIO)

#: Tells who sent the signal, too; macOS lacks it.
_wait_info: Callable[[Any], Any] | None = getattr(signal, "sigwaitinfo", None)


def _nothing(signo: int, frame: object) -> None:
    pass


def block() -> None:
    """From now on the master's signals wait for :func:`wait`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, MASTER_ACTIONS)
    for each in MASTER_ACTIONS:
        # One that is ignored, as shells do for background jobs, would otherwise be lost on some systems.
        signal.signal(each, _nothing)


def unblock() -> None:
    """In a process with an event loop, once its own handlers are there."""
    signal.signal(Signals.SIGCHLD, signal.SIG_DFL)
    for each in IDLE:
        signal.signal(each, _nothing)
        signal.siginterrupt(each, False)  # Lua code may be in a system call (lua_sa_restart)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, MASTER_ACTIONS)


def wait() -> tuple[Signals, int]:
    """Wait for the next signal: which, and the process that sent it (0: unknown, or the kernel)."""
    if _wait_info is None:
        return Signals(signal.sigwait(MASTER_ACTIONS)), 0
    info = _wait_info(MASTER_ACTIONS)
    return Signals(info.si_signo), info.si_pid


def alarm(seconds: float) -> None:
    """Have :func:`wait` return SIGALRM in so many seconds (0: don't)."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


def received(log: ErrorLog, signo: Signals, sender: int, action: str) -> None:
    """nginx's line about a signal."""
    source = f" from {sender}" if sender else ""
    log.write(NOTICE, f"signal {signo:d} ({signo.name}) received{source}{action}")


def refuse_new_binary(log: ErrorLog) -> None:
    """Say that what nginx does about SIGUSR2 is not to be had."""
    log.write(ERR, "changing the binary (SIGUSR2) is not supported: stop the server, and start the new one")
