"""The master with its workers, over a stand-in for the HTTP core (fake_core.py): signals, reloads, deaths."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE, contains, free_port, until, writes_to

FAKE = Path(__file__).parent / "fake_core.py"

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs super-user privileges")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Fake:
    """The stand-in's process over a prefix folder of its own."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def conf(self, **given: Any) -> None:
        given.setdefault("listen", [{"port": self.port}])
        if os.geteuid() == 0:
            given.setdefault("user", ["root", None])
        (self.prefix / "conf.json").write_text(json.dumps(given))

    def start(self, environment: dict[str, str] | None = None, /, **given: Any) -> None:
        """Starts and waits until a worker has begun to accept."""
        self.conf(**given)
        self.process = self.popen(environment)
        until(lambda: self.process is None or self.process.poll() is not None or self.accepts())
        assert self.process.poll() is None or given.get("daemon"), self.process.communicate()

    def popen(self, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(FAKE), str(self.prefix)],
            cwd=self.prefix,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def accepts(self) -> bool:
        try:
            self.get("/")
        except OSError:
            return False
        return True

    def get(self, path: str, port: int | None = None) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", port or self.port), PATIENCE) as s:
            s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        if not answer:
            raise ConnectionResetError("closed without an answer")
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found

    @property
    def master(self) -> int:
        return int((self.prefix / "logs/nginx.pid").read_text())

    def log(self) -> str:
        path = self.prefix / "logs/error.log"
        return path.read_text() if path.exists() else ""

    def logged(self, pattern: str, times: int = 1) -> list[str]:
        """Waits until the log matches so many times, and returns the matches."""
        return until(lambda: found if len(found := re.findall(pattern, self.log())) >= times else None)  # type: ignore[no-any-return]

    def kill(self, signo: int) -> None:
        os.kill(self.master, signo)

    def ended(self) -> int:
        """Waits for the end of the process; returns its exit code."""
        assert self.process is not None
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture
def fake() -> Iterator[Fake]:
    prefix = Path(tempfile.mkdtemp(prefix="pyresty-test-"))
    prefix.chmod(0o755)  # for workers that have changed user
    server = Fake(prefix)
    yield server
    pids = re.findall(r"start worker process (\d+)", server.log())
    with suppress(OSError, ValueError):
        pids.append(str(server.master))
    if server.process is not None:
        server.process.kill()
        server.process.communicate()
    for pid in pids:
        with suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)
    shutil.rmtree(prefix)


# -- start and end


def test_start_and_quit(fake: Fake) -> None:
    fake.start(worker_processes=2, notices=["a notice"])
    assert fake.process is not None and fake.master == fake.process.pid
    workers = [int(pid) for pid in fake.logged(r"start worker process (\d+)", 2)]
    assert fake.get("/")["pid"] in workers
    fake.kill(signal.SIGQUIT)
    assert fake.ended() == 0
    log = fake.log()
    me = os.getpid()
    for line in (
        r"\[notice\] (\d+)#\1: nginx/[\d.]+ \(pyresty [\d.]+\)",
        r"\[notice\] (\d+)#\1: start worker processes",
        rf"\[notice\] (\d+)#\1: signal 3 \(SIGQUIT\) received from {me}, shutting down",
        *(rf"\[notice\] {pid}#{pid}: gracefully shutting down" for pid in workers),
        *(rf"\[notice\] {pid}#{pid}: exiting" for pid in workers),
        *(rf"\[notice\] {pid}#{pid}: exit\n" for pid in workers),
        *(rf"\[notice\] (\d+)#\1: worker process {pid} exited with code 0" for pid in workers),
        rf"\[notice\] {fake.process.pid}#{fake.process.pid}: exit\n$",
    ):
        assert re.search(line, log), line
    assert not (fake.prefix / "logs/nginx.pid").exists()
    assert not fake.accepts()


def test_missing_log_folder_is_created(fake: Fake) -> None:
    fake.start()
    assert f'created the missing folder "{fake.prefix}/logs"' in fake.log()


def test_other_missing_folders_are_not(fake: Fake) -> None:
    fake.conf(error_log="elsewhere/error.log")
    process = fake.popen()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f'nginx: [emerg] open() "{fake.prefix}/elsewhere/error.log" failed (2: No such file or directory)\n' in said


