"""Where Lua runs: init, init_worker, set, rewrite, access, content, log; as string, block and file.

https://github.com/openresty/lua-nginx-module#directives
"""

from __future__ import annotations

from harness import http

from ..case import NOTICES, Case, get
from ..lua import FILES

_PHASES = http(
    r"""
    lua_package_path "$prefix/lua/?.lua;;";
    init_by_lua_block { started = ngx.get_phase() shared = {n = 0} package.loaded.fromInit = {x = 1} }
    init_worker_by_lua_block { worker = ngx.get_phase() .. ngx.worker.id() }
    server {
        listen {port};
        root html;
        location /init { content_by_lua_block { ngx.say(started, " ", worker, " ", shared.n, " ",
            require("fromInit").x) } }
        location /phases {
            set_by_lua_block $s { return ngx.get_phase() }
            rewrite_by_lua_block { ngx.ctx.p = ngx.var.s .. " " .. ngx.get_phase() }
            access_by_lua_block { ngx.ctx.p = ngx.ctx.p .. " " .. ngx.get_phase() }
            content_by_lua_block { ngx.say(ngx.ctx.p, " ", ngx.get_phase()) }
            log_by_lua_block { ngx.log(ngx.WARN, ngx.get_phase(), " ", ngx.ctx.p, " ", ngx.status, " ",
                ngx.var.bytes_sent > "0") }
        }
        location /string { content_by_lua 'ngx.say("string", \' \', "q\\n")'; }
        location /file { content_by_lua_file lua/content.lua; }
        location /fileabs { content_by_lua_file {prefix}/lua/content.lua; }
        location /filevar/ { content_by_lua_file lua/$arg_f.lua; }
        location ~ ^/filere/(\w+)$ { content_by_lua_file lua/$1.lua; }
        location /filemissing { content_by_lua_file lua/missing.lua; }
        location /filesyntax { content_by_lua_file lua/syntax.lua; }
        location /set {
            set_by_lua $a 'return ngx.arg[1] + ngx.arg[2]' $arg_x 3;
            set_by_lua_block $b { return "block" } set_by_lua_block $c { } set_by_lua_block $d { return nil }
                set_by_lua_block $e { return 1.5 }
            set_by_lua_file $f lua/set.lua $a x; set_by_lua_block $g { return 1, 2 } set_by_lua_block $h {
                ngx.var.i = "i" return true }
            set $i "";
            return 200 "[$a][$b][$c][$d][$e][$f][$g][$h][$i]";
        }
        location /setraise { set_by_lua_block $a { error("no") } return 200 "[$a]"; }
        location /setsleep { set_by_lua_block $a { ngx.sleep(0.01) return "x" } return 200 "[$a]"; }
        location /setsay { set_by_lua_block $a { ngx.say("x") return "x" } return 200 "[$a]"; }
        location /rw/say { rewrite_by_lua_block { ngx.say("from rewrite") } content_by_lua_block { ngx.say("never") } }
        location /rw/exit { rewrite_by_lua_block { ngx.exit(403) } content_by_lua_block { ngx.say("never") } }
        location /rw/ok { rewrite_by_lua_block { ngx.exit(ngx.OK) } content_by_lua_block { ngx.say("content") } }
        location /rw/declined { rewrite_by_lua_block { ngx.exit(ngx.DECLINED) } content_by_lua_block {
            ngx.say("content") } }
        location /rw/error { rewrite_by_lua_block { ngx.exit(ngx.ERROR) } content_by_lua_block { ngx.say("never") } }
        location /rw/200 { rewrite_by_lua_block { ngx.exit(200) } content_by_lua_block { ngx.say("never") } }
        location /rw/uri { rewrite_by_lua_block { ngx.req.set_uri("/rw/target") } content_by_lua_block {
            ngx.say("stays ", ngx.var.uri) } }
        location /rw/jump { rewrite_by_lua_block { ngx.req.set_uri("/rw/target", true) ngx.log(ngx.ERR, "never") } }
        location /rw/jumpargs { rewrite_by_lua_block { ngx.req.set_uri_args("j=1") ngx.req.set_uri("/rw/target", true)
            } }
        location /rw/target { return 200 "target $uri $args"; }
        location /rw/exec { rewrite_by_lua_block { ngx.exec("/rw/target", "e=1") } }
        location /rw/redirect { rewrite_by_lua_block { ngx.redirect("/elsewhere") } }
        location /rw/after { set $v 1; rewrite_by_lua_block { ngx.var.v = ngx.var.v .. "lua" } set $v "${v}set";
            content_by_lua_block { ngx.say(ngx.var.v) } }
        location /rw/if { rewrite_by_lua_block { ngx.var.v = 2 } set $v 1; if ($v = 2) { return 200 "too late"; }
            content_by_lua_block { ngx.say(ngx.var.v) } }
        location /rw/raise { rewrite_by_lua_block { error("rewrite fails") } content_by_lua_block { ngx.say("never") } }
        location /rw/string { rewrite_by_lua 'ngx.ctx.x = 1'; access_by_lua 'ngx.ctx.x = ngx.ctx.x + 1';
            content_by_lua 'ngx.say(ngx.ctx.x)'; log_by_lua 'print(ngx.ctx.x)'; }
        location /rw/static { rewrite_by_lua_block { ngx.req.set_uri("/file.txt") } }
        location /rw/sleep { rewrite_by_lua_block { ngx.sleep(0.01) } access_by_lua_block { ngx.sleep(0.01) }
            content_by_lua_block { ngx.say("slept") } }
        location /rw/file { rewrite_by_lua_file lua/rewrite.lua; access_by_lua_file lua/rewrite.lua;
            content_by_lua_file lua/rewrite.lua; log_by_lua_file lua/rewrite.lua; }
        location /ac/403 { access_by_lua_block { ngx.exit(403) } content_by_lua_block { ngx.say("never") } }
        location /ac/401 { access_by_lua_block { ngx.header["WWW-Authenticate"] = "Basic" ngx.exit(401) } return 200; }
        location /ac/ok { access_by_lua_block { ngx.exit(ngx.OK) } content_by_lua_block { ngx.say("content") } }
        location /ac/200 { access_by_lua_block { ngx.say("own") ngx.exit(200) } content_by_lua_block {
            ngx.say("never") } }
        location /ac/header { access_by_lua_block { ngx.header.X_A = "kept" } content_by_lua_block { ngx.say("x") } }
        location /ac/static/ { alias html/; access_by_lua_block { if ngx.var.arg_no then ngx.exit(403) end
            ngx.header.X_A = "on a file" } }
        location /ac/raise { access_by_lua_block { error("access fails") } content_by_lua_block { ngx.say("never") } }
        location /ac/page { error_page 403 /rw/target; access_by_lua_block { ngx.exit(403) } }
        location /log/raise { log_by_lua_block { error("log fails") } content_by_lua_block { ngx.say("fine") } }
        location /log/yield { log_by_lua_block { ngx.sleep(0.01) } content_by_lua_block { ngx.say("fine") } }
        location /log/say { log_by_lua_block { ngx.say("x") } content_by_lua_block { ngx.say("fine") } }
        location /log/static { alias html/file.txt; log_by_lua_block { ngx.log(ngx.WARN, ngx.var.uri, ngx.status,
            ngx.var.request_completion) } }
        location /log/error { log_by_lua_block { ngx.log(ngx.WARN, ngx.status) } return 404; }
        location /inherit { rewrite_by_lua_block { ngx.ctx.a = "outer" } location /inherit/inner {
            content_by_lua_block { ngx.say(ngx.ctx.a) } } return 200 "o"; }
        location /two { content_by_lua_block { ngx.say("a -- not a comment } in a string", [[ ]=] } ]], '\'}')
            --[[ } ]] -- }
        } }
        location = /same { content_by_lua_block { ngx.say(n, " ", rawget(_G, "n"), " ", getfenv(0) == _G) n = (n or 0)
            + 1 _G.m = 1 setmetatable(_G, nil) } }
        location /module { content_by_lua_block { local m = require("counter") m.n = m.n + 1 ngx.say(m.n, " ", m.name,
            " ", package.loaded.counter == m) } }
    }
    server {
        listen {port2};
        rewrite_by_lua_block { ngx.ctx.s = "server" }
        access_by_lua_block { if ngx.var.arg_no then ngx.exit(403) end }
        log_by_lua_block { ngx.log(ngx.WARN, "server log ", ngx.var.uri) }
        location / { content_by_lua_block { ngx.say(ngx.ctx.s) } }
        location /own { rewrite_by_lua_block { ngx.ctx.s = "own" } content_by_lua_block { ngx.say(ngx.ctx.s) } }
        location /static { return 200 "returned"; }
    }
    """
)

