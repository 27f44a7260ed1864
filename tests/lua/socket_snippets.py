"""The pieces of Lua that ``test_socket.py`` runs on both servers, and the scripts of the origin they talk to."""

from __future__ import annotations

from origin import KEEP, RESET, WAIT, Script
from socket_runs import Runs


#: Each byte in a packet of its own.
def drops(data: bytes) -> Script:
    """``data`` byte by byte, then the end."""
    steps: list[bytes | float] = []
    for byte in data:
        steps += (bytes((byte,)), 0.002)
    return tuple(steps)


READ = Runs(
    "socket-read",
    {
        "line": "local s = dial('lines') for i = 1, 7 do ngx.say(show({s:receive()})) end",
        "line-drops": "local s = dial('drops') for i = 1, 5 do ngx.say(show({s:receive('*l')})) end",
        "line-number": """local s = dial('ten') ngx.say(show({s:receive(2.9)}), show({s:receive('0x2')}),
            show({s:receive('1e0')}))""",
        "line-cr-partial": """local s = dial('cr') s:settimeout(60) ngx.say(show({s:receive()}))
            ngx.say(show({s:receive()}))""",
        "size-drops": """local s = dial('drops') ngx.say(show({s:receive(5)}), show({s:receive(6)}),
            show({s:receive(600)}))""",
        "all-drops": """local s = dial('drops') ngx.say(show({s:receive('*a')}), show({s:receive('*a')}),
            show({s:receive(1)}))""",
        "all-empty": """local s = dial('closes') ngx.say(show({s:receive('*a')}), show({s:receive('*a')}),
            show({s:receive()}))""",
        "any-drops": "local s = dial('drops') s:receive(10) ngx.say(show({s:receiveany(1)}))",
        "any-end": "local s = dial('closes') ngx.say(show({s:receiveany(10)})) ngx.say(show({s:receiveany(10)}))",
        "any-wait": """local s = dial('late') ngx.say(show({s:receiveany(3)}), show({s:receiveany(30)}),
            show({s:receiveany(3)}))""",
        "any-timeout": """local s = dial('silent') s:settimeout(40) ngx.say(show({s:receiveany(9)}),
            show({s:receiveany(9)}))""",
        "mixed": """local s = dial('mixed') ngx.say(show({s:receive(3)}), show({s:receive()}),
            show({s:receiveuntil('--')()}),
            show({s:receive('*l')}), show({s:receiveany(2)}), show({s:receive('*a')}))""",
        "zero": """local s = dial('closes') ngx.sleep(0.03) ngx.say(show({s:receive(0)}), show({s:receive()}),
            show({s:receive(0)}))""",
        "huge": """local s = dial('huge') local d = s:receive(10000000) ngx.say(#d, ngx.md5(d))
            ngx.say(show({s:receive('*a')}))""",
        "huge-lines": """local s = dial('hugelines') local n, size = 0, 0 while true do local line, err = s:receive()
            if not line then ngx.say(show({n, size, err})) break end n = n + 1 size = size + #line end""",
        "huge-all": "local s = dial('huge') local d = s:receive('*a') ngx.say(#d, ngx.md5(d))",
        "huge-until": """local s = dial('huge') local d = s:receiveuntil('9T')() ngx.say(#d, ngx.md5(d))
            ngx.say(show({s:receive('*a')}))""",
        "huge-late": """local s = dial('huge') ngx.sleep(0.1) local size = 0 while true do local d, err, part =
            s:receive(65537)
            if not d then ngx.say(show({size, err, #part})) break end size = size + #d end""",
        "timeout-then-data": """local s = dial('late') s:settimeout(10) ngx.say(show({s:receive(3)})) s:settimeout(2000)
            ngx.say(show({s:receive(3)}), show({s:receive()}))""",
        "timeout-many": """local s = dial('silent') s:settimeouts(500, 500, 20)
            for i = 1, 3 do ngx.say(show({s:receive()}), show({s:receive(4)}), show({s:receive('*a')})) end
            ngx.say(show({s:close()}))""",
        "timeout-drops": "local s = dial('drops') s:settimeout(80) ngx.say(show({s:receive('*a')}))",
        "reset-partial": """local s = dial('resets') ngx.sleep(0.05) ngx.say(show({s:receive(100)}))
            ngx.say(show({s:receive(100)}))""",
        "reset-line": """local s = dial('resets') ngx.say(show({s:receive(3)})) ngx.sleep(0.05)
            ngx.say(show({s:receive()}))""",
        "reset-all": """local s = dial('resets') ngx.sleep(0.05) ngx.say(show({s:receive('*a')}))
            ngx.say(show({s:close()}))""",
        "eof-then": """local s = dial('ten') ngx.say(show({s:receive(20)}), show({s:receive()}), show({s:receive(1)}),
            show({s:receive(0)}),
            show({s:receiveany(1)}), show({s:receiveuntil('x')()}), show({s:getreusedtimes()}),
            show({s:setkeepalive()}),
            show({s:close()}), show({s:close()}))""",
        "arguments": """local s = dial('ten')
            for _, p in ipairs{'*x', 'x', '', 'l', '*lx', '*', 'a\\0b', '-1', -1, {}, true, print} do
            ngx.say(show({pcall(s.receive, s, p)})) end
            ngx.say(show({pcall(s.receive, s, nil)}), show({pcall(s.receive)}), show({pcall(s.receive, s, 1, 2)}),
            show({pcall(s.receive, 1)}),
                show({pcall(s.receive, 'x', 1)}))
            for _, p in ipairs{'x', 0, -1, {}} do ngx.say(show({pcall(s.receiveany, s, p)})) end
            ngx.say(show({pcall(s.receiveany, s)}), show({pcall(s.receiveany, s, 1, 1)}))""",
        "arguments-method": """local s = dial('ten') ngx.say(show({pcall(function() s:receive('*x') end)}))
            ngx.say(show({pcall(function() s:receiveany(0) end)})) ngx.say(show({pcall(function() s:receiveuntil()
            end)}))
            ngx.say(show({pcall(function() s:receiveuntil({}) end)})) ngx.say(show({pcall(function()
            s:receiveuntil('x', 1) end)}))
            ngx.say(show({pcall(function() s:send(print) end)})) ngx.say(show({pcall(function() s:connect({}, 1) end)}))
            ngx.say(show({pcall(function() s.receive(1) end)})) ngx.say(show({pcall(function() s:close(1) end)}))
            ngx.say(show({pcall(function() local r = s:receiveuntil('x') r('y') end)}))""",
        "arguments-closed": """local s = ngx.socket.tcp() ngx.say(show({s:receive('*x')}), show({s:receive(-1)}),
            show({s:receiveany('x')}),
            show({s:send(print)}), show({s:send({{}, print})}))""",
    },
    {
        "lines": (b"one\ntwo\r\n\r\n\nfi\rve\nsix", 0.02),
        "drops": drops(b"a\nbc\r\ndef\n\ng"),
        "ten": (b"0123456789", 0.02),
        "cr": (b"ab\rc\r", WAIT),
        "late": (0.05, b"abcdef\n", 0.05),
        "closes": b"",
        "silent": (WAIT,),
        "mixed": (b"abcdef\nuntil-", 0.01, b"-line\r", 0.01, b"\nxyz", 0.01, b"end"),
        "huge": (b"0123456789" * 1000000, b"T", 0.02),
        "hugelines": (b"a line of text\r\n" * 100000, 0.02),
        "resets": (b"some", 0.02, RESET),
    },
)

