"""``tcpsock:sslhandshake`` and what belongs to it: the same scripts on pyresty and on the reference, against TLS servers
good and bad.

https://github.com/openresty/lua-nginx-module#tcpsocksslhandshake
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ctypes.util import find_library

import pytest
from authority import Authority, listening, needs_openssl, tls_origin
from harness import Server, both, http, request

from pyresty.tls import openssl

pytestmark = needs_openssl
LIBRARIES = find_library("ssl"), find_library("crypto")
needs_libraries = pytest.mark.skipif(bool(openssl.WHY_NOT) or not all(LIBRARIES), reason="no libssl of the system's")


#: ``dial(port)``: a connected socket; ``ask(sock)``: the body of the answer to a request.
PRELUDE = """
    init_by_lua_block {
        function dial(port, options)
            local sock = ngx.socket.tcp()
            sock:settimeout(3000)
            assert(sock:connect("127.0.0.1", port, options))
            return sock
        end
        function ask(sock, last)
            assert(sock:send("GET / HTTP/1.1\\r\\n" .. (last and "Connection: close\\r\\n" or "") .. "\\r\\n"))
            local length
            repeat
                local line = assert(sock:receive())
                length = line:match("^Content%-Length: (%d+)") or length
            until line == ""
            return (sock:receive(tonumber(length)))
        end
        function show(...)
            local out = {}
            for i = 1, select("#", ...) do
                local value = select(i, ...)
                out[i] = type(value) == "cdata" and "cdata" or tostring(value)
            end
            ngx.say(table.concat(out, " "))
        end
        function read(name)
            local f = assert(io.open(ngx.config.prefix() .. "conf/" .. name)) local s = f:read("*a") f:close() return s
        end
    }
