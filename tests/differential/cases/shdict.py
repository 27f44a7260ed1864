"""``lua_shared_dict`` and ``ngx.shared.DICT``. https://github.com/openresty/lua-nginx-module#ngxshareddict"""

from __future__ import annotations

from ..case import WARNINGS, Case, get
from ..lua import FILES, server

_TOP = "lua_shared_dict dogs 1m; lua_shared_dict cats 100k; lua_shared_dict tiny 12k;"
_DOGS = "local dogs = ngx.shared.dogs dogs:flush_all() dogs:flush_expired()\n"

_SNIPPETS = {
    "store": _DOGS
    + """
        ngx.say(show{dogs:set("s", "value")}, show{dogs:get("s")}, show{dogs:set("n", 1.5)}, show{dogs:get("n")})
        ngx.say(show{dogs:set("b", true)}, show{dogs:get("b")}, show{dogs:set("b", false)}, show{dogs:get("b")})
        ngx.say(show{dogs:set("s", nil)}, show{dogs:get("s")}, show{dogs:get("never")}, show{dogs:get_stale("never")})
        ngx.say(show{dogs:set("", 1)}, show{dogs:set(nil, 1)}, show{dogs:set(("k"):rep(65536), 1)},
            show{dogs:set(("k"):rep(65535), 1)}, show{dogs:get(("k"):rep(65535))}, show{dogs:get(("k"):rep(65536))})
        ngx.say(show{dogs:set("t", {})}, show{dogs:set("f", print)}, show{dogs:add("a", nil)},
            show{dogs:replace("a", nil)})
        ngx.say(show{dogs:set(1, "one")}, show{dogs:get("1")}, show{dogs:set(true, 2)}, show{dogs:get("true")},
            show{dogs:set("e", "")}, show{dogs:get("e")}, show{dogs:set("z", "a\\0b")}, show{dogs:get("z")})
        ngx.say(show{dogs:get("")}, show{dogs:get(nil)}, show{dogs:delete("n")}, show{dogs:delete("n")},
            show{dogs:get("n")}, show{dogs:delete(nil)})""",
    "same_size": _DOGS
    + """
        local values = { "12345678", 5, "x", true, "", false, "y", 1e300, ("z"):rep(5000), -0.5, "12345678" }
        for _, value in ipairs(values) do
            ngx.say(show{dogs:set("k", value, 0, 3)}, show{dogs:get("k")}, dogs:free_space())
        end""",
    "add_replace": _DOGS
    + """
        ngx.say(show{dogs:add("a", 1)}, show{dogs:add("a", 2)}, show{dogs:get("a")}, show{dogs:safe_add("a", 3)})
        ngx.say(show{dogs:replace("b", 1)}, show{dogs:replace("a", "longer than it was")}, show{dogs:get("a")})
        ngx.say(show{dogs:set("a", 1, 0.001)}) ngx.sleep(0.02)
        ngx.say(show{dogs:replace("a", 1)}, show{dogs:add("a", 7)}, show{dogs:get("a")})
        ngx.say(show{dogs:set("a", 1, 0.001)}) ngx.sleep(0.02) ngx.say(show{dogs:safe_add("a", "other")})""",
    "flags": _DOGS
    + """
        for _, flags in ipairs{0, 1, 65535, -1, 2147483647, 1.9} do
            ngx.say(show{dogs:set("k", "v", 0, flags)}, show{dogs:get("k")}, show{dogs:get_stale("k")})
        end
        ngx.say(show{dogs:replace("k", "w")}, show{dogs:get("k")}, show{dogs:set("k", 1, nil, 7)}, show{dogs:incr("k", 1)},
            show{dogs:get("k")})
        ngx.say((pcall(dogs.set, dogs, "k", 1, 0, "x")))""",
    "expiry": _DOGS
    + """
        dogs:set("a", 1, 0.02) dogs:set("b", "text", 30, 9) dogs:set("c", 3) dogs:set("d", 4, 0.0001)
        ngx.say(show{dogs:get("a")}, show{dogs:get("b")}, show{dogs:get("d")}, dogs:ttl("b") > 29, dogs:ttl("c"),
            show{dogs:ttl("x")})
        ngx.sleep(0.05)
        ngx.say(show{dogs:get_stale("a")}, show{dogs:get_stale("b")}, show{dogs:get_stale("c")}, dogs:ttl("a") < 0)
        ngx.say(show{dogs:get("a")}, show(dogs:get_keys()))
        ngx.say(show{dogs:expire("b", 0.01)}, show{dogs:expire("c", 50)}, show{dogs:expire("x", 1)}, dogs:ttl("c") > 49)
        ngx.sleep(0.03)
        ngx.say(show{dogs:get("b")}, show{dogs:expire("c", 0)}, show{dogs:ttl("c")}, show{dogs:expire("c", -1)})
        ngx.say(show{pcall(dogs.expire, dogs, "c")}, (pcall(dogs.set, dogs, "c", 1, "x")), show{pcall(dogs.ttl, nil)},
            show{dogs:ttl(nil)}, show{dogs:ttl("")}, show{dogs:expire(nil, 1)}, show{dogs:expire("", 1)})
        local ok, err = pcall(dogs.set, dogs, "c", 1, -1) ngx.say(ok, err:match('bad "exptime" argument'))""",
    "incr": _DOGS
    + """
        ngx.say(show{dogs:incr("n", 1)}, show{dogs:incr("n", 1, 10)}, show{dogs:incr("n", 1, 10)}, show{dogs:incr("n", -0.5)})
        ngx.say(show{dogs:incr("n", "2")}, (pcall(dogs.incr, dogs, "n", "x")), (pcall(dogs.incr, dogs, "n")),
            show{dogs:incr("m", 1, "5")}, show{dogs:incr(nil, 1)}, show{dogs:incr("", 1)})
        dogs:set("s", "text") dogs:set("e", "12345678", 0.01) dogs:set("t", true) dogs:lpush("l", 1)
        ngx.say(show{dogs:incr("s", 1)}, show{dogs:incr("s", 1, 0)}, show{dogs:incr("t", 1)}, show{dogs:incr("l", 1, 2)})
        ngx.sleep(0.03)
        ngx.say(show{dogs:incr("e", 1)}, show{dogs:incr("e", 1, 1)}, show{dogs:get("e")}, show{dogs:ttl("e")})
        ngx.say(show{dogs:incr("u", 1, 0, 0.02)}, show{dogs:incr("u", 1, 0, 100)}, dogs:ttl("u") < 1)
        ngx.sleep(0.04)
        ngx.say(show{dogs:incr("u", 1, 0, 100)}, dogs:ttl("u") > 99, show{dogs:incr("v", 1, 0, "1")}, show{dogs:incr("w", 1, false)})
        for _, args in ipairs{ {"z", 1, {}}, {"z", 1, 0, {}}, {"z", 1, nil, 5}, {"z", 1, 0, -1}, {"z", 1, 0, "x"} } do
            local ok, err = pcall(dogs.incr, dogs, args[1], args[2], args[3], args[4])
            ngx.say(ok, " ", (tostring(err):gsub("^.-:%d+: ", "")))
        end""",
    "lists": _DOGS
    + """
        ngx.say(show{dogs:lpush("l", "b")}, show{dogs:lpush("l", "a")}, show{dogs:rpush("l", 3.5)}, show{dogs:llen("l")})
        ngx.say(show{dogs:get("l")}, show{dogs:get_stale("l")}, show{dogs:lpop("l")}, show{dogs:rpop("l")}, show{dogs:rpop("l")},
            show{dogs:rpop("l")}, show{dogs:llen("l")}, show(dogs:get_keys()))
        dogs:set("s", 1) ngx.say(show{dogs:lpush("s", 1)}, show{dogs:lpop("s")}, show{dogs:llen("s")})
        ngx.say(show{dogs:lpush("l", true)}, show{dogs:lpush("l", nil)}, show{dogs:lpush(nil, 1)}, show{dogs:lpush("", 1)},
            show{dogs:lpop(nil)}, show{dogs:llen("")}, show{dogs:lpush(5, "five")}, show{dogs:llen("5")})
        ngx.say(show{pcall(dogs.lpush, dogs, "l")}, show{pcall(dogs.lpop, dogs)}, show{pcall(dogs.llen, nil, "l")},
            (pcall(dogs.lpush, dogs, {}, 1)))
        for i = 1, 100 do dogs:rpush("q", ("x"):rep(i * 20)) end
        local total = 0 for i = 1, 100 do total = total + #dogs[i % 2 == 0 and "lpop" or "rpop"](dogs, "q") end
        ngx.say(total, " ", show{dogs:llen("q")}, dogs:free_space())
        dogs:lpush("x", 1) dogs:rpush("x", 2) ngx.say(show{dogs:expire("x", 0.01)}) ngx.sleep(0.03)
        ngx.say(show{dogs:llen("x")}, show{dogs:lpop("x")}, show{dogs:lpush("x", 3)}, show{dogs:lpop("x")})
        dogs:lpush("y", 1) ngx.say(show{dogs:set("y", 1)}, show{dogs:get("y")}, show{dogs:delete("y")}, dogs:free_space())
        dogs:set("o", 1, 0.01) ngx.sleep(0.03) ngx.say(show{dogs:rpush("o", 1)}, show{dogs:llen("o")})""",
    "whole": _DOGS
    + """
        for i = 1, 20 do dogs:set("k" .. i, i, i % 3 == 0 and 0.01 or 0) end
        dogs:get("k2") dogs:get("k4")
        ngx.say(show(dogs:get_keys()), show(dogs:get_keys(3)), #dogs:get_keys(0))
        ngx.sleep(0.03)
        ngx.say(show(dogs:get_keys(0)), show{dogs:flush_expired(2)}, show{dogs:flush_expired()}, show{dogs:flush_expired(0)})
        dogs:flush_all() ngx.say(show{dogs:get("k1")}, show{dogs:get_stale("k1")}, show{dogs:get_stale("k20")}, show(dogs:get_keys()))
        ngx.say(show{dogs:flush_expired()}, show{dogs:flush_expired()}, show{dogs:flush_all()})
        for i = 1, 1100 do dogs:set(i, i) end ngx.say(#dogs:get_keys(), " ", #dogs:get_keys(0), " ", #dogs:get_keys(-1))
        for i = 1, 200 do dogs:set(("long"):rep(300) .. i, i) end ngx.say(#dogs:get_keys(0))
        ngx.say(show{pcall(dogs.get_keys)}, show{pcall(dogs.get_keys, dogs, 1, 2)}, show{pcall(dogs.flush_expired)},
            (pcall(dogs.get_keys, dogs, "x")), (pcall(dogs.flush_expired, 1)))""",
    "shared": """
        local names = {} for name, dict in pairs(ngx.shared) do names[#names + 1] = name .. " " .. type(dict) end
        table.sort(names) ngx.say(show(names), tostring(ngx.shared.unknown))
        local methods = {} for name in pairs(getmetatable(ngx.shared.dogs).__index) do methods[#methods + 1] = name end
        table.sort(methods) ngx.say(show(methods), getmetatable(ngx.shared.dogs) == getmetatable(ngx.shared.cats))
        for _, name in ipairs{"dogs", "cats", "tiny"} do ngx.say(name, " ", ngx.shared[name]:capacity()) end
        for _, name in ipairs{"get", "get_stale", "set", "safe_set", "add", "safe_add", "replace", "delete", "incr", "ttl", "expire",
            "flush_all", "capacity", "free_space"} do
            for _, zone in ipairs{"nil", "text", "table"} do
                local first = zone == "text" and "x" or zone == "table" and {} or nil
                local ok, err = pcall(ngx.shared.dogs[name], first, "key", 1)
                ngx.say(name, " ", zone, " ", ok, " ", (tostring(err):gsub("^.-:%d+: ", "")))
            end
        end
        ngx.say(type(require "resty.core.shdict"))""",
    "pages": """
        local cats = ngx.shared.cats cats:flush_all() cats:flush_expired()
        local function space(...) ngx.say(show{...}, " ", cats:free_space()) end
        space()
        for _, size in ipairs{1, 50, 100, 400, 900, 1900, 1980, 2000, 4000, 4030, 5000, 9000, 20000} do
            space(size, cats:safe_set("k" .. size, ("v"):rep(size)))
        end
        for _, size in ipairs{4000, 900, 20000, 1980, 1, 9000} do space(size, cats:delete("k" .. size)) end
        for i = 1, 40 do space(i, cats:safe_set("n" .. i, ("v"):rep(i * 97))) end
        for i = 1, 40, 3 do space(i, cats:delete("n" .. i)) end
        for i = 1, 40 do space(i, cats:safe_set("m" .. i, ("v"):rep((40 - i) * 83))) end
        for i = 1, 12 do space(cats:rpush("list", ("v"):rep(i * 150))) end
        cats:flush_all() space(cats:flush_expired() > 40)""",
    "eviction": """
        local cats = ngx.shared.cats cats:flush_all() cats:flush_expired()
        local forced = {}
        for i = 1, 1200 do
            local ok, err, forcible = cats:set("key" .. i, ("v"):rep(i % 190)) cats:get("key1")
            if forcible or not ok then forced[#forced + 1] = i end
        end
        ngx.say(#forced, " ", show(forced), show(cats:get_keys(5)), show{cats:get("key1") ~= nil}, #cats:get_keys(0))
        ngx.say(show{cats:safe_set("more", ("v"):rep(3000))}, show{cats:set("more", ("v"):rep(3000))},
            show{cats:set("huge", ("v"):rep(200000))}, #cats:get_keys(0), " ", cats:free_space())
        ngx.say(show{cats:incr(("i"):rep(60), 1, 0)}, show{cats:safe_add(("i"):rep(1500), 1)}, show{cats:lpush(("l"):rep(4000), 1)},
            show{cats:lpush("l", ("v"):rep(4000))}, show{cats:llen("l")})
        local tiny = ngx.shared.tiny
        for i = 1, 70 do local row = {tiny:set(i, i)} if row[3] then ngx.say(i, show(row)) end end
        ngx.say(show(tiny:get_keys()), show{tiny:set("big", ("v"):rep(100))}, show{tiny:lpush("list", "item")}, #tiny:get_keys())""",
    "large": _DOGS
    + """
        local text = ("0123456789"):rep(40000) ngx.say(show{dogs:set("big", text, 0, 5)}, dogs:free_space())
        local value, flags = dogs:get("big") ngx.say(value == text, flags, #dogs:get_stale("big"))
        ngx.say(show{dogs:rpush("l", text)}, dogs:lpop("l") == text, show{dogs:delete("big")}, dogs:free_space())""",
}

CASES = (
    Case(
        "shdict",
        server(_SNIPPETS, top=_TOP + ' init_by_lua_block { ngx.shared.dogs:set("init", 1) }'),
        tuple(get(f"/{name}") for name in _SNIPPETS),
        files=FILES,
        levels=WARNINGS,
        drop=("without delayed events patch",),
    ),
)
