"""Captures without options of locations that are nothing but Lua: what such a subrequest does must be seen to be another request's.

https://github.com/openresty/lua-nginx-module#ngxlocationcapture
"""

from __future__ import annotations

from origin import Script, ok

from ..case import NOTICES, Case, get
from ..lua import FILES, server

#: The targets, by location.
_TARGETS = """
        location = /hello { content_by_lua_block { ngx.say("hello from ", ngx.var.uri, "?", ngx.var.args) } }
        location = /silent { content_by_lua_block { } }
        location = /me { content_by_lua_block { ngx.log(ngx.WARN, "in ", ngx.var.uri)
            ngx.print(ngx.var.uri, " ", ngx.is_subrequest, " ", ngx.req.get_method(), " ", ngx.get_phase(), " ", tostring(ngx.ctx.mine)) } }
        location ~ ^/part/(\\w+)/(\\w+) { content_by_lua_block { ngx.print(ngx.var[1], "-", ngx.var[2]) } }
        location ~ ^/file/(\\w+) { content_by_lua_file lua/$1.lua; }
        location = /type.html { content_by_lua_block { ngx.print("by name") } }
        location = /heads { content_by_lua_block { ngx.header["X-A"] = { "1", "2" } ngx.header.content_type = "a/b"
            ngx.header.content_length = 3 ngx.status = 201 ngx.print("abc") } }
        location = /status { content_by_lua_block { ngx.status = 404 ngx.print("none") } }
        location = /exits { content_by_lua_block { ngx.print("part") ngx.exit(403) } }
        location = /exits-first { content_by_lua_block { ngx.exit(403) } }
        location = /ok { content_by_lua_block { ngx.print("fine") ngx.exit(ngx.OK) } }
        location = /fails { content_by_lua_block { error("not well") } }
        location = /fails-late { content_by_lua_block { ngx.print("some") ngx.sleep(0.001) error("not well at all") } }
        location = /sleeps { content_by_lua_block { ngx.print("before ") ngx.sleep(0.002) ngx.print("after ", ngx.var.args) } }
        location = /flushes { content_by_lua_block { ngx.print("one ") ngx.flush(true) ngx.print("two") } }
        location = /sends { content_by_lua_block { ngx.send_headers() ngx.print("sent") } }
        location = /reads-head { content_by_lua_block { ngx.print("x") ngx.print(tostring(ngx.headers_sent), ngx.status) } }
        location = /long { content_by_lua_block { for i = 1, 3 do ngx.print(string.rep("x", 40000)) end } }
        location = /eof { content_by_lua_block { ngx.print("end") ngx.eof() } }
        location = /ctx { content_by_lua_block { ngx.ctx.mine = "kept?" ngx.print(ngx.ctx.mine) } }
        location = /sets { content_by_lua_block { ngx.req.set_header("X-B", "b") ngx.req.set_uri_args("c=d") ngx.req.set_method(ngx.HTTP_POST)
            ngx.print(ngx.req.get_headers()["X-B"], ngx.var.args, ngx.req.get_method()) } }
        location = /body { content_by_lua_block { ngx.req.read_body() ngx.req.set_body_data("mine") ngx.print(ngx.req.get_body_data()) } }
        location = /threads { content_by_lua_block {
            local t = ngx.thread.spawn(function() ngx.sleep(0.001) ngx.print("thread ") return "done" end)
            ngx.print(select(2, ngx.thread.wait(t))) } }
        location = /unwaited { content_by_lua_block { ngx.thread.spawn(function() ngx.print("quick ") end) ngx.print("main") } }
        location = /coroutine { content_by_lua_block {
            local f = coroutine.wrap(function() coroutine.yield(1) ngx.sleep(0.001) coroutine.yield(2) end) ngx.print(f(), f()) } }
        location = /yields { content_by_lua_block { coroutine.yield() ngx.print("again") } }
        location = /execs { content_by_lua_block { ngx.exec("/hello", "by=exec") } }
        location = /redirects { content_by_lua_block { ngx.redirect("/elsewhere") } }
        location = /deeper { content_by_lua_block {
            local a, b = ngx.location.capture_multi { { "/me" }, { "/sleeps?deep" } } ngx.print("[", a.body, "][", b.body, "] ", ngx.var.uri) } }
        location = /talks { content_by_lua_block { local s = ngx.socket.tcp() assert(s:connect("127.0.0.1", {origin}))
            s:send("GET /plain HTTP/1.0\\r\\n\\r\\n") ngx.print(s:receive()) s:close() } }
        location = /remote { proxy_pass http://127.0.0.1:{origin}/plain; }
        location = /return { return 200 "returned"; }
        location = /filtered { header_filter_by_lua_block { ngx.header.x_f = "f" }
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() } content_by_lua_block { ngx.print("loud") } }
        location = /accessed { access_by_lua_block { ngx.ctx.seen = "access" } content_by_lua_block { ngx.print(tostring(ngx.ctx.seen)) } }
        location = /needs-body { lua_need_request_body on; content_by_lua_block { ngx.print("read") } }
        location = /logged { log_subrequest on; content_by_lua_block { ngx.print("in the log") } }
"""

