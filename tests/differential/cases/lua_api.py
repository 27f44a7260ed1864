"""The Lua API where it meets phases, limits and odd arguments: what is refused where, what survives what.

https://github.com/openresty/lua-nginx-module#nginx-api-for-lua
"""

from __future__ import annotations

from harness import http

from ..case import WARNINGS, Case, get, wire
from ..lua import FILES, server

#: Calls that some phases refuse.
_CALLS = """
return {
    say = function() return ngx.say("x") end, print = function() return ngx.print("x") end, flush = function() return ngx.flush() end,
    eof = function() return ngx.eof() end, send_headers = function() return ngx.send_headers() end,
    exit = function() return ngx.exit(0) end, exec = function() return ngx.exec("/x") end, redirect = function() return ngx.redirect("/x") end,
    sleep = function() return ngx.sleep(0) end, capture = function() return ngx.location.capture("/x") end,
    capture_multi = function() return ngx.location.capture_multi({{"/x"}}) end,
    status = function() return ngx.status end, set_status = function() ngx.status = 200 end,
    header = function() return ngx.header.x_none end, set_header = function() ngx.header.x_none = nil end,
    resp = function() return type(ngx.resp.get_headers()) end, headers_sent = function() return ngx.headers_sent end,
    var = function() return ngx.var.request_method end, set_var = function() ngx.var.preset = "x" end, ctx = function() return type(ngx.ctx) end,
    arg = function() return ngx.arg[1] end, is_subrequest = function() return ngx.is_subrequest end,
    method = function() return ngx.req.get_method() end, set_method = function() return ngx.req.set_method(2) end,
    version = function() return ngx.req.http_version() end, start = function() return type(ngx.req.start_time()) end,
    internal = function() return ngx.req.is_internal() end, raw = function() return type(ngx.req.raw_header()) end,
    uri_args = function() return type(ngx.req.get_uri_args()) end, set_uri_args = function() return ngx.req.set_uri_args("a") end,
    set_uri = function() return ngx.req.set_uri("/x") end, jump = function() return ngx.req.set_uri("/x", true) end,
    headers = function() return type(ngx.req.get_headers()) end, set_req = function() return ngx.req.set_header("x", "y") end,
    clear_req = function() return ngx.req.clear_header("x") end, read_body = function() return ngx.req.read_body() end,
    body_data = function() return ngx.req.get_body_data() end, body_file = function() return ngx.req.get_body_file() end,
    post_args = function() return ngx.req.get_post_args() end, set_body = function() return ngx.req.set_body_data("x") end,
    set_body_file = function() return ngx.req.set_body_file("/none") end, init_body = function() return ngx.req.init_body() end,
    append_body = function() return ngx.req.append_body("x") end, finish_body = function() return ngx.req.finish_body() end,
    md5 = function() return ngx.md5("x") end, escape = function() return ngx.escape_uri("a b") end, now = function() return type(ngx.now()) end,
    phase = function() return ngx.get_phase() end, worker = function() return type(ngx.worker.pid()) end,
    prefix = function() return type(ngx.config.prefix()) end, log = function() return ngx.log(ngx.DEBUG, "x") end,
    create = function() return type(coroutine.create(function() end)) end, wrap = function() return type(coroutine.wrap(function() end)) end,
    running = function() return type(coroutine.running()) end, yield = function() return coroutine.yield() end,
    create_c = function() return type(coroutine.create(ngx.say)) end, spawn = function() return ngx.thread.spawn(function() end) end,
    spawn_c = function() return ngx.thread.spawn(ngx.say) end, wait = function() return ngx.thread.wait() end,
    kill = function() return ngx.thread.kill(1) end, on_abort = function() return ngx.on_abort(function() end) end,
    on_abort_c = function() return ngx.on_abort(ngx.say) end, tcp = function() return type(ngx.socket.tcp()) end,
    socket = function() return ngx.req.socket() end, raw_socket = function() return ngx.req.socket(true) end,
}
"""
_TRY = """
local calls, show = require("calls"), require("show")
return function(names)
    local out = {}
    for name in names:gmatch("%S+") do
        out[#out + 1] = name .. "=" .. show({pcall(calls[name])})
    end
    return table.concat(out, "\\n")
end
"""
# Functions that end or answer the request are tried only where they are refused.
_QUIET = (
    "status set_status header set_header resp headers_sent var ctx arg is_subrequest method version internal raw uri_args headers set_req clear_req "
    "body_data body_file post_args set_body set_body_file init_body append_body finish_body md5 escape now phase worker prefix log running"
)
_LOUD = "say print send_headers exec redirect sleep capture capture_multi jump read_body create wrap"
#: These crash the reference in init_by_lua.
_THREADS = "yield create_c spawn spawn_c wait kill on_abort on_abort_c tcp socket raw_socket"
_TIMER = (
    f"{_QUIET} say print flush eof send_headers exec redirect capture capture_multi jump read_body create wrap create_c spawn_c wait kill on_abort "
    "socket raw_socket"
)

