"""Modules of lua-resty-core and lua-resty-lrucache, and Lua in threads of its own.

https://github.com/openresty/lua-resty-core, https://github.com/openresty/lua-resty-lrucache,
https://github.com/openresty/lua-nginx-module#ngxrun_worker_thread
"""

from __future__ import annotations

from harness import http

from ..case import WARNINGS, Case, get
from ..lua import FILES, locations, server

_MODULES = {
    "base64": """
        local b = require "ngx.base64"
        for _, s in ipairs{"", "a", "ab", "abc", "\\255\\254\\253?>", "\\0\\0"} do
            local t = b.encode_base64url(s)
            ngx.say(show(t), show(b.decode_base64url(t) == s))
        end
        for _, s in ipairs{"a", "ab", "__79Pz4", "+/79", "ab=", "ab==", "a b", "\\n", "YWI*"} do ngx.say(show{b.decode_base64url(s)}) end
        ngx.say(show{b.encode_base64url(1)}, show{b.decode_base64url({})})""",
    "add-header": """
        local r = require "ngx.resp"
        r.add_header("X-A", "1") r.add_header("X-A", {"2", 3}) r.add_header("x_b", true)
        ngx.header["X-C"] = "old" r.add_header("X-C", "new") r.add_header("X-D", {})
        ngx.say(show(ngx.header["X-A"]), show{pcall(r.add_header, "X-E")})""",
    "errlog": """
        local e = require "ngx.errlog"
        e.raw_log(ngx.WARN, "raw") ngx.say(e.get_sys_filter_level())
        ngx.say(show{pcall(e.raw_log, "x", "y")}, show{pcall(e.raw_log, 1, 2)}, show{pcall(e.raw_log, 100, "y")})
        ngx.say(show{e.set_filter_level()})""",
    "process": """
        local p = require "ngx.process"
        ngx.say(p.type(), " ", p.get_master_pid() ~= ngx.worker.pid(), show{p.enable_privileged_agent()})""",
    "lrucache": """
        local lru = require "resty.lrucache"
        ngx.say(show{lru.new(0)})
        local c = lru.new(3)
        c:set("a", 1) c:set("b", {2}, nil, 7) c:set("c", "three", 0.01)
        ngx.say(show{c:get("a")}, show{c:get("b")}, show{c:get("c")}, show{c:get("d")})
        ngx.say(c:count(), c:capacity(), show(c:get_keys()), show(c:get_keys(2)))
        c:set("d", 4) ngx.say(show{c:get("a")}, show(c:get_keys()))
        ngx.sleep(0.03) ngx.say(show{c:get("c")})
        ngx.say(show(c:delete("b")), show(c:delete("b")), c:count(), show(c:get_keys()))
        c:set("e", 5) c:set("f", 6) ngx.say(show(c:get_keys(0, {1, 2, 3, 4, 5})), c:count())
        c:set("f", nil) ngx.say(show{c:get("f")}, c:count())
        c:flush_all() ngx.say(c:count(), show(c:get_keys()), show{c:get("e")})
        c:set(1, "x") c:set(true, "y") ngx.say(show(c:get(1)), show(c:get(true)))""",
    "lrucache-order": """
        local c = require("resty.lrucache").new(50)
        local x = 7
        for i = 1, 3000 do
            x = (x * 1103515245 + 12345) % 2147483648
            local key = x % 80
            local what = math.floor(x / 1024) % 4
            if what == 0 then c:delete(key) elseif what == 1 then c:get(key) else c:set(key, i) end
        end
        ngx.say(c:count(), " ", table.concat(c:get_keys(), " "))
        for i = 0, 79 do ngx.print(tostring((c:get(i))), " ") end""",
    "lrucache-pureffi": """
        local c = require("resty.lrucache.pureffi").new(2)
        c:set("a", 1) c:set("b", 2) c:get("a") c:set("c", 3)
        ngx.say(show{c:get("a")}, show{c:get("b")}, show{c:get("c")}) c:delete("a") ngx.say(show{c:get("a")})""",
}

_TASKS = """
local loads = (loads or 0)
local M = {}
function M.nothing() end
function M.echo(...) return select("#", ...), ... end
function M.count(n) local x = 0 for i = 1, n do x = x + i end return x end
function M.raises() error("bad") end
function M.raises_table() error({}) end
function M.fn() return function() end end
function M.inside() return {a = {b = print}} end
function M.deep(n) local t = {} for i = 1, n do t = {t} end return t end
function M.names()
    local found = {}
    for _, name in ipairs{"say", "var", "log", "md5", "encode_base64", "encode_args", "shared", "config", "sleep", "null", "worker"} do
        if ngx[name] ~= nil then found[#found + 1] = name end
    end
    return table.concat(found, " ")
end
function M.store(key, value) return ngx.shared.d:set(key, value), ngx.shared.d:incr("n", 1, 0) end
function M.digest() return ngx.md5("x"), ngx.encode_base64("abc"), ngx.crc32_long("abc"), ngx.encode_args({a = 1}) end
function M.big() return string.rep("0123456789", 1e6) end
function M.size() return collectgarbage("count") end
M.number = 1
return M
"""

