"""Subrequests whose output is a part of the response, made by echo: their order, errors, variables, and what captures make of them.

https://github.com/openresty/echo-nginx-module#echo_location
"""

from __future__ import annotations

from origin import ECHO, Script, ok

from ..case import NOTICES, Case, get, wire
from .echo import MODULES, conf

_SUBS = """
location = /hello { echo hello; }
location = /args { echo "$uri [$args] $is_args"; }
location = /slow { echo_sleep 0.03; echo "slow $args"; }
location = /slower { echo_sleep 0.05; echo slower 1; echo_flush; echo_sleep 0.01; echo slower 2; }
location = /lua { content_by_lua_block { ngx.say("lua ", ngx.var.args, " ", tostring(ngx.is_subrequest)) ngx.flush() ngx.say("more") } }
location = /lua-slow { content_by_lua_block { ngx.print("a") ngx.flush(true) ngx.sleep(0.02) ngx.say("b") } }
location = /lua-fails { content_by_lua_block { error("broken") } }
location = /static.txt { }
location = /empty { content_by_lua_block { } }
location = /returns { return 200 "returned\\n"; }
location = /no-content { return 204; }
location = /redirects { return 302 /hello; }
location = /refused { deny all; echo "the access phase is not for subrequests"; }
location = /internal { internal; echo internal; }
location = /fails { return 500; }
location = /paged { error_page 404 = /hello; return 404; }
location = /execs { echo_exec /args a=executed; }
location = /status { echo_status 404; echo "not found, it says"; }
location = /proxied { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://127.0.0.1:{origin}/; }
location = /tree { echo tree 1; echo_location_async /slow t; echo tree 2; echo_location_async /slower; echo tree 3; }
location = /sync-tree { echo tree 1; echo_location /slow s; echo tree 2; echo_location /hello; }
location = /variables { echo "[$v] $echo_incr"; }
location = /sets { set $v changed; echo "[$v] $echo_incr"; }
"""

_LOCATIONS = """
location = /one { echo_location /hello; }
location = /two { echo before; echo_location /hello; echo between; echo_location /hello; echo after; }
location = /async { echo_location_async /slow 1; echo_location_async /hello; echo_location_async /slow 2; echo end; }
location = /mixed { echo a; echo_location_async /slow m; echo b; echo_location /hello; echo c; echo_location_async /slower; echo d; }
location = /trees { echo_location_async /tree; echo_location_async /sync-tree; echo_location_async /tree; }
location = /sync-trees { echo_location /tree; echo_location /sync-tree; echo end; }
location = /with-args { echo_location /args x=1; echo_location /args?y=2; echo_location /args?y=2 x=1; echo_location /args ""; }
location = /variable-uri { echo_location $arg_to $arg_with; echo after; }
location = /quoted { echo_location /%61rgs; echo_location "/args?a=%20b"; }
location = /others { echo_location /lua q; echo_location_async /lua-slow; echo_location /returns; echo_location /static.txt; echo end; }
location = /others-async { echo_location_async /lua-slow; echo_location_async /lua q; echo_location_async /static.txt; echo end; }
location = /nothing { echo_location /empty; echo_location_async /no-content; echo after; }
location = /redirected { echo_location /redirects; echo after; }
location = /special { echo_location /internal; echo_location /refused; echo_location /status; echo_location /paged; echo_location /execs; }
location = /failing { echo_location /fails; echo_location_async /missing; echo after; }
location = /regex { echo_location /dynamic/7; }
location ~ ^/dynamic/(\\d+)$ { echo "number $1 of $uri"; }
location = /proxy { echo before; echo_location_async /proxied; echo_location /proxied; echo after; }
location = /scope { set $v main; echo "[$v] $echo_incr"; echo_location_async /variables; echo_location_async /sets; echo "[$v] $echo_incr"; }
location = /scope-sync { set $v main; echo_location /sets; echo "[$v] $echo_incr"; }
location = /loop { echo_foreach_split , $arg_list; echo "/* $echo_it */"; echo_location_async /$echo_it; echo; echo_end; }
location = /loop-sync { echo_foreach_split , $arg_list; echo_location /$echo_it; echo "/* $echo_it */"; echo_end; }
location = /flushes { echo_location_async /slow f; echo_flush; echo hello; echo_flush; }
location = /status-first { echo_status 404; echo_location /hello; }
location = /filtered { echo_before_body before; echo_after_body after; echo_location /hello; echo_location_async /slow f; }
location = /inner-filtered { echo_location /surrounded; echo_location_async /surrounded; echo end; }
location = /surrounded { echo_before_body "( $uri"; echo_after_body ")"; echo inside; }
location = /body-filter { body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() } echo main; echo_location /hello; echo end; }
location = /sub-body-filter { echo_location /upper; echo_location_async /upper; echo end; }
location = /upper { body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() } echo upper; }
location = /header-filter { echo_location /adds; echo after; }
location = /adds { header_filter_by_lua_block { ngx.header["X-Sub"] = 1 } echo adds; }
location = /access { access_by_lua_block { ngx.header["X-Main"] = 1 } echo_location /hello; }
location = /lua-capture-in-sub { echo_location /captures; echo after; }
location = /captures { content_by_lua_block { local r = ngx.location.capture("/args?c=1") ngx.print("captured ", r.body) } }
location = /gzipped { gzip on; gzip_min_length 0; gzip_types *; echo before; echo_location_async /slow z; echo_location /hello; echo after; }
"""

