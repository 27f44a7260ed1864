"""add_before_body, add_after_body, auth_request, mirror: nginx's own modules that make subrequests.

https://nginx.org/en/docs/http/ngx_http_addition_module.html, https://nginx.org/en/docs/http/ngx_http_auth_request_module.html,
https://nginx.org/en/docs/http/ngx_http_mirror_module.html
"""

from __future__ import annotations

from dataclasses import replace

from origin import ECHO, Script, ok

from ..case import NOTICES, Case, get, wire
from .echo import MODULES, conf

_ADDITION = """
location = /head { echo head; }
location = /foot { echo foot; }
location = /slow { echo_sleep 0.02; echo slow; }
location = /shares { echo "[$v]"; }
location = /page.html { add_before_body /head; add_after_body /foot; }
location = /before.html { add_before_body /head; echo inside; }
location = /after.html { add_after_body /foot; echo inside; echo more; }
location = /slow.html { add_before_body /slow; add_after_body /slow; echo inside; }
location = /same.html { add_before_body /same-part.html; add_after_body /same-part.html; echo inside; }
location = /same-part.html { add_before_body /head; echo part; }
location = /missing-parts.html { add_before_body /nope; add_after_body /nope; echo inside; }
location = /text.txt { add_before_body /head; echo "another type"; }
location = /typed.txt { add_before_body /head; addition_types text/plain; echo typed; }
location = /any { default_type a/b; add_before_body /head; addition_types *; echo typed; }
location = /created.html { add_before_body /head; echo_status 201; echo inside; }
location = /missing.html { add_before_body /head; add_after_body /foot; }
location = /returned { default_type text/html; add_before_body /head; add_after_body /foot; return 200 "returned\\n"; }
location = /empty.html { add_before_body /head; add_after_body /foot; content_by_lua_block { } }
location = /lua.html { add_before_body /head; add_after_body /foot; content_by_lua_block { ngx.say("a") ngx.flush() ngx.say("b") } }
location = /lua-slow.html { add_before_body /slow; add_after_body /foot; content_by_lua_block { ngx.say("a") ngx.flush(true)
    ngx.sleep(0.03) ngx.say("b") } }
location = /gzipped.html { gzip on; gzip_min_length 0; add_before_body /head; add_after_body /slow; echo inside; }
location = /echoed.html { add_before_body /head; echo_before_body echoed; echo_location /slow; add_after_body /foot; echo inside; }
location = /off.html { add_before_body ""; add_after_body /foot; echo inside; }
location = /variables.html { set $v main; add_after_body /shares; echo inside; }
location = /args.html { add_after_body /args?x=$arg_y; echo inside; }
location = /proxied.html { default_type text/html; add_before_body /head; add_after_body /foot; proxy_pass http://127.0.0.1:{origin}/; }
location = /holds.html { default_type text/html; add_before_body /head; add_after_body /foot; sub_filter foot 1; sub_filter two 2;
    return 200 "one f"; }
location = /error.html { error_page 404 =200 /page.html; return 404; }
location /inherits/ { add_before_body /head; location /inherits/in.html { echo inside; } }
location = /if.html { add_before_body /head; if ($arg_a) { echo if; } echo inside; }
"""

