"""``proxy_ssl_certificate_by_lua*`` and ``proxy_ssl_verify_by_lua*`` (newer than the reference).

https://github.com/openresty/lua-nginx-module#proxy_ssl_certificate_by_lua_block
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from authority import Authority, needs_openssl, tls_origin
from harness import Server, http, request

pytestmark = needs_openssl


@contextmanager
def proxying(ca: Authority, inside: str, certificate: str = "one", *, client_ca: bool = False) -> Iterator[Server]:
    """A server that proxies to an origin with this certificate, and logs everything."""
    with tls_origin(ca.context(certificate, client_ca=client_ca)) as port:
        conf = http(f"server {{ listen {{port}}; location / {{ proxy_pass https://127.0.0.1:{{up}}; {inside} }} }}")
        conf = conf.replace("error.log info;", "error.log debug;")
        with Server(conf, ca.files(), ports={"up": port}) as server:
            yield server


def certify(code: str) -> str:
    return f"proxy_ssl_certificate_by_lua_block {{ {code} }}"


def verify(code: str, settings: str = "") -> str:
    return (
        "proxy_ssl_verify on; proxy_ssl_name one.test; proxy_ssl_trusted_certificate ca.crt; "
        f"{settings} proxy_ssl_verify_by_lua_block {{ {code} }}"
    )


SKIP = "lua_upstream_skip_openssl_default_verify on;"

CHOOSE = """
    local ssl, choose = require "ngx.ssl", require "ngx.ssl.proxysslcert"
    local function read(name)
        local f = assert(io.open(ngx.config.prefix() .. "conf/" .. name)) local s = f:read("*a") f:close() return s
    end
    local name = ngx.var.arg_name
    if not name then return end
    assert(choose.clear_certs())
"""
AS_OBJECTS = """
    assert(choose.set_cert(assert(ssl.parse_pem_cert(read(name .. ".crt")))))
    assert(choose.set_priv_key(assert(ssl.parse_pem_priv_key(read(name .. ".key")))))
"""
AS_DER = """
    assert(choose.set_der_cert(assert(ssl.cert_pem_to_der(read(name .. ".crt")))))
    assert(choose.set_der_priv_key(assert(ssl.priv_key_pem_to_der(read(name .. ".key")))))
