"""``require`` with the code cache on and off: what a module may return, what it leaves behind, what it costs to get it wrong.

https://github.com/openresty/lua-nginx-module#lua_code_cache
"""

from __future__ import annotations

from harness import http

from ..case import WARNINGS, Case, get
from ..lua import FILES, locations

_SNIPPETS = {
    "false": 'ngx.say(show(require("m.false")), show(require("m.false")), show(package.loaded["m.false"]), ngx.ctx.loads)',
    "nil": 'ngx.say(show(require("m.nil")), show(require("m.nil")), show(package.loaded["m.nil"]), ngx.ctx.loads)',
    "own": 'ngx.say(show(require("m.own")), show(package.loaded["m.own"]))',
    "forget": """
        require("m.count") package.loaded["m.count"] = nil require("m.count")
        ngx.say(ngx.ctx.loads)""",
    "circular": 'ngx.say(show({pcall(require, "m.circle")}))',
    "nested": 'ngx.say(require("m.outer").inner.name, " ", require("m.inner") == require("m.outer").inner)',
    "name": 'ngx.say(show(require("m.name")))',
    "raises": 'local ok, err = pcall(require, "m.raises") ngx.say(show(ok), show(err)) ngx.say(show({pcall(require, "m.raises")}))',
    "syntax": 'local ok, err = pcall(require, "m.syntax") ngx.say(show(ok), show(err))',
    "missing": 'local ok, err = pcall(require, "m.missing") ngx.say(show(ok), show((err:match("^[^\\n]*\\n[^\\n]*"))))',
    "missing-raises": 'require("m.missing")',
    "arguments": "ngx.say(show({pcall(require, nil)}), show({pcall(require, {})}), show((pcall(require, 12))))",
    "standard": """
        for _, name in ipairs{"string", "table", "math", "io", "os", "bit", "jit", "ffi", "debug", "coroutine", "package", "table.new",
            "table.clear", "ngx", "_G", "resty.core", "resty.core.base", "table.clone", "table.nkeys"} do
            ngx.say(name, " ", type(require(name)), " ", require(name) == package.loaded[name])
        end
        ngx.say(require("string") == string, require("ngx") == ngx, require("_G") == _G)""",
    "preload": """
        package.preload.made = function(...) return {name = ...} end
        ngx.say(show(require("made"))) package.preload.made, package.loaded.made = nil, nil""",
    "path": """
        local old = package.path
        package.path = ngx.config.prefix() .. "other/?.lua;" .. old
        ngx.say(require("elsewhere")) package.path, package.loaded.elsewhere = old, nil""",
    "globals": 'require("m.globals") ngx.say(show(rawget(_G, "from_module")), show(from_module)) _G.from_module = nil',
    "environment": "ngx.say(getfenv(1) == _G, getfenv(0) == _G, setfenv == _G.setfenv, _G._G == _G)",
    "loadstring": 'ngx.say(loadstring("return 1 + 1")(), show({loadstring("return +")}))',
    "dofile": 'ngx.say(show(dofile(ngx.config.prefix() .. "lua/m/own.lua")))',
    "counted": 'local c = require("m.count") c.n = c.n + 1 ngx.say(c.n)',
    "string": 'function string.mine() return "mine" end ngx.say(("x"):mine()) string.mine = nil',
}
_FILES = {
    **FILES,
    "lua/m/false.lua": "ngx.ctx.loads = (ngx.ctx.loads or 0) + 1\nreturn false\n",
    "lua/m/nil.lua": "ngx.ctx.loads = (ngx.ctx.loads or 0) + 1\n",
    "lua/m/own.lua": 'if ... then package.loaded[...] = "set by the module" end\n',
    "lua/m/count.lua": "ngx.ctx.loads = (ngx.ctx.loads or 0) + 1\nreturn { n = 0 }\n",
    "lua/m/circle.lua": 'return require("m.circle2")\n',
    "lua/m/circle2.lua": '\nreturn require("m.circle")\n',
    "lua/m/outer.lua": 'return { inner = require("m.inner") }\n',
    "lua/m/inner.lua": "return { name = ... }\n",
    "lua/m/name.lua": 'return { ..., select("#", ...) == 1 }\n',
    "lua/m/raises.lua": '\nerror("while loading")\n',
    "lua/m/syntax.lua": "return {\n  a = = 1\n}\n",
    "lua/m/globals.lua": 'from_module = "global"\n',
    "other/elsewhere.lua": 'return "from elsewhere"\n',
}

#: Both modes in one server, and one snippet in both.
_BOTH = """
        location /both/on { lua_code_cache on; content_by_lua_file lua/both.lua; }
        location /both/off { lua_code_cache off; content_by_lua_file lua/both.lua; }
        location /both/inherit { rewrite_by_lua_block { ngx.ctx.n = require("m.count") }
            location /both/inherit/off { lua_code_cache off; content_by_lua_block { ngx.say(show_type == nil, type(ngx.ctx.n)) } } }
"""


def _conf(cache: str) -> str:
    return http(
        f"""
    lua_package_path "$prefix/lua/?.lua;;";
    lua_code_cache {cache};
    init_by_lua_block {{ package.loaded.from_init = {{n = 0}} from_init = {{n = 0}} }}
    server {{
        listen {{port}};
        location /init {{ content_by_lua_block {{
            local t = require("from_init") t.n = t.n + 1 from_init.n = from_init.n + 1 ngx.say(t.n, from_init.n) }} }}
        {_BOTH}
{locations(_SNIPPETS)}
    }}
    """
    )


_BOTH_FILE = 'local c = require("m.count")\nc.n = c.n + 1\nngx.say(c.n, " ", rawget(_G, "both"))\n'

CASES = tuple(
    Case(
        f"lua-require-{cache}",
        _conf(cache),
        (
            *(get(f"/{name}") for name in _SNIPPETS),
            get("/counted", name="counted again"),
            get("/init"),
            get("/init", name="init again"),
            *(get(f"/both/{mode}", name=f"{mode} {n}") for n in (1, 2) for mode in ("on", "off")),
            get("/both/inherit/off"),
        ),
        files={**_FILES, "lua/both.lua": _BOTH_FILE},
        levels=WARNINGS,
        # Where modules are looked for besides, each installation has its own places.
        mask=((r"(?:\n\tno [^\n]*)+", ""), (r"/usr/share/lua/\S+: (?=loop or previous)", "")),
    )
    for cache in ("on", "off")
)
