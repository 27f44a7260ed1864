"""Light threads, semaphores, timers and the client's going away.

https://github.com/openresty/lua-nginx-module#ngxthreadspawn, #ngxtimerat, #ngxon_abort
"""

from __future__ import annotations

from ..case import WARNINGS, Case, get
from ..lua import FILES, server

_TARGET = """
        location = /quick { content_by_lua_block { ngx.say("quick") } }
        location = /slow { content_by_lua_block { ngx.sleep(0.03) ngx.say("slow") } }
"""

_THREADS = {
    "order": (
        "local function f(n) ngx.say('f ', n) ngx.sleep(0.01 * n) ngx.say('g ', n) return n, {n} end "
        "local a = ngx.thread.spawn(f, 1) ngx.say(coroutine.status(a)) local b = ngx.thread.spawn(f, 2) ngx.say('entry') "
        "local ok, one, two = ngx.thread.wait(a, b) ngx.say(show({ok, one, two})) ngx.say(show({ngx.thread.wait(b)})) "
        "ngx.say(show({ngx.thread.wait(a)}), coroutine.status(b))"
    ),
    "yields": (
        "local yield = coroutine.yield local function f() for i = 1, 3 do ngx.say('f ', i) yield('x') end end "
        "ngx.say(0) yield() ngx.say(1) ngx.thread.spawn(f) for i = 2, 5 do ngx.say(i) yield(i) end"
    ),
    "status-passing": """
        local outer, inner
        local function wait()
            ngx.sleep(0.02) coroutine.wrap(function() ngx.sleep(0.02) end)()
            ngx.say("in ", coroutine.status(outer), " ", coroutine.status(inner))
        end
        local t = ngx.thread.spawn(function()
            outer, inner = coroutine.running(), coroutine.create(wait)
            coroutine.resume(inner) ngx.say("over ", coroutine.status(inner), " ", coroutine.status(outer))
        end)
        ngx.say(coroutine.status(outer), " ", coroutine.status(inner)) ngx.say(show({coroutine.resume(inner)}))
        ngx.say(show({coroutine.resume(outer)})) ngx.sleep(0.03) ngx.say(coroutine.status(outer), " ", coroutine.status(inner))
        ngx.thread.wait(t) ngx.say(coroutine.status(outer), " ", coroutine.status(inner))""",
    "status-handler": """
        local main = coroutine.running()
        local function see() ngx.say(coroutine.status(main), " ", show({coroutine.resume(main)})) end
        ngx.thread.spawn(function() see() ngx.sleep(0.01) see() end) ngx.sleep(0.02) ngx.say("end")""",
    "status-resumed": """
        local main = coroutine.running()
        local c = coroutine.create(function()
            ngx.say(coroutine.status(main), show({coroutine.resume(main)})) ngx.sleep(0.01) ngx.say(coroutine.status(main))
        end)
        ngx.thread.spawn(function()
            ngx.sleep(0.005) ngx.say(coroutine.status(main), coroutine.status(c), show({coroutine.resume(c)}))
        end)
        coroutine.resume(c) ngx.say(coroutine.status(c))""",
    "yields-three": (
        "local function f(n) for i = 1, 3 do ngx.print(n, i, ' ') coroutine.yield() end end "
        "for n = 1, 3 do ngx.thread.spawn(f, n) end f(4) ngx.say('end')"
    ),
    "entry-first": "ngx.thread.spawn(function() ngx.sleep(0.01) ngx.say('thread') end) ngx.say('entry')",
    "nested": (
        "ngx.thread.spawn(function() ngx.say('a') local t = ngx.thread.spawn(function() ngx.sleep(0.01) ngx.say('c') return 7 end) "
        "ngx.say('b') ngx.say(show({ngx.thread.wait(t)})) end) ngx.say('entry')"
    ),
    "nothing-returned": "local t = ngx.thread.spawn(function() end) ngx.say(coroutine.status(t), show({ngx.thread.wait(t)}))",
    "many-returned": "local t = ngx.thread.spawn(function(...) return ... end, 1, nil, 'x', nil) ngx.say(select('#', ngx.thread.wait(t)))",
    "nothing-counted": (
        "ngx.say(select('#', ngx.thread.wait(ngx.thread.spawn(function() end)))) "
        "ngx.say(select('#', coroutine.resume(coroutine.create(function() end)))) "
        "ngx.say(select('#', coroutine.wrap(function() end)()))"
    ),
    "normal": (
        "local t t = ngx.thread.spawn(function() ngx.sleep(0.01) "
        "coroutine.wrap(function() ngx.say(coroutine.status(t)) end)() end)"
    ),
    "twice": "local t = ngx.thread.spawn(function() return 1 end) ngx.thread.wait(t) ngx.say(show({ngx.thread.wait(t)}))",
    "dead-and-living": (
        "local a = ngx.thread.spawn(function() return 'a' end) ngx.thread.wait(a) "
        "local b = ngx.thread.spawn(function() ngx.sleep(0.01) return 'b' end) ngx.say(show({ngx.thread.wait(a, b)}))"
    ),
    "fails": "local t = ngx.thread.spawn(function() error('bad') end) ngx.say(coroutine.status(t), show({ngx.thread.wait(t)}))",
    "fails-later": "local t = ngx.thread.spawn(function() ngx.sleep(0.01) error('bad') end) ngx.say(show({ngx.thread.wait(t)}))",
    "fails-locals": (
        "local t = ngx.thread.spawn(function(a, b) local x, y = 1, nil; y.z = 1 end, 'A', 'B') ngx.say(show({ngx.thread.wait(t)}))"
    ),
    "fails-table": "local t = ngx.thread.spawn(function() error({7}) end) ngx.say(show({ngx.thread.wait(t)}))",
    "fails-assert": "local t = ngx.thread.spawn(function() assert(false, 'no') end) ngx.say(show({ngx.thread.wait(t)}))",
    "fails-alone": "ngx.thread.spawn(function() error('bad') end) ngx.say('entry')",
    "entry-fails": "ngx.thread.spawn(function() ngx.sleep(0.02) ngx.say('never') end) error('entry')",
    "entry-fails-later": "ngx.thread.spawn(function() ngx.sleep(1) end) ngx.sleep(0.01) error('entry')",
    "exit-in-thread": "ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exit(403) end) ngx.sleep(5) ngx.say('never')",
    "exit-in-thread-sent": "ngx.say('x') ngx.thread.spawn(function() ngx.sleep(0.01) ngx.say('y') ngx.exit(0) end) ngx.sleep(5)",
    "exit-in-entry": "ngx.thread.spawn(function() ngx.sleep(5) ngx.say('never') end) ngx.say('x') ngx.exit(200)",
    "exit-at-once": "ngx.thread.spawn(function() ngx.say('x') ngx.exit(200) end) ngx.say('never')",
    "exec-in-thread": "ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exec('/quick') end) ngx.sleep(5)",
    "redirect-in-thread": "ngx.thread.spawn(function() ngx.redirect('/quick') end) ngx.sleep(5)",
    "kill": (
        "local t = ngx.thread.spawn(function() ngx.sleep(5) ngx.say('never') end) ngx.say(show({ngx.thread.kill(t)})) "
        "ngx.say(show({ngx.thread.kill(t)}), coroutine.status(t)) ngx.say(show({ngx.thread.wait(t)}))"
    ),
    "kill-ended": "local t = ngx.thread.spawn(function() end) ngx.say(show({ngx.thread.kill(t)})) ngx.say(show({ngx.thread.kill(t)}))",
    "kill-posted": (
        "local t = ngx.thread.spawn(function() coroutine.yield() ngx.say('never') end) ngx.say(show({ngx.thread.kill(t)})) coroutine.yield()"
    ),
    "kill-other": (
        "local t = ngx.thread.spawn(function() ngx.sleep(0.02) end) "
        "local k = ngx.thread.spawn(function() return ngx.thread.kill(t) end) ngx.say(show({ngx.thread.wait(k)}))"
    ),
    "kill-coroutine": "ngx.say(show({ngx.thread.kill(coroutine.create(function() end))}))",
    "kill-subrequest": (
        "local t = ngx.thread.spawn(function() return ngx.location.capture('/slow').body end) "
        "ngx.say(show({ngx.thread.kill(t)})) ngx.say(show({ngx.thread.wait(t)}))"
    ),
    "wait-no-thread": "ngx.say(show({pcall(ngx.thread.wait, coroutine.create(function() end))}))",
    "wait-nothing": "ngx.say(show({pcall(ngx.thread.wait)}))",
    "wait-not-parent": (
        "local t = ngx.thread.spawn(function() ngx.sleep(0.01) end) "
        "local k = ngx.thread.spawn(function() return pcall(ngx.thread.wait, t) end) ngx.say(show({ngx.thread.wait(k)}))"
    ),
    "wait-in-coroutine": (
        "local co = coroutine.create(function() local t = ngx.thread.spawn(function() ngx.sleep(0.01) return 5 end) "
        "return ngx.thread.wait(t) end) ngx.say(show({coroutine.resume(co)}))"
    ),
    "resume-thread": "local t = ngx.thread.spawn(function() ngx.sleep(0.01) end) ngx.say(show({coroutine.resume(t)}))",
    "coroutine-in-thread": (
        "local t = ngx.thread.spawn(function() local co = coroutine.wrap(function() ngx.sleep(0.01) coroutine.yield(1) return 2 end) "
        "return co(), co() end) ngx.say(show({ngx.thread.wait(t)}))"
    ),
    "captures": (
        "local function c(uri) return ngx.location.capture(uri).body end local a, b = ngx.thread.spawn(c, '/slow'), ngx.thread.spawn(c, '/quick') "
        "ngx.say(show({ngx.thread.wait(a, b)})) ngx.say(show({ngx.thread.wait(a)}))"
    ),
    "abort-pending": "ngx.thread.spawn(function() ngx.location.capture('/slow') ngx.say('done') end) ngx.say(show({pcall(ngx.exit, 403)}))",
    "spawn-wrong": "ngx.say(show({pcall(ngx.thread.spawn)}), show({pcall(ngx.thread.spawn, ngx.say)}))",
    "no-thread-left": "for i = 1, 100 do ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.001) end)) end ngx.say('100')",
    "ctx": "ngx.ctx.a = 1 ngx.thread.spawn(function() ngx.ctx.a = ngx.ctx.a + 1 end) ngx.say(ngx.ctx.a)",
}

