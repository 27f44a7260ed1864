"""``headers`` of ngx.location.capture, which the reference is too old for. https://github.com/openresty/lua-nginx-module#ngxlocationcapture"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import Server, http, request

_CONF = http(
    """server { listen {port};
    location = /seen { content_by_lua_block { ngx.print(ngx.var.http_x_a, " ", ngx.var.host, " ", ngx.var.http_host) } }
    location = /set { content_by_lua_block {
        ngx.say(ngx.location.capture("/seen", {headers = {["X-A"] = "1", Host = "Inner:81"}}).body)
        ngx.say(ngx.var.http_x_a, " ", ngx.var.host) } }
    location = /bad { content_by_lua_block { ngx.location.capture("/seen", {headers = {Host = "a/b"}}) } }
    }"""
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(_CONF) as running:
        yield running


def test_they_are_the_subrequests_alone(server: Server) -> None:
    assert request(server, "GET", "/set").body == b"1 inner Inner:81\nnil localhost\n"


def test_a_host_that_is_none_makes_no_subrequest(server: Server) -> None:
    assert request(server, "GET", "/bad").status == 500
    assert server.logged("failed to adjust the subrequest: -1")
