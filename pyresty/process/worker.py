"""A process with an event loop that serves: a worker below the master, or the only process (``master_process off``).

The master speaks to a worker through a socket pair, one byte an order. When the pair breaks the master is gone, and the
worker ends too, so that no orphan keeps the addresses.

Source: nginx's "Controlling nginx", "env", "user", "working_directory" (core module).
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import Callable
from signal import Signals
from typing import TYPE_CHECKING, Any

import uvloop

from . import logs, signals
from .cycle import Cycle, describe, next_cycle
from .logs import ALERT, EMERG, NOTICE
from .title import Title

if TYPE_CHECKING:
    from ..config.build import Config, Listen
    from ..http.worker import HttpWorker

    MakeWorker = Callable[[Config, asyncio.AbstractEventLoop], HttpWorker]

#: The master's orders, and the worker's answer when it has begun to accept.
QUIT, TERMINATE, REOPEN, READY = b"q", b"t", b"r", b"+"

#: Exit code of a worker that could not begin to work and would not another time either.
FATAL = 2

#: The number of the privileged agent: a worker that accepts nothing and keeps the master's user.
PRIVILEGED = -1

_environment = dict(os.environb)


class Serving:
    """What both kinds of process have in common: the loop, its signals, and one HttpWorker at work on it."""

    def __init__(self, cycle: Cycle, make_worker: MakeWorker) -> None:
        self.cycle = cycle
        self.make_worker = make_worker
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(self._unexpected)
        self.http = make_worker(cycle.config, self.loop)
        self.ended: asyncio.Future[None] = self.loop.create_future()

    def listen_to_signals(self, actions: dict[Signals, tuple[str, Callable[[], object]]]) -> None:
        """Log each of these signals with its text when it comes, and call what belongs to it."""
        for signo, (text, act) in actions.items():
            self.loop.add_signal_handler(signo, self._signal, signo, text, act)
        self.loop.call_soon(signals.unblock)  # the loop misses those that come before it runs

    def end(self) -> None:
        """Leave the loop."""
        if not self.ended.done():
            self.ended.set_result(None)

    def reopen(self) -> None:
        """Begin new log files."""
        self.cycle.log.write(NOTICE, "reopening logs")
        logs.reopen(self.cycle.log)
        logs.redirect_stderr(self.cycle.log)

    def _signal(self, signo: Signals, text: str, act: Callable[[], object]) -> None:
        signals.received(self.cycle.log, signo, 0, text)
        act()

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        what = describe(error) if error is not None else ""
        self.cycle.log.write(ALERT, f"{context.get('message', 'unexpected exception')}: {what}")


def process_name(number: int) -> str:
    """What the worker with this number is called in logs and titles."""
    return "privileged agent process" if number == PRIVILEGED else "worker process"


class Worker(Serving):
    """One of the master's workers. ``channel`` is its end of the socket pair, ``number`` its place from 0."""

    def __init__(
        self, cycle: Cycle, make_worker: MakeWorker, number: int, channel: socket.socket, title: Title
    ) -> None:
        super().__init__(cycle, make_worker)
        self.number = number
        self.channel = channel
        self.title = title
        self.quitting: asyncio.Task[None] | None = None

    def run(self, *, daemonized: bool) -> int:
        """Serve until told to end; returns the exit code."""
        stop = self.quit if daemonized else lambda: None
        self.listen_to_signals(
            {
                Signals.SIGTERM: (", exiting", self.end),
                Signals.SIGINT: (", exiting", self.end),
                Signals.SIGQUIT: (", shutting down", self.quit),
                Signals.SIGUSR1: (", reopening logs", self.reopen),
                Signals.SIGHUP: (", ignoring", lambda: None),
                Signals.SIGUSR2: (", ignoring", lambda: None),
                Signals.SIGWINCH: (", shutting down" if daemonized else "", stop),
            }
        )
        self.loop.run_until_complete(self._serve())
        log = self.cycle.log
        log.write(NOTICE, "exiting")
        if self.quitting is None or not self.quitting.done():
            self.http.stop()
        logs.flush()
        log.write(NOTICE, "exit")
        return 0

    async def _serve(self) -> None:
        sockets = {} if self.number == PRIVILEGED else self.cycle.listening.for_worker(self.number)
        await self.http.start(sockets, self.number)
        self.channel.setblocking(False)
        self.channel.send(READY)
        self.loop.add_reader(self.channel, self._order)
        await self.ended

    def _order(self) -> None:
        try:
            orders = self.channel.recv(64)
        except BlockingIOError:
            return
        except ConnectionResetError:
            orders = b""
        if not orders:
            self.loop.remove_reader(self.channel)
            self.cycle.log.write(ALERT, "the master process is gone, shutting down")
            self.quit()
        if TERMINATE in orders:
            self.end()
        elif QUIT in orders:
            self.quit()
        if REOPEN in orders:
            self.reopen()

    def quit(self) -> None:
        """End gracefully."""
        if self.quitting is None:
            self.cycle.log.write(NOTICE, "gracefully shutting down")
            self.title.set(f"{process_name(self.number)} is shutting down")
            self.quitting = self.loop.create_task(self._quit())

    async def _quit(self) -> None:
        try:
            await self.http.quit(self.cycle.config.worker_shutdown_timeout)
        finally:
            self.loop.call_soon(self.end)


