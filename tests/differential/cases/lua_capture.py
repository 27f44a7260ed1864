"""ngx.location.capture and capture_multi with every option: subrequests that look like HTTP and go nowhere.

https://github.com/openresty/lua-nginx-module#ngxlocationcapture
"""

from __future__ import annotations

from origin import ECHO, Script, ok

from ..case import NOTICES, WARNINGS, Case, get
from ..lua import FILES, server

#: What the subrequest saw, as text.
_SEEN = """
        location /seen { content_by_lua_block { local show = require 'show'
            ngx.req.read_body()
            ngx.say(ngx.req.get_method(), ' ', ngx.var.uri, ' ', show(ngx.var.args), ' ',
                show(ngx.req.get_body_data()), ' ', ngx.is_subrequest, ' ',
                ngx.req.is_internal(), ' ', ngx.var.request_uri, ' ', show(ngx.var.content_length), ' ',
                    show(ngx.var.http_x_a), ' ', ngx.var.v1)
        } }
        location /internal { internal; return 200 "internal $uri"; }
        location /status { content_by_lua_block { ngx.status = tonumber(ngx.var.arg_s) ngx.say("status ",
            ngx.var.arg_s) } }
        location /exit { content_by_lua_block { ngx.exit(tonumber(ngx.var.arg_s)) } }
        location /someheaders { content_by_lua_block {
            ngx.header["Set-Cookie"] = {"a=3", "foo=bar", "baz=blah"}
                ngx.header["X-One"] = "1" ngx.header.content_type = "a/b"
            ngx.header["X-Two"] = {"1", "2"} ngx.header["Cache-Control"] = {"a", "b"}
                ngx.header["Last-Modified"] = "x" ngx.print("body") } }
        location /fails { content_by_lua_block { error("in the subrequest") } }
        location /childctx { content_by_lua_block { local show = require 'show' ngx.say(show(ngx.ctx))
            ngx.ctx.child = "set in child" ngx.ctx.n = (ngx.ctx.n or 0) + 1 } }
        location /childvars { content_by_lua_block { ngx.say(ngx.var.v1, " ", ngx.var.v2)
            ngx.var.v1 = "from child" ngx.var.v2 = "child2" } }
        location /setvars { set $v1 "set in child"; return 200 "$v1 $v2"; }
        location /empty { content_by_lua_block { } }
        location /returns { return 200 "returned $args"; }
        location /redirects { return 302 /else; }
        location /execs { content_by_lua_block { ngx.exec("/seen", "exec=1") } }
        location /rewrites { rewrite ^ /seen?rewritten=1 last; }
        location /large { content_by_lua_block { ngx.print(string.rep("x", 200000)) } }
        location /sleeps { content_by_lua_block { ngx.sleep(tonumber(ngx.var.arg_t) or 0.01) ngx.say("slept ",
            ngx.var.arg_t) } }
        location /static/ { alias html/; }
        location /denied { deny all; }
        location /named { error_page 404 = @fallback; return 404; }
        location @fallback { return 200 "fallback $uri"; }
        location /paged { error_page 404 /returns?paged; return 404; }
        location /up/ { proxy_http_version 1.1; proxy_set_header Host up; proxy_set_header Connection "";
            proxy_pass http://127.0.0.1:{origin}/; }
        location /noheaders/ {
            proxy_http_version 1.1; proxy_set_header Host up; proxy_set_header Connection "";
                proxy_pass_request_headers off;
            proxy_pass http://127.0.0.1:{origin}/;
        }
        location /dead { proxy_pass http://127.0.0.1:{dead}; }
        location /again { content_by_lua_block { local r = ngx.location.capture("/nested?depth=" .. (ngx.var.arg_depth
            or 0) + 1) ngx.print(r.status, " ", r.body) } }
        location /nested { content_by_lua_block {
            local depth = tonumber(ngx.var.arg_depth)
            if depth > 3 then return ngx.say("deep enough") end
            local r = ngx.location.capture("/again", {args = {depth = depth}}) ngx.print(depth, "(", r.body, ")") } }
        location /forever { content_by_lua_block { local r = ngx.location.capture("/forever") ngx.print(r.status,
            r.body) } }
        location /set { set_by_lua_block $v2 { return "by lua" } content_by_lua_block { ngx.say(ngx.var.v2) } }
        location /host { content_by_lua_block { ngx.say(ngx.var.host, " ", ngx.var.http_host) } }
        location /access { access_by_lua_block { ngx.log(ngx.WARN, "access in the subrequest") } log_by_lua_block {
            ngx.log(ngx.WARN, "log") } return 200 "a"; }
""".replace("        location /denied { deny all; }\n", "").replace(
    'log_by_lua_block { ngx.log(ngx.WARN, "log") } return 200 "a";',
    'log_by_lua_block { ngx.log(ngx.WARN, "log") } content_by_lua_block { ngx.print("a") }',
)


