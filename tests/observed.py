"""A pyresty server whose worker can be looked into, and the variants in which HTTP has to behave the same.

The variants are the two parsers of heads, each with heads remembered and with every head parsed anew.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import launcher
import pytest
from client import Connection, request
from harness import REFERENCE, Server

#: Switches, and what ``launcher.py`` is told, by name.
VARIANTS = {
    "httptools": ("remember", ["--http", "httptools"]),
    "h11": ("remember", ["--http", "h11"]),
    "httptools, forgetful": ("forget", ["--http", "httptools"]),
    "h11, forgetful": ("forget", ["--http", "h11"]),
}


def wait_for(condition: Callable[[], object], what: str, timeout: float = 10) -> None:
    """Waits until ``condition()`` holds; fails the test after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{what}: not after {timeout} s")
        time.sleep(0.01)


def logged(server: Server, mark: str, name: str = "access.log") -> str:
    """The one line of a log that has ``mark`` in it, once it is there."""
    found: list[str] = []

    def there() -> bool:
        found[:] = [line for line in server.log_text(name).splitlines() if mark in line]
        return bool(found)

    wait_for(there, f"{mark} in {name}")
    assert len(found) == 1, found
    return found[0]


class Observed(Server):
    """See :class:`harness.Server`; ``variant`` is a key of ``VARIANTS``."""

    def __init__(
        self,
        conf: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        variant: str = "httptools",
        args: Iterable[str] = (),
    ) -> None:
        self.heads, switches = VARIANTS[variant]
        super().__init__(conf, files, args=[*switches, *args])

    def command(self, *args: str) -> list[str]:
        _, _, _, *tail = super().command(*args)
        return [sys.executable, launcher.__file__, self.heads, *tail]

    @property
    def worker(self) -> int:
        """The process id of the only worker."""
        assert self._process is not None
        master = self._process.pid
        children: list[str] = []

        def found() -> bool:
            children[:] = Path(f"/proc/{master}/task/{master}/children").read_text().split()
            return len(children) == 1

        wait_for(found, "one worker")
        return int(children[0])

    def state(self) -> tuple[int, int]:
        """How many connections and tasks the worker has."""
        path = self.prefix / "logs" / "state"
        path.unlink(missing_ok=True)
        os.kill(self.worker, launcher.STATE)
        wait_for(path.exists, "the worker's state")
        connections, tasks = path.read_text().split()
        return int(connections), int(tasks)

    def resident(self) -> int:
        """The worker's resident memory in bytes."""
        pages = Path(f"/proc/{self.worker}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def check_well(self, path: str = "/") -> None:
        """The worker answers, has nothing left of what tests did to it, and has not complained of itself."""
        assert request(self, path=path).status == 200
        wait_for(lambda: self.state() == (0, self.idle_tasks), f"nothing left, but {self.state()}")
        said = self.said()
        assert "Traceback" not in said
        assert "internal error" not in said
        assert "exception" not in self.stderr.lower()

    def start(self, timeout: float = 20) -> None:
        super().start(timeout)
        request(self)  # answered only when the worker is up, and knows the signal
        wait_for(lambda: self.state()[0] == 0, "no connection")
        self.idle_tasks = self.state()[1]


def serve(
    conf: str, files: Mapping[str, str | bytes] | None, variant: str = "httptools", path: str = "/"
) -> Iterator[Observed]:
    """The body of a fixture: a server that is checked at the end, by asking for ``path``."""
    server = Observed(conf, files, variant=variant)
    with server:
        yield server
        server.check_well(path)


def serve_both(conf: str, files: Mapping[str, str | bytes] | None, which: str, path: str = "/") -> Iterator[Server]:
    """As :func:`serve`; ``which`` may also be ``reference``, so that what a test expects is known to be nginx's."""
    if which != "reference":
        yield from serve(conf, files, which, path)
        return
    if not os.path.exists(REFERENCE):
        pytest.skip(f"no reference server: {REFERENCE}")
    with Server(conf, files, reference=True) as server:
        yield server


#: For tests that the reference server passes too.
BOTH = (*VARIANTS, "reference")

__all__ = ["BOTH", "VARIANTS", "Connection", "Observed", "logged", "serve", "serve_both", "wait_for"]
