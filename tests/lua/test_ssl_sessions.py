"""Sessions of TLS kept by Lua: ``ssl_session_store_by_lua*``, ``ssl_session_fetch_by_lua*``, ``ngx.ssl.session``.

https://github.com/openresty/lua-nginx-module#ssl_session_fetch_by_lua_block
"""

from __future__ import annotations

import socket
import ssl

import pytest
from authority import Authority, needs_openssl
from harness import Server, both, http, without_reference

pytestmark = needs_openssl


STORE = """
    local session = require "ngx.ssl.session"
    local seen = ngx.shared.seen
    seen:set("stored", assert(session.get_session_id()))
    seen:set(session.get_session_id(), assert(session.get_serialized_session()))
    seen:incr("stores", 1, 0)
"""
FETCH = """
    local session = require "ngx.ssl.session"
    local seen = ngx.shared.seen
    seen:incr("fetches", 1, 0)
    local id = assert(session.get_session_id())
    seen:set("wanted", id)
    local kept = seen:get(id)
    if kept then assert(session.set_serialized_session(kept)) end
"""
CONTENT = """
    local seen = ngx.shared.seen
    ngx.print(ngx.var.ssl_session_reused, " ", seen:get("stores") or 0, " ", seen:get("fetches") or 0, " ", seen:get("told"))
"""


def serving(
    ca: Authority,
    store: str = STORE,
    fetch: str = FETCH,
    *,
    reference: bool = False,
    tickets: str = "off",
    more: str = "",
    other: str = "",
) -> Server:
    """A TLS server whose sessions these two keep, and ``other``."""
    conf = f"""
        lua_shared_dict seen 1m; init_by_lua_block {{ require "resty.core" }}
        ssl_session_store_by_lua_block {{ {store} }}
        ssl_session_fetch_by_lua_block {{ {fetch} }}
        server {{
            listen {{port}} ssl; server_name one.test; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets {tickets};
            ssl_certificate one.crt; ssl_certificate_key one.key; {more}
            location / {{ content_by_lua_block {{ {CONTENT} }} }}
        }}"""
    conf += other
    return Server(http(conf).replace("error.log info;", "error.log debug;"), ca.files(), reference=reference)


class Client:
    """Asks again and again, each time on a new connection with the last one's session."""

    def __init__(self, server: Server, *, tickets: bool = False, newest: bool = False) -> None:
        self.server = server
        self.session: ssl.SSLSession | None = None
        self.context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if not newest:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if not tickets:
            context.options |= ssl.OP_NO_TICKET

    def ask(self, port: int = 0) -> str:
        with (
            socket.create_connection(("127.0.0.1", port or self.server.port), 10) as raw,
            self.context.wrap_socket(raw, server_hostname="one.test", session=self.session) as sock,
        ):
            sock.sendall(b"GET / HTTP/1.0\r\nHost: one.test\r\n\r\n")
            data = b""
            while piece := sock.recv(65536):
                data += piece
            self.session = sock.session
            return data.partition(b"\r\n\r\n")[2].decode()


@both
def test_a_session_is_stored_and_fetched(ca: Authority, reference: bool) -> None:
    told = f'{STORE} seen:set("told", ngx.get_phase() .. #session.get_session_id())'
    with serving(ca, told, reference=reference) as server:
        client = Client(server)
        assert [client.ask() for _ in range(3)] == [
            f"{reused} 1 {fetches} ssl_session_store64" for reused, fetches in ((".", 0), ("r", 1), ("r", 2))
        ]
        other = Client(server)
        assert other.ask().startswith(". 2 2 ")


@both
def test_a_session_that_lua_does_not_know(ca: Authority, reference: bool) -> None:
    fetch = FETCH.replace("seen:get(id)", "nil")
    with serving(ca, fetch=f'{fetch} seen:set("told", ngx.get_phase())', reference=reference) as server:
        client = Client(server)
        assert [client.ask() for _ in range(2)] == [". 1 0 nil", ". 2 1 ssl_session_fetch"]


@pytest.mark.parametrize(
    ("reference", "given", "error"),
    [
        (False, "'rubbish'", "failed to de-serialize session"),
        pytest.param(True, "'rubbish'", "failed to de-serialize session", marks=without_reference),
        (False, "''", "invalid session length"),  # (the reference is too old to look at the length)
        (False, "('x'):rep(4097)", "invalid session length"),
    ],
)
def test_what_is_no_session(ca: Authority, reference: bool, given: str, error: str) -> None:
    fetch = f"""
        local session = require "ngx.ssl.session"
        local ok, err = session.set_serialized_session({given})
        local _, none = session.get_serialized_session()
        ngx.shared.seen:set("told", tostring(ok) .. " " .. err .. ", " .. none)"""
    with serving(ca, fetch=fetch, reference=reference) as server:
        client = Client(server)
        client.ask()
        assert client.ask() == f". 2 0 nil {error}, bad session in lua context"


@both
def test_sessions_of_tls_1_3_are_not_lua_s(ca: Authority, reference: bool) -> None:
    with serving(ca, reference=reference) as server:
        client = Client(server, newest=True)
        assert [client.ask() for _ in range(2)] == [". 0 0 nil"] * 2
        server.logged("ssl_session_store_by_lua*: skipped since TLS version >= 1.3 (304)")


