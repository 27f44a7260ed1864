"""Subrequests that run inside the handler which asks for them: what cannot be compared with the reference, which crashes on it."""

from __future__ import annotations

from harness import Server, http, request

_CONF = http(
    """
    server {
        listen {port};
        location = /hello { content_by_lua_block { ngx.print("hello") } }
        location = /sleeps { content_by_lua_block { ngx.sleep(0.001) ngx.log(ngx.WARN, "has slept") ngx.print("slept") } }
        location = /test { content_by_lua_block {
            ngx.say(pcall(ngx.location.capture_multi, { { "/hello" }, { "/sleeps" }, { "/../x" } }))
            ngx.say(ngx.location.capture("/sleeps").body, " ", ngx.var.uri)
        } }
    }
    """
)


def test_an_unsafe_uri_after_some_that_have_begun() -> None:
    with Server(_CONF) as server:
        for path in ("/hello", "/sleeps"):
            request(server, path=path)  # only what is compiled runs inside
        for _ in range(3):
            response = request(server, path="/test")
            assert response.body == b"falseunsafe uri in argument #1: /../x\nslept /test\n"
        assert sum("has slept" in line for line in server.error_log()) == 1 + 3 * 2