_NEW = "local semaphore = require 'ngx.semaphore' local sem = semaphore.new(0) "
_SEMAPHORES = {
    "post-wait": _NEW
    + "sem:post(2) ngx.say(sem:count(), show({sem:wait(0)}), show({sem:wait(1)}), show({sem:wait(0)}), sem:count())",
    "timeout": _NEW + "ngx.say(show({sem:wait(0.01)}), show({sem:wait(0)}))",
    "threads": (
        _NEW + "local t = ngx.thread.spawn(function() return sem:wait(1) end) ngx.say(sem:count()) ngx.say(sem:post()) "
        "ngx.say(show({ngx.thread.wait(t)}), sem:count())"
    ),
    "fair": (
        _NEW
        + "local function f(n) sem:wait(1) ngx.say(n) end for n = 1, 3 do ngx.thread.spawn(f, n) end ngx.say(sem:count()) sem:post(2) "
        "ngx.sleep(0.01) ngx.say('then') sem:post(1)"
    ),
    "killed": (
        _NEW
        + "local t = ngx.thread.spawn(function() sem:wait(9) end) ngx.say(sem:count()) ngx.thread.kill(t) ngx.say(sem:count()) "
        "sem:post() ngx.say(sem:count())"
    ),
    "wrong": (
        _NEW
        + "ngx.say(show({pcall(semaphore.new, -1)}), show({pcall(sem.wait, {}, 1)}), show({pcall(sem.wait, sem, -1)}), "
        "show({pcall(sem.post, sem, 0)}), show({pcall(sem.post, 1)}))"
    ),
}

