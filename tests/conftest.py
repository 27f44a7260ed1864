"""Lua modules written in C can only be loaded if LuaJIT itself was loaded that way, so that comes before any test's import."""

from __future__ import annotations

import lupa

with lupa.allow_lua_module_loading():
    from lupa import luajit21  # noqa: F401
