"""echo: its commands, options, variables and filters, without subrequests. https://github.com/openresty/echo-nginx-module"""

from __future__ import annotations

from harness import http
from origin import ECHO, Script

from ..case import NOTICES, Case, get, wire
from .proxy import NOW

MODULES = ("ndk_http_module", "ngx_http_lua_module", "ngx_http_echo_module")


def conf(locations: str, main: str = "") -> str:
    """A server with these locations."""
    return http(f"{NOW} {main} server {{ listen {{port}}; root html; default_type text/plain; {locations} }}")


_PLAIN = """
location = /one { echo hello; }
location = /words { echo hello, "big  world" 'and "quotes"' $arg_x; }
location = /none { echo; }
location = /empty { echo ""; echo "" b; echo a "" b; echo "" ""; }
location = /several { echo one; echo two; echo three; }
location = /no-newline { echo -n one; echo -n two three; echo -n ""; echo; }
location = /only-nothing { echo -n ""; }
location = /dashes { echo -- -n text; echo -n -- -n; echo --; echo - a; echo a -n; echo -x a; echo -x -n b; echo -n -x c; }
location = /option-variable { set $o -n; echo $o text; echo -n $o; }
location = /escapes { echo "tab\\there\\n\\r\\"quoted\\""; echo 'single\\'s'; }
location = /type.html { echo typed; }
location = /type.css { default_type a/b; echo typed; }
location = /status { echo before; echo_status 404; echo after; }
location = /status-500 { echo_status 500; echo error; error_page 500 /one; }
location = /status-204 { echo_status 204; echo nothing; }
location = /status-304 { echo_status 304; echo nothing; }
location = /status-201 { echo_status 201; echo created; }
location ~ ^/regex/(\\w+)/(\\w+) { echo "$1 and $2"; }
location = /unicode { echo "grüße ☃"; }
location = /uninitialized { if ($arg_x) { set $never 1; } echo "[$never]"; }
location = /last-wins { return 201 "returned"; echo never; }
location = /rewritten { rewrite ^ /words?x=rewritten; }
location = /error-page { error_page 404 = /one; return 404; }
location = /error-page-kept { error_page 404 /one; return 404; }
location = /lua-first { access_by_lua_block { ngx.header["X-Lua"] = "yes" } echo "after lua"; }
location = /lua-type { rewrite_by_lua_block { ngx.header.content_type = "x/y" ngx.status = 202 } echo typed; }
location = /lua-filters { header_filter_by_lua_block { ngx.header["X-Status"] = ngx.status }
    body_filter_by_lua_block { ngx.arg[1] = "<" .. ngx.arg[1] .. (ngx.arg[2] and "|" or "") .. ">" }
    echo one; echo -n ""; echo two three; echo_duplicate 2 x; }
"""

_DUPLICATE = """
location = /three { echo_duplicate 3 abc; }
location = /zero { echo_duplicate 0 abc; }
location = /nothing { echo_duplicate 5 ""; }
location = /underscores { echo_duplicate 1_0 -; echo_duplicate _ b; }
location = /mixed { echo_duplicate 3 --; echo_duplicate 1 " END "; echo_duplicate 3 ==; echo; }
location = /variable { echo_duplicate $arg_n $arg_t; }
location = /bad-later { echo first; echo_duplicate x y; echo never; }
location = /bad { echo_duplicate 3a y; }
location = /large { echo_duplicate 300_000 abcdefgh; }
location = /third { echo_duplicate 2 a b; }
"""

_TIME = """
location = /sleeps { echo before; echo_flush; echo_sleep 0.01; echo after; echo_sleep 0; echo end; }
location = /sleep-first { echo_sleep 0.001; echo slept; }
location = /sleep-variable { echo_sleep $arg_t; echo slept; }
location = /sleep-last { echo before; echo_sleep .01; }
location = /blocking { echo_blocking_sleep 0.01; echo slept; }
location = /blocking-bad { echo_blocking_sleep -; echo slept; }
location = /flush-first { echo x; echo_flush; }
location = /timer { echo "$echo_timer_elapsed"; echo_sleep 0.02; echo_reset_timer; echo "$echo_timer_elapsed"; }
"""