_PHASES = http(
    f"""
    lua_package_path "$prefix/lua/?.lua;;";
    init_by_lua_block {{ tried_init = require("try")("{_QUIET} {_LOUD} exit") }}
    init_worker_by_lua_block {{ tried_worker = require("try")("{_QUIET} {_LOUD} {_THREADS} exit") }}
    server {{
        listen {{port}};
        set $preset "";
        location /init {{ content_by_lua_block {{ ngx.say(tried_init) }} }}
        location /worker {{ content_by_lua_block {{ ngx.say(tried_worker) }} }}
        location /set {{ set_by_lua_block $s {{ return require("try")("{_QUIET} {_LOUD} {_THREADS} exit") }} return 200 $s; }}
        location /rewrite {{ rewrite_by_lua_block {{ ngx.ctx.x = require("try")("{_QUIET} create wrap set_var") }} content_by_lua_block {{ ngx.say(ngx.ctx.x) }} }}
        location /access {{ access_by_lua_block {{ ngx.ctx.x = require("try")("{_QUIET} jump create wrap") }} content_by_lua_block {{ ngx.say(ngx.ctx.x) }} }}
        location /content {{ content_by_lua_block {{ ngx.say(require("try")("{_QUIET} jump create wrap")) }} }}
        location /log {{ log_by_lua_block {{
            ngx.log(ngx.WARN, require("try")("{_QUIET}")) ngx.log(ngx.WARN, require("try")("{_LOUD} {_THREADS} exit")) }} content_by_lua_block {{ ngx.say("x") }} }}
        location /header-filter {{ return 200 x; header_filter_by_lua_block {{ ngx.log(ngx.WARN, require("try")("{_LOUD} {_THREADS}")) }} }}
        location /body-filter {{ return 200 x; body_filter_by_lua_block {{ ngx.log(ngx.WARN, require("try")("{_LOUD} {_THREADS}")) }} }}
        location /timer {{ content_by_lua_block {{
            local out
            ngx.timer.at(0, function() out = require("try")("{_TIMER}") end) ngx.sleep(0.05) ngx.say(out) }} }}
        location /on-abort {{ lua_check_client_abort on; content_by_lua_block {{ ngx.say(require("try")("on_abort_c on_abort on_abort")) }} }}
    }}
    """
)

_BODIES = """
        location /need/content { lua_need_request_body on; content_by_lua_block { ngx.say(ngx.req.get_body_data()) } }
        location /need/rewrite { lua_need_request_body on; rewrite_by_lua_block { ngx.ctx.b = ngx.req.get_body_data() } content_by_lua_block { ngx.say(ngx.ctx.b) } }
        location /need/access { lua_need_request_body on; access_by_lua_block { ngx.ctx.b = ngx.req.get_body_data() } content_by_lua_block { ngx.say(ngx.ctx.b) } }
        location /read/rewrite { rewrite_by_lua_block { ngx.req.read_body() } content_by_lua_block { ngx.say(ngx.req.get_body_data()) } }
        location /file { client_body_in_file_only clean; content_by_lua_block { ngx.req.read_body() local show = require "show"
            ngx.say(show(ngx.req.get_body_data()), ngx.req.get_body_file() ~= nil, show({ngx.req.get_post_args()})) } }
        location /small { client_body_buffer_size 8; content_by_lua_block { ngx.req.read_body()
            ngx.req.init_body(4) ngx.req.append_body("12345678") ngx.req.finish_body() local show = require "show"
            ngx.say(show(ngx.req.get_body_data()), ngx.req.get_body_file() ~= nil, ngx.var.content_length) } }
        location /limit { client_max_body_size 8; content_by_lua_block { ngx.req.read_body() ngx.say("read") } }
        location /clean { content_by_lua_block { ngx.req.read_body() local name = ngx.config.prefix() .. "html/clean.txt"
            ngx.req.set_body_file(name, true) ngx.say(ngx.var.content_length) } }
        location /cleaned { content_by_lua_block { ngx.say(io.open(ngx.config.prefix() .. "html/clean.txt") == nil) } }
        location /exec { content_by_lua_block { ngx.req.read_body() ngx.req.set_body_data("changed") ngx.exec("/execd") } }
        location /execd { content_by_lua_block { ngx.req.read_body() ngx.say(ngx.req.get_body_data(), ngx.var.content_length) } }
"""

