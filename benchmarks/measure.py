"""How it is measured: the server's processor time between two moments, over the requests answered in between.

Processor time and not speed, because a server that waits for the load, or for another program on the same processor,
is slower but not dearer. What such a neighbour does cost, in caches and in wake-ups, only adds: so servers take turns,
round by round, and each one's cheapest round counts.
An answer that is not the right one, and every error that wrk counts, make a measurement invalid.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import procfs
from benchmarks.servers import ADDRESS, Server, ServerError
from benchmarks.workloads import Workload, without_token

SCRIPTS = Path(__file__).resolve().parent / "wrk"
#: Connections of the load, and the seconds it runs before anything is counted.
CONNECTIONS = 64
WARM_UP = 1
#: Idle connections whose memory is measured.
IDLE_CONNECTIONS = 5000


class Invalid(Exception):
    """The measurement does not count, and why."""


@dataclass(frozen=True)
class Load:
    """What wrk counted: complete answers, answers in a second, and its errors by name (only those that happened)."""

    requests: int
    rate: float
    errors: dict[str, int]


@dataclass(frozen=True)
class Cores:
    """Processor numbers: the server's, and the one that load and origin share."""

    server: int
    load: int


@dataclass(frozen=True)
class Sample:
    """One round.

    :ivar cost: in the unit of the workload's kind.
    :ivar rate: requests answered in a second, where the kind is ``load``.
    """

    cost: float
    rate: float | None = None


@dataclass
class Result:
    """One server on one workload.

    :ivar samples: its rounds.
    :ivar error: why they don't count; empty if they do.
    :ivar rank: which of the rounds counts, in the order of their cost: 0 is the cheapest.
    """

    samples: list[Sample] = field(default_factory=list)
    error: str = ""
    rank: int = 0

    @property
    def chosen(self) -> Sample | None:
        """The round that counts; None if the result is invalid."""
        return None if self.error else sorted(self.samples, key=lambda sample: sample.cost)[self.rank]


def parse_wrk(text: str) -> Load:
    """Reads wrk's report. Raises :class:`Invalid` if there is none in ``text``."""
    requests = re.search(r"^\s*(\d+) requests in ", text, re.M)
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", text, re.M)
    if not requests or not rate:
        raise Invalid(f"no report from wrk: {text.strip()[-500:]}")
    errors: dict[str, int] = {}
    if found := re.search(r"^\s*Socket errors: (.*)", text, re.M):
        errors = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", found[1]) if int(count)}
    if found := re.search(r"^\s*Non-2xx or 3xx responses: (\d+)", text, re.M):
        errors["status"] = int(found[1])
    return Load(int(requests[1]), float(rate[1]), errors)


def wrk(server: Server, workload: Workload, seconds: int) -> Load:
    """Loads ``server`` for whole ``seconds``, from this process's processor. Raises :class:`Invalid` on any error."""
    command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout", "10s"]
    if workload.script:
        command += ["-s", str(SCRIPTS / workload.script)]
    command += [f"http://{ADDRESS}:{server.port}{workload.target}"]
    if workload.form:
        command += ["--", workload.form]
    done = subprocess.run(command, capture_output=True, text=True)
    load = parse_wrk(done.stdout + done.stderr)
    if load.errors:
        counted = ", ".join(f"{name} {count}" for name, count in load.errors.items())
        raise Invalid(f"errors under load: {counted} (of {load.requests} requests)")
    if not load.requests:
        raise Invalid("no request was answered under load")
    return load


def settle(server: Server) -> None:
    """Waits until the server has worked off what wrk left behind: no processor time worth naming in 50 ms."""
    pids, fine = server.pids(), procfs.has_schedstat()
    before = procfs.cpu_ns(pids, fine)
    for _ in range(200):
        time.sleep(0.05)
        now = procfs.cpu_ns(pids, fine)
        if now - before < 500_000:
            return
        before = now
    raise Invalid("the server does not come to rest")


