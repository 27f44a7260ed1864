"""balancer_by_lua*: how the phase ends, what may be asked of ngx.balancer in it, retries, and the lines it leaves.

https://github.com/openresty/lua-nginx-module#balancer_by_lua_block
"""

from __future__ import annotations

from harness import http

from ..case import WARNINGS, Case, get
from ..lua import FILES

#: The code of an upstream, by name. ``peer`` sets one that answers, ``dead`` one that refuses connections.
_CODE = {
    "peer": 'local b = require "ngx.balancer" assert(b.set_current_peer("127.0.0.1", {port2}))',
    "text-port": 'require("ngx.balancer").set_current_peer("127.0.0.1", "{port2}")',
    "in-address": 'require("ngx.balancer").set_current_peer("127.0.0.1:{port2}")',
    "nothing": 'ngx.log(ngx.WARN, "here")',
    "raises": 'ngx.log(ngx.WARN, "here")\nerror("oh")',
    "raises-table": "error({})",
    "sleeps": "ngx.sleep(0.1)",
    "says": 'ngx.say("x")',
    "captures": 'ngx.location.capture("/peer")',
    "execs": 'ngx.exec("/peer")',
    "socket": "ngx.socket.tcp()",
    "yields": "coroutine.yield()",
    "exit-ok": "ngx.exit(ngx.OK)",
    "exit-error": "ngx.exit(ngx.ERROR)",
    "after-exit": 'ngx.exit(ngx.ERROR) ngx.log(ngx.WARN, "goes on")',
    "phase": 'ngx.log(ngx.WARN, ngx.get_phase(), " ", ngx.var.uri, " ", ngx.req.get_method())',
    "names": """
        local b = require "ngx.balancer"
        for _, host in ipairs{"example.com", "127.0.0.1:0", "127.0.0.1:x", "", "[::1", "unix:", "127.0.0.1/x", "fe80::1", "[fe80::1]", "::1",
            "[::1]:90", "unix:/x", "unix:/x:1", "1.2.3", "127.0.0.1:99999", "[::1]x", "[x]", "127.0.0.1 "} do
            ngx.log(ngx.WARN, host, " ", table.concat({tostring(b.set_current_peer(host, 80)), (select(2, b.set_current_peer(host, 80)))}, " "))
        end
        b.set_current_peer("127.0.0.1", {port2})""",
    "arguments": """
        local b = require "ngx.balancer"
        for _, f in ipairs{
            function() b.set_timeouts("a") end, function() b.set_timeouts(1, -1) end, function() b.set_timeouts(1, 1, 0) end,
        } do
            ngx.log(ngx.WARN, tostring(select(2, pcall(f))))
        end
        b.set_current_peer("127.0.0.1", {port2})""",
    "failure-none": """
        local b = require "ngx.balancer"
        ngx.log(ngx.WARN, tostring((b.get_last_failure())))
        b.set_current_peer("127.0.0.1", {port2})""",
    "more-tries": """
        local b = require "ngx.balancer"
        local n = (ngx.ctx.n or 0) + 1
        ngx.ctx.n = n
        ngx.log(ngx.WARN, n, " ", tostring((b.get_last_failure())), " ", tostring(select(2, b.get_last_failure())))
        if n == 1 then ngx.log(ngx.WARN, tostring((b.set_more_tries(2)))) end
        b.set_current_peer("127.0.0.1", n < 3 and {dead} or {port2})""",
    "then-exits": """
        local b = require "ngx.balancer"
        if ngx.ctx.n then ngx.exit(ngx.ERROR) end
        ngx.ctx.n = 1
        b.set_more_tries(1)
        b.set_current_peer("127.0.0.1", {dead})""",
    "too-many": """
        local b = require "ngx.balancer"
        ngx.log(ngx.WARN, tostring(select(2, b.set_more_tries(2))))
        b.set_current_peer("127.0.0.1", {dead})""",
    "status": """
        local b = require "ngx.balancer"
        if not ngx.ctx.n then ngx.ctx.n = 1 b.set_more_tries(1) end
        ngx.log(ngx.WARN, tostring((b.get_last_failure())), " ", tostring(select(2, b.get_last_failure())))
        b.set_current_peer("127.0.0.1", {port2})""",
    "timeouts": """
        local b = require "ngx.balancer"
        ngx.log(ngx.WARN, tostring(b.set_timeouts(0.5, nil, 0.05)))
        b.set_current_peer("127.0.0.1", {port2})""",
    "variables": """
        ngx.var.seen = ngx.var.seen .. "!"
        require("ngx.balancer").set_current_peer("127.0.0.1", {port2})""",
}
#: Logs the attempts. (Of two pieces of code that are the same the reference has only the first.)
_LOG = """log_by_lua_block {
    for _, name in ipairs{"addr", "status", "response_length", "bytes_sent", "bytes_received", "header_time"} do
        ngx.log(ngx.WARN, name, "=", ngx.var["upstream_" .. name]) -- %s
    end
}"""
#: What the location has beside proxy_pass.
_INSIDE = {
    "raises": _LOG % 1,
    "exit-error": _LOG % 2,
    "then-exits": _LOG % 3,
    "too-many": "proxy_next_upstream_tries 3;",
    "status": "proxy_next_upstream http_404; proxy_pass http://status/missing;",
    "timeouts": "proxy_pass http://timeouts/slow;",
    "variables": "set $seen yes; add_header X-Seen $seen;",
}

