"""ngx.say, ngx.print, ngx.status, ngx.header, ngx.exit, ngx.log, ngx.ctx, ngx.var: what a content handler can do.

https://github.com/openresty/lua-nginx-module#nginx-api-for-lua
"""

from __future__ import annotations

from ..case import INFOS, NOTICES, WARNINGS, Case, get, wire
from ..lua import FILES, server

_SAY = {
    "say": (
        'ngx.say("a", 1, 1.5, true, nil, ngx.null, "b") ngx.say() ngx.say("") ngx.say({"t", 1, {"u", nil}, '
        "ngx.null, false})"
    ),
    "print": 'ngx.print("a") ngx.print("b", "c\\n") ngx.print({}) ngx.print()',
    "numbers": (
        "ngx.say(1e15, ' ', 1e16, ' ', 0.1, ' ', -0, ' ', 1/0, ' ', -1/0, ' ', 123456789012, ' ', 1e100, "
        "' ', 2^53, ' ', 1/3)"
    ),
    "nested": 'ngx.say({{"a", {"b"}}, "c", {1, 2, {3}}})',
    "returns": 'ngx.say(tostring(ngx.say("x"))) local ok, err = ngx.print("y") ngx.say(show({ok, err}))',
    "badhash": "ngx.say({a = 1})",
    "badhole": "ngx.say(show({pcall(ngx.say, {1, nil, 3})}))",
    "badfunction": "ngx.say(print)",
    "badcaught": (
        "ngx.say(show({pcall(ngx.say, print)}), show({pcall(ngx.say, {print})}), show({pcall(ngx.say, {{a = 1}})}))"
    ),
    "badnested": "ngx.say({{}, {print}})",
    "badbool": "ngx.say(show({pcall(ngx.print, {true, false})}))",
    "coroutine": "ngx.say(coroutine.create(print))",
    "nothing": "",
    "onlystatus": "ngx.status = 201",
    "long": 'ngx.say(string.rep("x", 70000))',
    "many": "for i = 1, 300 do ngx.say(i) end",
    "bytes": 'ngx.print("\\0\\1\\255\\n", "ü")',
    "flush": 'ngx.say("a") ngx.say(show({ngx.flush()})) ngx.say(show({ngx.flush(true)})) ngx.say("b")',
    "eof": (
        'ngx.say("a") ngx.say(show({ngx.eof()})) local ok, err = ngx.say("lost") ngx.log(ngx.WARN, show({ok, '
        "err}), show({ngx.eof()}))"
    ),
    "afterexit": 'ngx.say("a") ngx.exit(200) ngx.say("never")',
    "sendheaders": (
        'ngx.header.X_A = "1" ngx.say(show({ngx.send_headers()}), show(ngx.headers_sent)) ngx.header.X_B = "2"'
    ),
    "headerssent": "local before = ngx.headers_sent ngx.say(show(before)) ngx.say(show(ngx.headers_sent))",
    "length": 'ngx.header.content_length = 5 ngx.print("hello")',
    "lengthshort": 'ngx.header["Content-Length"] = 10 ngx.print("hello")',
}

