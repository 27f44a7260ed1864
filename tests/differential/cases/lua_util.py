"""The parts of ngx.* that need no request: escaping, digests, encodings, time.

https://github.com/openresty/lua-nginx-module#ngxescape_uri and its neighbours
"""

from __future__ import annotations

from ..case import WARNINGS, Case, get
from ..lua import FILES, server

_ALL_BYTES = "local all = {} for i = 0, 255 do all[#all + 1] = string.char(i) end all = table.concat(all)\n"

_UTIL = {
    "escape": _ALL_BYTES
    + """
        ngx.say(ngx.escape_uri(all)) for t = 0, 6 do ngx.say(t, " ", show({pcall(ngx.escape_uri, all, t)})) end
        ngx.say(ngx.escape_uri("")) ngx.say(show({pcall(ngx.escape_uri)}), ngx.escape_uri(12), ngx.escape_uri(nil))""",
    "unescape": """
        for _, s in ipairs{"", "a", "a%20b", "a+b", "%2B", "%", "%4", "%4g", "%zz", "%41%", "%%41", "a%00b", "%u0041",
            "%e4%bd%a0", "?a%3fb", "%2525"} do
            ngx.say(show(s), " ", show(ngx.unescape_uri(s)))
        end
        ngx.say(show({pcall(ngx.unescape_uri)}), show({pcall(ngx.unescape_uri, {})}), ngx.unescape_uri(12),
            show(ngx.unescape_uri(nil)))""",
    "digests": _ALL_BYTES
    + """
        local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
        for _, s in ipairs{"", "hello", all, string.rep("x", 1000)} do
            ngx.say(ngx.md5(s), " ", hex(ngx.md5_bin(s)), " ", hex(ngx.sha1_bin(s)), " ", ngx.crc32_short(s), " ",
                ngx.crc32_long(s))
            ngx.say(hex(ngx.hmac_sha1("key", s)), " ", hex(ngx.hmac_sha1("", s)), " ", hex(ngx.hmac_sha1(all, s)))
        end
        ngx.say(ngx.md5(12), ngx.md5(nil), ngx.crc32_short(12), hex(ngx.sha1_bin(nil)))
        ngx.say(show({pcall(ngx.md5)}), (pcall(ngx.crc32_short)), (pcall(ngx.hmac_sha1, "k")))""",
    "base64": _ALL_BYTES
    + """
        ngx.say(ngx.encode_base64(all)) ngx.say(ngx.decode_base64(ngx.encode_base64(all)) == all)
        for _, s in ipairs{"", "a", "ab", "abc", "abcd"} do ngx.say(ngx.encode_base64(s), " ", ngx.encode_base64(s,
            true)) end
        ngx.say(ngx.encode_base64(12), ngx.encode_base64(1.5), "[", ngx.encode_base64(nil), "]",
            show({pcall(ngx.encode_base64)}))
        for _, s in ipairs{"", "YQ==", "YQ", "YQ=", "YWI=", "YWJj", "Y Q==", "YQ==YQ==", "!!!!", "Y", "YWJ", "_-_-",
            "+/+/", "YQ\\n=="} do
            ngx.say(show(s), " ", show(ngx.decode_base64(s)))
        end
        ngx.say(show({pcall(ngx.decode_base64, nil)}), show({pcall(ngx.decode_base64, 12)}))""",
    "times": """
        ngx.say(ngx.http_time(0), "|", ngx.http_time(1677906367), "|", ngx.http_time(1677906367.9), "|",
            ngx.http_time(253402300799))
        ngx.say(ngx.cookie_time(0), "|", ngx.cookie_time(1677906367), "|", ngx.cookie_time(2147483647), "|",
            ngx.cookie_time(4102444800))
        for _, s in ipairs{"Sat, 04 Mar 2023 05:06:07 GMT", "Saturday, 04-Mar-23 05:06:07 GMT",
            "Sat Mar  4 05:06:07 2023", "", "x", "Sat, 30 Feb 2023 05:06:07 GMT",
                "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "sat, 04 mar 2023 05:06:07 gmt"} do
            ngx.say(s, " ", show(ngx.parse_http_time(s)))
        end
        ngx.say(show({pcall(ngx.http_time)}), show({pcall(ngx.http_time, "x")}), show({pcall(ngx.parse_http_time)}),
            (pcall(ngx.cookie_time)))""",
    "formats": """
        ngx.say(ngx.today():match("^%d%d%d%d%-%d%d%-%d%d$") ~= nil,
            ngx.localtime():match("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$") ~= nil,
            ngx.utctime():match("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$") ~= nil, ngx.time() == math.floor(ngx.time()),
                type(ngx.now()))
        ngx.say(("%.3f"):format(ngx.now()) + 0 == ngx.now(), ngx.now() - ngx.time() < 1, math.abs(ngx.time()
            - os.time()) <= 1)
        local before = ngx.now() local x = 0 for i = 1, 1e6 do x = x + i end ngx.say(before == ngx.now())
            ngx.update_time() ngx.say(ngx.now() >= before)
        ngx.say(ngx.today() == ngx.localtime():sub(1, 10), show({ngx.update_time()}))""",
    "sleep": """
        local t = ngx.now() ngx.sleep(0.05) local waited = ngx.now() - t ngx.say(waited >= 0.045 and waited < 2)
            ngx.sleep(0) ngx.sleep(0.001)
        ngx.say(show({pcall(ngx.sleep, -1)}), show({pcall(ngx.sleep, "x")}), show({pcall(ngx.sleep)}),
            show({ngx.sleep("0.001")}))""",
    "quote": _ALL_BYTES
    + """
        ngx.say(ngx.quote_sql_str("it's \\"q\\" \\\\ \\0 \\n \\r \\t \\26 %")) ngx.say(#ngx.quote_sql_str(all))
            ngx.say(ngx.quote_sql_str(""), ngx.quote_sql_str(12))
        ngx.say(show({pcall(ngx.quote_sql_str)}), show({pcall(ngx.quote_sql_str, {})}))""",
    "worker": (
        "ngx.say(ngx.worker.count(), ngx.worker.id(), ngx.worker.exiting(), ngx.worker.pid() == tonumber(ngx.var.pid))"
    ),
    "standard": """
        ngx.say(string.format("%q %s %5.2f %x", "a\\nb", "c", 1.239, 255), " ", table.concat({1, 2, 3}, ","), " ",
            select("#", 1, nil, nil))
        ngx.say(tostring(1e15), " ", tostring(2^31), " ", 7 % -3, " ", -7 % 3, " ", 2^0.5, " ", 10 / 2, " ",
            math.floor(-1.5), " ", 0xff, " ", 1e3)
        ngx.say(("x"):rep(3, "-"), " ", ("abc"):byte(-1), " ", ("a,b,,c"):gsub(",", ";"), " ",
            ("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
        ngx.say(type(jit), " ", _VERSION, " ", type(bit), " ", bit.band(255, 15), " ", type(require("ffi")), " ",
            #arg or "", " ", type(os.getenv("PATH")))
        """.replace(' #arg or "", " ",', ""),
    "extensions": """
        local new, clear = require("table.new"), require("table.clear")
        local t = new(4, 0) t[1] = 1 clear(t) ngx.say(#t)
        local isempty, isarray, nkeys, clone = require("table.isempty"), require("table.isarray"),
            require("table.nkeys"), require("table.clone")
        ngx.say(show({isempty({}), isempty({1}), isempty({a = 1}), isarray({}), isarray({1, 2}), isarray({a = 1}),
            isarray({1, nil, 3}), nkeys({1, a = 2}), nkeys({})}))
        local inner = {} local copy = clone({1, a = inner}) ngx.say(show(copy), rawequal(copy.a, inner))
        ngx.say(show({pcall(isempty)}), show({pcall(nkeys, 1)}))""",
    "cjson": """
        local cjson = require "cjson"
        ngx.say(cjson.encode({1, 2, "x", true, cjson.null}), cjson.encode({a = 1}), cjson.encode({}),
            cjson.encode("ü\\n\\"/"), cjson.encode(1.5), cjson.encode(1e20))
        ngx.say(show(cjson.decode('{"a":[1,2,{"b":null}],"c":"\\\\u00e4","d":1e3,"e":true}')),
            show({pcall(cjson.decode, "{x")}), show({pcall(cjson.encode, print)}))
        ngx.say(show({require("cjson.safe").decode("nope")}), show({require("cjson.safe").encode({print})}))""",
    "random": (
        "math.randomseed(42) local a = math.random() math.randomseed(42) ngx.say(a == math.random(), "
        "math.random(5) <= 5)"
    ),
}

CASES = (
    Case(
        "lua-util",
        server(_UTIL),
        tuple(get(f"/{name}") for name in _UTIL),
        files=FILES,
        levels=WARNINGS,
        # Said by a build without OpenResty's patches only.
        drop=("without delayed events patch",),
    ),
)