_PLACEHOLDER = "server 127.0.0.1:{dead};"


def _upstreams() -> str:
    return "\n".join(
        f"upstream {name} {{ {_PLACEHOLDER} balancer_by_lua_block {{\n{code}\n}} }}" for name, code in _CODE.items()
    )


def _locations() -> str:
    return "\n".join(
        f"location /{name} {{ {_INSIDE.get(name, '')} {'' if 'proxy_pass' in _INSIDE.get(name, '') else f'proxy_pass http://{name}/x;'} }}"
        for name in _CODE
    )


_OTHER_API = """
    location /outside { content_by_lua_block {
        local show = require "show"
        local b = require "ngx.balancer"
        ngx.say(show{b.set_current_peer("127.0.0.1", 80)})
        ngx.say(show{b.set_more_tries(1)})
        ngx.say(show{b.get_last_failure()})
        ngx.say(show{b.set_timeouts(1)})
    } }
"""

_CONF = http(
    'lua_package_path "{prefix}/lua/?.lua;;"; proxy_http_version 1.1; proxy_set_header Connection "";\n'
    + _upstreams()
    + """
    upstream file { server 127.0.0.1:{dead}; balancer_by_lua_file lua/choose.lua; }
    upstream missing { server 127.0.0.1:{dead}; balancer_by_lua_file lua/none.lua; }
    upstream broken { server 127.0.0.1:{dead}; balancer_by_lua_file lua/broken.lua; }
    upstream rest { server 127.0.0.1:{dead}; server 127.0.0.1:{port2}; balancer_by_lua_block { ngx.log(ngx.WARN, "asked") } }
    server { listen {port}; location /file { proxy_pass http://file; }
        location /missing { proxy_pass http://missing; } location /broken { proxy_pass http://broken; }
        location /rest { proxy_pass http://rest/x; }
    """
    + _locations()
    + _OTHER_API
    + """}
    server { listen {port2}; access_log off;
        location = /missing { return 404; }
        location = /slow { content_by_lua_block { ngx.sleep(0.5) ngx.say("late") } }
        location / { return 200 "$request_method $request_uri host=$http_host\\n"; } }
    """
)

CASES = (
    Case(
        "lua-balancer",
        _CONF,
        files={
            **FILES,
            "lua/choose.lua": 'local b = require "ngx.balancer"\nb.set_current_peer("127.0.0.1", {port2})\n',
            "lua/broken.lua": "local = 1\n",
        },
        asks=tuple(get(f"/{name}") for name in (*_CODE, "file", "missing", "broken", "rest", "outside")),
        levels=WARNINGS,
    ),
)