_THREADS = {
    "few": 'ngx.say(show{ngx.run_worker_thread()}, show{ngx.run_worker_thread("p", "tasks")})',
    "wrong": """
        local run = ngx.run_worker_thread
        ngx.say(show{run("none", "tasks", "echo")}, show{run({}, "tasks", "echo")}, show{run("p", {}, "echo")}, show{run("p", "tasks", {})})
        ngx.say(show{run("p", "tasks", "missing")}, show{run("p", "tasks", "number")}, show{run("p", "scalar", "echo")})
        local ok, err = run("p", "nowhere", "echo") ngx.say(show(ok), show((err:match("^[^\\n]*"))))""",
    "values": """
        ngx.say(show{ngx.run_worker_thread("p", "tasks", "echo", 1, "x", true, nil, {1, 2, a = {b = false}}, nil)})
        ngx.say(show{ngx.run_worker_thread("p", "tasks", "nothing")}, show{ngx.run_worker_thread("p", "tasks", "count", 1000)})
        ngx.say(select("#", ngx.run_worker_thread("p", "tasks", "echo", nil, nil)))""",
    "refused": """
        local run = ngx.run_worker_thread
        ngx.say(show{run("p", "tasks", "echo", print)}, show{run("p", "tasks", "echo", {a = {coroutine.create(print)}})})
        ngx.say(show{run("p", "tasks", "echo", newproxy())}, show{run("p", "tasks", "fn")}, show{run("p", "tasks", "inside")})
        local t = {} t.t = t ngx.say(show{run("p", "tasks", "echo", t)})
        ngx.say((run("p", "tasks", "deep", 98)), show{run("p", "tasks", "deep", 99)})""",
    "raises": 'ngx.say(show{ngx.run_worker_thread("p", "tasks", "raises")})',
    "names": 'ngx.say(show{ngx.run_worker_thread("p", "tasks", "names")}, show{ngx.run_worker_thread("p", "tasks", "digest")})',
    "shared": """
        ngx.say(show{ngx.run_worker_thread("p", "tasks", "store", "k", "v")}, show{ngx.shared.d:get("k")})
        ngx.say(show{ngx.run_worker_thread("p", "tasks", "store", "k", nil)}, show{ngx.shared.d:get("k")}, ngx.shared.d:get("n"))""",
    "threads": """
        local function f(n) return select(3, ngx.run_worker_thread("p", "tasks", "echo", n)) end
        local t = {} for i = 1, 5 do t[i] = ngx.thread.spawn(f, i) end
        for i = 1, 5 do ngx.say(show{ngx.thread.wait(t[i])}) end""",
    "killed": """
        local t = ngx.thread.spawn(function() return ngx.run_worker_thread("p", "tasks", "count", 1000000) end)
        ngx.say(show{ngx.thread.kill(t)})""",
}

CASES = (
    Case(
        "lua-modules",
        server(_MODULES),
        files=FILES,
        asks=tuple(get(f"/{name}") for name in _MODULES),
        levels=WARNINGS,
    ),
    Case(
        "lua-worker-thread",
        http(
            'lua_package_path "$prefix/lua/?.lua;;"; lua_shared_dict d 1m;\n'
            "lua_worker_thread_vm_pool_size 8; server { listen {port};\n"
            + locations(_THREADS)
            + """
        location /big { content_by_lua_block {
            local _, text = ngx.run_worker_thread("p", "tasks", "big")
            local _, kilobytes = ngx.run_worker_thread("p", "tasks", "size")
            ngx.say(#text, " ", kilobytes < #text / 1024)
        } }
        location /log { return 200; log_by_lua_block {
            ngx.run_worker_thread("p", "tasks", "echo", 1)
        } }
    }""",
            main="thread_pool p threads=4;",
        ),
        files={**FILES, "lua/tasks.lua": _TASKS, "lua/scalar.lua": "return 1\n"},
        asks=(
            *(get(f"/{name}") for name in (*_THREADS, "log")),
            get("/big", differs="what a task leaves behind stays there", expect={"body": "10000000 true\n"}),
        ),
        levels=WARNINGS,
    ),
)
