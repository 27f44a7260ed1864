"""Shared dictionaries in a VM without a server: the files of the runtime that they are made of, a clock that stands still, and the check."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path
from typing import Any

import lupa

from pyresty.lua.api.shdict import hash_function
from pyresty.lua.shdict import chains

with lupa.allow_lua_module_loading():
    from lupa import luajit21

RUNTIME = Path(__file__).resolve().parents[2] / "pyresty/lua/runtime"
GROUPS = ("shdict_memory", "shdict_table", "shdict_lock", "shdict", "shdict_list", "shdict_zone")
#: Now, in milliseconds; :meth:`Dictionaries.clock` sets it.
START = 1_700_000_000_000

_STUBS = b"""
    local rt = ...
    ngx = {}
    function rt.check_string(value) return tostring(value) end
    function rt.check_integer(value) return math.floor(tonumber(value)) end
    function rt.now_ms() return rt.now end
    function rt.call(name, method, ...) local d = ngx.shared[name] return d[method](d, ...) end
    function rt.keys(name) return unpack(ngx.shared[name]:get_keys(0)) end
"""


class Dictionaries:
    """Dictionaries ``name: size`` in bytes, in memory that forked children share. ``recovered`` counts repairs of this process."""

    def __init__(self, **sizes: int) -> None:
        self.recovered = 0
        self._lua = luajit21.LuaRuntime(encoding=None, unpack_returned_tuples=True, register_eval=False)
        self._rt = self._lua.execute(b"return { py = {} }")
        self._rt[b"py"][b"shdict_hash"] = hash_function
        self._rt[b"py"][b"shdict_recovered"] = self._note
        self._load = self._lua.eval(b"function(rt, source, name) return assert(load(source, name))(rt) end")
        self.run(_STUBS)
        self.clock(START)
        for group in GROUPS:
            self.run((RUNTIME / f"{group}.lua").read_bytes(), group.encode())
        self.run((Path(__file__).parent / "shdict_check.lua").read_bytes(), b"shdict_check")
        self._memory: list[mmap.mmap] = []
        for name, size in sizes.items():
            self._memory.append(mmap.mmap(-1, size + 4 * chains(size) + 8))
            address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory[-1]))
            assert self._rt[b"add_dictionary"](name.encode(), address, size, chains(size)) is None

    def _note(self, name: bytes, entries: float) -> None:
        self.recovered += 1

    def run(self, source: bytes, name: bytes = b"test") -> Any:
        """Run Lua with the table ``rt`` as its argument."""
        return self._load(self._rt, source, b"=" + name)

    def clock(self, ms: float) -> None:
        """What time it is."""
        self._rt[b"now"] = ms

    def call(self, name: str, method: str, *args: Any) -> list[Any]:
        """Call a method; results up to the last that is not nil."""
        found = self._rt[b"call"](name.encode(), method.encode(), *args)
        results = list(found) if isinstance(found, tuple) else [found]
        while results and results[-1] is None:
            results.pop()
        return results

    def keys(self, name: str) -> list[bytes]:
        """All keys that have not expired, least recently used first."""
        found = self._rt[b"keys"](name.encode())
        return [] if found is None else list(found) if isinstance(found, tuple) else [found]

    def check(self, name: str) -> int:
        """Fail if the zone is not sound. Returns how many entries are in it, expired ones too."""
        found = self._rt[b"check"](name.encode())
        wrong, entries = found if isinstance(found, tuple) else (found, 0)
        assert wrong is None, wrong
        return int(entries)


__all__ = ["START", "Dictionaries"]
