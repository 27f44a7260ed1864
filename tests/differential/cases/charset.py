"""charset and its maps. https://nginx.org/en/docs/http/ngx_http_charset_module.html"""

from __future__ import annotations

from harness import http
from origin import ok

from ..case import Case, get
from .proxy import NOW

_MAPS = """
charset_map koi8-r windows-1251 { C1 E0; C2 E1; C7 E2; A3 B8; }
charset_map koi8-r utf-8 { C1 D0B0; C2 D0B1; A3 D191; FF D0AA; }
charset_map Latin-X utf-8 { A4 E282AC; E4 C3A4; }
"""

_LOCATIONS = {
    "plain": "charset utf-8; default_type text/html;",
    "name": "charset UTF-8; default_type text/plain;",
    "type": "charset utf-8; default_type image/x-thing;",
    "type-xml": "charset utf-8; default_type text/xml;",
    "type-js": "charset utf-8; default_type application/javascript;",
    "types": "charset utf-8; charset_types text/css; default_type text/css;",
    "types-any": "charset utf-8; charset_types *; default_type x/y;",
    "types-plain": "charset utf-8; charset_types text/css; default_type text/plain;",
    "off": "charset off; default_type text/html;",
    "variable": "charset $arg_c; default_type text/html;",
    "to-utf8": "source_charset koi8-r; charset utf-8; default_type text/html;",
    "from-utf8": "source_charset utf-8; charset koi8-r; default_type text/html;",
    "bytes": "source_charset koi8-r; charset windows-1251; default_type text/html;",
    "bytes-back": "source_charset windows-1251; charset KOI8-R; default_type text/html;",
    "same": "source_charset UTF-8; charset utf-8; default_type text/html;",
    "source-variable": "source_charset $arg_s; charset utf-8; default_type text/html;",
    "no-map": "source_charset $arg_s; charset latin-x; default_type text/html;",
}
_PROXIED = {
    "proxy": "charset utf-8;",
    "proxy-override": "charset utf-8; override_charset on;",
    "proxy-same": "charset koi8-r; override_charset on;",
    "proxy-unknown": "charset windows-1252; override_charset on;",
    "proxy-source": "charset utf-8; source_charset latin-x; override_charset on;",
}

CASES = (
    Case(
        "charset",
        http(
            f"""{NOW} {_MAPS}
    server {{ listen {{port}}; root html;
    {chr(10).join(f"location = /{name} {{ {code} alias html/koi; }}" for name, code in _LOCATIONS.items())}
    {
                chr(10).join(
                    f"location = /utf-{name} {{ {code} alias html/utf; }}"
                    for name, code in _LOCATIONS.items()
                    if "utf" in name
                )
            }
    {
                chr(10).join(
                    f"location = /{name}{kind} {{ {code} proxy_pass http://127.0.0.1:{{origin}}/koi{kind}; }}"
                    for name, code in _PROXIED.items()
                    for kind in ("", "-bare", "-packed")
                )
            }
    location /redirect {{ charset utf-8; return 301 /x; }}
    location /redirect-temporary {{ charset utf-8; return 307 /x; }}
    location /return {{ charset utf-8; default_type text/html; return 200 "x"; }}
    location /missing {{ charset utf-8; }}
    location /lua {{ charset utf-8; default_type text/html; content_by_lua_block {{ ngx.say("x") }} }}
    location /lua-type {{ charset GBK; content_by_lua_block {{ ngx.header.content_type = "text/xml" ngx.say("x") }} }}
    location /lua-json {{ charset utf-8; charset_types application/json; default_type application/json;
        content_by_lua_block {{ ngx.say("x") }} }}
    location /lua-own {{ charset utf-8; content_by_lua_block {{
        ngx.header.content_type = "text/html; charset=koi8-r" ngx.say("x") }} }}
    location /lua-recode {{ charset utf-8; source_charset koi8-r; default_type text/html; content_by_lua_block {{
        ngx.header.content_length = 2 ngx.print("\\xC1\\xC2") }} }}
    location /lua-pieces {{ charset koi8-r; source_charset utf-8; default_type text/html; content_by_lua_block {{
        for _, s in ipairs {{ "\\xD0", "\\xB0\\xD0", "\\xB1-\\xE2", "\\x82", "\\xAC" }} do ngx.print(s) ngx.flush(true) end }} }}
    location /capture {{ default_type text/html; content_by_lua_block {{
        local res = ngx.location.capture("/plain") ngx.say(res.header["Content-Type"]) }} }}
    location /gzip {{ gzip on; charset utf-8; source_charset koi8-r; default_type text/html; alias html/koi; }}
    location /if {{ default_type text/html; if ($arg_a) {{ charset utf-8; }} alias html/koi; }}
    location /outer {{ charset utf-8; default_type text/html; location /outer/in {{ alias html/koi; }}
        location /outer/off {{ charset off; alias html/koi; }} }}
    }}"""
        ),
        (
            *(get(f"/{name}") for name in _LOCATIONS if "variable" not in name and name != "no-map"),
            *(get(f"/utf-{name}") for name in _LOCATIONS if "utf" in name),
            *(get(f"/{name}{kind}") for name in _PROXIED for kind in ("", "-bare", "-packed")),
            get("/variable?c=Foo"),
            get("/source-variable?s=koi8-r"),
            get("/source-variable?s=Latin-X"),
            get("/source-variable?s=utf-8"),
            get("/source-variable?s=none"),
            get("/no-map?s=koi8-r"),
            get("/plain", (("Range", "bytes=0-1"),)),
            get("/to-utf8", (("Range", "bytes=0-1"),)),
            get("/to-utf8", method="HEAD"),
            *(
                get(f"/{name}")
                for name in (
                    "redirect",
                    "redirect-temporary",
                    "return",
                    "missing",
                    "lua",
                    "lua-own",
                    "lua-type",
                    "lua-json",
                    "lua-recode",
                    "lua-pieces",
                    "capture",
                )
            ),
            get("/gzip", (("Accept-Encoding", "gzip"),)),
            get("/if"),
            get("/if?a=1"),
            get("/outer/in"),
            get("/outer/off"),
        ),
        {"html/koi": b"abc \xc1\xc2\xc7\xa3\x80 end, long enough", "html/utf": "abc аб€ёЪ ä𝄞 end, long enough"},
        {
            "/koi": ok(b"\xc1\xc2", "Content-Type: text/html; charset=koi8-r"),
            "/koi-bare": ok(b"\xc1\xc2", "Content-Type: text/html"),
            "/koi-packed": ok(b"\xc1\xc2", "Content-Type: text/html; charset=koi8-r", "Content-Encoding: br"),
        },
        mask=((" while (?:sending response to client|reading response header from upstream)", ""),),
    ),
)
