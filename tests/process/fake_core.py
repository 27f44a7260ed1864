"""A stand-in for the HTTP core, so that the master is tested alone: `python fake_core.py PREFIX`.

The configuration is `PREFIX/conf.json`, read again at each reload: attributes of Config, `listen` as a list of
`{port, …}` or `{path}`, `label` that answers carry, `fails` for a configuration that is refused, `bug` for a fault
while it is read, `init` for an init_by_lua that fails, and `dies` for what makes a worker die at its start. Answers are
JSON about the process that gave them; some paths make it behave badly, see `data_received`.
"""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import resource
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pyresty.config.errors import ConfigError  # noqa: E402
from pyresty.process.cycle import first_log, open_cycle, report  # noqa: E402
from pyresty.process.logs import ErrorLog, error_log, log_file  # noqa: E402
from pyresty.process.master import Master  # noqa: E402
from pyresty.process.shared_memory import Zone  # noqa: E402


@dataclass(frozen=True)
class Listen:
    family: int
    address: tuple[str, int] | str
    text: str
    backlog: int = field(default=511, compare=False)
    reuseport: bool = field(default=False, compare=False)
    ipv6only: bool = True
    rcvbuf: int | None = None
    sndbuf: int | None = None
    file: str = "conf.json"
    line: int = 1


class Config:
    def __init__(self, prefix: Path) -> None:
        given = json.loads((prefix / "conf.json").read_text())
        if "fails" in given:
            raise ConfigError(given["fails"], str(prefix / "conf.json"), 1, hint="mend it")
        if "bug" in given:
            raise KeyError(given["bug"])
        self.prefix = str(prefix)
        self.conf_path = str(prefix / "conf.json")
        self.daemon = given.get("daemon", False)
        self.master_process = given.get("master_process", True)
        self.worker_processes = given.get("worker_processes", 1)
        self.privileged_agent = given.get("privileged_agent", False)
        self.pid = str(prefix / given.get("pid", "logs/nginx.pid"))
        self.user = tuple(given["user"]) if "user" in given else None
        self.env = given.get("env", [])
        self.worker_shutdown_timeout = given.get("worker_shutdown_timeout")
        self.worker_rlimit_nofile = given.get("worker_rlimit_nofile")
        self.working_directory = given.get("working_directory")
        target = given.get("error_log", "logs/error.log")
        self.error_log = error_log([(target if target == "stderr" else str(prefix / target), "debug")])
        self.access = log_file(str(prefix / "logs/access.log"))
        if "buffer" in given:
            self.access.buffered(given["buffer"], given.get("flush"))
        self.log_files = {self.access.path}
        self.shared_memory: dict[str, Zone] = {}
        self.warnings: list[ConfigError] = []
        self.notices = given.get("notices", [])
        self.label = given.get("label", "")
        self.dies = given.get("dies", "")
        self.init = given.get("init", "")
        self.listens = [listen(**each) for each in given["listen"]]

    def master_init(self) -> None:
        if self.init:
            raise ConfigError(self.init)

    def summary(self) -> list[str]:
        return [f"serves {each.text}" for each in self.listens]


def listen(port: int = 0, path: str = "", **options: Any) -> Listen:
    if path:
        return Listen(socket.AF_UNIX, path, f"unix:{path}", **options)
    return Listen(socket.AF_INET, ("127.0.0.1", port), f"127.0.0.1:{port}", **options)


class Answering(asyncio.Protocol):
    def __init__(self, worker: HttpWorker) -> None:
        self.worker = worker
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.worker.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.worker.connections.discard(self)
        self.worker.check()

    def data_received(self, data: bytes) -> None:
        self.busy = True
        path = data.split(b" ")[1].decode()
        if path == "/raise":
            raise RuntimeError("raised in a protocol")
        if path == "/exit":
            os._exit(7)
        if path == "/hang":
            return
        if path == "/block":
            time.sleep(60)
        if path.startswith("/slow"):
            self.worker.loop.call_later(0.5, self.answer, path)
        else:
            self.answer(path)

    def answer(self, path: str) -> None:
        self.worker.config.access.write(f"{path}\n".encode())
        body = json.dumps(about(self.worker)).encode()
        self.transport.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        self.transport.close()


def about(worker: HttpWorker) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "worker": worker.number,
        "label": worker.config.label,
        "env": dict(os.environ),
        "cwd": os.getcwd(),
        "nofile": list(resource.getrlimit(resource.RLIMIT_NOFILE)),
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "group": grp.getgrgid(os.getegid()).gr_name,
    }


class HttpWorker:
    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.loop = loop
        self.connections: set[Answering] = set()
        self.servers: list[asyncio.AbstractServer] = []
        self.empty: asyncio.Future[None] | None = None
        self.number = -1

    async def start(self, sockets: dict[Listen, list[socket.socket]], number: int) -> None:
        self.number = number
        if self.config.dies == "exit":
            os._exit(3)
        if self.config.dies == "raise":
            raise RuntimeError("raised at the start")
        for listen, found in sockets.items():
            create = self.loop.create_unix_server if listen.family == socket.AF_UNIX else self.loop.create_server
            for each in found:
                self.servers.append(await create(lambda: Answering(self), sock=each, backlog=listen.backlog))

    async def quit(self, timeout: float | None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # connections accepted in this turn of the loop are made known in the next
        if self.connections:
            self.empty = self.loop.create_future()
            await asyncio.wait({self.empty}, timeout=timeout)

    def check(self) -> None:
        if self.empty is not None and not self.connections and not self.empty.done():
            self.empty.set_result(None)

    def stop(self) -> None:
        for connection in self.connections:
            connection.transport.abort()


def load(prefix: Path) -> Any:
    return Config(prefix)


def main() -> int:
    prefix = Path(sys.argv[1])
    ErrorLog.copy_to_stderr = True
    log = first_log(str(prefix), None)
    try:
        cycle = open_cycle(load(prefix), log)
    except ConfigError as error:
        report(error, log)
        return 1
    worker: Any = HttpWorker
    return Master(cycle, lambda: load(prefix), worker).run()


sys.exit(main())
