"""Runs a case on one server and writes down all that can be seen, with what differs between any two runs masked.

Masked: Date, the server's name and version, process ids, times and connection numbers in logs, ports, the prefix
folder, numbers of temporary files, and boundaries of multipart answers,
    addresses in memory. All else is compared as it is.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache

from client import Connection, Response
from harness import Server, ServerError
from origin import Origin

from .case import Ask, Case

_SERVER = re.compile(r"\b(?:nginx|pyresty|openresty)/\d[\w.+-]*")
#: Entries that say no more than that this client has gone, at a moment that nothing fixes.
_GONE = re.compile(r"closed keepalive connection|client closed connection while waiting|closing request")
_ENTRY = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w*)\] \d+#\d+: (\*\d+ )?(.*)", re.S)


@dataclass
class Seen:
    """What one :class:`Ask` brought: answers, what came after them, and if the server closed (None: not waited for)."""

    answers: list[dict[str, object]] = field(default_factory=list)
    rest: str = ""
    ended: bool | None = None


@dataclass
class Outcome:
    """What a whole case brought; ``failure`` is why there is nothing."""

    seen: list[Seen] = field(default_factory=list)
    error_log: list[str] = field(default_factory=list)
    access_log: list[str] = field(default_factory=list)
    failure: str = ""


#: Frames of a Lua stack traceback that are no file of the user's: libraries, and C functions other than Lua's own.
_LIBRARY = re.compile(r"\t(?!\{prefix\})/.*\n?")
_C_FRAME = re.compile(r"\t\[C\]: in function '(?!(?:error|assert|require|p?call|xpcall|dofile|sort|gsub)')[^']*'\n?")


def user_frames(message: str) -> str:
    """``message`` without the stack frames below the user's code: what of the API is C and what is Lua is no matter."""
    lines = message.splitlines(keepends=True)
    for number in range(len(lines) - 1, -1, -1):
        if _LIBRARY.fullmatch(lines[number]):
            del lines[number]
            while number and lines[number - 1].startswith("\t[C]:"):
                number -= 1
                del lines[number]
    return "".join(line for line in lines if not _C_FRAME.fullmatch(line))


def masker(case: Case, server: Server) -> Callable[[str], str]:
    """The function that masks text of this run."""
    ports = [(re.compile(rf"\b{number}\b"), "{" + name + "}") for name, number in server.ports.items()]
    masks = [(re.compile(pattern), to) for pattern, to in case.mask]

    def mask(text: str) -> str:
        text = text.replace(str(server.prefix), "{prefix}")
        for pattern, to in ports:
            text = pattern.sub(to, text)
        text = _SERVER.sub("SERVER", text)
        text = re.sub(r"<center>(?:nginx|pyresty|openresty)</center>", "<center>NAME</center>", text)
        text = re.sub(r"boundary=\d{20}|(?<=\r\n--)\d{20}", "BOUNDARY", text)
        text = re.sub(r"\bDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "Date: DATE", text)
        text = re.sub(r"(?<=_temp/)\d{10}", "NUMBER", text)
        text = re.sub(r"\b0x[0-9a-f]{8,}\b", "ADDRESS", text)
        for pattern, to in masks:
            text = pattern.sub(to, text)
        return text

    return mask


def _answer(response: Response, method: str, mask: Callable[[str], str]) -> dict[str, object]:
    headers: dict[str, list[str]] = {}
    # Error pages are signed with the server's name, so their length depends on the name's.
    server = response.get("Server") or ""
    page = response.status >= 300 and response.get("Content-Type") == "text/html"
    signed = f"<center>{server}</center>".encode() in response.body or (method == "HEAD" and page)
    for name, value in response.headers:
        if name == "Content-Length" and signed:
            value = f"{int(value) - len(server)} and the signature"
        elif name == "Date":
            value = re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "DATE", value)
        elif name == "Server" and value in ("nginx", "pyresty", "openresty"):
            value = "NAME"
        headers.setdefault(name, []).append(mask(value))
    body = response.body if response.status else response.raw
    if response.get("Content-Encoding") == "gzip" and body:
        body = gzip.decompress(body)  # how well it was compressed is no matter
    return {
        "version": response.version,
        "status": response.status,
        "reason": response.reason,
        "headers": dict(sorted(headers.items())),
        "body": mask(body.decode("utf-8", "backslashreplace")),
        "interim": response.interim,
        "complete": response.complete,
    }


def ask(server: Server, ask: Ask, mask: Callable[[str], str], timeout: float = 5) -> Seen:
    """Sends what ``ask`` says, and reads."""
    port = server.ports.get(ask.port)
    seen = Seen()
    with Connection(server.expand(ask.port) if port is None else port, timeout) as connection:
        for part in ask.send:
            if isinstance(part, bytes):
                connection.send(server.expand(part.decode("latin-1")).encode("latin-1") if b"{" in part else part)
            else:
                time.sleep(part)
        if ask.shutdown:
            connection.shutdown()
        try:
            for method in ask.read:
                seen.answers.append(_answer(connection.response(method), method, mask))
            if ask.end or not ask.read:
                seen.ended = False
                seen.rest = mask(connection.rest().decode("utf-8", "backslashreplace"))
                seen.ended = True
        except TimeoutError:
            seen.rest = f"(nothing more in {timeout} s)"
    return seen


def entries(case: Case, server: Server, mask: Callable[[str], str]) -> list[str]:
    """The error log's entries that are compared."""
    found = []
    for entry in server.error_log():
        match = _ENTRY.match(entry)
        if match is None:
            found.append(f"(not a log entry) {mask(entry)}")
            continue
        level, number, message = match.groups()
        if level not in case.levels or (level in ("notice", "info", "warn") and not number):
            continue
        if not _GONE.search(message) and not any(re.search(pattern, message) for pattern in case.drop):
            found.append(f"[{level}] {user_frames(mask(message))}")
    return found


def expected(case: Case, lines: list[str]) -> list[str]:
    """The reference's log lines as they have to be: those that a newer nginx writes differently replaced."""
    changed = (case.newer.get(line, line) for line in lines)
    return [line for line in changed if line is not None]


@cache
def play(case_name: str, reference: bool) -> Outcome:
    """Runs a case, once per test run and server."""
    from .cases import CASES

    case = CASES[case_name]
    outcome = Outcome()
    with ExitStack() as stack:
        ports = {}
        if case.scripts:
            ports["origin"] = stack.enter_context(Origin(case.scripts)).port
        server = Server(case.conf, case.files, reference=reference, ports=ports, modules=case.modules)
        stack.callback(server.close)
        try:
            server.start()
            mask = masker(case, server)
            for one in case.asks:
                try:
                    outcome.seen.append(ask(server, one, mask))
                except OSError as error:
                    outcome.seen.append(Seen(rest=f"({type(error).__name__})"))
            server.stop()
            outcome.error_log = entries(case, server, mask)
            outcome.access_log = [mask(line) for line in server.access_log()]
        except (ServerError, OSError) as error:
            outcome.failure = str(error)
    return outcome
