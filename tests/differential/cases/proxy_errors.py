"""Upstreams that refuse, stall, break off or lie, and what is tried next.

https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream and ngx_http_upstream_module.html
"""

from __future__ import annotations

from harness import http
from origin import ECHO, KEEP, RESET, WAIT, Script, ok

from ..case import INFOS, WARNINGS, Case, get, wire
from .proxy import NOW

_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"

_BROKEN: dict[str, Script] = {
    "/closes": b"",
    "/resets": (RESET,),
    "/garbage": b"\x00\x01\x02 garbage\r\n\r\n",
    "/halfline": b"HTTP/1.1 2",
    "/halfhead": _OK + b"X-A: b\r\n",
    "/badheader": _OK + b"X A: b\r\nContent-Length: 2\r\n\r\nok",
    "/nocolon": _OK + b"XA\r\nContent-Length: 2\r\n\r\nok",
    "/zero": _OK + b"X-A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
    "/badstatus": b"HTTP/1.1 abc OK\r\n\r\n",
    "/lowstatus": b"HTTP/1.1 099 Low\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "/bighead": _OK + b"X-A: " + b"v" * 5000 + b"\r\n\r\n",
    "/short": (_OK + b"Content-Length: 10\r\n\r\nshort", 0.05),
    "/shortreset": (_OK + b"Content-Length: 10\r\n\r\nshort", 0.05, RESET),
    "/long": _OK + b"Content-Length: 2\r\n\r\nlong",
    "/shortchunk": (_OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\nshort", 0.05),
    "/nolastchunk": _OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    "/badchunk": _OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nshort\r\n",
    "/afterchunks": _OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore",
    "/bodyof204": b"HTTP/1.1 204 No Content\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "/bodyof304": b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "/switches": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nok",
    "/stalls": (WAIT,),
    "/stallsinhead": (b"HTTP/1.1 200 OK\r\n", WAIT),
    "/stallsinbody": (_OK + b"Content-Length: 10\r\n\r\nshort", WAIT),
}

#: Framing that was let through before 1.23.0, and what the log says now.
_FRAMING = {
    "/badlength": (b"Content-Length: x", 'invalid "Content-Length" header: "Content-Length: x"'),
    "/twolengths": (
        b"Content-Length: 2\r\nContent-Length: 2",
        'duplicate header line: "Content-Length: 2", previous value: "Content-Length: 2"',
    ),
    "/both": (
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        '"Content-Length" and "Transfer-Encoding" headers at the same time',
    ),
    "/unknown": (b"Transfer-Encoding: gzip", 'unknown "Transfer-Encoding": "gzip"'),
}

_NEXT = http(
    f"""
    {NOW}
    upstream first_dead {{ server 127.0.0.1:{{dead}}; server 127.0.0.1:{{port2}} backup; }}
    upstream all_dead {{ server 127.0.0.1:{{dead}} max_fails=0; server 127.0.0.1:{{dead2}} max_fails=0; }}
    upstream marked {{ server 127.0.0.1:{{dead}} max_fails=1 fail_timeout=60s; server 127.0.0.1:{{port2}} max_fails=0;
        }}
    upstream downs {{ server 127.0.0.1:{{dead}} down; server 127.0.0.1:{{port2}}; }}
    upstream only_down {{ server 127.0.0.1:{{dead}} down; }}
    upstream origin_first {{ server 127.0.0.1:{{origin}} max_fails=0; server 127.0.0.1:{{port2}} backup; }}
    upstream weighted {{ server 127.0.0.1:{{port2}} weight=3; server 127.0.0.1:{{port3}}; }}
    upstream three {{ server 127.0.0.1:{{port2}}; server 127.0.0.1:{{port3}}; server 127.0.0.1:{{port4}}; }}
    log_format peers '$request_uri $status [$upstream_addr] [$upstream_status]';
    server {{
        listen {{port}};
        access_log logs/access.log peers;
        location /first-dead {{ proxy_pass http://first_dead; }}
        location /all-dead {{ proxy_pass http://all_dead; }}
        location /marked {{ proxy_pass http://marked; }}
        location /downs {{ proxy_pass http://downs; }}
        location /only-down {{ proxy_pass http://only_down; }}
        location /weighted {{ proxy_pass http://weighted; }}
        location /three {{ proxy_pass http://three; }}
        location /off/ {{ proxy_next_upstream off; proxy_pass http://first_dead; }}
        location /one/ {{ proxy_next_upstream_tries 1; proxy_pass http://first_dead; }}
        location /e/ {{ proxy_pass http://origin_first; }}
        location /invalid/ {{ proxy_next_upstream error invalid_header; proxy_pass http://origin_first; }}
        location /timeout/ {{ proxy_next_upstream timeout; proxy_read_timeout 300ms; proxy_pass http://origin_first; }}
        location /5xx/ {{ proxy_next_upstream error http_500 http_503; proxy_pass http://origin_first; }}
        location /404/ {{ proxy_next_upstream http_404 http_403; proxy_pass http://origin_first; }}
        location /nonidem/ {{ proxy_next_upstream error http_503 non_idempotent; proxy_pass http://origin_first; }}
        location /vars/ {{ proxy_pass http://$arg_up; }}
    }}
    server {{ listen {{port2}}; access_log off; location / {{ return 200 "second $request_method $content_length"; }}
        location /404/no {{ return 404 "n"; }} }}
    server {{ listen {{port3}}; access_log off; return 200 "third"; }}
    server {{ listen {{port4}}; access_log off; return 200 "fourth"; }}
    """
)

_WAYS: dict[str, Script] = {
    "resets": b"",
    "garbage": b"HTTP/1.1 abc\r\n\r\n",
    "stalls": (WAIT,),
    "500": ok(b"own 500", status="500 Internal Server Error"),
    "503": ok(b"own 503", status="503 Service Unavailable"),
    "404": ok(b"own 404", status="404 Not Found"),
    "partial": (_OK + b"Content-Length: 10\r\n\r\nshort", 0.05),
}
_FAILING = {
    f"/{where}/{what}": script
    for where in ("e", "invalid", "timeout", "5xx", "404", "nonidem")
    for what, script in _WAYS.items()
}

CASES = (
    Case(
        "proxy-broken",
        http(
            f"""
            {NOW}
            proxy_read_timeout 300ms;
            server {{
                listen {{port}};
                location / {{ proxy_pass http://127.0.0.1:{{origin}}; }}
                location /unbuf/ {{ proxy_buffering off; proxy_pass http://127.0.0.1:{{origin}}/; }}
                location /page/ {{ error_page 502 504 /sorry; proxy_pass http://127.0.0.1:{{origin}}/; }}
                location /sorry {{ return 200 "sorry $status"; }}
                location /dead {{ proxy_pass http://127.0.0.1:{{dead}}; }}
                location /deadpage {{ error_page 502 =200 /sorry; proxy_pass http://127.0.0.1:{{dead}}; }}
                location /nosocket {{ proxy_pass http://unix:{{prefix}}/none.sock; }}
                location /badvar {{ proxy_pass http://$arg_up; }}
                location /noscheme {{ set $x ""; proxy_pass $x$arg_up; }}
            }}
            """
        ),
        (
            *(get(path) for path in _BROKEN),
            *(get(f"/unbuf{path}") for path in ("/closes", "/short", "/shortchunk", "/long", "/stallsinbody")),
            *(get(f"/page{path}") for path in ("/closes", "/garbage", "/stalls", "/short")),
            get("/short", version="1.0"),
            get("/dead"),
            get("/dead", method="POST", body=b"abc"),
            get("/deadpage"),
            get("/nosocket"),
            get("/badvar?up=127.0.0.1:{dead}", name="variable, dead"),
            get("/badvar", name="variable, empty"),
            get("/badvar?up=no.such.host.invalid", name="variable, a name without resolver"),
            get("/badvar?up=127.0.0.1:99999", name="variable, bad port"),
            get("/noscheme", name="no scheme"),
            get("/noscheme?up=ftp://127.0.0.1/", name="another scheme"),
        ),
        scripts=_BROKEN,
        levels=WARNINGS,
    ),
    Case(
        "proxy-framing",
        http(
            f"""
            {NOW}
            server {{ listen {{port}}; location / {{ proxy_pass http://127.0.0.1:{{origin}}; }} }}
            """
        ),
        tuple(
            get(path, differs="refused since 1.23.0", expect={"status": 502, "headers": {"Content-Type": "text/html"}})
            for path in _FRAMING
        ),
        scripts={path: _OK + head + b"\r\n\r\nok" for path, (head, _) in _FRAMING.items()},
        newer={f'"GET {path} HTTP/1.1" 200': f'"GET {path} HTTP/1.1" 502' for path in _FRAMING},
        error_log=tuple(
            f"[error] upstream sent {text} while reading response header from upstream, client: 127.0.0.1, server: , "
            f'request: "GET {path} HTTP/1.1", upstream: "http://127.0.0.1:{{origin}}{path}", host: "localhost"'
            for path, (_, text) in _FRAMING.items()
        ),
    ),
    Case(
        "next-upstream",
        _NEXT,
        (
            get("/first-dead"),
            get("/first-dead", method="POST", body=b"abc"),
            get("/all-dead"),
            *(get("/marked", name=f"marked {n}") for n in range(4)),
            get("/downs"),
            get("/downs"),
            get("/only-down"),
            *(get("/weighted", name=f"weighted {n}") for n in range(8)),
            *(get("/three", name=f"three {n}") for n in range(4)),
            get("/off/x"),
            get("/one/x"),
            *(get(path) for path in _FAILING if not path.endswith("stalls") or path.startswith("/timeout")),
            *(
                get(f"/{where}/{what}", method="POST", body=b"abc")
                for where, what in (("e", "resets"), ("5xx", "503"), ("nonidem", "503"), ("nonidem", "resets"))
            ),
            get("/vars/?up=three", name="upstream by variable"),
        ),
        scripts=_FAILING,
        levels=WARNINGS,
    ),
    Case(
        "proxy-defaults",
        http(
            """
            server {
                listen {port};
                location / { proxy_pass http://127.0.0.1:{origin}; }
                location /host { proxy_set_header Host my; proxy_pass http://127.0.0.1:{origin}; }
                location /chunked { proxy_pass http://127.0.0.1:{origin}; }
            }
            """
        ),
        (
            get(
                "/echo",
                differs="since 1.29.7 HTTP/1.1 without a Connection header",
                expect={"status": 200, "body": "GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{origin}\r\n\r\n"},
            ),
            get(
                "/host",
                differs="since 1.29.7 HTTP/1.1 without a Connection header",
                expect={"status": 200, "body": "GET /host HTTP/1.1\r\nHost: my\r\n\r\n"},
            ),
            get(
                "/proxy-connection",
                {"Proxy-Connection": "keep-alive"},
                differs="since 1.29.7 HTTP/1.1 without a Connection header, and Proxy-Connection is not passed on",
                expect={"body": "GET /proxy-connection HTTP/1.1\r\nHost: 127.0.0.1:{origin}\r\n\r\n"},
            ),
            get(
                "/chunked",
                {"Transfer-Encoding": "chunked"},
                method="POST",
                body=b"3\r\nabc\r\n0\r\n\r\n",
                differs="since 1.29.7 HTTP/1.1 without a Connection header",
                expect={"body": "POST /chunked HTTP/1.1\r\nHost: 127.0.0.1:{origin}\r\nContent-Length: 3\r\n\r\nabc"},
            ),
        ),
        scripts={path: (ECHO, KEEP) for path in ("/echo", "/host", "/chunked", "/proxy-connection")},
    ),
    Case(
        "upgrade",
        http(
            """
            server {
                listen {port};
                location / {
                    proxy_http_version 1.1; proxy_set_header Host up; proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade; proxy_pass http://127.0.0.1:{origin};
                }
            }
            """
        ),
        (
            wire(
                "bytes go both ways",
                b"GET /switch HTTP/1.1\r\nHost: x\r\nUpgrade: test\r\nConnection: upgrade\r\n\r\n",
                0.1,
                b"ping\n",
                read=(),
            ),
            wire("refused", b"GET /refuse HTTP/1.1\r\nHost: x\r\nUpgrade: test\r\nConnection: upgrade\r\n\r\n"),
        ),
        scripts={
            "/switch": (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: upgrade\r\n\r\nhello\n",
                KEEP,
            ),
            "ping": b"pong\n",
            "/refuse": ok(b"no", status="426 Upgrade Required"),
        },
        levels=INFOS,
    ),
)
