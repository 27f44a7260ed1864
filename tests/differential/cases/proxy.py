"""ngx_http_proxy_module: what goes to the upstream, and how its answer comes back.

https://nginx.org/en/docs/http/ngx_http_proxy_module.html. The reference proxies with HTTP/1.0 unless told otherwise,
    nginx since
1.29.7 with HTTP/1.1 and without a Connection header; so most confs say what they want.
"""

from __future__ import annotations

from harness import http
from origin import COUNT, ECHO, KEEP, Script, ok

from ..case import Case, get, wire

#: What nginx does by default since 1.29.7.
NOW = 'proxy_http_version 1.1; proxy_set_header Connection "";'

_PASS = http(
    rf"""
    {NOW}
    upstream named {{ server 127.0.0.1:{{port2}}; }}
    server {{
        listen {{port}};
        root html;
        location /plain {{ proxy_pass http://127.0.0.1:{{port2}}; }}
        location /uri/ {{ proxy_pass http://127.0.0.1:{{port2}}/replaced/; }}
        location /slash/ {{ proxy_pass http://127.0.0.1:{{port2}}/; }}
        location /noslash {{ proxy_pass http://127.0.0.1:{{port2}}/; }}
        location /arg/ {{ proxy_pass http://127.0.0.1:{{port2}}/x?fixed=1; }}
        location /name/ {{ proxy_pass http://named; }}
        location /nameuri/ {{ proxy_pass http://named/up/; }}
        location = /exact {{ proxy_pass http://named/other; }}
        location ~ ^/re/(.*)$ {{ proxy_pass http://named; }}
        location ~ ^/revar/(.*)$ {{ proxy_pass http://named/got/$1; }}
        location ~ ^/revarargs/(.*)$ {{ proxy_pass http://named/got/$1$is_args$args; }}
        location /var/ {{ set $to 127.0.0.1:{{port2}}; proxy_pass http://$to; }}
        location /varuri/ {{ set $to 127.0.0.1:{{port2}}; proxy_pass http://$to/fixed; }}
        location /varrequest/ {{ set $to named; proxy_pass http://$to$request_uri; }}
        location /varscheme/ {{ proxy_pass $scheme://named/v; }}
        location /rewritten/ {{ rewrite ^/rewritten/(.*)$ /plain/$1?r=1 break; proxy_pass http://named; }}
        location /rewrittenuri/ {{ rewrite ^/rewrittenuri/(.*)$ /xx/$1 break; proxy_pass http://named/up; }}
        location /if {{ if ($arg_go) {{ proxy_pass http://named; }} return 200 "not proxied"; }}
        location /nest {{ location /nest/ed {{ proxy_pass http://named/n; }} return 200 "nest"; }}
        location /named {{ try_files /none @up; }}
        location @up {{ proxy_pass http://named; }}
        location /unix {{ proxy_pass http://unix:{{prefix}}/up.sock:/sock; }}
        location /unixplain {{ proxy_pass http://unix:{{prefix}}/up.sock; }}
        location /static {{ proxy_pass http://named; }}
        location /redir/ {{ proxy_pass http://named; }}
    }}
    server {{
        listen {{port2}}; listen unix:{{prefix}}/up.sock; access_log off;
        location / {{ return 200 "$request_method $request_uri $server_protocol host=$http_host"; }}
        location /redir/ {{ return 302 /redir/to; }}
    }}
    """
)

