"""Request heads as hostile and as clumsy as they come, in every variant: what is answered, logged, and left behind.

nginx's answers and log texts: ngx_http_request.c, ngx_http_parse.c.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from client import Connection, head, raw
from harness import http
from observed import VARIANTS, Observed, logged, serve, wait_for

CONF = http(
    """
    client_header_buffer_size 256;
    large_client_header_buffers 2 1k;
    server {
        listen {port} default_server;
        server_name plain;
        location / { root html; }
        location /r { return 200 "$request_method $uri $args $pipe\\n"; }
        location /slow { content_by_lua_block { ngx.sleep(0.02) ngx.say("slow ", ngx.var.uri) } }
        location /x { return 200 "[$http_x_y]"; }
        location /page { error_page 404 /none.html; return 404; }
    }
    server {
        listen {port};
        server_name loose;
        underscores_in_headers on;
        ignore_invalid_headers off;
        location / { return 200 "[$http_x_y] [$http_after]"; }
    }
    server { listen {port}; server_name few; max_headers 3; location / { return 200 few; } }
    server {
        listen {port2};
        error_page 400 /bad;
        error_page 414 =200 /long;
        location /bad { internal; return 400 "own bad page $status\\n"; }
        location /long { internal; return 200 "own long page\\n"; }
    }
    """
)
FILES = {"html/index.html": "index"}

GET = b"GET /r/%d HTTP/1.1\r\nHost: plain\r\n\r\n"
LAST = b"GET /r/last HTTP/1.1\r\nHost: plain\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", params=VARIANTS)
def server(request: pytest.FixtureRequest) -> Iterator[Observed]:
    yield from serve(CONF, FILES, request.param)


def _statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def test_byte_by_byte(server: Observed) -> None:
    """Each byte in a packet of its own: one answer, to the whole head."""
    with Connection(server) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"\r\n" + head("GET", "/r/bytes?a=b"):
            client.send(bytes((byte,)))
        answer = client.response()
    assert (answer.status, answer.body) == (200, b"GET /r/bytes a=b .\n")


@pytest.mark.parametrize("cut", [1, 4, 15, 16, 17, 30, 35, 36, 37, 38, 39, 41])
def test_cut_anywhere(server: Observed, cut: int) -> None:
    """Two pipelined requests, cut into two packets at any place."""
    data = GET % 1 + LAST
    with Connection(server) as client:
        client.send(data[:cut])
        server.state()  # the worker has seen the first packet
        client.send(data[cut:])
        bodies = [client.response().body[:8], client.response().body[:11]]
        assert client.rest() == b""
    assert bodies == [b"GET /r/1", b"GET /r/last"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /r HTTP/1.1\nHost: x\nConnection: close\n\n", 200),
        (b"\r\n\n\r\n\r\nGET /r HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"FOO_BAR-X /r HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"GET http://Plain:80/r HTTP/1.1\r\nHost: loose\r\nConnection: close\r\n\r\n", 200),
        (b"get /r HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /r  x HTTP/1.1\r\n\r\n", 400),
        (b"GET r HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /r HTTP/1.x\r\nHost: x\r\n\r\n", 400),
        (b"GET /r HTTPS/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /r HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /r HTTP/9.9\r\n\r\n", 505),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /r HTTP/1.1\r\n\r\n", 400),
        (b"GET /r HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET /r HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET /r HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET /r HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
        (b"GET /r HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"TRACE /r HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /r HTTP/1.1\r\nHost: few\r\nA: 1\r\nB: 2\r\n\r\n", 200),
        (b"GET /r HTTP/1.1\r\nHost: few\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 400),
    ],
)
def test_heads(server: Observed, data: bytes, status: int) -> None:
    """What nginx takes and what it refuses; a refused head closes the connection, and the status is the log's too."""
    with Connection(server) as client:
        client.send(data)
        if status == 200:
            client.shutdown()
        answer = client.response()
        assert client.rest() == b""
    assert (answer.status, answer.get("Connection")) == (status, "close" if status != 200 else answer.get("Connection"))
    assert answer.complete
    server.state()
    raw(server, head("GET", "/last"), shutdown=True)
    wait_for(lambda: "GET /last" in server.access_log()[-1], "the line of a request after it")
    assert server.access_log()[-2].endswith(f'" {status}')


def test_old_versions(server: Observed) -> None:
    """HTTP/0.9 gets a bare body, HTTP/1.0 an answer and the end, or keep-alive where it asks for it."""
    assert raw(server, b"GET /r/old\r\n") == b"GET /r/old  .\n"
    assert raw(server, b"GET /r HTTP/1.0\r\n\r\n").count(b"Connection: close\r\n") == 1
    again = b"GET /r HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    answers = raw(server, again + again + b"GET /r HTTP/1.0\r\n\r\n")
    assert answers.count(b"Connection: keep-alive\r\n") == 2
    assert answers.count(b"Connection: close\r\n") == 1


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET /" + b"u" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "client sent too long URI"),
        (b"GET /" + b"u" * 300000, 414, "client sent too long URI"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"v" * 3000 + b"\r\n\r\n", 400, 'too long header line: "X: vvv'),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: 0123456789\r\n" * 400, 400, "too long header line"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: 0123456789\r\n" * 40000 + b"\r\n", 400, "too long header line"),
    ],
)
def test_too_large(server: Observed, data: bytes, status: int, reason: str) -> None:
    """The answer arrives although much more is being sent."""
    with Connection(server) as client:
        client.send(data)
        answer = client.response()
    assert answer.status == status
    assert answer.complete
    if status == 400:
        assert b"Request Header Or Cookie Too Large" in answer.body
    assert reason in server.log_text()


