"""How a request's URI is decoded and normalised, and how redirects are made from it.

https://nginx.org/en/docs/http/ngx_http_core_module.html: location, merge_slashes, absolute_redirect, port_in_redirect,
server_name_in_redirect.
"""

from __future__ import annotations

from harness import http

from ..case import INFOS, Case, get, wire

_SHOW = '"[$uri] [$request_uri] [$args] [$is_args] [$document_uri]"'

_NORMAL = http(
    f"""
    server {{
        listen {{port}};
        location / {{ return 200 {_SHOW}; }}
        location /a%b {{ return 200 "percent location"; }}
        location "/sp ace" {{ return 200 "space location {_SHOW[1:-1]}"; }}
    }}
    """
)

_URIS = (
    "/", "//", "///", "/.", "/./", "/..", "/../", "/a/..", "/a/../", "/a/../..", "/a/../../b", "/a/./b", "/a/b/../c",
    "/a/b/../../c", "/a//b", "/a//../b", "/a/.b", "/a/..b", "/a/b.", "/a/b..", "/a/...", "/a/.../b", "/.a", "/..a",
    "/a/.", "/a/./", "/./a", "/a/b/.", "/a/b/..", "/a/b/c/../../d/", "/%61", "/%2e", "/%2e%2e/a", "/a/%2e%2e/b",
    "/a/%2E./b", "/a/.%2e/b", "/%2f", "/a%2fb", "/a%2Fb", "/a%2f%2fb", "/a%2f..%2fb", "/a%2f../b", "/%25", "/%2561",
    "/%252e%252e/a", "/a%20b", "/a+b", "/%e4%bd%a0", "/%FF", "/%c3%28", "/a%0ab", "/a%0d%0ab", "/a%09b", "/a%7fb",
    "/%3f",
    "/%3fa=b", "/a%3fb?c", "/%23", "/a%23b?x#y", "/a#b", "/a#b?c", "/a?b#c", "/a?b?c", "/?", "/a?", "/a??", "/a?#",
    "/a?b%20c",
    "/a?%2e%2e/", "/a?../..", "/a?b=/../c", "/a;b", "/a;b=c/../d", "/a:b", "/a@b", "/a,b", "/a'b", '/a"b', "/a<b>",
    "/a|b", "/a\\b", "/a^b", "/a`b", "/a{b}", "/a[b]", "/a~b", "/a!b", "/a$b", "/a&b", "/a*b", "/a(b)", "/a=b", "/\xe4",
    "/a%", "/a%2", "/a%zz", "/a%g0", "/a%0", "/%00", "/a%00b", "/a%%62", "/a%25b", "/sp%20ace", "/sp%20ace/x%20y?z%20",
    "/a/%2e", "/a/%2e%2e", "/a/b/%2e%2e?x", "/a/..?x", "/a/.?x", "/a/..#x", "/a/../%2e%2e/b", "/a/b/../../../c",
    "/a/.%2f", "/a/..%2fb",
)  # fmt: skip

_SLASHES = http(
    f"""
    server {{
        listen {{port}};
        merge_slashes off;
        location / {{ return 200 {_SHOW}; }}
        location //two {{ return 200 "two {_SHOW[1:-1]}"; }}
        location = /a/b {{ return 200 "single"; }}
    }}
    """
)

