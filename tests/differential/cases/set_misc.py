"""Every directive of set-misc, and ndk.set_var. https://github.com/openresty/set-misc-nginx-module"""

from __future__ import annotations

from harness import http

from ..case import Case, get
from ..lua import SHOW

_MODULES = ("ndk_http_module", "ngx_http_lua_module", "ngx_http_set_misc_module")

#: Directives of one value.
_ONE = (
    "set_quote_sql_str",
    "set_quote_pgsql_str",
    "set_quote_json_str",
    "set_unescape_uri",
    "set_escape_uri",
    "set_encode_base32",
    "set_decode_base32",
    "set_encode_base64",
    "set_decode_base64",
    "set_encode_base64url",
    "set_decode_base64url",
    "set_encode_hex",
    "set_decode_hex",
    "set_sha1",
    "set_md5",
)

#: What they are tried with, as the query argument ``v`` that set_unescape_uri has decoded.
_VALUES = {
    "plain": "hello",
    "empty": "",
    "quotes": "a%27b%22c%5Cd%24e",
    "controls": "%00%01%08%09%0A%0C%0D%1A%1F%7F",
    "marks": "%20!%22%23%24%25%26%27()*%2B%2C-./0:;%3C=%3E%3F@A%5B%5C%5D%5E_%60a%7B%7C%7D~",
    "utf8": "%C3%BC%E2%82%AC%F0%9F%98%80",
    "high": "%80%FF%C3",
    "percent": "%25%34%31%25%2525%25zz%25%20+x",
    "hex": "68656C6c6f",
    "base64": "aGVsbG8%3D",
    "base64-cut": "aGVsbG8",
    "base64url": "_-_-YQ",
    "base64-plus": "%2B%2F%2B%2FYQ%3D%3D",
    "base32": "d1imor3f",
    "base32-padded": "d1im%3D%3D%3D%3D",
    "one": "a",
    "three": "abc",
    "four": "abcd",
    "five": "abcde",
    "seven": "abcdefg",
}

#: Of these the reference makes what happens to be in its memory.
_NOT_BASE32 = ("controls", "marks", "hex", "base64", "base64-cut")

_EACH = "\n".join(
    f'location /{name} {{ set_unescape_uri $v $arg_v; {name} $got $v; return 200 "[$got]"; }}' for name in _ONE
)

_OTHERS = """
location /itself { set $a "x y"; set_md5 $a; set $b "a b"; set_escape_uri $b; return 200 "$a $b"; }
location /two-variables { set $a x; set_sha1 $b "$a-$uri-$arg_v"; return 200 $b; }
location /hmac { set_hmac_sha1 $a "secret$arg_v" "text"; set_encode_hex $a; set_hmac_sha256 $b key "$arg_v";
    set_encode_base64 $b; return 200 "$a $b"; }
location /if-empty { set $a $arg_a; set_if_empty $a "def$arg_b"; return 200 "[$a]"; }
location /if-undefined { set_if_empty $fresh x; return 200 "[$fresh]"; }
location /random-same { set_random $a 5 5; return 200 $a; }
location /random-bad { set_random $a x 5; return 200 $a; }
location /random-bad-to { set_random $a 1 $arg_none; return 200 $a; }
location /random-range { set_random $a 7 3; content_by_lua_block {
    local n = tonumber(ngx.var.a) ngx.say(n >= 3 and n <= 7) } }
location /alphanum { set_secure_random_alphanum $a 64; set_secure_random_lcalpha $b $arg_n; content_by_lua_block {
    ngx.say(#ngx.var.a, " ", ngx.var.a:find("^%w+$"), " ", #ngx.var.b, " ", ngx.var.b:find("^[a-z]+$")) } }
location /rotate { set $n $arg_n; set_rotate $n 1 3; return 200 $n; }
location /rotate-back { set $n $arg_n; set_rotate $n 9 7; return 200 $n; }
location /rotate-bad { set_rotate $n a 3; return 200 $n; }
location /rotate-bad-to { set_rotate $n 3 b; return 200 $n; }
location /today { set_local_today $a; content_by_lua_block { ngx.say(ngx.var.a == ngx.today()) } }
location /gmt { set_formatted_gmt_time $a "%Y-%m-%d"; content_by_lua_block {
    ngx.say(ngx.var.a == ngx.utctime():sub(1, 10)) } }
location /local { set_formatted_local_time $a "%Y-%m-%d"; content_by_lua_block {
    ngx.say(ngx.var.a == ngx.today()) } }
location /time-text { set_formatted_gmt_time $a "no time%%"; return 200 $a; }
location /time-empty { set_formatted_local_time $a ""; return 200 "[$a]"; }
location /time-long { set_formatted_gmt_time $a "LONG"; return 200 "[$a]"; }
location /hashed { set_hashed_upstream $b list $arg_v; return 200 $b; }
location /hashed-one { set_hashed_upstream $b single $arg_v; return 200 $b; }
location /hashed-weights { set_hashed_upstream $b weights $arg_v; return 200 $b; }
location /hashed-variable { set_hashed_upstream $b $arg_l $arg_v; return 200 $b; }
location /padding { set_base32_padding off; set_encode_base32 $a $arg_v; return 200 $a; }
location /alphabet { set_base32_alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; set_encode_base32 $a $arg_v;
    set_decode_base32 $b $a; return 200 "$a $b";
    location /alphabet/inner { set_encode_base32 $a $arg_v; return 200 "$a"; } }
location /in-if { set $a x; if ($arg_v) { set_encode_hex $a "$arg_v"; } return 200 $a; }
location /order { set $a 1; set_if_empty $a 2; set $b "$a-"; set_md5 $c $b; rewrite ^ /order2 break; set $d late;
    content_by_lua_block { ngx.say(ngx.var.b, ngx.var.c, ngx.var.d) } }
location /lua { content_by_lua_block { local show = require "show"
    for _, name in ipairs { "set_escape_uri", "set_unescape_uri", "set_encode_base32", "set_decode_base32", "set_md5",
            "set_quote_sql_str", "set_quote_json_str", "set_encode_hex", "set_decode_hex" } do
        for _, value in ipairs { "a b", "", "20111013", "a'b", "6162", 12, true } do
            ngx.say(name, " ", show(value), " ", show { pcall(ndk.set_var[name], value) })
        end
    end
} }
location /lua-errors { content_by_lua_block { local show = require "show"
    for _, name in ipairs { "set_none", "content_by_lua", "set_random", "set_if_empty", "set_hmac_sha1", "set_md5" } do
        ngx.say(name, " ", type(select(2, pcall(function() return ndk.set_var[name] end))))
    end
    ngx.say(show { pcall(function() ndk.set_var.set_decode_base64("!") end) })
} }
location /lua-fails { content_by_lua_block { ngx.say(ndk.set_var.set_decode_hex("abc")) } }
location /lua-unknown { content_by_lua_block { ngx.say(ndk.set_var.set_what("abc")) } }
location /lua-location { set_base32_padding off; content_by_lua_block { ngx.say(ndk.set_var.set_encode_base32("a")) } }
location /lua-set { set_by_lua_block $r { return ndk.set_var.set_unescape_uri("a%20b") } return 200 $r; }
""".replace("LONG", "x" * 256)

