"""What ngx.shared tells the error log. The dictionaries themselves never cross the border."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...process.logs import ALERT

if TYPE_CHECKING:
    from ..vm import LuaVM


def hash_function() -> bytes:
    """The name of the C function by which Python hashes bytes: public since 3.14 under a name of its own."""
    return b"Py_HashBuffer" if hasattr(ctypes.pythonapi, "Py_HashBuffer") else b"_Py_HashBytes"


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def shdict_recovered(name: bytes, entries: float) -> None:
        """A process has died in the middle of a change; the dictionary has been put right."""
        text = f'lua_shared_dict "{name.decode("utf-8", "replace")}" was left half-changed; {entries:.0f} entries recovered'
        vm.config.error_log.write(ALERT, text)

    return {"shdict_recovered": shdict_recovered, "shdict_hash": hash_function}