@both
def test_tickets_are_not_lua_s(ca: Authority, reference: bool) -> None:
    with serving(ca, reference=reference, tickets="on") as server:
        client = Client(server, tickets=True)
        assert [client.ask() for _ in range(2)] == [". 0 0 nil", "r 0 0 nil"]
        other = Client(server)
        assert [other.ask() for _ in range(2)] == [". 1 0 nil", "r 1 1 nil"]


@both
def test_a_client_that_knows_tickets_where_there_are_none(ca: Authority, reference: bool) -> None:
    with serving(ca, reference=reference) as server:
        client = Client(server, tickets=True)
        assert [client.ask() for _ in range(2)] == [". 1 0 nil", "r 1 1 nil"]


@both
@pytest.mark.parametrize(
    ("store", "line"),
    [
        ("error('bad')", "failed to run session_store_by_lua*: ssl_session_store_by_lua(nginx.conf:"),
        ("ngx.sleep(0.01)", "API disabled in the context of ssl_session_store_by_lua*"),
        ("ngx.socket.tcp():connect('127.0.0.1', 1)", "API disabled in the context of ssl_session_store_by_lua*"),
        ("ngx.say('x')", "API disabled in the context of ssl_session_store_by_lua*"),
        (
            "ngx.exit(ngx.ERROR) ngx.log(ngx.ERR, 'went on')",
            "went on, context: ssl_session_store_by_lua*, client: 127.0.0.1, server: ",
        ),
        (
            "ngx.timer.at(0, function() ngx.log(ngx.ERR, 'later') end)",
            "later, context: ngx.timer, client: 127.0.0.1, server: ",
        ),
    ],
)
def test_what_storing_may_do(ca: Authority, reference: bool, store: str, line: str) -> None:
    with serving(ca, store, reference=reference) as server:
        assert Client(server).ask() == ". 0 0 nil"
        server.logged(line)


@both
@pytest.mark.parametrize(
    ("fetch", "line"),
    [
        ("error('bad')", "lua entry thread aborted: runtime error: ssl_session_fetch_by_lua(nginx.conf:"),
        ("ngx.exit(ngx.ERROR)", "lua exit with code -1"),
    ],
)
def test_fetching_never_ends_the_handshake(ca: Authority, reference: bool, fetch: str, line: str) -> None:
    with serving(ca, fetch=fetch, reference=reference) as server:
        client = Client(server)
        assert [client.ask() for _ in range(2)] == [". 1 0 nil", ". 2 0 nil"]
        server.logged(line)


@both
def test_a_session_is_not_good_for_a_server_that_verifies(ca: Authority, reference: bool) -> None:
    other = """
        server {
            listen {port2} ssl; server_name one.test; ssl_protocols TLSv1.2; ssl_session_tickets off;
            ssl_certificate one.crt; ssl_certificate_key one.key; ssl_verify_client on; ssl_client_certificate ca.crt;
        }"""
    more = "ssl_verify_client optional_no_ca; ssl_client_certificate self.crt;"
    with serving(ca, reference=reference, more=more, other=other) as server:
        client = Client(server)
        client.context.load_cert_chain(ca.path("self.crt"), ca.path("self.key"))
        assert [client.ask() for _ in range(2)] == [". 1 0 nil", "r 1 1 nil"]
        assert "<title>400 The SSL certificate error</title>" in client.ask(server.ports["port2"])
        server.logged("client SSL certificate verify error: (18:self-signed certificate)")


def test_fetching_may_wait(ca: Authority) -> None:
    """(The reference's OpenSSL would need a patch for that.)"""
    with serving(ca, fetch=f"ngx.sleep(0.01) {FETCH}") as server:
        client = Client(server)
        assert [client.ask() for _ in range(2)] == [". 1 0 nil", "r 1 1 nil"]


@both
def test_a_resumed_session_needs_no_certificate(ca: Authority, reference: bool) -> None:
    code = 'ssl_certificate_by_lua_block { ngx.shared.seen:incr("told", 1, 0) }'
    with serving(ca, reference=reference, more=code) as server:
        client = Client(server)
        assert [client.ask() for _ in range(2)] == [". 1 0 1", "r 1 1 1"]


def test_a_session_that_is_too_old(ca: Authority) -> None:
    code = 'ssl_session_timeout 1s; ssl_certificate_by_lua_block { ngx.shared.seen:incr("told", 1, 0) }'
    with serving(ca, fetch=f"ngx.sleep(2) {FETCH}", more=code) as server:
        client = Client(server)
        assert [client.ask() for _ in range(2)] == [". 1 0 1", ". 2 1 2"]


@both
@pytest.mark.parametrize("directive", ["ssl_session_fetch_by_lua_block", "ssl_session_store_by_lua_block"])
def test_only_for_all_servers(directive: str, reference: bool) -> None:
    server = Server(http(f"server {{ listen {{port}}; {directive} {{ }} }}"), reference=reference)
    try:
        done = server.run("-t")
        assert done.returncode == 1
        assert f'"{directive}" directive is not allowed here' in done.stderr
    finally:
        server.close()
