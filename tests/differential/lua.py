"""Helpers for cases in Lua: a location for each snippet, and a module that writes any value down in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping

from harness import http

#: ``local show = require "show"``: a value as text, keys of tables sorted.
SHOW = """
local function show(value)
    if type(value) == "string" then
        return (string.format("%q", value):gsub("\\\\\\n", "\\\\n"))
    elseif type(value) ~= "table" then
        return tostring(value)
    end
    local keys, out = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b)
        if type(a) == type(b) then return a < b end
        return type(a) == "number"
    end)
    for _, key in ipairs(keys) do
        out[#out + 1] = (type(key) == "number" and key or show(key)) .. "=" .. show(value[key])
    end
    return "{" .. table.concat(out, ", ") .. "}"
end
return show
"""

FILES = {"lua/show.lua": SHOW}


def locations(snippets: Mapping[str, str], directive: str = "content_by_lua_block", inside: str = "") -> str:
    """One location for each snippet, named by its key, ``-`` for ``/``; ``show`` is there for all of them."""
    return "\n".join(
        f"        location /{name} {{ {inside} {directive} {{ local show = require "
        f"'show'\n{code.strip(chr(10))}\n        }} }}"
        for name, code in snippets.items()
    )


def server(snippets: Mapping[str, str], more: str = "", top: str = "", servers: str = "") -> str:
    """A conf with a server of these locations, ``more`` among them, ``top`` in ``http``, ``servers`` below."""
    return http(
        f"""
    lua_package_path "$prefix/lua/?.lua;;";
    {top}
    server {{
        listen {{port}};
        root html;
        {more}
{locations(snippets)}
    }}
    {servers}
    """
    )
