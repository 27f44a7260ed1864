"""Where Lua code comes from: blocks in the configuration, files named there, modules that ``require`` looks for.

Every chunk has a number. A file is known by path, modification time and size: one ``stat`` tells whether the compiled form is still
good, so that with ``lua_code_cache off`` an edit shows at the next request and nothing else is compiled again.
"""

from __future__ import annotations

import os
import time
from errno import ENOENT

#: Seconds for which the place where a module was found is believed before the path is searched again.
_BELIEVE = 1.0


class SourceFile:
    """A Lua file that has been read: its number, and what ``stat`` said then."""

    __slots__ = ("mtime", "number", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.mtime = -1
        self.size = -1


class CodeLoader:
    """Numbers for chunks, and the search for modules."""

    def __init__(self, lualib: str) -> None:
        self._lualib = lualib.encode() + b"/?.lua;" + lualib.encode() + b"/?/init.lua"
        self._ours = lualib.encode() + b"/"
        self._last = 0
        self._files: dict[tuple[bytes, bool], SourceFile] = {}
        self._modules: dict[tuple[bytes, bytes], tuple[bytes | None, float]] = {}

    def number(self) -> int:
        """A new chunk number."""
        self._last += 1
        return self._last

    def file(self, path: bytes, factory: bool) -> tuple[int, bytes | None]:
        """The chunk number of a file, and its source if it is new or has changed. Raises OSError.

        ``factory``: for ``lua_code_cache off``, where a chunk is compiled in another way.
        """
        known = self._files.get((path, factory))
        if known is not None and path.startswith(self._ours):
            return known.number, None  # the bundled library does not change under us
        try:
            info = os.stat(path)
        except ValueError:
            raise FileNotFoundError(ENOENT, "No such file or directory") from None  # a zero byte in the path
        if known is not None and known.mtime == info.st_mtime_ns and known.size == info.st_size:
            return known.number, None
        with open(path, "rb") as f:
            source = f.read()
        if known is None:
            known = self._files[path, factory] = SourceFile(self.number())
        known.mtime, known.size = info.st_mtime_ns, info.st_size
        return known.number, source

    def forget(self, path: bytes, factory: bool) -> None:
        """The file didn't compile: read it again next time."""
        known = self._files.get((path, factory))
        if known is not None:
            known.mtime = -1

    # -- called from Lua

    def module(self, name: bytes, path: bytes) -> tuple[int | None, bytes | None, bytes | None]:
        """For ``require`` with ``lua_code_cache off``: chunk number, source if it has to be compiled, chunk name.

        All are None if the module isn't Lua.

        ``path`` is the request's ``package.path``.
        """
        now = time.monotonic()
        found, checked = self._modules.get((name, path), (None, 0.0))
        if found is None or now - checked > _BELIEVE:
            if ours_first(name):
                found = _search(name, self._lualib) or _search(name, path)
            else:
                found = _search(name, path) or _search(name, self._lualib)
            self._modules[name, path] = (found, now)
        if found is None:
            return None, None, None
        try:
            number, source = self.file(found, True)
        except OSError:
            del self._modules[name, path]
            return None, None, None
        return number, source, b"@" + found

    def forget_module(self, path: bytes) -> None:
        """A module's file didn't compile."""
        self.forget(path, True)

    def bundled(self, name: bytes) -> bytes | None:
        """The path of a module of the bundled library."""
        return _search(name, self._lualib)


def ours_first(name: bytes) -> bool:
    """Whether the bundled module counts even if the user has one: OpenResty's own copies call C functions of nginx."""
    return name == b"resty.core" or name.startswith((b"resty.core.", b"ngx."))


def _search(name: bytes, path: bytes) -> bytes | None:
    relative = name.replace(b".", b"/")
    for template in path.split(b";"):
        candidate = template.replace(b"?", relative)
        if candidate and os.path.isfile(candidate):
            return candidate
    return None
