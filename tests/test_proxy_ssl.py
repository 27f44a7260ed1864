"""``proxy_pass https://…``: nginx and pyresty towards the same TLS servers, with certificates good and bad.

Where both can answer, both have to give the same response and the same line in the error log.
https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_certificate
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from authority import Authority, listening, needs_openssl, tls_origin
from harness import Server, both, http, request

pytestmark = needs_openssl


@contextmanager
def proxying(ca: Authority, inside: str, *, reference: bool = False, block: str = "", **names: str) -> Iterator[Server]:
    """A server with ``inside``; each of ``names`` is the port of an origin with that certificate (``client:`` in front:
    which asks clients for theirs).
    """
    with ExitStack() as stack:
        ports = {}
        for name, certificate in names.items():
            asks, _, certificate = certificate.rpartition(":")
            ports[name] = stack.enter_context(tls_origin(ca.context(certificate, client_ca=bool(asks))))
        common = "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_ssl_protocols TLSv1.2 TLSv1.3;"
        conf = http(f"{block} server {{ listen {{port}}; {common} {inside} }}")
        yield stack.enter_context(Server(conf, ca.files(), reference=reference, ports=ports))


def said(server: Server) -> list[str]:
    """What the error log says of the upstream, without what differs by nature."""
    lines = [line for line in server.error_log() if re.search(r"\[(error|crit|alert)\]", line)]
    return [re.sub(r"^.*?\[(\w+)\] \S+ \*\d+ (.*?), client: .*$", r"\1 \2", line, flags=re.S) for line in lines]


VERIFY = "proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.crt; proxy_ssl_name one.test;"


@both
@pytest.mark.parametrize(
    ("certificate", "settings", "problem"),
    [
        ("one", "", ""),
        ("self", "", ""),
        ("expired", "", ""),
        ("one", VERIFY, ""),
        ("one", VERIFY.replace("one.test", "a.wild.test"), ""),
        ("one", VERIFY.replace("one.test", "ONE.Test:443"), ""),
        ("named", VERIFY.replace("one.test", "common.test"), ""),
        (
            "one",
            VERIFY.replace("one.test", "a.b.wild.test"),
            'upstream SSL certificate does not match "a.b.wild.test"',
        ),
        ("one", VERIFY.replace("one.test", "wild.test"), 'upstream SSL certificate does not match "wild.test"'),
        ("one", VERIFY.replace("one.test", "two.test"), 'upstream SSL certificate does not match "two.test"'),
        ("one", VERIFY.replace("proxy_ssl_name one.test;", ""), 'upstream SSL certificate does not match "127.0.0.1"'),
        ("self", VERIFY, "upstream SSL certificate verify error: (18:self-signed certificate)"),
        ("expired", VERIFY, "upstream SSL certificate verify error: (10:certificate has expired)"),
        ("revoked", VERIFY, ""),
        (
            "revoked",
            VERIFY + "proxy_ssl_crl ca.crl;",
            "upstream SSL certificate verify error: (23:certificate revoked)",
        ),
        ("one", VERIFY + "proxy_ssl_crl ca.crl;", ""),
        ("deep", VERIFY + "proxy_ssl_verify_depth 2;", ""),
        ("deep", VERIFY, "upstream SSL certificate verify error: (22:certificate chain too long)"),
    ],
)
def test_verification(ca: Authority, reference: bool, certificate: str, settings: str, problem: str) -> None:
    inside = f"location / {{ proxy_pass https://127.0.0.1:{{up}}; {settings} }}"
    with proxying(ca, inside, reference=reference, up=certificate) as server:
        response = request(server)
        log = said(server)
    if reference:  # nginx goes on after an error, and reports the last; we stop at the first
        problem = problem.replace("22:certificate chain too long", "20:unable to get local issuer certificate")
    if problem:
        assert (response.status, log) == (502, [f"error {problem} while SSL handshaking to upstream"])
    else:
        assert (response.status, log) == (200, [])
        assert response.body.startswith(b"sni=None reused=False client= n=1")


@both
@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ("proxy_ssl_server_name on;", "None"),
        ("proxy_ssl_server_name on; proxy_ssl_name one.test;", "one.test"),
        ("proxy_ssl_server_name on; proxy_ssl_name $arg_name:99;", "of.arg"),
        ("proxy_ssl_name one.test;", "None"),
        ("proxy_ssl_server_name on; proxy_ssl_name 10.0.0.1;", "None"),
    ],
)
def test_server_name(ca: Authority, reference: bool, settings: str, name: str) -> None:
    inside = f"location / {{ proxy_pass https://127.0.0.1:{{up}}; {settings} }}"
    with proxying(ca, inside, reference=reference, up="one") as server:
        assert request(server, path="/?name=of.arg").body.startswith(f"sni={name} ".encode())


@both
def test_name_of_the_upstream_block(ca: Authority, reference: bool) -> None:
    inside = f"location / {{ proxy_pass https://one.test; proxy_ssl_server_name on; {VERIFY} }}"
    inside = inside.replace("proxy_ssl_name one.test;", "")
    block = "upstream one.test { server 127.0.0.1:{up}; }"
    with proxying(ca, inside, reference=reference, block=block, up="one") as server:
        assert request(server).body.startswith(b"sni=one.test ")


@both
@pytest.mark.parametrize(
    ("settings", "client"),
    [
        ("proxy_ssl_certificate client.crt; proxy_ssl_certificate_key client.key;", "me"),
        ("proxy_ssl_certificate $arg_c.crt; proxy_ssl_certificate_key $arg_c.key;", "you"),
        ("proxy_ssl_certificate client.crt; proxy_ssl_certificate_key client.enc.key; "
         "proxy_ssl_password_file passwords;", "me"),
    ],
)  # fmt: skip
def test_client_certificate(ca: Authority, reference: bool, settings: str, client: str) -> None:
    inside = f"location / {{ proxy_pass https://127.0.0.1:{{up}}; {settings} }}"
    with proxying(ca, inside, reference=reference, up="client:one") as server:
        assert f" client={client} n=1" in request(server, path="/?c=client2").body.decode()


@both
def test_without_the_certificate_that_is_asked_for(ca: Authority, reference: bool) -> None:
    inside = "location / { proxy_pass https://127.0.0.1:{up}; proxy_ssl_protocols TLSv1.2; }"
    with proxying(ca, inside, reference=reference, up="client:one") as server:
        assert request(server).status == 502
        (line,) = said(server)
    assert line.startswith("error SSL_do_handshake() failed (SSL: error:0A000410:SSL routines::")
    assert line.endswith(":SSL alert number 40) while SSL handshaking to upstream")


@both
def test_certificate_file_that_is_not_there(ca: Authority, reference: bool) -> None:
    settings = "proxy_ssl_certificate $arg_c.crt; proxy_ssl_certificate_key $arg_c.key;"
    with proxying(
        ca, f"location / {{ proxy_pass https://127.0.0.1:{{up}}; {settings} }}", reference=reference, up="one"
    ) as server:
        assert request(server, path="/?c=none").status == 500
        (line,) = said(server)
    assert "cannot load certificate" in line and "none.crt" in line and "No such file or directory" in line


@both
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("reuse", ["on", "off"])
def test_session(ca: Authority, reference: bool, version: str, reuse: str) -> None:
    inside = (
        "location / { proxy_pass https://127.0.0.1:{up}; proxy_set_header Connection close; "
        f"proxy_ssl_session_reuse {reuse}; proxy_ssl_protocols {version}; }}"
    )
    with proxying(ca, inside, reference=reference, up="one") as server:
        bodies = [request(server).body.decode() for _ in range(3)]
    resumed = reuse == "on"
    assert [f"reused={n > 0 and resumed}" in body for n, body in enumerate(bodies)] == [True] * 3, bodies
    assert all(body.endswith(f"version={version}") for body in bodies)


@both
def test_session_of_a_connection_that_just_ends(ca: Authority, reference: bool) -> None:
    """A server that closes without TLS's goodbye spoils no session. nginx: ``ngx_ssl_shutdown``."""
    context, taken = ca.context("one"), threading.Event()

    def answer(sock: socket.socket) -> None:
        tls = context.wrap_socket(sock, server_side=True)
        tls.recv(65536)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%-5s" % str(tls.session_reused).encode())
        taken.wait(20)
        raw = socket.socket(fileno=tls.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    conf = http(
        "server { listen {port}; location / { proxy_pass https://127.0.0.1:{up}; proxy_ssl_protocols TLSv1.2; } }"
    )
    with listening(answer) as port, Server(conf, reference=reference, ports={"up": port}) as server:
        assert request(server).body == b"False"
        taken.set()
        assert request(server).body == b"True "


def test_connections_are_kept_but_not_shared(ca: Authority) -> None:
    """One pool for all locations, but connections under other names or certificates are other connections."""
    block = "upstream up { server 127.0.0.1:{up}; keepalive 8; }"
    pair = "proxy_ssl_certificate {0}.crt; proxy_ssl_certificate_key {0}.key;"
    inside = "".join(
        f"location /{name} {{ proxy_pass https://up; {settings} }}"
        for name, settings in {
            "a": pair.format("client"),
            "b": pair.format("client"),
            "c": pair.format("client2"),
            "d": pair.format("client") + "proxy_ssl_server_name on; proxy_ssl_name one.test;",
            "e": pair.format("$arg_c"),
        }.items()
    )
    with proxying(ca, inside, block=block, up="client:one") as server:
        seen = [
            re.sub(rb".*sni=(\S+) .*client=(\w+) n=(\d+) .*", rb"\1 \2 \3", request(server, path=path).body).decode()
            for path in ("/a", "/b", "/c", "/d", "/e?c=client2", "/e?c=client", "/c")
        ]
    assert seen == ["None me 1", "None me 2", "None you 1", "one.test me 1", "None you 2", "None me 3", "None you 3"]


@both
def test_variables(ca: Authority, reference: bool) -> None:
    """``proxy_pass`` with variables, and what the variables of the upstream say."""
    inside = (
        "location / { set $to https://127.0.0.1:{up}; proxy_pass $to; "
        "add_header X $upstream_addr,$upstream_status,$proxy_host,$proxy_port; }"
    )
    with proxying(ca, inside, reference=reference, up="one") as server:
        response = request(server)
        up = f"127.0.0.1:{server.ports['up']}"
    assert response.body.startswith(b"sni=None")
    assert response.get("X") == f"{up},200,{up},{server.ports['up']}"


@both
def test_default_port(ca: Authority, reference: bool) -> None:
    conf = http(
        "log_format own '$proxy_host,$proxy_port,$upstream_addr'; access_log {prefix}/logs/own.log own; "
        "server { listen {port}; location / { proxy_pass https://127.0.0.1; } }"
    )
    with Server(conf, reference=reference) as server:
        request(server)
        server.stop()
        assert server.log_text("own.log") == "127.0.0.1,443,127.0.0.1:443\n"


def _plain(sock: socket.socket) -> None:
    sock.recv(10)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _close(sock: socket.socket) -> None:
    sock.recv(65536)


def _alert(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(b"\x15\x03\x03\x00\x02\x02\x28")  # fatal: handshake failure


@both
@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (_plain, "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)"),
        (_close, "peer closed connection in SSL handshake"),
        (_alert, "SSL_do_handshake() failed (SSL: error:0A000410:SSL routines::sslv3 alert handshake failure:"
                 "SSL alert number 40)"),
    ],
    ids=["plain", "close", "alert"],
)  # fmt: skip
def test_broken_handshake(reference: bool, answer: Callable[[socket.socket], object], line: str) -> None:
    conf = http("server { listen {port}; location / { proxy_pass https://127.0.0.1:{up}; } }")
    with listening(answer) as port, Server(conf, reference=reference, ports={"up": port}) as server:
        assert request(server).status == 502
        assert said(server) == [f"error {line} while SSL handshaking to upstream"]


