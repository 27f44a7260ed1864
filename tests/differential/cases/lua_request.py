"""ngx.req.*: arguments, headers, body, method, URI, and what they change.

https://github.com/openresty/lua-nginx-module#ngxreqget_uri_args and its neighbours
"""

from __future__ import annotations

from origin import ECHO

from ..case import NOTICES, WARNINGS, Case, get, wire
from ..lua import FILES, server

_ARGS = {
    "uri-args": "ngx.say(show(ngx.req.get_uri_args()))",
    "uri-args-max": (
        "local a, err = ngx.req.get_uri_args(2) ngx.say(show(a), show(err)) a, err = ngx.req.get_uri_args(0) "
        "ngx.say(show(a), show(err))"
    ),
    "limits": (
        "ngx.req.read_body() ngx.say(show({ngx.req.get_uri_args(1.9)}), show({ngx.req.get_uri_args(-0.5)}), show({ngx.req.get_post_args(1.9)}), "
        "show({ngx.decode_args('a&b&c', 1.9)}), show({ngx.decode_args('a&b&c', '2')}), show({ngx.decode_args('a&b', -1.5)}), "
        "show({select(2, ngx.req.get_headers(1.9))}), show({select(2, ngx.req.get_headers(-0.9))}), "
        "show({select(2, ngx.resp.get_headers(1.9))}))"
    ),
    "uri-args-table": "local t = {old = 1} ngx.say(rawequal(t, ngx.req.get_uri_args(10, t)), show(t))",
    "post-args": (
        "ngx.req.read_body() ngx.say(show({ngx.req.get_post_args()})) ngx.say(show({ngx.req.get_post_args(1)}))"
    ),
    "post-unread": "ngx.say(show({pcall(ngx.req.get_post_args)}))",
    "both": (
        "ngx.req.read_body() local a, p = ngx.req.get_uri_args(), ngx.req.get_post_args() ngx.say(show(a), show(p))"
    ),
    "set-string": "ngx.req.set_uri_args('x=1&y=%20') ngx.say(ngx.var.args, show(ngx.req.get_uri_args()))",
    "set-table": (
        "ngx.req.set_uri_args({x = 1, y = {'a', 2, true}, z = true, n = false, ['a b'] = 'c&d'}) "
        "ngx.say(show(ngx.req.get_uri_args()))"
    ),
    "set-empty": (
        "ngx.req.set_uri_args('') ngx.say(show(ngx.var.args), show(ngx.req.get_uri_args())) "
        "ngx.req.set_uri_args({}) ngx.say(show(ngx.var.args))"
    ),
    "set-number": "ngx.req.set_uri_args(12) ngx.say(ngx.var.args)",
    "set-bad": (
        "ngx.say(show({pcall(ngx.req.set_uri_args, true)}), show({pcall(ngx.req.set_uri_args, "
        "{a = print})}), show({pcall(ngx.req.set_uri_args)}))"
    ),
    "encode": """
        ngx.say(ngx.encode_args({a = 1})) ngx.say(ngx.encode_args({a = "x y&z=ü/?"}))
            ngx.say(ngx.encode_args({["k k&"] = "v"}))
        ngx.say(ngx.encode_args({a = true}), "|", ngx.encode_args({a = false}), "|", ngx.encode_args({a = {}}), "|",
            ngx.encode_args({}))
        ngx.say(ngx.encode_args({a = {1, "two", true, false, 3.5}})) ngx.say(ngx.encode_args({a = ""}))
        ngx.say(show({pcall(ngx.encode_args, {a = print})}), show({pcall(ngx.encode_args, {a = {{}}})}),
            show({pcall(ngx.encode_args, "a=b")}))
        ngx.say(show({pcall(ngx.encode_args, {1})}), show({pcall(ngx.encode_args)}))""",
    "decode": """
        for _, s in ipairs{"", "a", "a=", "a=1", "a=1&a=2&a", "a=1&b=2", "=1", "&", "&&a", "a=b=c", "a+b=c+d",
            "a%20b=c%26d", "%", "a=%zz", "a=%4", "a=%41%",
                "a;b=c", "a=1;b=2", "a[]=1&a[]=2", "a.b=1", "A=1&a=2", "%61=1&a=2", "a=\\0", "a==", "a=1&", "?a=1"} do
            ngx.say(s, " -> ", show(ngx.decode_args(s)))
        end
        local t, err = ngx.decode_args("a=1&b=2&c=3", 2) ngx.say(show(t), show(err))
            ngx.say(show({ngx.decode_args("a=1&b=2", 0)}))
        ngx.say(show({pcall(ngx.decode_args)}), show({pcall(ngx.decode_args, {})}), show({pcall(ngx.decode_args,
            12)}))""",
}

