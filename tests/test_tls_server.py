"""``listen … ssl``: nginx and pyresty with the same conf and the same TLS clients.

Where both can answer, both have to give the same response and the same line in the error log.
https://nginx.org/en/docs/http/ngx_http_ssl_module.html
"""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from authority import Authority, needs_openssl
from harness import Server, both, without_reference
from tls import ONE, TWO, Client, one_server, serving

pytestmark = needs_openssl


# -- who answers


@both
def test_the_name_sent_chooses_server_and_certificate(ca: Authority, reference: bool) -> None:
    conf = one_server(ONE + " return 200 one;") + one_server(TWO + " return 200 two;", "two.test")
    with serving(ca, conf, reference=reference) as server:
        for name, body in (("one.test", b"one"), ("two.test", b"two"), ("other.test", b"one"), (None, b"one")):
            with Client(ca, server.port, name) as client:
                assert client.certificate == ca.der(body.decode())
                assert client.ask(host=name or "nobody") == (200, body)


@both
def test_without_a_host_it_is_the_default_server_all_the_same(ca: Authority, reference: bool) -> None:
    conf = one_server(ONE + " return 200 one;") + one_server(TWO + " return 200 two;", "two.test")
    with serving(ca, conf, reference=reference) as server, Client(ca, server.port, "two.test") as client:
        client.sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.certificate == ca.der("two")
        assert client.read() == (200, b"one")


@both
def test_variables(ca: Authority, reference: bool) -> None:
    shown = (
        "$scheme,$https,$ssl_protocol,$ssl_cipher,$ssl_server_name,$ssl_session_reused,$ssl_client_verify,$server_port"
    )
    with serving(ca, one_server(f'{ONE} return 200 "{shown}";'), reference=reference) as server:
        port = str(server.port).encode()
        with Client(ca, server.port) as client:
            name = client.sock.cipher()
            assert name is not None
            want = b"https,on,TLSv1.3,%s,one.test,.,NONE,%s" % (name[0].encode(), port)
            assert client.ask() == (200, want)


