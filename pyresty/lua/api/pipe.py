"""ngx.pipe: https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/pipe.md"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ...process.logs import ERR
from ..pipe import Process, busy

if TYPE_CHECKING:
    from ..vm import LuaVM

#: What a read or write of a closed pipe answers.
_CLOSED = (None, b"closed")


def _processes(r: Request) -> dict[int, Process]:
    found: dict[int, Process] = r.server.config.lua.processes
    return found


async def _again(operation: Callable[..., Any], *args: Any) -> Any:
    """Somebody else is busy with it, but may have been killed in this turn of the loop: look again in the next."""
    await asyncio.sleep(0)
    results = operation(*args, patient=False)
    return results if results.__class__ is tuple else await results


def pipe_read(
    r: Request, number: float, which: float, kind: float, size: float, ms: float, patient: bool = True
) -> Any:
    """Read from stdout (0) or stderr (1) for at most ``ms`` milliseconds (0: for ever)."""
    process = _processes(r)[int(number)]
    if process.closed:
        return _CLOSED
    if which and process.merged:
        return None, b"merged to stdout"
    stream = process.streams[int(which)]
    if stream.fd < 0:
        return _CLOSED
    if busy(stream.reader):
        return _again(pipe_read, r, number, which, kind, size, ms) if patient else (None, b"pipe busy reading")
    kind, size = int(kind), int(size)
    while True:
        found = stream.take(kind, size)
        if found is not None:
            return found
        if not stream.fill():
            stream.reader = process.read(stream, kind, size, ms / 1000)
            return stream.reader


def pipe_write(r: Request, number: float, data: bytes, ms: float, patient: bool = True) -> Any:
    """Write to stdin: how many bytes, or None and a message."""
    process = _processes(r)[int(number)]
    if process.closed or process.stdin < 0:
        return _CLOSED
    if busy(process.writer):
        return _again(pipe_write, r, number, data, ms) if patient else (None, b"pipe busy writing")
    written = process.write_now(data)
    if written is None:
        return _CLOSED
    if written == len(data):
        return (written,)
    process.writer = process.write(data, written, ms / 1000)
    return process.writer


def pipe_wait(r: Request, number: float, ms: float, patient: bool = True) -> Any:
    """Wait for the end of the process."""
    process = _processes(r)[int(number)]
    if process.closed:
        return None, b"exited"
    if busy(process.waiter):
        return _again(pipe_wait, r, number, ms) if patient else (None, b"pipe busy waiting")
    if process.ended():
        return process.result()
    process.waiter = process.wait(ms / 1000)
    return process.waiter


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""
    vm.processes = processes = {}
    last = 0

    def log(message: str) -> None:
        vm.config.error_log.write(ERR, message)

    def pipe_spawn(count: float, merge: bool, given: bool, *words: bytes) -> Any:
        """Start a process with ``count`` arguments, and the rest for its environment if that is ``given``.

        Its number and process id, or None and a message.
        """
        nonlocal last
        texts = [word.partition(b"\0")[0] for word in words]
        args = texts[: int(count)]
        environ = {name: value for name, _, value in (text.partition(b"=") for text in texts[int(count) :])}
        try:
            process = Process(args, environ if given else None, merge, log)
        except OSError as error:
            return None, b"fork failed: " + os.fsencode(error.strerror or "")
        last += 1
        processes[last] = process
        return last, process.pid

    def pipe_kill(number: float, signo: float) -> bytes | None:
        """Send a signal; an error message, or None."""
        return processes[int(number)].kill(int(signo))

    def pipe_shutdown(number: float, which: bytes) -> bytes | None:
        """Close a pipe; an error message, or None."""
        return processes[int(number)].shutdown(which)

    def pipe_destroy(number: float) -> None:
        """Lua has forgotten the process."""
        process = processes.pop(int(number), None)
        if process is not None:
            process.destroy()

    def end() -> None:
        for process in processes.values():
            process.destroy()
        processes.clear()

    vm.config.worker_end.append(end)
    table = (pipe_spawn, pipe_kill, pipe_shutdown, pipe_destroy)
    return {function.__name__: function for function in table}


OPERATIONS = {"pipe_read": pipe_read, "pipe_write": pipe_write, "pipe_wait": pipe_wait}