_STATUS = {
    "status": 'ngx.status = 404 ngx.say("own body ", ngx.status)',
    "statusstring": 'ngx.status = "403" ngx.say("x")',
    "statusodd": 'ngx.status = 299 ngx.say("x")',
    "status999": 'ngx.status = 999 ngx.say("x")',
    "statuszero": "ngx.say(ngx.status) ngx.log(ngx.WARN, ngx.status)",
    "statuslate": 'ngx.say("x") ngx.flush(true) ngx.status = 404 ngx.say(ngx.status)',
    "statusbad": """
        for _, bad in ipairs{"abc", {}, print} do ngx.say((pcall(function() ngx.status = bad end))) end
        ngx.say((pcall(function() ngx.status = nil end)))""",
    "status204": 'ngx.status = 204 ngx.say("not sent")',
    "status304": 'ngx.status = 304 ngx.print("")',
    "exit200": "ngx.exit(200)",
    "exit0": 'ngx.say("x") ngx.exit(0)',
    "exitok": "ngx.exit(ngx.OK)",
    "exit204": "ngx.exit(204)",
    "exit301": 'ngx.header.Location = "/x" ngx.exit(301)',
    "exit404": "ngx.exit(404)",
    "exit404body": 'ngx.status = 404 ngx.say("own") ngx.exit(404)',
    "exit404say": 'ngx.say("own") ngx.exit(404)',
    "exit404flush": 'ngx.say("own") ngx.flush(true) ngx.exit(404)',
    "exit500": "ngx.exit(500)",
    "exit503": "ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)",
    "exit418": "ngx.exit(418)",
    "exit444": "ngx.exit(444)",
    "exit410page": "ngx.exit(410)",
    "exit299": "ngx.exit(299)",
    "exiterror": "ngx.exit(ngx.ERROR)",
    "exitagain": "ngx.exit(ngx.AGAIN)",
    "exitbad": (
        'for _, bad in ipairs{{}, "404", print} do ngx.say((pcall(ngx.exit, bad))) end ngx.say((pcall(ngx.exit)))'
    ),
    "exitinpcall": 'pcall(ngx.exit, 403) ngx.say("never")',
    "exitincoroutine": 'local co = coroutine.wrap(function() ngx.exit(403) end) co() ngx.say("never")',
    "exitstatus": "ngx.status = 202 ngx.exit(200)",
    "exitstatus2": "ngx.status = 403 ngx.exit(200)",
    "exitstatus3": "ngx.status = 200 ngx.exit(503)",
}

_LOG = {
    "levels": (
        "for _, l in ipairs{'STDERR','EMERG','ALERT','CRIT','ERR','WARN','NOTICE','INFO','DEBUG'} do "
        "ngx.log(ngx[l], l, ' ', ngx[l]) end"
    ),
    "values": (
        'ngx.log(ngx.ERR, "a", 1, 1.5, true, nil, ngx.null, setmetatable({}, {__tostring = function() '
        'return "own" end}))'
    ),
    "print": 'print("printed ", 1, nil, true)',
    "empty": "ngx.log(ngx.ERR) ngx.log(ngx.ERR, '')",
    "newline": 'ngx.log(ngx.ERR, "two\\nlines")',
    "long": 'ngx.log(ngx.ERR, string.rep("x", 5000), "end")',
    "badtable": "ngx.say(show({pcall(ngx.log, ngx.ERR, {})}))",
    "badfunction": "ngx.log(ngx.ERR, print)",
    "badlevel": (
        'ngx.say(show({pcall(ngx.log, 9, "x")}), show({pcall(ngx.log, -1, "x")}), show({pcall(ngx.log, "x", '
        '"x")}), show({pcall(ngx.log)}))'
    ),
    "named": 'local function inner() ngx.log(ngx.ERR, "inside") end inner() local function outer() inner() end outer()',
    "module": 'require("logs").log("from a module")',
    "loadstring": (
        'loadstring("ngx.log(ngx.ERR, \\"in a chunk\\")", "=named")() loadstring("ngx.log(ngx.ERR, \\"in source\\")")()'
    ),
}

