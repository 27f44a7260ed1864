"""header_filter_by_lua*, body_filter_by_lua*: what they see, change and refuse, behind each kind of handler.

https://github.com/openresty/lua-nginx-module#header_filter_by_lua
"""

from __future__ import annotations

from typing import Any

from origin import ok

from ..case import NOTICES, WARNINGS, Case, get
from ..lua import FILES, server

#: Writes down each call and what it is given.
_TRACE = """
    header_filter_by_lua_block {
        ngx.header.content_length = nil
        ngx.ctx.calls = 0
    }
    body_filter_by_lua_block {
        ngx.ctx.calls = ngx.ctx.calls + 1
        ngx.arg[1] = "<" .. ngx.arg[1] .. "," .. tostring(ngx.arg[2]) .. "," .. ngx.ctx.calls .. ">"
    }
"""

_HANDLERS = {
    "say": 'ngx.say("a", {"b", 1}) ngx.print("c") ngx.print("") ngx.say() ngx.say("d")',
    "flush": 'ngx.say("a") ngx.flush() ngx.say("b") ngx.flush(true)',
    "eof": 'ngx.say("a") ngx.eof() ngx.ctx.calls = 10 ngx.log(ngx.WARN, ngx.ctx.calls)',
    "nothing": "",
    "headers": 'ngx.send_headers() ngx.log(ngx.WARN, tostring(ngx.headers_sent)) ngx.say("a")',
    "exit": 'ngx.say("a") ngx.exit(200)',
    "exit-status": "ngx.exit(404)",
    "redirect": 'ngx.redirect("/there")',
    "ctx": 'ngx.say("a") ngx.say(ngx.ctx.calls) ngx.ctx.calls = 5 ngx.say("b")',
    "sleep": 'ngx.say("a") ngx.sleep(0.001) ngx.say("b")',
    "coroutine": """
        local co = coroutine.create(function() ngx.say("in") coroutine.yield() ngx.say("again") end)
        coroutine.resume(co) ngx.say("out") coroutine.resume(co)""",
    "fails": 'ngx.say("a") error("oh")',
    "long": 'ngx.print(string.rep("x", 100000)) ngx.say("y")',
}

_OTHERS = f"""
    location /return {{ {_TRACE} return 200 "text"; }}
    location /return-empty {{ {_TRACE} return 200; }}
    location /static {{ {_TRACE} alias html/a.txt; }}
    location /missing {{ {_TRACE} root html; }}
    location /proxy {{ {_TRACE} proxy_pass http://127.0.0.1:{{origin}}/; }}
    location /modified {{ header_filter_by_lua_block {{ ngx.header["Last-Modified"] = ngx.var.arg_m and ngx.unescape_uri(ngx.var.arg_m) }}
        proxy_pass http://127.0.0.1:{{origin}}/; }}
    location /rewrite {{ {_TRACE} rewrite_by_lua_block {{ ngx.say("from rewrite") ngx.exit(200) }} }}
    location /access {{ {_TRACE} access_by_lua_block {{ ngx.say("from access") }} content_by_lua_block {{ ngx.say("no") }} }}
    location /error-page {{ error_page 404 /return; {_TRACE} return 404; }}
    location /capture {{ content_by_lua_block {{
        local show = require "show"
        for _, uri in ipairs{{"/say", "/return", "/static", "/missing", "/nothing", "/endless", "/endless-say"}} do
            local res = ngx.location.capture(uri)
            ngx.say(uri, " ", res.status, " ", res.body, " ", tostring(res.truncated))
        end
    }} }}
    location /endless {{ body_filter_by_lua_block {{ if ngx.arg[2] then ngx.arg[2] = false end }} return 200 "text"; }}
    location /endless-say {{ body_filter_by_lua_block {{ if ngx.arg[2] then ngx.arg[2] = false end }}
        content_by_lua_block {{ ngx.say("a") ngx.flush() ngx.say("b") }} }}
    location /capture-filtered {{ {_TRACE} content_by_lua_block {{ ngx.print(ngx.location.capture("/say").body) ngx.say("main") }} }}
"""

