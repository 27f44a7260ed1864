"""Upstreams as the rest of a configuration sees them: variables, names, other modules, mistakes."""

from __future__ import annotations

import re
import threading

import pytest
from harness import Connection, Response, Server, request
from nameserver import NameServer
from origin import COUNT, KEEP, Origin
from proxying import ALL, ANSWER, counting, echoing, ports, proxy
from rawserver import Peer, RawServer, answer

# -- variables

TIME = r"\d\.\d{3}"


def test_variables_in_the_log() -> None:
    log = (
        "$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_time|"
        "$upstream_response_length|$upstream_bytes_sent|$upstream_http_x_own|$upstream_cookie_sid|$upstream_trailer_x_end|"
        "$proxy_host|$proxy_port|$upstream_cache_status"
    )
    response = (
        b"HTTP/1.1 200 OK\r\nX-Own: a\r\nX-Own: b\r\nSet-Cookie: other=1\r\nSet-Cookie: SID=42; Path=/\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: z\r\n\r\n"
    )
    with Origin({"/": (response, KEEP)}) as origin, Server(proxy(ALL, log=log), ports=ports(origin)) as server:
        for _ in range(2):
            assert request(server).body == b"abc"
        server.stop()
        address = f"127.0.0.1:{origin.port}"
        sent = len(f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n")
        tail = rf"23\|{sent}\|a, b\|42\|z\|{address}\|{origin.port}\|-"
        first, second = server.log_text("own.log").splitlines()
        assert re.fullmatch(rf"{address}\|200\|{TIME}\|{TIME}\|{TIME}\|{tail}", first)
        assert re.fullmatch(rf"{address}\|200\|0\.000\|{TIME}\|{TIME}\|{tail}", second)


def test_variables_when_several_were_asked() -> None:
    inside = (
        "proxy_intercept_errors on; error_page 503 /other; location / { proxy_pass http://up; } "
        "location = /other { proxy_pass http://127.0.0.1:{origin}; } location /none { proxy_pass http://down; }"
    )
    block = (
        "upstream up { server 127.0.0.1:{dead} max_fails=0; server 127.0.0.1:{origin} backup; } "
        "upstream down { server 127.0.0.1:{origin} down; }"
    )
    log = (
        "$status|$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_length"
    )
    scripts = {"/": (answer(b"busy", status="503 Busy"),), "/other": (answer(b"instead"),)}
    with Origin(scripts) as origin, Server(proxy(inside, block, log), ports=ports(origin)) as server:
        assert request(server).body == b"instead"
        assert request(server, path="/none").status == 502
        server.stop()
        dead, alive = f"127.0.0.1:{server.ports['dead']}", f"127.0.0.1:{origin.port}"
        first, second = server.log_text("own.log").splitlines()
        assert re.fullmatch(
            rf"503\|{dead}, {alive} : {alive}\|502, 503 : 200\|-, {TIME} : {TIME}\|-, {TIME} : {TIME}\|0, 0 : 7", first
        )
        assert second == "502|down|502|-|-|0"


# -- names that are looked up while serving


def test_names_in_variables() -> None:
    name_server = NameServer()
    inside = (
        f"resolver {name_server.address} ipv6=off; resolver_timeout 300ms; "
        "location / { proxy_pass http://$arg_host:{origin}/got$uri; }"
    )
    with RawServer(counting) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server, path="/to/x?host=two.example").body == b"1/1"
        for host, message in (
            ("nx.example", "nx.example could not be resolved (3: Host not found)"),
            ("silent.example", "silent.example could not be resolved (110: Operation timed out)"),
        ):
            assert request(server, path=f"/to/x?host={host}").status == 502
            assert message in server.log_text()
    name_server.close()


def test_a_resolver_that_is_not_there() -> None:
    """The log names it."""
    inside = "resolver 127.0.0.1:{dead}; resolver_timeout 2s; location / { proxy_pass http://$arg_host; }"
    with Server(proxy(inside)) as server:
        assert request(server, path="/?host=two.example").status == 502
        where = f"127.0.0.1:{server.ports['dead']}"
        assert f"recv() failed (111: Connection refused) while resolving, resolver: {where}" in server.log_text()
        assert "two.example could not be resolved (110: Operation timed out), client: " in server.log_text()