def test_failing_init_by_lua_stops_the_start(fake: Fake) -> None:
    fake.conf(init="init_by_lua error: no")
    process = fake.popen()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "nginx: [emerg] init_by_lua error: no\n" in said
    assert not fake.accepts()


def test_quit_finishes_what_has_begun(fake: Fake) -> None:
    fake.start()
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        fake.kill(signal.SIGQUIT)
        fake.logged("gracefully shutting down")
        assert b"200 OK" in s.recv(100)
    assert fake.ended() == 0


def test_quit_is_limited_by_worker_shutdown_timeout(fake: Fake) -> None:
    fake.start(worker_shutdown_timeout=0.1)
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
        fake.kill(signal.SIGQUIT)
        assert fake.ended() == 0


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_fast_end(fake: Fake, signo: signal.Signals) -> None:
    fake.start()
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
        fake.get("/")
        fake.kill(signo)
        assert fake.ended() == 0
    assert f"({signo.name}) received from {os.getpid()}, exiting" in fake.log()
    assert "gracefully" not in fake.log()


def test_worker_that_does_not_end_is_killed(fake: Fake) -> None:
    fake.start()
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /block HTTP/1.0\r\n\r\n")
        time.sleep(0.1)
        fake.kill(signal.SIGTERM)
        assert fake.ended() == 0
    assert re.search(r"\[alert\] .*worker process \d+ exited on signal 9", fake.log())


def test_term_after_quit_does_not_wait(fake: Fake) -> None:
    fake.start()
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
        fake.get("/")
        fake.kill(signal.SIGQUIT)
        fake.logged("gracefully shutting down")
        fake.kill(signal.SIGTERM)
        assert fake.ended() == 0


def test_unix_socket_is_removed_at_the_end(fake: Fake) -> None:
    path = fake.prefix / "socket"
    fake.start(listen=[{"port": fake.port}, {"path": str(path)}])
    assert path.is_socket()
    fake.kill(signal.SIGQUIT)
    assert fake.ended() == 0
    assert not path.exists()


def test_stderr_goes_to_the_error_log(fake: Fake) -> None:
    fake.start()
    fake.get("/")
    assert os.readlink(f"/proc/{fake.master}/fd/2") == str(fake.prefix / "logs/error.log")


def test_error_log_stderr(fake: Fake) -> None:
    fake.start(error_log="stderr")
    fake.kill(signal.SIGQUIT)
    assert fake.process is not None
    _, said = fake.process.communicate(timeout=PATIENCE)
    assert "[notice]" in said and ": start worker processes\n" in said


# -- reload


def test_reload(fake: Fake) -> None:
    fake.start(label="old", worker_processes=2)
    old = fake.logged(r"start worker process (\d+)", 2)
    other = free_port()
    fake.conf(label="new", listen=[{"port": fake.port}, {"port": other}])
    fake.kill(signal.SIGHUP)
    for pid in old:
        fake.logged(rf"worker process {pid} exited with code 0")
    assert fake.get("/")["label"] == fake.get("/", other)["label"] == "new"
    log = fake.log()
    assert re.search(rf"signal 1 \(SIGHUP\) received from {os.getpid()}, reconfiguring\n.*: reconfiguring\n", log)
    fake.conf(label="last", listen=[{"port": other}])
    fake.kill(signal.SIGHUP)
    until(lambda: fake.get("/", other)["label"] == "last")
    until(lambda: not fake.accepts())


def test_reload_finishes_what_has_begun(fake: Fake) -> None:
    fake.start(label="old")
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        fake.conf(label="new")
        fake.kill(signal.SIGHUP)
        until(lambda: fake.get("/")["label"] == "new")
        assert b'"label": "old"' in b"".join(iter(lambda: s.recv(65536), b""))