_NAMES = [
    line.split("{")[0].split("location ")[1].strip("= ").strip()
    for line in _PHASES.splitlines()
    if line.strip().startswith("location ")
]
_PATHS = [
    name for name in _NAMES if name.startswith("/") and name not in ("/", "/own", "/static", "/filevar/", "/inherit")
]

_FILES = {
    **FILES,
    "lua/content.lua": 'ngx.say("file ", ngx.var.uri, " ", ...)\n',
    "lua/syntax.lua": "ngx.say(\n\nif\n",
    "lua/set.lua": 'return "set " .. ngx.arg[1] .. ngx.arg[2]\n',
    "lua/rewrite.lua": (
        'ngx.ctx.n = (ngx.ctx.n or 0) + 1\nif ngx.get_phase() == "content" then ngx.say(ngx.ctx.n) '
        "end\nprint(ngx.get_phase(), ngx.ctx.n)\n"
    ),
    "lua/counter.lua": "local _M = { n = 0 }\n_M.name = ...\nreturn _M\n",
    "lua/bare.lua": "",
    "html/file.txt": "static",
}

CASES = (
    Case(
        "lua-phases",
        _PHASES,
        (
            *(get(f"{path}?x=4") for path in _PATHS),
            get("/filevar/?f=content"),
            get("/filevar/?f=nope"),
            get("/filevar/?f=syntax"),
            get("/filevar/?f=bare"),
            get("/filere/content"),
            get("/filere/nope"),
            get("/inherit/inner"),
            get("/inherit/other"),
            get("/ac/static/file.txt"),
            get("/ac/static/file.txt?no=1"),
            get("/ac/static/none"),
            get("/same", name="globals again"),
            get("/module", name="module again"),
            get("/a", port="port2", name="server: /a"),
            get("/own", port="port2", name="server: /own"),
            get("/own?no=1", port="port2", name="server: access"),
            get("/static?no=1", port="port2", name="server: return comes first"),
            get("/none", name="no such file"),
        ),
        files=_FILES,
        levels=NOTICES,
    ),
    Case(
        "lua-code-cache-off",
        http(
            """
            lua_package_path "$prefix/lua/?.lua;;";
            lua_code_cache off;
            init_by_lua_block { started = (started or 0) + 1 }
            server {
                listen {port};
                location /module { content_by_lua_block { local m = require("counter") m.n = m.n + 1 ngx.say(m.n, " ",
                    started) } }
                location /edit { content_by_lua_block {
                    local f = io.open(ngx.config.prefix() .. "lua/edited.lua", "w")
                        f:write("return '" .. ngx.var.arg_v .. "'") f:close()
                    ngx.say(require("edited")) } }
                location /edited { content_by_lua_block { ngx.say(require("edited")) } }
                location /file { content_by_lua_file lua/edited.lua; }
                location /global { content_by_lua_block { x = (x or 0) + 1 ngx.say(x) } }
                location /capture { content_by_lua_block { local r = ngx.location.capture("/module") ngx.print(r.body,
                    require("counter").n, "\\n") } }
                location /raise { content_by_lua_file lua/raise.lua; }
                location /phases { rewrite_by_lua_block { require("counter").n = 10 } content_by_lua_block {
                    ngx.say(require("counter").n) } }
            }
            """
        ),
        (
            get("/module"),
            get("/module", name="again"),
            get("/edit?v=one"),
            get("/edited"),
            get("/edit?v=twotwo"),
            get("/edited", name="after an edit"),
            get("/file"),
            get("/global"),
            get("/global", name="global again"),
            get(
                "/capture",
                differs="the reference mixes up the blocks of a request and its subrequest, and goes round in circles",
                expect={"status": 200, "body": "1 1\n1\n"},
            ),
            get("/raise"),
            get("/phases"),
        ),
        files={
            **_FILES,
            "lua/edited.lua": "return 0",
            "lua/raise.lua": 'local function f()\n    error("in a file")\nend\n\nf()\n',
        },
        levels=NOTICES,
        drop=("subrequests cycle", "failed to issue subrequest"),
    ),
)
