"""autoindex, random_index, secure_link, sub_filter and realip.

https://nginx.org/en/docs/http/ngx_http_autoindex_module.html and its neighbours
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

from harness import http
from origin import ok

from ..case import Case, get
from .proxy import NOW

# -- autoindex

_FORMATS = {
    "html": "",
    "short": "autoindex_exact_size off;",
    "local": "autoindex_localtime on;",
    "utf": "charset utf-8;",
    "xml": "autoindex_format xml;",
    "json": "autoindex_format json;",
    "jsonp": "autoindex_format jsonp;",
    "off": "autoindex off;",
}
_LONG = "a-name-that-is-much-longer-than-what-nginx-shows-of-it-in-its-list.txt"
_FILES: dict[str, str | bytes] = {
    "html/a/b.txt": "b",
    "html/a/A.txt": "x" * 9999,
    "html/a/big": "x" * 10000,
    'html/a/odd & <name> "quoted" it\'s': "",
    "html/a/50%:?#+;=.txt": "",
    "html/a/ünï€.txt": "1",
    "html/a/" + "ü" * 49: "1",
    "html/a/" + "€" * 60: "1",
    "html/a/" + "x" * 50: "1",
    "html/a/" + "y" * 51: "1",
    "html/a/" + "&" * 51: "1",
    "html/a/" + "&" * 49: "1",
    "html/a/" + _LONG: "1",
    "html/a/tab\there": "1",
    "html/a/.hidden": "1",
    "html/a/folder/": b"",
    "html/a/" + "z" * 50 + "/": b"",
    "html/a/" + "z" * 49 + "/": b"",
    "html/index/index.html": "index",
    "html/one/only.txt": "the only one",
    "html/empty/": b"",
}

# -- secure_link

_SECRET = "the secret"


def _link(expires: str, uri: str) -> str:
    digest = hashlib.md5(f"{expires}{uri} {_SECRET}".encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


_OLD = hashlib.md5(f"file/name{_SECRET}".encode()).hexdigest()

# -- sub_filter

_TEXT = "One two THREE one two three. <b>One</b> onetwo twotwo t tw"
_SUBS = {
    "once": "sub_filter one 1;",
    "all": "sub_filter one 1; sub_filter_once off;",
    "several": "sub_filter one 1; sub_filter two 2; sub_filter three '$uri';",
    "several-all": "sub_filter one 1; sub_filter two 2; sub_filter three '$uri'; sub_filter_once off;",
    "overlap": "sub_filter onetwo X; sub_filter one Y; sub_filter twot Z; sub_filter_once off;",
    "overlap-back": "sub_filter one Y; sub_filter onetwo X; sub_filter 'two tw' Z; sub_filter_once off;",
    "case": "sub_filter ThReE x; sub_filter_once off;",
    "gone": "sub_filter two ''; sub_filter_once off;",
    "variable": "sub_filter $arg_a '[$arg_b]'; sub_filter_once off;",
    "none": "sub_filter nothing x;",
    "modified": "sub_filter one 1; sub_filter_last_modified on;",
    "type": "sub_filter one 1; default_type text/plain;",
    "types": "sub_filter one 1; sub_filter_types text/plain; default_type text/plain;",
    "any": "sub_filter one 1; sub_filter_types *; default_type x/y;",
    "long": f"sub_filter '{_TEXT}' all; sub_filter one 1; sub_filter_once off;",
}

# -- realip

_REAL = "set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8;"
_REALIP = {
    "plain": _REAL,
    "other": f"{_REAL} real_ip_header X-Client;",
    "forwarded": f"{_REAL} real_ip_header X-Forwarded-For;",
    "recursive": f"{_REAL} real_ip_header X-Forwarded-For; real_ip_recursive on;",
    "other-recursive": f"{_REAL} real_ip_header X-Client; real_ip_recursive on;",
    "untrusted": "set_real_ip_from 1.1.1.1; real_ip_header X-Client;",
    "none": "real_ip_header X-Client;",
}
_CLIENTS = (
    "1.2.3.4", "1.2.3.4:567", "2001:db8::1", "[2001:db8::1]:99", "bad", "", "1.2.3.4, 10.0.0.1", "1.2.3.4,5.6.7.8, 10.0.0.1, 10.0.0.2",
    "10.0.0.1", "10.0.0.1, 10.0.0.2", "bad, 10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4, bad",
)  # fmt: skip
_ADDRESSES = '"$remote_addr $realip_remote_addr $realip_remote_port|"'

CASES = (
    Case(
        "autoindex",
        http(
            f"""server {{ listen {{port}}; root html; autoindex on; types {{ text/plain txt; text/html html; }}
            {chr(10).join(f"location /{name}/ {{ {code} alias html/a/; }}" for name, code in _FORMATS.items())}
            location /none/ {{ }}
            location /capture {{ content_by_lua_block {{ ngx.print(ngx.location.capture("/json/").body) }} }}
            location /random/ {{ random_index on; alias html/one/; }}
            location /random-empty/ {{ random_index on; autoindex off; alias html/empty/; }}
            location /random-none/ {{ random_index on; autoindex off; }}
            location /empty-json/ {{ alias html/empty/; autoindex_format json; }}
            }}"""
        ),
        (
            *(get(f"/{name}/") for name in _FORMATS),
            *(get(f"/{name}/", method="HEAD") for name in ("html", "xml")),
            get("/html/", method="POST", body=b"x"),
            get("/html/", version="1.0"),
            *(get(f"/jsonp/?callback={name}") for name in ("", "f", "a.b_1", "a(", "x" * 128, "x" * 129)),
            get("/json/?callback=f"),
            *(
                get(f"/{name}/")
                for name in ("index", "empty", "none", "random", "random-empty", "random-none", "empty-json")
            ),
            get("/capture"),
            get("/a/folder"),
            get("/a/b.txt"),
        ),
        _FILES,
        mask=((r"\d\d-\w{3}-20[2-9]\d \d\d:\d\d", "TIME"),),
    ),
    Case(
        "secure-link",
        http(
            f"""server {{ listen {{port}}; default_type text/plain;
            location /new {{ secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri {_SECRET}";
                if ($secure_link = "") {{ return 403 "none [$secure_link]"; }} if ($secure_link = "0") {{ return 410; }}
                return 200 "[$secure_link] [$secure_link_expires]"; }}
            location /short {{ secure_link $arg_md5; secure_link_md5 "$uri {_SECRET}";
                return 200 "[$secure_link] [$secure_link_expires]"; }}
            location /p/ {{ secure_link_secret "{_SECRET}"; return 200 "[$secure_link]"; }}
            location /outer/ {{ secure_link_secret "{_SECRET}"; location /outer/in/ {{ return 200 "[$secure_link]"; }}
                location /outer/new {{ secure_link $arg_md5; secure_link_md5 "$uri {_SECRET}"; return 200 "[$secure_link]"; }} }}
            location /outer2/ {{ secure_link $arg_md5; secure_link_md5 "$uri {_SECRET}";
                location /outer2/in/ {{ secure_link_secret "{_SECRET}"; return 200 "[$secure_link]"; }} }}
            location /unset {{ return 200 "[$secure_link] [$secure_link_expires]"; }} }}"""
        ),
        (
            get(f"/new?md5={_link('4102444800', '/new')}&expires=4102444800"),
            get(f"/new?md5={_link('4102444800', '/new')}&expires=4102444801"),
            get(f"/new?md5={_link('1000000000', '/new')}&expires=1000000000"),
            get(f"/new?md5={_link('0', '/new')}&expires=0"),
            get(f"/new?md5={_link('', '/new')}&expires="),
            get("/new?md5=&expires=4102444800"),
            get("/new?md5=bad!&expires=4102444800"),
            get("/new?md5=AAAA&expires=x"),
            get("/new"),
            get(f"/short?md5={_link('', '/short')}"),
            get(f"/short?md5={_link('', '/short')}=="),
            get(f"/short?md5={_link('', '/short')}AAAAAA"),
            get("/short?md5=AAAAAAAAAAAAAAAAAAAAAA"),
            get("/short"),
            get(f"/p/{_OLD}/file/name"),
            get(f"/p/{_OLD.upper()}/file/name"),
            get(f"/p/{_OLD}/file/other"),
            get(f"/p/{_OLD}/"),
            get(f"/p/{_OLD}"),
            get(f"/p/{_OLD[:-1]}/file/name"),
            get(f"/p/{_OLD[:-1]}x/file/name"),
            get("/unset"),
            get(f"/outer/{_OLD}/file/name"),
            get(f"/outer/in/{hashlib.md5(f'{_OLD}/x{_SECRET}'.encode()).hexdigest()}/x"),
            get(f"/outer/new?md5={_link('', '/outer/new')}"),
            get(f"/outer2/in/{_OLD}/file/name"),
        ),
    ),
    Case(
        "sub-filter",
        http(
            f"""{NOW} server {{ listen {{port}}; root html; default_type text/html;
            {chr(10).join(f"location = /{name} {{ {code} alias html/text; }}" for name, code in _SUBS.items())}
            {
                chr(10).join(
                    f"location = /pieces-{name} {{ {code} content_by_lua_block {{ "
                    "local text = ngx.location.capture('/text').body for i = 1, #text do "
                    "ngx.print(text:sub(i, i)) ngx.flush(true) end } }"
                    for name, code in _SUBS.items()
                )
            }
            location = /text {{ }}
            location /proxied {{ sub_filter one 1; proxy_pass http://127.0.0.1:{{origin}}/; }}
            location /gzip {{ sub_filter one 1; gzip on; alias html/text; }}
            location /empty {{ sub_filter one 1; alias html/nothing; }}
            location /inherit {{ sub_filter one 1; location /inherit/own {{ sub_filter two 2; alias html/text; }}
                location /inherit/none {{ alias html/text; }} }}
            location /lua {{ sub_filter one $upstream_thing; sub_filter two $sent_http_x; content_by_lua_block {{
                ngx.header.x = "from lua" ngx.say("one two") }} }}
            }}""".replace("$upstream_thing", "$arg_none")
        ),
        (
            *(get(f"/{name}?a=two&b=x") for name in _SUBS),
            *(get(f"/pieces-{name}?a=two&b=x") for name in _SUBS),
            get("/variable"),
            get("/once", method="HEAD"),
            get("/once", (("Range", "bytes=0-3"),)),
            get("/proxied"),
            get("/gzip", (("Accept-Encoding", "gzip"),)),
            get("/empty"),
            get("/inherit/own"),
            get("/inherit/none"),
            get("/lua"),
        ),
        {"html/text": _TEXT, "html/nothing": ""},
        {
            "/": ok(
                b"One one",
                "Content-Type: text/html",
                "Accept-Ranges: bytes",
                'ETag: "x"',
                "Last-Modified: Sat, 04 Mar 2023 05:06:07 GMT",
            )
        },
    ),
    Case(
        "realip",
        http(
            f"""log_format real '$remote_addr $request'; access_log {{prefix}}/logs/access.log real;
            server {{ listen {{port}}; default_type text/plain;
            {
                chr(10).join(
                    f"location = /{name} {{ {code} content_by_lua_block {{ ngx.say(ngx.var.remote_addr, ' ', "
                    "ngx.var.realip_remote_addr, ' ', #ngx.var.binary_remote_addr, ' ', "
                    "ngx.var.remote_port == ngx.var.realip_remote_port, ' ', #ngx.var.remote_port) } }"
                    for name, code in _REALIP.items()
                )
            }
            location /allowed {{ set_real_ip_from 127.0.0.1; allow 1.2.3.4; deny all; content_by_lua_block {{ ngx.say("in") }} }}
            location /rewrite {{ set_real_ip_from 127.0.0.1; return 200 "$remote_addr"; }}
            location /error {{ set_real_ip_from 127.0.0.1; content_by_lua_block {{ ngx.log(ngx.ERR, "said") }} }}
            }}
            server {{ listen {{port2}}; default_type text/plain; set_real_ip_from 127.0.0.0/8; real_ip_header X-Client;
                set $early $remote_addr; location / {{ return 200 "$early $remote_addr $realip_remote_addr"; }}
                location /again {{ rewrite ^ /other last; }} location /other {{ return 200 "$remote_addr"; }} }}"""
        ),
        (
            *(
                get(f"/{name}", ((header, value),), name=f"{name} {header}: {value}")
                for name, header in (
                    ("plain", "X-Real-IP"),
                    ("other", "X-Client"),
                    ("forwarded", "X-Forwarded-For"),
                    ("recursive", "X-Forwarded-For"),
                    ("other-recursive", "X-Client"),
                    ("untrusted", "X-Client"),
                    ("none", "X-Client"),
                )
                for value in _CLIENTS
            ),
            get("/recursive", (("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "10.0.0.1"))),
            get("/forwarded", (("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "10.0.0.1"))),
            get("/plain"),
            get("/allowed", (("X-Real-IP", "1.2.3.4"),)),
            get("/allowed", (("X-Real-IP", "1.2.3.5"),)),
            get("/rewrite", (("X-Real-IP", "1.2.3.5"),)),
            get("/error", (("X-Real-IP", "1.2.3.5"),)),
            get("/", (("X-Client", "1.2.3.4"),), port="port2"),
            get("/again", (("X-Client", "1.2.3.4"),), port="port2"),
            get("/", port="port2"),
        ),
    ),
)