_PASSED = (
    "/plain", "/plain/a?b=c", "/plain/a%20b", "/plain/%2f%3f%25", "/plain//x/../y", "/plain/a+b", "/plain/%e4%bd%a0",
    "/plain?", "/plain?a#b",
    "/uri/", "/uri/a?b=c", "/uri/a%20b", "/uri/%3f%23%25", "/uri//x/../y", "/uri/a%2fb", "/uri/\xe4", "/uri",
    "/slash/a", "/slash/", "/noslash",
    "/noslash/a", "/noslashx", "/arg/y?z=1", "/arg/", "/name/x?y", "/nameuri/x?y", "/exact?x", "/re/a%20b?c",
    "/revar/a%20b?c", "/revar/x%3fy",
    "/revarargs/ab?c=d", "/revarargs/ab", "/var/x?y=z", "/var/a%20b", "/varuri/x?y", "/varrequest/a%20b?c",
    "/varscheme/x?y", "/rewritten/a%20b?c=d",
    "/rewrittenuri/a%20b?c=d", "/if?go=1", "/if", "/nest/ed/x", "/nest/x", "/named/x?y", "/unix/x", "/unixplain/x?y",
    "/redir/x",
)  # fmt: skip

_HEADERS = http(
    f"""
    {NOW}
    underscores_in_headers on;
    server {{
        listen {{port}};
        location /default {{ proxy_pass http://127.0.0.1:{{origin}}; }}
        location /host {{ proxy_set_header Host $http_host; proxy_set_header Connection "";
            proxy_pass http://127.0.0.1:{{origin}}; }}
        location /more {{
            proxy_set_header Host my.example;
            proxy_set_header Connection "";
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Empty "";
            proxy_set_header X-Arg $arg_x;
            proxy_set_header X-Text "a b; \\"c\\"";
            proxy_set_header Accept-Encoding "";
            proxy_pass http://127.0.0.1:{{origin}};
        }}
        location /noheaders {{ proxy_pass_request_headers off; proxy_pass http://127.0.0.1:{{origin}}; }}
        location /nobody {{ proxy_pass_request_body off; {NOW} proxy_set_header Host a;
            proxy_set_header Content-Length ""; proxy_pass http://127.0.0.1:{{origin}}; }}
        location /method {{ proxy_method PUT; proxy_pass http://127.0.0.1:{{origin}}; }}
        location /setbody {{ proxy_set_body "uri=$uri body=$request_body"; proxy_pass http://127.0.0.1:{{origin}}; }}
        location /http10 {{ proxy_http_version 1.0; proxy_set_header Host a; proxy_set_header Connection close;
            proxy_pass http://127.0.0.1:{{origin}}; }}
        location /unbuffered {{ proxy_request_buffering off; proxy_pass http://127.0.0.1:{{origin}}; }}
        location /upgrade {{
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
                proxy_pass http://127.0.0.1:{{origin}};
        }}
        location /small {{ client_body_buffer_size 8; proxy_pass http://127.0.0.1:{{origin}}; }}
    }}
    """
)

_MANY = {
    "User-Agent": "agent",
    "Accept": "*/*",
    "Accept-Encoding": "gzip",
    "Cookie": "a=b",
    "X-Custom": "x y",
    "X_Under": "u",
    "Connection": "keep-alive, foo",
    "Keep-Alive": "timeout=5",
    "TE": "trailers",
    "Upgrade": "h2c",
    "Referer": "r",
    "X-Forwarded-For": "1.2.3.4",
    "If-Modified-Since": "Sat, 04 Mar 2023 05:06:07 GMT",
    "If-None-Match": '"x"',
    "Range": "bytes=0-1",
    "Authorization": "Basic eA==",
    "Empty": "",
}

_SENT = ("default", "host", "more", "noheaders", "nobody", "method", "setbody", "http10", "unbuffered", "small")

