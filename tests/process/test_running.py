"""The whole server under the orders and accidents of its life: what test_master.py tests, with the real HTTP core."""

from __future__ import annotations

import os
import re
import signal
import threading
from functools import partial
from pathlib import Path

import pytest
from client import Connection, request
from harness import Server
from waiting import contains, until, writes_to

CONF = """
{user}
worker_processes 2;
error_log logs/error.log notice;
pid logs/nginx.pid;
%s
events {}
http {
    access_log logs/access.log;
    server {
        listen 127.0.0.1:{port};
        location / { return 200 "first\\n"; }
        location /slow { content_by_lua_block { ngx.say("one") ngx.flush(true) ngx.sleep(0.4) ngx.say("two") } }
        location /pid { content_by_lua_block { ngx.print(ngx.worker.pid()) } }
    }
}
"""
FORKING, SINGLE = CONF % "", CONF % "master_process off;"


def master(server: Server) -> int:
    """The process id in the pid file, which is written after the ports are bound."""
    path = server.prefix / "logs/nginx.pid"
    return int(until(lambda: path.exists() and path.read_text()))


def said(server: Server, path: str = "/") -> str:
    return request(server, "GET", path, {"Connection": "close"}).body.decode()


@pytest.mark.parametrize("conf", [FORKING, SINGLE])
def test_reloads_lose_no_request(conf: str) -> None:
    with Server(conf) as server:
        seen: set[str] = set()
        lost: list[str] = []
        over = threading.Event()

        def hammer() -> None:
            while not over.is_set():
                try:
                    answer = request(server, "GET", "/", {"Connection": "close"})
                except OSError as error:
                    lost.append(repr(error))
                    continue
                if answer.status == 200 and answer.complete:
                    seen.add(answer.body.decode())
                else:
                    lost.append(repr(answer))

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for each in threads:
            each.start()
        try:
            for text in ("second\n", "third\n", "fourth\n"):
                server.write("conf/nginx.conf", conf.replace("first\\n", text.strip() + "\\n"))
                os.kill(master(server), signal.SIGHUP)
                until(partial(contains, seen, text))
        finally:
            over.set()
            for each in threads:
                each.join()
        assert lost == []
        assert seen == {"first\n", "second\n", "third\n", "fourth\n"}


@pytest.mark.parametrize(
    ("conf", "signo"), [(FORKING, signal.SIGHUP), (FORKING, signal.SIGQUIT), (SINGLE, signal.SIGHUP)]
)
def test_answer_that_has_begun_is_finished(conf: str, signo: int) -> None:
    with Server(conf) as server:
        with Connection(server) as connection:
            connection.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: said(server) == "first\n")
            os.kill(master(server), signo)
            answer = connection.response()
        assert answer.complete and answer.body == b"one\ntwo\n"


def test_idle_connection_does_not_hold_up_a_graceful_end() -> None:
    with Server(FORKING) as server, Connection(server) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.response().body == b"first\n"
        os.kill(master(server), signal.SIGQUIT)
        assert connection.rest() == b""
        until(lambda: not (server.prefix / "logs/nginx.pid").exists())


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_fast_end(signo: int) -> None:
    with Server(FORKING) as server, Connection(server) as connection:
        connection.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: said(server) == "first\n")
        os.kill(master(server), signo)
        assert not connection.response().complete
        until(lambda: not (server.prefix / "logs/nginx.pid").exists())


def test_bad_configuration_is_told_and_not_taken() -> None:
    with Server(FORKING) as server:
        server.write("conf/nginx.conf", FORKING.replace("first", "other") + "bad on;\n")
        os.kill(master(server), signal.SIGHUP)
        line = FORKING.count("\n") + 1
        until(lambda: f'[emerg] {master(server)}#{master(server)}: unknown directive "bad"' in server.log_text())
        assert f"in {server.prefix}/conf/nginx.conf:{line}\n" in server.log_text()
        assert said(server) == "first\n"


def test_killed_worker_is_replaced() -> None:
    with Server(FORKING) as server:
        killed = int(said(server, "/pid"))
        os.kill(killed, signal.SIGKILL)
        until(
            lambda: (
                f"[alert] {master(server)}#{master(server)}: worker process {killed} exited on signal 9"
                in server.log_text()
            )
        )
        pids = until(lambda: len(found := re.findall(r"start worker process (\d+)", server.log_text())) == 3 and found)
        until(lambda: said(server, "/pid") == pids[2])


@pytest.mark.parametrize("conf", [FORKING, SINGLE])
def test_logs_are_reopened(conf: str) -> None:
    with Server(conf) as server:
        assert said(server) == "first\n"
        processes = [str(master(server)), *re.findall(r"start worker process (\d+)", server.log_text())]
        logs = server.prefix / "logs"
        for name in ("access.log", "error.log"):
            (logs / name).rename(logs / f"{name}.1")
        os.kill(master(server), signal.SIGUSR1)
        for pid in processes:
            until(partial(writes_to, pid, logs / "error.log"))
        assert said(server, "/after") == "first\n"
        until(lambda: "/after" in server.log_text("access.log"))
        assert "GET / " in server.log_text("access.log.1") and "/after" not in server.log_text("access.log.1")


def test_single_process() -> None:
    with Server(SINGLE) as server:
        assert said(server, "/pid") == str(master(server))
        assert "worker process" not in server.log_text()
        assert Path(f"/proc/{master(server)}").exists()
