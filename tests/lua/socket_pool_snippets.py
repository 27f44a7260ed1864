"""The pieces of Lua that ``test_socket_pool.py`` runs on both servers: idle connections, queues of connects, requests
and phases."""

from __future__ import annotations

from origin import COUNT, KEEP, WAIT
from socket_runs import Runs

#: ``who(s)``: what the origin calls this connection, "connection C, request R", and how often it was reused.
_WHO = """
    local function who(s)
        if not s then return 'none' end
        s:send('who\\n') local size = 0
        while true do
            local line, err = s:receive() if not line then return err end
            if line == '' then break end
            size = tonumber(line:match('Content%-Length: (%d+)')) or size
        end
        return s:receive(size) .. ' reused ' .. s:getreusedtimes()
    end
"""

POOL = Runs(
    "socket-pool",
    {
        name: _WHO + code
        for name, code in {
            "reused": """for i = 1, 4 do local s = dial() ngx.say(who(s), show({s:setkeepalive()})) end
                local s = dial() ngx.say(who(s), show({s:close()})) s = dial() ngx.say(who(s)) s:close()""",
            "next-request-1": "local s = dial(nil, {pool = 'next'}) ngx.say(who(s), show({s:setkeepalive(0, 10)}))",
            "next-request-2": """local s = dial(nil, {pool = 'next'}) ngx.say(who(s), show({s:setkeepalive('10000',
            '10')}))""",
            "next-request-3": "local s = dial(nil, {pool = 'next'}) ngx.say(who(s))",
            "left-open-1": "local s = dial(nil, {pool = 'open'}) ngx.say(who(s))",
            "left-open-2": "local s = dial(nil, {pool = 'open'}) ngx.say(who(s)) s:close()",
            "names": """local a, b = dial(nil, {pool = 'a'}), dial(nil, {pool = 7}) who(a) who(b) a:setkeepalive()
            b:setkeepalive()
                local c = dial() ngx.say(who(c)) c:close() b = dial(nil, {pool = '7'}) ngx.say(who(b)) b:close() a =
                dial(nil, {pool = 'a'})
                ngx.say(who(a)) a:close()""",
            "last-first": """local all = {} for i = 1, 3 do all[i] = dial(nil, {pool = 'order'}) ngx.say(who(all[i]))
            end
                for i = 1, 3 do all[i]:setkeepalive() end for i = 1, 3 do all[i] = dial(nil, {pool = 'order'})
                ngx.say(who(all[i])) end
                for i = 1, 3 do all[i]:close() end""",
            "full": """local all = {} for i = 1, 4 do all[i] = dial(nil, {pool = 'full'}) ngx.say(who(all[i])) end
                for i = 1, 4 do ngx.say(show({all[i]:setkeepalive(1000, 2)})) end
                for i = 1, 4 do all[i] = dial(nil, {pool = 'full'}) ngx.say(who(all[i])) end for i = 1, 4 do
                all[i]:close() end""",
            "size-stays": """local o = {pool = 'stays', pool_size = 1} local all = {} for i = 1, 3 do all[i] =
            dial(nil, o) end
                for i = 1, 3 do ngx.say(show({all[i]:setkeepalive(1000, 10)})) end
                for i = 1, 3 do all[i] = dial(nil, o) ngx.say(show({all[i]:getreusedtimes()})) end for i = 1, 3 do
                all[i]:close() end
                o.pool_size = 3 for i = 1, 3 do all[i] = dial(nil, o) end for i = 1, 3 do all[i]:setkeepalive() end
                for i = 1, 3 do all[i] = dial(nil, o) ngx.say(show({all[i]:getreusedtimes()})) end for i = 1, 3 do
                all[i]:close() end""",
            "idle-timeout": """local s = dial(nil, {pool = 't'}) who(s) ngx.say(show({s:setkeepalive(30)}))
            ngx.sleep(0.1)
                s = dial(nil, {pool = 't'}) ngx.say(show({s:getreusedtimes()})) s:setkeepalive(10000) ngx.sleep(0.05)
                s = dial(nil, {pool = 't'}) ngx.say(show({s:getreusedtimes()})) s:setkeepalive(30) s = dial(nil, {pool
                = 't'}) ngx.sleep(0.1)
                ngx.say(who(s)) s:close()""",
            "peer-closes": """local s = dial('bye', {pool = 'bye'}) ngx.say(show({s:receive()}),
            show({s:setkeepalive()})) ngx.sleep(0.1)
                s = dial(nil, {pool = 'bye'}) ngx.say(show({s:getreusedtimes()})) s:close()""",
            "peer-talks": """local s = dial('talks', {pool = 'talks'}) ngx.say(show({s:receive()}),
            show({s:setkeepalive()})) ngx.sleep(0.1)
                s = dial(nil, {pool = 'talks'}) ngx.say(show({s:getreusedtimes()})) s:close()""",
            "unread": """local s = dial('two') ngx.say(show({s:receive()}), show({s:setkeepalive()}),
            show({s:receive()}), show({s:setkeepalive()}),
                show({s:setkeepalive()}), show({s:receive()})) s = dial() ngx.say(show({s:getreusedtimes()}))
                s:close()""",
            "dubious": """local s = dial('two') ngx.sleep(0.05) ngx.say(show({s:setkeepalive()}),
            show({s:setkeepalive()}), show({s:receive()}),
                show({s:close()}))""",
            "ended": """local s = dial('bye') s:receive() ngx.sleep(0.1) ngx.say(show({s:setkeepalive()}),
            show({s:receive()}), show({s:setkeepalive()}),
                show({s:close()}))""",
            "after-timeout": """local s = dial('silent') s:settimeout(20) ngx.say(show({s:receive()}),
            show({s:setkeepalive()}))
                s = dial() ngx.say(show({s:getreusedtimes()})) s:close()""",
            "arguments": """local s = dial() ngx.say(show({pcall(s.setkeepalive)}), show({pcall(s.setkeepalive, s, 1,
            2, 3)}), show({pcall(s.setkeepalive, 1)}))
                ngx.say(show({pcall(s.getreusedtimes)}), show({pcall(s.getreusedtimes, s, 1)}),
                show({pcall(s.getreusedtimes, 1)}))
                ngx.say(show({s:setkeepalive(nil, nil)})) s = dial() ngx.say(show({s:getreusedtimes()})) s:close()""",
            "size-zero": """local s = dial(nil, {pool = 'zero'}) ngx.say(show({pcall(s.setkeepalive, s, 1, 0)}),
            show({pcall(s.setkeepalive, s, 1, -3)}))
                ngx.say(show({pcall(function() s:setkeepalive(1, 0) end)})) ngx.say(show({s:setkeepalive(1000,
                '2')}))""",
            "unix-key": """local path = 'unix:' .. ngx.config.prefix() .. 'up.sock' local s = ngx.socket.tcp()
            s:connect(path)
                ngx.say(show({s:setkeepalive()}), show({s:connect(path)}), show({s:getreusedtimes()}))
                s:connect('127.0.0.1', {origin}, {pool = path}) ngx.say(show({s:getreusedtimes()}))""",
            "backlog-none": """local o = {pool = 'b0', pool_size = 1, backlog = 0} local a = dial(nil, o)
            ngx.say(who(a)) ngx.say(show({dial(nil, o)}))
                a:close() a = dial(nil, o) ngx.say(who(a)) a:setkeepalive() a = dial(nil, o) ngx.say(who(a))
                ngx.say(show({dial(nil, o)})) a:close()""",
            "backlog-timeout": """local o = {pool = 'b1', pool_size = 1, backlog = 1} local a = dial(nil, o) local b =
            ngx.socket.tcp() b:settimeouts(40, 1, 1)
                ngx.say(show({b:connect('127.0.0.1', {origin}, o)})) ngx.say(show({b:connect('127.0.0.1', {origin},
                o)})) a:close()
                ngx.say(show({b:connect('127.0.0.1', {origin}, o)}))""",
            "backlog-late": """local o, seen = {pool = 'bl', pool_size = 1, backlog = 2}, {} local a = dial(nil, o)
                local function take(name, timeout)
                    local s = ngx.socket.tcp() s:settimeouts(timeout, 1000, 1000)
                    local ok, err = s:connect('127.0.0.1', {origin}, o)
                    seen[#seen + 1] = name .. (err or ok) s:close()
                end
                local b, c = ngx.thread.spawn(take, 'b', 20), ngx.thread.spawn(take, 'c', 2000)
                ngx.sleep(0.1) seen[#seen + 1] = 'close' a:close()
                ngx.thread.wait(b) ngx.thread.wait(c) ngx.say(table.concat(seen, ' '))""",
            "backlog-default": """local o = {pool = 'bd', backlog = 0} local all = {} for i = 1, 32 do local err
            all[i], err = dial(nil, o)
                ngx.say(i, show(err)) end""",
            "backlog-refused": """local s = ngx.socket.tcp() for i = 1, 3 do
                ngx.say(show({s:connect('127.0.0.1', {dead}, {pool = 'br', pool_size = 1, backlog = 0})})) end""",
            "backlog-close": """local a, b, c = ngx.location.capture_multi{{'/hold?close'}, {'/take?b'},
            {'/take?b'}} ngx.print(a.body, b.body, c.body)""",
            "backlog-keep": """local a, b, c = ngx.location.capture_multi{{'/hold?keep'}, {'/take?b'}, {'/take?c'}}
            ngx.print(a.body, b.body, c.body)""",
            "backlog-left": """local a, b = ngx.location.capture_multi{{'/hold?left'}, {'/take?b'}}
            ngx.print(a.body, b.body)""",
        }.items()
    },
    {
        "who": (COUNT, KEEP),
        "bye": (b"bye\n", 0.03),
        "talks": (b"hello\n", 0.03, b"more", WAIT),
        "two": (b"one\ntwo\n", KEEP),
        "silent": (0.1, KEEP),
    },
    inside="""
        location /hold { content_by_lua_block {"""
    + _WHO
    + """
            local s = dial(nil, {pool = 'queue' .. ngx.var.args, pool_size = 1, backlog = 2}) ngx.say('hold ', who(s))
            ngx.sleep(0.05)
            if ngx.var.args == 'close' then s:close() elseif ngx.var.args == 'keep' then s:setkeepalive() else
            s:connect('127.0.0.1', {dead}) end
        } }
        location /take { content_by_lua_block {"""
    + _WHO
    + """
            ngx.sleep(ngx.var.args == 'c' and 0.02 or 0.01)
            local name = 'queue' .. ngx.var.request_uri:gsub('/backlog%-', '')
            local s, err = dial(nil, {pool = name, pool_size = 1, backlog = 2}) ngx.say('take ', who(s), ' ', err)
            s:setkeepalive()
        } }
    """,
    servers="server { listen unix:{prefix}/up.sock; location / { return 200; } }",
)

