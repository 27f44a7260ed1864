"""Runs pieces of Lua over ``ngx.socket.tcp`` on pyresty and on the reference, and writes down all that can be seen."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from differential.case import WARNINGS, Case, get
from differential.lua import FILES, locations
from differential.play import Outcome, Seen, ask, entries, masker
from harness import MODULES, REFERENCE, Server, http
from origin import Origin, Script

HAVE_REFERENCE = os.access(REFERENCE, os.X_OK) and (MODULES / "ngx_http_lua_module.so").exists()

#: ``dial(line, options)``: a connected socket that has asked the origin to play the script of that line.
PRELUDE = """
    init_by_lua_block {
        function dial(line, options)
            local sock = ngx.socket.tcp()
            sock:settimeout(2000)
            local ok, err = sock:connect("127.0.0.1", {origin}, options)
            if not ok then return nil, err end
            if line then assert(sock:send(line .. "\\n")) end
            return sock
        end
    }
"""

#: What differs because the reference is older (0.10.23): the peer is named in log lines since 0.10.27, and was in
#: another way before that; some messages. And addresses in memory.
MASK = (
    (r"(?<=[uc]:)(?!0{16})[0-9A-F]{16}", "ADDRESS"),
    (r", upstream: [^,(]*\([^)]*\)(?=, client:)", ""),
    (r", when connecting to [^,]*(?=, client:)", ""),
    (r"\(bad (?:number |pattern )?argument\)", "(bad argument)"),
    (r"(?<=expecting 0 or 1 )arguments", "argument"),
    (r"(?<=ngx.socket settimeout)(?=: expecting 4)", "s"),
)


@dataclass(frozen=True)
class Runs:
    """Locations of Lua code by name, the origin's scripts, and what is around, with ``more`` paths to ask for."""

    name: str
    snippets: Mapping[str, str]
    scripts: Mapping[str, Script] = field(default_factory=dict)
    inside: str = ""
    servers: str = ""
    more: tuple[str, ...] = ()

    def case(self) -> Case:
        """The conf and one request for each snippet."""
        conf = http(
            f"""
    lua_package_path "$prefix/lua/?.lua;;";
    {PRELUDE}
    server {{
        listen {{port}};
        {self.inside}
{locations(self.snippets)}
    }}
    {self.servers}
    """
        )
        asks = tuple(get(f"/{name}") for name in self.snippets) + tuple(get(path) for path in self.more)
        return Case(self.name, conf, asks, files=FILES, scripts=self.scripts, levels=WARNINGS, mask=MASK)


_outcomes: dict[tuple[str, bool], Outcome] = {}


@contextmanager
def full_listener() -> Iterator[int]:
    """A port on which connects get no answer: nobody accepts, and the queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def play(runs: Runs, reference: bool) -> Outcome:
    """Runs every snippet once on one server; remembered."""
    known = _outcomes.get((runs.name, reference))
    if known is not None:
        return known
    case, outcome = runs.case(), Outcome()
    with ExitStack() as stack:
        ports = {"origin": stack.enter_context(Origin(case.scripts)).port, "full": stack.enter_context(full_listener())}
        server = Server(case.conf, case.files, reference=reference, ports=ports)
        stack.callback(server.close)
        server.start()
        mask = masker(case, server)
        for one in case.asks:
            try:
                seen = ask(server, one, mask, timeout=10)
            except OSError as error:
                seen = Seen(rest=f"({type(error).__name__})")
            outcome.seen.append(seen)
        server.stop()
        outcome.error_log = entries(case, server, mask)
    _outcomes[runs.name, reference] = outcome
    return outcome


def check_answer(runs: Runs, number: int) -> None:
    """The answer is the reference's."""
    if not HAVE_REFERENCE:
        pytest.skip("no nginx with ngx_lua is installed")
    assert play(runs, False).seen[number] == play(runs, True).seen[number]


def check_log(runs: Runs) -> None:
    """The error log is the reference's."""
    if not HAVE_REFERENCE:
        pytest.skip("no nginx with ngx_lua is installed")
    assert play(runs, False).error_log == play(runs, True).error_log