_CTX = {
    "over-exec": "ngx.ctx.x = 1 ngx.exec('/ctx-target')",
    "over-capture": "ngx.ctx.x = 1 ngx.print(ngx.location.capture('/ctx-target').body, show(ngx.ctx))",
    "shared": "local t = {x = 2} ngx.print(ngx.location.capture('/ctx-target', {ctx = t}).body, show(t))",
    "same": "ngx.ctx.x = 1 ngx.print(ngx.location.capture('/ctx-target', {ctx = ngx.ctx}).body, show(ngx.ctx))",
    "replaced": "ngx.ctx = {y = 1} ngx.say(show(ngx.ctx)) ngx.ctx.z = 2 ngx.say(show(ngx.ctx))",
    "over-sleep": "ngx.ctx.x = 1 ngx.sleep(0.001) ngx.say(show(ngx.ctx))",
    "in-coroutine": "coroutine.wrap(function() ngx.ctx.x = 1 end)() ngx.say(show(ngx.ctx))",
    "header-name": "ngx.header['x-One_Two'] = 1 ngx.header.X_ONE_TWO = 2 ngx.header['X One'] = 3 ngx.say(show(ngx.resp.get_headers()['x-one-two']))",
    "header-empty": "ngx.header.X_A = '' ngx.header.X_B = {'', 'b', ''} ngx.header.X_C = {} ngx.header.X_D = {'d', ''} ngx.say(show(ngx.header.X_B))",
    "header-odd": "ngx.header.X_A = ngx.null ngx.header.X_B = {1, true, ngx.null} ngx.header[true] = false ngx.say(show({ngx.header.X_B, ngx.header['true']}))",
    "header-single": "ngx.header.Expires = {'a', 'b'} ngx.header.ETag = {'\"1\"', '\"2\"'} ngx.header.Content_Encoding = {'x', 'y'} ngx.say('x')",
    "header-date": "ngx.header.Date = nil ngx.header.Server = nil ngx.header.Last_Modified = 'no date' ngx.say(show({ngx.header.Last_Modified}))",
    "header-length": "ngx.say(show({pcall(function() ngx.header.Content_Length = 'x' end)}))",
    "header-after-say": "ngx.say('x') ngx.header.X_A = 'late' ngx.status = 500 ngx.say(ngx.status, show(ngx.header.content_type), show(ngx.resp.get_headers()['content-type']))",
    "header-after-empty": "ngx.print('') ngx.header.X_A = 'late' ngx.say(show(ngx.headers_sent))",
    "status-late": "ngx.say('x') ngx.exit(404)",
    "status-same": "ngx.status = 404 ngx.say('x') ngx.exit(404)",
    "status-float": "ngx.status = 201.9 ngx.say(ngx.status)",
    "exit-201": "ngx.status = 201 ngx.exit(201)",
    "exit-206": "ngx.exit(206)",
    "exit-304": "ngx.exit(304)",
    "exit-413": "ngx.exit(413)",
    "exit-float": "ngx.exit(403.7)",
    "exit-string": "ngx.exit('403')",
    "flush-first": "ngx.say(show({ngx.flush(true)}))",
    "flush-type": "ngx.say('x') ngx.say(show({pcall(ngx.flush, 1)}), show({pcall(ngx.flush, nil)}), show({pcall(ngx.flush, true, 1)}))",
    "eof-arguments": "ngx.say(show({pcall(ngx.eof, 1)}))",
    "eof-flush": "ngx.say('x') ngx.eof() ngx.log(ngx.WARN, show({ngx.flush()}), show({ngx.print('x')}))",
    "args-100": "local n, err = 0 local a, err = ngx.req.get_uri_args() for _ in pairs(a) do n = n + 1 end ngx.say(n, show(err))",
    "args-all": "local n = 0 local a, err = ngx.req.get_uri_args(0) for _ in pairs(a) do n = n + 1 end ngx.say(n, show(err))",
    "args-minus": "local n = 0 local a, err = ngx.req.get_uri_args(-5) for _ in pairs(a) do n = n + 1 end ngx.say(n, show(err))",
    "few-args": "for n = 0, 4 do ngx.say(n, ' ', show({ngx.req.get_uri_args(n)})) end",
    "args-set": "ngx.req.set_uri_args('a=b c\\r\\nd') ngx.say(ngx.var.args)",
    "uri-binary": "ngx.req.set_uri('/a\\tb', false, true) ngx.say(#ngx.var.uri)",
    "uri-bytes": """
        for byte = 0, 127 do
            local ok, err = pcall(ngx.req.set_uri, "/a" .. string.char(byte))
            if not ok then ngx.say(err) end
        end
        ngx.req.set_uri("/a\\tb") ngx.say(show(ngx.var.uri))""",
    "uri-types": "ngx.say(show({pcall(ngx.req.set_uri, '/x', 'y')}), show({pcall(ngx.req.set_uri, '/x', false, 1)}), show({pcall(ngx.req.set_uri, {}, false)}))",
    "headers": "local n = 0 local h, err = ngx.req.get_headers() for _ in pairs(h) do n = n + 1 end ngx.say(n, show(err))",
    "headers-all": "local n = 0 local h, err = ngx.req.get_headers(0) for _ in pairs(h) do n = n + 1 end ngx.say(n, show(err))",
    "configure": "ngx.say(type(ngx.config.nginx_configure()), ngx.config.subsystem)",
    "pids": "local n = 0 for _, pid in ipairs(ngx.worker.pids()) do if pid == ngx.worker.pid() then n = n + 1 end end ngx.say(n)",
    "functions": "for _, f in ipairs{ngx.now, ngx.time, ngx.md5, ngx.today, ngx.worker.pid, ngx.config.prefix, ngx.req.get_method} do ngx.say(type(f)) end",
    "base64types": "ngx.say(show({pcall(ngx.encode_base64, 'x', 1)}), ngx.encode_base64('x', false), ngx.encode_base64('x', nil), ngx.encode_base64(true))",
    "escape-types": "ngx.say(show({pcall(ngx.escape_uri, 'x', '2')}), show({pcall(ngx.escape_uri, 'x', 7)}), show({pcall(ngx.escape_uri, 'x', -1)}), ngx.escape_uri(false))",
    "log-levels": "ngx.say(show({pcall(ngx.log, ngx.ERR + 0.5, 'x')}), show({pcall(ngx.log, '4', 'as string')}))",
}