_HEADER = {
    "set": 'ngx.header["X-A"] = "1" ngx.header.x_b = 2 ngx.header["x-c"] = 1.5 ngx.header["X_D"] = true ngx.say("ok")',
    "read": (
        'ngx.header["X-A"] = "1" ngx.header.x_b = {"1", "2"} ngx.say(show({ngx.header["x-a"], '
        "ngx.header.X_A, ngx.header.x_b, ngx.header.none}))"
    ),
    "multi": (
        'ngx.header["Set-Cookie"] = {"a=1", "b=2"} ngx.header["X-M"] = {"1", 2, 3.5} '
        'ngx.say(show(ngx.header["Set-Cookie"]))'
    ),
    "remove": (
        'ngx.header["X-A"] = "1" ngx.header["X-A"] = nil ngx.header["X-B"] = {"1"} ngx.header["X-B"] = {} '
        'ngx.header.content_type = nil ngx.say("x")'
    ),
    "replace": 'ngx.header["X-A"] = {"1", "2"} ngx.header["X-A"] = "3" ngx.say("x")',
    "type": 'ngx.header.content_type = "text/html; charset=x" ngx.say(show(ngx.header.content_type))',
    "typetable": 'ngx.header.content_type = {"a/b", "c/d"} ngx.say(show(ngx.header.content_type))',
    "location": 'ngx.header.Location = "/x" ngx.status = 302 ngx.say(show(ngx.header.location))',
    "special": (
        'ngx.header.Server = "mine" ngx.header.Date = "today" ngx.header["Last-Modified"] = "Sat, '
        '04 Mar 2023 05:06:07 GMT" ngx.header.ETag = "\\"e\\"" ngx.say("x")'
    ),
    "cache": (
        'ngx.header["Cache-Control"] = {"a", "b"} ngx.header.Expires = "0" ngx.header.Link = {"</a>", '
        '"</b>"} ngx.header.Vary = "x" ngx.say("x")'
    ),
    "connection": (
        'ngx.header.Connection = "close" ngx.header["Transfer-Encoding"] = "x" '
        'ngx.header["Content-Encoding"] = "y" ngx.say("x")'
    ),
    "late": 'ngx.say("x") ngx.flush(true) ngx.header["X-Late"] = "1"',
    "newline": 'ngx.header["X-A"] = "a\\r\\nX-B: b" ngx.header["X\\nC"] = "c" ngx.header["X D"] = "d" ngx.say("x")',
    "bytes": 'ngx.header["X-A"] = "ü\\255" ngx.header[""] = "x" ngx.say("x")',
    "badtable": 'ngx.header["X-A"] = {{}} ngx.say("x")',
    "badfunction": 'ngx.say(show({pcall(function() ngx.header["X-A"] = print end)}))',
    "numberkey": "ngx.header[1] = 2 ngx.say(show({pcall(function() return ngx.header[1] end)}))",
    "accept": (
        'ngx.header["Accept-Ranges"] = "none" ngx.header["WWW-Authenticate"] = "Basic" ngx.header.Refresh = '
        '"1" ngx.say("x")'
    ),
    "resp": (
        'ngx.header["X-A"] = {"1", "2"} ngx.header.X_b = "3" ngx.say(show(ngx.resp.get_headers())) '
        "ngx.say(show(ngx.resp.get_headers().x_b))"
    ),
    "respraw": 'ngx.header["X-A"] = "1" local h, err = ngx.resp.get_headers(1, true) ngx.say(show(h), show(err))',
    "respmax": (
        'for i = 1, 5 do ngx.header["X-" .. i] = i end local h, err = ngx.resp.get_headers(2) ngx.say(err) '
        'h = ngx.resp.get_headers(0) ngx.say(h["x-5"])'
    ),
    "respsent": (
        'ngx.say("x") ngx.flush(true) local h = ngx.resp.get_headers() h.date = nil h.server = nil ngx.say(show(h))'
    ),
}