_AUTH = """
location = /ok { content_by_lua_block { ngx.header["X-User"] = "me" ngx.status = 200 ngx.say("not to be seen") } }
location = /no-content { return 204; }
location = /401 { content_by_lua_block { ngx.header["WWW-Authenticate"] = 'Basic realm="a"' ngx.exit(401) } }
location = /403 { return 403; }
location = /404 { return 404; }
location = /302 { return 302 /ok; }
location = /500 { return 500; }
location = /fails { content_by_lua_block { error("broken") } }
location = /error-page { error_page 404 = /ok; return 404; }
location = /slow { echo_sleep 0.01; echo x; }
location = /echo-status { echo_status 403; echo x; }
location = /origin-ok { proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header X-Original-URI $request_uri;
    proxy_pass http://127.0.0.1:{origin}/ok; }
location = /origin-401 { proxy_pass http://127.0.0.1:{origin}/401; }
location = /seen { content_by_lua_block { ngx.log(ngx.NOTICE, ngx.req.get_method(), " ", ngx.var.uri, " ", ngx.var.args, " ",
    ngx.var.http_content_length, " ", tostring(ngx.req.is_internal()), " ", ngx.var.request_uri) } }
location = /a-ok { auth_request /ok; echo "allowed"; }
location = /a-no-content { auth_request /no-content; echo "allowed"; }
location = /a-401 { auth_request /401; echo "allowed"; }
location = /a-403 { auth_request /403; echo "allowed"; }
location = /a-404 { auth_request /404; echo "allowed"; }
location = /a-302 { auth_request /302; echo "allowed"; }
location = /a-500 { auth_request /500; echo "allowed"; }
location = /a-missing { auth_request /missing; echo "allowed"; }
location = /a-fails { auth_request /fails; echo "allowed"; }
location = /a-error-page { auth_request /error-page; echo "allowed"; }
location = /a-own-page { auth_request /401; error_page 401 = /login; echo "allowed"; }
location = /login { echo "log in, please"; }
location = /a-slow { auth_request /slow; echo "allowed"; }
location = /a-echo-status { auth_request /echo-status; echo "allowed"; }
location = /a-origin { auth_request /origin-ok; auth_request_set $user $upstream_http_x_user; auth_request_set $s $upstream_status;
    echo "user $user $s"; }
location = /a-origin-401 { auth_request /origin-401; echo "allowed"; }
location = /a-seen { auth_request /seen; echo_read_request_body; echo "allowed $echo_request_body"; }
location = /a-set { auth_request /ok; auth_request_set $u $sent_http_x_user; auth_request_set $st "status $status $uri"; echo "$u $st"; }
location = /a-added { auth_request /adds; auth_request_set $x $sent_http_x_added; echo "[$x]"; }
location = /adds { add_header X-Added yes; echo_before_body a; echo x; }
location = /a-set-403 { auth_request /403; auth_request_set $st "status $status"; error_page 403 /denied; }
location = /denied { echo "denied, $st"; }
location = /a-any { satisfy any; auth_request /403; allow 127.0.0.1; echo "allowed"; }
location = /a-any-denied { satisfy any; auth_request /403; deny all; echo "allowed"; }
location = /a-any-ok { satisfy any; auth_request /ok; deny all; echo "allowed"; }
location = /a-all-denied { auth_request /seen; deny all; echo "allowed"; }
location = /a-lua { auth_request /ok; access_by_lua_block { ngx.say("lua after") ngx.exit(200) } }
location = /a-static.txt { auth_request /ok; }
location = /a-proxied { auth_request /ok; proxy_pass http://127.0.0.1:{origin}/echo; }
location /a-outer { auth_request /403; location /a-outer/off { auth_request off; echo "open"; } location /a-outer/in { echo "closed"; } }
location = /a-vars { set $v main; auth_request /sets; echo "[$v]"; }
location = /sets { set $v changed; return 200; }
"""

_MIRROR = """
location = /m { mirror /mirrored; echo "body $echo_request_body"; }
location = /two { mirror /mirrored; mirror /mirrored-2; echo two; }
location = /off { mirror /mirrored; mirror_request_body off; echo "body $echo_request_body"; }
location = /static.txt { mirror /mirrored; }
location = /slow { mirror /mirrored-slow; echo slow; }
location = /fails { mirror /missing; echo fine; }
location = /proxied { mirror /mirrored-proxy; proxy_pass http://127.0.0.1:{origin}/echo; }
location = /mirrored { content_by_lua_block { ngx.log(ngx.NOTICE, ngx.req.get_method(), " ", ngx.var.args, " ", ngx.req.get_body_data(), " ",
    ngx.var.request_uri) ngx.say("never seen") } }
location = /mirrored-2 { echo_status 500; echo x; }
location = /mirrored-slow { echo_sleep 0.02; content_by_lua_block { ngx.sleep(0.02) ngx.log(ngx.NOTICE, "slept") } }
location = /mirrored-proxy { proxy_pass http://127.0.0.1:{origin}/mirror; }
location /outer { mirror /mirrored; location /outer/off { mirror off; echo off; } echo outer; }
location = /captured { content_by_lua_block { ngx.print(ngx.location.capture("/m").body) } }
"""

