"""The clock, dates and ngx.sleep: https://github.com/openresty/lua-nginx-module#ngxtime"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http import dates
from ...http.request import Request
from ...process.logs import DEBUG

if TYPE_CHECKING:
    from ..vm import LuaVM


async def sleep(r: Request, ms: float) -> tuple[Any, ...]:
    """``ngx.sleep(seconds)``; resolution is a millisecond."""
    debug = r.loc.core.error_log.enabled(DEBUG)
    if debug:
        r.log(DEBUG, f"lua ready to sleep for {int(ms)} ms")
    await asyncio.sleep(ms / 1000)
    if debug:
        r.log(DEBUG, b'lua sleep timer expired: "%s?%s"' % (r.uri, r.args or b""))
    return ()


def _seconds(number: float) -> int:
    """A number of Lua's as whole seconds; what is no number, or out of range, is at the end of the range."""
    try:
        return int(number)
    except (ValueError, OverflowError):
        return 0 if number != number or number < 0 else 1 << 60


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def text(form: str, convert: Callable[[float], time.struct_time]) -> Callable[[int], bytes]:
        """A function that gives a time in the form of ``strftime``; the last one is kept."""
        made, kept = -1, b""

        def current(second: int) -> bytes:
            nonlocal made, kept
            if second != made:
                made, kept = second, time.strftime(form, convert(second)).encode()
            return kept

        return current

    return {
        "today": text("%Y-%m-%d", time.localtime),
        "localtime": text("%Y-%m-%d %H:%M:%S", time.localtime),
        "utctime": text("%Y-%m-%d %H:%M:%S", time.gmtime),
        "http_time": lambda seconds: dates.http_time(_seconds(seconds)),
        "cookie_time": lambda seconds: dates.cookie_time(_seconds(seconds)),
        "parse_http_time": dates.parse_http_time,
    }


OPERATIONS = {"sleep": sleep}
#: What OpenResty writes to its log, at level debug, when the thread that waits is killed.
KILLED = {"sleep": "lua clean up the timer for pending ngx.sleep"}
