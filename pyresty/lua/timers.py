"""``ngx.timer``: Lua that runs later, in no request of a client. https://github.com/openresty/lua-nginx-module#ngxtimerat

A timer runs as the handler of a request that nobody sent: same scheduler, same operations, settings of the location that it was made in.
Function and arguments stay on the Lua side, under a number.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..http.codec.head import empty_head
from ..http.request import Request
from ..process.logs import ALERT, DEBUG
from .scheduler import advance, carry_on

if TYPE_CHECKING:
    from ..http.routing import Location
    from .vm import LuaVM


class NoClient:
    """Stands where a request has its connection. ``remote_addr`` and ``listening`` are those of the request that made the timer."""

    __slots__ = (
        "listening", "lost", "loop", "number", "on_data", "remote_addr", "requests", "task", "transport", "worker", "write_paused",
    )  # fmt: skip

    scheme = b"http"
    tls = None

    def __init__(self, worker: Any, remote_addr: bytes, listening: bytes) -> None:
        self.worker = worker
        self.loop = worker.loop
        self.number = worker.next_number()
        self.remote_addr = remote_addr
        self.listening = listening
        self.requests = 0
        self.lost = self.write_paused = False
        self.on_data = self.task = self.transport = None


class TimerRequest(Request):
    """The request of a timer that runs; it has no head, no answer, and log lines of its own form."""

    def __init__(self, conn: NoClient, loc: Location) -> None:
        head = empty_head(b"")
        head.server = loc.server
        super().__init__(conn, head, 0.0)  # type: ignore[arg-type]
        self.loc = loc

    def log_context(self) -> bytes:
        """``, context: ngx.timer``, with client and server where a client's request made the timer."""
        conn: Any = self.conn
        text = self.action + b", context: ngx.timer"
        if conn.remote_addr:
            text += b", client: " + conn.remote_addr
        if conn.listening:
            text += b", server: " + conn.listening
        return text


class Timers:
    """The timers of one worker: ``pending`` wait for their time, ``running`` are those whose function has begun and not ended."""

    def __init__(self, vm: LuaVM) -> None:
        self.vm = vm
        #: ``lua_max_pending_timers`` and ``lua_max_running_timers``.
        self.max_pending, self.max_running = 1024, 256
        self.running = 0
        self.pending: dict[int, asyncio.TimerHandle] = {}
        self._made: dict[int, tuple[float, bool, bytes, bytes, Location]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- called from Lua

    def refused(self, ms: float) -> bytes | None:
        """Why no timer can be made now, or None."""
        if self.vm.config.worker.quitting and ms > 0:
            return b"process exiting"
        if len(self.pending) >= self.max_pending:
            return b"too many pending timers"
        return None

    def at(self, number: int, ms: float, every: bool) -> None:
        """Run timer ``number`` in ``ms`` milliseconds, or every ``ms``."""
        r = self.vm.r
        if r is None:
            client, listening, loc = b"", b"", self.vm.config.servers[0].root
        else:
            loc = r.loc
            conn: Any = r.conn
            client = conn.remote_addr
            listening = conn.listening if isinstance(conn, NoClient) else conn.address.text.encode()
        self._made[number] = (ms / 1000, every, client, listening, loc)
        self._wait(number, ms / 1000)

    def counts(self) -> tuple[int, int]:
        """How many run, how many are pending."""
        return self.running, len(self.pending)

    # -- their time

    def _wait(self, number: int, seconds: float) -> None:
        loop = self.vm.config.worker.loop
        self.pending[number] = loop.call_later(max(0.0, min(seconds, 1e9)), self._due, number)

    def _due(self, number: int, premature: bool = False) -> None:
        self.vm.config.error_log.write(DEBUG, "lua ngx.timer expired")
        del self.pending[number]
        seconds, every, client, listening, loc = self._made[number]
        vm = self.vm
        worker = vm.config.worker
        last = not every or worker.quitting
        if last:
            del self._made[number]
        else:
            self._wait(number, seconds)
        if self.running >= self.max_running:
            where = vm.drop_timer(number, last)
            vm.config.error_log.write(
                ALERT,
                b"lua failed to run timer with function defined at %s: %d lua_max_running_timers are not enough"
                % (where, self.max_running),
            )
            return
        r = TimerRequest(NoClient(worker, client, listening), loc)
        self.running += 1
        worker.held += 1
        vm.r = r
        tid, waiting = advance(vm, r, vm.start_timer(number, premature, last), False)
        if not tid:
            self._ended(r)
            return
        task = worker.loop.create_task(self._carry(r, tid, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, r: Request, tid: int, waiting: Any) -> None:
        try:
            await carry_on(self.vm, r, tid, waiting, False)
        finally:
            self._ended(r)

    def _ended(self, r: Request) -> None:
        self.vm.config.error_log.write(DEBUG, "http lua close fake http connection", r.conn.number)
        if r.lua:
            self.vm.release(r)
        if r.cleanups is not None:
            for cleanup in r.cleanups:
                cleanup(r)
        self.running -= 1
        worker = self.vm.config.worker
        worker.held -= 1
        if worker.quitting:
            worker.check_empty()

    def abort_pending(self) -> None:
        """The worker ends: what is pending runs now, and is told that it is premature."""
        for number, handle in list(self.pending.items()):
            handle.cancel()
            self._due(number, True)