_NAMES = [
    "hello?a=1",
    "hello",
    "silent",
    "me",
    "part/one/two",
    "file/inner",
    "type.html",
    "heads",
    "status",
    "exits",
    "exits-first",
    "ok",
    "fails",
    "fails-late",
    "sleeps",
    "flushes",
    "sends",
    "reads-head",
    "long",
    "eof",
    "ctx",
    "sets",
    "body",
    "threads",
    "unwaited",
    "coroutine",
    "yields",
    "execs",
    "redirects",
    "deeper",
    "talks",
    "remote",
    "return",
    "filtered",
    "accessed",
    "needs-body",
    "logged",
    "fresh",
    "missing",
]

#: What the handler sees of itself afterwards belongs to every answer.
_SHOW = """
        local function result(res)
            local body = #res.body > 200 and #res.body or res.body
            return show({ status = res.status, body = body, header = res.header, truncated = res.truncated }) end
        local function me() return ngx.var.uri .. " " .. tostring(ngx.var.args) .. " " .. ngx.req.get_method() .. " "
            .. tostring(ngx.req.get_headers()["X-B"]) .. " " .. tostring(ngx.ctx.mine) .. " " .. ngx.status .. " " .. tostring(ngx.headers_sent) end
"""

_SNIPPETS = {
    "one": """ngx.ctx.mine = "parent's" local uri = "/" .. ngx.var.arg_of .. (ngx.var.arg_and and "?" .. ngx.var.arg_and or "")
        local res = ngx.location.capture(uri) ngx.say(result(res)) ngx.say(me())""",
    "twice": """local first = ngx.location.capture("/me") local second = ngx.location.capture("/me")
        ngx.say(result(first), result(second), first.header == second.header, me())""",
    "mixed": """local a, b, c, d, e = ngx.location.capture_multi { { "/me" }, { "/sleeps?1" }, { "/remote" }, { "/hello" }, { "/sleeps?2" } }
        for _, res in ipairs { a, b, c, d, e } do ngx.say(result(res)) end ngx.say(me())""",
    "waiting": """local all = { ngx.location.capture_multi { { "/sleeps?1" }, { "/talks" }, { "/threads" }, { "/exits" }, { "/fails-late" },
        { "/deeper" }, { "/unwaited" } } } for _, res in ipairs(all) do ngx.say(result(res)) end ngx.say(me())""",
    "options": """local a, b, c = ngx.location.capture_multi { { "/me" }, { "/me", { method = ngx.HTTP_PUT, body = "x" } }, { "/sleeps" } }
        ngx.say(result(a), result(b), result(c), me())""",
    "many": """local reqs = {} for i = 1, 30 do reqs[i] = { i % 3 == 0 and "/sleeps?" .. i or i % 7 == 0 and "/return" or "/hello?" .. i } end
        for i, res in ipairs { ngx.location.capture_multi(reqs) } do ngx.say(i, result(res)) end""",
    "unsafe": """ngx.say(pcall(ngx.location.capture, "/../x"))
        ngx.say(result(ngx.location.capture("/me")), me())""",
    "coroutine": """local co = coroutine.create(function() local a = ngx.location.capture("/me") coroutine.yield(a.body)
            local b = ngx.location.capture("/sleeps?co") coroutine.yield(b.body) end)
        ngx.say(coroutine.resume(co)) ngx.say(coroutine.resume(co)) ngx.say(me())""",
    "thread": """local t = ngx.thread.spawn(function() return ngx.location.capture("/me").body end)
        local res = ngx.location.capture("/sleeps?t") ngx.say(res.body, select(2, ngx.thread.wait(t)), me())""",
    "printed": """ngx.print("first ") local res = ngx.location.capture("/me") ngx.say(result(res)) ngx.say(me())""",
    "long": """for i = 1, 100 do local res = ngx.location.capture("/hello?" .. i) assert(res.body == "hello from /hello?" .. i .. "\\n", res.body) end
        ngx.say("fine ", me())""",
}

_SCRIPTS: dict[str, Script] = {"/plain": ok(b"from the origin", "Content-Type: x/y")}

CASES = (
    Case(
        "lua-capture-inside",
        server(
            {name: _SHOW + code for name, code in _SNIPPETS.items()},
            _TARGETS,
            top="default_type text/x;",
        ),
        (
            # twice each: only what is compiled runs inside
            *(get(f"/one?of={name.replace('?', '&and=')}", name=f"{name} {n}") for n in (1, 2) for name in _NAMES),
            *(get(f"/{name}?x=y", {"X-A": "h"}) for name in _SNIPPETS if name != "one"),
            get("/one?of=me", version="1.0", name="HTTP/1.0"),
            get("/one?of=me", method="POST", body=b"with a body", name="POST"),
            get("/twice", method="HEAD"),
        ),
        files={**FILES, "lua/inner.lua": 'ngx.print("a file, ", ngx.var.uri)'},
        scripts=_SCRIPTS,
        levels=NOTICES,
    ),
)