@both
def test_handshake_that_stalls(reference: bool) -> None:
    over = threading.Event()
    conf = http(
        "server { listen {port}; location / { proxy_pass https://127.0.0.1:{up}; proxy_connect_timeout 200ms; } }"
    )
    with listening(lambda sock: over.wait(20)) as port:
        with Server(conf, reference=reference, ports={"up": port}) as server:
            assert request(server).status == 504
            assert said(server) == [
                "error upstream timed out (110: Connection timed out) while SSL handshaking to upstream"
            ]
        over.set()


@both
def test_next_upstream(ca: Authority, reference: bool) -> None:
    block = "upstream up { server 127.0.0.1:{bad}; server 127.0.0.1:{up}; }"
    inside = f"location / {{ proxy_pass https://up; {VERIFY} add_header X $upstream_status; }}"
    with proxying(ca, inside, reference=reference, block=block, bad="self", up="one") as server:
        response = request(server)
    assert (response.status, response.get("X")) == (200, "502, 200")


def test_big_bodies(ca: Authority) -> None:
    """Many records both ways: what comes back is what was sent."""
    size = 3_000_000
    body = bytes(range(256)) * (size // 256)

    def answer(sock: socket.socket) -> None:
        with ca.context("one").wrap_socket(sock, server_side=True) as tls:
            data = b""
            while b"\r\n\r\n" not in data:
                data += tls.recv(65536)
            head, _, data = data.partition(b"\r\n\r\n")
            parts = [data]
            left = len(body) - len(data)
            while left:
                parts.append(tls.recv(min(left, 65536)))
                left -= len(parts[-1])
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + b"".join(parts))
            tls.recv(1)

    for buffering in ("on", "off"):
        conf = http(
            "server { listen {port}; client_max_body_size 8m; location / { proxy_pass https://127.0.0.1:{up}; "
            f"proxy_request_buffering {buffering}; proxy_buffering {buffering}; }} }}"
        )
        with listening(answer) as port, Server(conf, ports={"up": port}) as server:
            assert request(server, "POST", body=body).body == body


