"""map, geo, split_clients, valid_referers and empty_gif.

https://nginx.org/en/docs/http/ngx_http_map_module.html and its neighbours
"""

from __future__ import annotations

from harness import http

from ..case import Case, get

_MAPS = r"""
map_hash_max_size 4096; map_hash_bucket_size 128;
map $arg_v $simple { default none; a 1; B 2; "" empty; "two words" 3; \default escaped; }
map $arg_v $without { x y; }
map $arg_v $regex { default none; exact 0; ~^[0-9]+$ number; ~*^ABC letters; ~^(?<first>.)-(.)$ "$first+$2"; "~x{2}" xx; }
map $arg_h $hosts { hostnames; default none; example.com exact; *.example.com head; www.example.* tail; .dotted.org dot; *.a.example.com longer; }
map $arg_v $chained { default $simple; a "$arg_b-$simple"; }
map "$arg_a:$arg_b" $two { default no; 1:2 yes; }
map $arg_v $unused_map { default 1; }
map $uri $kept { default $uri; }
map $uri $fresh { volatile; default $uri; }
map $arg_v $settable { default computed; }
geo $geo { default none; 127.0.0.0/8 loop; 127.0.0.1 me; 10.0.0.0/8 ten; }
geo $arg_ip $area { default none; 10.0.0.0/8 ten; 10.1.0.0/16 "ten one"; 10.1.1.0/24 x; delete 10.1.1.0/24; 192.168.1.1 one; 2001:db8::/32 six;
    2001:db8:1::/48 "six one"; ::1 me; 0.0.0.0/1 low; 255.255.255.255 last; }
geo $arg_ip $range { ranges; default none; 10.0.0.0-10.0.0.255 ten; 10.0.0.5-10.0.0.7 inner; 10.0.0.0-10.0.0.1 first; 10.0.0.250-10.0.0.255 end;
    10.1.0.0-10.3.255.255 wide; 192.168.1.1-192.168.1.1 one; 10.9.0.0-10.9.0.1 x; delete 10.9.0.0-10.9.0.1; }
geo $arg_ip $empty { 10.0.0.0/8 ten; }
geo $proxied { default none; proxy 127.0.0.1; proxy 10.0.0.0/8; 1.2.3.0/24 far; 127.0.0.1 near; 10.0.0.0/8 ten; }
geo $recursive { default none; proxy 127.0.0.1; proxy 10.0.0.0/8; proxy_recursive; 1.2.3.0/24 far; 127.0.0.1 near; 10.0.0.0/8 ten; }
split_clients "$arg_v" $part { 10% a; 25.5% b; 0.05% c; * d; }
split_clients "${arg_v}x" $half { 50% a; 25% b; }
"""

_VALUES = (
    "a", "A", "b", "", "two%20words", "default", "123", "12a", "ABCdef", "abc", "x-y", "axxb", "exact", "EXACT", "none",
)  # fmt: skip
_HOSTS = (
    "example.com", "EXAMPLE.com", "example.com.", "www.example.com", "a.b.example.com", "b.a.example.com", "www.example.org",
    "www.example.co.uk", "dotted.org", "x.dotted.org", "xdotted.org", "com", "",
)  # fmt: skip
_ADDRESSES = (
    "10.2.3.4", "10.1.2.3", "10.1.1.1", "192.168.1.1", "192.168.1.2", "2001:db8::1", "2001:db8:1::1", "::1", "::2", "1.1.1.1",
    "200.1.1.1", "255.255.255.255", "bad", "", "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.5", "10.0.0.7", "10.0.0.8", "10.0.0.249",
    "10.0.0.250", "10.0.0.255", "10.0.1.0", "10.1.0.0", "10.2.9.9", "10.3.255.255", "10.4.0.0", "10.9.0.1", "::ffff:10.1.2.3",
    "10.1.2.3:80", "[2001:db8::1]:80",
)  # fmt: skip
_FORWARDED = (
    "1.2.3.4", "1.2.3.4, 10.0.0.1", "1.2.3.4, 5.6.7.8", "5.6.7.8, 1.2.3.4", "10.0.0.1", "bad", "1.2.3.4, bad", "1.2.3.4, bad, 10.0.0.1",
    "1.2.3.4:99", "", "1.2.3.4,10.0.0.1,10.0.0.2", "10.0.0.3, 10.0.0.4",
)  # fmt: skip
_REFERERS = (
    "http://good.example/", "http://GOOD.example", "https://good.example:8080/x", "http://www.good.example/", "http://a.wild.example/",
    "http://wild.example/", "http://dot.example/", "http://x.dot.example/", "http://tail.org/", "http://tail.co.uk/x", "http://tail",
    "http://path.example/sub/page", "http://path.example/other", "http://path.example", "http://a.google.com/search", "http://google.org/",
    "http://named.example/", "http://x.named.example/", "http://regnamed7/", "http://bad.example/", "ftp://good.example/", "-", "", "http://a",
    "good.example/", "http://localhost/",
)  # fmt: skip

