"""ngx.socket.tcp against an origin that does as its script says.

https://github.com/openresty/lua-nginx-module#ngxsockettcp
"""

from __future__ import annotations

from origin import KEEP, RESET, WAIT, Script

from ..case import WARNINGS, Case, get
from ..lua import FILES, server

#: ``dial(line)``: a connected socket that has asked the origin to play the script of that line.
_DIAL = """
    init_by_lua_block {
        function dial(line, options)
            local sock = ngx.socket.tcp()
            sock:settimeout(2000)
            local ok, err = sock:connect("127.0.0.1", {origin}, options)
            if not ok then return nil, err end
            if line then sock:send(line .. "\\n") end
            return sock
        end
    }
    lua_socket_log_errors on;
"""

_SOCKET = {
    "line": (
        "local s = dial('line') ngx.say(show({s:receive()})) ngx.say(show({s:receive('*l')})) "
        "ngx.say(show({s:receive()})) ngx.say(show({s:receive()}))"
    ),
    "size": (
        "local s = dial('bytes') ngx.say(show({s:receive(3)})) ngx.say(show({s:receive(0)})) "
        "ngx.say(show({s:receive('4')})) ngx.say(show({s:receive(100)}))"
    ),
    "all": (
        "local s = dial('bytes') ngx.say(show({s:receive('*a')})) ngx.say(show({s:receive('*a')})) "
        "ngx.say(show({s:receive('*l')}))"
    ),
    "all-slow": "local s = dial('slow') ngx.say(show({s:receive('*a')}))",
    "line-slow": "local s = dial('slow') ngx.say(show({s:receive()})) ngx.say(show({s:receive()}))",
    "size-slow": "local s = dial('slow') ngx.say(show({s:receive(5)})) ngx.say(show({s:receive(3)}))",
    "crlf": "local s = dial('crlf') for i = 1, 6 do ngx.say(show({s:receive()})) end",
    "any": (
        "local s = dial('bytes') ngx.say(show({s:receiveany(4)})) ngx.say(show({s:receiveany(100)})) "
        "ngx.say(show({s:receiveany(100)}))"
    ),
    "any-bad": (
        "local s = dial('bytes') ngx.say(show({pcall(s.receiveany, s)}), show({pcall(s.receiveany, s, 0)}), "
        "show({pcall(s.receiveany, s, -1)}), show({pcall(s.receiveany, s, 'x')}))"
    ),
    "receive-bad": (
        "local s = dial('bytes') for _, p in ipairs{'*x', 'x', '', 'l', '*lx'} do "
        "ngx.say(show({pcall(s.receive, s, p)})) end for _, p in ipairs{-1, {}, true} do "
        "ngx.say((pcall(s.receive, s, p))) end"
    ),
    "until": (
        "local s = dial('until') local r = s:receiveuntil('--end--') ngx.say(show({r()})) "
        "ngx.say(show({r()})) ngx.say(show({r()}))"
    ),
    "until-size": (
        "local s = dial('until') local r = s:receiveuntil('--end--') for i = 1, 6 do ngx.say(show({r(4)})) end"
    ),
    "until-inclusive": (
        "local s = dial('until') local r = s:receiveuntil('--end--', {inclusive = true}) "
        "ngx.say(show({r()})) ngx.say(show({r(3)})) ngx.say(show({r()}))"
    ),
    "until-overlap": (
        "local s = dial('overlap') local r = s:receiveuntil('aab') ngx.say(show({r()})) "
        "local q = s:receiveuntil('abcabd') ngx.say(show({q()})) ngx.say(show({s:receive('*a')}))"
    ),
    "until-slow": (
        "local s = dial('slowend') local r = s:receiveuntil('\\r\\n\\r\\n') ngx.say(show({r()})) "
        "ngx.say(show({s:receive('*a')}))"
    ),
    "until-bad": (
        "local s = dial('until') ngx.say(show({pcall(s.receiveuntil, s, '')}), show({pcall(s.receiveuntil, "
        "s)}), show({pcall(s.receiveuntil, s, 'x', 1)}), show({pcall(s.receiveuntil, s, 'x', "
        "{inclusive = 1})}))"
    ),
    "timeout": "local s = dial('waits') s:settimeout(50) ngx.say(show({s:receive()})) ngx.say(show({s:receive()}))",
    "timeout-partial": (
        "local s = dial('partial') s:settimeout(50) ngx.say(show({s:receive()})) ngx.say(show({s:receive(10)}))"
    ),
    "timeouts": (
        "local s = dial('waits') s:settimeouts(1000, 1000, 50) ngx.say(show({s:receive(5)})) "
        "ngx.say(show({s:close()})) ngx.say(show({s:close()}))"
    ),
    "timeout-bad": (
        "local s = ngx.socket.tcp() ngx.say(show({pcall(s.settimeout, s)}), show({pcall(s.settimeout, s, "
        "-1)}), show({pcall(s.settimeout, s, 'x')}), (pcall(s.settimeouts, s, 1)))"
    ),
    "send": """
        local s = dial() ngx.say(show({s:send({"ec", {"ho", " "}, 1, 2.5, "\\n"})})) ngx.say(show({s:receive()}))
        ngx.say(show({s:send("echo again\\n")})) ngx.say(show({s:receive()})) ngx.say(show({s:send("")}),
            show({s:send({})}), show({s:send(12)}))""",
    "send-bad": (
        "local s = dial('waits') for _, v in ipairs{print, {print}, {a = 1}, {{}, {1, {2}}}} do "
        "ngx.say(show({pcall(s.send, s, v)})) end ngx.say(show({pcall(s.send, s)}), show({pcall(s.send, s, "
        "nil)}), show({pcall(s.send, s, true)}))"
    ),
    "refused": (
        "local s = ngx.socket.tcp() ngx.say(show({s:connect('127.0.0.1', {dead})})) "
        "ngx.say(show({s:send('x')}), show({s:receive()}), show({s:close()}))"
    ),
    "connect-bad": """
        local s = ngx.socket.tcp() for _, a in ipairs{{}, {"127.0.0.1"}, {"127.0.0.1", "x"}, {"127.0.0.1", 70000},
            {"127.0.0.1", -1}, {{}, 80}} do
            ngx.say(show({pcall(s.connect, s, unpack(a))})) end""",
    "connect-unix": (
        "local s = ngx.socket.tcp() ngx.say(show({s:connect('unix:' .. ngx.config.prefix() .. 'none.sock')}))"
    ),
    "unix": """
        local s = ngx.socket.tcp() ngx.say(show({s:connect('unix:' .. ngx.config.prefix() .. 'up.sock')}))
        ngx.say(show({s:send('GET /unix HTTP/1.0\\r\\n\\r\\n')})) ngx.say(show({s:receiveuntil('\\r\\n\\r\\n')()
            ~= nil})) ngx.say(show({s:receive('*a')}))""",
    "string-port": "local s = ngx.socket.tcp() ngx.say(show({s:connect('127.0.0.1', '{origin}')}), show({s:close()}))",
    "again": (
        "local s = dial('line') s:receive() ngx.say(show({s:connect('127.0.0.1', {origin})})) "
        "ngx.say(show({s:send('line\\n')})) ngx.say(show({s:receive()}))"
    ),
    "closed": (
        "local s = dial('line') s:close() ngx.say(show({s:receive()}), show({s:send('x')}), "
        "show({s:close()}), show({s:setkeepalive()}), show({s:getreusedtimes()}))"
    ),
    "unconnected": (
        "local s = ngx.socket.tcp() ngx.say(show({s:receive()}), show({s:send('x')}), show({s:close()}), "
        "show({s:setkeepalive()}), show({s:getreusedtimes()}), show({pcall(s.receiveuntil(s, 'x'))}))"
    ),
    "peer-closes": (
        "local s = dial('closes') ngx.say(show({s:receive()})) ngx.say(show({s:receive()})) ngx.say(show({s:close()}))"
    ),
    "peer-closes-partial": "local s = dial('halfline') ngx.say(show({s:receive()})) ngx.say(show({s:receive()}))",
    "peer-resets": "local s = dial('resets') ngx.sleep(0.05) ngx.say(show({s:receive()}))",
    "half": "local s = dial('halfline') ngx.say(show({s:receive(3)}), show({s:receive('*a')}))",
    "big": (
        "local s = dial('big') local d = s:receive(300000) ngx.say(#d, ' ', ngx.md5(d)) "
        "ngx.say(show({s:receive('*a')}))"
    ),
    "keepalive": """
        local s = dial('kept') ngx.say(show({s:receive()}), show({s:getreusedtimes()}))
            ngx.say(show({s:setkeepalive(10000, 5)}))
        ngx.say(show({s:receive()}), show({s:getreusedtimes()}))
        s = dial('kept') ngx.say(show({s:receive()}), show({s:getreusedtimes()})) ngx.say(show({s:setkeepalive()}))
        s = dial('kept') ngx.say(show({s:receive()}), show({s:getreusedtimes()})) s:close() s = dial('kept')
            ngx.say(show({s:getreusedtimes()}))""",
    "keepalive-pool": """
        local s = dial('kept', {pool = 'mine'}) s:receive() ngx.say(show({s:setkeepalive(1000, 2)})) s = dial('kept')
            ngx.say(show({s:getreusedtimes()})) s:receive() s:close()
        s = dial('kept', {pool = 'mine'}) ngx.say(show({s:getreusedtimes()})) s:close()""",
    "keepalive-full": """
        local a, b = dial('kept', {pool = 'small'}), dial('kept', {pool = 'small'}) a:receive() b:receive()
        ngx.say(show({a:setkeepalive(1000, 1)}), show({b:setkeepalive(1000, 1)}))
        a, b = dial('kept', {pool = 'small'}), dial('kept', {pool = 'small'}) ngx.say(show({a:getreusedtimes(),
            b:getreusedtimes()})) a:close() b:close()""",
    "keepalive-unread": (
        "local s = dial('twolines') s:receive() ngx.say(show({s:setkeepalive()})) s = dial('twolines', "
        "{pool = 'u'}) ngx.sleep(0.05) ngx.say(show({s:setkeepalive()}))"
    ),
    "keepalive-bad": "local s = dial('kept') s:receive() ngx.say(show({pcall(s.setkeepalive, s, 'x')}))",
    "options-bad": (
        "ngx.say(show({pcall(dial, nil, {pool = {}})}), show({pcall(dial, nil, "
        "{pool_size = 0})}), show({pcall(dial, nil, {pool_size = 'x'})}), show({pcall(dial, nil, "
        "{backlog = -1})}))"
    ),
    "shared": (
        "local s = dial('bytes') ngx.ctx.s = s local ok, err = pcall(function() return ngx.ctx.s:receive(2) "
        "end) ngx.say(show({ok, err}))"
    ),
    "two": "local a, b = dial('slow'), dial('slow') ngx.say(show({a:receive()})) ngx.say(show({b:receive()}))",
    "server": """
        local s = ngx.socket.tcp() s:settimeout(1000) s:connect('127.0.0.1', {port2})
            s:send('GET /plain?x HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')
        local line = s:receive() ngx.say(line) local n = 0 repeat line = s:receive()
            n = n + 1 until line == '' or not line ngx.say(n) ngx.say(show({s:receive('*a')}))""",
    "connect-helper": (
        "local s, err = ngx.socket.connect('127.0.0.1', {origin}) ngx.say(type(s), show(err)) "
        "s:send('line\\n') ngx.say(show({s:receive()}))"
    ),
    "names": """
        local s = ngx.socket.tcp()
        for _, k in ipairs{"connect", "send", "receive", "receiveany", "receiveuntil", "settimeout", "settimeouts",
                "setkeepalive", "getreusedtimes", "close", "none"} do ngx.say(k, type(s[k])) end""",
    "left-open": "local s = dial('waits') ngx.say('not closed')",
}

