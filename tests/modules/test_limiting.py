"""limit_conn and limit_req where several workers, a reload, or waiting have a part in it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest
from client import Connection, head, request
from harness import Server, http

CONF = http(
    """
    limit_conn_zone $server_name zone=held:64k;
    limit_req_zone $server_name zone=rare:64k rate=1r/m;
    limit_req_zone $server_name zone=often:64k rate=2r/s;
    server {
        listen {port};
        server_name name;
        location /held { limit_conn held 1; content_by_lua_block {
            ngx.log(ngx.NOTICE, "holding") ngx.req.read_body() ngx.print("read") } }
        location /rare { limit_req zone=rare; content_by_lua_block { ngx.print(ngx.worker.pid()) } }
        location /delayed { limit_req zone=rare burst=10; content_by_lua_block { ngx.print("late") } }
        location /often { limit_req zone=often burst=3; content_by_lua_block { ngx.print(ngx.var.limit_req_status) } }
    }
    """
).replace("worker_processes 1;", "worker_processes 2;")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(CONF) as running:
        yield running


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("never")


def statuses(server: Server, path: str, count: int) -> list[int]:
    """The statuses of ``count`` requests, each on a connection of its own, so that both workers get some."""
    return [request(server, "GET", path).status for _ in range(count)]


def test_limit_conn_in_all_workers(server: Server) -> None:
    """One request that is still being read keeps all others out, whichever worker they reach; afterwards there is room."""
    with Connection(server, 10) as first:
        first.send(head("POST", "/held", (), b"body")[: -len(b"ody")])
        eventually(lambda: "holding" in server.log_text())
        assert statuses(server, "/held", 20) == [503] * 20
        first.send(b"ody")
        assert first.response("POST").body == b"read"
    eventually(lambda: request(server, "GET", "/held").status == 200)


def test_limit_conn_client_goes(server: Server) -> None:
    """A client that breaks off gives its place back."""
    with Connection(server, 10) as first:
        first.send(head("POST", "/held", (), b"body")[: -len(b"ody")])
        eventually(lambda: "holding" in server.log_text())
    eventually(lambda: request(server, "GET", "/held").status == 200)


def test_limit_req_in_all_workers_and_after_reload(server: Server) -> None:
    """What is remembered of a key is common to all workers, and outlives a reload."""
    assert statuses(server, "/rare", 10) == [200] + [503] * 9
    server.signal(signal.SIGHUP)
    eventually(lambda: "exited with code 0" in server.log_text())
    assert statuses(server, "/rare", 10) == [503] * 10


def test_delay(server: Server) -> None:
    """A request within the burst waits; the log says so, and it is answered."""
    with Connection(server, 10) as connection:
        connection.send(head("GET", "/often") * 2)
        assert [connection.response().body for _ in range(2)] == [b"PASSED", b"DELAYED"]
    assert server.log_text().count("delaying request, excess: ") == 1


def test_a_client_that_leaves_ends_its_delay(server: Server) -> None:
    """It is logged at once, though its turn would be a minute later."""
    assert request(server, "GET", "/delayed").status == 200
    with Connection(server, 10) as connection:
        connection.send(head("GET", "/delayed"))
        eventually(lambda: "delaying request" in server.log_text())
    eventually(lambda: '"GET /delayed HTTP/1.1" 499' in server.log_text("access.log"))
    assert server.logged("client prematurely closed connection")
