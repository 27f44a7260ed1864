"""more_set_headers and its sisters, on responses and requests of every kind.

https://github.com/openresty/headers-more-nginx-module
"""

from __future__ import annotations

from harness import http
from origin import ECHO, ok

from ..case import Case, get
from .proxy import NOW

MODULES = ("ndk_http_module", "ngx_http_lua_module", "ngx_http_headers_more_filter_module")

_OUT = {
    "plain": "more_set_headers 'X-Foo: bar';",
    "two": "more_set_headers 'X-Foo: bar' 'x-bar:   baz  qux ';",
    "bare": "more_set_headers X-Foo 'X-Bar:' 'X-Baz : 1';",
    "variable": "more_set_headers 'X-Uri: $uri?$args' 'X-Empty: $arg_none' 'X-Status: $status';",
    "twice": "more_set_headers 'X-Foo: 1'; more_set_headers 'x-foo: 2';",
    "wild-clear": "more_set_headers 'X-A: 1' 'X-B: 2' 'Y: 3'; more_clear_headers 'x-*';",
    "wild-set": "more_set_headers 'X-A: 1' 'X-B: 2' 'Y: 3'; more_set_headers 'X-*: 4';",
    "wild-none": "more_set_headers 'X-*: 4';",
    "server": "more_set_headers 'Server: mine';",
    "no-server": "more_clear_headers Server;",
    "date": "more_set_headers 'Date: today';",
    "no-date": "more_clear_headers 'Date';",
    "type": "more_set_headers 'Content-Type: text/css';",
    "type-charset": "more_set_headers 'Content-Type: text/css; charset=koi8-r';",
    "no-type": "more_clear_headers 'Content-Type';",
    "no-length": "more_clear_headers content-length;",
    "length-name": "more_set_headers 'content-length: 5';",
    "location": "more_set_headers 'Location: /there';",
    "location-far": "more_set_headers 'location: http://example.com/';",
    "modified": "more_set_headers 'Last-Modified: then';",
    "no-modified": "more_clear_headers Last-Modified ETag Accept-Ranges;",
    "etag": "more_set_headers 'ETag: \"x\"';",
    "e-tag": "more_set_headers 'E-Tag: \"x\"';",
    "encoding": "more_set_headers 'Content-Encoding: foo' 'Refresh: 5' 'Expires: never' 'WWW-Authenticate: Basic';",
    "range": "more_set_headers 'Content-Range: bytes 1-2/3' 'Accept-Ranges: none';",
    "cache": "more_set_headers 'Cache-Control: no-cache' 'cache-control: private';",
    "no-cache": "more_set_headers 'Cache-Control: no-cache'; more_clear_headers Cache-Control;",
    "connection": "more_set_headers 'Connection: foo' 'Transfer-Encoding: bar';",
    "cookie": "more_set_headers 'Set-Cookie: a=1' 'Set-Cookie: b=2';",
    "status": "more_set_headers -s 404 'X-Foo: 404'; more_set_headers -s '200 206' 'X-Foo: ok';",
    "statuses": "more_set_headers -s 200 -s '404 500' 'X-Foo: yes';",
    "types": "more_set_headers -t 'text/plain text/css' 'X-Foo: yes'; more_set_headers -t text/html 'X-Bar: no';",
    "types-list": "more_set_headers -t 'text/xml;text/plain' 'X-Foo: yes'; more_set_headers -t TEXT/PLAIN 'X-Bar: no';",
    "both": "more_set_headers -s 200 -t text/plain 'X-Foo: yes'; more_clear_headers -s 404 X-Foo;",
    "clear-value": "more_set_headers 'X-Foo: 1'; more_clear_headers 'X-Foo: 2';",
    "colon": "more_set_headers 'X-Foo: a:b: c' 'X-Bar:::d';",
}

_IN = {
    "set": "more_set_input_headers 'X-Foo: bar';",
    "change": "more_set_input_headers 'x-given: bar';",
    "repeated": "more_set_input_headers 'X-Twice: one';",
    "clear": "more_clear_input_headers X-Given x-twice;",
    "clear-none": "more_clear_input_headers X-None;",
    "wild": "more_clear_input_headers 'X-*';",
    "wild-set": "more_set_input_headers 'X-*: new';",
    "replace": "more_set_input_headers -r 'X-Given: new' 'X-None: new';",
    "types": "more_set_input_headers -t 'text/plain text/css' 'X-Foo: yes'; "
    "more_set_input_headers -t text/html 'X-Bar: no';",
    "host": "more_set_input_headers 'Host: Example.COM:8080';",
    "no-host": "more_clear_input_headers Host;",
    "agent": "more_set_input_headers 'User-Agent: robot';",
    "cookie": "more_set_input_headers 'Cookie: a=5';",
    "forwarded": "more_set_input_headers 'X-Forwarded-For: 1.2.3.4';",
    "variable": "more_set_input_headers 'X-Foo: $http_x_given/$arg_a' 'X-Given: $arg_none';",
    "length": "more_set_input_headers 'Content-Length: 0';",
    "several": "more_set_input_headers 'X-Foo: 1' 'x-foo: 2'; more_clear_input_headers 'X-Foo';",
    "close": "more_set_input_headers 'Connection: Close';",
}

_SHOW = """ location /in-{name} {{ {code} content_by_lua_block {{
        local keys, h = {{}}, ngx.req.get_headers(0)
        for k, v in pairs(h) do keys[#keys + 1] = k .. "=" .. (type(v) == "table" and table.concat(v, "|") or v) end
        table.sort(keys)
        ngx.say(table.concat(keys, "\\n"), "\\n", ngx.var.host, " ", ngx.var.http_x_foo, " ", ngx.var.http_x_given, " ",
            ngx.var.cookie_a)
    }} }}"""

