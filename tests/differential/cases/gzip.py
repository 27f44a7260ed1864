"""gzip, gzip_static and gunzip; bodies are compared decompressed.

https://nginx.org/en/docs/http/ngx_http_gzip_module.html and its neighbours
"""

from __future__ import annotations

import gzip
from typing import Any

from client import Headers
from harness import http
from origin import ok

from ..case import Case, get
from .proxy import NOW

_TEXT = "The quick brown fox jumps over the lazy dog. " * 20
_PACKED = gzip.compress(_TEXT.encode(), mtime=0)

#: Accept-Encoding headers that do or do not let gzip pass.
_ACCEPT = (
    "gzip",
    "gzip,deflate",
    "GZIP",
    "deflate, gzip",
    "deflate;q=1,gzip;q=0.5",
    "gzip;q=0",
    "gzip;q=0.000",
    "gzip;q=0.001",
    "gzip;q=0.0001",
    "gzip;q=1.000",
    "gzip;q=1.001",
    "gzip;q=1",
    "gzip;q=2",
    "gzip;q=x",
    "gzip;q=",
    "gzip;q",
    "gzip;",
    "gzip ; q=0.5",
    "gzip; x",
    "xgzip",
    "x-gzip, gzip",
    "gzipped",
    "gzip x",
    "*",
    "identity",
    "gzi",
    "br",
)

_LOCATIONS = {
    "plain": "gzip on; default_type text/html;",
    "type": "gzip on; default_type text/css;",
    "types": "gzip on; gzip_types text/css application/json; default_type text/css;",
    "types-any": "gzip on; gzip_types *; default_type application/x-thing;",
    "types-html": "gzip on; gzip_types text/css; default_type text/html;",
    "types-case": "gzip on; gzip_types TEXT/CSS; default_type Text/Css;",
    "level": "gzip on; gzip_comp_level 9; gzip_buffers 4 8k; default_type text/html;",
    "off": "gzip off; default_type text/html;",
    "vary": "gzip on; gzip_vary on; default_type text/html;",
    "vary-type": "gzip on; gzip_vary on; default_type text/css;",
    "long": "gzip on; gzip_min_length 10k; default_type text/html;",
    "old": "gzip on; gzip_http_version 1.0; default_type text/html;",
    "disable": "gzip on; gzip_vary on; gzip_disable robot ^evil msie6; default_type text/html;",
    "no-etag": "gzip on; etag off; default_type text/html;",
}
_PROXIED = {
    "none": "",
    "off": "off",
    "any": "any",
    "auth": "auth",
    "expired": "expired",
    "no-cache": "no-cache no-store",
    "private": "private",
    "last": "no_last_modified",
    "etag": "no_etag",
    "all": "expired no-cache no-store private no_last_modified no_etag auth",
}