@pytest.mark.parametrize("single", [False, True])
def test_reloads_lose_no_request(fake: Fake, single: bool) -> None:
    fake.start(label="0", worker_processes=2, master_process=not single)
    seen: set[str] = set()
    lost: list[str] = []
    over = threading.Event()

    def hammer() -> None:
        while not over.is_set():
            try:
                seen.add(fake.get("/")["label"])
            except OSError as error:
                lost.append(repr(error))

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for each in threads:
        each.start()
    try:
        for label in ("1", "2", "3", "4"):
            fake.conf(label=label, worker_processes=2, master_process=not single)
            fake.kill(signal.SIGHUP)
            until(partial(contains, seen, label))
        fake.logged("(?<!SIGHUP)reconfiguring\n", 4)
    finally:
        over.set()
        for each in threads:
            each.join()
    assert lost == []


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fails": "it is wrong"}, r"\[emerg\] .*: it is wrong in .*conf.json:1\n.*\[emerg\] .*: hint: mend it"),
        ({"error_log": "no/such.log"}, r'\[emerg\] .*: open\(\) ".*/no/such.log" failed \(2: No such file'),
        ({"init": "init_by_lua error: no"}, r"\[emerg\] .*: init_by_lua error: no"),
        ({"bug": "x"}, r"\[alert\] .*: the new configuration cannot be used: KeyError: 'x' at .*fake_core.py:\d+"),
        ({"listen": [{"path": "/no/such/socket"}]}, r"\[emerg\] .*: bind\(\) to unix:/no/such/socket failed \(2: "),
    ],
)
def test_bad_reload_changes_nothing(fake: Fake, change: dict[str, Any], message: str, single: bool) -> None:
    fake.start(label="old", master_process=not single)
    before = fake.get("/")
    fake.conf(**{"label": "new", "master_process": not single, **change})
    fake.kill(signal.SIGHUP)
    fake.logged(message)
    assert fake.get("/") == before
    fake.conf(label="good", master_process=not single)
    fake.kill(signal.SIGHUP)
    until(lambda: fake.get("/")["label"] == "good")


def test_reload_moves_the_pid_file(fake: Fake) -> None:
    fake.start()
    master = fake.master
    fake.conf(pid="logs/other.pid")
    fake.kill(signal.SIGHUP)
    until(lambda: not (fake.prefix / "logs/nginx.pid").exists())
    assert (fake.prefix / "logs/other.pid").read_text() == f"{master}\n"


def test_reload_moves_the_logs(fake: Fake) -> None:
    fake.start()
    fake.conf(error_log="logs/other.log")
    fake.kill(signal.SIGHUP)
    other = fake.prefix / "logs/other.log"
    until(lambda: other.exists() and "start worker processes" in other.read_text())
    assert os.readlink(f"/proc/{fake.master}/fd/2") == str(other)


# -- other signals


def test_reopening_logs(fake: Fake) -> None:
    fake.start(buffer=1000, worker_processes=2)
    fake.get("/first")
    logs = fake.prefix / "logs"
    processes = [str(fake.master), *fake.logged(r"start worker process (\d+)", 2)]
    for name in ("access.log", "error.log"):
        (logs / name).rename(logs / f"{name}.1")
    fake.kill(signal.SIGUSR1)
    for pid in processes:
        # The last thing that a process does: standard error moves too.
        until(partial(writes_to, pid, logs / "error.log"))
    assert (logs / "error.log.1").read_text().count(": reopening logs\n") == 3
    fake.get("/second")
    fake.kill(signal.SIGQUIT)
    assert fake.ended() == 0
    assert "/first\n" in (logs / "access.log.1").read_text()
    assert (logs / "access.log").read_text() == "/second\n"
    assert ": exit\n" in (logs / "error.log").read_text()


def test_changing_the_binary_is_refused(fake: Fake) -> None:
    fake.start()
    fake.kill(signal.SIGUSR2)
    fake.logged(rf"signal 12 \(SIGUSR2\) received from {os.getpid()}, ignoring")
    fake.logged(r"\[error\] .*SIGUSR2\) is not supported")
    assert fake.accepts()


def test_window_size_of_the_terminal_is_no_order(fake: Fake) -> None:
    fake.start()
    before = fake.get("/")["pid"]
    fake.kill(signal.SIGWINCH)
    fake.logged(rf"signal 28 \(SIGWINCH\) received from {os.getpid()}\n")
    assert fake.get("/")["pid"] == before


