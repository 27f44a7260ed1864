"""Listening sockets over their life: opened, taken over at a reload, closed."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from waiting import free_port

from pyresty.config.build import Listen
from pyresty.config.errors import ConfigError
from pyresty.process import listening, logs
from pyresty.process.listening import Listening
from pyresty.process.logs import NOTICE, ErrorLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ErrorLog]:
    path = str(tmp_path / "error.log")
    logs.open_files([path])
    yield ErrorLog([(logs.log_file(path), NOTICE)])
    logs.close_unused(set())


def port_listen(port: int, **options: Any) -> Listen:
    return Listen(socket.AF_INET, ("127.0.0.1", port), f"127.0.0.1:{port}", file="nginx.conf", line=3, **options)


def path_listen(path: Path) -> Listen:
    return Listen(socket.AF_UNIX, str(path), f"unix:{path}")


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_opens_and_closes(log: ErrorLog) -> None:
    listen = port_listen(free_port(), rcvbuf=8192, sndbuf=8192)
    opened = Listening.open([listen], 2, log)
    [each] = opened.for_worker(1)[listen]
    assert answers(listen.address[1])
    assert not each.getblocking() and not each.get_inheritable()
    assert each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 8192
    opened.close_unless_in(None)
    assert not answers(listen.address[1])


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("only", [True, False])
def test_ipv6only(log: ErrorLog, only: bool) -> None:
    listen = Listen(socket.AF_INET6, ("::", free_port()), "[::]", ipv6only=only)
    opened = Listening.open([listen], 1, log)
    assert answers(listen.address[1]) is not only
    opened.close_unless_in(None)


def test_reuseport_gives_each_worker_its_own(log: ErrorLog) -> None:
    listen = port_listen(free_port(), reuseport=True)
    opened = Listening.open([listen], 3, log)
    own = [opened.for_worker(number)[listen][0] for number in range(3)]
    assert len({each.fileno() for each in own}) == 3
    fewer = Listening.open([listen], 2, log, old=opened)
    opened.close_unless_in(fewer)
    assert [each.fileno() == -1 for each in own] == [False, False, True]
    fewer.close_unless_in(None)


def test_reload_keeps_opens_and_closes(log: ErrorLog, tmp_path: Path) -> None:
    kept, gone, come = (port_listen(free_port()) for _ in range(3))
    old = Listening.open([kept, gone, path_listen(tmp_path / "gone")], 1, log)
    new = Listening.open([replace(kept, backlog=7), come], 1, log, old=old)
    assert old.for_worker(0)[kept] == new.for_worker(0)[kept]
    old.close_unless_in(new, log)
    assert [answers(each.address[1]) for each in (kept, gone, come)] == [True, False, True]
    assert not (tmp_path / "gone").exists()
    assert (
        f"[warn] {os.getpid()}#{os.getpid()}: deleting socket {tmp_path}/gone\n" in (tmp_path / "error.log").read_text()
    )
    new.close_unless_in(None)


def test_failed_reload_leaves_all_as_it_was(log: ErrorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PAUSE", 0)
    kept, come = port_listen(free_port()), port_listen(free_port())
    old = Listening.open([kept], 1, log)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = port_listen(other.getsockname()[1])
        with pytest.raises(ConfigError):
            Listening.open([kept, come, taken], 1, log, old=old)
    assert answers(kept.address[1]) and not answers(come.address[1])
    old.close_unless_in(None)


def test_unix_socket_is_for_everyone(log: ErrorLog, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    opened = Listening.open([path_listen(path)], 1, log)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    opened.close_unless_in(None)
    assert not path.exists()
    path.touch()
    opened.close_unless_in(None)
    assert path.exists()


def test_address_in_use(log: ErrorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PAUSE", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match="^still could not bind") as caught:
            Listening.open([port_listen(port)], 1, log)
    text = (tmp_path / "error.log").read_text()
    assert text.count(f"bind() to 127.0.0.1:{port} failed (98: Address already in use)") == 5
    assert text.count("try again to bind() after") == 5
    assert f"--listen {port}={port + 1}" in (caught.value.hint or "")


def test_address_in_use_is_no_fault_for_a_test(log: ErrorLog, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = port_listen(free_port())
        Listening.open([port_listen(other.getsockname()[1]), free, path_listen(tmp_path / "socket")], 1, log, test=True)
    assert not answers(free.address[1]) and not (tmp_path / "socket").exists()
    assert (tmp_path / "error.log").read_text() == ""


def test_port_for_the_super_user(log: ErrorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket, "socket", Refusing)
    listen = Listen(socket.AF_INET, ("0.0.0.0", 80), "0.0.0.0:80")
    with pytest.raises(ConfigError) as caught:
        Listening.open([listen], 1, log, test=True)
    assert str(caught.value) == "bind() to 0.0.0.0:80 failed (13: Permission denied)"
    assert "--listen 80=8080" in (caught.value.hint or "")


def test_address_of_another_machine(log: ErrorLog) -> None:
    listen = Listen(socket.AF_INET, ("192.0.2.1", free_port()), "192.0.2.1:1", file="nginx.conf", line=3)
    with pytest.raises(ConfigError, match=r"failed \(99: Cannot assign requested address\)") as caught:
        Listening.open([listen], 1, log)
    assert "nginx.conf:3" in (caught.value.hint or "")


def test_left_over_unix_socket(log: ErrorLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PAUSE", 0)
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
    with pytest.raises(ConfigError) as caught:
        Listening.open([path_listen(path)], 1, log)
    assert f"rm {path}" in (caught.value.hint or "")
    assert path.exists()
