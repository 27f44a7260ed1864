"""add_header, add_trailer, expires: on responses of every kind.

https://nginx.org/en/docs/http/ngx_http_headers_module.html
"""

from __future__ import annotations

from harness import http
from origin import ok

from ..case import Case, get

_OUT = {
    "plain": "add_header X-Foo bar;",
    "variable": "add_header X-Uri $uri?$args; add_header X-None $arg_none; add_header X-Status $status;",
    "twice": "add_header X-Foo 1; add_header x-foo 2;",
    "empty": "add_header X-Foo '';",
    "always": "add_header X-Foo 1 always; add_header X-Bar 2;",
    "etag": "add_header ETag mine;",
    "no-etag": "add_header ETag '';",
    "modified": "add_header Last-Modified 'Sun, 06 Nov 1994 08:49:37 GMT';",
    "modified-odd": "add_header Last-Modified then;",
    "no-modified": "add_header Last-Modified '';",
    "type": "add_header Content-Type text/css;",
    "server": "add_header Server mine;",
    "link": "add_header Link a; add_header Link b; add_header Cache-Control public; add_header Cache-Control private;",
    "expires": "expires 1h;",
    "expires-units": "expires 1d2h3m4s;",
    "expires-negative": "expires -1;",
    "expires-plus": "expires +30m;",
    "expires-zero": "expires 0;",
    "expires-epoch": "expires epoch;",
    "expires-max": "expires max;",
    "expires-off": "expires off;",
    "expires-modified": "expires modified +24h;",
    "expires-modified-minus": "expires modified -1h;",
    "expires-daily": "expires @23h59m;",
    "expires-variable": "expires $arg_e;",
    "expires-modified-variable": "expires modified $arg_e;",
    "cache": "expires 1h; add_header Cache-Control private;",
    "trailer": "add_trailer X-T t$status;",
    "trailers": "add_trailer X-T 1; add_trailer X-T 2 always; add_trailer X-E '';",
    "inside": "if ($arg_b) { add_header X-If yes; }",
}

_SERVER = "\n".join(
    f"location = /file-{name} {{ alias html/a.txt; {code} }}\n"
    f"location = /return-{name} {{ {code} return 200 text; }}\n"
    f"location = /missing-{name} {{ {code} return 404; }}\n"
    f"location = /redirect-{name} {{ {code} return 302 /x; }}\n"
    f"location = /lua-{name} {{ {code} content_by_lua_block {{ ngx.header['Cache-Control'] = {{'a', 'b'}} "
    f"ngx.header.Expires = 'never' ngx.say('ok') }} }}"
    for name, code in _OUT.items()
)

_INHERIT = """
    add_header X-Http http;
    server {
        listen {port};
        add_header X-Server server always;
        expires 5m;
        location /plain { return 200 x; }
        location /own { add_header X-Own own; return 200 x; location /own/deep { return 200 x; } }
        location /if { add_header X-Own own; if ($arg_a) { return 201 x; } if ($arg_b) { add_header X-B b; return 200 b; } return 200 x; }
        location /off { expires off; error_page 404 /plain; return 404; }
        location /capture { content_by_lua_block {
            local res = ngx.location.capture("/plain") ngx.say(tostring(res.header["X-Server"]), tostring(res.header.Expires)) } }
    }
"""

#: What is told by the clock.
MASK = ((r"max-age=\d+", "max-age=AGE"), (r"\w{3}, \d\d \w{3} 20(2[5-9]|3[0-6]) [\d:]{8} GMT", "DATE"))

CASES = (
    Case(
        "headers",
        http(
            f"""server {{ listen {{port}}; root html; {_SERVER}
            location /proxied {{ expires modified 20y; proxy_pass http://127.0.0.1:{{origin}}/; }} }}"""
        ),
        (
            *(get(f"/{kind}-{name}?b=1") for name in _OUT for kind in ("file", "return", "missing", "redirect", "lua")),
            *(
                get(f"/lua-expires-variable?e={e}")
                for e in ("1h", "-1", "max", "epoch", "off", "@5h", "@25h", "bad", "1ms")
            ),
            *(get(f"/file-expires-modified-variable?e={e}") for e in ("1h", "-1", "max", "@5h", "bad", "0")),
            *(get(f"/file-trailer?{v}", version=v) for v in ("1.0",)),
            get("/file-trailer", method="HEAD"),
            get("/file-trailer", {"Range": "bytes=1-2"}),
            get("/proxied"),
            get("/file-expires", {"If-Modified-Since": "Sun, 06 Nov 2094 08:49:37 GMT"}),
        ),
        files={"html/a.txt": "file\n"},
        scripts={"/": ok(b"from the origin", "Last-Modified: Sat, 04 Mar 2023 05:06:07 GMT")},
        mask=MASK,
    ),
    Case(
        "headers-inherit",
        http(_INHERIT),
        tuple(get(uri) for uri in ("/plain", "/own", "/own/deep", "/if", "/if?a=1", "/if?b=1", "/off", "/capture")),
        mask=MASK,
    ),
)