@both
def test_keep_alive_pipelining_and_a_large_file(ca: Authority, reference: bool) -> None:
    big = os.urandom(3_000_001)
    conf = one_server(ONE + " sendfile on; location / { root html; } location /hi { return 200 hi; }")
    with serving(ca, conf, reference=reference, **{"html/big": big}) as server, Client(ca, server.port) as client:
        assert client.ask("/hi") == (200, b"hi")
        client.sock.sendall(b"GET /hi HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [client.read()[1] for _ in range(3)] == [b"hi"] * 3
        assert client.read() == (200, big)
        assert client.ask("/hi", more="Connection: close\r\n") == (200, b"hi")
        assert client.file.read() == b""  # the end, said by TLS itself


@both
def test_a_body_in_many_records(ca: Authority, reference: bool) -> None:
    conf = one_server(
        ONE + " location / { content_by_lua_block { ngx.req.read_body() ngx.print(#ngx.req.get_body_data()) } }"
    )
    with serving(ca, conf, reference=reference) as server, Client(ca, server.port) as client:
        client.sock.sendall(b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 9000\r\n\r\n")
        for _ in range(9):
            client.sock.sendall(b"x" * 1000)
        client.file.readline()
        assert client.file.read().endswith(b"\r\n\r\n9000")


@both
def test_a_limited_response_is_https_all_the_same(ca: Authority, reference: bool) -> None:
    conf = "log_format own '$scheme $ssl_protocol'; access_log {prefix}/logs/own.log own;"
    conf += one_server(ONE + " limit_rate 1m; location / { root html; }")
    with serving(ca, conf, reference=reference, **{"html/some": b"x" * 1000}) as server:
        with Client(ca, server.port) as client:
            assert client.ask("/some") == (200, b"x" * 1000)
        server.stop()
        assert server.log_text("own.log") == "https TLSv1.3\n"


# -- what is no TLS


@both
def test_plain_http_to_the_tls_port(ca: Authority, reference: bool) -> None:
    with serving(ca, one_server(ONE + " return 200 no;"), reference=reference) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            answer = sock.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"<title>400 The plain HTTP request was sent to HTTPS port</title>" in answer
        server.logged(
            "client sent plain HTTP request to HTTPS port while reading client request headers, client: 127.0.0.1, server: one.test",
        )


@both
def test_error_page_497(ca: Authority, reference: bool) -> None:
    conf = one_server(ONE + " error_page 497 https://$host/there?$scheme; return 200 no;")
    with serving(ca, conf, reference=reference) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            answer = sock.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 302 ")
        assert b"\r\nLocation: https://one.test/there?http\r\n" in answer


@both
def test_rubbish_is_logged_as_a_failed_handshake(ca: Authority, reference: bool) -> None:
    with serving(ca, one_server(ONE), reference=reference) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(b"\x16\x03\x01\x00\x05hello")
            assert sock.makefile("rb").read()[:1] in (b"\x15", b"")
        want = r"\[info\] .* SSL_do_handshake\(\) failed \(SSL: error:[0-9A-F]{8}:SSL routines::.*\) while SSL handshaking, client: 127\.0\.0\.1, server: 0\.0\.0\.0:\d+"
        server.logged("while SSL handshaking")
        assert any(re.search(want, entry) for entry in server.error_log())


@both
def test_a_client_that_leaves_during_the_handshake(ca: Authority, reference: bool) -> None:
    with serving(ca, one_server(ONE), reference=reference) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        server.logged("peer closed connection in SSL handshake while SSL handshaking, client: 127.0.0.1")


@both
def test_no_common_protocol(ca: Authority, reference: bool) -> None:
    def old(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    with serving(ca, one_server(ONE + " ssl_protocols TLSv1.3;"), reference=reference) as server:
        with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
            Client(ca, server.port, prepare=old)
        server.logged("SSL_do_handshake() failed (SSL: error:0A000102:SSL routines::unsupported protocol)")


@both
def test_no_protocol_at_all(ca: Authority, reference: bool) -> None:
    with serving(ca, one_server(ONE + " ssl_protocols SSLv3;"), reference=reference) as server:
        with pytest.raises(ssl.SSLError):
            Client(ca, server.port)
        server.logged("SSL_do_handshake() failed (SSL: error:0A0000BF:SSL routines::no protocols available)")


@both
def test_a_client_that_says_nothing(ca: Authority, reference: bool) -> None:
    with serving(ca, one_server(ONE + " client_header_timeout 100ms;"), reference=reference) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            assert sock.makefile("rb").read() == b""
        server.logged("client timed out (110: Connection timed out) while SSL handshaking, client: 127.0.0.1")


@both
def test_a_client_that_leaves_without_a_word(ca: Authority, reference: bool) -> None:
    with serving(ca, one_server(ONE), reference=reference) as server:
        socket.create_connection(("127.0.0.1", server.port), 10).close()
        server.logged("client closed connection while SSL handshaking, client: 127.0.0.1, server: 0.0.0.0:")


@both
def test_one_address_of_a_port_with_tls_and_one_without(ca: Authority, reference: bool) -> None:
    conf = one_server(ONE + " return 200 $scheme;") + "server { listen 127.0.0.1:{port}; return 200 $scheme; }"
    with serving(ca, conf, reference=reference) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert sock.makefile("rb").read().endswith(b"\r\n\r\nhttp")
        with Client(ca, server.port, address="127.0.0.2") as client:
            assert client.ask() == (200, b"https")


@both
@pytest.mark.parametrize(("path", "doing"), [("", "waiting for request"), ("/", "keepalive")])
def test_what_cannot_be_decrypted(ca: Authority, reference: bool, path: str, doing: str) -> None:
    with (
        serving(ca, one_server(ONE + " return 200 ok;"), reference=reference) as server,
        Client(ca, server.port) as client,
    ):
        if path:
            assert client.ask(path) == (200, b"ok")
        with socket.socket(fileno=os.dup(client.sock.fileno())) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"y" * 32)
        server.logged(
            "SSL_read() failed (SSL: error:0A000119:SSL routines::decryption failed or bad record mac) while "
            f"{doing}, client: 127.0.0.1, server: 0.0.0.0:"
        )


# -- settings


@both
def test_protocols_and_ciphers(ca: Authority, reference: bool) -> None:
    inside = (
        ONE + " ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256; return 200 $ssl_protocol,$ssl_cipher;"
    )
    with serving(ca, one_server(inside), reference=reference) as server, Client(ca, server.port) as client:
        assert client.ask() == (200, b"TLSv1.2,ECDHE-ECDSA-AES128-GCM-SHA256")


@both
@pytest.mark.parametrize("tickets", ["on", "off"])
def test_sessions_are_resumed(ca: Authority, reference: bool, tickets: str) -> None:
    inside = f"{ONE} ssl_protocols TLSv1.2; ssl_session_cache builtin:100; ssl_session_tickets {tickets}; return 200 $ssl_session_reused;"
    with serving(ca, one_server(inside), reference=reference) as server:
        with Client(ca, server.port) as client:
            assert client.ask() == (200, b".")
            context, session = client.context, client.sock.session
        with Client(ca, server.port, context=context, session=session) as client:
            assert client.ask() == (200, b"r")


@both
def test_the_session_s_identifier(ca: Authority, reference: bool) -> None:
    inside = f"{ONE} ssl_protocols TLSv1.2; ssl_session_tickets off; return 200 $ssl_session_id;"
    with serving(ca, one_server(inside), reference=reference) as server, Client(ca, server.port) as client:
        session = client.sock.session
        assert session is not None
        assert client.ask() == (200, session.id.hex().encode())


@both
def test_a_cache_for_one_session(ca: Authority, reference: bool) -> None:
    inside = f"{ONE} ssl_protocols TLSv1.2; ssl_session_cache off; ssl_session_cache builtin:1; ssl_session_tickets off; return 200 $ssl_session_reused;"
    with serving(ca, one_server(inside), reference=reference) as server:
        kept = []
        for _ in range(2):
            with Client(ca, server.port) as client:
                assert client.ask() == (200, b".")
                kept.append((client.context, client.sock.session))
        for (context, session), reused in zip(reversed(kept), (b"r", b"."), strict=True):
            with Client(ca, server.port, context=context, session=session) as client:
                assert client.ask() == (200, reused)


@both
def test_a_session_outlives_a_connection_that_is_reset(ca: Authority, reference: bool) -> None:
    inside = f"{ONE} ssl_protocols TLSv1.2; ssl_session_cache builtin:100; ssl_session_tickets off; return 200 $ssl_session_reused;"
    with serving(ca, one_server(inside), reference=reference) as server:
        with Client(ca, server.port) as client:
            assert client.ask() == (200, b".")
            context, session = client.context, client.sock.session
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with Client(ca, server.port, context=context, session=session) as client:
            assert client.ask() == (200, b"r")


@both
def test_sessions_are_not_kept_without_cache_and_tickets(ca: Authority, reference: bool) -> None:
    inside = (
        ONE + " ssl_protocols TLSv1.2; ssl_session_cache off; ssl_session_tickets off; return 200 $ssl_session_reused;"
    )
    with serving(ca, one_server(inside), reference=reference) as server:
        with Client(ca, server.port) as client:
            assert client.ask() == (200, b".")
            context, session = client.context, client.sock.session
        with Client(ca, server.port, context=context, session=session) as client:
            assert client.ask() == (200, b".")


@both
def test_a_ticket_key_makes_tickets_good_for_another_server(ca: Authority, reference: bool) -> None:
    key = {"conf/ticket.key": bytes(range(80))}
    inside = ONE + " ssl_protocols TLSv1.2; ssl_session_ticket_key ticket.key; return 200 $ssl_session_reused;"
    with serving(ca, one_server(inside), reference=reference, **key) as first, Client(ca, first.port) as client:
        assert client.ask() == (200, b".")
        with (
            serving(ca, one_server(inside), reference=reference, **key) as second,
            Client(ca, second.port, context=client.context, session=client.sock.session) as other,
        ):
            assert other.ask() == (200, b"r")


@both
def test_a_session_is_not_good_for_a_server_that_verifies(ca: Authority, reference: bool) -> None:
    key = {"conf/ticket.key": bytes(range(80))}
    common = (
        "ssl_protocols TLSv1.2; ssl_session_ticket_key ticket.key; return 200 $ssl_session_reused$ssl_client_verify;"
    )
    conf = one_server(f"{ONE} ssl_verify_client optional_no_ca; ssl_client_certificate self.crt; {common}")
    conf += f"server {{ listen {{port2}} ssl; {ONE} ssl_verify_client on; ssl_client_certificate ca.crt; {common} }}"
    with serving(ca, conf, reference=reference, **key) as server, Client(ca, server.port, client="self") as client:
        assert client.ask() == (200, b".SUCCESS")
        with Client(ca, server.port, context=client.context, session=client.sock.session) as again:
            assert again.ask() == (200, b"rSUCCESS")
        with Client(ca, server.ports["port2"], context=client.context, session=client.sock.session) as other:
            assert other.ask()[0] == 400
            assert not other.sock.session_reused


@both
def test_an_encrypted_key(ca: Authority, reference: bool) -> None:
    inside = "ssl_certificate one.crt; ssl_certificate_key one.enc.key; ssl_password_file passwords; return 200 ok;"
    with serving(ca, one_server(inside), reference=reference) as server, Client(ca, server.port) as client:
        assert client.ask() == (200, b"ok")


@both
def test_a_certificate_that_a_variable_names(ca: Authority, reference: bool) -> None:
    inside = "ssl_certificate $ssl_server_name.crt; ssl_certificate_key $ssl_server_name.key; return 200 ok;"
    with serving(ca, one_server(inside, "one two"), reference=reference) as server:
        for name in ("one", "two"):
            with Client(ca, server.port, name) as client:
                assert client.certificate == ca.der(name)
                assert client.ask() == (200, b"ok")
        with pytest.raises(ssl.SSLError):
            Client(ca, server.port, "three")
        server.logged('cannot load certificate "')


@both
def test_reject_handshake(ca: Authority, reference: bool) -> None:
    conf = "server { listen {port} ssl default_server; ssl_reject_handshake on; }" + one_server(ONE + " return 200 ok;")
    with serving(ca, conf, reference=reference) as server:
        for name in ("unknown.test", None):
            with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
                Client(ca, server.port, name)
        server.logged(
            "handshake rejected while SSL handshaking, client: 127.0.0.1, server: 0.0.0.0:",
        )
        with Client(ca, server.port) as client:
            assert client.ask() == (200, b"ok")


@both
def test_records_are_no_larger_than_the_buffer(ca: Authority, reference: bool) -> None:
    conf = one_server(ONE + " ssl_buffer_size 1k; root html;")
    body = bytes(50_000)
    with serving(ca, conf, reference=reference, **{"html/zeros": body}) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="one.test")
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            tls.write(b"GET /zeros HTTP/1.0\r\n\r\n")
            sock.sendall(outgoing.read())
            wire = sock.makefile("rb").read()
        sizes = []
        while wire:
            sizes.append(int.from_bytes(wire[3:5], "big"))
            wire = wire[5 + sizes[-1] :]
        assert len(sizes) > 50
        assert max(sizes[4:]) <= 1024 + 64


@both
def test_conf_command(ca: Authority, reference: bool) -> None:
    inside = ONE + " ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; return 200 $ssl_cipher;"
    with serving(ca, one_server(inside), reference=reference) as server, Client(ca, server.port) as client:
        assert client.ask() == (200, b"TLS_CHACHA20_POLY1305_SHA256")


# -- the client's certificate

SHOWN = "$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn_legacy|$ssl_client_serial|$ssl_client_fingerprint|$ssl_client_v_end|$ssl_client_v_remain|$ssl_client_escaped_cert"


@both
@pytest.mark.parametrize(
    ("verify", "client", "status", "body"),
    [
        ("on", "client", 200, "SUCCESS"),
        ("on", "", 400, "No required SSL certificate was sent"),
        ("on", "self", 400, "The SSL certificate error"),
        ("optional", "", 200, "NONE"),
        ("optional", "self", 400, "The SSL certificate error"),
        ("optional", "revoked", 400, "The SSL certificate error"),
        ("optional_no_ca", "self", 200, "FAILED:self-signed certificate"),
        ("optional_no_ca", "", 200, "NONE"),
    ],
)
def test_verify_client(ca: Authority, reference: bool, verify: str, client: str, status: int, body: str) -> None:
    inside = f"{ONE} ssl_verify_client {verify}; ssl_client_certificate ca.crt; return 200 $ssl_client_verify;"
    if client == "revoked":
        inside += " ssl_crl ca.crl;"
    with (
        serving(ca, one_server(inside), reference=reference) as server,
        Client(ca, server.port, client=client) as asker,
    ):
        got, text = asker.ask()
        assert got == status
        assert body in text.decode()
        if status == 400:
            server.logged(
                "client SSL certificate verify error: (" if client else "client sent no required SSL certificate",
            )


@without_reference
def test_the_variables_of_a_client_certificate_are_nginx_s(ca: Authority) -> None:
    answers = []
    for reference in (False, True):
        inside = f'{ONE} ssl_verify_client on; ssl_client_certificate ca.crt; return 200 "{SHOWN}";'
        with (
            serving(ca, one_server(inside), reference=reference) as server,
            Client(ca, server.port, client="client") as client,
        ):
            answers.append(client.ask())
    assert answers[0] == answers[1]
    assert answers[0][1].startswith(b"SUCCESS|CN=me|/CN=ca|")


@both
def test_another_server_s_name_in_the_request(ca: Authority, reference: bool) -> None:
    conf = one_server(ONE + " return 200 one;")
    conf += one_server(TWO + " ssl_verify_client optional; ssl_client_certificate ca.crt; return 200 two;", "two.test")
    with serving(ca, conf, reference=reference) as server, Client(ca, server.port) as client:
        assert client.ask(host="two.test")[0] == 421
        server.logged("client attempted to request the server name different from the one that was negotiated")


@both
def test_error_page_496_is_served(ca: Authority, reference: bool) -> None:
    inside = (
        ONE
        + " ssl_verify_client on; ssl_client_certificate ca.crt; error_page 496 =403 /no; location = /no { internal; return 200 mine; }"
    )
    with serving(ca, one_server(inside), reference=reference) as server, Client(ca, server.port) as client:
        assert client.ask() == (403, b"mine")


# -- reload


@contextmanager
def reloaded(server: Server) -> Iterator[None]:
    """What is done inside is in force afterwards."""
    before = server.log_text().count("start worker process ")
    yield
    server.signal(signal.SIGHUP)
    end = time.monotonic() + 15
    while server.log_text().count("start worker process ") <= before:
        assert time.monotonic() < end, server.said()
        time.sleep(0.02)


@both
def test_a_reload_takes_the_new_certificate(ca: Authority, reference: bool) -> None:
    inside = "ssl_certificate now.crt; ssl_certificate_key now.key; return 200 ok;"
    files = {f"conf/now.{kind}": Path(ca.path(f"one.{kind}")).read_text() for kind in ("crt", "key")}
    with serving(ca, one_server(inside), reference=reference, **files) as server, Client(ca, server.port) as client:
        assert client.certificate == ca.der("one")
        with reloaded(server):
            for kind in ("crt", "key"):
                server.write(f"conf/now.{kind}", Path(ca.path(f"two.{kind}")).read_text())
        end = time.monotonic() + 10
        while True:
            with Client(ca, server.port) as other:
                if other.certificate == ca.der("two"):
                    break
            assert time.monotonic() < end