"""
#: OpenSSL's functions, as users call them.
FFI = """
    local ffi = require "ffi"
    pcall(ffi.cdef, [[
        const char *SSL_get_version(const void *ssl);
        void *SSL_get_SSL_CTX(const void *ssl);
        void *BIO_new_mem_buf(const void *buf, int len);
        void *PEM_read_bio_X509(void *bp, void **x, void *cb, void *u);
        void *X509_STORE_new(void);
        int X509_STORE_add_cert(void *store, void *x);
        void X509_STORE_free(void *store);
    ]])
    local ssl, crypto = ffi.load("LIBSSL"), ffi.load("LIBCRYPTO")
    local function store(name)
        local pem = read(name)
        local made = ffi.gc(crypto.X509_STORE_new(), crypto.X509_STORE_free)
        crypto.X509_STORE_add_cert(made, crypto.PEM_read_bio_X509(crypto.BIO_new_mem_buf(pem, #pem), nil, nil, nil))
        return made
    end
""".replace("LIBSSL", str(LIBRARIES[0])).replace("LIBCRYPTO", str(LIBRARIES[1]))
TRUSTED = "lua_ssl_trusted_certificate ca.crt;"


@contextmanager
def serving(
    ca: Authority, code: str, settings: str = "", *, reference: bool = False, level: str = "info", **names: str | int
) -> Iterator[Server]:
    """A server with ``code`` at ``/``; each of ``names`` is the port of an origin with that certificate."""
    with ExitStack() as stack:
        ports: dict[str, int] = {}
        for name, certificate in names.items():
            if isinstance(certificate, int):
                ports[name] = certificate
                continue
            asks, _, certificate = certificate.rpartition(":")
            ports[name] = stack.enter_context(tls_origin(ca.context(certificate, client_ca=bool(asks)), slow=reference))
        common = "lua_ssl_protocols TLSv1.2 TLSv1.3;" if "protocols" not in settings else ""
        conf = http(
            f"{PRELUDE} server {{ listen {{port}}; {common} {settings} location / {{ content_by_lua_block {{ {code} }} }} }}"
        )
        conf = conf.replace("error.log info;", f"error.log {level};")
        yield stack.enter_context(Server(conf, ca.files(), reference=reference, ports=ports))


def said(server: Server) -> str:
    """The answer; fails with the error log if it is none."""
    response = request(server)
    assert response.status == 200, server.log_text()
    return response.body.decode()


def problems(server: Server) -> list[str]:
    """The error log's lines of level error and above, without their context."""
    lines = [line for line in server.error_log() if re.search(r"\[(error|crit|alert)\]", line)]
    return [re.sub(r"^.*?\[(\w+)\] \S+ \*\d+ (.*?), client: .*$", r"\1 \2", line, flags=re.S) for line in lines]


@both
@pytest.mark.parametrize(
    ("certificate", "args", "settings", "answer", "log"),
    [
        ("one", "", "", "cdata", []),
        ("one", "nil, nil, nil", "", "cdata", []),
        ("one", "false", "", "true", []),
        ("one", "nil, 'two.test', false", TRUSTED, "cdata", []),
        ("one", "nil, 'one.test', true", TRUSTED, "cdata", []),
        ("one", "false, 'x.WILD.test', true", TRUSTED, "true", []),
        ("one", "nil, nil, true", TRUSTED, "cdata", []),
        ("one", "nil, '', true", TRUSTED, "nil SSL_set_tlsext_host_name failed", []),
        ("one", "nil, 'two.test', true", TRUSTED, "nil certificate host mismatch",
         ['error lua ssl certificate does not match host "two.test"']),
        ("self", "nil, 'one.test', true", TRUSTED, "nil 18: self-signed certificate",
         ["error lua ssl certificate verify error: (18: self-signed certificate)"]),
        ("self", "nil, 'one.test', true", TRUSTED + "lua_socket_log_errors off;", "nil 18: self-signed certificate", []),
        ("expired", "nil, 'one.test', true", TRUSTED, "nil 10: certificate has expired",
         ["error lua ssl certificate verify error: (10: certificate has expired)"]),
        ("revoked", "nil, 'one.test', true", TRUSTED + "lua_ssl_crl ca.crl;", "nil 23: certificate revoked",
         ["error lua ssl certificate verify error: (23: certificate revoked)"]),
        ("one", "nil, 'one.test', true", TRUSTED + "lua_ssl_crl ca.crl;", "cdata", []),
    ],
)  # fmt: skip
def test_handshake(
    ca: Authority, reference: bool, certificate: str, args: str, settings: str, answer: str, log: list[str]
) -> None:
    code = f"local s = dial({{up}}) show(s:sslhandshake({args}))"
    with serving(ca, code, settings, reference=reference, up=certificate) as server:
        assert (said(server), problems(server)) == (answer + "\n", log)


@both
def test_untrusted(ca: Authority, reference: bool) -> None:
    """Without trusted certificates nothing is good. (OpenSSL has several errors for that; nginx tells the last.)"""
    code = "local s = dial({up}) local _, err = s:sslhandshake(nil, 'one.test', true) ngx.say(err)"
    with serving(ca, code, reference=reference, up="one") as server:
        assert said(server) in (
            "20: unable to get local issuer certificate\n",
            "21: unable to verify the first certificate\n",
        )


@both
def test_bytes_both_ways(ca: Authority, reference: bool) -> None:
    code = """
        local s = dial({up})
        assert(s:sslhandshake(nil, "one.test"))
        ngx.say(ask(s))
        ngx.say(ask(s))
        ngx.say(ask(s, true))
        show(s:receive())
        show(s:close())
    """
    with serving(ca, code, reference=reference, up="one") as server:
        lines = said(server).splitlines()
    assert [line.split(" version")[0] for line in lines[:3]] == [
        f"sni=one.test reused=False client= n={n}" for n in (1, 2, 3)
    ]
    assert lines[3:] == ["nil closed ", "1"]


@both
def test_after_a_failed_handshake(ca: Authority, reference: bool) -> None:
    code = """
        local s = dial({up})
        s:sslhandshake(nil, "two.test", true)
        show(s:send("x"))
        show(s:receive(1))
        show(s:close())
        show(s:sslhandshake())
    """
    with serving(ca, code, TRUSTED, reference=reference, up="one") as server:
        assert said(server) == "nil closed\nnil closed\nnil closed\nnil closed\n"


@both
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_session(ca: Authority, reference: bool, version: str) -> None:
    """With TLSv1.2 the session that the handshake returns can be resumed, with TLSv1.3 that of getsslsession."""
    get = "s:getsslsession()" if not reference and version == "TLSv1.3" else "session"
    code = f"""
        local session
        for i = 1, 3 do
            local s = dial({{up}})
            session = assert(s:sslhandshake(session, "one.test", true))
            ngx.say((ask(s):match("reused=(%a+)")))
            session = {get}
            s:close()
        end
    """
    with serving(ca, code, TRUSTED + f"lua_ssl_protocols {version};", reference=reference, up="one") as server:
        resumed = "False" if reference and version == "TLSv1.3" else "True"
        assert said(server) == f"False\n{resumed}\n{resumed}\n"


def test_session_of_another_kind_of_connection(ca: Authority) -> None:
    """A session made without verification is not resumed with it, nor is rubbish."""
    code = """
        local ffi = require "ffi"
        local s = dial({up})
        local session = s:sslhandshake(nil, "one.test", false)
        s:close()
        for _, given in ipairs({ session, ffi.cast("void *", 12345), "text", 1 }) do
            s = dial({up})
            show(s:sslhandshake(given, "one.test", true))
            ngx.say((ask(s):match("reused=(%a+)")))
            s:close()
        end
    """
    with serving(ca, code, TRUSTED + "lua_ssl_protocols TLSv1.2;", up="one") as server:
        assert said(server) == "cdata\nFalse\n" * 4


def test_sessions_are_given_back(ca: Authority) -> None:
    code = """
        local s = dial({up})
        local function shake() s:sslhandshake() end
        shake()
        collectgarbage() collectgarbage()
    """
    with serving(ca, code, level="debug", up="one") as server:
        assert request(server).status == 200
        text = server.log_text()
    (saved,) = re.findall(r"lua ssl save session: ([0-9A-F]+)", text)
    assert re.findall(r"lua ssl free session: ([0-9A-F]+)", text) == [saved]
    assert re.search(r'SSL: TLSv1\.3, cipher: "TLS_', text)


@both
def test_pool(ca: Authority, reference: bool) -> None:
    """A connection out of the pool has its TLS already: a handshake on it does nothing."""
    code = """
        local session
        for i = 1, 3 do
            local s = dial({up})
            show(s:getreusedtimes(), s:sslhandshake(i == 3 and session or nil))
            ngx.say((ask(s):match("n=%d+")))
            show(s:setkeepalive())
        end
    """
    with serving(ca, code, reference=reference, up="one") as server:
        assert said(server) == "".join(f"{n} cdata\nn={n + 1}\n1\n" for n in range(3))


def test_own_certificate(ca: Authority) -> None:
    """(``lua_ssl_certificate`` is newer than the reference.)"""
    code = "local s = dial({up}) assert(s:sslhandshake()) ngx.say(ask(s))"
    settings = "lua_ssl_certificate client.crt; lua_ssl_certificate_key client.key;"
    with serving(ca, code, settings, up="client:one") as server:
        assert " client=me " in said(server)


def test_key_log(ca: Authority) -> None:
    """(Newer than the reference.) The path is below the folder of the conf file."""
    code = "local s = dial({up}) assert(s:sslhandshake()) ask(s)"
    with serving(ca, code, "lua_ssl_key_log keys.log;", up="one") as server:
        assert request(server).status == 200
        assert "\nCLIENT_TRAFFIC_SECRET_0 " in (server.prefix / "conf/keys.log").read_text()


def test_client_certificate(ca: Authority) -> None:
    code = """
        local ssl = require "ngx.ssl"
        for _, name in ipairs({ "client", "client2" }) do
            local s = dial({up})
            local cert = assert(ssl.parse_pem_cert(read(name .. ".crt")))
            local key = assert(ssl.parse_pem_priv_key(read(name .. ".key")))
            show(s:setclientcert(cert, key))
            show(s:sslhandshake())
            ngx.say((ask(s):match("client=%a+")))
            s:close()
        end
    """
    with serving(ca, code, up="client:one") as server:
        assert said(server) == "true\ncdata\nclient=me\ntrue\ncdata\nclient=you\n"


@both
def test_arguments(ca: Authority, reference: bool) -> None:
    code = """
        local s = ngx.socket.tcp()
        show(select(2, pcall(s.sslhandshake, s)))
        s = dial({up})
        show(s:setclientcert("x", "y"))
        show(s:setclientcert(nil, "y"))
        show(s:setclientcert("x", nil))
        show(s:setclientcert(nil, nil))
        show((select(2, pcall(s.sslhandshake)):match("ngx.socket.*")))
        show((select(2, pcall(s.sslhandshake, s, 1, 2, 3, 4, 5)):match("ngx.socket.*")))
        s:close()
        show(s:sslhandshake())
    """
    with serving(ca, code, reference=reference, up="one") as server:
        lines = said(server).splitlines()
    assert lines[0].endswith("socket is never created nor connected")
    assert lines[1:] == [
        "nil bad cert arg: cdata expected, got string",
        "nil client certificate must be supplied with corresponding private key",
        "nil client certificate must be supplied with corresponding private key",
        "true",
        "ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen 0",
        "ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen 6",
        "nil closed",
    ]  # fmt: skip


def test_newer(ca: Authority) -> None:
    """What the reference is too old for, or has an OpenSSL object for."""
    code = """
        local s = dial({up})
        show(s:getsslsession())
        show(s:getsslpointer())
        show(s:getsslctx())
        show(s:settrustedstore("x"))
        show(s:settrustedstore(nil))
        show(s:sslhandshake(nil, nil, false, true))
        show(s:sslhandshake())
        ask(s)
        show(s:getsslsession())
    """
    with serving(ca, code, up="one") as server:
        lines = said(server).splitlines()
    assert lines == [
        "nil no session",
        "nil no ssl connection",
        "nil no ssl context",
        "nil bad store arg: cdata expected, got string",
        "true",
        "nil no OCSP support",
        "cdata",
        "cdata",
    ]


@needs_libraries
def test_trusted_store(ca: Authority) -> None:
    """An X509_STORE of Lua's is good for one handshake, and its sessions for no other."""
    code = """
        local first = dial({up})
        show(first:settrustedstore(store("ca.crt")))
        collectgarbage()
        local session = first:sslhandshake(nil, "one.test", true)
        show(session)
        show(first:settrustedstore(nil))
        first:close()
        show(first:settrustedstore(nil))
        local s = dial({up})
        show(s:sslhandshake(session, "one.test", true))
        s = dial({up})
        s:settrustedstore(store("two.crt"))
        show(s:sslhandshake(session, "one.test", true))
        s = dial({up})
        s:settrustedstore(store("two.crt"))
        show(s:sslhandshake(nil, "one.test", false))
    """
    with serving(ca, FFI + code, "lua_ssl_protocols TLSv1.2;", up="one") as server:
        lines = said(server).splitlines()
    untrusted = "nil 20: unable to get local issuer certificate"
    done = "nil ssl handshake already done; trusted store cannot be changed on an established TLS connection"
    assert lines == ["true", "cdata", done, "nil closed", untrusted, untrusted, "cdata"]


@needs_libraries
def test_pointers(ca: Authority) -> None:
    code = """
        local s = dial({up})
        s:sslhandshake()
        local pointer = s:getsslpointer()
        show(ffi.string(ssl.SSL_get_version(pointer)), ssl.SSL_get_SSL_CTX(pointer) == s:getsslctx())
        show(require("ngx.ssl").ssl_session_reused(pointer))
        show(require("ngx.ssl").ssl_session_reused("x"))
        s:close()
        show(s:getsslpointer())
    """
    with serving(ca, FFI + code, up="one") as server:
        assert said(server) == "TLSv1.3 true\nfalse\nnil bad ssl\nnil closed\n"


def _plain(sock: socket.socket) -> None:
    sock.recv(10)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _close(sock: socket.socket) -> None:
    sock.recv(65536)


@both
@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (_plain, "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)"),
        (_close, "peer closed connection in SSL handshake"),
    ],
    ids=["plain", "close"],
)
def test_broken_handshake(ca: Authority, reference: bool, answer: Callable[[socket.socket], object], line: str) -> None:
    code = "local s = dial({up}) show(s:sslhandshake())"
    with listening(answer) as port, serving(ca, code, reference=reference, up=port) as server:
        assert said(server) == "nil handshake failed\n"
        (logged,) = problems(server)
    assert logged.removeprefix("error ").startswith(line)


@both
def test_no_protocol_at_all(ca: Authority, reference: bool) -> None:
    code = "local s = dial({up}) show(s:sslhandshake())"
    with serving(ca, code, "lua_ssl_protocols SSLv2;", reference=reference, up="one") as server:
        assert said(server) == "nil handshake failed\n"
        (logged,) = problems(server)
    assert "SSL_do_handshake() failed (SSL: error:0A0000BF:SSL routines::no protocols available)" in logged


@both
def test_handshake_that_stalls(ca: Authority, reference: bool) -> None:
    over = threading.Event()
    code = "local s = dial({up}) s:settimeout(200) show(s:sslhandshake()) show(s:close())"
    with listening(lambda sock: over.wait(20)) as port:
        with serving(ca, code, reference=reference, up=port) as server:
            assert said(server) == "nil timeout\nnil closed\n"
        over.set()


def test_killed_in_the_handshake(ca: Authority) -> None:
    """A light thread that is killed while it shakes hands leaves the socket closed."""
    over = threading.Event()
    code = """
        local s = dial({up})
        local t = ngx.thread.spawn(function() s:sslhandshake() end)
        ngx.sleep(0.1)
        ngx.say(select(2, s:send("x")))
        ngx.thread.kill(t)
        show(s:close())
    """
    with listening(lambda sock: over.wait(20)) as port:
        with serving(ca, code, up=port) as server:
            assert said(server) == "socket busy connecting\nnil closed\n"
        over.set()


def test_starttls(ca: Authority) -> None:
    """TLS that begins in the middle of a connection, and much data over it."""
    body = os.urandom(300_000)

    def answer(sock: socket.socket) -> None:
        assert sock.recv(100) == b"STARTTLS\n"
        sock.sendall(b"go\n")
        with ca.context("one").wrap_socket(sock, server_side=True) as tls:
            data = b""
            while len(data) < len(body):
                data += tls.recv(65536)
            tls.sendall(data[::-1])

    code = """
        local s = dial({up})
        s:send("STARTTLS\\n")
        ngx.say((s:receive()))
        assert(s:sslhandshake(nil, "one.test", true))
        ngx.req.read_body()
        local data = ngx.req.get_body_data()
        ngx.say(s:send(data) == #data)
        ngx.print((s:receive(#data)))
    """
    with listening(answer) as port, serving(ca, code, TRUSTED + "client_body_buffer_size 1m;", up=port) as server:
        response = request(server, "POST", body=body)
    assert response.body == b"go\ntrue\n" + body[::-1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("lua_ssl_trusted_certificate no.crt;", "No such file or directory"),
        ("lua_ssl_certificate client.crt;", 'no "lua_ssl_certificate_key" is defined for certificate'),
        ("lua_ssl_ciphers nothing;", 'SSL_CTX_set_cipher_list("nothing") failed'),
        ("lua_ssl_protocols TLSv9;", 'invalid value "TLSv9"'),
        ("lua_ssl_crl client.crt;", "CRL"),
    ],
)
def test_refused_at_start(ca: Authority, settings: str, message: str) -> None:
    conf = http(f"server {{ listen {{port}}; {settings} location / {{ content_by_lua_block {{ }} }} }}")
    result = Server(conf, ca.files()).check()
    assert result.returncode == 1
    assert message in result.stderr