_LOG = "local function log(...) ngx.log(ngx.WARN, ...) end "
_TIMERS = {
    "at": _LOG
    + "ngx.say(show({ngx.timer.at(0.01, function(...) log('timer: ', show({...}), ngx.get_phase()) end, 1, nil, {2})})) ngx.sleep(0.03)",
    "zero": _LOG + "ngx.say(ngx.timer.at(0, function() log('zero') end)) ngx.sleep(0.02)",
    "counts": (
        "ngx.timer.at(0.1, function() ngx.sleep(0.2) end) ngx.say(ngx.timer.pending_count(), ngx.timer.running_count()) ngx.sleep(0.2) "
        "ngx.say(ngx.timer.pending_count(), ngx.timer.running_count()) ngx.sleep(0.3) ngx.say(ngx.timer.pending_count(), ngx.timer.running_count())"
    ),
    "fails": "ngx.timer.at(0, function() error('timer') end) ngx.sleep(0.02) ngx.say('x')",
    "fails-waited": "ngx.timer.at(0, function() ngx.sleep(0.001) error({}) end) ngx.sleep(0.02) ngx.say('x')",
    "chain": _LOG
    + "local n = 0 local function f() n = n + 1 log('chain ', n) if n < 3 then ngx.timer.at(0, f) end end f() ngx.sleep(0.03) ngx.say(n)",
    "threads": _LOG
    + "ngx.timer.at(0, function() local t = ngx.thread.spawn(function() ngx.sleep(0.001) return 1 end) log(show({ngx.thread.wait(t)})) end) ngx.sleep(0.03) ngx.say('x')",
    "exit": _LOG + "ngx.timer.at(0, function() log('a') ngx.exit(200) log('never') end) ngx.sleep(0.02) ngx.say('x')",
    "ctx": _LOG
    + "ngx.ctx.a = 1 ngx.timer.at(0, function() log(show(ngx.ctx)) ngx.ctx.b = 2 log(show(ngx.ctx)) end) ngx.sleep(0.02) ngx.say('x')",
    "refused": _LOG
    + (
        "ngx.timer.at(0, function() log(show({pcall(function() return ngx.var.uri end)}), show({pcall(ngx.say, 1)}), "
        "show({pcall(ngx.location.capture, '/x')}), show({pcall(ngx.req.get_headers)}), show({pcall(ngx.redirect, '/x')}), "
        "show({pcall(function() return ngx.status end)}), show({pcall(function() ngx.header.a = 1 end)}), show({pcall(ngx.exec, '/x')})) end) "
        "ngx.sleep(0.02) ngx.say('x')"
    ),
    "wrong": (
        "ngx.say(show({pcall(ngx.timer.at, 1)}), show({pcall(ngx.timer.at, 'x', function() end)}), show({pcall(ngx.timer.at, 1, ngx.say)}), "
        "show({pcall(ngx.timer.every, 0, function() end)}))"
    ),
    "socket": _LOG
    + (
        "local port = ngx.var.server_port ngx.timer.at(0, function() local s = ngx.socket.tcp() log(show({s:connect('127.0.0.1', port)})) "
        "s:send('GET /quick HTTP/1.0\\r\\n\\r\\n') log(show({s:receive()})) s:close() end) ngx.sleep(0.04) ngx.say('x')"
    ),
    "running": _LOG
    + "for i = 1, 4 do ngx.timer.at(0, function() ngx.sleep(0.02) log('ran') end) end ngx.sleep(0.05) ngx.say('x')",
    "waits-for-nothing": (
        "for i = 1, 2 do ngx.timer.at(0, function() local u = ngx.socket.udp() u:setpeername('127.0.0.1', 9) u:close() end) end "
        "ngx.sleep(0.05) ngx.say(ngx.timer.running_count())"
    ),
    "pending": "for i = 1, 4 do ngx.say(show({ngx.timer.at(0.01, function() end)})) end ngx.sleep(0.03)",
}