_TARGET = """
        location /ctx-target { content_by_lua_block { local show = require "show" ngx.say(show(ngx.ctx)) ngx.ctx.seen = true } }
        location /jump/from { rewrite_by_lua_block { ngx.ctx.x = 1 ngx.req.set_uri("/jump/to", true) } }
        location /jump/to { content_by_lua_block { local show = require "show" ngx.say(show(ngx.ctx), ngx.var.uri, show(ngx.req.is_internal())) } }
        location /jump/loop { rewrite_by_lua_block { ngx.req.set_uri("/jump/loop", true) } }
        location /page { error_page 404 /ctx-target; rewrite_by_lua_block { ngx.ctx.x = 1 ngx.exit(404) } }
        location /arg { set_by_lua $r 'return ngx.arg[2] .. tostring(ngx.arg[3]) .. tostring(ngx.arg[0])' a b; return 200 $r; }
        location /empty/rewrite { rewrite_by_lua_block { ngx.print("") } content_by_lua_block { ngx.say("never") } }
        location /empty/access { access_by_lua_block { ngx.send_headers() } content_by_lua_block { ngx.say("never") } }
"""

#: What the reference does not have, or does otherwise.
_NEWER = """
        location /newer/ { error_log {prefix}/logs/newer.log;
            location /newer/base64mime { content_by_lua_block { local show = require "show"
                for _, s in ipairs{'YQ==', 'Y Q', 'Y\\r\\nW J', '=', '', 'Y', 'YWJj!!ZGVm'} do ngx.print(show(ngx.decode_base64mime(s)), " ") end
                ngx.print(show({pcall(ngx.decode_base64mime, 1)})) } }
            location /newer/status { content_by_lua_block { ngx.status = 99 ngx.status = 1000 ngx.print(ngx.status) } }
        }
"""