_CODE = {
    "set-header": ("ngx.header.X_A = 'a' ngx.header['X-B'] = {'b', 'c'} ngx.header.content_type = 'text/css'", ""),
    "clear-header": ("ngx.header['X-Own'] = nil ngx.header.content_type = nil", ""),
    "read-header": ("ngx.log(ngx.WARN, ngx.header['X-Own'], ' ', ngx.header.content_type, ' ', ngx.status)", ""),
    "status": ("ngx.status = 404", ""),
    "sent": ("ngx.log(ngx.WARN, tostring(ngx.headers_sent))", "ngx.log(ngx.WARN, tostring(ngx.headers_sent))"),
    "phase": ("ngx.log(ngx.WARN, ngx.get_phase())", "ngx.log(ngx.WARN, ngx.get_phase())"),
    "var": ("ngx.var.x = ngx.var.uri .. ngx.var.arg_a ngx.header.X = ngx.var.x", "ngx.arg[1] = ngx.var.x"),
    "late-header": ("", "ngx.header.X_A = 'late' ngx.status = 500"),
    "upper": ("", "ngx.arg[1] = string.upper(ngx.arg[1])"),
    "drop": ("ngx.header.content_length = nil", "ngx.arg[1] = nil"),
    "drop-empty": ("", "ngx.arg[1] = ''"),
    "number": ("", "if not ngx.arg[2] then ngx.arg[1] = 12.5 end"),
    "table": ("", "ngx.arg[1] = {'a', {ngx.arg[1], 1}, 'b'}"),
    "read-back": ("", "ngx.arg[1] = 'new' ngx.log(ngx.WARN, ngx.arg[1], ' ', tostring(ngx.arg[2])) ngx.arg[1] = nil "
                      "ngx.log(ngx.WARN, ngx.arg[1], '|', tostring(ngx.arg[2]), tostring(ngx.arg[3]))"),
    "end": ("", "ngx.arg[2] = true"),
    "end-later": ("", "ngx.ctx.n = (ngx.ctx.n or 0) + 1 ngx.arg[1] = ngx.arg[1] .. ngx.ctx.n "
                      "if ngx.ctx.n == 2 then ngx.arg[2] = true end"),
    "end-replaced": ("", "ngx.arg[1] = 'all' ngx.arg[2] = true"),
    "end-empty": ("", "ngx.arg[1] = nil ngx.arg[2] = true"),
    "exit-403": ("ngx.exit(403)", ""),
    "exit-ok": ("ngx.exit(0) ngx.header.X = 'after'", ""),
    "return-status": ("return 403", ""),
    "coroutine": (
        "local co = coroutine.wrap(function() coroutine.yield('one') return 'two' end) ngx.header.X = co() .. co()", ""
    ),
    "running": ("ngx.log(ngx.WARN, tostring(coroutine.running()))", ""),
    "resp-headers": ("local n = 0 for k in pairs(ngx.resp.get_headers()) do n = n + 1 end ngx.header.N = n", ""),
    "req": ("ngx.header.X = ngx.req.get_method() .. ngx.req.get_uri_args().a .. ngx.req.get_headers().host",
            "ngx.arg[1] = ngx.req.get_method()"),
}  # fmt: skip

_BROKEN = {
    "error-header": ("error('oh')", ""),
    "error-table": ("error({})", ""),
    "error-body": ("", "error('oh')"),
    "error-later": ("", "if ngx.arg[2] then error('at the end') end"),
    "body-status": ("", "return 500"),
    "body-error": ("", "return ngx.ERROR"),
    "bad-type": ("", "ngx.arg[1] = true"),
    "bad-index": ("", "ngx.arg[3] = 'x'"),
    "bad-table": ("", "ngx.arg[1] = {a = 1}"),
    "set-arg-header": ("ngx.arg[1] = 'x'", ""),
    "exit-error": ("ngx.exit(ngx.ERROR)", ""),
    "yield": ("coroutine.yield()", ""),
}