CASES = (
    Case(
        "lua-threads",
        server(_THREADS, _TARGET),
        tuple(get(f"/{name}") for name in _THREADS),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-threads-phases",
        server(
            {},
            _TARGET
            + """
        location = /rewrite {
            rewrite_by_lua_block { ngx.thread.spawn(function() ngx.sleep(0.01) ngx.ctx.x = "rewritten" end) }
            content_by_lua_block { ngx.say(ngx.ctx.x) }
        }
        location = /access {
            access_by_lua_block { ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exit(403) end) ngx.sleep(5) }
            content_by_lua_block { ngx.say("never") }
        }
        location = /access-ok {
            access_by_lua_block { ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exit(0) end) ngx.sleep(5) }
            content_by_lua_block { ngx.say("on") }
        }
        location = /log { content_by_lua_block { ngx.say("x") } log_by_lua_block { ngx.thread.spawn(function() end) } }
        location = /jump { rewrite_by_lua_block { ngx.thread.spawn(function() ngx.req.set_uri("/quick", true) end) ngx.sleep(5) } }
        """,
        ),
        tuple(get(path) for path in ("/rewrite", "/access", "/access-ok", "/log", "/jump")),
        files=FILES,
    ),
    Case("lua-semaphores", server(_SEMAPHORES), tuple(get(f"/{name}") for name in _SEMAPHORES), files=FILES),
    Case(
        "lua-timers",
        server(_TIMERS, _TARGET, "lua_max_running_timers 3; lua_max_pending_timers 3;"),
        tuple(get(f"/{name}") for name in _TIMERS if name != "running"),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-timers-running",
        server({"running": _TIMERS["running"]}, "", "lua_max_running_timers 3;"),
        (get("/running"),),
        files=FILES,
        levels=WARNINGS,
    ),
)