_PHASE_NAMES = (
    "init", "worker", "set", "rewrite", "access", "content", "log", "header-filter", "body-filter", "timer", "on-abort",
)  # fmt: skip
_HUNDRED = "&".join(f"a{n}=1" for n in range(150))
_HEADERS = "".join(f"X-{n}: {n}\r\n" for n in range(150))

CASES = (
    Case(
        "lua-api-phases",
        _PHASES,
        tuple(get(f"/{name}?a=1") for name in _PHASE_NAMES),
        files={**FILES, "lua/calls.lua": _CALLS, "lua/try.lua": _TRY},
        levels=WARNINGS,
        # Where the reference's own Lua files raise, it names their lines; its words for "no request" are not always the same.
        mask=(
            (r"/usr/share/lua/\S+?:\d+: |\{prefix\}//lua/calls.lua:\d+: (?=no request)", ""),
            ('(?<=arg={1=false, 2=")\\{prefix\\}//lua/calls.lua:\\d+: ', ""),
            ("no request object found|request object not found", "no request found"),
        ),
    ),
    Case(
        "lua-api-bodies",
        server({}, _BODIES),
        (
            *(
                get(f"/{path}", method="POST", body=b"a=1&b")
                for path in (
                    "need/content",
                    "need/rewrite",
                    "need/access",
                    "read/rewrite",
                    "file",
                    "small",
                    "exec",
                    "clean",
                    "cleaned",
                )
            ),
            *(get(f"/{path}") for path in ("need/content", "need/rewrite", "file", "exec")),
            get("/limit", method="POST", body=b"123456789"),
            get(
                "/limit",
                {"Transfer-Encoding": "chunked"},
                method="POST",
                body=b"9\r\n123456789\r\n0\r\n\r\n",
                name="chunked over the limit",
            ),
        ),
        files={**FILES, "html/clean.txt": "to be removed"},
    ),
    Case(
        "lua-api-request",
        server(_CTX, _TARGET + _NEWER),
        (
            *(get(f"/{name}" + (f"?{_HUNDRED}" if name.startswith("args-") else "")) for name in _CTX),
            *(get(f"/few-args?{args}") for args in ("a=3&=b&=c", "=&=&", "a&b&", "&&&", "a=1&=&", "&a", "a=1")),
            *(get(path) for path in ("/jump/from", "/jump/loop", "/page", "/arg", "/empty/rewrite", "/empty/access")),
            *(
                get(f"/{name}", version="1.0")
                for name in ("flush-type", "status-late", "header-after-say", "eof-flush", "exit-206")
            ),
            get(
                "/newer/base64mime",
                differs="ngx.decode_base64mime came with 0.10.26",
                expect={"status": 200, "body": '"a" "a" "ab" "" "" nil "abcdef" {1=false, 2="string argument only"}'},
            ),
            get("/newer/status", differs="statuses are checked since 0.10.26", expect={"status": 200, "body": "0"}),
            wire("150 headers", f"GET /headers HTTP/1.1\r\nHost: x\r\n{_HEADERS}\r\n".encode()),
            wire("150 headers, all", f"GET /headers-all HTTP/1.1\r\nHost: x\r\n{_HEADERS}\r\n".encode()),
        ),
        files=FILES,
        levels=WARNINGS,
        # Where the reference's own Lua files raise, it names their lines.
        mask=(
            (r"(?:/usr/share/lua/\S+?|content_by_lua\(nginx.conf:\d+\)):\d+: (?=bad argument #2 to 'ngx_lua_ffi)", ""),
        ),
        newer={
            '"GET /newer/base64mime HTTP/1.1" 500': '"GET /newer/base64mime HTTP/1.1" 200',
            '"GET /newer/status HTTP/1.1" 1000': '"GET /newer/status HTTP/1.1" 200',
        },
    ),
)
