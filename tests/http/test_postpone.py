"""Subrequests whose output is a part of the response: what the reference gets wrong, and what differs from it on purpose.

What both do alike is in the differential cases ``echo_subrequests`` and ``subrequest_modules``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client import Connection, request
from harness import Server, http

CONF = http(
    """
    server {
        listen {port};
        root html;
        default_type text/html;
        location = /head { echo head; }
        location = /foot { echo foot; }
        location = /slow { echo_sleep 0.02; echo slow; }
        location = /upper { add_before_body /head; add_after_body /foot; echo inside;
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() } }
        location = /flushed { add_before_body /slow; add_after_body /foot;
            content_by_lua_block { ngx.say("a") ngx.flush(true) ngx.say("b") } }
        location = /challenged { auth_request /challenges; echo no; }
        location = /challenges { content_by_lua_block {
            ngx.header["WWW-Authenticate"] = {'Basic realm="a"', 'Digest b'} ngx.exit(401) } }
        location = /capture { content_by_lua_block { local r = ngx.location.capture("/parent")
            ngx.print(r.status, " ", tostring(r.truncated), " [", r.body, "]") } }
        location = /parent { echo before; echo_location /logged; echo_location_async /logged; echo after; }
        location = /logged { content_by_lua_block { ngx.log(ngx.WARN, "it runs") ngx.say("lost") } }
        location = /large { echo_location_async /slow; echo_location_async /million; echo end; }
        location = /million { echo_duplicate 1_000_000 x; }
        location = /declined { satisfy any; deny all; access_by_lua_block { ngx.exit(ngx.DECLINED) } echo no; }
        location = /deep { echo_location_async /deep?$args.; echo "$args"; }
        location = /fails-late { echo_location_async /slow; echo_location_async /breaks; echo end; }
        location = /breaks { echo_sleep 0.01; echo_end; }
    }
    """
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(CONF) as running:
        yield running


def body(server: Server, path: str) -> bytes:
    """The body of the answer, which has to be whole."""
    response = request(server, "GET", path)
    assert response.status == 200 and response.complete
    return response.body


def test_lua_filter_of_the_main_request(server: Server) -> None:
    """It sees the main request's own output only; the reference hangs."""
    assert body(server, "/upper") == b"head\nINSIDE\nfoot\n"


def test_flush_does_not_let_output_pass(server: Server) -> None:
    """What is flushed while a subrequest is due waits for it."""
    assert body(server, "/flushed") == b"slow\na\nb\nfoot\n"


def test_every_challenge_is_passed_on(server: Server) -> None:
    """As nginx does since 1.23."""
    response = request(server, "GET", "/challenged")
    assert response.status == 401
    assert response.all("WWW-Authenticate") == ['Basic realm="a"', "Digest b"]


def test_capture_runs_but_loses_inner_subrequests(server: Server) -> None:
    """Without the client's body read, too, where the reference never answers."""
    assert body(server, "/capture") == b"200 false [before\nafter\n]"
    assert sum("it runs" in line for line in server.error_log()) == 2


def test_large_output_that_waits(server: Server) -> None:
    """A million bytes behind a slower subrequest."""
    assert body(server, "/large") == b"slow\n" + b"x" * 1_000_000 + b"end\n"


def test_declined_is_no_consent(server: Server) -> None:
    """``ngx.exit(ngx.DECLINED)`` leaves ``satisfy any`` to the others."""
    assert request(server, "GET", "/declined").status == 403


def test_depth_is_limited(server: Server) -> None:
    """nginx's 50 levels; the response is broken off, the server goes on."""
    with Connection(server) as connection:
        connection.send(b"GET /deep HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"\r\n0\r\n\r\n" not in connection.rest()
    assert any("subrequests cycle while processing" in line for line in server.error_log())
    assert body(server, "/upper") == b"head\nINSIDE\nfoot\n"


def test_failure_inside_breaks_off_the_whole(server: Server) -> None:
    """A client must not take it for a whole response."""
    with Connection(server) as connection:
        connection.send(b"GET /fails-late HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"\r\n0\r\n\r\n" not in connection.rest()
