"""Lua that does not compile, raises, or is not there: the answer, and the error log's words.

https://github.com/openresty/lua-nginx-module and LuaJIT's own messages.
"""

from __future__ import annotations

from ..case import NOTICES, WARNINGS, Case, get
from ..lua import FILES, server

_ERRORS = {
    "string": 'error("a string")',
    "level0": 'error("no position", 0)',
    "level2": 'local function f() error("the caller\'s", 2) end\nf()',
    "number": "error(42)",
    "table": "error({code = 1})",
    "nil": "error(nil)",
    "none": "error()",
    "boolean": "error(false)",
    "function": "error(print)",
    "tostring": "error(setmetatable({}, {__tostring = function() return 'own text' end}))",
    "null": "error(ngx.null)",
    "empty": 'error("", 0)',
    "newline": 'error("two\\nlines", 0)',
    "assert": "assert(false)",
    "assert-message": 'assert(nil, "asserted")',
    "assert-table": "assert(nil, {})",
    "index-nil": "local t\nngx.say(t.x)",
    "index-field": "local t = {}\nngx.say(t.x.y)",
    "call-nil": "nothing()",
    "call-field": "ngx.nothing()",
    "call-method": 'local s = "x"\ns:nothing()',
    "arithmetic": "local x = {} + 1",
    "arithmetic-string": 'local x = "abc" + 1',
    "concat": 'local x = "a" .. nil',
    "concat-table": 'local x = "a" .. {}',
    "compare": 'local x = 1 < "2"',
    "length": "local x = #nil",
    "for": 'for i = 1, "x" do end',
    "upvalue": "local up\nlocal function f() return up.x end\nf()",
    "global-field": "ngx.say(undefined.field)",
    "deep": "local function f(n) if n == 0 then error('deep down') end f(n - 1) return 1 end\nf(5)",
    "overflow": "local function f() return 1 + f() end\nf()",
    "after-say": 'ngx.say("said") error("too late")',
    "after-flush": 'ngx.say("said") ngx.flush(true) error("much too late")',
    "after-status": 'ngx.status = 201 ngx.header.X_A = "1" error("after status")',
    "after-sleep": "ngx.sleep(0.001) error('after sleep')",
    "in-coroutine": "local co = coroutine.wrap(function() error('in a coroutine') end)\nco()",
    "in-resumed": (
        "local co = coroutine.create(function() ngx.sleep(0.001) error('resumed') "
        "end)\nngx.say(show({coroutine.resume(co)}))"
    ),
    "yield-require": 'require("waits")',
    "yield-gsub": 'string.gsub("a", "a", function() ngx.sleep(0.001) end)',
    "yield-inside": 'string.gsub("a", "a", function() coroutine.wrap(function() ngx.sleep(0.001) end)() end)',
    "yield-caught": """
        local function try(f, ...) ngx.say(show({pcall(string.gsub, "a", "a", function() f() end)})) end
        try(function() ngx.sleep(0.001) end) try(function() ngx.socket.tcp():connect("127.0.0.1", {port}) end)
        try(function() ngx.exec("/x") end) ngx.sleep(0.001) ngx.say("lives")""",
    "in-module": 'require("bad").run()',
    "require-missing": 'require("no.such.module")',
    "require-syntax": 'require("syntax")',
    "require-raises": 'require("raises")',
    "require-caught": (
        'local ok, err = pcall(require, "no.such.module") ngx.say(ok, " ", (err:gsub("\\n.*", ""))) '
        'ngx.say((pcall(require, "raises"))) ngx.say((pcall(require, "syntax")))'
    ),
    "loadstring": (
        'ngx.say(show({loadstring("x =")})) ngx.say(show({loadstring("return", "=name")})) '
        "ngx.say(show({load(function() return nil end)}))"
    ),
    "loadfile": 'ngx.say(show({loadfile("/no/such/file.lua")})) dofile("/no/such/file.lua")',
    "gsub-handler": '("x"):gsub(".", function() error("in gsub") end)',
    "sort-handler": "table.sort({3, 1, 2}, function(a, b) error('in sort') end)",
    "metamethod": (
        "local t = setmetatable({}, {__index = function(t, k) error('no field ' .. k) end})\nngx.say(t.field)"
    ),
    "tostring-bad": "tostring()",
    "string-rep": "string.rep()",
    "string-format": 'string.format("%d", "x")',
    "table-insert": "table.insert(1, 2)",
    "setmetatable": "setmetatable(1, {})",
    "tonumber": 'tonumber("10", 99)',
    "select": "select(0)",
    "unpack": "unpack(nil)",
    "caught": (
        'ngx.say(show({pcall(error, "x")}), show({pcall(error, {a = 1})}), show({pcall(error)}), '
        'show({pcall(function() local x = nil .. "a" end)}))'
    ),
    "xpcall": (
        "ngx.say(show({xpcall(function() error('x') end, function(m) return m .. ' handled' end)}), "
        "(xpcall(error, debug.traceback)))"
    ),
    "traceback": 'local text = debug.traceback("message") ngx.say((text:gsub("\\n.*", "")))',
    "os-exit": "ngx.say(type(os.exit), type(io.open), type(debug.getinfo))",
    "bad-self": "ngx.say(show({pcall(ngx.say)}))",
    "wrong-phase": "ngx.say(show({pcall(function() return ngx.arg end)}) ~= nil)",
}