UNTIL = Runs(
    "socket-until",
    {
        "overlaps": """for _, p in ipairs{'aab', 'aaab', 'abab', 'ababc', 'abcabd', 'a', 'aa', 'ab', 'caa', 'zz',
            'bcabcabcabd'} do
            local s = dial('overlaps') local r = s:receiveuntil(p)
            ngx.say(show({p, r()}), show({r()}), show({s:receive('*a')})) end""",
        "overlaps-drops": """for _, p in ipairs{'aab', 'ababc', 'abcabd', 'a', 'aa', 'zz', 'bcabcabcabd'} do
            local s = dial('overlapsdrops') local r = s:receiveuntil(p)
            ngx.say(show({p, r()}), show({r()}), show({s:receive('*a')})) end""",
        "sizes": """for _, p in ipairs{'aab', 'ababc', 'abcabd', 'aa', 'ab', 'zz', 'bcabcabcabd', 'cd'} do for size =
            1, 9 do
            local s = dial('overlaps') local r = s:receiveuntil(p) local out = {}
            for i = 1, 60 do local d, err, part = r(size) out[#out + 1] = show({d, err, part}) if not d then break end
            end
            ngx.say(p, size, table.concat(out, ' '), show({s:receive('*a')})) end end""",
        "sizes-drops": """for _, p in ipairs{'aab', 'ababc', 'bcabcabcabd'} do for _, size in ipairs{1, 3, 8} do
            local s = dial('overlapsdrops') local r = s:receiveuntil(p) local out = {}
            for i = 1, 60 do local d, err, part = r(size) out[#out + 1] = show({d, err, part}) if not d then break end
            end
            ngx.say(p, size, table.concat(out, ' '), show({s:receive('*a')})) end end""",
        "sizes-inclusive": """for _, p in ipairs{'aab', 'ababc', 'bcabcabcabd'} do for size = 1, 5 do
            local s = dial('overlaps') local r = s:receiveuntil(p, {inclusive = true}) local out = {}
            for i = 1, 60 do local d, err, part = r(size) out[#out + 1] = show({d, err, part}) if not d then break end
            end
            ngx.say(p, size, table.concat(out, ' '), show({s:receive('*a')})) end end""",
        "inclusive": """local s = dial('ends') local r = s:receiveuntil('--end--', {inclusive = true})
            ngx.say(show({r()}), show({r()}), show({r()}), show({r()}))""",
        "exact": """local s = dial('ends') local r = s:receiveuntil('--end--') for i = 1, 9 do ngx.say(show({r(3)}))
            end""",
        "exact-mixed": """local s = dial('ends') local r = s:receiveuntil('--end--') ngx.say(show({r(2)}),
            show({r()}), show({r(0)}), show({r(-5)}),
            show({s:receive(2)}), show({r(100)}), show({r(100)}))""",
        "two-readers": """local s = dial('ends') local r, q = s:receiveuntil('--'), s:receiveuntil('e')
            ngx.say(show({r()}), show({q()}),
            show({r()}), show({q()}), show({s:receive()}))""",
        "timeout": """local s = dial('partpattern') s:settimeout(40) local r = s:receiveuntil('abc')
            ngx.say(show({r()})) s:settimeout(1000) ngx.say(show({r()}))""",
        "timeout-size": """local s = dial('partpattern') s:settimeout(40) local r = s:receiveuntil('abc')
            ngx.say(show({r(3)}), show({r(3)})) s:settimeout(1000) ngx.say(show({r(3)}), show({r(3)}), show({r(3)}))""",
        "end-in-pattern": """local s = dial('endsinpattern') local r = s:receiveuntil('abc') ngx.say(show({r()}),
            show({r()}))""",
        "end-in-pattern-size": """local s = dial('endsinpattern') local r = s:receiveuntil('abc')
            ngx.say(show({r(2)}), show({r(2)}), show({r(2)}), show({r(2)}))""",
        "binary": """local s = dial('binary') local r = s:receiveuntil('\\0\\255') ngx.say(show({r()}))
            ngx.say(#s:receive('*a'))""",
        "closed": """local s = dial('ends') local r = s:receiveuntil('--') s:close() ngx.say(show({r()}), show({r(3)}))
            ngx.say(show({pcall(r, 1, 2)}), show({pcall(r, 'x')}), show({pcall(r, nil)}), show({pcall(r, {})}))""",
        "later-connected": """local s = ngx.socket.tcp() local r = s:receiveuntil('--') ngx.say(show({r()}))
            s:connect('127.0.0.1', {origin}) s:send('ends\\n') ngx.say(show({r()}))""",
        "arguments": """local s = dial('ends') ngx.say(show({pcall(s.receiveuntil, s, '')}),
            show({pcall(s.receiveuntil, s)}),
            show({pcall(s.receiveuntil, s, 'x', 1)}), show({pcall(s.receiveuntil, s, 'x', {inclusive = 1})}),
            show({pcall(s.receiveuntil, s, {})}),
            show({pcall(s.receiveuntil, s, 'x', {}, 1)}), show({type(s:receiveuntil(12))}), show({s:receiveuntil('x',
            {inclusive = false})()}))""",
    },
    {
        "overlaps": (b"xaaabyababcabcabdaabcabcabcabdzzcdcaab", 0.02),
        "overlapsdrops": drops(b"xaaabyababcabcabdaabcabcabcabdzz"),
        "ends": (b"one--end--two--end----end--rest--ending", 0.02),
        "partpattern": (b"12ab", 0.2, b"cd", WAIT),
        "endsinpattern": (b"12abxab", 0.02),
        "binary": (b"a\0b\0\0\xff\xffc", 0.02),
    },
)

