"""Lua in the TLS handshake with a client: ``ssl_client_hello_by_lua*``, ``ssl_certificate_by_lua*``, ``ngx.ssl``.

nginx with ngx_lua and pyresty get the same conf and the same clients; what both have to do is asserted of both.
https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/ssl.md
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import pytest
from authority import Authority, needs_openssl
from harness import Server, both, http, request

pytestmark = needs_openssl


INIT = """
    init_by_lua_block {
        require "resty.core"
        function read(name)
            local file = assert(io.open("{prefix}/conf/" .. name))
            local text = file:read("*a")
            file:close()
            return text
        end
    }
"""
#: Gives the certificate of the file that the client's name begins with.
CHOOSE = """
    local ssl = require "ngx.ssl"
    local name = (ssl.server_name() or "one"):match("^%w+")
    assert(ssl.clear_certs())
    assert(ssl.set_der_cert(assert(ssl.cert_pem_to_der(read(name .. ".crt")))))
    assert(ssl.set_der_priv_key(assert(ssl.priv_key_pem_to_der(read(name .. ".key")))))
"""


def serving(ca: Authority, lua: str, *, reference: bool = False, content: str = "", block: str = "ssl_certificate_by_lua_block",
            more: str = "") -> Server:  # fmt: skip
    """A TLS server with the code ``lua`` in ``block``, and ``content`` as content_by_lua."""
    content = content or "ngx.print(ngx.var.ssl_protocol)"
    conf = f"""
        lua_shared_dict seen 1m; {INIT}
        server {{
            listen {{port}} ssl; server_name one.test; ssl_protocols TLSv1.2 TLSv1.3;
            ssl_certificate one.crt; ssl_certificate_key one.key; {more}
            {block} {{ {lua} }}
            location / {{ content_by_lua_block {{ {content} }} }}
        }}"""
    return Server(http(conf), ca.files(), reference=reference)


def ask(
    ca: Authority, server: Server, name: str | None = "one.test", client: str = "",
    prepare: Callable[[ssl.SSLContext], object] = lambda context: None,
) -> tuple[bytes, bytes]:  # fmt: skip
    """One request on a connection of its own: the server's certificate (DER) and the whole answer's body."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if client:
        context.load_cert_chain(ca.path(client + ".crt"), ca.path(client + ".key"))
    prepare(context)
    with (
        socket.create_connection(("127.0.0.1", server.port), 10) as raw,
        context.wrap_socket(raw, server_hostname=name) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.0\r\nHost: one.test\r\n\r\n")
        data = b""
        while piece := sock.recv(65536):
            data += piece
        return sock.getpeercert(True) or b"", data.partition(b"\r\n\r\n")[2]


@both
def test_lua_chooses_the_certificate(ca: Authority, reference: bool) -> None:
    with serving(ca, CHOOSE, reference=reference) as server:
        for name in ("one", "two", "one"):
            assert ask(ca, server, f"{name}.test") == (ca.der(name), b"TLSv1.3")


@both
def test_parsed_certificates(ca: Authority, reference: bool) -> None:
    lua = """
        local ssl = require "ngx.ssl"
        ssl.clear_certs()
        assert(ssl.set_cert(assert(ssl.parse_pem_cert(read("two.crt")))))
        assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(read("two.key")))))"""
    with serving(ca, lua, reference=reference) as server:
        assert ask(ca, server)[0] == ca.der("two")


@both
@pytest.mark.parametrize(
    "wait",
    [
        "ngx.sleep(0.05)",
        "local s = ngx.socket.tcp() assert(s:connect('127.0.0.1', ngx.var and {port2})) s:close()",
        "assert(ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.02) end)))",
        "local c = coroutine.create(function() ngx.sleep(0.02) end) assert(coroutine.resume(c))",
    ],
    ids=["sleep", "cosocket", "thread", "coroutine"],
)
def test_the_code_may_wait(ca: Authority, reference: bool, wait: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as peer:
        wait = wait.replace("ngx.var and {port2}", str(peer.getsockname()[1]))
        with serving(ca, f"{wait}\n{CHOOSE}", reference=reference) as server:
            assert ask(ca, server, "two.test") == (ca.der("two"), b"TLSv1.3")


def test_one_that_waits_does_not_hold_up_others(ca: Authority) -> None:
    wait = "while not ngx.shared.seen:get('go') do ngx.sleep(0.02) end"
    lua = f"if require('ngx.ssl').server_name() == 'two.test' then {wait} end\n{CHOOSE}"
    with serving(ca, lua, content="ngx.shared.seen:set('go', true)") as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="two.test")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        with socket.create_connection(("127.0.0.1", server.port), 10) as waiting:
            waiting.sendall(outgoing.read())
            assert ask(ca, server)[0] == ca.der("one")


@both
@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("ssl_certificate_by_lua_block", "SSL_do_handshake() failed (SSL: error:0A000179:SSL routines::cert cb error"),
        (
            "ssl_client_hello_by_lua_block",
            "SSL_do_handshake() failed (SSL: error:0A0000EA:SSL routines::callback failed",
        ),
    ],
)
@pytest.mark.parametrize("lua", ["error('no')", "ngx.exit(ngx.ERROR)", "ngx.sleep(0.01) ngx.exit(ngx.ERROR)"])
def test_lua_may_refuse(ca: Authority, reference: bool, block: str, text: str, lua: str) -> None:
    if reference and "sleep" in lua and "hello" in block:
        pytest.skip("OpenSSL needs a patch of OpenResty's to wait there")
    with serving(ca, lua, reference=reference, block=block) as server:
        with pytest.raises(ssl.SSLError, match="(?i)internal.error|EOF"):
            ask(ca, server)
        server.logged(text)
        if "error(" in lua:
            phase = block.removesuffix("_block")
            assert "lua entry thread aborted: runtime error: ssl_c" in server.log_text()
            assert f", context: {phase}*, client: 127.0.0.1, server: 0.0.0.0:" in server.log_text()


