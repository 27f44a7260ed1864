"""``resty.http`` against an origin that plays scripts: each case is a piece of Lua and the lines that it has to say.

The library is plain Lua over ``ngx.socket.tcp``, so the same cases run on pyresty, on the reference server (where it is
installed) with our library, and, when the environment variable ``LUA_RESTY_HTTP`` names the ``lib`` folder of a
lua-resty-http, on the reference with that one, except for the cases in which ours deliberately does better.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from harness import MODULES, REFERENCE, ROOT, Server, http, request
from origin import Origin, ok
from resty_http_connections import CONNECTIONS
from resty_http_messages import MESSAGES
from resty_http_scripts import PRELUDE, SCRIPTS

CASES = MESSAGES | CONNECTIONS

CONF = http(
    """
    lua_package_path "{prefix}/lib/?.lua;;";
    lua_socket_log_errors off;
    server {
        listen {port};
        listen unix:{prefix}/lua.sock;
        location = /hello { content_by_lua_block { ngx.print("hello") } }
        location ~ ^/run/([a-z_0-9.]+)$ { content_by_lua_file lua/$1.lua; }
        location / { content_by_lua_file lua/forward.lua; }
    }
    """
)

FORWARD = """
local client = connected()
local res, err = client:proxy_request(4)
if not res then
    return say(err)
end
client:proxy_response(res, 3)
client:set_keepalive()
"""

READ_BODY = """
local reader, err = http:get_client_body_reader(4)
say(type(reader), " ", err)
for piece in reader or function() end do
    say("[", piece, "]")