_BROKEN = """
location = /aborts { echo before; echo_abort_parent; echo after; }
location = /aborts-first { echo_abort_parent; }
location = /aborts-inside { echo first; echo_location /aborts; echo last; }
location = /aborts-later { echo first; echo_location_async /aborts; echo last; }
location = /unsafe { echo_location /../hello; }
location = /unsafe-async { echo before; echo_location_async ""; }
location = /cycle { echo_location /cycle; }
location = /cycle-async { echo_location_async /cycle-async; }
location = /bad-option { echo_subrequest GET /hello -x 1; }
location = /no-file { echo before; echo_subrequest POST /hello -f html/missing; }
location = /named { echo_location @named; echo after; }
location @named { echo named; }
location = /breaks { echo before; echo_location /broken; echo after; }
location = /broken { echo_duplicate 1 x; echo_end; }
"""

_REQUESTS = """
location = /seen { echo "$echo_request_method $echo_client_request_method $uri [$args] len=$http_content_length x=$http_x_a";
    echo_request_body; echo; }
location = /lua-seen { content_by_lua_block { ngx.req.read_body() ngx.say(ngx.req.get_method(), " ", ngx.req.get_body_data(), " ",
    ngx.var.http_content_length, " ", ngx.var.request_method) } }
location = /forwards { proxy_http_version 1.1; proxy_set_header Host up; proxy_set_header Connection "";
    proxy_pass http://127.0.0.1:{origin}/echo; }
location = /post { echo_subrequest POST /seen -q a=1 -b "hello, world"; }
location = /both { echo_subrequest_async POST /seen -q foo=Foo -b hi; echo_subrequest_async PUT /seen -q bar=Bar -b hello; echo end; }
location = /file { echo_subrequest POST /seen -f html/body.txt; echo_subrequest PUT /lua-seen -f html/body.txt; }
location = /file-empty { echo_subrequest POST /seen -f html/empty.txt; }
location = /get { echo_subrequest GET /seen; echo_subrequest GET "/seen?own=1" -q a=2; echo_subrequest GET /seen?own=1; }
location = /head { echo_subrequest HEAD /seen; echo after; }
location = /methods { echo_subrequest DELETE /seen; echo_subrequest OPTIONS /lua-seen; echo_subrequest PROPFIND /seen; }
location = /unknown { echo_subrequest FOO /seen; }
location = /empty-body { echo_subrequest POST /seen -b ""; }
location = /to-lua { echo_subrequest_async POST /lua-seen -b lua; echo_subrequest POST /lua-seen -b sync; }
location = /inherits { echo_subrequest GET /seen; echo_subrequest POST /lua-seen; echo_location /lua-seen; }
location = /last-option { echo_subrequest GET /seen -q; }
location = /proxied { echo_subrequest POST /forwards -q q=1 -b proxied; }
location = /proxied-get { echo_location /forwards; }
location = /variables { set $m PUT; set $b body; echo_subrequest $m /seen -b $b$b; }
"""

#: What a capture of a location with subrequests gets. Without its body read, the reference never answers.
_CAPTURED = """
location = /capture { content_by_lua_block { ngx.req.read_body() local r = ngx.location.capture(ngx.var.arg_to)
    ngx.print(r.status, " ", tostring(r.truncated), " [", r.body, "]") } }
location = /hello { echo hello; }
location = /location { echo_location /hello; }
location = /location-after { echo_location /hello; echo after; }
location = /async { echo before; echo_location_async /hello; echo after; }
location = /subrequest { echo_subrequest POST /hello -b x; echo after; }
location = /subrequest-async { echo_subrequest_async GET /hello; echo after; }
location = /before { default_type text/html; add_before_body /hello; echo inside; }
location = /after { default_type text/html; add_after_body /hello; echo inside; }
location = /auth { auth_request /never; echo inside; }
location = /texts { echo_before_body before; echo_after_body after; echo inside; }
location = /sleeps { echo_sleep 0.01; echo slept; }
location = /execs { echo_exec /hello; }
location = /body { echo_request_body; echo "[$echo_request_body]"; }
location = /with-body { content_by_lua_block { local r = ngx.location.capture("/body", {method = ngx.HTTP_PUT, body = "given"})
    ngx.print(r.status, " [", r.body, "]") } }
"""