def test_signals_ignored_by_the_shell_still_work(fake: Fake) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fake.start()
    finally:
        signal.signal(signal.SIGINT, before)
    fake.kill(signal.SIGINT)
    assert fake.ended() == 0


def test_signals_sent_to_a_worker(fake: Fake) -> None:
    fake.start()
    first = fake.get("/")["pid"]
    os.kill(first, signal.SIGHUP)
    fake.logged(rf"{first}#{first}: signal 1 \(SIGHUP\) received, ignoring")
    os.kill(first, signal.SIGUSR1)
    fake.logged(rf"{first}#{first}: reopening logs")
    os.kill(first, signal.SIGQUIT)
    fake.logged(rf"{first}#{first}: gracefully shutting down")
    fake.logged(rf"worker process {first} exited with code 0")
    until(fake.accepts)
    second = fake.get("/")["pid"]
    os.kill(second, signal.SIGTERM)
    fake.logged(rf"{second}#{second}: signal 15 \(SIGTERM\) received, exiting")
    until(fake.accepts)
    assert len({first, second, fake.get("/")["pid"]}) == 3


# -- deaths


def test_dead_worker_is_replaced(fake: Fake) -> None:
    fake.start(worker_processes=2)
    pids = [int(pid) for pid in fake.logged(r"start worker process (\d+)", 2)]
    os.kill(pids[0], signal.SIGKILL)
    fake.logged(rf"signal 17 \(SIGCHLD\) received from {pids[0]}")
    fake.logged(rf"\[alert\] .*worker process {pids[0]} exited on signal 9")
    [new] = fake.logged(r"start worker process (\d+)", 3)[2:]
    until(lambda: fake.get("/")["pid"] == int(new))
    assert fake.get("/")["worker"] in (0, 1)


@pytest.mark.parametrize(
    ("dies", "code", "message"),
    [("exit", 3, ""), ("raise", 1, r"\[alert\] .*cannot go on: RuntimeError: raised at the start at .*fake_core.py:")],
)
def test_worker_that_dies_at_once_is_not_replaced_at_once(fake: Fake, dies: str, code: int, message: str) -> None:
    fake.conf(dies=dies)
    began = time.monotonic()
    fake.process = fake.popen()
    fake.logged(rf"\[notice\] .*worker process \d+ exited with code {code}", 3)
    assert time.monotonic() - began > 1.5
    assert re.search(message, fake.log())
    fake.conf()
    fake.kill(signal.SIGHUP)
    until(fake.accepts)
    fake.kill(signal.SIGQUIT)
    assert fake.ended() == 0


def test_worker_that_cannot_work_is_not_replaced(fake: Fake) -> None:
    fake.conf(working_directory="/no/such/folder")
    fake.process = fake.popen()
    fake.logged(r'\[emerg\] .*: chdir\("/no/such/folder"\) failed \(2: No such file or directory\)')
    fake.logged(r"\[alert\] .*worker process \d+ exited with fatal code 2 and cannot be respawned")
    fake.kill(signal.SIGQUIT)
    assert fake.ended() == 0
    assert fake.log().count("start worker process ") == 1


def test_worker_ends_when_the_master_is_gone(fake: Fake) -> None:
    fake.start(worker_processes=2)
    pids = [int(pid) for pid in fake.logged(r"start worker process (\d+)", 2)]
    until(lambda: {fake.get("/")["worker"] for _ in range(20)} == {0, 1})
    fake.kill(signal.SIGKILL)
    assert fake.ended() == -signal.SIGKILL
    until(lambda: not any(map(alive, pids)))
    assert fake.log().count("[alert]") == 2 and not fake.accepts()


def test_unexpected_exceptions_are_one_line_of_the_log(fake: Fake) -> None:
    fake.start()
    with pytest.raises(OSError, match="closed without"):
        fake.get("/raise")
    fake.logged(r"\[alert\] .*: RuntimeError: raised in a protocol at .*fake_core.py:\d+")
    assert "Traceback" not in fake.log()
    assert fake.accepts()


# -- what a worker is