_QUERIES = (
    "",
    "?",
    "?a",
    "?a=1&b=2&c=3",
    "?a=1&a=2&a&b=&=x",
    "?a%20b=c%2bd+e&%zz=%",
    "?x=%E4%BD%A0&y=ü",
    "?&&a=1&&",
    "?a[]=1&a[]=2",
    "?a=1#f",
)

#: Arguments without a name count for whether there are too many, and leave nothing.
_EMPTY_ARGS = (
    "?a=1&b=2&c=3", "?a=1", "?a=1&b=2", "?a=1&b=2&", "?&a=1&b=2", "?a=1&=2&=3", "?a=1&=2&", "?a=1&=2", "?&", "?&&", "?=", "?a=1&&b=2&c=3",
)  # fmt: skip

_HEADERS = {
    "all": "ngx.say(show(ngx.req.get_headers()))",
    "raw": "ngx.say(show({ngx.req.get_headers(0, true)}))",
    "max": (
        "local h, err = ngx.req.get_headers(2) local n = 0 for _ in pairs(h) do n = n + 1 end ngx.say(n, "
        "show(err)) ngx.say(show({ngx.req.get_headers(0)}))"
    ),
    "index": (
        "local h = ngx.req.get_headers() ngx.say(show({h.host, h.Host, h['X-Many'], h.x_many, h.X_Many, "
        "h.none, h['CONTENT-TYPE'], h.content_type}))"
    ),
    "rawindex": "local h = ngx.req.get_headers(nil, true) ngx.say(show({h.Host, h.host, h['X-Many']}))",
    "set": (
        "ngx.req.set_header('X-New', 'v') ngx.req.set_header('X_Under', 1) ngx.req.set_header('X-Many', "
        "{'a', 'b'}) ngx.say(show(ngx.req.get_headers()))"
    ),
    "clear": (
        "ngx.req.clear_header('x-many') ngx.req.clear_header('none') ngx.req.set_header('Cookie', nil) "
        "ngx.say(show(ngx.req.get_headers()))"
    ),
    "host": (
        "ngx.req.set_header('Host', 'new.example') ngx.say(ngx.var.host, ngx.var.http_host, ngx.req.get_headers().host)"
    ),
    "hosts": """
        for _, value in ipairs{"a.Org:80", "A..b", "x.", "/", "a/b", "[::1]:80", ":80", "", "ok:99:1", ".", "a b", "[x", "a.:1"} do
            ngx.say(value, " ", (pcall(ngx.req.set_header, "Host", value)), " ", ngx.var.host, " ", show(ngx.var.http_host))
        end
        ngx.req.set_header("hOst", {"B:1", "C:2"}) ngx.say(ngx.var.host, " ", ngx.var.http_host)
        ngx.req.clear_header("Host") ngx.say(show(ngx.var.host), show(ngx.var.http_host))""",
    "type": "ngx.req.set_header('Content-Type', 'a/b') ngx.say(ngx.var.content_type, ngx.var.http_content_type)",
    "cookie": (
        "ngx.req.set_header('Cookie', 'c=9') ngx.say(ngx.var.cookie_c, show(ngx.var.cookie_a)) "
        "ngx.req.clear_header('Cookie') ngx.say(show(ngx.var.cookie_c))"
    ),
    "empty": "ngx.req.set_header('X-Empty', '') ngx.req.set_header('X-Table', {}) ngx.say(show(ngx.req.get_headers()))",
    "bad": (
        "ngx.say(show({pcall(ngx.req.set_header, 'X-A')}), show({pcall(ngx.req.set_header, {}, 'b')}), "
        "show({pcall(ngx.req.clear_header)}))"
    ),
    "newline": "ngx.req.set_header('X-A', 'a\\r\\nb') ngx.say(show(ngx.req.get_headers()['x-a']))",
    "user-agent": (
        "ngx.req.set_header('User-Agent', 'ua') ngx.say(ngx.var.http_user_agent) ngx.req.set_header('Range', "
        "'x') ngx.say(ngx.var.http_range)"
    ),
    "raw-header": "ngx.print('[', ngx.req.raw_header(), ']') ngx.print('[', ngx.req.raw_header(true), ']')",
    "version": "ngx.say(ngx.req.http_version(), ' ', ngx.req.is_internal(), ' ', ngx.req.get_method())",
    "start": "ngx.say(type(ngx.req.start_time()), ngx.req.start_time() <= ngx.now())",
    "proxied": (
        "ngx.req.set_header('X-New', {'1', '2'}) ngx.req.clear_header('X-Many') ngx.req.set_header('X-More', "
        "'m') ngx.exec('/echo')"
    ),
}