_LOOPS = """
location = /split { echo_foreach_split , $arg_list; echo "item: $echo_it"; echo_end; echo "after [$echo_it]"; }
location = /long { echo_foreach_split -- -a- cat-a-dog-a-mouse; echo $echo_it; echo_end; }
location = /twice { echo_foreach_split , a,b; echo $echo_it; echo_end; echo_foreach_split : c:d; echo $echo_it; echo_end; }
location = /nested { echo_foreach_split , a,b; echo_foreach_split : c:d; echo $echo_it; echo_end; echo_end; }
location = /no-end { echo_foreach_split , a,b; echo $echo_it; }
location = /no-begin { echo text; echo_end; }
location = /no-begin-silent { echo_end; }
location = /few { echo_foreach_split -a- cat-a-dog; echo $echo_it; echo_end; }
location = /sleeping { echo_foreach_split , a,b,c; echo_sleep 0.001; echo $echo_it; echo_end; }
location = /incr { echo $echo_incr; echo $echo_incr $echo_incr; }
location = /incr-lua { content_by_lua_block { ngx.say(ngx.var.echo_incr) } }
"""
_BODY = """
client_body_buffer_size 64; client_max_body_size 1000;
location = /read { echo_read_request_body; echo "[$echo_request_body]"; echo "[$request_body]"; echo_request_body; echo; }
location = /unread { echo "[$echo_request_body]"; echo_request_body; echo end; }
location = /only { echo_request_body; }
location = /read-only { echo_read_request_body; echo_request_body; }
location = /twice { echo_read_request_body; echo_request_body; echo_read_request_body; echo_request_body; }
location = /lua-read { rewrite_by_lua_block { ngx.req.read_body() } echo "[$echo_request_body]"; }
location = /lua-set { rewrite_by_lua_block { ngx.req.read_body() ngx.req.set_body_data("changed") } echo_request_body; }
location = /duplicate { echo_duplicate 1 $echo_client_request_headers; echo "\\r"; echo_read_request_body; echo_request_body; }
"""

_EXEC = """
location = /path { echo_exec /target; }
location = /args { echo_exec /target a=1; }
location = /query { echo_exec /target?b=2; }
location = /both { echo_exec /target?b=2 a=1; }
location = /variable { echo_exec $arg_to $arg_with; }
location = /named { echo_exec @named; }
location = /named-args { echo_exec @named x=1; }
location = /missing { echo_exec @missing; }
location = /unsafe { echo_exec /../x; }
location = /late { echo first; echo_exec /target; }
location = /slept { echo_sleep 0.001; echo_exec /target; }
location = /loop { echo_exec /loop; }
location = /changes { echo_exec /again; }
location = /again { echo_exec @named; }
location = /cached { set $a $echo_cacheable_request_uri; echo_exec /cached-target; }
location = /cached-target { echo "$echo_cacheable_request_uri $echo_request_uri $uri $request_uri"; }
location = /target { echo "$uri [$args] $echo_request_uri $is_args $request_uri"; }
location @named { echo "named $uri [$args] $echo_request_uri"; }
"""

