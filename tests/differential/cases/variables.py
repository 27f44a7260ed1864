"""The variables of the core, as ``return`` sees them and as ``log_format`` writes them.

https://nginx.org/en/docs/http/ngx_http_core_module.html#variables and ngx_http_log_module.html
"""

from __future__ import annotations

from harness import http
from origin import ok

from ..case import WARNINGS, Case, get, wire
from ..lua import FILES, server

_NAMES = (
    (
        "arg_a arg_A arg_a_b arg_empty arg_none args body_bytes_sent bytes_sent connection_requests "
        "content_length content_type cookie_a "
        "cookie_none document_root document_uri host hostname http_accept http_x_many http_none http_user_agent "
        "http_referer http_host http_cookie "
        "http_via http_x_forwarded_for is_args limit_rate nginx_version pipe query_string realpath_root "
        "remote_addr remote_user request "
        "request_body request_completion request_filename request_length request_method request_uri scheme "
        "sent_http_content_type "
        "sent_http_content_length sent_http_location sent_http_last_modified sent_http_etag sent_http_connection "
        "sent_http_keep_alive "
        "sent_http_transfer_encoding sent_http_cache_control sent_http_server sent_http_date sent_http_x_none "
        "server_addr server_name "
        "server_port server_protocol status tcpinfo_rcv_space_none uri https remote_addr_none"
    )
    .replace("tcpinfo_rcv_space_none ", "")
    .replace(" https remote_addr_none", " https")
    .split()
)

