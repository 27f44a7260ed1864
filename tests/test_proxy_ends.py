"""Proxied requests that end early or last long: clients that leave, timeouts, tunnels."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from harness import Server, request
from proxying import ALL, ANSWER, BIG, GET, client, ports, proxy, stalled
from rawserver import Peer, RawServer

# -- clients that leave


@pytest.mark.parametrize(
    ("answer", "action"),
    [(b"", "sending request to upstream"), (b"HTTP/1.1 200 OK\r\nX: ", "reading response header from upstream")],
)
def test_a_client_that_leaves_ends_the_upstream_s_work(answer: bytes, action: str) -> None:
    """nginx begins to read the head, and to say so, when something of it has come."""
    asked, ended = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        if answer:
            peer.send(answer)
            time.sleep(0.1)
        asked.set()
        peer.rest()
        ended.set()

    conf = proxy(ALL, log="$status [$upstream_status]")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server:
        with client(server) as peer:
            peer.send(GET)
            assert asked.wait(10)
        assert ended.wait(10)
        server.stop()
        assert server.log_text("own.log") == "499 [-]\n"
        assert (
            "epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too "
            f"while {action}"
        ) in server.log_text()


def test_a_client_that_leaves_may_be_ignored() -> None:
    asked, left = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        asked.set()
        assert left.wait(10)
        peer.send(ANSWER)

    inside = "location / { proxy_ignore_client_abort on; proxy_pass http://127.0.0.1:{origin}; }"
    with RawServer(play) as origin, Server(proxy(inside, log="$status"), ports=ports(origin)) as server:
        with client(server) as peer:
            peer.send(GET)
            assert asked.wait(10)
        left.set()
        server.stop()
        assert server.log_text("own.log") == "200\n"


def test_a_client_that_leaves_in_the_middle_of_a_response() -> None:
    ended = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nbeginning")
        peer.rest()
        ended.set()

    conf = proxy("location / { proxy_buffering off; proxy_pass http://127.0.0.1:{origin}; }", log="$status")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server:
        with client(server) as peer:
            peer.send(GET)
            peer.until(b"beginning")
        assert ended.wait(10)
        server.stop()
        assert server.log_text("own.log") == "200\n"


# -- timeouts


@contextmanager
def deaf() -> Iterator[int]:
    """A port on which connections are never made: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        yield port


def test_an_upstream_that_does_not_accept() -> None:
    inside = "location / { proxy_connect_timeout 300ms; proxy_pass http://127.0.0.1:{origin}; }"
    with deaf() as port, Server(proxy(inside), ports={"origin": port}) as server:
        assert request(server).status == 504
        assert "upstream timed out (110: Connection timed out) while connecting to upstream" in server.log_text()


def test_a_client_that_leaves_while_the_upstream_does_not_accept() -> None:
    conf = proxy(ALL + 'location /here { return 200 "here"; }', log="$status")
    with deaf() as port, Server(conf, ports={"origin": port}) as server:
        with client(server) as peer:
            peer.send(GET.replace(b"/", b"/here", 1))
            assert peer.until(b"\r\n\r\nhere")
            peer.send(GET)
        server.stop()
        assert server.log_text("own.log") == "200\n499\n"


@pytest.mark.parametrize("settings", ["", "proxy_request_buffering off;"])
def test_an_upstream_that_does_not_read(settings: str) -> None:
    done = threading.Event()

    def play(peer: Peer) -> None:
        done.wait(20)

    inside = (
        f"location / {{ {settings} proxy_send_timeout 300ms; client_max_body_size 0; client_body_buffer_size 8k; "
        "proxy_pass http://127.0.0.1:{origin}; }"
    )
    with RawServer(play) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server, "PUT", body=BIG * 16).status == 504
        assert "upstream timed out (110: Connection timed out) while sending request to upstream" in server.log_text()
        done.set()


# -- tunnels

SWITCH = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: test\r\nConnection: upgrade\r\n\r\n"
SWITCHING = (
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_pass http://127.0.0.1:{origin};"
)


def echo(peer: Peer) -> None:
    """Switches protocols, and sends back what comes."""
    assert b"\r\nUpgrade: test\r\n" in peer.head()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: upgrade\r\n\r\nhello ")
    peer.send(peer._take(len(peer._buffer)))
    while data := peer.sock.recv(65536):
        peer.send(data)


def test_a_tunnel() -> None:
    conf = proxy(f"location / {{ {SWITCHING} }}", log="$status $body_bytes_sent")
    with RawServer(echo) as origin, Server(conf, ports=ports(origin)) as server:
        with client(server) as peer:
            peer.send(SWITCH + b"early ")
            head = peer.head()
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert b"\r\nConnection: upgrade\r\n" in head and b"\r\nUpgrade: test\r\n" in head
            assert peer.exactly(12) == b"hello early "
            threading.Thread(target=peer.send, args=(BIG * 8,), daemon=True).start()
            assert peer.exactly(8 * len(BIG)) == BIG * 8
            peer.sock.shutdown(socket.SHUT_WR)
            assert peer.rest() == b""
        server.stop()
        assert server.log_text("own.log") == f"101 {12 + 8 * len(BIG)}\n"


def test_a_tunnel_ends_when_the_upstream_ends_it() -> None:
    def play(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\n\r\n")
        peer.send(peer.exactly(3) + b" bye")

    conf = proxy(f"location / {{ {SWITCHING} }}")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, client(server) as peer:
        peer.send(SWITCH)
        peer.head()
        peer.send(b"abc")
        assert peer.rest() == b"abc bye"


def test_a_tunnel_holds_back_who_sends_too_fast() -> None:
    sizes: queue.Queue[int] = queue.Queue()
    go_on = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\n\r\n")
        sizes.put(stalled(peer.sock))
        assert go_on.wait(30)
        sizes.put(len(peer.rest()))

    conf = proxy(f"location / {{ {SWITCHING} }}")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, client(server) as peer:
        peer.send(SWITCH)
        assert peer.head().startswith(b"HTTP/1.1 101 ")
        to_client = sizes.get(timeout=30)
        to_upstream = stalled(peer.sock)
        assert to_client < 32 * len(BIG) and to_upstream < 32 * len(BIG)
        go_on.set()
        assert len(peer.exactly(to_client)) == to_client
        peer.sock.shutdown(socket.SHUT_WR)
        assert sizes.get(timeout=30) == to_upstream


def test_a_tunnel_that_is_idle_for_too_long() -> None:
    conf = proxy(f"location / {{ proxy_read_timeout 300ms; {SWITCHING} }}")
    with RawServer(echo) as origin, Server(conf, ports=ports(origin)) as server, client(server) as peer:
        peer.send(SWITCH)
        assert peer.rest().endswith(b"\r\n\r\nhello ")
        assert "upstream timed out (110: Connection timed out) while proxying upgraded connection" in server.log_text()