_VAR = {
    "read": (
        "ngx.say(show({ngx.var.uri, ngx.var.args, ngx.var.arg_a, ngx.var.http_x, ngx.var.none, "
        "ngx.var.preset, ngx.var[1]}))"
    ),
    "types": "ngx.say(type(ngx.var.server_port), type(ngx.var.none), type(ngx.var.arg_none), type(ngx.var.preset))",
    "set": (
        'ngx.var.preset = "x" ngx.say(ngx.var.preset) ngx.var.preset = 12 ngx.say(ngx.var.preset) '
        "ngx.var.preset = nil ngx.say(show(ngx.var.preset))"
    ),
    "setfloat": "ngx.var.preset = 1.5 ngx.say(ngx.var.preset) ngx.var.preset = 1e20 ngx.say(ngx.var.preset)",
    "setargs": 'ngx.var.args = "x=1" ngx.say(ngx.var.arg_x, ngx.var.query_string, ngx.var.request_uri)',
    "setargsnil": (
        "ngx.var.args = nil ngx.say(show(ngx.var.args), show(ngx.var.query_string), show(ngx.var.is_args), show(ngx.req.get_uri_args())) "
        "ngx.var.args = '' ngx.say(show(ngx.var.args), show(ngx.var.is_args))"
    ),
    "setrate": 'ngx.var.limit_rate = "100k" ngx.say(ngx.var.limit_rate)',
    "seturi": 'ngx.var.uri = "/x"',
    "setnone": 'ngx.var.nobody = "x"',
    "setbad": (
        "ngx.say(show({pcall(function() ngx.var.preset = {} end)}), show({pcall(function() "
        "ngx.var.preset = true end)}))"
    ),
    "readbad": (
        "ngx.say(show({pcall(function() return ngx.var[true] end)}), show({pcall(function() return ngx.var[{}] end)}))"
    ),
    "readonly": 'ngx.say(show({pcall(function() ngx.var.request_method = "PUT" end)}))',
    "case": "ngx.say(show({ngx.var.URI, ngx.var.Preset, ngx.var.ARG_A}))",
    "capture": "ngx.say(show({ngx.var[0], ngx.var[1], ngx.var[2], ngx.var[9]}))",
    "setcapture": 'ngx.say(show({pcall(function() ngx.var[1] = "x" end)}))',
    "cookie": "ngx.say(show({ngx.var.cookie_a, ngx.var.http_cookie, ngx.var.cookie_none}))",
    "sent": (
        'ngx.header.X_Y = "z" ngx.say(show({ngx.var.sent_http_x_y, ngx.var.sent_http_content_type, '
        "ngx.var.status, ngx.var.bytes_sent}))"
    ),
    "ctx": (
        'ngx.ctx.a = 1 ngx.ctx.b = {c = 2} ngx.ctx[1] = "x" ngx.say(show(ngx.ctx)) ngx.ctx = {new = true} '
        "ngx.say(show(ngx.ctx))"
    ),
    "ctxsame": 'local c = ngx.ctx c.x = 1 ngx.say(rawequal(c, ngx.ctx), " ", ngx.ctx.x)',
    "ctxbad": "ngx.say((pcall(function() ngx.ctx = 1 end)))",
    "global": 'x = (x or 0) + 1 ngx.say(x, " ", _G.x)',
    "arg": "ngx.say((pcall(function() return ngx.arg[1] end)))",
    "indexed": (
        "ngx.say(show({pcall(function() return ngx.none end)}), type(ngx.location), tostring(ngx.null), type(ngx.null))"
    ),
    "constants": """
        local names = {"OK", "ERROR", "AGAIN", "DONE", "DECLINED", "null", "HTTP_GET", "HTTP_HEAD", "HTTP_PUT",
            "HTTP_POST",
            "HTTP_DELETE", "HTTP_OPTIONS", "HTTP_MKCOL", "HTTP_COPY", "HTTP_MOVE", "HTTP_PROPFIND", "HTTP_PROPPATCH",
                "HTTP_LOCK",
            "HTTP_UNLOCK", "HTTP_PATCH", "HTTP_TRACE", "HTTP_CONTINUE", "HTTP_SWITCHING_PROTOCOLS", "HTTP_OK",
                "HTTP_CREATED",
            "HTTP_ACCEPTED", "HTTP_NO_CONTENT", "HTTP_PARTIAL_CONTENT", "HTTP_SPECIAL_RESPONSE",
                "HTTP_MOVED_PERMANENTLY",
            "HTTP_MOVED_TEMPORARILY", "HTTP_SEE_OTHER", "HTTP_NOT_MODIFIED", "HTTP_TEMPORARY_REDIRECT",
                "HTTP_PERMANENT_REDIRECT",
            "HTTP_BAD_REQUEST", "HTTP_UNAUTHORIZED", "HTTP_PAYMENT_REQUIRED", "HTTP_FORBIDDEN", "HTTP_NOT_FOUND",
                "HTTP_NOT_ALLOWED",
            "HTTP_NOT_ACCEPTABLE", "HTTP_REQUEST_TIMEOUT", "HTTP_CONFLICT", "HTTP_GONE", "HTTP_UPGRADE_REQUIRED",
            "HTTP_TOO_MANY_REQUESTS", "HTTP_CLOSE", "HTTP_ILLEGAL", "HTTP_INTERNAL_SERVER_ERROR",
                "HTTP_METHOD_NOT_IMPLEMENTED",
            "HTTP_BAD_GATEWAY", "HTTP_SERVICE_UNAVAILABLE", "HTTP_GATEWAY_TIMEOUT", "HTTP_VERSION_NOT_SUPPORTED",
            "HTTP_INSUFFICIENT_STORAGE", "STDERR", "EMERG", "ALERT", "CRIT", "ERR", "WARN", "NOTICE", "INFO", "DEBUG"}
        for _, name in ipairs(names) do ngx.say(name, "=", ngx[name]) end""",
    "config": """
        ngx.say(show({ngx.config.subsystem, type(ngx.config.debug), type(ngx.config.nginx_version),
            type(ngx.config.ngx_lua_version),
            type(ngx.config.nginx_configure()), ngx.config.prefix() == ngx.config.prefix():gsub("/*$", "/"),
                ngx.get_phase(),
            ngx.is_subrequest, ngx.worker.id(), ngx.worker.count(), ngx.worker.exiting(), ngx.worker.pid() > 1}))""",
}