CASES = (
    Case(
        "set-misc",
        http(
            f"""upstream_list list a b c d e; upstream_list single one; upstream_list weights 3:a 1:b;
            lua_package_path "$prefix/lua/?.lua;;";
            server {{ listen {{port}}; default_type text/plain; set_encode_hex $srv ab; {_EACH} {_OTHERS}
                location /server {{ return 200 $srv; }} }}"""
        ),
        (
            *(
                get(f"/{name}?v={value}", name=f"{name} {key}")
                for name in _ONE
                for key, value in _VALUES.items()
                if name != "set_decode_base32" or key not in _NOT_BASE32
            ),
            *(get(f"/{name}", name=f"{name} without an argument") for name in _ONE),
            get(
                "/set_decode_base32?v=xyz!",
                differs="its letters are not of the alphabet: the reference makes something undefined of them",
                expect={"status": 200, "body": "[]"},
            ),
            get("/itself"),
            get("/two-variables?v=1"),
            get("/hmac?v=abc"),
            get("/hmac"),
            get("/if-empty?a=1"),
            get("/if-empty?b=1"),
            get("/if-undefined"),
            *(get(f"/random-{name}") for name in ("same", "bad", "bad-to", "range")),
            *(get(f"/alphanum?n={n}") for n in ("1", "64", "65", "0", "x", "")),
            *(get(f"/rotate?n={n}", name=f"rotate {k}") for k, n in enumerate(("", "", "1", "3", "7", "x", "", "0"))),
            *(get(f"/rotate-back?n={n}", name=f"rotate back {k}") for k, n in enumerate(("", "7", "9", "2"))),
            get("/rotate-bad"),
            get("/rotate-bad-to"),
            *(get(f"/{name}") for name in ("today", "gmt", "local", "time-text", "time-empty", "time-long")),
            *(get(f"/hashed?v={v}") for v in ("", "a", "foo", "FOO", "a%20long%20key", "1234567890" * 5)),
            get("/hashed-one?v=x"),
            *(get(f"/hashed-weights?v={v}") for v in "abcdefg"),
            get("/hashed-variable?l=list&v=foo"),
            get("/hashed-variable?l=LIST&v=foo"),
            get("/hashed-variable?l=none&v=foo"),
            *(get(f"/padding?v={'abcdefgh'[:n]}") for n in range(1, 8)),
            get("/alphabet?v=hello"),
            get("/alphabet/inner?v=hello"),
            get("/in-if?v=ab"),
            get("/in-if"),
            get("/order"),
            get("/server"),
            *(get(f"/{name}") for name in ("lua", "lua-errors", "lua-fails", "lua-unknown", "lua-location", "lua-set")),
        ),
        {"lua/show.lua": SHOW},
        modules=_MODULES,
    ),
)