def _capture(*arguments: str) -> str:
    return "\n".join(
        f"do local r = ngx.location.capture({text}) "
        "ngx.say(r.status, ' ', r.truncated, ' ', show(r.header), ' ', r.body) end"
        for text in arguments
    )


_METHODS = "GET HEAD PUT POST DELETE OPTIONS MKCOL COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK PATCH TRACE"

_CAPTURES = {
    "plain": _capture("'/seen'", "'/seen?a=1'", "'/returns?x'", "'/empty'", "'/static/file.txt'"),
    "methods": _capture(*(f"'/seen', {{method = ngx.HTTP_{name}}}" for name in _METHODS.split())),
    "head": _capture("'/returns', {method = ngx.HTTP_HEAD}", "'/static/file.txt', {method = ngx.HTTP_HEAD}"),
    "body": _capture(
        "'/seen', {method = ngx.HTTP_POST, body = 'hello'}",
        "'/seen', {body = 'on GET'}",
        "'/seen', {method = ngx.HTTP_PUT, body = ''}",
    ),
    "body-nil": _capture(
        "'/seen', {method = ngx.HTTP_POST, body = nil}", "'/seen', {method = ngx.HTTP_POST, body = 12}"
    ),
    "args": _capture(
        "'/seen', {args = 'b=3&c=%3a'}",
        "'/seen?a=1', {args = {c = ':'}}",
        "'/seen?a=1', {args = 'b=2'}",
        "'/seen', {args = {}}",
        "'/seen', {args = ''}",
        "'/seen?a', {args = {['k k'] = {'1', true, 2}}}",
        "'/seen?', {args = 'x'}",
    ),
    "vars": """
        ngx.var.v1, ngx.var.v2 = "parent", "parent2"
        local r = ngx.location.capture("/childvars", {vars = {v1 = "given", v2 = 12}}) ngx.say(r.body, ngx.var.v1,
            " ", ngx.var.v2)
        r = ngx.location.capture("/childvars") ngx.say(r.body, ngx.var.v1, " ", ngx.var.v2)""",
    "copy-all": """
        ngx.var.v1, ngx.var.v2 = "parent", "parent2"
        local r = ngx.location.capture("/childvars", {copy_all_vars = true}) ngx.say(r.body, ngx.var.v1, " ",
            ngx.var.v2)
        r = ngx.location.capture("/childvars", {copy_all_vars = true, vars = {v2 = "given"}}) ngx.say(r.body,
            ngx.var.v1, " ", ngx.var.v2)
        r = ngx.location.capture("/setvars", {copy_all_vars = true}) ngx.say(r.body, " ", ngx.var.v1)""",
    "share-all": """
        ngx.var.v1, ngx.var.v2 = "parent", "parent2"
        local r = ngx.location.capture("/childvars", {share_all_vars = true}) ngx.say(r.body, ngx.var.v1, " ",
            ngx.var.v2)
        r = ngx.location.capture("/setvars", {share_all_vars = true}) ngx.say(r.body, " ", ngx.var.v1)""",
    "share-uri": """
        local r = ngx.location.capture("/seen?child", {share_all_vars = true}) ngx.say(r.body, ngx.var.uri, " ",
            ngx.var.args)""",
    "ctx": """
        ngx.ctx.parent = 1
        local r = ngx.location.capture("/childctx") ngx.print(r.body) ngx.say(show(ngx.ctx))
        r = ngx.location.capture("/childctx", {ctx = ngx.ctx}) ngx.print(r.body) ngx.say(show(ngx.ctx))
        local own = {own = true} r = ngx.location.capture("/childctx", {ctx = own}) ngx.print(r.body)
            ngx.say(show(own), show(ngx.ctx))
        ngx.location.capture_multi{{"/childctx", {ctx = own}}, {"/childctx", {ctx = own}}} ngx.say(show(own))""",
    "forward-default": "ngx.req.read_body()\n"
    + _capture(
        "'/seen'",
        "'/seen', {method = ngx.HTTP_POST}",
        "'/seen', {method = ngx.HTTP_PUT}",
        "'/seen', {method = ngx.HTTP_DELETE}",
    ),
    "forward-always": "ngx.req.read_body()\n"
    + _capture(
        "'/seen', {always_forward_body = true}",
        "'/seen', {method = ngx.HTTP_DELETE, always_forward_body = true}",
        "'/seen', {method = ngx.HTTP_POST, always_forward_body = true}",
        "'/seen', {always_forward_body = true, body = 'own'}",
        "'/seen', {always_forward_body = false}",
    ),
    "forward-unread": _capture("'/returns', {method = ngx.HTTP_POST}"),
    "statuses": _capture(
        *(f"'/status?s={s}'" for s in (201, 299, 404, 500, 503)),
        *(f"'/exit?s={s}'" for s in (200, 204, 403, 404, 500)),
        "'/nowhere'",
        "'/redirects'",
    ),
    "headers": """
        local r = ngx.location.capture("/someheaders") ngx.say(show(r.header), r.body)
        ngx.say(show({r.header["Set-Cookie"][2], r.header["set-cookie"], r.header.Content_Type, r.header["X-One"]}))
        local keys = {} for k in pairs(r) do keys[#keys + 1] = k end table.sort(keys) ngx.say(show(keys))""",
    "raises": _capture("'/fails'", "'/seen'"),
    "internal": _capture("'/internal/x'", "'/execs'", "'/rewrites'", "'/named'", "'/paged'", "'/set'", "'/access'"),
    "uri-odd": _capture(
        "'/seen/a b'", "'/seen/a%20b'", "'/seen//x/../y'", "'/seen/ü'", "'/seen?q=%20 #f'", "'seen'", "'/seen#f'"
    ),
    "unsafe": (
        "for _, uri in ipairs{'/../x', '/seen/../../x', '', '/seen\\0x', '@fallback', 'http://x/'} do "
        "local ok, r = pcall(ngx.location.capture, uri) ngx.say(ok, ' ', type(r) "
        "== 'table' and r.status or r) end"
    ),
    "bad-options": """
        for _, o in ipairs{{method = "GET"}, {method = 12345}, {body = {}}, {body = print}, {args = true},
            {args = 12}, {vars = "x"}, {vars = {noBody = "x"}}, {vars = {uri = "x"}}, {vars = {V1 = "x"}}, {vars = {v1 = {}}},
                {ctx = "x"}, {copy_all_vars = "x"}, {always_forward_body = "x"}, {unknown = 1}} do
            local ok, r = pcall(ngx.location.capture, "/returns", o) ngx.say(ok, ' ', type(r)
                == 'table' and r.status .. r.body or r)
        end
        ngx.say(show({pcall(ngx.location.capture)}), show({pcall(ngx.location.capture, {})}),
            show({pcall(ngx.location.capture, "/x", "y")}), show({pcall(ngx.location.capture, 1, 2, 3)}))""",
    "big": (
        "local r = ngx.location.capture('/large') ngx.say(r.status, ' ', #r.body, ' ', r.truncated, ' ', "
        "show(r.header))"
    ),
    "multi": """
        local a, b, c = ngx.location.capture_multi({ {"/returns", {args = "a=3&b=4"}}, {"/seen"}, {"/seen",
            {method = ngx.HTTP_POST, body = "hello"}} })
        ngx.say(a.body) ngx.print(b.body, c.body)""",
    "multi-order": """
        local t = ngx.now() local all = {ngx.location.capture_multi{ {"/sleeps?t=0.09"}, {"/sleeps?t=0.01"},
            {"/sleeps?t=0.05"}, {"/status?s=404"}, {"/nowhere"} }}
        ngx.update_time() ngx.say(ngx.now() - t < 0.14) for i, r in ipairs(all) do ngx.print(i, " ", r.status, " ",
            r.body) end""",
    "multi-one": "local r = ngx.location.capture_multi{{'/returns?1'}} ngx.say(r.body)",
    "multi-table": """
        local reqs = {} for i = 1, 30 do reqs[i] = {"/returns?" .. i} end
        local all = {ngx.location.capture_multi(reqs)} for i, r in ipairs(all) do ngx.print(r.body, ";") end
            ngx.say(#all)""",
    "multi-bad": """
        ngx.say(show({pcall(ngx.location.capture_multi)}), show({pcall(ngx.location.capture_multi, {})}),
            show({pcall(ngx.location.capture_multi, "x")}),
            show({pcall(ngx.location.capture_multi, {"/x"})}), show({pcall(ngx.location.capture_multi, {{}})}),
                show({pcall(ngx.location.capture_multi, {{"/returns", "x"}})}))""",
    "nested": _capture("'/nested?depth=1'"),
    "cycle": _capture("'/forever'"),
    "proxied": _capture(
        "'/up/echo?a=1'",
        "'/up/echo', {method = ngx.HTTP_POST, body = 'posted'}",
        "'/up/echo', {method = ngx.HTTP_PUT}",
        "'/noheaders/echo'",
    ),
    "proxied-answers": _capture("'/up/cookies'", "'/up/chunked'", "'/up/404'", "'/up/304'"),
    "proxied-broken": (
        "for _, u in ipairs{'/up/short', '/up/shortchunk', '/up/closes', '/dead'} do "
        "local r = ngx.location.capture(u) ngx.say(u, ' ', r.status, ' ', r.truncated, ' ', #r.body) end"
    ),
    "after-output": "ngx.say('before') ngx.flush(true) local r = ngx.location.capture('/returns') ngx.say(r.body)",
    "many": (
        "local n = 0 for i = 1, 100 do local r = ngx.location.capture('/returns?' .. i) "
        "if r.body == 'returned ' .. i then n = n + 1 end end ngx.say(n)"
    ),
    "two-hundred-at-once": (
        "local t = {} for i = 1, 200 do t[i] = {'/returns?' .. i} end local r = {ngx.location.capture_multi(t)} ngx.say(#r, ' ', r[200].body)"
    ),
    "sixty": "local n = 0 for i = 1, 60 do local r = ngx.location.capture('/seen') n = n + r.status end ngx.say(n)",
    "in-coroutine": (
        "local co = coroutine.wrap(function() local r = ngx.location.capture('/returns') return r.body end) "
        "ngx.say(co())"
    ),
    "status-own": (
        "local r = ngx.location.capture('/status?s=404') ngx.status = r.status ngx.print(r.body) ngx.exit(r.status)"
    ),
    "request-host": "ngx.req.set_header('Host', 'NEW:81') " + _capture("'/host'", "'/host', {args = 'x'}"),
    "request-no-host": "ngx.req.clear_header('Host') " + _capture("'/host'") + " ngx.say(ngx.var.host)",
    "request-headers": "ngx.req.set_header('X-A', 'changed') " + _capture("'/seen'"),
}