#: Values of Host that Lua sets: the name in them is $host, without port and final dot; some are refused.
_HOSTS = ["new:81", "NEW.Example", "a.", "a.:80", "a..b", "[::1]:80", "[::1", "[A]b", "a/b", "a:b:c", ".", ":80"]
_HOST_CODE = f"""
    for _, host in ipairs{{{", ".join(map(repr, _HOSTS))}, "", "a b"}} do
        ngx.say(host, " ", (pcall(ngx.req.set_header, "Host", host)), " ", ngx.var.host, " ", show(ngx.var.http_host))
    end
    ngx.req.set_header("Host", {{"a", "B:1"}}) ngx.say(ngx.var.host, show(ngx.var.http_host))
    ngx.req.clear_header("Host") ngx.say(ngx.var.host, show(ngx.var.http_host))"""

_BODY = {
    "data": "ngx.req.read_body() ngx.say(show({ngx.req.get_body_data()}), show(ngx.req.get_body_file()))",
    "unread": "ngx.say(show({ngx.req.get_body_data()}), show({ngx.req.get_body_file()}))",
    "twice": "ngx.req.read_body() ngx.req.read_body() ngx.say(show({ngx.req.get_body_data()}))",
    "discard": "ngx.say(show({ngx.req.discard_body()})) ngx.req.read_body() ngx.say(show({ngx.req.get_body_data()}))",
    "set": (
        "ngx.req.read_body() ngx.req.set_body_data('new body') ngx.say(ngx.req.get_body_data(), ' ', "
        "ngx.var.content_length, ' ', ngx.var.request_body)"
    ),
    "set-unread": "ngx.say(show({pcall(ngx.req.set_body_data, 'x')}))",
    "set-bad": (
        "ngx.req.read_body() ngx.say(show({pcall(ngx.req.set_body_data, {})}), show({pcall(ngx.req.set_body_data)}))"
    ),
    "set-empty": (
        "ngx.req.read_body() ngx.req.set_body_data('') ngx.say(show({ngx.req.get_body_data()}), ngx.var.content_length)"
    ),
    "init": (
        "ngx.req.init_body(16) ngx.req.append_body('part ') ngx.req.append_body('two') ngx.req.finish_body() "
        "ngx.say(ngx.req.get_body_data(), ngx.var.content_length)"
    ),
    "init-unread": (
        "ngx.req.read_body() ngx.req.init_body() ngx.req.append_body('x') ngx.req.finish_body() "
        "ngx.say(ngx.req.get_body_data())"
    ),
    "init-bad": (
        "ngx.req.read_body() ngx.say(show({pcall(ngx.req.append_body, 'x')}), show({pcall(ngx.req.finish_body)}))"
    ),
    "file": """
        ngx.req.read_body() local f = ngx.req.get_body_file()
        if f then local h = io.open(f) ngx.say('file ', h:read('*a')) h:close() else ngx.say('memory ',
            ngx.req.get_body_data()) end""",
    "set-file": """
        ngx.req.read_body() ngx.req.set_body_file(ngx.config.prefix() .. 'body.txt') ngx.say(ngx.req.get_body_file()
            ~= nil, show(ngx.req.get_body_data()))
        ngx.say(ngx.var.content_length)""",
    "set-file-none": "ngx.req.read_body() ngx.req.set_body_file('/none/such')",
    "var": "ngx.req.read_body() ngx.say(show(ngx.var.request_body), show(ngx.var.request_body_file))",
    "proxied-set": "ngx.req.read_body() ngx.req.set_body_data('replaced') ngx.exec('/echo')",
    "proxied-file": "ngx.req.read_body() ngx.req.set_body_file(ngx.config.prefix() .. 'body.txt') ngx.exec('/echo')",
}

