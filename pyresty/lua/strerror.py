"""The system's errors in words: as nginx logs them (``ngx_strerror``), and as Lua gets them, in lower case."""

from __future__ import annotations

import os


def reason(error: OSError) -> bytes:
    """``Connection refused``."""
    return os.strerror(error.errno).encode() if error.errno else (str(error) or "error").encode()


def lua_text(error: OSError) -> bytes:
    """``connection refused``, as LuaSocket has it."""
    return reason(error).lower()


def failed(call: bytes, error: OSError) -> bytes:
    """``connect() failed (111: Connection refused)``."""
    return b"%s failed (%d: %s)" % (call, error.errno or 0, reason(error))