_PHASES = """
        location /rewrite { rewrite_by_lua_block { local r = ngx.location.capture("/returns?rw") ngx.say(r.body)
            ngx.exit(200) } }
        location /authorized { access_by_lua_block {
                local r = ngx.location.capture("/status?s=" .. ngx.var.arg_s) if r.status >= 400 then
                    ngx.exit(r.status) end }
            content_by_lua_block { ngx.say("allowed") } }
        location /log { log_by_lua_block { local ok, err = pcall(ngx.location.capture, "/returns") ngx.log(ngx.WARN,
            ok, " ", err) } return 200; }
        location /setby { set_by_lua_block $v1 { local ok, err = pcall(ngx.location.capture, "/returns") return err }
            return 200 "$v1"; }
        location /server { content_by_lua_block { local r = ngx.location.capture("/outer/x") ngx.print(r.status,
            r.body) } }
        location /filtered { content_by_lua_block { local r = ngx.location.capture("/static/") ngx.print(r.status,
            " ", r.body) } }
"""

_SCRIPTS: dict[str, Script] = {
    "/echo": (ECHO,),
    "/cookies": ok(
        b"c", "Set-Cookie: a=3", "Set-Cookie: foo=bar", "Set-Cookie: baz=blah", "X-A: 1", "Content-Type: t/c"
    ),
    "/chunked": b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "/404": ok(b"none", status="404 Not Found"),
    "/304": b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n",
    "/short": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nshort", 0.05),
    "/shortchunk": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nshort", 0.05),
    "/closes": b"",
}