_TELL = """
        ngx.say(ngx.var.http_content_length, show(ngx.req.get_body_data()))
        local f = ngx.req.get_body_file() if f then local h = io.open(f) ngx.say(h:read('*a')) h:close() end"""
_EXISTS = "local function exists(name) local f = io.open(name) if f then f:close() end return f ~= nil end "
_NAME = "local name = ngx.config.prefix() .. 'one.txt' io.open(name, 'w'):write('one'):close() ngx.req.read_body() "
_BODY_FILES = {
    "spilled": "ngx.req.read_body() ngx.req.init_body(4) for _, s in ipairs{'h', 'ell', 'o'} do ngx.req.append_body(s) end "
    "ngx.req.finish_body()" + _TELL,
    "spilled-at-once": "ngx.req.read_body() ngx.req.init_body(4) ngx.req.append_body('hello') ngx.req.finish_body()"
    + _TELL,
    "spilled-zero": "ngx.req.read_body() ngx.req.init_body(0) ngx.req.append_body('x') ngx.req.append_body('y') ngx.req.finish_body()"
    + _TELL,
    "spilled-much": "ngx.req.read_body() ngx.req.init_body() for i = 1, 40 do ngx.req.append_body(string.rep('x', 1000)) end "
    "ngx.req.finish_body()" + _TELL,
    "spilled-again": "ngx.req.read_body() for i = 1, 2 do ngx.req.init_body(2) ngx.req.append_body('abc' .. i) ngx.req.finish_body() end"
    + _TELL,
    "exact": "ngx.req.read_body() ngx.req.init_body(5) ngx.req.append_body('hello') ngx.req.finish_body()" + _TELL,
    "nothing": "ngx.req.read_body() ngx.req.init_body(4) ngx.req.finish_body() ngx.say(ngx.var.http_content_length)",
    "proxied-spilled": "ngx.req.read_body() ngx.req.init_body(4) ngx.req.append_body('hello again') ngx.req.finish_body() ngx.exec('/echo')",
    "clean-then-file": _EXISTS
    + _NAME
    + "ngx.req.set_body_file(name, true) ngx.say(exists(name)) ngx.req.set_body_file(ngx.config.prefix() .. 'body.txt') ngx.say(exists(name))",
    "clean-then-data": _EXISTS
    + _NAME
    + "ngx.req.set_body_file(name, true) ngx.req.set_body_data('x') ngx.say(exists(name))",
    "clean-then-init": _EXISTS + _NAME + "ngx.req.set_body_file(name, true) ngx.req.init_body() ngx.say(exists(name))",
    "kept": _EXISTS + _NAME + "ngx.req.set_body_file(name) ngx.req.set_body_data('x') ngx.say(exists(name))",
}

