"""Directives of several modules in one location, put together at random, always the same way.

Each module has cases of its own; here they meet: in which order filters and phases come, what one leaves for the next.
"""

from __future__ import annotations

import random

from harness import http

from ..case import Ask, Case, get
from .headers import MASK
from .headers_more import MODULES

#: One of some of these goes into each location.
_GROUPS = (
    ("add_header X-B $uri;", "add_header X-B $uri always;", "add_header Last-Modified '';", "add_trailer X-T t;"),
    ("expires 1h;", "expires -1;", "expires max;", "expires modified 5y;"),
    ("charset utf-8;", "charset koi8-r; override_charset on;", "charset off;"),
    ("gzip on; gzip_min_length 1;", "gzip on; gzip_types *; gzip_min_length 0; gzip_vary on;"),
    ("sub_filter one 1;", "sub_filter one 1; sub_filter_types *; sub_filter_once off;", "sub_filter two $arg_a;",
     "sub_filter two '$arg_a'; sub_filter_last_modified on;"),
    ("add_before_body /inner;", "add_after_body /inner;", "add_before_body /inner; add_after_body /b.html; addition_types *;"),
    ("echo_before_body before;", "echo_after_body after;"),
    ("more_set_headers 'X-M: m';", "more_set_headers -s 404 'X-M: m';", "more_set_headers -t text/html 'X-M: m';",
     "more_clear_headers Last-Modified ETag;", "more_set_input_headers 'Range: bytes=1-2';", "more_clear_input_headers Accept-Encoding;"),
    ("header_filter_by_lua_block { ngx.header['X-L'] = ngx.header.content_type ngx.header.content_length = nil }",
     "header_filter_by_lua_block { ngx.header['Last-Modified'] = nil ngx.header['X-Length'] = ngx.header.content_length and 'known' }"),
    ("etag off;", "if_modified_since before;", "max_ranges 0;", "max_ranges 1;", "chunked_transfer_encoding off;", "keepalive_timeout 0;"),
    ("auth_request /ok;", "auth_request /deny;", "deny all;", "satisfy any; deny all; auth_request /ok;"),
    ("error_page 403 /error;", "error_page 404 @named;", "error_page 403 404 =200 /b.html;", "error_page 403 404 = /inner;"),
    ("limit_except GET { deny all; }", "if ($arg_a) { return 200 'if one'; }", "if ($arg_a) { add_header X-If 1; }",
     "rewrite /b.html$ /inner;", "rewrite /a.txt$ /b.html break;"),
    ("mirror /inner;", "postpone_output 0;", "limit_rate 100k;", "client_max_body_size 1;"),
)  # fmt: skip
_CONTENT = (
    "return 200 'hello one two';", "return 204;", "return 301 /x;", "return 403;", "return 404 nope;", "root html;",
    "alias html/;", "alias html/;", "empty_gif;", "autoindex on;", "try_files /none /b.html;", "try_files /none =404;",
    "echo one two three;", "echo -n x; echo_flush; echo two;", "echo_status 404; echo hi;", "echo_location /inner; echo two;",
    "echo_exec /inner;", "content_by_lua_block { ngx.say('lua one two') }", "content_by_lua_block { ngx.exec('/inner') }",
    "content_by_lua_block { ngx.header.content_length = 5 ngx.print('one t') }", "content_by_lua_block { ngx.exit(403) }",
    "content_by_lua_block { ngx.status = 201 ngx.print('one') ngx.flush(true) ngx.print('two') }",
    "proxy_pass http://127.0.0.1:{port2};", "proxy_buffering off; proxy_pass http://127.0.0.1:{port2};",
)  # fmt: skip
_PATHS = ("", "a.txt", "b.html", "e.html", "none", "d/", "a.txt?a=b", "b.html?a=b", "none?a=b")
_HEADERS: tuple[dict[str, str], ...] = (
    {}, {"Range": "bytes=1-3"}, {"Range": "bytes=0-0,2-3"}, {"Accept-Encoding": "gzip"}, {"If-None-Match": "*"},
    {"If-Modified-Since": "Fri, 01 Jan 2094 00:00:00 GMT"}, {"Connection": "close"},
)  # fmt: skip

_random = random.Random(2)
_LOCATIONS = [
    " ".join([*(_random.choice(group) for group in _random.sample(_GROUPS, 3)), _random.choice(_CONTENT)])
    for _ in range(200)
]


def _ask(number: int) -> Ask:
    path, headers = f"/{number}/{_random.choice(_PATHS)}", _random.choice(_HEADERS)
    version = _random.choice(("1.0", "1.1", "1.1", "1.1"))
    if _random.random() < 0.1:
        return get(path, headers, method="POST", body=b"abc", name=f"POST {path} {headers}")
    return get(path, headers, version=version, name=f"{path} {headers} {version}")


CASES = (
    Case(
        "combinations",
        http(
            r"""charset_map koi8-r utf-8 { C1 D0B0; } types { text/html html; text/plain txt; }
            proxy_http_version 1.1; proxy_set_header Connection "";
            server { listen {port};
            """
            + "\n".join(f"location /{number}/ {{ {code} }}" for number, code in enumerate(_LOCATIONS))
            + """
            location = /inner { default_type text/html; return 200 "inner one"; }
            location = /ok { return 204; }
            location = /deny { return 403; }
            location = /error { return 200 "error one"; }
            location = /b.html { root html; }
            location @named { default_type text/html; return 200 "named one $status"; } }
            server { listen {port2}; access_log off;
                location / { default_type text/html; content_by_lua_block {
                    ngx.header["ETag"] = '"x"' ngx.header["Last-Modified"] = "Mon, 28 Sep 1970 06:00:00 GMT"
                    ngx.say("up one two ", ngx.var.uri) } }
                location ~ none { return 404 "up none"; } location ~ d/$ { return 302 /d/x; } }"""
        ),
        tuple(_ask(number) for number in range(len(_LOCATIONS)) for _ in range(4)),
        files={
            "html/a.txt": "one two three",
            "html/b.html": "<p>one</p> two",
            "html/e.html": "",
            "html/d/index.html": "in d, one",
        },
        mask=MASK,
        modules=(*MODULES, "ngx_http_echo_module"),
    ),
)