_STATIC = "\n".join(
    f"location = /out-{name} {{ alias html/a.txt; default_type text/plain; {code} }}" for name, code in _OUT.items()
)
_LUA = "\n".join(
    f"location = /lua-{name} {{ default_type text/plain; {code} "
    "content_by_lua_block { ngx.header['X-Foo'] = 'lua' ngx.header['Cache-Control'] = {'a', 'b'} ngx.say('ok') } }"
    for name, code in _OUT.items()
    if name not in ("length-name", "no-cache")
)
_INPUTS = "\n".join(_SHOW.format(name=name, code=code) for name, code in _IN.items())

_OTHERS = """
location /outer { more_set_headers 'X-Outer: 1' 'X-Both: outer'; more_set_input_headers 'X-In: outer';
    default_type text/plain;
    location /outer/inner { more_set_headers 'X-Inner: 1' 'X-Both: inner';
        content_by_lua_block { ngx.say(ngx.var.http_x_in) } }
    if ($arg_a) { more_set_headers 'X-If: 1'; }
    content_by_lua_block { ngx.say(ngx.var.http_x_in) } }
location /redirect { more_set_headers 'X-Foo: 1'; return 302 /elsewhere; }
location /redirect-changed { more_set_headers 'Location: /changed'; return 302 /elsewhere; }
location /redirect-wild { more_clear_headers 'Loc*'; return 302 /elsewhere; }
location /redirect-gone { more_clear_headers Location; return 302 /elsewhere; }
location /missing { more_set_headers -s 404 'X-Foo: missing'; more_set_headers -s 200 'X-Foo: found'; }
location /empty { more_set_headers 'X-Foo: 1'; return 204; }
location /capture { content_by_lua_block {
    local res = ngx.location.capture("/lua-two") ngx.say(res.header["x-bar"], " ", res.header["X-Foo"]) } }
location /rewrite-sees { more_set_input_headers 'X-Foo: 1'; rewrite_by_lua_block {
    ngx.header['X-Seen'] = ngx.req.get_headers()['X-Foo'] } return 200 'ok'; }
location /rewrite-lua { more_set_input_headers 'X-Foo: 1'; rewrite_by_lua_block {
    ngx.header['X-Seen'] = ngx.req.get_headers()['X-Foo'] } content_by_lua_block { ngx.say("ok") } }
location /set-sees { more_set_input_headers 'X-Foo: 1'; set $a "$http_x_foo"; content_by_lua_block { ngx.say(ngx.var.a) } }
location /proxied { proxy_pass http://127.0.0.1:{origin}/; more_set_headers 'X-Foo: 1' 'Server: mine'; more_clear_headers
    'X-Origin' 'Set-*'; }
location /proxied-type { proxy_pass http://127.0.0.1:{origin}/; more_set_headers 'Content-Type: text/css'; }
location /proxied-if-type { proxy_pass http://127.0.0.1:{origin}/; more_set_headers -t text/html 'X-Foo: html'; }
location /proxied-in { proxy_pass http://127.0.0.1:{origin}/echo; more_set_input_headers 'X-Foo: 1' 'User-Agent: other'; }
location /type-kept { default_type text/plain; more_set_headers 'Content-Type: text/css';
    content_by_lua_block { ngx.header.content_type = 'text/html; charset=utf-8' ngx.say('ok') } }
"""

_ORIGIN = ok(b"ok", "Content-Type: text/html; charset=utf-8", "X-Origin: 1", "Set-Cookie: a=1", "Set-Cookie: b=2")

_REQUEST = (("X-Given", "1"), ("X-Twice", "a"), ("X-Twice", "b"), ("Cookie", "a=1"), ("Content-Type", "text/plain"))

CASES = (
    Case(
        "headers-more",
        http(f"{NOW} server {{ listen {{port}}; root html; {_STATIC} {_LUA} {_INPUTS} {_OTHERS} }}"),
        (
            *(get(f"/out-{name}") for name in _OUT),
            *(get(f"/lua-{name}") for name in _OUT if name not in ("length-name", "no-cache")),
            *(get(f"/in-{name}?a=5", _REQUEST) for name in _IN if name != "close"),
            get(
                "/in-close",
                differs="since headers-more 0.36 the connection really is closed",
                expect={"status": 200, "headers": {"Connection": "close"}},
            ),
            get("/out-no-modified", (("Range", "bytes=1-2"),)),
            get("/out-status", (("Range", "bytes=1-2"),)),
            get("/out-types", (("If-None-Match", "*"),)),
            get("/out-two", method="HEAD"),
            get("/out-two", version="1.0"),
            get("/outer"),
            get("/outer?a=1"),
            get("/outer/inner"),
            get("/redirect"),
            get("/redirect-changed"),
            get("/redirect-wild"),
            get("/redirect-gone"),
            get("/missing"),
            get("/empty"),
            get("/capture"),
            get("/rewrite-sees"),
            get("/rewrite-lua"),
            get("/set-sees"),
            get("/proxied"),
            get("/proxied-type"),
            get("/proxied-if-type"),
            get("/proxied-in", _REQUEST),
            get("/type-kept"),
        ),
        {"html/a.txt": "hello"},
        {"/": _ORIGIN, "/echo": (ECHO,)},
        modules=MODULES,
    ),
)
