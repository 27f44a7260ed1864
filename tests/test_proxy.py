"""Proxied requests and responses, with real sockets on both sides. What the reference can be asked is in
``differential/``.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest
from harness import Connection, Server, request
from proxying import ALL, ANSWER, BIG, GET, client, counting, echoing, ports, proxy, stalled
from rawserver import Peer, RawServer, answer

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


# -- heads of requests


def sent(peer: Peer) -> list[bytes]:
    """The lines of the head that the upstream got for GET."""
    peer.send(GET)
    peer.head()
    return peer.head().split(b"\r\n")


def test_what_is_remembered_of_a_head_holds_for_all_who_send_it() -> None:
    inside = (
        "location / { proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For "
        "$proxy_add_x_forwarded_for; proxy_set_header X-Own $http_host$request_uri; proxy_set_header Id $request_id; "
        "proxy_pass http://127.0.0.1:{origin}; }"
    )
    with RawServer(echoing) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        ids = set()
        for address in ("127.0.0.1", "127.0.0.1", "127.0.0.2"):
            with client(server, address) as peer:
                for _ in range(2):
                    lines = sent(peer)
                    ids.add(next(line for line in lines if line.startswith(b"Id: ")))
                    assert f"X-Real-IP: {address}".encode() in lines
                    assert f"X-Forwarded-For: {address}".encode() in lines
                    assert b"X-Own: x/" in lines
        assert len(ids) == 6


def test_changes_by_lua_reach_the_upstream_and_do_not_stay() -> None:
    inside = """
        location / {
            set_by_lua_block $count { n = (rawget(_G, "n") or 0) + 1 return n }
            rewrite_by_lua_block {
                if ngx.var.count == "2" then ngx.req.set_header("X-Lua", "yes") end
                if ngx.var.count == "3" then ngx.req.set_uri("/other") end
                if ngx.var.count == "4" then ngx.req.set_uri_args("a=b") end
                if ngx.var.count == "5" then ngx.req.set_method(ngx.HTTP_DELETE) end
            }
            proxy_pass http://127.0.0.1:{origin};
        }
    """
    with RawServer(echoing) as origin, Server(proxy(inside), ports=ports(origin)) as server, client(server) as peer:
        plain, header, uri, args, method, again = [sent(peer) for _ in range(6)]
        assert plain[0] == b"GET / HTTP/1.1" and plain == again
        assert header[0] == plain[0] and b"X-Lua: yes" in header
        assert uri[0] == b"GET /other HTTP/1.1"
        assert args[0] == b"GET /?a=b HTTP/1.1"
        assert method[0] == b"DELETE / HTTP/1.1"


def test_the_address_that_is_connected_from() -> None:
    def play(peer: Peer) -> None:
        while peer.head():
            peer.send(answer(peer.sock.getpeername()[0].encode()))

    inside = (
        "location /fixed { proxy_bind 127.0.0.3; proxy_pass http://127.0.0.1:{origin}; } "
        "location /client { proxy_bind $remote_addr; proxy_pass http://127.0.0.1:{origin}; } "
        "location /bad { proxy_bind 192.0.2.1; proxy_pass http://127.0.0.1:{origin}; }"
    )
    with RawServer(play) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server, path="/fixed").body == b"127.0.0.3"
        with client(server, "127.0.0.4") as peer:
            peer.send(GET.replace(b"/ ", b"/client "))
            assert peer.head() and peer.exactly(9) == b"127.0.0.4"
        assert request(server, path="/bad").status == 500
        assert "[crit]" in server.log_text() and "bind(192.0.2.1) failed (99: " in server.log_text()


def test_settings_of_sockets() -> None:
    settings = "proxy_socket_keepalive on; proxy_socket_rcvbuf 8k; proxy_socket_sndbuf 8k;"
    conf = proxy(f"location / {{ {settings} proxy_pass http://127.0.0.1:{{origin}}; }}")
    with RawServer(counting) as origin, Server(conf, ports=ports(origin)) as server:
        assert request(server).body == b"1/1"


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
