"""The command line: what is read from it, and what the command says and does."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from client import request
from harness import ROOT, Server
from waiting import PATIENCE, until

import pyresty
from pyresty.cli import Arguments, UsageError

CONF = """
{user}
error_log logs/error.log notice;
events {}
http {
    server { listen 127.0.0.1:{port}; location / { return 200 "hello\\n"; } }
}
"""


def command(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs pyresty to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pyresty", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def server() -> Iterator[Server]:
    """A prefix folder with a configuration, not started."""
    made = Server(CONF)
    made.prepare()
    yield made
    made.close()


# -- reading the switches


def test_switches_as_nginx_reads_them() -> None:
    found = Arguments(["-tq", "-cone", "-p", "two", "-Ttg", "three", "-s", "reload", "-eq"])
    assert found.flags == {"t", "q", "T"}
    assert found.values == {"c": "one", "p": "two", "g": "three", "s": "reload", "e": "q"}


def test_listen_and_http() -> None:
    found = Arguments(
        ["--listen", "80=8000", "--listen=127.0.0.1:443=8443", "--listen", "81=[::1]:8081", "--http", "h11"]
    )
    assert found.listen_map == {80: 8000, "127.0.0.1:443": 8443, 81: "[::1]:8081"}
    assert found.values["http"] == "h11"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-x"], 'invalid option: "x"'),
        (["-tx"], 'invalid option: "x"'),
        (["word"], 'invalid option: "word"'),
        (["--version"], 'invalid option: "--version"'),
        (["-c"], 'option "-c" requires file name'),
        (["-p"], 'option "-p" requires directory name'),
        (["-e"], 'option "-e" requires file name'),
        (["-g"], 'option "-g" requires parameter'),
        (["-s"], 'option "-s" requires parameter'),
        (["-s", "restart"], 'invalid option: "-s restart"'),
        (["--http", "other"], 'invalid option: "--http other"; it requires auto, h11 or httptools'),
        (["--listen"], 'option "--listen" requires FROM=TO, each a port or address:port'),
        (["--listen", "80"], 'invalid address "": "--listen" requires FROM=TO, each a port or address:port'),
        (["--listen", "80=0"], 'invalid address "0": "--listen" requires FROM=TO, each a port or address:port'),
        (["--listen", "x=80"], 'invalid address "x": "--listen" requires FROM=TO, each a port or address:port'),
        (["--listen", "80=65536"], 'invalid address "65536": "--listen" requires FROM=TO, each a port or address:port'),
    ],
)
def test_senseless_switches(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Arguments(words)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("words", "prefix", "conf"),
    [
        ([], "here/", "here/conf/nginx.conf"),
        (["-c", "site/conf/my.conf"], "here/site/", "here/site/conf/my.conf"),
        (["-c", "my.conf"], "here/", "here/my.conf"),
        (["-c", "site/my.conf"], "here/", "here/site/my.conf"),
        (["-p", "site"], "here/site/", "here/site/conf/nginx.conf"),
        (["-p", "site/", "-c", "my.conf"], "here/site/", "here/site/my.conf"),
        (["-p", "site", "-c", "/etc/nginx.conf"], "here/site/", "/etc/nginx.conf"),
        (["-c", "/x/conf/my.conf"], "/x/", "/x/conf/my.conf"),
    ],
)
def test_prefix_and_configuration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], prefix: str, conf: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    options = Arguments(words).options()
    assert (options.prefix, options.conf) == (str(tmp_path / prefix) + "/", str(tmp_path / conf))


def test_other_options(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Arguments(
        ["-p", "/x", "-e", "my.log", "-g", "daemon on;", "--listen", "80=81", "--http", "h11"]
    ).options()
    assert (options.error_log, options.globals, options.http) == ("/x/my.log", "daemon on;", "h11")
    assert options.listen_map == {80: 81}
    assert Arguments(["-e", "stderr"]).options().error_log == "stderr"
    assert Arguments(["-e", ""]).options().error_log == "stderr"
    assert Arguments([]).options().error_log is None


# -- answering at once


def test_version() -> None:
    done = command("-v")
    line = f"nginx version: nginx/{pyresty.NGINX_VERSION} (pyresty {pyresty.__version__})\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", line)


def test_version_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pyresty", "-v"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pyresty.cli" in loaded
    assert not loaded & {"asyncio", "ssl", "uvloop", "crossplane", "lupa", "argparse", "pyresty.config.build"}


def test_modules_that_are_built_in() -> None:
    done = command("-V")
    assert done.returncode == 0
    version, python, ssl, sni, arguments = done.stderr.splitlines()
    assert version.startswith("nginx version: nginx/")
    assert re.fullmatch(r"built by Python 3\.\d+\.\d+\S*, LuaJIT 2\.1\.\S+", python)
    assert re.match(r"built with OpenSSL \d+\.\d+\.\d+", ssl)
    assert sni == "TLS SNI support enabled"
    assert arguments.startswith("configure arguments: --prefix=")
    words = arguments.split()
    assert {"--with-http_proxy_module", "--with-http_rewrite_module", "--with-http_lua_module"} <= set(words)
    assert "--without-http_scgi_module" in words
    assert not {word[2:] for word in words} & {
        word.replace("without", "with")[2:] for word in words if "without" in word
    }


@pytest.mark.parametrize("word", ["-h", "-?", "-vh"])
def test_help(word: str) -> None:
    done = command(word)
    assert done.returncode == 0
    for switch in ("-t ", "-T ", "-q ", "-s signal", "-p prefix", "-e filename", "-c filename", "-g directives"):
        assert switch in done.stderr
    assert "--listen FROM=TO" in done.stderr and "--http" in done.stderr


def test_invalid_option() -> None:
    done = command("-x")
    assert (done.returncode, done.stderr) == (1, 'nginx: invalid option: "x"\n')


# -- testing the configuration


def test_good_configuration(server: Server) -> None:
    done = server.run("-t")
    conf = server.prefix / "conf/nginx.conf"
    assert done.returncode == 0
    assert done.stderr == (
        f"nginx: the configuration file {conf} syntax is ok\nnginx: configuration file {conf} test is successful\n"
    )
    assert (server.prefix / "logs/access.log").exists() and (server.prefix / "logs/nginx.pid").read_text() == ""


def test_quiet(server: Server) -> None:
    done = server.run("-tq")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_dump(server: Server) -> None:
    done = server.run("-Tq")
    conf = server.prefix / "conf/nginx.conf"
    assert done.stdout == f"# configuration file {conf}:\n{conf.read_text()}\n"


def test_bad_configuration(server: Server) -> None:
    server.conf = "events {}\nhttp { server { listne 80; } }\n"
    done = server.run("-tq")
    conf = server.prefix / "conf/nginx.conf"
    assert done.returncode == 1
    first, *_, last = done.stderr.splitlines()
    assert first == f'nginx: [emerg] unknown directive "listne" in {conf}:2'
    assert "hint: " in done.stderr and '"listen"' in done.stderr
    assert last == f"nginx: configuration file {conf} test failed"
    assert 'unknown directive "listne"' in server.log_text()


def test_missing_configuration_file(tmp_path: Path) -> None:
    done = command(cwd=tmp_path)
    assert done.returncode == 1
    assert f'nginx: [emerg] open() "{tmp_path}/conf/nginx.conf" failed (2: No such file or directory)' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_error_log_switch(server: Server) -> None:
    server.conf = "events {} bad;"
    server.run("-e", "logs/other.log")
    assert 'unknown directive "bad"' in server.log_text("other.log")
    assert server.log_text() == ""
    done = server.run("-e", "stderr")
    assert re.match(r'\d{4}/\S+ \S+ \[emerg\] \d+#\d+: unknown directive "bad"', done.stderr)


def test_port_that_cannot_be_had(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server.conf = CONF.replace("{port}", str(port))
        assert server.run("-t").returncode == 0
        done = server.run()
    assert done.returncode == 1
    assert f"nginx: [emerg] bind() to 127.0.0.1:{port} failed (98: Address already in use)\n" in done.stderr
    assert "nginx: [emerg] still could not bind()\n    hint: another program" in done.stderr
    assert f"--listen {port}=" in done.stderr
    assert "still could not bind()" in server.log_text()


# -- running


def answer(port: int) -> bytes:
    try:
        return request(port, "GET", "/").body
    except OSError:
        return b""


def test_signals_by_switch(server: Server) -> None:
    server.conf = CONF.replace("hello", "first")
    with server:
        assert answer(server.port) == b"first\n"
        server.write("conf/nginx.conf", CONF.replace("hello", "second"))
        switch = server.command("-s", "reload")
        assert subprocess.run(switch, env=server.environment(), timeout=60).returncode == 0
        until(lambda: answer(server.port) == b"second\n")
        log = server.prefix / "logs/error.log"
        assert re.search(r"signal process started\n.*signal 1 \(SIGHUP\) received from \d+, reconf", log.read_text())
        log.rename(server.prefix / "logs/error.log.1")
        switch = server.command("-s", "reopen")
        assert subprocess.run(switch, env=server.environment(), timeout=60).returncode == 0
        until(log.exists)
        switch = server.command("-s", "quit")
        assert subprocess.run(switch, env=server.environment(), timeout=60).returncode == 0
        until(lambda: not (server.prefix / "logs/nginx.pid").exists())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r'\[error\] open\(\) "{pid}" failed \(2: No such file or directory\)'),
        ("", r'\[error\] invalid PID number "" in "{pid}"'),
        ("12x\n", r'\[error\] invalid PID number "12x" in "{pid}"'),
        ("0\n", r'\[error\] invalid PID number "0" in "{pid}"'),
        ("gone", r"\[alert\] kill\(\d+, 15\) failed \(3: No such process\)"),
    ],
)
def test_nobody_to_signal(server: Server, text: str | None, message: str) -> None:
    pid = server.prefix / "logs/nginx.pid"
    if text == "gone":
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        text = f"{child.pid}\n"
    if text is not None:
        pid.write_text(text)
    done = server.run("-s", "stop")
    assert done.returncode == 1
    assert re.fullmatch("nginx: " + message.format(pid=re.escape(str(pid))) + "\n", done.stderr)
    assert "[notice]" in server.log_text() and "signal process started" in server.log_text()


def test_listen_elsewhere(server: Server) -> None:
    server.conf = CONF.replace("{port}", "80")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server.args = ["--listen", f"127.0.0.1:80={port}"]
    with server:
        until(lambda: answer(port) == b"hello\n")


def test_newcomer_s_folder_without_logs(server: Server) -> None:
    (server.prefix / "logs").rmdir()
    process = subprocess.Popen(server.command(), env=server.environment(), stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: answer(server.port) == b"hello\n")
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "[emerg]" not in said and "[alert]" not in said
    assert "created the missing folder" in server.log_text()


def test_daemon(server: Server) -> None:
    done = server.run("-g", "daemon on;")
    assert done.returncode == 0 and done.stderr == ""
    pid = int((server.prefix / "logs/nginx.pid").read_text())
    try:
        assert answer(server.port) == b"hello\n"
        assert os.getsid(pid) == pid
        assert server.run("-s", "stop").returncode == 0
        until(lambda: not (server.prefix / "logs/nginx.pid").exists())
    finally:
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def test_terminal_is_told_what_is_served(server: Server) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(server.command(), env=server.environment(), stderr=theirs)
    os.close(theirs)
    until(lambda: answer(server.port) == b"hello\n")
    said = os.read(ours, 65536).decode()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    os.close(ours)
    assert f"serves {server.prefix}/conf/nginx.conf" in said
    assert f"http://127.0.0.1:{server.port}/" in said
    assert f"errors go to {server.prefix}/logs/error.log" in said


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_process_titles(server: Server) -> None:
    with server:
        assert answer(server.port) == b"hello\n"
        master = int((server.prefix / "logs/nginx.pid").read_text())
        [worker] = re.findall(r"start worker process (\d+)", server.log_text())
        titles = [Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0") for pid in (master, worker)]
    assert titles[0].startswith("nginx: master process pyresty -p")
    assert titles[1] == "nginx: worker process"