def test_error_page_for_bad_requests(server: Observed) -> None:
    """A refused request gets the server's own page, by an internal redirect."""
    with Connection(server.ports["port2"]) as client:
        client.send(b"GET /r HTTP/1.1\r\nHost: a b\r\n\r\n")
        answer = client.response()
    assert (answer.status, answer.body) == (400, b"own bad page 400\n")
    with Connection(server.ports["port2"]) as client:
        client.send(b"GET /" + b"u" * 9000 + b" HTTP/1.1\r\n\r\n")
        answer = client.response()
    assert (answer.status, answer.body) == (200, b"own long page\n")


def test_ignored_header_lines(server: Observed) -> None:
    """A header line that is not taken is told in the log, every time that the same head comes."""
    data = b"GET /x HTTP/1.1\r\nHost: plain\r\nX_Y: 1\r\nX-\xe4: 2\r\nConnection: close\r\n\r\n"
    before = server.log_text().count('client sent invalid header line: "X_Y: 1"')
    for _ in range(3):
        assert raw(server, data).endswith(b"\r\n\r\n[]")
    assert server.log_text().count('client sent invalid header line: "X_Y: 1"') == before + 3
    assert 'request: "GET /x HTTP/1.1", host: "plain"' in server.log_text()


def test_header_rules_of_the_matched_server(server: Observed) -> None:
    """From the Host on, header lines are read by the rules of the server that it names."""
    late = b"GET / HTTP/1.1\r\nX_Y: 1\r\nHost: loose\r\nAfter: 2\r\nConnection: close\r\n\r\n"
    early = b"GET / HTTP/1.1\r\nHost: loose\r\nX_Y: 1\r\nAfter: 2\r\nConnection: close\r\n\r\n"
    target = b"GET http://loose/ HTTP/1.1\r\nX_Y: 1\r\nHost: plain\r\nConnection: close\r\n\r\n"
    assert raw(server, late).endswith(b"\r\n\r\n[] [2]")
    assert raw(server, early).endswith(b"\r\n\r\n[1] [2]")
    assert raw(server, target).endswith(b"\r\n\r\n[1] []")


def test_pipeline(server: Observed) -> None:
    """Many requests in one packet, some with bodies, some slow: all answers, in order; $pipe tells of the wait."""
    data = b""
    for number in range(60):
        if number % 7 == 3:
            data += b"GET /slow/%d HTTP/1.1\r\nHost: x\r\n\r\n" % number
        elif number % 7 == 5:
            data += b"POST /r/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\nGET /evil HTTP/1.1\r\n\r\nxx" % number
        elif number % 7 == 6:
            data += b"POST /slow/%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % number
            data += b"3\r\nabc\r\n0\r\n\r\n"
        else:
            data += GET % number
    with Connection(server) as client:
        client.send(data + LAST)
        bodies = [client.response().body for _ in range(60)]
        client.response()
        assert client.rest() == b""
    for number, body in enumerate(bodies):
        kind = {3: b"slow /slow/%d\n", 5: b"POST /r/%d  p\n", 6: b"slow /slow/%d\n"}.get(number % 7, b"GET /r/%d  p\n")
        assert body == (kind % number if number else b"GET /r/0  .\n")


def test_pipeline_with_an_error(server: Observed) -> None:
    """What stands before a bad request is answered, what comes after it is not."""
    data = GET % 1 + b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET % 2 + b"BAD\x01\r\n\r\n" + GET % 3
    assert _statuses(raw(server, data)) == [200, 200, 200, 400]


def test_pipeline_after_close(server: Observed) -> None:
    """A request behind one with ``Connection: close`` is not served."""
    assert _statuses(raw(server, GET % 1 + LAST + GET % 998 + GET % 999)) == [200, 200]
    server.check_well()
    assert "GET /r/998 " not in server.log_text("access.log")


def test_half_closed(server: Observed) -> None:
    """A client that has said all it had to say still gets every answer, however slow."""
    data = GET % 1 + b"GET /slow/1 HTTP/1.1\r\nHost: x\r\n\r\n" + GET % 2 + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = raw(server, data, shutdown=True)
    assert _statuses(answers) == [200] * 4
    assert answers.endswith(b"index")


def test_clients_that_leave(server: Observed) -> None:
    """Closing or resetting in the middle of a head is logged as 400, with what had come of it."""
    for reset in (False, True):
        for data in (b"GET /lea%d" % reset, b"GET /leave%d HTTP/1.1\r\nHost: x\r\nX" % reset):
            with Connection(server) as client:
                client.send(data)
                server.state()
                if reset:
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            line = data.split(b"\r")[0].decode()
            assert logged(server, f'"{line}"') == f'"{line}" 400'
    assert "client prematurely closed connection while reading client request line" in server.log_text()
    assert "client prematurely closed connection while reading client request headers" in server.log_text()


def test_many_connections(server: Observed) -> None:
    """Connections that say nothing, something or rubbish, and go: none is left."""
    for data in (b"", b"GET", b"\r\n", b"\0" * 5000, GET % 1, (GET % 1)[:-1]):
        clients = [Connection(server) for _ in range(30)]
        for client in clients:
            client.send(data)
        for client in clients:
            client.close()
    server.check_well()