def test_environment(fake: Fake) -> None:
    fake.start({"KEPT": "kept", "DROPPED": "x", "TZ": "UTC"}, env=["KEPT", "SET=one=two", "SET=again", "MISSING"])
    assert fake.get("/")["env"] == {"KEPT": "kept", "SET": "one=two", "TZ": "UTC"}
    fake.conf(env=["DROPPED"])
    fake.kill(signal.SIGHUP)
    until(lambda: fake.get("/")["env"] == {"DROPPED": "x", "TZ": "UTC"})


def test_working_directory_and_open_files(fake: Fake) -> None:
    fake.start(working_directory="/", worker_rlimit_nofile=321)
    about = fake.get("/")
    assert about["cwd"] == "/"
    assert about["nofile"] == [321, 321]


@root_only
def test_user(fake: Fake) -> None:
    fake.start(user=["nobody", "daemon"])
    about = fake.get("/")
    assert (about["user"], about["group"]) == ("nobody", "daemon")
    fake.kill(signal.SIGUSR1)
    fake.logged(": reopening logs", 2)
    assert (fake.prefix / "logs/access.log").owner() == "nobody"
    assert "[emerg]" not in fake.log()


@root_only
@pytest.mark.parametrize(
    ("user", "message"),
    [
        (["no-such-user", None], 'getpwnam("no-such-user") failed'),
        (["root", "no-such-group"], 'getgrnam("no-such-group") failed'),
    ],
)
def test_unknown_user(fake: Fake, user: list[str | None], message: str) -> None:
    fake.conf(user=user)
    process = fake.popen()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"nginx: [emerg] {message}\n" in said


# -- daemon on, master_process off


def test_daemon(fake: Fake) -> None:
    fake.start(daemon=True)
    assert fake.ended() == 0
    master = fake.master
    assert fake.process is not None and master != fake.process.pid
    assert os.getsid(master) == master
    assert [os.readlink(f"/proc/{master}/fd/{fd}") for fd in (0, 1)] == ["/dev/null", "/dev/null"]
    fake.kill(signal.SIGWINCH)
    fake.logged(r"signal 28 \(SIGWINCH\) received from \d+, stop accepting connections")
    fake.logged(r"worker process \d+ exited with code 0")
    fake.conf(daemon=True)
    fake.kill(signal.SIGHUP)
    until(lambda: fake.log().count("start worker processes") == 2)
    until(fake.accepts)
    fake.kill(signal.SIGQUIT)
    until(lambda: not alive(master))
    assert not (fake.prefix / "logs/nginx.pid").exists()


def test_daemon_has_its_workers(fake: Fake) -> None:
    fake.conf(daemon=True, worker_processes=4)
    process = fake.popen()
    assert process.wait(PATIENCE) == 0
    assert len(Path(f"/proc/{fake.master}/task/{fake.master}/children").read_text().split()) == 4


def test_daemon_that_cannot_start_says_so(fake: Fake) -> None:
    fake.conf(daemon=True, pid="no/such/pid")
    process = fake.popen()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f'nginx: [emerg] open() "{fake.prefix}/no/such/pid" failed (2: No such file or directory)' in said


def test_single_process(fake: Fake) -> None:
    fake.start({"DROPPED": "x"}, master_process=False, label="old", env=["SET=1"])
    about = fake.get("/")
    assert about["pid"] == fake.master
    assert about["env"].get("SET") == "1" and "DROPPED" not in about["env"]
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        fake.get("/")
        fake.conf(master_process=False, label="new")
        fake.kill(signal.SIGHUP)
        until(lambda: fake.get("/")["label"] == "new")
        assert b'"label": "old"' in b"".join(iter(lambda: s.recv(65536), b""))
    assert fake.get("/")["pid"] == about["pid"]
    fake.kill(signal.SIGUSR1)
    fake.logged("(?<!, )reopening logs")
    fake.kill(signal.SIGUSR2)
    fake.logged(r"SIGUSR2\) is not supported")
    assert "worker process" not in fake.log()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_single_process_ends_at_once(fake: Fake, signo: signal.Signals) -> None:
    fake.start(master_process=False)
    with socket.create_connection(("127.0.0.1", fake.port), PATIENCE) as s:
        s.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
        fake.get("/")
        fake.kill(signo)
        assert fake.ended() == 0
    assert not (fake.prefix / "logs/nginx.pid").exists()
    assert fake.log().endswith(": exit\n")