#: A captured response whose body filter fails takes the whole request with it; one whose header filter fails is only empty.
_FAILING = """
location = /capture { content_by_lua_block { local r = ngx.location.capture(ngx.var.arg_to)
    ngx.say(r.status, " ", tostring(r.truncated), " [", r.body, "]") } }
location = /echo-body { echo x; body_filter_by_lua_block { return ngx.ERROR } }
location = /lua-body { content_by_lua_block { ngx.say("x") } body_filter_by_lua_block { return ngx.ERROR } }
location = /lua-body-error { content_by_lua_block { ngx.say("x") } body_filter_by_lua_block { error("broken") } }
location = /return-body { return 200 x; body_filter_by_lua_block { return ngx.ERROR } }
location = /static.txt { body_filter_by_lua_block { return ngx.ERROR } }
location = /echo-header { echo x; header_filter_by_lua_block { error("broken") } }
location = /lua-header { content_by_lua_block { ngx.say("x") } header_filter_by_lua_block { error("broken, too") } }
location = /echo-fails { echo x; echo_end; }
location = /echo-fails-first { echo_end; }
"""

_SCRIPTS: dict[str, Script] = {"/": (ok(b"from origin\n"),), "/echo": (ECHO,)}
_FILES = {"html/static.txt": "static\n", "html/body.txt": "from a file", "html/empty.txt": "", "html/body.css": "css\n"}
#: What the reference says of its own mistakes.
_DROP = ("http finalize non-active request", "client prematurely closed connection", "zero size buf in output")


def _paths(text: str) -> list[str]:
    return [line.split()[2] for line in text.splitlines() if line.startswith("location = ")]


CASES = (
    Case(
        "echo-locations",
        conf(_SUBS + _LOCATIONS),
        (
            *(
                get(path)
                for path in _paths(_LOCATIONS)
                if path not in ("/variable-uri", "/loop", "/loop-sync", "/others-async")
            ),
            get(
                "/others-async",
                differs="ngx.flush(true) in an earlier subrequest lets a later one's output pass it there",
                expect={"status": 200, "body": "ab\nlua q true\nmore\nstatic\nend\n"},
            ),
            get("/variable-uri?to=/args&with=z"),
            get("/loop?list=hello,slow,static.txt,hello"),
            get("/loop-sync?list=hello,slow,static.txt,hello"),
            get("/gzipped", (("Accept-Encoding", "gzip"),)),
            get("/two", method="HEAD"),
            get("/async", method="HEAD"),
            get("/mixed", version="1.0"),
            get("/two", method="POST", body=b"a body"),
            wire(
                "pipelined",
                b"GET /async HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n",
                read=("GET", "GET"),
            ),
        ),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
    ),
    Case(
        "echo-locations-logged",
        conf(_SUBS + _LOCATIONS, "log_subrequest on;"),
        tuple(get(path) for path in ("/one", "/two", "/async", "/mixed", "/special", "/failing", "/sync-trees")),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
    ),
    Case(
        "echo-locations-broken",
        conf(_SUBS + _BROKEN),
        tuple(
            wire(path, b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode(), read=(), end=True)
            for path in _paths(_BROKEN)
            if path not in ("/broken", "/named", "/aborts-first")
        )
        + (get("/named"), get("/aborts-first")),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
    ),
    Case(
        "echo-subrequests",
        conf(_REQUESTS),
        (
            *(get(path) for path in _paths(_REQUESTS) if path not in ("/seen", "/lua-seen", "/forwards")),
            *(
                get(path, (("X-A", "given"),), method="POST", body=b"client's")
                for path in ("/post", "/both", "/get", "/inherits", "/to-lua", "/methods", "/proxied", "/proxied-get")
            ),
        ),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
        levels=NOTICES,
        drop=_DROP,
    ),
    Case(
        "echo-captured",
        conf(_CAPTURED),
        (
            *(get(f"/capture?to={path}") for path in _paths(_CAPTURED) if path not in ("/capture", "/with-body")),
            get("/with-body"),
        ),
        modules=MODULES,
        drop=_DROP,
    ),
    Case(
        "capture-failing",
        conf(_FAILING),
        tuple(
            wire(path, b"GET /capture?to=%s HTTP/1.0\r\n\r\n" % path.encode(), read=(), end=True)
            for path in _paths(_FAILING)
            if path != "/capture"
        ),
        _FILES,
        modules=MODULES,
    ),
)