_URI = {
    "set-uri": "ngx.req.set_uri('/new/path') ngx.say(ngx.var.uri, ' ', ngx.var.request_uri, ' ', ngx.var.args)",
    "set-uri-odd": "ngx.req.set_uri('/a b?c#ü') ngx.say(ngx.var.uri, ' ', ngx.var.args)",
    "set-uri-jump": "ngx.say(show({pcall(ngx.req.set_uri, '/x', true)}))",
    "set-uri-empty": "ngx.say(show({pcall(ngx.req.set_uri, '')}), show({pcall(ngx.req.set_uri)}))",
    "set-uri-control": "ngx.say(show({pcall(ngx.req.set_uri, '/a\\nb')}))",
    "method": "ngx.req.set_method(ngx.HTTP_PUT) ngx.say(ngx.req.get_method(), ngx.var.request_method)",
    "method-head": "ngx.req.set_method(ngx.HTTP_HEAD) ngx.say('x', ngx.var.request_method)",
    "method-bad": (
        "ngx.say(show({pcall(ngx.req.set_method, 'GET')}), show({pcall(ngx.req.set_method, 3)}), "
        "show({pcall(ngx.req.set_method)}))"
    ),
    "redirect": "ngx.redirect('/to?x=1')",
    "redirect-301": "ngx.redirect('http://else.example/x', 301)",
    "redirect-303": "ngx.redirect('/x', ngx.HTTP_SEE_OTHER)",
    "redirect-307": "ngx.redirect('/x', 307)",
    "redirect-308": "ngx.redirect('/x', 308)",
    "redirect-odd": "ngx.redirect('rel ative?ü#f')",
    "redirect-bad": (
        "ngx.say(show({pcall(ngx.redirect, '/x', 404)}), show({pcall(ngx.redirect)}), show({pcall(ngx.redirect, {})}))"
    ),
    "redirect-newline": "ngx.redirect('/x\\r\\nX-A: b')",
    "redirect-late": "ngx.say('x') ngx.flush(true) ngx.redirect('/y')",
    "redirect-after": "ngx.say('x') ngx.redirect('/y')",
    "redirect-header": "ngx.header.X_A = '1' ngx.header.Set_Cookie = 'a=1' ngx.redirect('/y')",
    "exec": "ngx.exec('/target', 'a=1&b=2')",
    "exec-table": "ngx.exec('/target', {a = 'x y'})",
    "exec-query": "ngx.exec('/target?c=3', 'a=1')",
    "exec-noargs": "ngx.exec('/target')",
    "exec-named": "ngx.exec('@named', 'ignored=1')",
    "exec-missing": "ngx.exec('/nowhere')",
    "exec-missing-named": "ngx.exec('@nobody')",
    "exec-internal": "ngx.exec('/internal')",
    "exec-late": "ngx.say('x') ngx.flush(true) ngx.exec('/target')",
    "exec-after": "ngx.say('x') ngx.exec('/target')",
    "exec-ctx": "ngx.ctx.kept = 1 ngx.header.X_Kept = 'yes' ngx.status = 202 ngx.exec('/target')",
    "exec-loop": "ngx.exec('/exec-loop')",
    "exec-bad": (
        "ngx.say(show({pcall(ngx.exec)}), show({pcall(ngx.exec, '')}), show({pcall(ngx.exec, '/x', true)}), "
        "show({pcall(ngx.exec, {})}))"
    ),
    "exec-odd": "ngx.exec('/target/a b%20c')",
    "exec-static": "ngx.exec('/file.txt')",
}

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_TARGET = """
        location /target { content_by_lua_block { local show = require 'show'
            ngx.say(ngx.var.uri, ' ', show(ngx.var.args), ' ', show(ngx.ctx), ' ', ngx.req.is_internal(), ' ',
                ngx.var.request_uri) } }
        location @named { content_by_lua_block { ngx.say('named ', ngx.var.uri, ' ', ngx.var.args) } }
        location /internal { internal; content_by_lua_block { ngx.say('internal') } }
"""
_MAX = """
        # The reference knows no argument, and says so in the log.
        location /max { error_log {prefix}/logs/max.log; content_by_lua_block {
            ngx.req.read_body() ngx.say(ngx.req.get_body_data(2), " ", ngx.req.get_body_data(100)) } }
"""
_ECHO = """
        location /echo { proxy_http_version 1.1; proxy_set_header Host up; proxy_set_header Connection "";
            proxy_pass http://127.0.0.1:{origin}/; }
"""

