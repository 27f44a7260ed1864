"""balancer_by_lua*: what is newer than the reference server. https://github.com/openresty/lua-resty-core/blob/master/lib/ngx/balancer.md"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from authority import Authority, needs_openssl
from harness import Connection, Server, ServerError, head, http, request

_BACK = """
    server {
        listen {port2}; access_log off;
        location /count { content_by_lua_block { ngx.say(ngx.var.connection, " ", ngx.var.connection_requests, " ", ngx.var.remote_addr) } }
        location /close { keepalive_timeout 0; content_by_lua_block { ngx.say(ngx.var.connection) } }
        location /body { content_by_lua_block {
            ngx.req.read_body() ngx.say(ngx.req.get_body_data(), " ", ngx.var.http_content_length, " ", ngx.var.http_x_added)
        } }
    }
"""


def _upstream(name: str, code: str, more: str = "") -> str:
    return f"""
    upstream {name} {{ {more} balancer_by_lua_block {{
        local b = require "ngx.balancer"
        {code}
    }} }}"""


_PEER = 'assert(b.set_current_peer("127.0.0.1", {port2}))'

_CONF = http(
    _upstream("kept", _PEER + " assert(b.enable_keepalive(60, 3))")
    + _upstream("named", _PEER.replace("{port2}", "{port2}, ngx.var.arg_host") + " assert(b.enable_keepalive())")
    + _upstream("one", _PEER + " assert(b.enable_keepalive())", "balancer_keepalive 1;")
    + _upstream("bound", _PEER + ' assert(b.bind_to_local_addr("127.0.0.9"))')
    + _upstream("refused", "ngx.exit(403)")
    + _upstream("declined", "ngx.exit(ngx.DECLINED)")
    + _upstream("none", "")
    + _upstream("busy", "ngx.exit(-3)")
    + _upstream(
        "again",
        'ngx.req.set_body_data("new body") ngx.req.set_header("X-Added", "yes") assert(b.recreate_request()) ' + _PEER,
    )
    + _upstream("endless", 'b.set_more_tries(2) assert(b.set_current_peer("224.0.0.1", 80))')
    + _upstream("plain", _PEER + " assert(b.set_upstream_tls(false))")
    + _upstream(
        "early",
        "ngx.log(ngx.WARN, tostring(select(2, b.enable_keepalive()))) ngx.log(ngx.WARN, pcall(b.enable_keepalive, -1)) "
        + _PEER,
    )
    + """
    server {
        listen {port};
        location /kept { proxy_pass http://kept/count; }
        location /named { proxy_pass http://named/count; }
        location /one { proxy_pass http://one/count; }
        location /bound { proxy_pass http://bound/count; }
        location /refused { proxy_pass http://refused; }
        location /declined { proxy_pass http://declined; }
        location /none { proxy_pass http://none; }
        location /busy { proxy_pass http://busy; }
        location /again { proxy_pass http://again/body; }
        location /endless { proxy_pass http://endless; }
        location /plain { proxy_pass https://plain/count; }
        location /early { proxy_pass http://early/count; }
    }
    """
    + _BACK
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(_CONF) as running:
        yield running


def _ask(server: Server, path: str) -> list[str]:
    answer = request(server, "GET", path)
    assert answer.status == 200
    return answer.body.decode().split()


def test_connections_are_kept_for_as_many_requests_as_enable_keepalive_says(server: Server) -> None:
    seen = [_ask(server, "/kept") for _ in range(4)]
    assert [requests for _, requests, _ in seen] == ["1", "2", "3", "1"]
    assert len({number for number, _, _ in seen}) == 2


def test_a_kept_connection_belongs_to_its_host(server: Server) -> None:
    first, other, again = (_ask(server, f"/named?host={host}")[0] for host in ("a.example", "b.example", "A.example"))
    assert first == again
    assert first != other


def test_bind_to_local_addr(server: Server) -> None:
    assert _ask(server, "/bound")[2] == "127.0.0.9"


def test_the_request_can_be_made_anew_with_another_body(server: Server) -> None:
    for _ in range(2):
        assert _ask(server, "/again") == ["new", "body", "8", "yes"]


def test_tls_can_be_left_out(server: Server) -> None:
    assert _ask(server, "/plain")[2] == "127.0.0.1"


@pytest.mark.parametrize(("path", "status"), [("/refused", 403), ("/declined", 502), ("/none", 500), ("/busy", 502)])
def test_how_the_phase_may_end(server: Server, path: str, status: int) -> None:
    assert request(server, "GET", path).status == status


def test_an_upstream_without_servers_needs_a_peer(server: Server) -> None:
    before = len(server.error_log())
    request(server, "GET", "/none")
    assert "[error]" in "\n".join(server.error_log()[before:])
    assert "lua balancer: no peer set while connecting to upstream, client:" in "\n".join(server.error_log()[before:])


def test_tries_without_end_end_with_the_client() -> None:
    with Server(_CONF) as server:
        with Connection(server) as connection:
            connection.send(head("GET", "/endless"))
            assert _ask(server, "/plain")[2] == "127.0.0.1"  # while that goes on
            connection.shutdown()
            assert connection.rest() == b""
        assert server.access_log()[-1].endswith(" 499")


def test_keepalive_needs_a_peer(server: Server) -> None:
    before = len(server.error_log())
    assert request(server, "GET", "/early").status == 200
    text = "\n".join(server.error_log()[before:])
    assert "no current peer set" in text
    assert "bad argument #1 to 'enable_keepalive' (expected >= 0)" in text


@needs_openssl
def test_set_current_peer_names_the_server_for_tls(ca: Authority) -> None:
    conf = http(
        _upstream("secure", 'assert(b.set_current_peer("127.0.0.1", {port2}, "one.test"))')
        + """
        server { listen {port}; location / { proxy_ssl_server_name on; proxy_pass https://secure; } }
        server { listen {port2} ssl; ssl_certificate one.crt; ssl_certificate_key one.key;
            location / { return 200 $ssl_server_name; } }
        """
    )
    with Server(conf, ca.files()) as running:
        assert request(running, "GET", "/").body == b"one.test"


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("balancer_keepalive 0;", 'invalid value "0" in "balancer_keepalive" directive'),
        ("balancer_keepalive 1; balancer_keepalive 2;", '"balancer_keepalive" directive is duplicate'),
        ("balancer_by_lua_block { }", '"balancer_by_lua_block" directive is duplicate'),
    ],
)
def test_configuration_errors(inside: str, message: str) -> None:
    conf = http(f"upstream u {{ balancer_by_lua_block {{ }} {inside} }} server {{ listen {{port}}; }}")
    with pytest.raises(ServerError, match=message.replace("(", r"\(")), Server(conf):
        pass