def test_a_resolver_answers_many_at_once() -> None:
    name_server = NameServer()
    inside = f"resolver {name_server.address} ipv6=off; location / {{ proxy_pass http://$arg_host:{{origin}}; }}"
    with RawServer(counting) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        answers: list[Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(request(server, path="/?host=two.example")))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {one.status for one in answers} <= {200, 502} and len(answers) == 8
        assert name_server.asked == {(b"two.example", 1): 1}
    name_server.close()


# -- with other modules


def test_a_captured_response_that_breaks_off_is_truncated() -> None:
    inside = (
        "location / { content_by_lua_block { local r = ngx.location.capture('/up' .. ngx.var.uri) "
        "ngx.say(r.status, ' ', tostring(r.truncated), ' ', r.body, ' ', r.header['X-A']) } } "
        "location /up/ { proxy_pass http://127.0.0.1:{origin}/; }"
    )
    scripts = {
        "/whole": answer(b"whole", "X-A: b"),
        "/short": b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 10\r\n\r\nshort",
    }
    with (
        Origin(scripts) as origin,
        Server(proxy(inside), ports=ports(origin)) as server,
        Connection(server) as connection,
    ):
        assert connection.request(path="/whole").body == b"200 false whole b\n"
        assert connection.request(path="/short").body == b"200 true short b\n"
        assert connection.request(path="/whole").body == b"200 false whole b\n"


def test_captures_go_to_the_upstream_at_once() -> None:
    both = threading.Barrier(2)

    def play(peer: Peer) -> None:
        peer.head()
        both.wait(10)
        peer.send(ANSWER)

    inside = (
        "location / { content_by_lua_block { local a, b = ngx.location.capture_multi{{'/up/a'}, {'/up/b'}} "
        "ngx.say(a.status, b.status) } } location /up/ { proxy_pass http://127.0.0.1:{origin}; }"
    )
    with RawServer(play) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server).body == b"200200\n"


def test_blocks_inside_a_location_proxy_as_it_does() -> None:
    inside = (
        "location / { proxy_pass http://127.0.0.1:{origin}; if ($arg_x) { set $y z; } "
        "limit_except GET { proxy_pass http://127.0.0.1:{origin}; } }"
    )

    with RawServer(echoing) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        assert request(server, path="/?x=1").body.startswith(b"GET /?x=1 HTTP/1.1\r\n")
        assert request(server, "DELETE").body.startswith(b"DELETE / HTTP/1.1\r\n")


def test_a_prefix_that_ends_in_a_slash_redirects() -> None:
    inside = "location /dir/ { proxy_pass http://127.0.0.1:{origin}; }"
    with Origin({"/dir/": (COUNT, KEEP)}) as origin, Server(proxy(inside), ports=ports(origin)) as server:
        got = request(server, path="/dir?a=b")
        assert (got.status, got.get("Location")) == (301, f"http://localhost:{server.port}/dir/?a=b")
        assert request(server, path="/dir/").body == b"connection 1, request 1"


# -- configuration


def refused(inside: str, block: str = "") -> str:
    """What ``-t`` says about a conf."""
    server = Server(proxy(inside, block), ports={"origin": 1})
    try:
        done = server.run("-t")
        assert done.returncode == 1
        return done.stderr
    finally:
        server.close()


NO_URI = '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, '


