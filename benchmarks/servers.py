"""The servers that are compared, each a command line over a prefix folder of its own, pinned to one processor.

All kinds are started, found and ended in the same way, so that nothing but the program differs.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from benchmarks import procfs

ROOT = Path(__file__).resolve().parent.parent
CONFS = Path(__file__).resolve().parent / "conf"
#: The reference server, as Debian installs it, and what of it `content_by_lua` needs.
NGINX = "/usr/sbin/nginx"
LOAD_MODULES = "".join(
    f"load_module /usr/lib/nginx/modules/{name}.so; " for name in ("ndk_http_module", "ngx_http_lua_module")
)
ADDRESS = "127.0.0.1"
#: Ports are taken from here up: below those that the kernel gives to outgoing connections.
FIRST_PORT = 20500


class ServerError(Exception):
    """A server is not installed, did not start, or died; the text says which and what it printed."""


def free_port(start: int = FIRST_PORT) -> int:
    """The first port from ``start`` up that nothing listens on."""
    for port in range(start, 32768):
        with socket.socket() as sock, suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((ADDRESS, port))
            return port
    raise ServerError(f"no free port from {start} up")


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Processes started inside run on processor ``core`` only, and so do theirs: affinity is inherited."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A running server. Use it in a ``with`` statement; raises :class:`ServerError` if it does not start.

    :param kind: a key of :data:`COMMANDS`.
    :param conf: a file of ``conf/``. In it ``{port}`` is filled in, ``{user}`` (empty for an ordinary user), and
        the keys of ``fill``.
    :param files: files below the prefix by relative path.
    :param core: the processor for all its processes.
    """

    def __init__(self, kind: str, conf: str, fill: Mapping[str, str], files: Mapping[str, bytes], core: int) -> None:
        self.kind = kind
        self.core = core
        self.port = free_port()
        self.prefix = Path(tempfile.mkdtemp(prefix="pyresty-bench-"))
        self.prefix.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        text = (CONFS / conf).read_text()
        # A worker that has changed user could not read Python's own files in somebody's private folder.
        user = "user              root;" if os.geteuid() == 0 else ""
        for name, value in {"port": str(self.port), "user": user, **fill}.items():
            text = text.replace("{" + name + "}", value)
        (self.prefix / "logs").mkdir()
        for path, content in {"conf/nginx.conf": text.encode(), **files}.items():
            target = self.prefix / path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)

    def launch(self) -> None:
        """Starts the process, and does not wait for it."""
        command = COMMANDS[self.kind](self)
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        with open(self.prefix / "said", "wb") as said, pinned(self.core):
            self._process = subprocess.Popen(
                command, env=env, cwd=self.prefix, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def wait(self, target: str, seconds: float = 20) -> None:
        """Asks for ``target`` until there is an answer, whatever its status."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            try:
                self.ask(target)
                return
            except OSError:
                if time.monotonic() > end:
                    raise ServerError(f"{self.kind} does not answer after {seconds:g} s: {self.said()}") from None
                time.sleep(0.001)

    def check(self) -> None:
        """Raises :class:`ServerError` if the server has ended."""
        assert self._process is not None
        status = self._process.poll()
        if status is not None:
            raise ServerError(f"{self.kind} ended with status {status}: {self.said()}")

    def ask(self, target: str, form: str = "") -> tuple[int, str, bytes]:
        """Status, ``Content-Type`` and body of one request (a POST if there is a form) on a new connection.

        Raises :class:`OSError` when there is no connection or the answer breaks off.
        """
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=10)
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        try:
            connection.request("POST" if form else "GET", target, form or None, headers)
            response = connection.getresponse()
            return response.status, response.headers.get("Content-Type", ""), response.read()
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """All processes of the server. Raises :class:`ServerError` if one may run elsewhere than on its processor."""
        self.check()
        assert self._process is not None
        found = procfs.tree(self._process.pid)
        for pid in found:
            if os.sched_getaffinity(pid) != {self.core}:
                raise ServerError(f"{self.kind}: process {pid} is not bound to processor {self.core}")
        return found

    def said(self) -> str:
        """The end of what it printed and logged, for messages."""
        parts = []
        for name in ("said", "logs/error.log"):
            with suppress(OSError):
                parts.append((self.prefix / name).read_text(errors="backslashreplace").strip())
        return "\n".join(filter(None, parts))[-2000:]

    def stop(self) -> None:
        """Ends the server by TERM and waits for it; kills what is still there after 10 seconds."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        pids = procfs.tree(process.pid)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.prefix, ignore_errors=True)


def _nginx(server: Server) -> list[str]:
    # Not in the file: the file is the same for all servers.
    return [NGINX, "-p", f"{server.prefix}/", "-c", "conf/nginx.conf", "-g", LOAD_MODULES]


def _pyresty(server: Server) -> list[str]:
    return [sys.executable, "-m", "pyresty", "-p", f"{server.prefix}/", "-c", "conf/nginx.conf"]


def _uvicorn(server: Server) -> list[str]:
    switches = "--loop uvloop --http httptools --lifespan off --log-level warning --no-access-log"
    listen = ["--host", ADDRESS, "--port", str(server.port)]
    return [sys.executable, "-m", "uvicorn", "benchmarks.asgi:app", *switches.split(), *listen]


#: The command line of each kind of server, in the foreground with one worker.
COMMANDS = {"reference": _nginx, "pyresty": _pyresty, "uvicorn": _uvicorn}

_VERSIONS = {
    "reference": [NGINX, "-v"],
    "pyresty": [sys.executable, "-m", "pyresty", "-v"],
    "uvicorn": [sys.executable, "-m", "uvicorn", "--version"],
}


def version(kind: str) -> str:
    """What the server calls itself. Raises :class:`ServerError` when it is not installed."""
    try:
        done = subprocess.run(_VERSIONS[kind], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise ServerError(f"{kind}: {error.filename} is not installed") from None
    said = (done.stdout + done.stderr).strip()
    if done.returncode != 0:
        raise ServerError(f"{kind} is not installed, or does not run: {said[-2000:]}")
    return said.splitlines()[0].removeprefix("nginx version: ").removeprefix("Running ").partition(" with ")[0]
