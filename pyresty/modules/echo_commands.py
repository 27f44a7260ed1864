"""The commands of echo, and what runs them. https://github.com/openresty/echo-nginx-module#content-handler-directives

A command is a function of the request and of where its sequence stands. It answers None to go on, a code or status that ends the
request, or what has to be awaited for one of these.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..http.body import RequestBody
from ..http.request import ERROR, OK
from ..http.uri import UnsafeURI, parse_unsafe_uri
from ..process.logs import ERR, WARN

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.routing import Handler
    from ..http.template import Template

#: What a command answers.
Outcome = "int | None | Awaitable[int | None]"

#: Longer output goes out in pieces of this many bytes, as the client takes them.
_PIECE = 1 << 20


class State:
    """Where the sequence of one request stands. nginx: ``ngx_http_echo_ctx_t``."""

    __slots__ = ("choices", "counter", "ends", "loop", "next", "status", "timer")

    def __init__(self, r: Request, status: int, ends: tuple[int, ...]) -> None:
        self.next = 0  #: the command to be run next
        self.status = status
        self.ends = ends  #: where loops end
        self.timer = r.start  #: seconds; what ``$echo_timer_elapsed`` counts from
        self.counter = 0  #: ``$echo_incr``
        self.loop = -1  #: the first command of the loop that runs
        self.choices: list[bytes] | None = None  #: what ``$echo_it`` still has to be in it, the last one first


class Command:
    """One command. ``subrequest``: it makes a subrequest whose output is a part of the response. ``ends``: it ends a loop."""

    __slots__ = ("ends", "run", "subrequest")

    def __init__(self, run: Callable[[Request, State], Any], *, subrequest: bool = False, ends: bool = False) -> None:
        self.run = run
        self.subrequest = subrequest
        self.ends = ends


def make_handler(commands: list[Command], status: int) -> Handler:
    """The content handler of a location with these commands, whose answers have ``status``."""
    sequence = tuple(commands)
    count = len(sequence)
    ends = tuple(at for at, command in enumerate(sequence) if command.ends)

    def content(r: Request) -> int | Awaitable[int | None]:
        state = State(r, status, ends)
        if r.contexts is None:
            r.contexts = {}
        r.contexts["echo"] = state
        return step(r, state)

    def step(r: Request, state: State) -> int | Awaitable[int | None]:
        while state.next < count:
            run = sequence[state.next].run
            state.next += 1
            rc = run(r, state)
            if rc is not None:
                return ended(r, rc) if rc.__class__ is int else wait(r, state, rc)
        return whole(r, state)

    async def wait(r: Request, state: State, waiting: Any) -> int:
        while True:
            rc = await waiting
            if rc is not None:
                return ended(r, rc)
            while state.next < count:
                run = sequence[state.next].run
                state.next += 1
                rc = run(r, state)
                if rc is not None:
                    break
            else:
                return whole(r, state)
            if rc.__class__ is int:
                return ended(r, rc)
            waiting = rc

    return content


def ended(r: Request, rc: int) -> int:
    """What a code that ends the sequence early means when the head has gone."""
    return ERROR if rc >= 300 and r.header_sent else rc


def whole(r: Request, state: State) -> int:
    """The end of the sequence, and of the response."""
    send_header(r, state)
    r.finish()
    if r.body is None and not r.discard_body():
        return ERROR
    return OK


def send_header(r: Request, state: State) -> None:
    """Send the head, unless it has been sent."""
    if r.header_sent:
        return
    r.status = state.status
    if r.content_type is None:
        r.content_type = r.loc.core.type_of(r.uri)
    r.content_length = None
    r.allow_ranges = False
    r.send_header()


def send(r: Request, state: State, data: bytes) -> None:
    """Send a piece of the body, and the head before it."""
    if not r.header_sent:
        send_header(r, state)
    if not r.header_only:
        r.write(data)


def echo(text: Template) -> Command:
    """``echo``: ``text`` is all of it."""

    def run(r: Request, state: State) -> None:
        data = text(r)
        if data:
            send(r, state, data)

    return Command(run)


def _sync(r: Request, state: State) -> None:
    send(r, state, b"")


#: Sends the head where subrequests come before any output.
sync = Command(_sync)


def duplicate(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_duplicate count text``."""

    def run(r: Request, state: State) -> Any:
        count = arguments[0](r) if arguments else b""
        digits = count.replace(b"_", b"")
        if not count or len(arguments) < 2 or not (digits.isdigit() or not digits):
            r.log(ERR, b'invalid size specified: "%s"' % count)
            return 500
        text = arguments[1](r)
        times = int(digits or b"0")
        if times * len(text) > _PIECE:
            return in_pieces(r, state, text, times)
        if times and text:
            send(r, state, text * times)
        else:
            send_header(r, state)
        return None

    async def in_pieces(r: Request, state: State, text: bytes, times: int) -> None:
        size = max(1, _PIECE // len(text))
        piece = text * min(size, times)
        while times and not r.aborted:
            send(r, state, piece if times >= size else text * times)
            if r.header_only:
                return
            times -= min(size, times)
            await r.drain()

    return Command(run)


def request_body(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_request_body``: as much as has been read, from memory or from its file."""

    def run(r: Request, state: State) -> Any:
        body = r.body
        if body is None:
            return None
        if body.data:
            send(r, state, body.data)
        elif body.path is not None:
            return from_file(r, state, body.path)
        return None

    async def from_file(r: Request, state: State, path: str) -> None:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                send(r, state, piece)
                await r.drain()

    return Command(run)


def flush(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_flush``: what has been printed goes to the socket now."""

    def run(r: Request, state: State) -> None:
        if r.header_sent:
            if r.body_filters is not None:
                r.write(b"")
            r.flush()

    return Command(run)


def _milliseconds(r: Request, text: bytes) -> int | None:
    """``1.234`` → 1234, with up to three digits after the point. nginx: ``ngx_atofp``. Logs what is no such number."""
    whole, _, part = text.partition(b".")
    if not (whole + part).isdigit() or len(part) > 3:
        r.log(ERR, b'invalid sleep duration "%s"' % text)
        return None
    return int(whole + part.ljust(3, b"0"))


def sleep(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_sleep seconds``."""

    def run(r: Request, state: State) -> Any:
        delay = _milliseconds(r, arguments[0](r) if arguments else b"")
        return 400 if delay is None else asyncio.sleep(delay / 1000)

    return Command(run)


def blocking_sleep(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_blocking_sleep seconds``: the whole worker sleeps."""

    def run(r: Request, state: State) -> int | None:
        delay = _milliseconds(r, arguments[0](r) if arguments else b"")
        if delay is None:
            return 400
        time.sleep(delay / 1000)
        return None

    return Command(run)


def reset_timer(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_reset_timer``."""

    def run(r: Request, state: State) -> None:
        state.timer = time.time()

    return Command(run)


def read_request_body(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_read_request_body``. A subrequest has the body that it was given."""

    def run(r: Request, state: State) -> Any:
        return None if r.is_subrequest else read_body(r)

    return Command(run)


def read_body(r: Request) -> Awaitable[None] | None:
    """Read the body of a main request; None if it is there already."""
    if r.body is None:
        r.body = RequestBody(r)
    return None if r.body.read_now() else r.body.read()


def foreach_split(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_foreach_split delimiter text``: runs what follows, up to ``echo_end``, with ``$echo_it`` as each part that is not empty."""

    def run(r: Request, state: State) -> int | None:
        if state.choices is not None:
            r.log(ERR, "Nested echo_foreach not supported yet.")
            return 500
        if len(arguments) < 2:
            r.log(
                ERR,
                "echo_foreach should take at least two arguments. "
                '(if your delimiter starts with "-", preceding it with a "--".)',
            )
            return 500
        delimiter, text = arguments[0](r), arguments[1](r)
        parts = text.split(delimiter) if delimiter else [text]
        state.choices = [part for part in reversed(parts) if part]
        state.loop = state.next
        if not state.choices:
            state.next = next((at for at in state.ends if at >= state.next), state.next)
        return None

    return Command(run)


def end(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_end``: on with the next part, or with what follows the loop."""

    def run(r: Request, state: State) -> int | None:
        if state.choices is None:
            r.log(ERR, "Found a echo_end that has no corresponding echo_foreach before it.")
            return ERROR
        if state.choices:
            state.choices.pop()
        if state.choices:
            state.next = state.loop
        else:
            state.choices = None
        return None

    return Command(run, ends=True)


def abort_parent(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_abort_parent``, which the echo module takes but can't do: it answers 500."""

    def run(r: Request, state: State) -> int:
        r.log(ERR, "unknown opcode: 17")
        return 500

    return Command(run)


def exec_(options: tuple[str, ...], arguments: tuple[Template, ...]) -> Command:
    """``echo_exec location [args]``, ``echo_exec @name``: go on there."""

    def run(r: Request, state: State) -> int:
        uri = arguments[0](r) if arguments else b""
        if not uri:
            return 400
        try:
            path, args = parse_unsafe_uri(uri)
        except UnsafeURI:
            return ERROR
        if len(arguments) > 1:
            args = arguments[1](r)
        if path.startswith(b"@"):
            if args:
                r.log(WARN, b"querystring %s ignored when exec'ing named location %s" % (args, path))
            return r.redirect_named(path)
        return r.redirect(path, args)

    return Command(run)