_SCRIPTS: dict[str, Script] = {
    "/": (ok(b"from origin\n", "Content-Type: text/html"),),
    "/ok": (ok(b"x", "X-User: origin"),),
    "/401": (ok(b"x", "WWW-Authenticate: Basic realm=o", status="401 Unauthorized"),),
    "/echo": (ECHO,),
    "/mirror": (ok(b"x"),),
}
_FILES = {
    "html/page.html": "page\n",
    "html/a-static.txt": "static\n",
    "html/static.txt": "static\n",
}


def _paths(text: str, prefix: str = "/") -> list[str]:
    return [line.split()[2] for line in text.splitlines() if line.startswith(f"location = {prefix}")]


_TYPES = "types { text/html html; text/plain txt; }"

CASES = (
    Case(
        "addition",
        conf(_ADDITION, _TYPES),
        (
            *(get(path) for path in _paths(_ADDITION) if path != "/lua.html"),
            get(
                "/lua.html",
                differs="ngx.flush() lets the rest of the body pass the subrequest there",
                expect={"status": 200, "body": "head\na\nb\nfoot\n"},
            ),
            get("/inherits/in.html"),
            get("/if.html?a=1"),
            get("/page.html", (("Range", "bytes=1-2"),)),
            get("/page.html", method="HEAD"),
            get("/page.html", version="1.0"),
            get("/page.html", (("If-Modified-Since", "Sat, 04 Mar 2023 05:06:07 GMT"),)),
            get("/gzipped.html", (("Accept-Encoding", "gzip"),)),
            get("/after.html", method="POST", body=b"unread"),
        ),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
    ),
    Case(
        "addition-logged",
        conf(_ADDITION, _TYPES + "log_subrequest on; add_header X-Added yes;"),
        tuple(get(path) for path in ("/page.html", "/slow.html", "/same.html", "/missing-parts.html")),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
    ),
    Case(
        "auth-request",
        conf(_AUTH),
        (
            *(get(path) for path in _paths(_AUTH, "/a-")),
            get("/a-outer/off"),
            get("/a-outer/in"),
            get("/a-seen?x=1", method="POST", body=b"for the content"),
            get("/a-origin", method="POST", body=b"for the content"),
            get("/a-proxied", method="POST", body=b"for the content"),
            get("/a-403", method="POST", body=b"unread"),
            get("/a-ok", method="HEAD"),
            get("/a-401", method="HEAD"),
            wire(
                "twice on one connection",
                b"GET /a-ok HTTP/1.1\r\nHost: a\r\n\r\nGET /a-slow HTTP/1.1\r\nHost: a\r\n\r\n",
                read=("GET", "GET"),
            ),
        ),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
        levels=NOTICES,
    ),
    Case(
        "mirror",
        conf(_MIRROR),
        tuple(
            replace(ask, send=(*ask.send, 0.1))  # the mirrored requests end, and log, before the next begins
            for ask in (
                *(get(path) for path in ("/m?a=1", "/two", "/off", "/static.txt", "/slow", "/fails", "/proxied")),
                get("/outer"),
                get("/outer/off"),
                get("/captured"),
                get("/m", method="POST", body=b"mirrored body"),
                get("/off", method="POST", body=b"not mirrored"),
                get("/proxied", method="PUT", body=b"to both"),
                get("/m", method="HEAD"),
            )
        ),
        _FILES,
        _SCRIPTS,
        modules=MODULES,
        levels=NOTICES,
    ),
)