def test_body_that_ends_with_the_connection(ca: Authority) -> None:
    """With TLS's goodbye and without, the end of the connection is the end of the body."""
    for unwrap in (True, False):

        def answer(sock: socket.socket, unwrap: bool = unwrap) -> None:
            tls = ca.context("one").wrap_socket(sock, server_side=True)
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
            if unwrap:
                tls.unwrap()
            else:
                tls.close()

        conf = http("server { listen {port}; location / { proxy_pass https://127.0.0.1:{up}; } }")
        with listening(answer) as port, Server(conf, ports={"up": port}) as server:
            assert request(server).body == b"x" * 100_000


def test_record_that_is_no_tls(ca: Authority) -> None:
    """After the handshake: what can't be decrypted ends the exchange, and OpenSSL's reason is logged."""

    def answer(sock: socket.socket) -> None:
        tls = ca.context("one").wrap_socket(sock, server_side=True)
        tls.recv(65536)
        socket.socket(fileno=os.dup(tls.fileno())).sendall(b"\x17\x03\x03\x00\x20" + b"y" * 32)
        tls.recv(1)

    conf = http("server { listen {port}; location / { proxy_pass https://127.0.0.1:{up}; } }")
    with listening(answer) as port, Server(conf, ports={"up": port}) as server:
        assert request(server).status == 502
        (line,) = said(server)
    assert "SSL_read() failed (SSL: error:0A000119:SSL routines::decryption failed or bad record mac)" in line
    assert line.endswith("while reading response header from upstream")


