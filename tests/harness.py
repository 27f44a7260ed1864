"""Servers as a user runs them: a prefix folder with a conf and files, one process, sockets from outside.

:class:`Server` treats a server as a black box: it runs pyresty or the reference server (nginx with ngx_lua) on the same
text of configuration. The sockets are in ``client.py``, whose names can be had from here too.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import pytest
from client import Connection, Headers, Response, head, raw, request

__all__ = [
    "Connection", "Headers", "Ports", "Response", "Server", "ServerError", "both", "head", "http", "raw", "request",
    "without_reference",
]  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent
#: The reference server and its dynamic modules.
REFERENCE = "/usr/sbin/nginx"
MODULES = Path("/usr/lib/nginx/modules")
without_reference = pytest.mark.skipif(
    not (os.access(REFERENCE, os.X_OK) and (MODULES / "ngx_http_lua_module.so").exists()),
    reason="no nginx with ngx_lua is installed",
)
#: Puts a test to both servers, told by its argument ``reference``.
both = pytest.mark.parametrize(
    "reference", [pytest.param(False, id="pyresty"), pytest.param(True, id="reference", marks=without_reference)]
)
#: Modification time of every file that a test supplies, so that Last-Modified and ETag can be compared:
#: Sat, 04 Mar 2023 05:06:07 GMT.
MTIME = 1677906367

_PLACEHOLDER = re.compile(r"\{(port\d*|dead\d*|prefix|user|temp_paths)\}")


def http(text: str, main: str = "", events: str = "worker_connections 256;") -> str:
    """A whole nginx.conf around the inside of ``http { … }``; ``main`` goes above ``events``.

    Logs go below the prefix: ``error_log`` at level ``info``, ``access_log`` as request line and status.
    """
    return (
        "{user} worker_processes 1; pid {prefix}/logs/nginx.pid; error_log {prefix}/logs/error.log info;\n"
        f"{main}\n"
        f"events {{ {events} }}\n"
        "http {\n"
        "    log_format brief '\"$request\" $status'; access_log {prefix}/logs/access.log brief; {temp_paths}\n"
        f"{text.strip(chr(10))}\n"
        "}\n"
    )


def asleep(pid: int) -> bool:
    """Whether all threads of a process and of its descendants wait for something (proc(5), states S, I and Z)."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            children = (task / "children").read_text().split()
        except OSError:  # it has ended meanwhile
            continue
        if state not in "SIZ" or not all(asleep(int(child)) for child in children):
            return False
    return True


class ServerError(Exception):
    """A server did not start, or did not end cleanly; the text holds what it printed."""


