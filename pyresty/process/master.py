"""The master: it reads the configuration, holds the sockets, and looks after the workers. It serves nothing itself, has
no event loop and no threads, and so does one thing at a time: wait for a signal, act on it.

Source: nginx's "Controlling nginx".
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from signal import Signals
from typing import TYPE_CHECKING, NoReturn

from .. import NGINX_VERSION, __version__
from ..config.errors import ConfigError
from . import daemon, logs, pidfile, signals
from .cycle import Cycle, describe, next_cycle, report
from .logs import ALERT, NOTICE, ErrorLog
from .title import Title
from .worker import (
    FATAL,
    PRIVILEGED,
    QUIT,
    REOPEN,
    TERMINATE,
    Single,
    process_name,
    run_worker,
    set_environment,
    tune_gc,
)

if TYPE_CHECKING:
    from ..config.build import Config
    from .worker import MakeWorker

#: Seconds that workers have between the order to end at once and SIGKILL.
KILL_AFTER = 1.5

#: A worker that lives shorter than so many seconds is not replaced before they are over.
SHORT_LIFE = 1.0

#: Seconds that a reload waits for the new workers to accept before the old ones are told to quit.
READY_WITHIN = 5.0


class Child:
    """A worker as the master sees it."""

    __slots__ = ("pid", "number", "channel", "started", "leaving")

    def __init__(self, pid: int, number: int, channel: socket.socket) -> None:
        self.pid = pid
        self.number = number
        self.channel = channel
        self.started = time.monotonic()
        self.leaving = False


class Master:
    """Runs the server. ``load`` reads the configuration again, ``make_worker`` makes what serves in a worker."""

    def __init__(self, cycle: Cycle, load: Callable[[], Config], make_worker: MakeWorker) -> None:
        self.cycle = cycle
        self._load = load
        self._make_worker = make_worker
        self._children: dict[int, Child] = {}
        self._due: list[tuple[float, int]] = []
        self._daemonized = False
        self._starter: int | None = None  # where the command that started the daemon waits to hear that it is up
        self._quitting = False
        self._terminating = False

    def run(self) -> int:
        """Run the server to its end; returns the exit code."""
        config, log = self.cycle.config, self.cycle.log
        log_system(log)
        if sys.stderr.isatty():
            show(config)
        if config.daemon:
            self._starter = daemon.detach()
            self._daemonized = True
        signals.block()  # who reads the pid file may send one at once
        try:
            pidfile.write(config.pid)
        except ConfigError as error:
            report(error, log)
            return 1
        logs.redirect_stderr(log)
        logs.close_unused(config.log_files | log.paths())
        ErrorLog.copy_to_stderr = False
        if config.master_process:
            self._watch()
        else:
            self._single()
        pidfile.remove(self.cycle.config.pid, self.cycle.log)
        self.cycle.log.write(NOTICE, "exit")
        self.cycle.listening.close_unless_in(None)
        return 0

    def _is_up(self) -> None:
        if self._starter is not None:
            daemon.is_up(self._starter)
            self._starter = None

    def _single(self) -> None:
        self._is_up()
        set_environment(self.cycle.config.env)
        tune_gc()
        single = Single(self.cycle, self._make_worker, self._load)
        single.run()
        self.cycle = single.cycle

    def _watch(self) -> None:
        """Act on signals until the last worker has ended after an order to end."""
        Title().set(" ".join(["master process pyresty", *sys.argv[1:]]))
        self._start_workers()
        self._is_up()
        while True:
            signo, sender = signals.wait()
            if signo is Signals.SIGALRM:
                self._alarm()
            else:
                self._log_signal(signo, sender)
                self._act(signo)
            if not self._children and (self._quitting or self._terminating):
                return

    def _log_signal(self, signo: Signals, sender: int) -> None:
        action = signals.MASTER_ACTIONS[signo]
        if signo is Signals.SIGWINCH and self._daemonized:
            action = ", stop accepting connections"
        signals.received(self.cycle.log, signo, sender, action)

    def _act(self, signo: Signals) -> None:
        if signo is Signals.SIGCHLD:
            self._reap()
        elif signo in (Signals.SIGTERM, Signals.SIGINT):
            if not self._terminating:
                self._terminating = True
                self._order(TERMINATE)
                signals.alarm(KILL_AFTER)
        elif self._terminating or self._quitting:
            return
        elif signo is Signals.SIGQUIT:
            self._quitting = True
            self._due.clear()
            self._order(QUIT)
            self.cycle.listening.close_unless_in(None)
        elif signo is Signals.SIGHUP:
            self._reload()
        elif signo is Signals.SIGUSR1:
            self._reopen()
        elif signo is Signals.SIGUSR2:
            signals.refuse_new_binary(self.cycle.log)
        elif signo is Signals.SIGWINCH and self._daemonized:
            self._due.clear()
            self._order(QUIT)

    def _alarm(self) -> None:
        if self._terminating:
            self._kill()
            return
        now = time.monotonic()
        due, self._due = self._due, []
        for when, number in due:
            if when > now:
                self._respawn_at(when, number)
            else:
                self._spawn(number)

    # -- workers

    def _start_workers(self) -> list[Child]:
        self.cycle.log.write(NOTICE, "start worker processes")
        self._due.clear()
        numbers = [*range(self.cycle.config.worker_processes)]
        if self.cycle.config.privileged_agent:
            numbers.append(PRIVILEGED)
        spawned = [self._spawn(number) for number in numbers]
        return [child for child in spawned if child is not None]

    def _spawn(self, number: int) -> Child | None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        gc.freeze()
        try:
            pid = os.fork()
        except OSError as error:
            self.cycle.log.write(ALERT, f'fork() failed while spawning "{process_name(number)}" {logs.reason(error)}')
            ours.close()
            theirs.close()
            self._respawn_at(time.monotonic() + SHORT_LIFE, number)
            return None
        if pid == 0:
            ours.close()
            for child in self._children.values():
                child.channel.close()
            if self._starter is not None:
                os.close(self._starter)
            self._be_worker(number, theirs)
        theirs.close()
        child = self._children[pid] = Child(pid, number, ours)
        self.cycle.log.write(NOTICE, f"start {process_name(number)} {pid}")
        return child

    def _be_worker(self, number: int, channel: socket.socket) -> NoReturn:
        code = 1
        try:
            code = run_worker(self.cycle, self._make_worker, number, channel, daemonized=self._daemonized)
        except BaseException as error:
            self.cycle.log.write(ALERT, f"the {process_name(number)} cannot go on: {describe(error)}")
        finally:
            os._exit(code)

    def _order(self, order: bytes, children: list[Child] | None = None) -> None:
        for child in list(self._children.values()) if children is None else children:
            if child.leaving and order is QUIT:
                continue
            try:
                child.channel.send(order)
            except OSError:  # it has just died: SIGCHLD is on its way
                continue
            child.leaving = child.leaving or order is not REOPEN

    def _kill(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            self._log_exit(pid, status, process_name(child.number) if child is not None else "unknown process")
            if child is None:
                continue
            child.channel.close()
            ended = child.leaving or self._quitting or self._terminating
            if ended or os.WIFEXITED(status) and os.WEXITSTATUS(status) == FATAL:
                continue
            earliest = child.started + SHORT_LIFE
            if time.monotonic() < earliest:
                self._respawn_at(earliest, child.number)
            else:
                self._spawn(child.number)

    def _respawn_at(self, when: float, number: int) -> None:
        self._due.append((when, number))
        signals.alarm(max(0.001, min(self._due)[0] - time.monotonic()))

    def _log_exit(self, pid: int, status: int, name: str) -> None:
        log = self.cycle.log
        if os.WIFSIGNALED(status):
            core = " (core dumped)" if os.WCOREDUMP(status) else ""
            log.write(ALERT, f"{name} {pid} exited on signal {os.WTERMSIG(status)}{core}")
            return
        code = os.WEXITSTATUS(status)
        log.write(NOTICE, f"{name} {pid} exited with code {code}")
        if code == FATAL and name != "unknown process":
            log.write(ALERT, f"{name} {pid} exited with fatal code {code} and cannot be respawned")

    # -- reloading and reopening

    def _reload(self) -> None:
        old = self.cycle
        old.log.write(NOTICE, "reconfiguring")
        gc.unfreeze()
        new = next_cycle(self._load, old)
        if new is None:
            return
        self.cycle = new
        logs.redirect_stderr(new.log)
        old.close_unless_in(new)
        log_event_method(new.log)
        del old
        gc.collect()
        before = list(self._children.values())
        self._wait_until_ready(self._start_workers())
        self._order(QUIT, before)

    def _wait_until_ready(self, children: list[Child]) -> None:
        """Wait until each has said so, or died."""
        poll = select.poll()
        for child in children:
            poll.register(child.channel, select.POLLIN)
        waiting = len(children)
        end = time.monotonic() + READY_WITHIN
        while waiting and (left := end - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                poll.unregister(fd)
                waiting -= 1

    def _reopen(self) -> None:
        log, user = self.cycle.log, self.cycle.user
        log.write(NOTICE, "reopening logs")
        logs.reopen(log, user.uid if user is not None else None)
        logs.redirect_stderr(log)
        self._order(REOPEN)


def show(config: Config) -> None:
    """Tell the person at the terminal what is served, and where to look when it is not."""
    lines = [f"pyresty {__version__} serves {config.conf_path}", *(f"  {line}" for line in config.summary())]
    lines += [f"errors go to {path}" for path in sorted(config.error_log.paths())]
    if not config.daemon:
        lines.append("Ctrl-C ends it")
    print("\n".join(lines), file=sys.stderr, flush=True)


def log_event_method(log: ErrorLog) -> None:
    """nginx's line about how the workers wait for events."""
    log.write(NOTICE, f'using the "{"epoll" if sys.platform == "linux" else "kqueue"}" event method')


def log_system(log: ErrorLog) -> None:
    """nginx's first lines: what runs, and on what."""
    if not log.enabled(NOTICE):
        return
    import resource

    system = os.uname()
    log_event_method(log)
    log.write(NOTICE, f"nginx/{NGINX_VERSION} (pyresty {__version__})")
    log.write(NOTICE, f"built by Python {sys.version.split()[0]}")
    log.write(NOTICE, f"OS: {system.sysname} {system.release}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    log.write(NOTICE, f"getrlimit(RLIMIT_NOFILE): {soft}:{hard}")