_BACK = http(
    f"""
    {NOW}
    server {{
        listen {{port}};
        location / {{ proxy_pass http://127.0.0.1:{{origin}}; }}
        location /hide/ {{ proxy_hide_header X-Hidden; proxy_hide_header Cache-Control;
            proxy_pass http://127.0.0.1:{{origin}}/all; }}
        location /pass/ {{ proxy_pass_header Server; proxy_pass_header X-Pad; proxy_pass_header Date;
            proxy_pass http://127.0.0.1:{{origin}}/all; }}
        location /unbuf/ {{ proxy_buffering off; proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /r1/ {{ proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /r2/ {{ proxy_redirect off; proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /r3/ {{
            proxy_redirect http://backend.example/ /mapped/; proxy_redirect ~^(http://[^/]+)/re/(.+)$ $1/RE-$2;
            proxy_redirect ~*^/CASE(.*)$ /any$1; proxy_pass http://127.0.0.1:{{origin}}/; proxy_redirect default;
        }}
        location /r4/ {{ proxy_redirect / /prefix/; proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /r5/ {{ proxy_redirect http://backend.example http://$host:$server_port;
            proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /ck/ {{
            proxy_cookie_domain localhost front.example; proxy_cookie_domain ~\\.?([a-z]+)\\.internal$ $1.example;
            proxy_cookie_path /app/ /; proxy_cookie_path ~*^/OLD(.*)$ /new$1;
                proxy_cookie_flags one httponly samesite=strict;
            proxy_cookie_flags ~^t secure nosamesite; proxy_pass http://127.0.0.1:{{origin}}/cookies;
        }}
        location /intercept/ {{
            proxy_intercept_errors on; error_page 404 /page; error_page 502 503 =200 /page; error_page 401 @auth;
            proxy_pass http://127.0.0.1:{{origin}}/;
        }}
        location /nointercept/ {{ error_page 404 503 /page; proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /page {{ return 200 "page $upstream_status $upstream_http_x_reason"; }}
        location @auth {{ return 403 "no"; }}
        location /accel/ {{ proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /ignore/ {{ proxy_ignore_headers X-Accel-Redirect; proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /inner/ {{ internal; return 200 "inner $uri $args $upstream_http_x_reason"; }}
        location /small/ {{ proxy_buffer_size 256; proxy_buffers 4 256; proxy_busy_buffers_size 512;
            proxy_pass http://127.0.0.1:{{origin}}/; }}
        location /h10/ {{ proxy_http_version 1.0; proxy_pass http://127.0.0.1:{{origin}}/; }}
    }}
    """
)

_ALL = (
    "Server: origin/1", "Date: Mon, 01 Jan 2001 00:00:00 GMT", "X-Pad: pad", "X-Hidden: h", "X-Accel-Expires: 0",
    "X-Accel-Buffering: no", "X-Accel-Limit-Rate: 0", "Cache-Control: no-cache", "Content-Type: text/x",
    "Keep-Alive: x",
    "Last-Modified: Sat, 04 Mar 2023 05:06:07 GMT", 'ETag: "x"', "Vary: a", "Vary: b", "Set-Cookie: a=1",
    "Set-Cookie: b=2", "Expires: 0",
    "Accept-Ranges: bytes", "Content-Encoding: x", "Refresh: 5;url=/x", "X-Dup: 1", "X-Dup: 2",
    "WWW-Authenticate: Basic", "Link: </a>",
    "Content-Language: de", "Via: 1.1 o", "Age: 3", "Upgrade: x", "Trailer: T", "Alt-Svc: y", "P3P: z",
    "Status: 200 OK",
)  # fmt: skip


def _answer(head: str, body: bytes = b"", end: str = "\nConnection: close") -> bytes:
    return (head + end).replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