class Ports:
    """Free loopback ports by name. ``dead…`` ones stay bound but refuse connections until :meth:`release`."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._held: list[socket.socket] = []

    def reserve(self, names: Iterable[str]) -> None:
        """Chooses a port for each name that has none yet."""
        free: list[socket.socket] = []
        for name in names:
            if name in self.numbers:
                continue
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            self.numbers[name] = sock.getsockname()[1]
            (self._held if name.startswith("dead") else free).append(sock)
        for sock in free:
            sock.close()

    def release(self) -> None:
        """Frees the dead ports."""
        for sock in self._held:
            sock.close()


class Server:
    """One server process over a prefix folder of its own, for use in a ``with`` statement.

    :param conf: text of ``conf/nginx.conf``. Placeholders: ``{port}``, ``{port2}`` … free ports, ``{dead}`` a port that
        refuses connections, ``{prefix}`` the folder, and any key of ``ports``.
    :param files: other files below the prefix by relative path, text or bytes; text takes the same placeholders.
        A path that ends in ``/`` makes a folder.
    :param reference: run the reference server instead of pyresty.
    :param ports: ports that exist already (an origin's, for example), by placeholder name.
    :param args: further switches of the command line.
    :param wait: ports to wait for instead of those that the conf's ``listen`` directives name as placeholders.
    :param modules: dynamic modules that the reference loads.
    :param directives: for ``-g``, in front of the conf.
    :param before: words in front of the command line; the program they name has to become the server by ``exec``.
    """

    def __init__(
        self,
        conf: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        reference: bool = False,
        ports: Mapping[str, int] | None = None,
        args: Iterable[str] = (),
        wait: Iterable[int] | None = None,
        modules: Iterable[str] = ("ndk_http_module", "ngx_http_lua_module"),
        directives: str = "",
        before: Iterable[str] = (),
    ) -> None:
        self.conf = conf
        self.files = dict(files or {})
        self.reference = reference
        self.args = list(args)
        self.modules = list(modules)
        self.directives = directives
        self.before = list(before)
        # Both servers must see paths of one length, or bodies that name a path could not be compared.
        self.prefix = Path(tempfile.mkdtemp(prefix="pyresty-test-"))
        self.prefix.chmod(0o755)
        self._ports = Ports()
        self._ports.numbers.update(ports or {})
        self.wait = None if wait is None else list(wait)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port that ``{port}`` stands for."""
        return self.ports["port"]

    @property
    def pid(self) -> int:
        """The process: the master, or with ``master_process off`` the only one."""
        assert self._process is not None
        return self._process.pid

    @property
    def ports(self) -> dict[str, int]:
        """All ports by placeholder name."""
        return self._ports.numbers

    def expand(self, text: str) -> str:
        """``text`` with the placeholders filled in; other braces stay as they are."""
        names = [name for name in _PLACEHOLDER.findall(text) if name.startswith(("port", "dead"))]
        self._ports.reserve(names)
        values = {name: str(number) for name, number in self.ports.items()}
        values["prefix"] = str(self.prefix)
        # A worker that has changed user could not read the prefix, nor Python its own files, in a private folder.
        values["user"] = "user root;" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi") if self.reference else ()
        values["temp_paths"] = " ".join(f"{kind}_temp_path {self.prefix}/{kind}_temp;" for kind in kinds)
        for name, value in values.items():
            text = text.replace("{" + name + "}", value)
        return text

    def write(self, path: str, content: str | bytes, mtime: int = MTIME) -> Path:
        """Writes one file (or folder, when ``path`` ends in ``/``) below the prefix."""
        target = self.prefix / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else self.expand(content).encode())
        os.utime(target, (mtime, mtime))
        return target

    def prepare(self) -> None:
        """Lays out the prefix folder."""
        (self.prefix / "logs").mkdir(exist_ok=True)
        self.write("conf/nginx.conf", self.conf)
        for path, content in self.files.items():
            self.write(path, content)

    def command(self, *args: str) -> list[str]:
        """The command line that runs this server in the foreground, with ``args`` added."""
        prefix = str(self.prefix)
        if self.reference:
            # By -g and not in the file, so that line numbers in messages are the same for both servers.
            loads = " ".join(f"load_module {MODULES}/{name}.so;" for name in self.modules)
            program = [REFERENCE, "-e", f"{prefix}/logs/error.log", "-g", f"daemon off; {loads} {self.directives}"]
        else:
            program = [sys.executable, "-m", "pyresty", *(["-g", self.directives] if self.directives else [])]
        return [*self.before, *program, "-p", prefix, "-c", "conf/nginx.conf", *self.args, *args]

    def environment(self) -> dict[str, str]:
        """The process's environment: pyresty is imported from this tree."""
        env = dict(os.environ)
        if not self.reference:
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH", "")]))
        return env

    def run(self, *args: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end (``-t``, or a conf that is refused) and returns status, stdout and stderr."""
        self.prepare()
        command, env = self.command(*args), self.environment()
        return subprocess.run(command, env=env, cwd=self.prefix, capture_output=True, text=True, timeout=timeout)

    def check(self) -> subprocess.CompletedProcess[str]:
        """What ``-t`` says of the conf; the prefix folder is removed."""
        try:
            return self.run("-t")
        finally:
            self.close()

    def start(self, timeout: float = 20) -> None:
        """Starts the server and waits until its ports answer; raises :class:`ServerError` when they don't."""
        self.prepare()
        ports = self.wait
        if ports is None:
            names = re.findall(r"\blisten\s+[^;]*?\{(port\d*)\}", self.conf)
            ports = [self.ports[name] for name in dict.fromkeys(names)]
        with open(self.prefix / "stdout", "wb") as out, open(self.prefix / "stderr", "wb") as err:
            command, env = self.command(), self.environment()
            self._process = subprocess.Popen(
                command, env=env, cwd=self.prefix, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        end = time.monotonic() + timeout
        for port in ports:
            while True:
                if self._process.poll() is not None:
                    raise ServerError(f"ended with {self._process.returncode} at start\n{self.said()}")
                try:
                    socket.create_connection(("127.0.0.1", port), 5).close()
                    break
                except OSError:
                    if time.monotonic() > end:
                        self._process.kill()
                        raise ServerError(f"port {port} does not answer after {timeout} s\n{self.said()}") from None
                    time.sleep(0.01)

    def stop(self, timeout: float = 15) -> None:
        """Stops the server by QUIT (TERM if that takes too long).

        Raises :class:`ServerError` unless it ended with status 0 and left no Python traceback in its output or log.
        """
        process, self._process = self._process, None
        if process is None:
            return
        late = ""
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                late = f"still there {timeout} s after QUIT\n"
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        said = self.said()
        if late or process.returncode != 0:
            raise ServerError(f"{late}ended with {process.returncode}\n{said}")
        if "Traceback (most recent call last)" in self.stdout + self.stderr + self.log_text():
            raise ServerError(f"Python traceback\n{said}")

    def signal(self, number: int) -> None:
        """Sends a signal to the master."""
        assert self._process is not None
        self._process.send_signal(number)

    def settle(self, timeout: float = 2) -> None:
        """Waits until every thread of the server sleeps: what it does for the requests so far, log lines too, is done.

        A server that is never at rest is left after ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while self._process is not None and not asleep(self._process.pid) and time.monotonic() < end:
            time.sleep(0.002)

    def _read(self, path: str) -> str:
        try:
            return (self.prefix / path).read_bytes().decode("utf-8", "backslashreplace")
        except OSError:
            return ""

    @property
    def stdout(self) -> str:
        """What the process has printed to its standard output."""
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        """What the process has printed to its standard error."""
        return self._read("stderr")

    def log_text(self, name: str = "error.log") -> str:
        """The text of a file in ``logs/``, once the server is at rest; empty when it doesn't exist."""
        self.settle()
        return self._read(f"logs/{name}")

    def error_log(self) -> list[str]:
        """The entries of ``logs/error.log``; an entry of several lines is one string."""
        text = self.log_text()
        return re.split(r"\n(?=\d{4}/\d\d/\d\d )", text.rstrip("\n")) if text else []

    def logged(self, text: str, timeout: float = 10) -> list[str]:
        """The entries of ``logs/error.log``, once one of them holds ``text``; fails after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        entries = self.error_log()
        while not any(text in entry for entry in entries):
            assert time.monotonic() < end, f"{text!r} is not in\n" + "\n".join(entries)
            time.sleep(0.01)
            entries = self.error_log()
        return entries

    def access_log(self) -> list[str]:
        """The lines of ``logs/access.log``."""
        return self.log_text("access.log").splitlines()

    def said(self) -> str:
        """Standard output, standard error and the error log's end, for messages."""
        return f"--- stdout\n{self.stdout}--- stderr\n{self.stderr}--- error.log\n{self.log_text()[-6000:]}"

    def close(self) -> None:
        """Kills what is left and removes the prefix folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._ports.release()
        shutil.rmtree(self.prefix, ignore_errors=True)

    def __enter__(self) -> Server:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except ServerError:
            if kind is None:
                raise
        finally:
            self.close()