_SERVER = server({f"t/{name}": code for name, code in _CAPTURES.items()}, "set $v1 ''; set $v2 '';" + _SEEN)

#: Lines of the log say what nginx is doing: with an upstream's response, and from then on until something else begins.
_ACTIONS = """
        location /text { proxy_pass http://127.0.0.1:{origin}; }
        location /plain { content_by_lua_block { ngx.log(ngx.WARN, "plain ", ngx.var.request_uri) ngx.print("plain") } }
        location /asks { content_by_lua_block {
                for _, uri in ipairs{"/text", "/plain", "/text"} do
                    ngx.location.capture(uri) ngx.log(ngx.WARN, "after ", uri)
                end
                ngx.sleep(0.001) ngx.log(ngx.WARN, "slept") ngx.say("x") ngx.log(ngx.WARN, "said")
            }
            log_by_lua_block { ngx.log(ngx.WARN, "log asks") } }
        location /proxied { access_by_lua_block { ngx.location.capture("/text") ngx.log(ngx.WARN, "access") }
            header_filter_by_lua_block { ngx.log(ngx.WARN, "head") } body_filter_by_lua_block { ngx.log(ngx.WARN, "body") }
            log_by_lua_block { ngx.log(ngx.WARN, "log proxied") } proxy_pass http://127.0.0.1:{origin}/text; }
        location /redirected { proxy_pass http://127.0.0.1:{origin}/away; }
        location /named { access_by_lua_block { ngx.location.capture("/text") ngx.exec("@there") } }
        location @there { content_by_lua_block { ngx.log(ngx.WARN, "there") ngx.say("there") } }
        location /refused { header_filter_by_lua_block { ngx.log(ngx.WARN, "error page") } proxy_pass http://127.0.0.1:1; }
"""