#: Variables whose values are never twice the same: what they have to look like is compared instead.
_SHAPES = (
    (r"\bmsec=\d{10}\.\d{3}\b", "msec=MSEC"),
    (r"request_time=\d+\.\d{3}\b", "request_time=TIME"),
    (r"time_local=\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", "time_local=LOCAL"),
    (r"time_iso8601=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", "time_iso8601=ISO"),
    (r"\bpid=\d+\b", "pid=PID"),
    (r"connection=\d+\b", "connection=NUMBER"),
    (r"remote_port=\d+\b", "remote_port=PORT"),
    (r"request_id=[0-9a-f]{32}\b", "request_id=ID"),
    (r"binary_remote_addr=\\x7F\\x00\\x00\\x01", "binary_remote_addr=LOCALHOST"),
    (r"nginx_version=(\[?)[\d.]+", r"nginx_version=\1VERSION"),
    (r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", "[LOCAL]"),
    # The Server header and the error pages' signature are the servers' own.
    (r"(?<!y_)bytes_sent=\[\d+\]", "bytes_sent=[NUMBER]"),
    (r"body_bytes_sent=\[\d+\](?=.* status=\[[345])", "body_bytes_sent=[NUMBER]"),
    (r"sent_http_content_length=\[\d+\](?=.* status=\[[345])", "sent_http_content_length=[NUMBER]"),
    (r"sent_http_date=\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "sent_http_date=DATE"),
    (r"tcpinfo_\w+=\d+", "tcpinfo=NUMBER"),
)


def _show(names: list[str], sign: str = "=") -> str:
    return "\\n".join(f"{name}{sign}${name}" for name in names)


_RETURN = http(
    f"""
    server {{
        listen {{port}};
        server_name main.example second.example;
        root html;
        location / {{ return 200 "{_show(_NAMES)}\\n"; }}
        location /shapes {{
            return 200 "msec=$msec request_time=$request_time time_local=$time_local time_iso8601=$time_iso8601 pid=$pid
connection=$connection remote_port=$remote_port request_id=$request_id";
        }}
        location /braces {{ return 200 "${{uri}}x $uri-x ${{arg_a}}b $arg_a.b"; }}
        location /rewritten {{ rewrite ^ /other?new=1 last; }}
        location /multi {{ return 200 "[$http_x_many][$http_cookie][$http_x_forwarded_for][$http_via]"; }}
    }}
    """
)

#: Names have no case, and ``set`` may define one that otherwise its prefix makes.
_NAMED = server(
    {
        "args": """
            ngx.say(ngx.var.args) ngx.var.args = nil ngx.say(show(ngx.var.args), show(ngx.var.is_args)) ngx.var.args = ""
            ngx.say(show(ngx.var.args))""",
    },
    more="""
        location /set { set $arg_foo x; return 200 "$arg_foo $arg_bar"; }
        location /when { if ($arg_foo = "") { set $arg_foo none; } return 200 "[$arg_foo]"; }
        location /used { return 200 "$arg_foo $arg_bar"; }
        location /headers { set $http_foo y; set $cookie_a z; return 200 "$http_foo $cookie_a"; }
        location /case { set $MixeD c; return 200 "$mIxed $HOST $ARG_FOO $mapped $arg_made"; }
        location ~ ^/group/(?<Some>.*) { return 200 "$some $Some"; }
        location /lua { set $Mixed a; content_by_lua_block {
            ngx.say(ngx.var.mixed, ngx.var.Mixed, ngx.var.ARG_zz)
            ngx.var.MIXED = "b" ngx.var.arg_foo = "q" ngx.say(ngx.var.miXed, ngx.var.arg_foo)
            for _, n in ipairs{"arg_zz", "http_host", "http_x", "uri", "cookie_z", "sent_http_x", "nope", "ARG_zz",
                "upstream_http_x"} do
                ngx.say(select(2, pcall(function() ngx.var[n] = "1" end)))
            end } }""",
    top="""
        map $ARG_X $Mapped { default 1; b 2; }
        map $arg_x $arg_made { default 3; b 4; }""",
)

_FORMATS = http(
    f"""
    log_format all '{" ".join(f"{name}=[${name}]" for name in _NAMES)}';
    log_format shapes 'msec=$msec request_time=$request_time time_local=$time_local '
        'time_iso8601=$time_iso8601 pid=$pid '
        'connection=$connection remote_port=$remote_port request_id=$request_id binary_remote_addr=$binary_remote_addr';
    log_format escaped '[$http_x_odd] [$arg_q]';
    log_format js escape=json '{{"odd": "$http_x_odd", "none": "$http_none", "uri": "$uri"}}';
    log_format bare escape=none '[$http_x_odd] [$http_none]';
    log_format proxied '$upstream_addr [$upstream_status] $upstream_response_length $upstream_bytes_received '
        '$upstream_bytes_sent '
        '$upstream_http_content_type $upstream_cookie_c $proxy_host $proxy_port $proxy_add_x_forwarded_for';
    server {{
        listen {{port}};
        root html;
        set $yes 1;
        access_log logs/access.log all;
        location / {{ }}
        location /say {{ return 200 "0123456789"; }}
        location /to {{ return 302 /elsewhere; }}
        location /again {{ rewrite ^ /say?z=1 last; }}
        location /shapes {{ access_log logs/access.log shapes; return 200; }}
        location /escaped {{ access_log logs/access.log escaped; return 200; }}
        location /js {{ access_log logs/access.log js; return 200; }}
        location /bare {{ access_log logs/access.log bare; return 200; }}
        location /combined {{ access_log logs/access.log combined; return 200 "c"; }}
        location /off {{ access_log off; return 200; }}
        location /if {{ access_log logs/access.log brief if=$arg_log; return 200; }}
        location /two {{ access_log logs/access.log brief; access_log logs/access.log escaped; return 200; }}
        location /buffered {{ access_log logs/access.log brief buffer=32k flush=1s; return 200; }}
        location /proxied {{
            access_log logs/access.log proxied;
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://127.0.0.1:{{origin}};
        }}
        location /dead {{ access_log logs/access.log proxied; proxy_pass http://127.0.0.1:{{dead}}; }}
    }}
    """
)

_ODD = 'q"b\\s\tt\x01c\x7fd\xc3\xa4\xffe'

CASES = (
    Case(
        "variables",
        _RETURN,
        (
            get("/a/b?a=1&A=2&a_b=3&empty=&x=y%20z"),
            get("/a%20b?"),
            get("/?A=up"),
            get("/?xa=1&a=2&a=3"),
            get("/?a"),
            get("/?a&a=1"),
            get("/?;a=1"),
            get("/?b=1;a=2&a=3;c"),
            get("/", {"Host": "Main.Example:81"}, name="host in capitals with port"),
            get("/", {"Host": "unknown.example"}, name="another host"),
            wire("no host", b"GET / HTTP/1.0\r\n\r\n"),
            get("/", {"Cookie": "a=1; b=2"}, name="cookie first"),
            get("/", {"Cookie": "b=2;a=1"}, name="cookie second"),
            get("/", {"Cookie": "aa=2; A=1"}, name="cookie in capitals"),
            get("/", {"Cookie": 'a="1"; a=2'}, name="cookie quoted"),
            get("/", {"Cookie": "a"}, name="cookie without value"),
            get("/", {"Cookie": "xa=0; a = 1 ; b"}, name="cookie with spaces"),
            wire("two Cookie lines", b"GET / HTTP/1.1\r\nHost: x\r\nCookie: b=1\r\nCookie: a=2\r\n\r\n"),
            get(
                "/",
                {"Accept": "a/b", "User-Agent": "agent/1", "Referer": "http://r/", "X-Many": "m", "Via": "v"},
                name="usual headers",
            ),
            get("/", {"Content-Type": "text/x; charset=y"}, method="POST", body=b"12345", name="body"),
            get("/", {"Transfer-Encoding": "chunked"}, method="POST", body=b"3\r\nabc\r\n0\r\n\r\n", name="chunked"),
            get("/", {"Authorization": "Basic dXNlcjpwYXNz"}, name="basic authorization"),
            get("/", {"Authorization": "Basic dXNlcg=="}, name="authorization without colon"),
            get("/", {"Authorization": "Bearer x"}, name="another authorization"),
            get("/", {"Authorization": "Basic !!!"}, name="authorization not base64"),
            get("/", method="HEAD"),
            get("/", version="1.0"),
            get("/x/../y//z?a=%2e"),
            get("/shapes"),
            get("/braces?a=1"),
            get("/rewritten?a=1"),
            wire(
                "repeated headers",
                b"GET /multi HTTP/1.1\r\nHost: x\r\nCookie: a\r\nCookie: b\r\nX-Forwarded-For: "
                b"1\r\nX-Forwarded-For: 2\r\n\r\n",
            ),
            wire(
                "repeated unknown headers",
                b"GET /multi HTTP/1.1\r\nHost: x\r\nX-Many: a\r\nX-Many: b\r\nVia: c\r\nVia: d\r\n\r\n",
                differs="since 1.23.0 $http_name combines all lines of a name",
                expect={"body": "[a, b][][][c, d]"},
            ),
            wire(
                "second request of a connection",
                b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /?second HTTP/1.1\r\nHost: x\r\n\r\n",
                read=("HEAD", "GET"),
            ),
        ),
        levels=WARNINGS,
        mask=_SHAPES,
    ),
    Case(
        "variable-names",
        _NAMED,
        (
            get("/set?foo=1&bar=2"),
            get("/when?foo=1"),
            get("/when"),
            get("/used?foo=1&BAR=2"),
            get("/headers", {"Foo": "1", "Cookie": "a=1"}),
            get("/lua?foo=1&zz=2"),
            get("/args?a=1"),
            get("/case?foo=3&x=b"),
            get("/group/word"),
        ),
        files=FILES,
    ),
    Case(
        "log-format",
        _FORMATS,
        (
            get("/ten.txt?a=1&q=2", {"Cookie": "a=1", "Referer": "r", "User-Agent": "u"}),
            get("/ten.txt", {"Range": "bytes=1-3"}, name="range"),
            get("/ten.txt", {"If-None-Match": "*"}, name="not modified"),
            get("/ten.txt", method="HEAD"),
            get("/ten.txt", method="POST", body=b"abc"),
            get("/none"),
            get("/say", method="POST", body=b"12345"),
            get("/say", {"Transfer-Encoding": "chunked"}, method="POST", body=b"3\r\nabc\r\n0\r\n\r\n", name="chunked"),
            get("/say", version="1.0"),
            get("/to"),
            get("/again?a=1"),
            get("/%", name="bad request"),
            wire("0.9", b"GET /say\r\n", read=()),
            wire("no request", b"\x01\x02\r\n\r\n", end=True),
            wire(
                "pipelined",
                b"GET /say?1 HTTP/1.1\r\nHost: x\r\n\r\nGET /say?2 HTTP/1.1\r\nHost: x\r\n\r\n",
                read=("GET", "GET"),
            ),
            get("/shapes"),
            get("/escaped?q=%22%5c'", {"X-Odd": _ODD}),
            get('/escaped?q=a"b\\c', {"X-Odd": ""}),
            get("/js", {"X-Odd": _ODD}),
            get("/bare", {"X-Odd": _ODD.replace("\xff", "")}),
            get("/combined?a b".replace(" ", "+"), {"Referer": 'a"b', "User-Agent": "ü"}),
            get("/off"),
            get("/if"),
            get("/if?log=0"),
            get("/if?log=1"),
            get("/two?q=1"),
            get("/buffered"),
            get("/proxied?x", {"X-Forwarded-For": "9.9.9.9"}),
            get("/proxied", method="POST", body=b"abcdef"),
            get("/dead"),
        ),
        files={"html/ten.txt": "0123456789"},
        scripts={"/proxied": ok(b"from upstream", "Content-Type: text/upstream", "Set-Cookie: c=1; Path=/")},
        mask=_SHAPES,
    ),
)