CASES = (
    Case(
        "maps",
        http(
            _MAPS
            + r"""
    server { listen {port}; default_type text/plain;
        location /simple { return 200 "[$simple] [$without] [$chained]"; }
        location /regex { return 200 "[$regex] [$1]"; }
        location /hosts { return 200 "[$hosts]"; }
        location /two { return 200 "[$two]"; }
        location /set { set $settable given; return 200 "[$settable]"; }
        location /unset { return 200 "[$settable]"; }
        location /kept { set $a "$kept $fresh"; rewrite ^ /rewritten last; }
        location /rewritten { return 200 "$a $kept $fresh $uri"; }
        location /lua { content_by_lua_block { ngx.say(ngx.var.simple, " ", ngx.var.regex, " ", ngx.var.unused_map) } }
        location /lua-set { set $settable x; content_by_lua_block { ngx.var.settable = "lua" ngx.say(ngx.var.settable) } }
        location /lua-sub { content_by_lua_block {
            ngx.say(ngx.var.kept, " ", ngx.location.capture("/sub").body, " ", ngx.var.kept) } }
        location /sub { return 200 "$kept"; }
        location /if { if ($simple) { return 200 "yes $simple"; } return 200 "no"; }
        location /geo { return 200 "[$geo]"; }
        location /area { return 200 "[$area] [$range] [$empty]"; }
        location /proxied { return 200 "[$proxied] [$recursive]"; }
        location /split { return 200 "[$part] [$half]"; }
        location /gif { empty_gif; }
    }
    server { listen {port}; server_name named.example *.named.example ~^regnamed\d$; default_type text/plain;
        location /referer { valid_referers none blocked good.example *.wild.example .dot.example tail.* path.example/sub
            ~\.google\. server_names; return 200 "[$invalid_referer]";
            location /referer/inner { return 200 "[$invalid_referer]"; } }
        location /strict { valid_referers good.example; return 200 "[$invalid_referer]"; }
        location /blocked { valid_referers blocked good.example; return 200 "[$invalid_referer]"; }
        location /any { return 200 "[$invalid_referer]"; }
        location /if { valid_referers none good.example; if ($invalid_referer) { return 403; } return 200 ok; }
    }"""
        ),
        (
            *(get(f"/{path}?v={value}&b=q") for path in ("simple", "regex") for value in _VALUES),
            get("/simple"),
            *(get(f"/hosts?h={host}") for host in _HOSTS),
            *(get(f"/two?a={a}&b={b}") for a, b in ((1, 2), (2, 1), ("", ""))),
            *(get(f"/{name}?v=a") for name in ("set", "unset", "kept", "lua", "lua-set", "lua-sub", "if")),
            get("/if"),
            get("/geo"),
            *(get(f"/area?ip={address}") for address in _ADDRESSES),
            *(get("/proxied", (("X-Forwarded-For", value),), name=f"forwarded {value}") for value in _FORWARDED),
            get("/proxied"),
            get("/proxied", (("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "10.0.0.1")), name="forwarded twice"),
            *(get(f"/split?v={value}") for value in ("", "a", "ab", "abc", "abcd", "abcde", *range(40), "x" * 50)),
            *(get("/gif", method=method) for method in ("GET", "HEAD", "POST")),
            get("/gif", (("If-Modified-Since", "Mon, 28 Sep 1970 06:00:00 GMT"),)),
            *(
                get(f"/{path}", (("Host", "named.example"), ("Referer", referer)), name=f"/{path} from {referer}")
                for path in ("referer", "referer/inner", "strict", "blocked", "any", "if")
                for referer in _REFERERS
            ),
            *(get(f"/{path}", (("Host", "named.example"),)) for path in ("referer", "strict", "blocked", "any", "if")),
        ),
    ),
)
