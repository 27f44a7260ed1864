"""Light threads, the Python half: what the threads of one handler wait for, each in a task. The Lua half is ``runtime/thread.lua``.

While Lua runs it only queues what its threads ask for; the operations begin when it has returned, so nothing ever enters the VM twice.
https://github.com/openresty/lua-nginx-module#ngxthreadspawn
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..http.request import ERROR
from ..process.logs import INFO
from .output import send
from .scheduler import DONE, GROUP, Exit, fail

if TYPE_CHECKING:
    from ..http.request import Request
    from .vm import LuaVM


#: Lua's answers, beside the scheduler's: an operation that ends the handler; the entry thread failed; there is no ``ngx.on_abort``.
GROUP_OP, GROUP_FAILED, ABORTED = -5, -6, -4


class Threads:
    """The threads of the handler that runs for ``r``."""

    __slots__ = ("_done", "_ready", "_tasks", "code", "ended", "r", "vm")

    def __init__(self, vm: LuaVM, r: Request) -> None:
        self.vm = vm
        self.r = r
        self.ended = False
        self.code: int | None = None  #: the handler's, once it has ended; None if it ran to its end
        self._tasks: dict[int, tuple[asyncio.Task[None], int]] = {}  # with the operation's number
        self._ready: list[tuple[int, tuple[Any, ...]]] = []  # operations that needed no waiting, and their results
        self._done: asyncio.Future[None] = r.conn.loop.create_future()
        r.threads = self
        if r.loc.conf["lua"].check_client_abort and r.on_abort is None:
            r.on_abort = self.client_closed

    def go_on(self, answer: Any) -> None:
        """Go on from Lua's answer as far as nothing has to wait."""
        vm, r, ready = self.vm, self.r, self._ready
        try:
            while True:
                code = answer[0]
                r.lua = answer[1]
                if answer[2] is not None:
                    send(r, answer[2])
                if code != GROUP:
                    self._end(self._last_code(answer))
                    return
                queued, vm.queued = vm.queued, []
                for tid, op, args in queued:
                    results = vm.ops[op](r, *args)
                    if results.__class__ is tuple:
                        ready.append((tid, results))
                    else:
                        self._tasks[tid] = r.conn.loop.create_task(self._wait(tid, results)), op
                if not ready:
                    return
                tid, results = ready.pop(0)
                vm.r = r
                answer = vm.resume(tid, *results)
        except Exit as end:
            self._end(end.code)

    def _last_code(self, answer: Any) -> int | None:
        """The code of a handler whose last answer this is. One that fails while subrequests run breaks off, as in OpenResty."""
        from .api.control import exit_code

        if answer[0] == DONE:
            return None
        if answer[0] == GROUP_FAILED:
            rc = fail(self.r, answer[3])
            return exit_code(self.r, ERROR, True) if answer[4] else rc
        assert answer[0] == GROUP_OP
        try:
            self.vm.ops[answer[3]](self.r, *answer[4:])
        except Exit as end:
            return end.code
        raise AssertionError("the operation should have ended the handler")

    async def _wait(self, tid: int, waiting: Any) -> None:
        try:
            results = await waiting
            if self._tasks.pop(tid, None) is None:
                return
            vm, r = self.vm, self.r
            if r.aborted:
                vm.output_failed(r.lua)
            vm.r = r
            self.go_on(vm.resume(tid, *results))
        except Exit as end:
            self._end(end.code)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if not self._done.done():
                self._done.set_exception(error)
            self._forget()

    def _end(self, code: int | None) -> None:
        self.ended = True
        self.code = code
        self._forget()
        if not self._done.done():
            self._done.set_result(None)

    def _forget(self) -> None:
        """Nothing that still waits is wanted any more."""
        tasks, self._tasks = self._tasks, {}
        for task, op in tasks.values():
            task.cancel()
            self.vm.killed(op)
        self.vm.queued.clear()
        self._ready.clear()
        r = self.r
        if r.on_abort == self.client_closed:
            r.on_abort = None
        if r.lua:
            self.vm.end_group(r.lua)
        r.threads = None

    def kill(self, tid: int) -> None:
        """``ngx.thread.kill``: the operation of this thread is of no use any more."""
        self._ready[:] = [entry for entry in self._ready if entry[0] != tid]
        found = self._tasks.pop(tid, None)
        if found is not None:
            found[0].cancel()

    async def wait(self) -> int | None:
        """Wait until the handler has ended; returns its code."""
        try:
            await self._done
        finally:
            if not self.ended:
                self._forget()
        return self.code

    def client_closed(self) -> None:
        """The client has gone, and ``lua_check_client_abort`` is on."""
        vm, r = self.vm, self.r
        r.log(INFO, "client prematurely closed connection")
        vm.r = r
        answer = vm.client_aborted(r.lua)
        if answer[0] == ABORTED:
            self._end(499)
        else:
            r.aborted = r.conn.lost  # or the client has only ended its half, and still takes output
            self.go_on(answer)


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def queue(tid: int, op: int, *args: Any) -> None:
        vm.queued.append((tid, op, args))

    def unqueue(tid: int, op: int) -> None:
        """Thread ``tid`` has been killed."""
        vm.killed(op)
        vm.queued = [entry for entry in vm.queued if entry[0] != tid]
        assert vm.r is not None
        if vm.r.threads is not None:
            vm.r.threads.kill(tid)

    return {"queue": queue, "unqueue": unqueue}
