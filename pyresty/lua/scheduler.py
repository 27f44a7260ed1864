"""Runs a Lua handler for a request: into Lua once, out once, and once more for everything it waits for.

The Lua half is ``runtime/scheduler.lua``; what crosses is described there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..http.request import ERROR, Request
from ..process.logs import ERR
from .output import default_type, send

if TYPE_CHECKING:
    from .vm import LuaVM

DONE, FAILED, NO_CHUNK, GROUP = 0, -1, -2, -3


class Exit(Exception):
    """Ends a handler with a code: raised by operations after which the Lua thread is never resumed (``ngx.exit``, ``ngx.exec``)."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


def advance(vm: LuaVM, r: Request, answer: Any, last: bool) -> tuple[int, Any]:
    """Go on from Lua's answer as far as nothing has to wait.

    Returns 0 and the handler's code (None if it ran to its end), or the waiting thread's number and what to await for it.
    ``last`` says that the end of the handler is the end of the response.
    """
    while True:
        r.lua = answer[1]
        code, out = answer[0], answer[2]
        if code <= GROUP:
            return _threads(vm, r, answer)
        if out is not None:
            if last and code == DONE and not r.header_sent and r.version > 1000:
                if r.content_type is None:
                    r.content_type = default_type(r)
                r.send_all(out)
            else:
                send(r, out)
        if code == DONE:
            return 0, None
        if code < 0:
            return 0, fail(r, answer[3])
        tid = answer[3]
        try:
            results = vm.ops[code](r, *answer[4:])
        except Exit as end:
            vm.cancel(tid)
            return 0, end.code
        if results.__class__ is not tuple:
            return tid, results
        vm.r = r
        answer = vm.resume(tid, *results)


def _threads(vm: LuaVM, r: Request, answer: Any) -> tuple[int, Any]:
    """As ``advance``, for a handler that has become several threads; ``GROUP`` stands for all their numbers."""
    from .threads import Threads

    threads = Threads(vm, r)
    threads.go_on(answer)
    return (0, threads.code) if threads.ended else (GROUP, threads.wait())


async def carry_on(vm: LuaVM, r: Request, tid: int, waiting: Any, last: bool) -> int | None:
    """Wait, and go on, until the handler has ended. Returns its code: None if it ran to its end."""
    while tid:
        if tid < 0:
            ended: int | None = await waiting
            return ended
        try:
            results = await waiting
        except Exit as end:
            vm.cancel(tid)
            return end.code
        except BaseException:
            vm.cancel(tid)
            raise
        if r.aborted:
            vm.output_failed(r.lua)
        vm.r = r
        tid, waiting = advance(vm, r, vm.resume(tid, *results), last)
    code: int | None = waiting
    return code


def run_sync(vm: LuaVM, r: Request, phase: bytes, chunk: int) -> tuple[bool, Any]:
    """Run a handler that may not wait (``set_by_lua*``, ``log_by_lua*``): whether it ended well, and its first result."""
    outer = vm.r
    vm.r = r
    answer = vm.start(phase, chunk, r.lua, r.header_sent)
    vm.r = outer
    r.lua = answer[1]
    if answer[0] == DONE:
        return True, answer[3]
    if answer[0] < 0:
        return False, answer[3]
    vm.cancel(answer[3])
    return False, b"attempt to yield across C-call boundary"


def fail(r: Request, message: bytes) -> int:
    """Log a handler's error as OpenResty does; the answer is 500, or where it has begun its end."""
    r.log(ERR, b"lua entry thread aborted: runtime error: " + message)
    r.held = None
    return ERROR if r.header_sent else 500