_SCRIPTS: dict[str, Script] = {
    "line": (b"first line\nsecond\r\nthird", 0.02),
    "bytes": (b"0123456789", 0.02),
    "slow": (b"ab", 0.05, b"cd\nef", 0.05, b"g\n"),
    "crlf": (b"a\r\n\r\n\n\rb\rc\r\n\0d\n", 0.02),
    "until": (b"one--end--two-and--endtwo--end--rest", 0.02),
    "overlap": (b"xaaabyabcabcabdz", 0.02),
    "slowend": (b"head\r", 0.03, b"\n\r", 0.03, b"\nbody", 0.02),
    "waits": (WAIT,),
    "partial": (b"part", WAIT),
    "echo 12.5": (b"echoed\n", KEEP),
    "echo again": (b"echoed again\n", KEEP),
    "closes": b"",
    "halfline": (b"half a line", 0.02),
    "resets": (RESET,),
    "big": (b"0123456789" * 30000, 0.02),
    "kept": (b"kept\n", KEEP),
    "twolines": (b"one\ntwo\n", KEEP),
}

_ASYNC = {
    "coroutines": """
        local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) ngx.sleep(0.001)
            coroutine.yield(b * 2) return "end" end)
        ngx.say(show({coroutine.resume(co, 1)}), show({coroutine.resume(co, 5)}), coroutine.status(co),
            show({coroutine.resume(co)}), coroutine.status(co), show({coroutine.resume(co)}))""",
    "wrap": (
        "local gen = coroutine.wrap(function() for i = 1, 3 do ngx.sleep(0.001) coroutine.yield(i) end end) "
        "ngx.say(gen(), gen(), gen(), show({gen()})) ngx.say(show({pcall(gen)}))"
    ),
    "wrap-error": "local gen = coroutine.wrap(function() error('inside') end) ngx.say(show({pcall(gen)}))",
    "resume-error": (
        "local co = coroutine.create(function() error({code = 7}) end) ngx.say(show({coroutine.resume(co)}), "
        "coroutine.status(co))"
    ),
    "running": (
        "local co = coroutine.running() ngx.say(type(co), coroutine.status(co)) "
        "local inner inner = coroutine.create(function() ngx.say(coroutine.running() == inner, "
        "coroutine.status(co)) end) coroutine.resume(inner)"
    ),
    "yield-top": "ngx.say('a') coroutine.yield() ngx.say('b')",
    "pcall-yield": (
        "ngx.say(show({pcall(function() ngx.sleep(0.001) error('after sleep') end)}), show({pcall(function() "
        "ngx.sleep(0.001) return 'fine' end)}))"
    ),
    "xpcall-yield": (
        "ngx.say(show({xpcall(function() ngx.sleep(0.001) error('x') end, function(m) return 'handled ' .. m end)}))"
    ),
    "iterator-yield": (
        "for i in coroutine.wrap(function() for i = 1, 3 do ngx.sleep(0.001) coroutine.yield(i) end end) do "
        "ngx.print(i) end"
    ),
    "nested-three": """
        local function layer(n) return coroutine.wrap(function() if n > 0 then local v = layer(n - 1)()
            ngx.sleep(0.001) coroutine.yield(v + 1) else ngx.sleep(0.001) coroutine.yield(0) end end) end
        ngx.say(layer(5)())""",
}

CASES = (
    Case(
        "lua-socket",
        server(
            _SOCKET,
            top=_DIAL,
            servers="""
            server {
                listen {port2}; listen unix:{prefix}/up.sock; location / { return 200 "server $request_uri"; }
            }""",
        ),
        tuple(get(f"/{name}") for name in _SOCKET),
        files=FILES,
        scripts=_SCRIPTS,
        levels=WARNINGS,
        mask=(
            (r"u:[0-9A-F]+, c:[0-9A-F]+", "u:ADDRESS, c:ADDRESS"),
            # Since 0.10.27 the peer is named.
            (r", upstream: [^,(]*\([^)]*\)(?=, client:)", ""),
        ),
    ),
    Case("lua-coroutine", server(_ASYNC), tuple(get(f"/{name}") for name in _ASYNC), files=FILES, levels=WARNINGS),
)