_CONF = http(
    f"""{NOW}
    server {{ listen {{port}}; root html;
    {chr(10).join(f"location = /{name} {{ {code} alias html/a; }}" for name, code in _LOCATIONS.items())}
    {
        chr(10).join(
            f"location = /proxied-{name} {{ gzip on; {'gzip_proxied ' + words + ';' if words else ''} default_type text/html; "
            "content_by_lua_block { for _, n in ipairs {'Expires', 'Cache-Control', 'ETag', 'Last-Modified'} do "
            "local v = ngx.var['arg_' .. n:sub(1, 1)] if v then ngx.header[n] = v end end ngx.say(('x'):rep(100)) } }"
            for name, words in _PROXIED.items()
        )
    }
    location /lua {{ gzip on; default_type text/html; content_by_lua_block {{
        ngx.say(("one "):rep(50)) ngx.flush(true) ngx.say(("two "):rep(50)) }} }}
    location /lua-length {{ gzip on; default_type text/html; content_by_lua_block {{
        ngx.header.content_length = 10 ngx.print(("1"):rep(10)) }} }}
    location /lua-encoded {{ gzip on; default_type text/html; content_by_lua_block {{
        ngx.header.content_encoding = "br" ngx.print(("1"):rep(100)) }} }}
    location /lua-type {{ gzip on; content_by_lua_block {{
        ngx.header.content_type = "text/html; charset=utf-8" ngx.print(("1"):rep(100)) }} }}
    location /lua-empty {{ gzip on; default_type text/html; content_by_lua_block {{ ngx.print("") }} }}
    location /lua-status {{ gzip on; default_type text/html; content_by_lua_block {{
        ngx.status = tonumber(ngx.var.arg_s) ngx.print(("1"):rep(100)) }} }}
    location /capture {{ gzip on; default_type text/html; content_by_lua_block {{
        local res = ngx.location.capture("/plain") ngx.print(res.header["Content-Encoding"], #res.body, res.body) }} }}
    location /missing {{ gzip on; gzip_vary on; }}
    location /return {{ gzip on; default_type text/html; return 200 "{"return " * 30}"; }}
    location /big {{ gzip on; default_type text/html; alias html/big; }}
    location /static/ {{ gzip_static on; }}
    location /static-vary/ {{ gzip_static on; gzip_vary on; alias html/static/; }}
    location /static-always/ {{ gzip_static always; alias html/static/; }}
    location /static-both/ {{ gzip_static on; gzip on; gzip_vary on; gzip_types *; alias html/static/; }}
    location /static-gunzip/ {{ gzip_static always; gunzip on; gzip_vary on; alias html/static/; }}
    location /proxy {{ proxy_pass http://127.0.0.1:{{origin}}/plain; gzip on; }}
    location /proxy-packed {{ proxy_pass http://127.0.0.1:{{origin}}/packed; gzip on; }}
    location /gunzip {{ proxy_pass http://127.0.0.1:{{origin}}/packed; gunzip on; gunzip_buffers 4 8k; }}
    location /gunzip-gzip {{ proxy_pass http://127.0.0.1:{{origin}}/packed; gunzip on; gzip on; gzip_vary on; }}
    location /gunzip-plain {{ proxy_pass http://127.0.0.1:{{origin}}/plain; gunzip on; }}
    location /gunzip-two {{ proxy_pass http://127.0.0.1:{{origin}}/two; gunzip on; }}
    location /gunzip-br {{ proxy_pass http://127.0.0.1:{{origin}}/br; gunzip on; }}
    }}"""
)

_HTML = "Content-Type: text/html"
_GZIP = (("Accept-Encoding", "gzip"),)

_RANGES = "since nginx 1.23.4 gzip_static allows ranges"


def _static(where: str, file: str, headers: Headers) -> dict[str, Any]:
    """What to expect of gzip_static where it answers with the packed file, as the reference is too old."""
    packed = file in ("both.html", "only.html") and (headers or where == "static-always")
    if not packed:
        return {}
    vary = "Accept-Encoding" if where in ("static-vary", "static-both", "static-gunzip") else None
    expected = {
        "Accept-Ranges": "bytes",
        "Content-Encoding": "gzip",
        "Content-Length": str(len(_PACKED)),
        "Content-Type": "text/html",
        "ETag": f'"6402d1bf-{len(_PACKED):x}"',
        "Vary": vary,
    }
    return {"differs": _RANGES, "expect": {"status": 200, "headers": expected}}