_CHUNKS = _answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n")
_SCRIPTS: dict[str, Script] = {
    "/all": ok(b"all", *_ALL),
    "/length": ok(b"hello"),
    "/empty": ok(b""),
    "/chunked": _CHUNKS,
    "/trailers": _answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
    "/close": _answer("HTTP/1.1 200 OK\nContent-Type: text/plain", b"until the end"),
    "/http10": _answer("HTTP/1.0 200 OK\nContent-Type: text/plain", b"old"),
    "/http09": b"no head at all\n",
    "/204": _answer("HTTP/1.1 204 No Content"),
    "/304": _answer('HTTP/1.1 304 Not Modified\nETag: "x"'),
    "/201": ok(b"made", "Location: /made", status="201 Created"),
    "/odd": ok(b"odd", status="299 Odd Reason"),
    "/noreason": ok(b"r", status="200"),
    "/100": _answer("HTTP/1.1 100 Continue", end="") + ok(b"after 100"),
    "/404": ok(b"not here", "X-Reason: because", status="404 Not Found"),
    "/401": ok(b"who", "WWW-Authenticate: Basic realm=x", status="401 Unauthorized"),
    "/500": ok(b"broken", status="500 Internal Server Error"),
    "/503": ok(b"busy", "Retry-After: 5", status="503 Service Unavailable"),
    "/big": ok(b"0123456789abcdef" * 16384),
    "/slow": (_answer("HTTP/1.1 200 OK\nContent-Length: 10"), 0.05, b"01234", 0.05, b"56789"),
    "/slowhead": (b"HTTP/1.1 200", 0.05, b" OK\r\nConnection: close\r\nContent-Le", 0.05, b"ngth: 2\r\n\r\nok"),
    "/lf": b"HTTP/1.1 200 OK\nContent-Length: 2\nX-A: b\nConnection: close\n\nok",
    "/range": ok(b"0123456789", "Accept-Ranges: bytes"),
    "/cookies": ok(
        b"", "Set-Cookie: one=1; Domain=localhost; Path=/app/",
        "Set-Cookie: two=2; domain=.x.internal; path=/old/y; SameSite=Lax",
        "Set-Cookie: three; Path=/other", "Set-Cookie: four=4",
    ),
    "/accelerated": ok(
        b"not seen", "X-Accel-Redirect: /inner/x?y=z", "X-Reason: accel", "Content-Type: text/accel", "Set-Cookie: a=1",
    ),
    "/accelnamed": ok(b"not seen", "X-Accel-Redirect: @auth"),
    "/duplicate": ok(b"x", "X-Dup: 1", "X-Dup: 2", "Via: a", "Via: b"),
    "/bighead": ok(b"x", "X-Long: " + "v" * 600),
}  # fmt: skip
_LOCATIONS = {
    "abs": "http://backend.example/x", "re": "http://other.example/re/y", "case": "/case/z",
    "own": "http://127.0.0.1:{origin}/own", "rel": "/rel",
    "none": "rel", "query": "http://backend.example?q",
}  # fmt: skip
_SCRIPTS |= {f"/loc-{name}": ok(b"", f"Location: {to}", status="302 Found") for name, to in _LOCATIONS.items()}
_SCRIPTS["/refresh"] = ok(b"", "Refresh: 3; url=http://backend.example/x")