@both
def test_exit_ok_goes_on(ca: Authority, reference: bool) -> None:
    with serving(ca, "ngx.exit(ngx.OK)", reference=reference) as server:
        assert ask(ca, server)[0] == ca.der("one")


@both
def test_what_the_handshake_tells(ca: Authority, reference: bool) -> None:
    lua = """
        local ssl = require "ngx.ssl"
        local client, kind = ssl.raw_client_addr()
        local address = ssl.raw_server_addr()
        ngx.shared.seen:set("told", table.concat({ ssl.server_name(), kind, table.concat({ client:byte(1, -1) }, "."),
            table.concat({ address:byte(1, -1) }, "."), ssl.server_port() == {port} and "port" or "no", ssl.get_tls1_version(),
            ssl.get_tls1_version_str(), ngx.get_phase() }, " "))"""
    with serving(ca, lua, reference=reference, content="ngx.print(ngx.shared.seen:get('told'))") as server:
        assert ask(ca, server)[1] == b"one.test inet 127.0.0.1 127.0.0.1 port 772 TLSv1.3 ssl_cert"


@both
def test_no_server_name(ca: Authority, reference: bool) -> None:
    lua = 'ngx.shared.seen:set("told", tostring(require("ngx.ssl").server_name()))'
    with serving(ca, lua, reference=reference, content="ngx.print(ngx.shared.seen:get('told'))") as server:
        assert ask(ca, server, None)[1] == b"nil"


@both
def test_functions_of_a_client_s_request_are_refused(ca: Authority, reference: bool) -> None:
    lua = 'local _, err = pcall(ngx.say, "x") ngx.shared.seen:set("told", err)'
    with serving(ca, lua, reference=reference, content="ngx.print(ngx.shared.seen:get('told'))") as server:
        assert ask(ca, server)[1] == b"API disabled in the context of ssl_certificate_by_lua*"


@both
def test_keys_and_certificates_that_are_none(ca: Authority, reference: bool) -> None:
    content = """
        local ssl = require "ngx.ssl"
        local function show(...) ngx.say((...) == nil, " ", tostring((select(2, ...)))) end
        show(ssl.cert_pem_to_der("x"))
        show(ssl.priv_key_pem_to_der("x"))
        show(ssl.parse_pem_cert("x"))
        show(ssl.parse_pem_priv_key("x"))
        show(ssl.priv_key_pem_to_der(read("one.enc.key"), "wrong"))
        ngx.say(ssl.priv_key_pem_to_der(read("one.enc.key"), "secret") == ssl.priv_key_pem_to_der(read("one.key")))"""
    with serving(ca, "", reference=reference, content=content) as server:
        assert ask(ca, server)[1].decode().splitlines() == [
            "true PEM_read_bio_X509_AUX() failed",
            "true PEM_read_bio_PrivateKey() failed",
            "true PEM_read_bio_X509_AUX() failed",
            "true PEM_read_bio_PrivateKey() failed",
            "true PEM_read_bio_PrivateKey() failed",
            "true",
        ]


@both
def test_verify_client(ca: Authority, reference: bool) -> None:
    lua = """
        local ssl = require "ngx.ssl"
        assert(ssl.verify_client(assert(ssl.parse_pem_cert(read("ca.crt"))), 1))"""
    content = "ngx.print(ngx.var.ssl_client_verify, ' ', ngx.var.ssl_client_s_dn)"
    with serving(ca, lua, reference=reference, content=content) as server:
        assert ask(ca, server, client="client")[1] == b"SUCCESS CN=me"
        assert ask(ca, server, client="self")[1] == b"FAILED:self-signed certificate CN=one.test"
        assert ask(ca, server)[1] == b"NONE nil"