def verify(server: Server, workload: Workload) -> None:
    """Raises :class:`Invalid` unless one request gets exactly the answer that the workload's row demands."""
    status, content_type, body = server.ask(workload.target, workload.form)
    expected = (200, workload.content_type, workload.body)
    for name, got, wanted in zip(
        ("status", "Content-Type", "body"), (status, content_type, without_token(body)), expected, strict=True
    ):
        if got != wanted:
            raise Invalid(f"wrong {name}: {str(got)[:100]}, not {str(wanted)[:100]}: {server.said()}")


def load(server: Server, workload: Workload, seconds: int) -> Sample:
    """Microseconds of processor time for a request, all of the server's processes and threads together."""
    wrk(server, workload, WARM_UP)
    settle(server)
    pids, fine = server.pids(), procfs.has_schedstat()
    before = procfs.cpu_ns(pids, fine)
    counted = wrk(server, workload, seconds)
    after = procfs.cpu_ns(pids, fine)
    if server.pids() != pids:
        raise Invalid("a process of the server died or was born under load")
    settle(server)
    return Sample((after - before) / 1000 / counted.requests, counted.rate)


def idle(server: Server, workload: Workload, seconds: int) -> Sample:
    """KB of memory for a connection that has had one answer and waits; the kernel's own part is not in it."""
    wrk(server, workload, WARM_UP)
    settle(server)
    before = procfs.memory_bytes(server.pids())
    with ExitStack() as stack:
        request = f"GET {workload.target} HTTP/1.1\r\nHost: {ADDRESS}:{server.port}\r\n\r\n".encode()
        sockets = []
        for _ in range(IDLE_CONNECTIONS):
            sock = stack.enter_context(socket.create_connection((ADDRESS, server.port), 10))
            sock.sendall(request)
            if not sock.recv(65536).startswith(b"HTTP/1.1 200 "):
                raise Invalid("a connection got no answer")
            sockets.append(sock)
        settle(server)
        after = procfs.memory_bytes(server.pids())
        for sock in sockets:
            sock.setblocking(False)
            try:
                while rest := sock.recv(65536):
                    pass
            except BlockingIOError:
                continue
            if not rest:
                raise Invalid("the server closed a connection that should have stayed")
    return Sample((after - before) / 1024 / IDLE_CONNECTIONS)


def start(server: Server, workload: Workload, seconds: int) -> Sample:
    """Seconds from starting the command to the end of its first answer."""
    server.stop()
    begin = time.perf_counter()
    server.launch()
    server.wait(workload.target)
    return Sample(time.perf_counter() - begin)


@dataclass(frozen=True)
class Kind:
    """A kind of measurement: how one round goes, how many there are, which counts, and the unit of what comes out."""

    sample: Callable[[Server, Workload, int], Sample]
    rounds: int
    rank: int
    unit: str


#: The cheapest of three rounds under load, the median of seven starts.
KINDS = {"load": Kind(load, 3, 0, "µs"), "idle": Kind(idle, 1, 0, "KB"), "start": Kind(start, 7, 3, "s")}


def run(workload: Workload, servers: Iterable[str], seconds: int, cores: Cores) -> dict[str, Result]:
    """Measures one workload on those of its servers that are in ``servers``.

    Call it on a process that is bound to ``cores.load``: wrk and the origin inherit that.
    """
    kind = KINDS[workload.kind]
    results = {name: Result(rank=kind.rank) for name in workload.servers if name in servers}
    running: dict[str, Server] = {}
    with ExitStack() as stack:
        fill = dict(workload.fill)
        if workload.origin:
            origin = stack.enter_context(Server("reference", "origin.conf", {}, {}, cores.load))
            fill["origin"] = str(origin.port)
            origin.launch()
            try:
                origin.wait("/")
            except ServerError as error:
                return {name: Result(error=f"the origin: {error}") for name in results}
        for name, result in results.items():
            server = stack.enter_context(Server(name, workload.conf, fill, workload.files, cores.server))
            try:
                server.launch()
                server.wait(workload.target)
                verify(server, workload)
            except (Invalid, ServerError, OSError) as error:
                result.error = str(error)
            else:
                running[name] = server
        for _ in range(kind.rounds):
            for name, server in list(running.items()):
                try:
                    results[name].samples.append(kind.sample(server, workload, seconds))
                except (Invalid, ServerError, OSError) as error:
                    results[name].error = str(error)
                    del running[name]
    return results