USE = Runs(
    "socket-use",
    {
        "unconnected": """local s = ngx.socket.tcp() ngx.say(show({s:receive()}), show({s:receiveany(1)}),
            show({s:send('x')}), show({s:close()}),
            show({s:setkeepalive()}), show({s:getreusedtimes()}), show({s:receiveuntil('x')()}))""",
        "closed": """local s = dial('kept') s:close() ngx.say(show({s:receive()}), show({s:receiveany(1)}),
            show({s:send('x')}), show({s:close()}),
            show({s:setkeepalive()}), show({s:getreusedtimes()}), show({s:receiveuntil('x')()}))""",
        "kept": """local s = dial('kept') s:receive() s:setkeepalive() ngx.say(show({s:receive()}),
            show({s:receiveany(1)}), show({s:send('x')}),
            show({s:close()}), show({s:setkeepalive()}), show({s:getreusedtimes()}), show({s:receiveuntil('x')()}))""",
        "refused": """local s = ngx.socket.tcp() ngx.say(show({s:connect('127.0.0.1', {dead})}))
            ngx.say(show({s:receive()}), show({s:send('x')}), show({s:close()}), show({s:setkeepalive()}),
            show({s:getreusedtimes()}))
            ngx.say(show({s:connect('127.0.0.1', {origin})}), show({s:send('kept\\n')}), show({s:receive()}))""",
        "reconnect": """local s = dial('lines') s:receive() ngx.say(show({s:connect('127.0.0.1', {origin})}),
            show({s:send('kept\\n')}),
            show({s:receive()}), show({s:getreusedtimes()}))
            ngx.say(show({s:connect('127.0.0.1', {dead})}), show({s:receive()}))""",
        "half-closed": """local s = dial('closes') ngx.say(show({s:receive()})) ngx.say(show({s:send('x')}))
            ngx.sleep(0.05)
            ngx.say(show({s:send('y')})) ngx.say(show({s:send('z')})) ngx.say(show({s:getreusedtimes()}))
            ngx.say(show({s:close()}))""",
        "send-closed": """local s = dial('closes') ngx.sleep(0.05) ngx.say(show({s:send('x')})) ngx.sleep(0.05)
            ngx.say(show({s:send('y')}))
            ngx.say(show({s:send('z')})) ngx.say(show({s:receive()})) ngx.say(show({s:close()}))
            ngx.say(show({s:close()}))""",
        "send-timeout": """local s = dial('deaf') s:settimeouts(100, 60, 100) local big = string.rep('x', 20000000)
            ngx.say(show({s:send(big)})) ngx.say(show({s:send('y')})) ngx.say(show({s:close()}))""",
        "send-slow": """local s = dial('echobig') s:settimeout(5000) local big = string.rep('0123456789', 800000) ..
            '\\n'
            ngx.say(show({s:send(big)}), show({s:receive()}))""",
        "send-types": """local s = dial() ngx.say(show({s:send({"ec", {"ho", " ", {}}, 1, 2.5, {-3, 1e20}, "\\n"})}))
            ngx.say(show({s:receive()}))
            ngx.say(show({s:send(1), s:send(true), s:send(nil), s:send(1e15), s:send(-0.1), s:send("")}))
            ngx.say(show({s:send(-0.0), s:send({-0.0, {0}})}))
            ngx.say(show({s:send({}), s:send({{}, {{}}})}))
            ngx.say(show({s:send("\\n")}), show({s:receive('*a')}))""",
        "send-arguments": """local s = dial('silent')
            for _, v in ipairs{print, {print}, {a = 1}, {1, {2, {x = 3}}}, {true}, {[0] = 1}, {[1.5] = 1}, {{1},
            false}, {[3] = 'x'}, {ngx.null}, ngx.null} do
                ngx.say(show({pcall(s.send, s, v)})) end
            ngx.say(show({pcall(s.send, s)}), show({pcall(s.send, s, 1, 2)}), show({pcall(s.send, 1, 'x')}))""",
        "connect-arguments": """local s = ngx.socket.tcp()
            for _, a in ipairs{{}, {'127.0.0.1'}, {'127.0.0.1', 'x'}, {'127.0.0.1', 70000}, {'127.0.0.1', -1},
            {'127.0.0.1', 1.5, 2, 3}, {{}, 80},
                {true}, {'', 80}, {'127.0.0.1', {}}, {'127.0.0.1', nil, {}}, {'127.0.0.1', {dead}, 'x'}, {'unix:'},
                {'unix', nil}, {'UNIX:/none', {}},
                {'127.0.0.1', {dead}, {pool = true}}, {'127.0.0.1', {dead}, {pool_size = 0}}, {'127.0.0.1', {dead},
                {pool_size = 'x'}},
                {'127.0.0.1', {dead}, {pool_size = -2}}, {'127.0.0.1', {dead}, {backlog = -1}}, {'127.0.0.1', {dead},
                {pool_size = 1, backlog = -1}},
                {'127.0.0.1:x', 80}, {'a/b', 80}, {':80', 80}, {'::1', 80}, {'[::1', 80}, {'[x]', 80}, {'127.0.0.1',
                {dead}, {pool = 12}}} do
                ngx.say(show({pcall(s.connect, s, unpack(a, 1, 3))})) end
            ngx.say(show({pcall(s.connect)}), show({pcall(s.connect, s)}), show({pcall(s.connect, s, 1, 2, 3, 4)}),
            show({pcall(s.connect, 1, 'x')}))""",
        "connect-port": """local s = ngx.socket.tcp() ngx.say(show({s:connect('127.0.0.1:{origin}', {dead})}),
            show({s:close()}))""",
        "connect-string-port": """local s = ngx.socket.tcp() ngx.say(show({s:connect('127.0.0.1', '{origin}')}),
            show({s:setkeepalive()}))
            ngx.say(show({s:connect('127.0.0.1', {origin})}), show({s:getreusedtimes()}))""",
        "connect-ipv6": "local s = ngx.socket.tcp() ngx.say(show({s:connect('[::1]', {port3})}), show({s:close()}))",
        "connect-unix": """local path = 'unix:' .. ngx.config.prefix() .. 'up.sock' local s = ngx.socket.tcp()
            ngx.say(show({s:connect(path)})) s:send('GET /unix HTTP/1.0\\r\\n\\r\\n') ngx.say(show({s:receive()}),
            show({s:close()}))
            ngx.say(show({s:connect(path, 80)}), show({s:setkeepalive()}), show({s:connect(path, 80)}),
            show({s:getreusedtimes()}))
            ngx.say(show({s:connect(path, {pool = 'u'})}), show({s:connect(path, nil, {pool = 'u'})}))""",
        "connect-unix-none": """local s = ngx.socket.tcp() ngx.say(show({s:connect('unix:' .. ngx.config.prefix() ..
            'none.sock')}))
            ngx.say(show({s:connect('unix:' .. ngx.config.prefix() .. 'conf/nginx.conf')}), show({s:connect('unix:/'
            .. string.rep('x', 120))}))""",
        "connect-timeout": """local s = ngx.socket.tcp() s:settimeouts(60, 1, 1) ngx.say(show({s:connect('127.0.0.1',
            {full})}))
            ngx.say(show({s:receive()}), show({s:close()}))""",
        "connect-timeout-directive": "local s = ngx.socket.tcp() ngx.say(show({s:connect('127.0.0.1', {full})}))",
        "connect-meanwhile": """local s = ngx.socket.tcp() s:settimeouts(100, 1, 1)
            local other = ngx.thread.spawn(function()
                ngx.sleep(0.01)
                ngx.say(show({s:getreusedtimes()}), show({s:receive()}), show({s:send('x')}), show({s:close()}),
                    show({s:setkeepalive()}), show({s:connect('127.0.0.1', {full})}))
            end)
            ngx.say(show({s:connect('127.0.0.1', {full})}), show({s:getreusedtimes()}))""",
        "connect-helper": """local s, err = ngx.socket.connect('127.0.0.1', {origin}) s:send('kept\\n')
            ngx.say(show({s:receive()}), show(err))
            ngx.say(show({ngx.socket.connect('127.0.0.1', {dead})})) ngx.say(show({pcall(ngx.socket.connect)}))
            ngx.say(show({pcall(ngx.socket.connect, {}, 1)}))""",
        "timeout-arguments": """local s = ngx.socket.tcp() for _, v in ipairs{-1, 'x', {}, 0, '10', 2147483648,
            2147483647, 1.5} do
                ngx.say(show({pcall(s.settimeout, s, v)}), show({pcall(s.settimeouts, s, 1, v, 1)})) end
            ngx.say(show({pcall(s.settimeout, s)}), show({pcall(s.settimeout, s, nil)}), show({pcall(s.settimeouts, s,
            1)}),
                show({pcall(s.settimeouts, s, nil, nil, nil)}))""",
        "tcp-arguments": """ngx.say(show({pcall(ngx.socket.tcp, 1)}), show({pcall(ngx.socket.stream, 1, 2)}),
            type(ngx.socket.stream()))""",
        "close-arguments": """local s = dial('kept') ngx.say(show({pcall(s.close)}), show({pcall(s.close, s, 1)}),
            show({pcall(s.close, 1)}))""",
        "options": """local s = dial('kept') for _, o in ipairs{'keepalive', 'reuseaddr', 'tcp-nodelay', 'sndbuf',
            'rcvbuf'} do
                ngx.say(o, show({s:setoption(o, 1)})) end
            ngx.say(show({s:setoption('keepalive', true)}), show({s:setoption('keepalive', false)}),
            show({s:setoption('nothing', 1)}),
                show({s:setoption('keepalive')}), show({s:setoption()}))
            ngx.say(show({s:getoption('keepalive')}), show({s:getoption('tcp-nodelay')}), show({s:getoption('x')}),
            show({s:getoption()}))
            s:setoption('sndbuf', 20000) ngx.say(show({s:getoption('sndbuf')})) s:close()
            ngx.say(show({s:setoption('keepalive', 1)}))""",
        "user-coroutine": """local s = dial('late') local co = coroutine.wrap(function() coroutine.yield(s:receive(2))
            coroutine.yield(s:receive()) end)
            ngx.say(co(), co(), show({s:receive('*a')}))""",
        "methods": """local s = ngx.socket.tcp() for _, k in ipairs{'bind', 'connect', 'send', 'receive',
            'receiveany', 'receiveuntil', 'settimeout',
            'settimeouts', 'setkeepalive', 'getreusedtimes', 'close', 'setoption', 'getoption', 'sslhandshake',
            'setclientcert', 'none'} do
            ngx.say(k, type(s[k])) end
            for _, s in ipairs{ngx.socket.tcp(), ngx.socket.udp()} do
                local m = getmetatable(s) ngx.say(show({m.__index == m, type(m.send), type(m.close)})) end""",
        "bind": """local s = ngx.socket.tcp() ngx.say(show({s:bind('127.0.0.2')}), show({s:connect('127.0.0.1',
            {port3})}))
            s:send('GET /who HTTP/1.0\\r\\n\\r\\n') ngx.say(show({s:receive('*a')}):sub(-10))
            ngx.say(show({s:bind('x')}), show({s:bind('')}))""",
    },
    {
        "lines": (b"one\ntwo\n", KEEP),
        "kept": (b"kept\n", KEEP),
        "echo 12.5-31e+20": (b"echoed\n", KEEP),
        "1truenil1e+15-0.1": (b"all\n",),
        "closes": b"",
        "late": (0.02, b"ab", 0.02, b"c\n", 0.02, b"rest"),
        "silent": (WAIT,),
        "deaf": (1.0,),
        "echobig": (0.2, KEEP),
        "0123456789" * 800000: (b"got it\n",),
    },
    servers="""
    server {
        listen {port2}; listen {port3}; listen [::1]:{port3}; listen unix:{prefix}/up.sock;
        location / { return 200 "server $request_uri\\n"; }
        location /who { return 200 "$remote_addr"; }
    }
    lua_socket_connect_timeout 100ms;
    """,
)

ALL = (READ, UNTIL, USE)