"""


@pytest.mark.parametrize("way", [AS_OBJECTS, AS_DER], ids=["objects", "der"])
def test_certificates_chosen_by_lua(ca: Authority, way: str) -> None:
    """Each request gets a connection of its own, with the certificate that it chose or the configured one."""
    settings = "proxy_ssl_certificate client.crt; proxy_ssl_certificate_key client.key; " + certify(CHOOSE + way)
    with proxying(ca, settings, client_ca=True) as server:
        asked = ("client2", "client", "", "", "client2")
        seen = [request(server, path=f"/?name={name}" if name else "/").body.decode() for name in asked]
    assert [re.search(r"client=(\w+) n=(\d+)", body).groups() for body in seen] == [  # type: ignore[union-attr]
        (name, "1") for name in ("you", "me", "me", "me", "you")
    ]


def test_certificate_taken_away_by_lua(ca: Authority) -> None:
    settings = "proxy_ssl_certificate client.crt; proxy_ssl_certificate_key client.key; proxy_ssl_protocols TLSv1.2;"
    clear = certify("assert(require('ngx.ssl.proxysslcert').clear_certs())")
    with proxying(ca, settings + clear, client_ca=True) as server:
        assert request(server).status == 502
        assert "SSL alert number 40" in server.log_text()


@pytest.mark.parametrize(
    ("inside", "lines"),
    [
        (certify("ngx.exit(ngx.ERROR)"),
         ["handler return value: -1, cert cb exit code: 0", "routines::callback failed) while SSL handshaking to upstream"]),
        (certify("ngx.sleep(0.001) ngx.exit(ngx.ERROR)"), ["proxy_ssl_certificate_by_lua: cert cb exit code: 0"]),
        (certify("error('bad')"),
         ["runtime error: proxy_ssl_certificate_by_lua(nginx.conf:6):1: bad", "handler return value: 500, cert cb exit code: 0"]),
        (certify("ngx.location.capture('/x')"),
         ["API disabled in the context of proxy_ssl_certificate_by_lua*"]),
        (verify("ngx.exit(ngx.ERROR)"),
         ["handler return value: -1, cert verify callback exit code: 0", "[crit]", "routines::certificate verify failed)"]),
        (verify("ngx.exit(ngx.ERROR)", SKIP), ["routines::certificate verify failed)"]),
        (verify("ngx.sleep(0.001) error('bad')"),
         ["runtime error: proxy_ssl_verify_by_lua(nginx.conf:6):1: bad", "proxy_ssl_verify_by_lua: cert verify callback exit code: 0"]),
        (verify("require('ngx.ssl.proxysslverify').set_verify_result(9)"), ["upstream SSL certificate verify error: (9:"]),
        (verify("require('ngx.ssl.proxysslverify').get_verify_cert()"), ["get_verify_cert is not supported by pyresty"]),
        ("proxy_ssl_verify off; proxy_ssl_verify_by_lua_block { ngx.exit(ngx.ERROR) }", ["certificate verify failed"]),
    ],
)  # fmt: skip
def test_lua_refuses(ca: Authority, inside: str, lines: list[str]) -> None:
    with proxying(ca, inside) as server:
        assert request(server).status == 502
        text = server.log_text()
    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize(
    ("certificate", "inside", "line"),
    [
        ("one", certify("ngx.exit(0)"), "lua exit with code 0"),
        ("one", certify("ngx.sleep(0.01) print('slept')"), "slept while loading proxy ssl certificate by lua, client: "),
        ("one", certify("print('phase ', ngx.get_phase())"), "phase proxy_ssl_cert "),
        ("one", verify("print('phase ', ngx.get_phase())"), "phase proxy_ssl_verify "),
        ("one", verify("print('verified')"), "proxy_ssl_verify_by_lua: openssl default verify"),
        ("one", "rewrite_by_lua_block { ngx.ctx.word = 'kept' } " + verify("print(ngx.ctx.word)"), ":1: kept while"),
        ("one", verify("print('v ', require('ngx.proxyssl').get_tls1_version_str())"), "v TLSv1.3 while"),
        ("one", "proxy_ssl_protocols TLSv1.2;" + certify("print('v ', require('ngx.proxyssl').get_tls1_version_str())"),
         "v TLSv1.2 while"),
        ("one", verify("print('r ', require('ngx.ssl.proxysslverify').get_verify_result())"), "r 0 while"),
        ("self", verify("print('judged')", SKIP), "judged while loading proxy ssl verify by lua"),
    ],
)  # fmt: skip
def test_lua_accepts(ca: Authority, certificate: str, inside: str, line: str) -> None:
    with proxying(ca, inside, certificate) as server:
        response = request(server)
        text = server.log_text()
    assert response.status == 200, text
    assert line in text
    assert not re.search(r"\[(error|crit|alert)\]", text)


def test_what_openssl_refuses(ca: Authority) -> None:
    """Without ``lua_upstream_skip_openssl_default_verify`` Lua is not even asked."""
    with proxying(ca, verify("print('judged')"), "self") as server:
        assert request(server).status == 502
        text = server.log_text()
    assert "upstream SSL certificate verify error: (18:self-signed certificate)" in text
    assert "judged" not in text


def test_name_is_checked_all_the_same(ca: Authority) -> None:
    inside = verify("print('judged')", SKIP).replace("proxy_ssl_name one.test", "proxy_ssl_name two.test")
    with proxying(ca, inside, "self") as server:
        assert request(server).status == 502
        assert 'upstream SSL certificate does not match "two.test"' in server.log_text()


def test_lua_that_takes_too_long(ca: Authority) -> None:
    with proxying(ca, "proxy_connect_timeout 200ms;" + verify("ngx.sleep(5)")) as server:
        assert request(server).status == 504
        text = server.log_text()
    assert "upstream timed out (110: Connection timed out) while loading proxy ssl verify by lua" in text
    assert "proxy_ssl_verify_by_lua: cert verify callback aborted" in text


def test_connections_are_judged_once(ca: Authority) -> None:
    with proxying(ca, verify("print('judged')")) as server:
        assert [request(server).status for _ in range(3)] == [200] * 3
        assert server.log_text().count("judged") == 1


def test_location_inside(ca: Authority) -> None:
    """What is in the location around it does not trouble one that proxies nowhere."""
    with proxying(ca, certify("print('asked')") + "location /inner { return 200 inner; }") as server:
        assert request(server, path="/inner").body == b"inner"
        assert request(server).status == 200
        assert "asked while loading" in server.log_text()


@pytest.mark.parametrize("name", ["certificate", "verify"])
def test_only_with_https(name: str) -> None:
    inside = f"proxy_pass http://127.0.0.1; proxy_ssl_{name}_by_lua_block {{ }}"
    server = Server(http(f"server {{ listen {{port}}; location / {{ {inside} }} }}"))
    try:
        server.prepare()
        result = server.run("-t")
        assert result.returncode == 1
        assert f"proxy_ssl_{name}_by_lua* should be used with proxy_pass https url" in result.stderr
    finally:
        server.close()
