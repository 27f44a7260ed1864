"""Proxying, with real sockets on both sides. What the reference can be asked about is in ``differential/``."""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from harness import Connection, Response, Server, http, request
from nameserver import NameServer
from origin import COUNT, KEEP, Origin
from rawserver import Peer, RawServer, answer

BIG = bytes(range(256)) * 4096
#: Reads the request and answers it; for those who only look at what was asked.
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def proxy(inside: str, block: str = "", log: str = "") -> str:
    """A conf whose server has ``inside``; ``block`` goes beside the server, ``log`` is the format of its log."""
    log = f"log_format own '{log}'; access_log {{prefix}}/logs/own.log own;" if log else ""
    return http(f"{log} {block} server {{ listen {{port}}; {inside} }}")


def ports(origin: Origin | RawServer) -> Mapping[str, int]:
    return {"origin": origin.port}


def counting(peer: Peer) -> None:
    """Answers every request with the numbers of its connection and of the request on it."""
    number = 0
    while peer.head():
        number += 1
        peer.send(answer(b"%d/%d" % (peer.number, number)))


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ALL = "location / { proxy_pass http://127.0.0.1:{origin}; }"


@contextmanager
def client(server: Server) -> Iterator[Peer]:
    """A connection to ``server`` without any HTTP of its own."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        yield Peer(sock, 0)


# -- kept connections


def bodies(server: Server, count: int, method: str = "GET") -> list[bytes]:
    return [request(server, method).body for _ in range(count)]


def test_connections_are_kept_by_default() -> None:
    with RawServer(counting) as origin, Server(proxy(ALL), ports=ports(origin)) as server:
        assert bodies(server, 3) == [b"1/1", b"1/2", b"1/3"]
        assert bodies(server, 2, "POST") == [b"1/4", b"1/5"]


def test_each_location_keeps_its_own() -> None:
    inside = "location /a { proxy_pass http://up; } location /b { proxy_pass http://up; }"
    block = "upstream up { server 127.0.0.1:{origin}; }"
    with RawServer(counting) as origin, Server(proxy(inside, block), ports=ports(origin)) as server:
        assert [request(server, path=path).body for path in ("/a", "/b", "/a", "/b")] == [
            b"1/1",
            b"2/1",
            b"1/2",
            b"2/2",
        ]


def test_keepalive_with_a_number_is_shared() -> None:
    inside = "location /a { proxy_pass http://up; } location /b { proxy_pass http://up; }"
    block = "upstream up { server 127.0.0.1:{origin}; keepalive 2; keepalive_requests 3; }"
    with RawServer(counting) as origin, Server(proxy(inside, block), ports=ports(origin)) as server:
        paths = ("/a", "/b", "/a", "/b")
        assert [request(server, path=path).body for path in paths] == [b"1/1", b"1/2", b"1/3", b"2/1"]


@pytest.mark.parametrize("setting", ["keepalive 0;", "keepalive_requests 1;", "keepalive_time 1ms;"])
def test_connections_that_are_not_kept(setting: str) -> None:
    def play(peer: Peer) -> None:
        while peer.head():
            threading.Event().wait(0.02)
            peer.send(answer(b"%d" % peer.number))

    block = f"upstream up {{ server 127.0.0.1:{{origin}}; {setting} }}"
    conf = proxy("location / { proxy_pass http://up; }", block)
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server:
        assert bodies(server, 3) == [b"1", b"2", b"3"]


def test_a_connection_idle_for_too_long_is_closed() -> None:
    closed = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(ANSWER)
        assert peer.rest() == b""
        closed.set()

    block = "upstream up { server 127.0.0.1:{origin}; keepalive_timeout 100ms; }"
    conf = proxy("location / { proxy_pass http://up; }", block)
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server:
        assert request(server).body == b"ok"
        assert closed.wait(10)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_the_upstream_closed_is_not_used(method: str) -> None:
    closed: queue.Queue[None] = queue.Queue()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(answer(b"%d" % peer.number))
        peer.sock.close()
        closed.put(None)

    with RawServer(play) as origin, Server(proxy(ALL), ports=ports(origin)) as server:
        for number in range(1, 6):
            assert request(server, method).body == b"%d" % number
            closed.get(timeout=10)


def test_a_request_lost_on_a_kept_connection_is_sent_again() -> None:
    def play(peer: Peer) -> None:
        peer.head()
        peer.send(answer(b"%d" % peer.number))
        peer.head()  # and no answer

    with RawServer(play) as origin, Server(proxy(ALL), ports=ports(origin)) as server:
        assert bodies(server, 3) == [b"1", b"2", b"3"]
        assert request(server, "POST").status == 502  # it may have been carried out
        log = "\n".join(server.error_log())
        assert log.count("upstream prematurely closed connection while reading response header from upstream") == 3


# -- bodies of requests


def collecting(seen: queue.Queue[bytes], size: int) -> Callable[[Peer], None]:
    """Puts the head and ``size`` bytes of the body of each request into ``seen``."""

    def play(peer: Peer) -> None:
        while head := peer.head():
            seen.put(head)
            seen.put(peer.exactly(size))
            peer.send(ANSWER)

    return play


@pytest.mark.parametrize(
    "settings",
    [
        "client_body_buffer_size 4m;",
        "client_body_buffer_size 8k;",
        "client_body_in_file_only on;",
        "proxy_request_buffering off;",
        "proxy_set_header Content-Length 1048576; proxy_set_body $request_body; client_body_buffer_size 4m;",
    ],
)
def test_bodies_from_memory_from_a_file_and_as_they_come(settings: str) -> None:
    seen: queue.Queue[bytes] = queue.Queue()
    conf = proxy(f"location / {{ {settings} client_max_body_size 10m; proxy_pass http://127.0.0.1:{{origin}}; }}")
    with RawServer(collecting(seen, len(BIG))) as origin, Server(conf, ports=ports(origin)) as server:
        with Connection(server) as connection:
            for _ in range(2):
                assert connection.request("PUT", body=BIG).status == 200
                assert b"\r\nContent-Length: 1048576\r\n" in seen.get(timeout=10)
                assert seen.get(timeout=10) == BIG
        server.stop()
        assert len(list((server.prefix / "client_body_temp").iterdir())) == (2 if "in_file_only" in settings else 0)


def test_a_body_is_passed_on_as_it_comes() -> None:
    arrived = threading.Event()
    seen: queue.Queue[bytes] = queue.Queue()

    def play(peer: Peer) -> None:
        peer.head()
        seen.put(peer.exactly(5))
        arrived.set()
        seen.put(peer.exactly(5))
        peer.send(ANSWER)

    conf = proxy("location / { proxy_request_buffering off; proxy_pass http://127.0.0.1:{origin}; }")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, Connection(server) as connection:
        connection.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst")
        assert arrived.wait(10)
        connection.send(b"secon")
        assert connection.response().status == 200
        assert [seen.get(timeout=10), seen.get(timeout=10)] == [b"first", b"secon"]


def test_a_chunked_body_as_it_comes_is_chunked_again() -> None:
    heads: queue.Queue[bytes] = queue.Queue()

    def play(peer: Peer) -> None:
        heads.put(peer.head())
        peer.send(answer(peer.chunks()))

    conf = proxy("location / { proxy_request_buffering off; proxy_pass http://127.0.0.1:{origin}; }")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, Connection(server) as connection:
        connection.send(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        head = heads.get(timeout=10)
        assert b"\r\nTransfer-Encoding: chunked\r\n" in head and b"Content-Length" not in head
        connection.send(b"2\r\nde\r\n0\r\n\r\n")
        assert connection.response().body == b"abcde"


@pytest.mark.parametrize("settings", ["", "proxy_request_buffering off;"])
def test_the_client_is_asked_to_continue(settings: str) -> None:
    def play(peer: Peer) -> None:
        head = peer.head()
        peer.send(
            answer(head.partition(b"\r\n")[0] + b"|" + peer.exactly(3) + (b"|Expect" if b"Expect" in head else b""))
        )

    conf = proxy(f"location / {{ {settings} proxy_pass http://127.0.0.1:{{origin}}; }}")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, client(server) as peer:
        peer.send(b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert peer.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"abc")
        assert peer.until(b"abc").endswith(b"\r\n\r\nPOST /x HTTP/1.1|abc")


def test_an_answer_before_the_end_of_the_body() -> None:
    def play(peer: Peer) -> None:
        peer.head()
        peer.send(answer(b"too much", status="413 Request Entity Too Large"))
        peer.rest()

    conf = proxy("location / { proxy_request_buffering off; proxy_pass http://127.0.0.1:{origin}; }")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, Connection(server) as connection:
        connection.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbeginning")
        got = connection.response()
        assert (got.status, got.body) == (413, b"too much")


def test_a_client_that_breaks_off_its_body() -> None:
    ended: queue.Queue[bytes] = queue.Queue()

    def play(peer: Peer) -> None:
        peer.head()
        ended.put(peer.rest())

    conf = proxy("location / { proxy_request_buffering off; proxy_pass http://127.0.0.1:{origin}; }", log="$status")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server:
        with Connection(server) as connection:
            connection.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            connection.shutdown()
            connection.rest()
        assert ended.get(timeout=10) == b"half"
        server.stop()
        assert server.log_text("own.log") == "400\n"


# -- responses


@pytest.mark.parametrize(("settings", "header"), [("proxy_buffering off;", ""), ("", "X-Accel-Buffering: no\r\n")])
def test_a_response_passes_as_it_comes(settings: str, header: str) -> None:
    go_on = threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(f"HTTP/1.1 200 OK\r\n{header}Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n".encode())
        assert go_on.wait(10)
        peer.send(b"6\r\nsecond\r\n0\r\n\r\n")

    conf = proxy(f"location / {{ {settings} proxy_pass http://127.0.0.1:{{origin}}; }}")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, client(server) as peer:
        peer.send(GET)
        assert peer.until(b"first\r\n").endswith(b"\r\n\r\n5\r\nfirst\r\n")
        go_on.set()
        assert peer.until(b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


def stalled(sock: socket.socket) -> int:
    """Sends until the other side takes no more for half a second; the bytes sent."""
    sent = 0
    sock.settimeout(0.5)
    try:
        while True:
            sent += sock.send(BIG)
    except TimeoutError:
        sock.settimeout(10)
        return sent


@pytest.mark.parametrize("settings", ["", "proxy_buffering off;"])
def test_a_client_that_does_not_read_holds_the_upstream_back(settings: str) -> None:
    sizes: queue.Queue[int] = queue.Queue()

    def play(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        sizes.put(stalled(peer.sock))
        peer.send(b"the end")

    conf = proxy(f"location / {{ {settings} proxy_pass http://127.0.0.1:{{origin}}; }}")
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server, client(server) as peer:
        peer.send(b"GET / HTTP/1.0\r\n\r\n")
        size = sizes.get(timeout=30)
        assert size < 32 * len(BIG)
        body = peer.rest().partition(b"\r\n\r\n")[2]
        assert len(body) == size + len(b"the end")
        assert body.endswith(b"the end")


def test_interim_responses_are_skipped() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    def play(peer: Peer) -> None:
        peer.head()
        for piece in (b"HTTP/1.1 100 Continue\r\n\r\n" + early, early + ANSWER[:10], ANSWER[10:]):
            peer.send(piece)

    with RawServer(play) as origin, Server(proxy(ALL), ports=ports(origin)) as server:
        got = request(server)
        assert (got.status, got.body, got.interim, got.get("Link")) == (200, b"ok", [], None)


def test_many_headers() -> None:
    fields = "".join(f"X-Field-{n}: {'v' * 60}\r\n" for n in range(200))

    def play(peer: Peer) -> None:
        head = peer.head()
        peer.send(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(head)}\r\n\r\n".encode() + head)

    conf = proxy(
        "large_client_header_buffers 4 32k; location / { proxy_buffer_size 32k; proxy_buffers 8 32k; "
        "proxy_pass http://127.0.0.1:{origin}; } location /small { proxy_pass http://127.0.0.1:{origin}; }"
    )
    with RawServer(play) as origin, Server(conf, ports=ports(origin)) as server:
        headers = [(f"X-Own-{n}", "w" * 60) for n in range(100)]
        got = request(server, headers=headers)
        assert sum(name.startswith("X-Field-") for name, _ in got.headers) == 200
        assert all(f"\r\n{name}: {value}\r\n".encode() in got.body for name, value in headers)
        assert request(server, path="/small").status == 502
        assert "upstream sent too big header while reading response header from upstream" in server.log_text()


def test_pipelined_requests_are_answered_in_order() -> None:
    conf = proxy(ALL)
    with RawServer(counting) as origin, Server(conf, ports=ports(origin)) as server, Connection(server) as connection:
        connection.send(GET * 20)
        assert [connection.response().body for _ in range(20)] == [b"1/%d" % number for number in range(1, 21)]


# -- clients that leave


def test_a_client_that_leaves_ends_the_upstream_s_work() -> None:
    asked, ended = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        peer.head()
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
            "while reading response header from upstream"
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


def test_an_upstream_that_does_not_accept() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    waiting = []
    for _ in range(4):  # fill the queue, so that the kernel answers no more
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        waiting.append(sock)
    inside = "location / { proxy_connect_timeout 300ms; proxy_pass http://127.0.0.1:{origin}; }"
    with listener, Server(proxy(inside), ports={"origin": port}) as server:
        assert request(server).status == 504
        assert "upstream timed out (110: Connection timed out) while connecting to upstream" in server.log_text()
    for sock in waiting:
        sock.close()


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


# -- variables

TIME = r"\d\.\d{3}"


def test_variables_in_the_log() -> None:
    log = (
        "$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_time|"
        "$upstream_response_length|$upstream_bytes_sent|$upstream_http_x_own|$upstream_cookie_sid|$upstream_trailer_x_end|"
        "$proxy_host|$proxy_port|$upstream_cache_status"
    )
    response = (
        b"HTTP/1.1 200 OK\r\nX-Own: a\r\nX-Own: b\r\nSet-Cookie: other=1\r\nSet-Cookie: SID=42; Path=/\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: z\r\n\r\n"
    )
    with Origin({"/": (response, KEEP)}) as origin, Server(proxy(ALL, log=log), ports=ports(origin)) as server:
        for _ in range(2):
            assert request(server).body == b"abc"
        server.stop()
        address = f"127.0.0.1:{origin.port}"
        sent = len(f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n")
        tail = rf"23\|{sent}\|a, b\|42\|z\|{address}\|{origin.port}\|-"
        first, second = server.log_text("own.log").splitlines()
        assert re.fullmatch(rf"{address}\|200\|{TIME}\|{TIME}\|{TIME}\|{tail}", first)
        assert re.fullmatch(rf"{address}\|200\|0\.000\|{TIME}\|{TIME}\|{tail}", second)


def test_variables_when_several_were_asked() -> None:
    inside = (
        "proxy_intercept_errors on; error_page 503 /other; location / { proxy_pass http://up; } "
        "location = /other { proxy_pass http://127.0.0.1:{origin}; } location /none { proxy_pass http://down; }"
    )
    block = (
        "upstream up { server 127.0.0.1:{dead} max_fails=0; server 127.0.0.1:{origin} backup; } "
        "upstream down { server 127.0.0.1:{origin} down; }"
    )
    log = (
        "$status|$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_length"
    )
    scripts = {"/": (answer(b"busy", status="503 Busy"),), "/other": (answer(b"instead"),)}
    with Origin(scripts) as origin, Server(proxy(inside, block, log), ports=ports(origin)) as server:
        assert request(server).body == b"instead"
        assert request(server, path="/none").status == 502
        server.stop()
        dead, alive = f"127.0.0.1:{server.ports['dead']}", f"127.0.0.1:{origin.port}"
        first, second = server.log_text("own.log").splitlines()
        assert re.fullmatch(
            rf"503\|{dead}, {alive} : {alive}\|502, 503 : 200\|-, {TIME} : {TIME}\|-, {TIME} : {TIME}\|0, 0 : 7", first
        )
        assert second == "502|down|502|-|-|0"


# -- names that are looked up while serving


def test_names_in_variables() -> None:
    name_server = NameServer()
    inside = (
        f"resolver {name_server.address} ipv6=off; resolver_timeout 300ms; "
        "location / { proxy_pass http://$arg_host:{origin}/got$uri; }"
    )
    with RawServer(counting) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server, path="/to/x?host=two.example").body == b"1/1"
        for host, message in (
            ("nx.example", "nx.example could not be resolved (3: Host not found)"),
            ("silent.example", "silent.example could not be resolved (110: Operation timed out)"),
        ):
            assert request(server, path=f"/to/x?host={host}").status == 502
            assert message in server.log_text()
    name_server.close()


def test_a_resolver_answers_many_at_once() -> None:
    name_server = NameServer()
    inside = f"resolver {name_server.address} ipv6=off; location / {{ proxy_pass http://$arg_host:{{origin}}; }}"
    with RawServer(counting) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        answers: list[Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(request(server, path="/?host=two.example")))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {one.status for one in answers} <= {200, 502} and len(answers) == 8
        assert name_server.asked == {(b"two.example", 1): 1}
    name_server.close()


# -- with other modules


def test_a_captured_response_that_breaks_off_is_truncated() -> None:
    inside = (
        "location / { content_by_lua_block { local r = ngx.location.capture('/up' .. ngx.var.uri) "
        "ngx.say(r.status, ' ', tostring(r.truncated), ' ', r.body, ' ', r.header['X-A']) } } "
        "location /up/ { proxy_pass http://127.0.0.1:{origin}/; }"
    )
    scripts = {
        "/whole": answer(b"whole", "X-A: b"),
        "/short": b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 10\r\n\r\nshort",
    }
    with (
        Origin(scripts) as origin,
        Server(proxy(inside), ports=ports(origin)) as server,
        Connection(server) as connection,
    ):
        assert connection.request(path="/whole").body == b"200 false whole b\n"
        assert connection.request(path="/short").body == b"200 true short b\n"
        assert connection.request(path="/whole").body == b"200 false whole b\n"


def test_captures_go_to_the_upstream_at_once() -> None:
    both = threading.Barrier(2)

    def play(peer: Peer) -> None:
        peer.head()
        both.wait(10)
        peer.send(ANSWER)

    inside = (
        "location / { content_by_lua_block { local a, b = ngx.location.capture_multi{{'/up/a'}, {'/up/b'}} "
        "ngx.say(a.status, b.status) } } location /up/ { proxy_pass http://127.0.0.1:{origin}; }"
    )
    with RawServer(play) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server).body == b"200200\n"


def test_blocks_inside_a_location_proxy_as_it_does() -> None:
    inside = (
        "location / { proxy_pass http://127.0.0.1:{origin}; if ($arg_x) { set $y z; } "
        "limit_except GET { proxy_pass http://127.0.0.1:{origin}; } }"
    )

    def play(peer: Peer) -> None:
        while head := peer.head():
            peer.send(answer(head))

    with RawServer(play) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server, path="/?x=1").body.startswith(b"GET /?x=1 HTTP/1.1\r\n")
        assert request(server, "DELETE").body.startswith(b"DELETE / HTTP/1.1\r\n")


def test_a_prefix_that_ends_in_a_slash_redirects() -> None:
    inside = "location /dir/ { proxy_pass http://127.0.0.1:{origin}; }"
    with Origin({"/dir/": (COUNT, KEEP)}) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        got = request(server, path="/dir?a=b")
        assert (got.status, got.get("Location")) == (301, f"http://localhost:{server.port}/dir/?a=b")
        assert request(server, path="/dir/").body == b"connection 1, request 1"


# -- configuration


def refused(inside: str, block: str = "") -> str:
    """What ``-t`` says about a conf."""
    server = Server(proxy(inside, block), ports={"origin": 1})
    try:
        done = server.run("-t")
        assert done.returncode == 1
        return done.stderr
    finally:
        server.close()


NO_URI = '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, '


@pytest.mark.parametrize(
    ("inside", "block", "message"),
    [
        ("location ~ x { proxy_pass http://127.0.0.1/a; }", "", NO_URI),
        ("location @x { proxy_pass http://127.0.0.1/; }", "", NO_URI),
        ("location / { if ($arg_a) { proxy_pass http://127.0.0.1/; } }", "", NO_URI),
        ("location / { limit_except GET { proxy_pass http://127.0.0.1/; } }", "", NO_URI),
        ("location / { proxy_pass 127.0.0.1; }", "", "invalid URL prefix"),
        ("location / { proxy_pass http://; }", "", 'no host in upstream ""'),
        ("location / { proxy_pass http://a:b; }", "", 'invalid port in upstream "a:b"'),
        ("location / { proxy_pass http://:80; }", "", 'no host in upstream ":80"'),
        (
            "location / { proxy_pass http://127.0.0.1; proxy_pass http://127.0.0.1; }",
            "",
            '"proxy_pass" directive is duplicate',
        ),
        (
            "location / { proxy_pass http://up:80; }",
            "upstream up { server 127.0.0.1; }",
            'upstream "up" may not have port 80',
        ),
        (
            "location / { proxy_pass http://bakend; }",
            "upstream backend { server 127.0.0.1; }",
            'did you mean "backend"',
        ),
        (
            "location / { proxy_pass http://no.such.host.invalid; }",
            "",
            'host not found in upstream "no.such.host.invalid"',
        ),
        ("location / { proxy_pass https://127.0.0.1; }", "", "https:// upstreams are not supported by pyresty yet"),
        ("", "upstream a { }", "no servers are inside upstream"),
        ("", "upstream a { server 127.0.0.1; } upstream A { server 127.0.0.1; }", 'duplicate upstream "A"'),
        ("", "upstream a { server 127.0.0.1 backup; }", 'no servers in upstream "a"'),
        ("", "upstream a { server no.such.host.invalid; }", 'host not found in upstream "no.such.host.invalid"'),
        ("", "upstream a { server 127.0.0.1 weight=0; }", 'invalid parameter "weight=0"'),
        ("", "upstream a { server 127.0.0.1 wieght=1; }", 'invalid parameter "wieght=1"'),
        (
            "",
            "upstream a { server 127.0.0.1 resolve; }",
            'parameter "resolve" of "server" is not supported by pyresty yet',
        ),
        ("", "upstream a { least_conn; server 127.0.0.1; }", '"least_conn" directive is not supported by pyresty yet'),
        ("", "upstream a { zone a 64k; server 127.0.0.1; }", '"zone" directive is not supported by pyresty yet'),
        ("", "upstream a { server 127.0.0.1; keepalive x; }", 'invalid value "x" in "keepalive" directive'),
        ("location / { proxy_cache x; }", "", '"proxy_cache" directive is not supported by pyresty yet'),
        ("location / { proxy_store on; }", "", '"proxy_store" directive is not supported by pyresty yet'),
        ("location / { proxy_limit_rate 1k; }", "", '"proxy_limit_rate" directive is not supported by pyresty yet'),
        ("proxy_redirect default;", "", '"proxy_redirect default" should be placed after the "proxy_pass" directive'),
        (
            "location / { proxy_pass http://$host; proxy_redirect default; }",
            "",
            '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables',
        ),
        ("proxy_redirect off; proxy_redirect / /a;", "", '"proxy_redirect" directive is duplicate'),
        ("proxy_redirect on;", "", 'invalid parameter "on"'),
        ("proxy_cookie_path on;", "", 'invalid parameter "on"'),
        ("proxy_http_version 2;", "", 'invalid value "2"'),
        ("proxy_next_upstream http_400;", "", 'invalid value "http_400"'),
        ("proxy_bind nowhere;", "", 'invalid address "nowhere"'),
        ("proxy_buffers 1 4k;", "", 'there must be at least 2 "proxy_buffers"'),
        ("proxy_buffer_size 64k;", "", '"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers"'),
        ("proxy_busy_buffers_size 1k;", "", '"proxy_busy_buffers_size" must be equal to or greater than the maximum'),
        ("resolver;", "", 'invalid number of arguments in "resolver" directive'),
        ("resolver valid=1s;", "", "no name servers defined"),
        ("resolver 127.0.0.1 ipv4=off ipv6=off;", "", '"ipv4" and "ipv6" cannot both be "off"'),
        ("resolver 127.0.0.1 valid=x;", "", "invalid parameter: valid=x"),
        ("location / { proxy_set_header A $no_such; }", "", 'unknown "no_such" variable'),
    ],
)
def test_mistakes(inside: str, block: str, message: str) -> None:
    assert message in refused(inside, block)