@both
def test_the_client_hello(ca: Authority, reference: bool) -> None:
    lua = """
        local hello = require "ngx.ssl.clienthello"
        local extension = hello.get_client_hello_ext(0)
        ngx.shared.seen:set("told", hello.get_client_hello_server_name() .. " " .. #extension .. " " .. extension:sub(6)
            .. " " .. tostring(hello.get_client_hello_ext(65000)) .. " " .. ngx.get_phase())"""
    content = "ngx.print(ngx.shared.seen:get('told'))"
    with serving(ca, lua, reference=reference, content=content, block="ssl_client_hello_by_lua_block") as server:
        assert ask(ca, server)[1] == b"one.test 13 one.test nil ssl_client_hello"


@both
def test_protocols_by_lua(ca: Authority, reference: bool) -> None:
    lua = 'assert(require("ngx.ssl.clienthello").set_protocols({ "TLSv1.2" }))'
    with serving(ca, lua, reference=reference, block="ssl_client_hello_by_lua_block") as server:
        assert ask(ca, server)[1] == b"TLSv1.2"


def test_versions_extensions_and_ciphers_of_the_client_hello(ca: Authority) -> None:
    lua = """
        local hello = require "ngx.ssl.clienthello"
        local ciphers = hello.get_client_hello_ciphers()
        local present = {}
        for _, number in ipairs(hello.get_client_hello_ext_present()) do present[number] = true end
        ngx.shared.seen:set("told", table.concat(hello.get_supported_versions(), ",") .. " " .. ciphers[1] .. " "
            .. tostring(present[0]) .. tostring(present[43]) .. tostring(present[9999]))"""

    def only_13(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3

    content = "ngx.print(ngx.shared.seen:get('told'))"
    with serving(ca, lua, content=content, block="ssl_client_hello_by_lua_block") as server:
        told = ask(ca, server, prepare=only_13)[1].split()
        assert told[0] == b"TLSv1.3"
        assert int(told[1]) in range(0x1301, 0x1306)
        assert told[2] == b"truetruenil"


@both
def test_after_the_handshake(ca: Authority, reference: bool) -> None:
    content = 'local ssl = require "ngx.ssl" ngx.print(ssl.server_name(), " ", ssl.get_tls1_version_str())'
    with serving(ca, "", reference=reference, content=content) as server:
        assert ask(ca, server)[1] == b"one.test TLSv1.3"


def test_the_pointer_to_a_connection(ca: Authority) -> None:
    lua = 'ngx.shared.seen:set("told", select(2, require("ngx.ssl").get_req_ssl_pointer()))'
    content = """
        local ssl = require "ngx.ssl"
        ngx.print(ssl.ssl_session_reused(assert(ssl.get_req_ssl_pointer())), " ", ngx.shared.seen:get("told"), " ",
            select(2, ssl.get_upstream_ssl_pointer()))"""
    with serving(ca, lua, content=content) as server:
        assert ask(ca, server)[1] == b"false bad ssl conn bad upstream"


@both
def test_where_there_is_no_tls(ca: Authority, reference: bool) -> None:
    content = """
        local ssl, session = require "ngx.ssl", require "ngx.ssl.session"
        for _, f in ipairs { ssl.server_name, ssl.raw_client_addr, ssl.server_port, ssl.get_tls1_version, ssl.clear_certs,
                session.get_session_id, session.get_serialized_session } do
            local _, one, other = f()
            ngx.say(other or one)
        end"""
    conf = f"server {{ listen {{port}}; location / {{ content_by_lua_block {{ {content} }} }} }}"
    with Server(http("init_by_lua_block { require 'resty.core' }" + conf), reference=reference) as server:
        assert request(server).body == b"bad request\n" * 7


@both
def test_sessions_are_resumed_with_lua_s_certificate(ca: Authority, reference: bool) -> None:
    with serving(ca, CHOOSE, reference=reference, content="ngx.print(ngx.var.ssl_session_reused)") as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        session, seen = None, []
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", server.port), 10) as raw,
                context.wrap_socket(raw, server_hostname="two.test", session=session) as sock,
            ):
                sock.sendall(b"GET / HTTP/1.0\r\nHost: one.test\r\n\r\n")
                data = b""
                while piece := sock.recv(65536):
                    data += piece
                seen.append(data[-1:])
                session = sock.session
        assert seen == [b".", b"r"]


@both
def test_a_server_without_tls_is_a_mistake(ca: Authority, reference: bool) -> None:
    server = Server(http("server { listen {port}; ssl_certificate_by_lua_block { } }"), reference=reference)
    try:
        done = server.run("-t")
        assert done.returncode == 1
        assert "no ssl configured for the server" in done.stderr
    finally:
        server.close()


def test_the_memory_of_handshakes_is_given_back(ca: Authority) -> None:
    lua = f"ngx.ctx.x = ('x'):rep(1000) ngx.sleep(0)\n{CHOOSE}"
    content = "collectgarbage() collectgarbage() ngx.print(collectgarbage('count') * 1024)"
    with serving(ca, lua, content=content) as server:
        for _ in range(20):
            ask(ca, server, "two.test")
        before = float(ask(ca, server)[1])
        for _ in range(100):
            ask(ca, server, "two.test")
        assert float(ask(ca, server)[1]) - before < 50_000