_FILTERS = """
location = /both { echo_before_body before; echo_after_body after; echo inside; }
location = /several { echo_before_body 1; echo_before_body -n 2; echo_before_body 3 "$arg_x"; echo_after_body -n 4;
    echo_after_body -- -n; echo_after_body; echo a; echo b; }
location = /static.txt { echo_before_body before; echo_after_body after; }
location = /before.txt { echo_before_body before; alias html/static.txt; }
location = /after.txt { echo_after_body "after $echo_response_status"; alias html/static.txt; }
location = /missing { echo_before_body before; echo_after_body after; }
location = /returned { echo_before_body before; echo_after_body after; return 200 "returned"; }
location = /redirect { echo_before_body before; echo_after_body after; return 302 /x; }
location = /no-content { echo_before_body before; return 204; }
location = /lua { echo_before_body before; echo_after_body after; content_by_lua_block { ngx.print("a") ngx.flush() ngx.say("b") } }
location = /lua-length { echo_before_body before; content_by_lua_block { ngx.header.content_length = 2 ngx.say("b") } }
location = /lua-empty { echo_before_body before; echo_after_body after; content_by_lua_block { } }
location = /lua-filter { echo_before_body before; echo_after_body after; echo inside;
    body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() } }
location = /proxied { echo_before_body before; echo_after_body after; proxy_pass http://127.0.0.1:{origin}/; }
location = /capture { content_by_lua_block { local r = ngx.location.capture("/both") ngx.print(r.status, " [", r.body, "]") } }
location /outer { echo_before_body outer; location /outer/inner { echo inner; } location /outer/own {
    echo_before_body own; echo inner; } echo outer; }
location = /if { echo_before_body always; echo_after_body "outer $arg_a"; if ($arg_a) { echo_after_body if; } echo inside; }
location = /exec { echo_before_body first; echo_exec /both; }
"""

_VARIABLES = """
location = /methods { echo "$echo_request_method $echo_client_request_method"; }
location = /headers { echo -n "$echo_client_request_headers"; echo "<end>"; }
location = /status { echo "[$echo_response_status]"; echo "[$echo_response_status]"; }
location = /uris { rewrite ^ /changed; }
location = /changed { echo "$echo_request_uri $echo_cacheable_request_uri $request_uri"; }
location = /cached { set $x $echo_cacheable_request_uri; rewrite ^ /changed last; }
location = /lua { content_by_lua_block { ngx.say(ngx.var.echo_request_method, " ", ngx.var.echo_it, " ",
    ngx.var.echo_request_body, " ", ngx.var.echo_request_uri, " ", ngx.var.echo_response_status) } }
location = /log { log_by_lua_block { ngx.log(ngx.NOTICE, "status ", ngx.var.echo_response_status) } echo_status 403; echo no; }
"""

_IF = """
location ^~ /hit { set $res miss; if ($arg_val ~* "^a") { set $res hit; echo $res; } echo $res; }
location = /only-if { if ($arg_a) { echo if; } content_by_lua_block { ngx.say("lua") } }
location = /inherits { if ($arg_a) { set $x 1; } echo "outer $x"; }
location = /if-status { echo_status 202; if ($arg_a) { echo_status 203; } echo status; }
location = /lua-in-if { if ($arg_a) { content_by_lua_block { ngx.say("lua") } } echo outer; }
location /outer { echo outer; location /outer/inner { echo_status 201; } location /outer/own { echo own; } }
"""