_BROKEN = r"""
        location /syntax { content_by_lua_block { this is not lua } }
        location /unfinished { content_by_lua_block { if true then } }
        location /string { content_by_lua 'ngx.say("unfinished)'; }
        location /colon { content_by_lua_block { local t = {method: 1} } }
        location /assign { content_by_lua_block {
            if ngx.var.x = 1 then
                ngx.say(1)
            end
        } }
        location /goto { content_by_lua_block { goto nowhere } }
        location /break { content_by_lua_block { break } }
        location /vararg { content_by_lua_block { local function f() return ... end } }
        location /number { content_by_lua_block { local x = 12ab } }
        location /escape { content_by_lua_block { local x = "\q" } }
        location /file { content_by_lua_file lua/syntax.lua; }
        location /missing { content_by_lua_file lua/missing.lua; }
        location /folder { content_by_lua_file lua; }
        location /binary { content_by_lua_file lua/binary.lua; }
        location /raises { content_by_lua_file lua/raises.lua; }
        location /rewrite { rewrite_by_lua_block { not lua } return 200; }
        location /access { access_by_lua_block { not lua } content_by_lua_block { ngx.say("x") } }
        location /log { log_by_lua_block { not lua } content_by_lua_block { ngx.say("x") } }
        location /fine { content_by_lua_block { ngx.say("fine") } }
"""

_BROKEN_NAMES = (
    "syntax unfinished string colon assign goto break vararg number escape file missing folder binary raises rewrite "
    "access log fine"
)

_FILES: dict[str, str | bytes] = {
    **FILES,
    "lua/bad.lua": (
        "local _M = {}\n\nlocal function inner()\n    local x = nil\n    return x.y\nend\n\nfunction "
        "_M.run()\n    inner()\n    return 1\nend\n\nreturn _M\n"
    ),
    "lua/syntax.lua": "local x = 1\nlocal t = {a: 1}\n",
    "lua/raises.lua": "local x = 1\nerror('raised while loading')\n",
    "lua/waits.lua": "ngx.sleep(0.001)\n",
    "lua/binary.lua": b"\x00\x01\x02",
}

#: Code that runs in no coroutine there: the traceback is that of debug.traceback.
_PLAIN_CODE = {
    "index": "local t\nlocal x = t.x",
    "inner": "local function f() local t return t.x end\nlocal function g() f() return 1 end\ng()",
    "raised": 'error("raised")',
    "builtin": "local function f() string.rep() end\nf()",
    "api": "ngx.exec('/x')",
    "module": 'require("bad").run()',
    "rethrown": "local ok, err = pcall(function() local t return t.x end)\nlocal function f() error(err, 0) end\nf()",
    "deep-20": "local function g(n) if n == 0 then error('deep') end g(n - 1) return 1 end\ng(18)",
    "deep-21": "local function g(n) if n == 0 then error('deep') end g(n - 1) return 1 end\ng(19)",
    "deep-22": "local function g(n) if n == 0 then error('deep') end g(n - 1) return 1 end\ng(20)",
    "deep": "local function g(n) if n == 0 then local t return t.x end g(n - 1) return 1 end\ng(50)",
}
_PLAIN = "\n".join(
    f"location /{phase}/{name} {{ {directive} {{ {code} }} return 200 x; }}"
    for phase, directive in (
        ("set", "set_by_lua_block $a"),
        ("header", "header_filter_by_lua_block"),
        ("body", "body_filter_by_lua_block"),
        ("log", "log_by_lua_block"),
    )
    for name, code in _PLAIN_CODE.items()
)

CASES = (
    Case(
        "lua-errors-plain",
        server({}, _PLAIN),
        tuple(
            get(f"/{phase}/{name}", read=() if phase in ("header", "body") else ("GET",))
            for phase in ("set", "header", "body", "log")
            for name in _PLAIN_CODE
        ),
        files=_FILES,
    ),
    Case(
        "lua-errors",
        server(_ERRORS),
        (
            *(get(f"/{name}") for name in _ERRORS),
            get("/string", version="1.0"),
            get("/string", method="HEAD"),
            get("/after-flush", version="1.0"),
        ),
        files=_FILES,
        levels=WARNINGS,
        # Where a module was looked for is the installation's own.
        mask=((r"\n\tno (?:file|field|bundled module) '?[^\n,]*", ""),),
    ),
    Case(
        "lua-does-not-compile",
        server({}, _BROKEN),
        tuple(get(f"/{name}") for name in _BROKEN_NAMES.split()),
        files=_FILES,
        levels=NOTICES,
    ),
)