_SCHEMES = (
    wire("lower-case scheme", b"GET http://localhost/a/../b HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("mixed-case scheme", b"GET hTTp://localhost/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("odd scheme", b"GET foo-bar+1.2://localhost/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("scheme and query only", b"GET http://localhost?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("scheme, port and query", b"GET http://localhost:80?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("scheme and host in capitals", b"GET http://LOCALHOST/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("address in brackets", b"GET http://[::1]/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("user in the authority", b"GET http://user@localhost/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("scheme without slashes", b"GET http:/localhost/a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("no host", b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("no slash", b"GET a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("space in the URI", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("two spaces before the version", b"GET /a  HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("two spaces before the URI", b"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("space at the end", b"GET /a HTTP/1.1 \r\nHost: x\r\n\r\n"),
    wire("tab in the URI", b"GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("control byte in the URI", b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("delete in the URI", b"GET /a\x7fb HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("zero in the URI", b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n"),
    wire("control byte in the query", b"GET /a?\x01 HTTP/1.1\r\nHost: x\r\n\r\n"),
)

_REDIRECTS = http(
    """
    server {
        listen {port};
        root html;
        server_name main.example other.example;
        location /r/path { return 301 /new; }
        location /r/query { return 302 /new?a=b; }
        location /r/absolute { return 302 http://elsewhere.example/x; }
        location /r/https { return 302 https://elsewhere.example/x; }
        location /r/scheme { return 302 //elsewhere.example/x; }
        location /r/relative { return 302 relative; }
        location /r/text { return 307 "/with $arg_x"; }
        location /r/only { return http://elsewhere.example/only; }
        location /r/308 { return 308 /new; }
        location /r/303 { return 303 /new; }
        location /r/encoded { return 302 "/a b%20c?d e"; }
        location /rw { rewrite ^/rw/(.*)$ /to/$1 redirect; }
        location /rp { rewrite ^/rp/(.*)$ http://elsewhere.example/$1 permanent; }
        location /auto/ { proxy_pass http://127.0.0.1:{dead}; }
    }
    server { listen {port}; server_name rel.example; root html; absolute_redirect off; location /r { return 301 /new;
        } }
    server { listen {port}; server_name named.example; root html; server_name_in_redirect on; location /r {
        return 301 /new; } }
    server { listen {port}; server_name noport.example; root html; port_in_redirect off; location /r {
        return 301 /new; } }
    server {
        listen {port}; server_name .both.example; root html; server_name_in_redirect on; port_in_redirect off;
        location /r { return 301 /new; }
    }
    server { listen {port2}; server_name ""; server_name_in_redirect on; root html; location /r { return 301 /new; } }
    """
)

_TO = (
    "/r/path", "/r/path?x=1", "/r/query", "/r/absolute", "/r/https", "/r/scheme", "/r/relative", "/r/text?x=%20",
    "/r/only",
    "/r/308", "/r/303", "/r/encoded", "/rw/x?y=1", "/rw/a%20b", "/rw/a%3fb", "/rw/%e4", "/rp/x?y=1", "/auto",
    "/auto?x=1",
    "/dir", "/dir?x=1", "/dir%20space", "/d%c3%a4r", "/dir/sub", "//dir",
)  # fmt: skip

CASES = (
    Case("uri", _NORMAL, tuple(get(path) for path in _URIS), levels=INFOS),
    Case(
        "merge-slashes-off",
        _SLASHES,
        tuple(
            get(p)
            for p in (
                "//",
                "//two",
                "/two",
                "/a//b",
                "/a/b",
                "//a/..//b",
                "/a//../b",
                "/a///../../b",
                "/a/./b",
                "/a//./b",
            )
        ),
    ),
    Case("request-target", _NORMAL, _SCHEMES, levels=INFOS),
    Case(
        "redirects",
        _REDIRECTS,
        (
            *(get(path) for path in _TO),
            get("/r/path", method="HEAD"),
            get("/r/path", method="POST", body=b"x"),
            get("/r/path", (("Host", "Main.Example:99"),), name="host with another port"),
            get("/r/path", version="1.0"),
            wire("no Host", b"GET /r/path HTTP/1.0\r\n\r\n"),
            *(
                get(path, (("Host", host),), name=f"{host}{path}")
                for host in ("rel.example", "named.example", "noport.example", "x.both.example", "noport.example:77")
                for path in ("/r", "/dir")
            ),
            get("/r", port="port2"),
            get("/dir", port="port2"),
            get("/dir", (("User-Agent", "Mozilla/4.0 (compatible; MSIE 6.0)"),), name="padded for MSIE"),
            get("/dir", (("User-Agent", "Mozilla/5.0 Chrome/80"),), name="padded for Chrome"),
        ),
        files={"html/dir/sub/x": "x", "html/dir space/x": "x", "html/där/x": "x"},
    ),
)