def test_websocket(ca: Authority) -> None:
    def answer(sock: socket.socket) -> None:
        with ca.context("one").wrap_socket(sock, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello")
            while data := tls.recv(65536):
                tls.sendall(data.upper())

    conf = http(
        "server { listen {port}; location / { proxy_pass https://127.0.0.1:{up}; proxy_http_version 1.1; "
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }"
    )
    ask = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    with listening(answer) as port, Server(conf, ports={"up": port}) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(ask)
            data = b""
            while not data.endswith(b"hello"):
                data += sock.recv(1000)
            sock.sendall(b"more")
            assert sock.recv(1000) == b"MORE"
        assert data.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("proxy_ssl_verify on;", "no proxy_ssl_trusted_certificate for proxy_ssl_verify"),
        ("proxy_ssl_certificate client.crt;", 'no "proxy_ssl_certificate_key" is defined for certificate'),
        ("proxy_ssl_certificate client.crt; proxy_ssl_certificate_key client2.key;", "key values mismatch"),
        ("proxy_ssl_certificate no.crt; proxy_ssl_certificate_key no.key;", "No such file or directory"),
        ("proxy_ssl_ciphers nothing;", 'SSL_CTX_set_cipher_list("nothing") failed'),
        ("proxy_ssl_protocols TLSv9;", 'invalid value "TLSv9"'),
        ("proxy_ssl_certificate_cache valid=1s;", '"proxy_ssl_certificate_cache" must have the "max" parameter'),
        ("proxy_ssl_certificate_cache max=x;", 'invalid parameter "max=x"'),
    ],
)
def test_refused_at_start(ca: Authority, inside: str, message: str) -> None:
    conf = http(f"server {{ listen {{port}}; location / {{ proxy_pass https://127.0.0.1:9; {inside} }} }}")
    result = Server(conf, ca.files()).check()
    assert result.returncode == 1
    assert message in result.stderr


def test_key_log(ca: Authority) -> None:
    inside = "location / { proxy_pass https://127.0.0.1:{up}; proxy_ssl_key_log keys.log; }"
    with proxying(ca, inside, up="one") as server:
        request(server)
        assert re.search(r"^CLIENT_(RANDOM|TRAFFIC_SECRET_0|HANDSHAKE_TRAFFIC_SECRET) ", _text(server.prefix), re.M)


def _text(prefix: Path) -> str:
    (found,) = prefix.rglob("keys.log")
    return found.read_text()