PHASES = Runs(
    "socket-phases",
    {
        "content": "local ok, s = pcall(ngx.socket.tcp) ngx.say(show(ok), type(s), show({pcall(ngx.socket.stream)}))",
        "other-request": """package.loaded.shared = dial('lines') ngx.print(ngx.location.capture('/use').body)
            local s = package.loaded.shared ngx.say(show({s:receive()}), show({s:close()}))""",
        "other-closed-1": "package.loaded.shared = dial('lines') ngx.say('kept')",
        "other-closed-2": """local s = package.loaded.shared ngx.say(show({s:receive()}), show({s:send('x')}),
            show({s:close()}), show({s:setkeepalive()}))""",
    },
    {"lines": (b"one\ntwo\n", WAIT)},
    inside="""
        location /use { content_by_lua_block { local show, s = require 'show', package.loaded.shared
            local r = s:receiveuntil('x')
            ngx.say(show({pcall(s.receive, s)}), show({pcall(s.receiveany, s, 1)}), show({pcall(s.send, s, 'x')}),
            show({pcall(s.close, s)}),
                show({pcall(s.setkeepalive, s)}), show({pcall(s.connect, s, '127.0.0.1', {dead})}), show({pcall(r)}),
                show({s:getreusedtimes()})) } }
        location /set {
            set_by_lua_block $a { local show = require 'show' return show({pcall(ngx.socket.tcp)}) }
            set_by_lua_block $b { local show = require 'show' return show({pcall(ngx.socket.connect, '127.0.0.1', 1)}) }
            content_by_lua_block { ngx.say(ngx.var.a, ngx.var.b) }
        }
        location /log { log_by_lua_block { ngx.log(ngx.ERR, select(2, pcall(ngx.socket.tcp))) local s =
            ngx.socket.tcp() } return 200 "log"; }
        location /carried {
            rewrite_by_lua_block { ngx.ctx.s = dial('lines') ngx.ctx.line = ngx.ctx.s:receive() }
            access_by_lua_block { ngx.ctx.line = ngx.ctx.line .. ngx.ctx.s:receive() }
            content_by_lua_block { ngx.say(ngx.ctx.line, ' ', ngx.ctx.s:close()) }
        }
        location /directives {
            lua_socket_read_timeout 30ms; lua_socket_pool_size 1; lua_socket_keepalive_timeout 30ms;
            lua_socket_send_timeout 1s;
            lua_socket_buffer_size 1k; lua_socket_send_lowat 0; lua_socket_log_errors off;
            content_by_lua_block { local show = require 'show'
                local s = ngx.socket.tcp() s:connect('127.0.0.1', {origin}, {pool = 'd'}) ngx.say(show({s:receive()}))
                s:settimeout(0)
                ngx.say(show({s:receive()})) local q = ngx.socket.tcp() q:connect('127.0.0.1', {origin}, {pool = 'd'})
                ngx.say(show({s:setkeepalive()}), show({q:setkeepalive()})) s:connect('127.0.0.1', {origin}, {pool =
                'd'})
                q:connect('127.0.0.1', {origin}, {pool = 'd'}) ngx.say(show({s:getreusedtimes()}),
                show({q:getreusedtimes()})) q:close()
                ngx.say(show({s:setkeepalive()})) ngx.sleep(0.1) s:connect('127.0.0.1', {origin}, {pool = 'd'})
                ngx.say(show({s:getreusedtimes()})) s:close() ngx.say(show({s:send('x')}),
                show({s:connect('127.0.0.1', {dead})}))
            }
        }
    """,
    more=("/set", "/log", "/carried", "/directives"),
)

ALL = (POOL, PHASES)