#: What output gives where nothing of it is sent, or a precondition fails. The results stand in the error log.
_UNSENT = {
    "say": "log(ngx.say('x')) log(ngx.say('y')) log(ngx.print('z')) log(ngx.flush(true)) log(ngx.eof())",
    "empty": "log(ngx.print('')) log(ngx.print('')) log(ngx.say('y')) log(ngx.eof()) log(ngx.eof())",
    "sent": "log(ngx.send_headers()) log(ngx.say('y')) log(ngx.flush()) log(ngx.send_headers())",
    "flush": "log(ngx.flush(true)) log(ngx.flush()) log(ngx.say('y')) log(ngx.flush(false))",
    "flushsent": "ngx.send_headers() log(ngx.flush()) log(ngx.flush(true)) log(ngx.say('y')) log(ngx.flush())",
    "eof": "log(ngx.eof()) log(ngx.say('y')) log(ngx.flush()) log(ngx.eof())",
    "status204": "ngx.status = 204 log(ngx.say('x')) log(ngx.say('y')) log(ngx.flush()) log(ngx.eof())",
    "status304": "ngx.status = 304 log(ngx.say('x')) log(ngx.say('y')) log(ngx.flush()) log(ngx.eof())",
    "modified": (
        "ngx.header['Last-Modified'] = 'Sat, 04 Mar 2023 05:06:07 GMT' log(ngx.say('x')) log(ngx.say('y')) "
        "log(ngx.flush())"
    ),
    "badarg": "log(ngx.say('x')) log(pcall(ngx.say, print)) log(pcall(ngx.flush, 1))",
}

#: Output that a precondition refuses. (The reference's handler has no context after that; in newer ones it has.)
_REFUSED = {
    "say": "log(ngx.say('x'))",
    "modified": "ngx.header['Last-Modified'] = 'Sat, 04 Mar 2023 05:06:07 GMT' log(ngx.say('x'))",
    "empty": "log(ngx.print(''))",
    "sent": "log(ngx.send_headers())",
    "eof": "log(ngx.eof())",
    "late": "ngx.req.set_header('If-Match', '\"x\"') ngx.say('x') pcall(function() return ngx.header.x end)",
}
_LOGGED = "local function log(...) ngx.log(ngx.WARN, show({...})) end "
#: The same in subrequests, and where Lua makes a HEAD of it.
_UNSENT_INSIDE = {
    "head": "for _, u in ipairs{'say', 'empty', 'sent', 'status204'} do ngx.say(show(ngx.location.capture('/' .. u, {method = ngx.HTTP_HEAD}))) end",
    "heads": "ngx.say(show({ngx.location.capture_multi{{'/say', {method = ngx.HTTP_HEAD}}, {'/sent'}, {'/eof', {method = ngx.HTTP_HEAD}}}}))",
    "get": "for _, u in ipairs{'say', 'status204'} do ngx.say(show(ngx.location.capture('/' .. u))) end",
    "method": "ngx.req.set_method(ngx.HTTP_HEAD) ngx.log(ngx.WARN, show({ngx.say('x'), ngx.say('y')}), show({ngx.flush()}))",
}
_DATE_BEFORE, _DATE_AFTER = "Sat, 04 Mar 2023 05:06:06 GMT", "Sat, 04 Mar 2023 05:06:08 GMT"