CASES = (
    Case(
        "proxy-pass",
        _PASS,
        (
            *(get(path) for path in _PASSED),
            *(get("/plain", method=method) for method in ("HEAD", "DELETE", "OPTIONS", "PURGE", "PATCH")),
            get("/plain", method="POST", body=b"abc"),
            wire("absolute URI", b"GET http://x.example/plain/../uri/a?b HTTP/1.1\r\nHost: y\r\n\r\n"),
        ),
    ),
    Case(
        "proxy-request",
        _HEADERS,
        (
            *(get(f"/{where}", _MANY, name=f"GET /{where}") for where in _SENT),
            *(
                get(f"/{where}?x=1", {"Content-Type": "t/x"}, method="POST", body=b"0123456789", name=f"POST /{where}")
                for where in _SENT
            ),
            *(
                get(
                    f"/{where}",
                    {"Transfer-Encoding": "chunked"},
                    method="POST",
                    body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                    name=f"chunks /{where}",
                )
                for where in ("default", "nobody", "setbody", "unbuffered", "small")
            ),
            get("/default", method="POST", body=b""),
            get("/default", method="HEAD"),
            get("/default", method="DELETE", body=b"abc"),
            get("/default", version="1.0"),
            get("/more", {"X-Forwarded-For": "1.1.1.1", "Host": "front.example:88"}, name="forwarded"),
            wire(
                "several X-Forwarded-For",
                b"GET /more HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\n\r\n",
            ),
            wire(
                "repeated headers",
                b"GET /default HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nX-A: 2\r\nx-a: 3\r\nCookie: a\r\nCookie: b\r\n\r\n",
            ),
            wire(
                "expect",
                b"POST /default HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
                0.05,
                b"ab",
            ),
        ),
        scripts={f"/{where}": (ECHO,) for where in (*_SENT, "upgrade")},
    ),
    Case(
        "proxy-response",
        _BACK,
        (
            *(get(path) for path in _SCRIPTS if path not in ("/http09", "/100")),
            get(
                "/100",
                differs="the reference takes an interim response for the response itself",
                expect={"status": 200, "body": "after 100", "interim": []},
            ),
            get("/http09", {"Connection": "close"}, read=()),
            *(
                get(f"/unbuf{path}")
                for path in ("/all", "/length", "/chunked", "/close", "/big", "/slow", "/304", "/http10")
            ),
            *(get(f"/{r}/loc-{name}") for r in ("r1", "r2", "r3", "r4", "r5") for name in _LOCATIONS),
            *(get(f"/r{n}/refresh") for n in "12345"),
            *(get(f"/intercept/{status}") for status in ("404", "401", "500", "503", "304", "201")),
            *(get(f"/nointercept/{status}") for status in ("404", "503")),
            get("/hide/"),
            get("/pass/"),
            get("/ck/"),
            get("/accel/accelerated"),
            get("/accel/accelnamed"),
            get("/ignore/accelerated"),
            get("/small/bighead"),
            get("/small/big"),
            get("/h10/chunked"),
            get("/h10/length"),
            get("/length", method="HEAD"),
            get("/chunked", method="HEAD"),
            get("/chunked", version="1.0"),
            get("/close", version="1.0"),
            get("/all", version="1.0"),
            get("/range", {"Range": "bytes=2-4"}, name="range of a proxied answer"),
            get("/all", {"If-None-Match": '"x"'}, name="not modified"),
            get("/all", {"If-Modified-Since": "Sat, 04 Mar 2023 05:06:07 GMT"}, name="not modified since"),
        ),
        scripts=_SCRIPTS,
        newer={'"GET /100 HTTP/1.1" 100': '"GET /100 HTTP/1.1" 200'},
    ),
    Case(
        "upstream-keepalive",
        http(
            f"""
            upstream kept {{ server 127.0.0.1:{{origin}}; keepalive 4; }}
            server {{
                listen {{port}};
                location / {{ {NOW} proxy_pass http://kept; }}
                location /close/ {{ proxy_http_version 1.0; proxy_set_header Connection close;
                    proxy_pass http://kept/; }}
            }}
            """
        ),
        (
            get("/count", name="first"),
            get("/count", name="kept"),
            get("/count", method="POST", body=b"abc", name="kept, with a body"),
            get("/closing", name="the origin closes afterwards"),
            get("/count", name="after the origin closed"),
            get("/close/count", name="not to be kept"),
            get("/head", method="HEAD", name="HEAD"),
            get("/count", name="after HEAD"),
            get("/notmodified", name="304"),
            get("/count", name="after 304"),
            get("/chunks", name="chunks"),
            get("/count", name="after chunks"),
        ),
        scripts={
            "/count": (COUNT, KEEP),
            "/closing": ok(b"bye"),
            "/head": (_answer("HTTP/1.1 200 OK\nContent-Length: 100", end=""), KEEP),
            "/notmodified": (_answer("HTTP/1.1 304 Not Modified", end=""), KEEP),
            "/chunks": (_answer("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n", end=""), KEEP),
        },
    ),
)
