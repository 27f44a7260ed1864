"""ngx.req.socket, for the body and raw; what ngx.socket.udp refuses.

https://github.com/openresty/lua-nginx-module#ngxreqsocket, https://github.com/openresty/lua-nginx-module#ngxsocketudp
"""

from __future__ import annotations

from ..case import WARNINGS, Ask, Case, get, wire
from ..lua import FILES, server

_BODY = {
    "lines": (
        "local s = ngx.req.socket() ngx.say(show({s:receive()})) ngx.say(show({s:receive('*l')})) "
        "ngx.say(show({s:receive()})) ngx.say(show({s:receive()}))"
    ),
    "size": "local s = ngx.req.socket() for i = 1, 4 do ngx.say(show({s:receive(4)})) end",
    "all": "local s = ngx.req.socket() ngx.say(show({s:receive('*a')})) ngx.say(show({s:receive('*a')}))",
    "until": (
        "local s = ngx.req.socket() local r = s:receiveuntil('--') ngx.say(show({r()})) ngx.say(show({r(2)})) "
        "ngx.say(show({r()})) ngx.say(show({r()}))"
    ),
    "partly": "local s = ngx.req.socket() ngx.say(show({s:receive(3)}))",
    "unread": "local s = ngx.req.socket() ngx.say(type(s))",
    "refused": "local s, err = ngx.req.socket() ngx.say(type(s), ' ', err)",
    "after-read": "ngx.req.read_body() ngx.say(show({ngx.req.socket()}))",
    "after-discard": "ngx.req.discard_body() ngx.say(show({ngx.req.socket()}))",
    "twice": "local s = ngx.req.socket() ngx.say(show({ngx.req.socket()})) ngx.say(show({s:receive(2)}))",
    "then-read": (
        "local s = ngx.req.socket() s:receive('*a') ngx.req.read_body() "
        "ngx.say(show({ngx.req.get_body_data()}), show({ngx.req.get_body_file()}))"
    ),
    "methods": (
        "local s = ngx.req.socket() for _, name in ipairs{'receive', 'receiveuntil', 'receiveany', 'settimeout', "
        "'settimeouts', 'send', 'close', 'setkeepalive', 'connect', 'getreusedtimes', 'bind'} do "
        "ngx.print(name, ' ', type(s[name]), ' ') end ngx.say()"
    ),
    "timeout": (
        "local s = ngx.req.socket() s:settimeout(60) ngx.say(show({s:receive(20)})) "
        "s:settimeout(2000) ngx.say(show({s:receive(4)}))"
    ),
    "sub": "local res = ngx.location.capture('/inside') ngx.print(res.body)",
    "inside": "local ok, err = pcall(ngx.req.socket) ngx.say(ok, type(err) == 'string' and err)",
    "rewrite": "ngx.say(ngx.ctx.got)",
}

_RAW = {
    "echo": """
        local s, err = ngx.req.socket(true)
        if not s then ngx.say(err) return end
        s:send("hello\\r\\n")
        while true do
            local line, err = s:receive()
            if not line then s:send("bye: " .. tostring(err) .. "\\n") break end
            if line == "quit" then break end
            s:send({"got ", line, "\\n"})
        end""",
    "after-head": """
        ngx.send_headers() ngx.flush(true)
        local s, err = ngx.req.socket(true)
        if not s then ngx.log(ngx.ERR, err) return end
        s:send("raw bytes ") s:send(s:receive(3))""",
    "print": """
        local s = ngx.req.socket(true)
        local one, two, three, four = show({ngx.say("x")}), show({ngx.flush(true)}), show({ngx.print("y")}), show({ngx.eof()})
        s:send(one .. two .. three .. four .. tostring(ngx.headers_sent))""",
    "duplicate": "local s = ngx.req.socket(true) s:send(show({ngx.req.socket(true)}) .. show({ngx.req.socket()}))",
    "body": "local s = ngx.req.socket(true) s:send(show({s:receive(6)}) .. show({s:receive()}))",
    "after-body": "ngx.req.read_body() local s = ngx.req.socket(true) s:send(ngx.req.get_body_data() .. show({s:receive(4)}))",
    "after-say": "ngx.say('said') ngx.flush(true) local s = ngx.req.socket(true) if s then s:send('and sent') end",
    "held": "ngx.say('held') ngx.say(show({ngx.req.socket(true)}))",
    "methods-raw": (
        "local s = ngx.req.socket(true) local out = {} for _, name in ipairs{'receive', 'receiveuntil', 'send', "
        "'settimeout', 'settimeouts', 'close', 'setkeepalive', 'connect', 'getreusedtimes'} do "
        "out[#out + 1] = name .. ' ' .. type(s[name]) .. ' ' end s:send(out)"
    ),
    "raw-timeout": "local s = ngx.req.socket(true) s:settimeout(60) s:send(show({s:receive(20)}))",
    "exit": "local s = ngx.req.socket(true) s:send('bytes') ngx.exit(500)",
    "error": "local s = ngx.req.socket(true) s:send('bytes') error('no more')",
}

