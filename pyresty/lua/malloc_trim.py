"""``lua_malloc_trim``: give memory back to the system after every so many requests, by glibc's ``malloc_trim``.

Off unless configured, as Python keeps most of its memory in blocks of its own. https://github.com/openresty/lua-nginx-module#lua_malloc_trim
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..process.logs import DEBUG

if TYPE_CHECKING:
    from ..http.request import Request


def make_trim(every: int) -> Callable[[Request], None] | None:
    """The log handler that counts a worker's requests; None where the C library has no ``malloc_trim``."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return None
    count = 0

    def trim(r: Request) -> None:
        nonlocal count
        count += 1
        if count >= every:
            count = 0
            r.log(DEBUG, f"malloc_trim(1) returned {malloc_trim(1)}")

    return trim
