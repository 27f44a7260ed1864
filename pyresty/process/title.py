"""What ``ps`` shows for a process, in nginx's words. Linux keeps the command line in the process's own memory, between
addresses that it tells; writing there is all it takes. Where that is not possible nothing changes.

Source: nginx's "Controlling nginx", whose examples look for these titles.
"""

from __future__ import annotations

import os


class Title:
    """The title of the process that makes it. To be made before the user is changed, which closes this door."""

    __slots__ = ("_memory", "_start", "_size")

    def __init__(self) -> None:
        self._memory = -1
        try:
            with open("/proc/self/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            # arg_start and arg_end, fields 48 and 49 in proc(5); the first two stand before the parenthesis.
            self._start = int(fields[45])
            self._size = int(fields[46]) - self._start
            self._memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
        except (OSError, IndexError):
            pass

    def set(self, text: str) -> None:
        """Show ``text`` behind ``nginx:``, cut to the length of the command line that started the program."""
        if self._memory < 0 or self._size <= 0:
            return
        title = f"nginx: {text}".encode("utf-8", "surrogateescape")[: self._size - 1]
        try:
            os.pwrite(self._memory, title.ljust(self._size, b"\0"), self._start)
        except OSError:
            os.close(self._memory)
            self._memory = -1