_UDP = {
    "udp-bad": (
        "local u = ngx.socket.udp() ngx.say(show({u:send('x')}), show({u:receive()}), show({u:close()})) "
        "for _, a in ipairs{{}, {'127.0.0.1'}, {'127.0.0.1', 70000}, {'127.0.0.1', -1}, {{}, 53}, {'127.0.0.1', 'x'}, "
        "{'127.0.0.1', 1, 2}} do ngx.say(show({pcall(u.setpeername, u, unpack(a))})) end"
    ),
    "udp-refused": (
        "local u = ngx.socket.udp() ngx.say(show({u:setpeername('127.0.0.1', {dead})})) ngx.say(show({u:send('x')})) "
        "u:settimeout(1000) ngx.say(show({u:receive()})) ngx.say(show({u:close()}), show({u:close()}))"
    ),
    "udp-data": (
        "local u = ngx.socket.udp() u:setpeername('127.0.0.1', {dead}) for _, v in ipairs{print, {print}, {a = 1}} do "
        "ngx.say(show({pcall(u.send, u, v)})) end ngx.say(show({u:close()}))"
    ),
    "udp-unix": "local u = ngx.socket.udp() ngx.say(show({u:setpeername('unix:' .. ngx.config.prefix() .. 'none.sock')}))",
    "tcp-bind": (
        "local s = ngx.socket.tcp() ngx.say(show({s:bind('127.0.0.1')}), show({s:bind('127.0.0.1:80')}), "
        "show({s:bind('localhost')}), show({s:bind('[::1]')}), show({s:bind('192.0.2.7')})) "
        "ngx.say(show({s:connect('127.0.0.1', {dead})}))"
    ),
}

_MORE = """
    location /access { access_by_lua_block { ngx.req.socket() } content_by_lua_block { ngx.say(show or "no show") } }
    location /log { return 204; log_by_lua_block {
        local ok, err = pcall(ngx.req.socket) ngx.log(ngx.ERR, tostring(err)) } }
    location /checked {
        lua_check_client_abort on;
        content_by_lua_block {
        local s = ngx.req.socket() local line, err, part = s:receive(10) ngx.log(ngx.ERR, tostring(err), " ", part) }
    }
    location /cut { content_by_lua_block {
        local s = ngx.req.socket() local data, err, part = s:receive(10) ngx.log(ngx.ERR, tostring(err), " ", part) } }
    location /cut-all {
        content_by_lua_block { local show = require "show" local s = ngx.req.socket() ngx.log(ngx.ERR, show({s:receive("*a")})) }
        location /cut-all/checked { lua_check_client_abort on; content_by_lua_block {
            local show = require "show" local s = ngx.req.socket() ngx.log(ngx.ERR, show({s:receive("*a")})) } }
    }
"""


def post(path: str, body: str = "one\r\ntwo--x--\nthree", more: str = "", name: str = "", **options: object) -> Ask:
    """A POST."""
    text = f"POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}"
    return wire(name or path, text.encode(), **options)


_NEXT = b"GET /refused HTTP/1.1\r\nHost: a\r\n\r\n"
_RAW_HEAD = "GET /{} HTTP/1.1\r\nHost: a\r\nUpgrade: mine\r\nConnection: upgrade\r\n\r\n"


def raw(path: str, *send: bytes | float, **options: object) -> Ask:
    """A request that is followed by bytes of another protocol; everything up to the end is compared."""
    first, *rest = send or (b"",)
    assert isinstance(first, bytes)
    return wire(path, _RAW_HEAD.format(path).encode() + first, *rest, read=(), **options)


CASES = (
    Case(
        "lua-req-socket",
        server(_BODY, _MORE),
        (
            *(post(name) for name in _BODY if name not in ("timeout", "rewrite")),
            get("/refused"),
            post("refused", "", name="empty body"),
            wire("chunked", b"POST /refused HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            *(
                wire(
                    f"{name}, then another",
                    f"POST /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef".encode() + _NEXT,
                    read=("POST", "GET"),
                )
                for name in ("all", "size", "until")
            ),
            wire("in pieces", b"POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab", 0.05, b"c", 0.05, b"def" + _NEXT,
                 read=("POST", "GET")),
            wire("lines in pieces", b"POST /lines HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\na", 0.05, b"b\r", 0.05,
                 b"\ncd", 0.05, b"e\n"),
            wire("timeout", b"POST /timeout HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nabcd", 0.2, b"efgh"),
            wire("expect", b"POST /all HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", 0.1, b"body",
                 read=("POST",)),
            wire("cut", b"POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", 0.1, read=(), shutdown=True),
            wire("checked", b"POST /checked HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", 0.1, read=(), shutdown=True),
            *(
                wire(name, f"POST /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc".encode(), 0.1, read=(),
                     shutdown=True)
                for name in ("cut-all", "cut-all/checked")
            ),
            get("/log"),
        ),
        files=FILES,
        levels=WARNINGS,
        mask=((r"u:[0-9A-F]+, c:[0-9A-F]+", "u:ADDRESS, c:ADDRESS"),),
        # The reference takes what Lua left of a body for the next request.
        newer={'"one" 400': None},
    ),
    Case(
        "lua-raw-socket",
        server(_RAW),
        (
            raw("echo", b"first\r\nsecond\nquit\n"),
            raw("echo", b"", 0.05, b"a", 0.05, b"b\r\nquit\r\n"),
            raw("echo", b"last", shutdown=True),
            raw("after-head", b"abcdef"),
            *(raw(name) for name in ("print", "duplicate", "after-say", "methods-raw", "exit", "error")),
            raw("raw-timeout", b"abc"),
            wire("body", b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdefand more\n", read=()),
            wire("after-body", b"POST /after-body HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdefmore", read=()),
            wire("chunked raw", b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                 read=()),
            wire("held", b"GET /held HTTP/1.0\r\n\r\n", read=()),
        ),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-udp",
        server(_UDP),
        tuple(get(f"/{name}") for name in _UDP),
        files=FILES,
        levels=WARNINGS,
        mask=(
            (r"u:[0-9A-F]+, c:[0-9A-F]+", "u:ADDRESS, c:ADDRESS"),
            # Since 0.10.27 the peer is named.
            (r", upstream: [^,(]*\([^)]*\)(?=, client:)", ""),
        ),
    ),
)  # fmt: skip