CASES = (
    Case(
        "gzip",
        _CONF,
        (
            *(get("/plain", (("Accept-Encoding", value),), name=f"Accept-Encoding: {value}") for value in _ACCEPT),
            *(get(f"/{name}", _GZIP) for name in _LOCATIONS),
            *(get(f"/{name}") for name in ("vary", "vary-type")),
            get("/plain", _GZIP, method="HEAD"),
            get("/plain", _GZIP, version="1.0"),
            get("/old", _GZIP, version="1.0"),
            get("/plain", (*_GZIP, ("Range", "bytes=1-5"))),
            get("/plain", (("Range", "bytes=1-5"),)),
            get("/plain", (*_GZIP, ("If-None-Match", '"6402d1bf-384"'))),
            get("/plain", (*_GZIP, ("If-None-Match", 'W/"6402d1bf-384"'))),
            get("/vary", (*_GZIP, ("If-None-Match", "*"))),
            *(
                get("/disable", (*_GZIP, ("User-Agent", agent)), name=f"gzip_disable {agent}")
                for agent in ("Robot", "Evil", "not evil", "Mozilla/4.0 (compatible; MSIE 6.0; x)", "Firefox")
            ),
            *(get(f"/proxied-{name}", (*_GZIP, ("Via", "1.1 x"))) for name in _PROXIED),
            *(get(f"/proxied-{name}", (*_GZIP, ("Via", "1.1 x"), ("Authorization", "x"))) for name in ("auth", "all")),
            *(
                get(f"/proxied-{name}?{query}", (*_GZIP, ("Via", "1.1 x")))
                for name in ("expired", "no-cache", "private", "last", "etag", "all")
                for query in (
                    "E=Thu,%2001%20Jan%201970%2000:00:00%20GMT".replace("%20", " ").replace(" ", "+"),
                    "C=no-cache",
                    "C=no-store,max-age=1",
                    "C=private",
                    "C=public",
                    "E=never",
                )
            ),
            *(get(f"/proxied-{name}?E=x") for name in ("none",)),
            get("/lua", _GZIP),
            get("/lua-length", _GZIP),
            get("/lua-encoded", _GZIP),
            get("/lua-type", _GZIP),
            get("/lua-empty", _GZIP),
            *(get(f"/lua-status?s={s}", _GZIP) for s in (200, 201, 403, 404, 500)),
            get("/capture", _GZIP),
            get("/missing", _GZIP),
            get("/missing"),
            get("/return", _GZIP),
            get("/big", _GZIP),
            get("/big"),
            *(
                get(f"/{where}/{file}", headers, **_static(where, file, headers))
                for where in ("static", "static-vary", "static-always", "static-both", "static-gunzip")
                for file in ("both.html", "only.html", "plain.html", "none.html", "folder")
                for headers in (_GZIP, ())
            ),
            get(
                "/static/both.html?range",
                (*_GZIP, ("Range", "bytes=0-9")),
                method="HEAD",
                differs=_RANGES,
                expect={"status": 206, "headers": {"Content-Range": f"bytes 0-9/{len(_PACKED)}"}},
            ),
            get("/static/both.html", _GZIP, method="POST", body=b"x"),
            get("/static/both.html", _GZIP, method="HEAD", **_static("static", "both.html", _GZIP)),
            *(
                get(f"/{name}", headers)
                for name in (
                    "proxy",
                    "proxy-packed",
                    "gunzip",
                    "gunzip-gzip",
                    "gunzip-plain",
                    "gunzip-two",
                    "gunzip-br",
                )
                for headers in (_GZIP, ())
            ),
            get("/gunzip", method="HEAD"),
        ),
        {
            "html/a": _TEXT,
            "html/big": "".join(f"line {n}\n" for n in range(20000)),
            "html/static/both.html": "not packed",
            "html/static/both.html.gz": _PACKED,
            "html/static/only.html.gz": _PACKED,
            "html/static/plain.html": _TEXT,
            "html/static/folder.gz/": b"",
        },
        {
            "/plain": ok(_TEXT.encode(), _HTML, 'ETag: "x"'),
            "/packed": ok(_PACKED, _HTML, "Content-Encoding: gzip", 'ETag: "x"', "Accept-Ranges: bytes"),
            "/two": ok(_PACKED + _PACKED, _HTML, "Content-Encoding: GZIP"),
            "/br": ok(_PACKED, _HTML, "Content-Encoding: br"),
        },
        newer={'"HEAD /static/both.html?range HTTP/1.1" 200': '"HEAD /static/both.html?range HTTP/1.1" 206'},
    ),
)