#: Called in each filter: what OpenResty refuses there.
_CALLS = (
    "ngx.say('x')", "ngx.print('x')", "ngx.flush()", "ngx.eof()", "ngx.send_headers()", "ngx.sleep(0)",
    "ngx.exec('/x')", "ngx.redirect('/x')", "ngx.location.capture('/x')", "ngx.req.read_body()",
    "ngx.req.set_uri('/x')", "ngx.req.set_uri_args('a=1')", "ngx.req.set_header('X', 'y')", "ngx.req.clear_header('X')",
    "ngx.req.discard_body()", "ngx.req.get_body_data()", "ngx.req.get_body_file()", "ngx.req.get_post_args()",
    "ngx.req.set_method(ngx.HTTP_PUT)", "ngx.req.set_body_data('x')", "ngx.socket.tcp()",
    "ngx.thread.spawn(function() end)", "ngx.exit(200)", "ngx.md5('x')", "ngx.now()",
)  # fmt: skip


def _filters(code: dict[str, tuple[str, str]], content: str) -> str:
    """The content has the name in it, because the reference keeps equal code once, under its first name."""
    text = ""
    for name, (header, body) in code.items():
        filters = f"header_filter_by_lua_block {{ {header} }}" if header else ""
        filters += f" body_filter_by_lua_block {{ {body} }}" if body else ""
        text += f"location /{name} {{ set $x 1; {filters} {content.replace('NAME', name)} }}\n"
    return text


def _differs(yes: bool, why: str, expect: dict[str, Any]) -> dict[str, Any]:
    return {"differs": why, "expect": expect} if yes else {}


_CONTENT = 'content_by_lua_block { ngx.header["X-Own"] = "own" ngx.say("first") ngx.say("second") }'
_REPORTING = 'content_by_lua_block { ngx.log(ngx.WARN, "NAME ", tostring(ngx.say("first"))) }'

_REFUSED = "".join(
    f"location /{kind}-{number} {{ {kind}_filter_by_lua_block {{ local ok, err = pcall(function() {call} end) "
    f'ngx.log(ngx.WARN, "{name}: ", tostring(ok), " ", err) }} return 200 "x"; }}\n'
    for number, call in enumerate(_CALLS)
    for name in [call.partition("(")[0]]
    for kind in ("header", "body")
)

CASES = (
    Case(
        "lua-filter-calls",
        server(
            {},
            "".join(
                f"location /{name} {{ {_TRACE} content_by_lua_block {{ {code} }} }}\n"
                for name, code in _HANDLERS.items()
            )
            + _OTHERS,
        ),
        (
            *(get(f"/{name}") for name in _HANDLERS if name != "fails"),
            get("/fails", read=()),
            *(get(f"/{name}", version="1.0") for name in ("say", "flush", "eof", "nothing", "long")),
            *(get(f"/{name}", method="HEAD") for name in ("say", "nothing", "return")),
            get("/modified"),
            get("/modified?m=Sun,%2005%20Mar%202023%2005:06:07%20GMT"),
            get("/modified?m=no+date"),
            *(
                get(f"/{name}")
                for name in (
                    "return",
                    "return-empty",
                    "static",
                    "missing",
                    "proxy",
                    "rewrite",
                    "access",
                    "error-page",
                    "capture",
                    "capture-filtered",
                )
            ),
        ),
        files={**FILES, "html/a.txt": "file\n"},
        scripts={"/": ok(b"from the origin", "Last-Modified: Sat, 04 Mar 2023 05:06:07 GMT")},
        levels=WARNINGS,
    ),
    Case(
        "lua-filter-changes",
        server({}, _filters(_CODE, _CONTENT)),
        tuple(
            get(
                f"/{name}?a=1",
                {"X": "y"},
                **_differs(
                    name == "end-empty",
                    "the reference sends nothing, and keeps the connection",
                    {"status": 200, "body": ""},
                ),
            )
            for name in _CODE
        ),
        files=FILES,
        levels=NOTICES,
    ),
    Case(
        "lua-filter-errors",
        server({}, _filters(_BROKEN, _REPORTING)),
        tuple(
            get(
                f"/{name}",
                read=(),
                **_differs(
                    code[0] != "",
                    "the reference keeps a connection that it has not answered on",
                    {"rest": "", "ended": True},
                ),
            )
            for name, code in _BROKEN.items()
        ),
        files=FILES,
        levels=NOTICES,
    ),
    Case(
        "lua-filter-refused",
        server({}, _REFUSED),
        tuple(get(f"/{kind}-{number}") for number in range(len(_CALLS)) for kind in ("header", "body")),
        files=FILES,
        levels=WARNINGS,
    ),
)