CASES = (
    Case(
        "lua-unsent",
        server(
            {
                name: "local function log(...) ngx.log(ngx.WARN, show({...})) end " + code
                for name, code in _UNSENT.items()
            }
        ),
        (
            *(get(f"/{name}", method="HEAD") for name in _UNSENT),
            *(get(f"/{name}", method="HEAD", version="1.0") for name in _UNSENT),
            *(get(f"/{name}") for name in _UNSENT),
            *(get(f"/{name}", version="1.0") for name in _UNSENT),
            get("/modified", {"If-Modified-Since": _DATE_AFTER}, name="304"),
            get("/say", {"If-None-Match": '"x"'}, name="200, there is no ETag"),
        ),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-refused",
        server({name: _LOGGED + code for name, code in _REFUSED.items()}),
        (
            *(get(f"/{name}", {"If-Match": '"x"'}, name=f"{name}, there is no ETag") for name in _REFUSED),
            get("/say", {"If-Unmodified-Since": _DATE_BEFORE}, name="nothing is known of the time"),
            get("/modified", {"If-Unmodified-Since": _DATE_BEFORE}, name="modified since"),
            get("/modified", {"If-Unmodified-Since": _DATE_BEFORE}, method="HEAD", name="HEAD, modified since"),
            get("/modified", {"If-Unmodified-Since": _DATE_AFTER}, name="not modified since"),
            get("/late", name="the condition is Lua's"),
        ),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-say",
        server(_SAY),
        (
            *(get(f"/{name}", {"Connection": "close"} if name == "lengthshort" else ()) for name in _SAY),
            *(get(f"/{name}", version="1.0") for name in ("say", "nothing", "flush", "long", "length", "sendheaders")),
            *(get(f"/{name}", method="HEAD") for name in ("say", "nothing", "flush", "length")),
            wire("pipelined", b"GET /say HTTP/1.1\r\nHost: x\r\n\r\n" * 3, read=("GET",) * 3),
        ),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-status",
        server(_STATUS, "error_page 410 /gone; location = /gone { return 200 'gone'; }"),
        tuple(get(f"/{name}", read=() if name in ("exit444",) else ("GET",)) for name in _STATUS),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-log",
        server(_LOG),
        tuple(get(f"/{name}") for name in _LOG),
        files={
            **FILES,
            "lua/logs.lua": 'return { log = function(...)\n ngx.log(ngx.WARN, ...)\n print("and printed")\nend }\n',
        },
        levels=(*INFOS, ""),
        # The prefix of an entry counts for its greatest length.
        mask=(("x{1000,}", "xxx"),),
    ),
    Case("lua-header", server(_HEADER), tuple(get(f"/{name}") for name in _HEADER), files=FILES, levels=WARNINGS),
    Case(
        "lua-var",
        server(
            _VAR,
            r"""set $preset before; location ~ ^/re(\d)(\w)? { content_by_lua_block {
                ngx.say(ngx.var[1], ngx.var[2], ngx.var[0], ngx.var[3]) } }""",
        ),
        (
            *(get(f"/{name}?a=1&b", {"Cookie": "a=1; b=2", "X": "h"}) for name in _VAR),
            get("/global", name="globals of one request are gone at the next"),
            get("/re12"),
            get("/re1"),
        ),
        files=FILES,
        levels=NOTICES,
    ),
)