@pytest.mark.parametrize(
    ("inside", "block", "message"),
    [
        ("location ~ x { proxy_pass http://127.0.0.1/a; }", "", NO_URI),
        ("location @x { proxy_pass http://127.0.0.1/; }", "", NO_URI),
        ("location / { if ($arg_a) { proxy_pass http://127.0.0.1/; } }", "", NO_URI),
        ("location / { limit_except GET { proxy_pass http://127.0.0.1/; } }", "", NO_URI),
        ("location / { proxy_pass 127.0.0.1; }", "", "invalid URL prefix"),
        ("location / { proxy_pass http://; }", "", 'no host in upstream ""'),
        ("location / { proxy_pass http://a:b; }", "", 'invalid port in upstream "a:b"'),
        ("location / { proxy_pass http://:80; }", "", 'no host in upstream ":80"'),
        (
            "location / { proxy_pass http://127.0.0.1; proxy_pass http://127.0.0.1; }",
            "",
            '"proxy_pass" directive is duplicate',
        ),
        (
            "location / { proxy_pass http://up:80; }",
            "upstream up { server 127.0.0.1; }",
            'upstream "up" may not have port 80',
        ),
        (
            "location / { proxy_pass http://bakend; }",
            "upstream backend { server 127.0.0.1; }",
            'did you mean "backend"',
        ),
        (
            "location / { proxy_pass http://no.such.host.invalid; }",
            "",
            'host not found in upstream "no.such.host.invalid"',
        ),
        ("", "upstream a { }", "no servers are inside upstream"),
        ("", "upstream a { server 127.0.0.1; } upstream A { server 127.0.0.1; }", 'duplicate upstream "A"'),
        ("", "upstream a { server 127.0.0.1 backup; }", 'no servers in upstream "a"'),
        ("", "upstream a { server no.such.host.invalid; }", 'host not found in upstream "no.such.host.invalid"'),
        ("", "upstream a { server 127.0.0.1 weight=0; }", 'invalid parameter "weight=0"'),
        ("", "upstream a { server 127.0.0.1 wieght=1; }", 'invalid parameter "wieght=1"'),
        (
            "",
            "upstream a { server 127.0.0.1 resolve; }",
            'parameter "resolve" of "server" is not supported by pyresty yet',
        ),
        (
            "",
            "upstream a { least_time header; server 127.0.0.1; }",
            '"least_time" directive is not supported by pyresty yet',
        ),
        ("", "upstream a { server 127.0.0.1; keepalive x; }", 'invalid value "x" in "keepalive" directive'),
        ("location / { proxy_cache x; }", "", '"proxy_cache" directive is not supported by pyresty yet'),
        ("location / { proxy_store on; }", "", '"proxy_store" directive is not supported by pyresty yet'),
        ("location / { proxy_limit_rate 1k; }", "", '"proxy_limit_rate" directive is not supported by pyresty yet'),
        ("proxy_redirect default;", "", '"proxy_redirect default" should be placed after the "proxy_pass" directive'),
        (
            "location / { proxy_pass http://$host; proxy_redirect default; }",
            "",
            '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables',
        ),
        ("proxy_redirect off; proxy_redirect / /a;", "", '"proxy_redirect" directive is duplicate'),
        ("proxy_redirect on;", "", 'invalid parameter "on"'),
        ("proxy_cookie_path on;", "", 'invalid parameter "on"'),
        ("proxy_http_version 2;", "", 'invalid value "2"'),
        ("proxy_next_upstream http_400;", "", 'invalid value "http_400"'),
        ("proxy_bind nowhere;", "", 'invalid address "nowhere"'),
        ("proxy_buffers 1 4k;", "", 'there must be at least 2 "proxy_buffers"'),
        ("proxy_buffer_size 64k;", "", '"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers"'),
        ("proxy_busy_buffers_size 1k;", "", '"proxy_busy_buffers_size" must be equal to or greater than the maximum'),
        ("resolver;", "", 'invalid number of arguments in "resolver" directive'),
        ("resolver valid=1s;", "", "no name servers defined"),
        ("resolver 127.0.0.1 ipv4=off ipv6=off;", "", '"ipv4" and "ipv6" cannot both be "off"'),
        ("resolver 127.0.0.1 valid=x;", "", "invalid parameter: valid=x"),
        ("location / { proxy_set_header A $no_such; }", "", 'unknown "no_such" variable'),
    ],
)
def test_mistakes(inside: str, block: str, message: str) -> None:
    assert message in refused(inside, block)
