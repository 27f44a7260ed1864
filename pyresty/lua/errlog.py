"""``lua_capture_error_log``: the last lines of the error log, for ``ngx.errlog``.

The one idea: a ring of lines with a size in bytes, filled where lines are written; what is read is gone.

https://github.com/openresty/lua-nginx-module#lua_capture_error_log
"""

from __future__ import annotations

import time
from collections import deque

from ..process.logs import DEBUG

#: Bytes that each line takes beside its own: nginx keeps time, length and level with it.
HEAD = 24


class Capture:
    """The ring. ``level`` is the least urgent level that goes in."""

    def __init__(self, size: int) -> None:
        self.level = DEBUG
        self._size = size
        self._used = 0
        self._lines: deque[tuple[int, float, bytes]] = deque()

    def add(self, level: int, line: bytes) -> None:
        """Put a line in, at the price of the oldest ones."""
        need = HEAD + len(line)
        if level > self.level or need > self._size:
            return
        self._used += need
        while self._used > self._size:
            self._used -= HEAD + len(self._lines.popleft()[2])
        self._lines.append((level, time.time(), line))

    def take(self) -> tuple[int, float, bytes] | None:
        """The oldest line, with its level and time."""
        if not self._lines:
            return None
        found = self._lines.popleft()
        self._used -= HEAD + len(found[2])
        return found