class Single(Serving):
    """The only process. As in nginx every signal that ends it ends it at once, and a reload happens inside it."""

    def __init__(self, cycle: Cycle, make_worker: MakeWorker, load: Callable[[], Config]) -> None:
        super().__init__(cycle, make_worker)
        self._load = load
        self._leaving: set[asyncio.Task[None]] = set()

    def run(self) -> None:
        """Serve until told to end."""
        self.listen_to_signals(
            {
                Signals.SIGTERM: (", exiting", self.end),
                Signals.SIGINT: (", exiting", self.end),
                Signals.SIGQUIT: (", shutting down", self.end),
                Signals.SIGUSR1: (", reopening logs", self.reopen),
                Signals.SIGHUP: (", reconfiguring", lambda: self._leave_to(self._reload())),
                Signals.SIGUSR2: (", ignoring", lambda: signals.refuse_new_binary(self.cycle.log)),
            }
        )
        self.loop.run_until_complete(self._serve())
        self.http.stop()
        logs.flush()

    async def _serve(self) -> None:
        await self.http.start(self._sockets(), 0)
        await self.ended

    def _sockets(self) -> dict[Listen, list[socket.socket]]:
        """Sockets of its own for each HttpWorker: two may overlap, and each closes what it has."""
        return {listen: [each.dup() for each in found] for listen, found in self.cycle.listening.for_worker(0).items()}

    async def _reload(self) -> None:
        old, log = self.cycle, self.cycle.log
        log.write(NOTICE, "reconfiguring")
        new = next_cycle(self._load, old)
        if new is None:
            return
        retired, self.cycle = self.http, new
        self.http = self.make_worker(new.config, self.loop)
        await self.http.start(self._sockets(), 0)
        logs.redirect_stderr(new.log)
        await retired.quit(old.config.worker_shutdown_timeout)
        old.close_unless_in(self.cycle)

    def _leave_to(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def run_worker(cycle: Cycle, make_worker: MakeWorker, number: int, channel: socket.socket, *, daemonized: bool) -> int:
    """The life of a worker, right after the fork; returns its exit code."""
    title = Title()
    title.set(process_name(number))
    error = _become_worker(cycle, number)
    if error is not None:
        cycle.log.write(EMERG, error)
        return FATAL
    tune_gc()
    return Worker(cycle, make_worker, number, channel, title).run(daemonized=daemonized)


def tune_gc() -> None:
    """Collect seldom: requests leave no cycles behind, what was there before the fork is frozen."""
    gc.set_threshold(20000, 20, 50)
    gc.enable()


def set_environment(entries: list[str]) -> None:
    """Keep of the environment what ``env`` names, and ``TZ``; the first entry for a name counts."""
    kept: dict[bytes, bytes] = {}
    for entry in map(os.fsencode, [*entries, "TZ"]):
        name, given, value = entry.partition(b"=")
        if given or name in _environment:
            kept.setdefault(name, value if given else _environment[name])
    for name in list(os.environb):
        if name not in kept:
            del os.environb[name]
    os.environb.update(kept)
    time.tzset()


def _become_worker(cycle: Cycle, number: int) -> str | None:
    """Take on what the configuration says about workers; returns why it cannot be."""
    config, user = cycle.config, cycle.user if number != PRIVILEGED else None
    set_environment(config.env)
    if config.worker_rlimit_nofile is not None:
        import resource

        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (config.worker_rlimit_nofile, config.worker_rlimit_nofile))
        except (OSError, ValueError) as error:
            cycle.log.write(ALERT, f"setrlimit(RLIMIT_NOFILE, {config.worker_rlimit_nofile}) failed ({error})")
    if user is not None:
        try:
            os.setgid(user.gid)
            os.initgroups(user.name, user.gid)
            os.setuid(user.uid)
        except OSError as error:
            return f'the worker cannot run as user "{user.name}" {logs.reason(error)}'
    if config.working_directory is not None:
        try:
            os.chdir(config.working_directory)
        except OSError as error:
            return f'chdir("{config.working_directory}") failed {logs.reason(error)}'
    return None