def _methods() -> tuple[object, ...]:
    return tuple(get("/methods", method=method) for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"))


def _case(name: str, text: str, *asks: object, **options: object) -> Case:
    return Case(f"echo-{name}", conf(text), asks, modules=MODULES, **options)  # type: ignore[arg-type]


_HEADERS = (("X-One", "1"), ("x-two", "a b"), ("X-One", "2"))

_ORIGIN: dict[str, Script] = {
    "/": (b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n', b"12345"),
    "/e": (ECHO,),
}

CASES = (
    _case(
        "plain",
        _PLAIN,
        *(get(line.split()[2]) for line in _PLAIN.splitlines() if line.startswith("location = ")),
        get("/words?x=given"),
        get("/regex/one/two"),
        get("/one", method="HEAD"),
        get("/one", method="POST", body=b"ignored"),
        get("/several", version="1.0"),
        get("/lua-filters", method="HEAD"),
        get("/one", (("Range", "bytes=1-2"),)),
        wire(
            "two in one connection",
            b"GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /several HTTP/1.1\r\nHost: a\r\n\r\n",
            read=("GET", "GET"),
        ),
        wire(
            "an unread body in front of the next request",
            b"POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
            read=("POST", "GET"),
        ),
        levels=NOTICES,
    ),
    _case(
        "duplicate",
        _DUPLICATE,
        *(
            get(line.split()[2])
            for line in _DUPLICATE.splitlines()
            if line.startswith("location = ") and "bad-later" not in line
        ),
        get("/variable?n=3&t=ab"),
        get("/variable?n=x&t=ab"),
        get("/three", method="HEAD"),
        get("/large", method="HEAD"),
        wire("a bad count after output", b"GET /bad-later HTTP/1.1\r\nHost: a\r\n\r\n", read=(), end=True),
    ),
    _case(
        "time",
        _TIME,
        *(get(line.split()[2]) for line in _TIME.splitlines() if line.startswith("location = ")),
        get("/sleep-variable?t=0.01"),
        get("/sleep-variable?t=0.0001"),
        get("/sleep-variable?t=1x"),
        get("/sleep-variable?t="),
        get("/sleeps", method="HEAD"),
        mask=((r"\b0\.0\d\d\b", "TIME"),),
    ),
    _case(
        "loops",
        _LOOPS,
        *(
            get(line.split()[2])
            for line in _LOOPS.splitlines()
            if line.startswith("location = ") and "no-begin" not in line
        ),
        get("/split?list=cat,dog,,mouse,"),
        get("/split?list=,"),
        get("/split?list=x"),
        wire("an end without a beginning", b"GET /no-begin HTTP/1.1\r\nHost: a\r\n\r\n", read=(), end=True),
        wire(
            "an end without a beginning, nothing sent",
            b"GET /no-begin-silent HTTP/1.1\r\nHost: a\r\n\r\n",
            read=(),
            end=True,
        ),
    ),
    _case(
        "body",
        _BODY,
        *(
            get(line.split()[2], method="POST", body=b"hello")
            for line in _BODY.splitlines()
            if line.startswith("location = ")
        ),
        *(get(line.split()[2]) for line in _BODY.splitlines() if line.startswith("location = ")),
        get("/read", method="POST", body=b"x" * 500, name="into a file"),
        get("/read", method="POST", body=b"x" * 2000, name="too large"),
        get("/read", method="PUT", body=b"", name="empty"),
        wire(
            "in chunks",
            b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
        wire("late", b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12", 0.05, b"345"),
    ),
    _case(
        "exec",
        _EXEC,
        *(
            get(line.split()[2])
            for line in _EXEC.splitlines()
            if line.startswith("location = ") and "late" not in line and "unsafe" not in line
        ),
        get("/variable?to=/target&with=c=3"),
        get("/variable?to=/target"),
        wire("not safe", b"GET /unsafe HTTP/1.1\r\nHost: a\r\n\r\n", read=(), end=True),
        levels=NOTICES,
    ),
    _case(
        "filters",
        _FILTERS,
        *(get(line.split()[2]) for line in _FILTERS.splitlines() if line.startswith("location = ")),
        get("/both", method="HEAD"),
        get("/static.txt", (("Range", "bytes=1-2"),)),
        get("/static.txt", version="1.0"),
        get("/if?a=1"),
        get("/outer"),
        get("/outer/inner"),
        get("/outer/own"),
        files={"html/static.txt": "static\n"},
        scripts=_ORIGIN,
    ),
    _case(
        "variables",
        _VARIABLES,
        *_methods(),
        *(get(line.split()[2], _HEADERS) for line in _VARIABLES.splitlines() if line.startswith("location = ")),
        get("/headers", (*_HEADERS, ("X-Long", "x" * 3000))),
        levels=NOTICES,
    ),
    _case(
        "if",
        _IF,
        get("/hit?val=abc"),
        get("/hit?val=bcd"),
        get("/only-if?a=1"),
        get("/only-if"),
        get("/inherits?a=1"),
        get("/inherits"),
        get("/if-status?a=1"),
        get("/if-status"),
        get("/lua-in-if?a=1"),
        get("/lua-in-if"),
        get("/outer"),
        get("/outer/inner"),
        get("/outer/own"),
        levels=NOTICES,
    ),
)