CASES = (
    Case(
        "lua-capture",
        _SERVER,
        tuple(get(f"/t/{name}?old=1", {"X-A": "h"}) for name in _CAPTURES if name != "cycle"),
        files={**FILES, "html/file.txt": "static file", "html/index.html": "index"},
        scripts=_SCRIPTS,
        levels=WARNINGS,
    ),
    Case(
        "lua-capture-post",
        _SERVER,
        (
            *(
                get(f"/t/{name}", {"Content-Type": "t/x"}, method="POST", body=b"parent body")
                for name in (
                    "plain",
                    "methods",
                    "body",
                    "body-nil",
                    "forward-default",
                    "forward-always",
                    "forward-unread",
                    "multi",
                )
            ),
            get(
                "/t/forward-default",
                {"Transfer-Encoding": "chunked"},
                method="POST",
                body=b"3\r\nabc\r\n0\r\n\r\n",
                name="chunked",
            ),
            get("/t/plain", method="HEAD"),
            get("/t/plain", version="1.0"),
            get("/t/multi", {"Range": "bytes=0-1", "If-Modified-Since": "Sat, 04 Mar 2023 05:06:07 GMT"}, name="range"),
        ),
        files={**FILES, "html/file.txt": "static file"},
        scripts=_SCRIPTS,
        levels=WARNINGS,
    ),
    Case(
        "lua-capture-phases",
        server({}, "set $v1 ''; set $v2 '';" + _SEEN + _PHASES),
        (
            get("/rewrite"),
            get("/authorized?s=200"),
            get("/authorized?s=403"),
            get("/log"),
            get("/setby"),
            get("/server"),
            get("/filtered"),
        ),
        files={**FILES, "html/index.html": "index"},
        scripts=_SCRIPTS,
        levels=NOTICES,
    ),
    Case(
        "lua-capture-cycle",
        _SERVER,
        (get("/t/cycle"), get("/t/plain", name="the worker lives")),
        files={**FILES, "html/file.txt": "static file"},
        scripts=_SCRIPTS,
        levels=WARNINGS,
    ),
    Case(
        "lua-log-actions",
        server({}, _ACTIONS),
        tuple(get(f"/{name}") for name in ("asks", "proxied", "redirected", "named", "refused")),
        files=FILES,
        scripts={"/text": ok(b"text"), "/away": ok(b"", "X-Accel-Redirect: /plain")},
        levels=WARNINGS,
    ),
)