end
"""

#: What the original needs besides itself and is no part of it.
RESTY_STRING = """
return { to_hex = function(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end }
"""

HAVE_REFERENCE = os.access(REFERENCE, os.X_OK) and (MODULES / "ngx_http_lua_module.so").exists()
ORIGINAL = os.environ.get("LUA_RESTY_HTTP")
without_reference = pytest.mark.skipif(not HAVE_REFERENCE, reason="no nginx with ngx_lua is installed")
RUNS = [
    "pyresty",
    pytest.param("reference", marks=without_reference),
    *([pytest.param("original", marks=without_reference)] if ORIGINAL else []),
]


def library(run: str) -> dict[str, str]:
    """The files of the library under test, below the prefix; pyresty has its own."""
    if run == "pyresty":
        return {}
    root = Path(ORIGINAL or "") if run == "original" else ROOT / "pyresty" / "lualib"
    paths = [path for path in root.glob("resty/http*") if path.is_file()] + list(root.glob("resty/http/*.lua"))
    files = {f"lib/{path.relative_to(root)}": path.read_text() for path in paths}
    return files | ({"lib/resty/string.lua": RESTY_STRING} if run == "original" else {})


@contextmanager
def serving(run: str, cases: dict[str, str], **ports: int) -> Iterator[Server]:
    """A server on which each case is at ``/run/NAME``."""
    files = {f"lua/{name}.lua": PRELUDE + dedent(lua) for name, lua in cases.items()}
    with Server(CONF, files | library(run), reference=run != "pyresty", ports=ports) as server:
        yield server


@pytest.fixture(scope="module", params=RUNS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    """Which run this is, and its server with all cases."""
    cases = {name: case.lua for name, case in CASES.items()} | {"forward": FORWARD, "read_body": READ_BODY}
    with Origin(SCRIPTS) as origin, serving(request.param, cases, origin=origin.port) as server:
        yield request.param, server


def said(server: Server, name: str, method: str = "GET", body: bytes | None = None) -> str:
    """What a case says; fails with the error log when it raises."""
    response = request(server, method, f"/run/{name}", body=body)
    assert response.status == 200, server.log_text()
    return response.body.decode()


@pytest.mark.parametrize("name", CASES)
def test_case(served: tuple[str, Server], name: str) -> None:
    run, server = served
    if run == "original" and CASES[name].better:
        pytest.skip("ours does better")
    assert said(server, name) == CASES[name].expected


def test_errors_are_logged(served: tuple[str, Server]) -> None:
    _, server = served
    said(server, "length_size_forgotten")
    said(server, "pipeline_broken")
    entries = [entry for entry in server.error_log() if "[error]" in entry]
    assert any("Buffer size not specified, bailing" in entry for entry in entries)
    assert any("timeout" in entry for entry in entries)


@pytest.mark.parametrize(
    ("body", "expected"),
    [(None, "nil nil\n"), (b"hello world", "function nil\n[hell]\n[o wo]\n[rld]\n")],
)
def test_client_body_reader(served: tuple[str, Server], body: bytes | None, expected: str) -> None:
    assert said(served[1], "read_body", method="POST", body=body) == expected


def test_proxy_request(served: tuple[str, Server]) -> None:
    response = request(served[1], "POST", "/forward?a=1", {"X-One": "1"}, b"hello world")
    assert response.status == 200
    head, _, body = response.body.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /forward?a=1 http/1.1"
    assert {b"x-one: 1", b"content-length: 11"} <= set(lines)
    assert body == b"hello world"


def test_proxy_request_escapes_spaces(served: tuple[str, Server]) -> None:
    response = request(served[1], "GET", "/forward%20me")
    assert response.body.split(b"\r\n")[0] == b"GET /forward%20me HTTP/1.1"


def test_proxy_response(served: tuple[str, Server]) -> None:
    response = request(served[1], "GET", "/backward")
    assert (response.status, response.body) == (201, b"hello world")
    assert response.all("X-One") == ["1", "2"]
    assert response.get("Keep-Alive") is None


@contextmanager
def answering(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A loopback port whose connections are answered by ``answer``, each in a thread that ends with the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(sock: socket.socket) -> None:
        sock.settimeout(20)
        try:
            if context:
                sock = context.wrap_socket(sock, server_side=True)
            answer(sock)
        except OSError:
            pass
        finally:
            sock.close()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(sock,)))
            threads[-1].start()

    threads.append(threading.Thread(target=accept))
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()


def read_head(sock: socket.socket) -> bytes:
    """Bytes up to the end of a head."""
    data = b""
    while not data.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
        data += byte
    return data


EXPECT = """
local client = connected()
local res, err = client:request({ method = "POST", path = "/", body = "hello", headers = { expect = "100-continue" } })
say(res and res.status, " ", err or res:read_body())
client:close()
"""


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("fields", [b"", b"Connection: keep-alive\r\n"])
def test_body_waits_for_100(run: str, fields: bytes) -> None:
    def answer(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 100 Continue\r\n" + fields + b"\r\n")
        sock.sendall(ok(sock.recv(5, socket.MSG_WAITALL), status="201 Created"))

    with answering(answer) as port, serving(run, {"expect": EXPECT}, origin=port) as server:
        assert said(server, "expect") == "201 hello\n"


@pytest.mark.parametrize("run", RUNS)
def test_body_stays_when_refused(run: str) -> None:
    received = []

    def answer(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(ok(b"no", status="417 Expectation Failed"))
        received.append(sock.recv(100))

    with answering(answer) as port, serving(run, {"expect": EXPECT}, origin=port) as server:
        assert said(server, "expect") == "417 no\n"
    assert received == [b""]


TLS = """
local function get(params)
    local client = http.new()
    local ok, err = client:connect(params)
    if not ok then
        return say(err)
    end
    local reused = client:get_reused_times()
    local res = client:request({ path = "/" })
    say(reused, " ", res:read_body(), " ", client:set_keepalive())
end

local params = { scheme = "https", host = "127.0.0.1", port = {origin}, ssl_verify = false }
params.ssl_server_name = "one.test"
get(params)
get(params)
params.ssl_server_name = "two.test"
get(params)
params.ssl_verify = nil
local ok, err = pcall(get, params)
if not ok then
    say(err)
end
params.ssl_client_cert, params.ssl_client_priv_key = "text", "text"
get(params)
"""

TUNNEL = """
local client = http.new()
client:set_proxy_options({ https_proxy = "http://127.0.0.1:{proxy}", https_proxy_authorization = "Basic eA==" })
for i = 1, 2 do
    local res, err = client:request_uri("https://one.test:8443/a?b=c", { ssl_verify = false })
    say(res and res.body, " ", err)
end
"""

with_tls = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A TLS server's context with a self-signed certificate."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=one.test", "-days", "2"]
    subprocess.run([*command, "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@with_tls
@pytest.mark.parametrize("run", RUNS)
def test_tls(run: str, certificate: ssl.SSLContext) -> None:
    names = []
    certificate.sni_callback = lambda sock, name, context: names.append(name)

    def answer(sock: socket.socket) -> None:
        while read_head(sock):
            sock.sendall(ok(b"secret", keep=True))

    with answering(answer, certificate) as port, serving(run, {"tls": TLS}, origin=port) as server:
        lines = said(server, "tls").splitlines()
    assert lines[:2] == ["0 secret 1", "1 secret 1"]
    assert lines[2] == "0 secret 1"
    # (the reference's own resty.core sometimes stumbles over a handshake that fails at once)
    assert lines[3] == "18: self-signed certificate" or (run != "pyresty" and "assertion failed!" in lines[3])
    assert lines[4] == "bad ssl_client_cert: cdata expected, got string"
    assert names[:2] == ["one.test", "two.test"]


@with_tls
@pytest.mark.parametrize("run", RUNS)
def test_tunnel(run: str, certificate: ssl.SSLContext) -> None:
    heads = []

    def answer(sock: socket.socket) -> None:
        heads.append(read_head(sock))
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with certificate.wrap_socket(sock, server_side=True) as inner:
            while head := read_head(inner):
                heads.append(head)
                inner.sendall(ok(b"through", keep=True))

    with answering(answer) as port, serving(run, {"tunnel": TUNNEL}, origin=port, proxy=port) as server:
        assert said(server, "tunnel") == "through nil\n" * 2
    connect, first, second = heads
    assert connect.startswith(b"CONNECT one.test:8443 HTTP/1.1\r\n")
    assert {b"Host: one.test:8443", b"Proxy-Authorization: Basic eA=="} <= set(connect.split(b"\r\n"))
    for head in (first, second):
        assert head.startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert b"Proxy-Authorization" not in head