CASES = (
    Case(
        "lua-args",
        server(_ARGS),
        (
            *(get(f"/uri-args{query}") for query in _QUERIES),
            *(get(f"/uri-args-max{query}") for query in _EMPTY_ARGS),
            get("/uri-args-table?a=1"),
            *(
                get("/post-args", _FORM, method="POST", body=body, name=f"post {body!r}")
                for body in (b"a=1&b=%20+c&a=2&d", b"", b"%zz=1&&", b"a" * 100)
            ),
            get("/post-args", name="no body"),
            get("/post-unread", _FORM, method="POST", body=b"a=1"),
            get("/both?a=1", _FORM, method="POST", body=b"b=2"),
            get("/limits?a=1&b=2&c=3", _FORM, method="POST", body=b"a=1&b=2"),
            *(get(f"/{name}?old=1") for name in _ARGS if name.startswith("set") or name in ("encode", "decode")),
            get("/uri-args?" + "&".join(f"a{n}=1" for n in range(101)), name="over a hundred arguments"),
        ),
        files=FILES,
        levels=WARNINGS,
    ),
    Case(
        "lua-req-headers",
        server(
            {**_HEADERS, "host-names": _HOST_CODE},
            _ECHO + 'location /folder { rewrite_by_lua_block { ngx.req.set_header("Host", "Other:99") } }',
        ),
        (get("/folder"),)
        + tuple(
            wire(
                name,
                f"GET /{name}?q HTTP/1.1\r\nHost: x\r\nX-Many: 1\r\nx-many: 2\r\nX-Many:\r\n".encode(),
                b"Content-Type: t/x\r\nCookie: a=b\r\nX_U: u\r\n\r\n",
            )
            for name in (*_HEADERS, "host-names")
        ),
        files={**FILES, "html/folder/x": ""},
        scripts={"/": (ECHO,)},
        levels=WARNINGS,
    ),
    Case(
        "lua-req-body",
        server(
            _BODY,
            _MAX
            + _ECHO
            + "location /need { lua_need_request_body on; content_by_lua_block { ngx.say(ngx.req.get_body_data()) } }",
        ),
        (
            *(get(f"/{name}", method="POST", body=b"hello body") for name in _BODY),
            *(get(f"/{name}") for name in ("data", "var", "set", "discard")),
            get(
                "/data",
                {"Transfer-Encoding": "chunked"},
                method="POST",
                body=b"5\r\nhello\r\n0\r\n\r\n",
                name="chunked",
            ),
            get("/data", method="POST", body=b""),
            get("/need", method="POST", body=b"needed"),
            get("/file", method="POST", body=b"x" * 20000),
            get(
                "/max",
                method="POST",
                body=b"hello body",
                differs="get_body_data takes the most bytes to return since 0.10.32",
                expect={"status": 200, "body": "he hello body\n"},
            ),
        ),
        files={**FILES, "body.txt": "from a file"},
        scripts={"/": (ECHO,)},
        levels=NOTICES,
        newer={'"POST /max HTTP/1.1" 500': '"POST /max HTTP/1.1" 200'},
    ),
    Case(
        "lua-body-files",
        server(
            _BODY_FILES,
            _ECHO
            + """
        location /in-file/ { client_body_in_file_only on; content_by_lua_block { """
            + _EXISTS
            + """
            ngx.req.read_body() local old = ngx.req.get_body_file() ngx.req.set_body_data("x") ngx.say(exists(old)) } }
        location /kept/need { client_body_in_file_only on; lua_need_request_body on;
            content_by_lua_block { ngx.say(ngx.req.get_body_file() ~= nil) } }
        location /kept/count { content_by_lua_block {
            local p = io.popen("find " .. ngx.config.prefix() .. " -path '*body*' -type f -name '0*' | wc -l") ngx.say(p:read("*a")) } }""",
        ),
        tuple(
            get(f"/{name}", method="POST", body=b"hello body")
            for name in (*_BODY_FILES, "in-file/", "kept/need", "kept/count")
        ),
        files={**FILES, "body.txt": "from a file"},
        scripts={"/": (ECHO,)},
        levels=WARNINGS,
        mask=((r"temporary file \S+/\d{10}", "temporary file NUMBER"),),
    ),
    Case(
        "lua-uri",
        server(_URI, _TARGET),
        (
            *(get(f"/{name}?old=1", read=("HEAD" if name == "method-head" else "GET",)) for name in _URI),
            get("/redirect", version="1.0"),
            get("/method", method="POST", body=b"x"),
        ),
        files={**FILES, "html/file.txt": "static"},
        levels=WARNINGS,
    ),
)
