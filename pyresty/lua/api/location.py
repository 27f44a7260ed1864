"""ngx.location.capture and capture_multi: https://github.com/openresty/lua-nginx-module#ngxlocationcapture"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ...http.body import RequestBody
from ...http.dates import http_time
from ...http.phases import begin
from ...http.request import ERROR, Request
from ...http.subrequest import Subrequest, begin_subrequest, may_go_deeper
from ...http.uri import UnsafeURI, parse_unsafe_uri
from ...process.logs import DEBUG
from ..scheduler import Exit

if TYPE_CHECKING:
    from ..vm import LuaVM

Answer = tuple[Any, ...]

SHARE, COPY, FORWARD = 1, 2, 4

_FIELDS = 6  # uri, method, args, body, flags, state; then the counted runs of vars and headers


def capture_plain(r: Request, *uris: bytes) -> Answer | Awaitable[Answer]:
    """``capture`` for subrequests without options."""
    if r.subrequests == 0 or b"content-length" in r.index or b"transfer-encoding" in r.index:
        flat: list[Any] = []
        for uri in uris:
            flat += (uri, b"GET", False, False, 0, 0, 0, 0)
        return capture(r, len(uris), *flat)
    subs = []
    for raw in uris:
        parsed = _parsed.get(raw) or _parse(raw)
        if isinstance(parsed, bytes):
            return None, parsed
        subs.append(Subrequest(r, parsed[0], parsed[1], b"GET"))
    return _run(r, subs)


def capture(r: Request, count: int, *flat: Any) -> Answer | Awaitable[Answer]:
    """Run ``count`` subrequests at once; the flat responses: status, truncated, body, number of headers, name, value, …

    A failure to make one is ``(None, message)``.
    """
    at = 0
    subs: list[Subrequest] = []
    for _ in range(int(count)):
        made, at = _make(r, flat, at)
        if isinstance(made, bytes):
            return None, made
        subs.append(made)
    return _run(r, subs)


def _run(r: Request, subs: list[Subrequest]) -> Answer | Awaitable[Answer]:
    if not r.loc.conf["lua"].code_cache:
        # without the code cache a VM belongs to a main request and its subrequests, so they share modules
        adopt = r.server.config.lua.adopt
        for sub in subs:
            sub.lua = adopt(r.lua, sub.lua)
    if r.loc.core.error_log.level >= DEBUG:
        for sub in subs:
            r.log(DEBUG, b'lua http subrequest "%s?%s"' % (sub.uri, sub.args or b""))
    waiting = [coro for sub in subs if (coro := begin_subrequest(sub)) is not None]
    if waiting:
        return _wait(r, subs, waiting)
    return _responses(subs)


async def _wait(r: Request, subs: list[Subrequest], waiting: list[Coroutine[Any, Any, None]]) -> Answer:
    if len(waiting) == 1:
        await waiting[0]
    else:
        tasks = [task for coro in waiting if (task := begin(r, coro)) is not None]
        if tasks:
            await asyncio.wait(tasks)
    return _responses(subs)


def _responses(subs: list[Subrequest]) -> Answer:
    answer: list[Any] = []
    for sub in subs:
        if sub.truncated and sub.main.aborted:
            raise Exit(ERROR)
        _response(sub, answer)
    return tuple(answer)


#: Parsed forms of recent URIs.
_parsed: dict[bytes, tuple[bytes, bytes | None]] = {}


def _parse(raw: bytes) -> tuple[bytes, bytes | None] | bytes:
    """Path and arguments of a subrequest's URI, or the message that refuses it."""
    try:
        parsed = parse_unsafe_uri(raw)
    except UnsafeURI:
        return b"unsafe uri in argument #1: " + raw.partition(b"\0")[0]
    if len(_parsed) >= 1024:
        _parsed.clear()
    _parsed[raw] = parsed
    return parsed


def _make(r: Request, flat: tuple[Any, ...], at: int) -> tuple[Subrequest | bytes, int]:
    """The subrequest described from position ``at``, or an error message; and the position after it."""
    raw, method, args, body, flags, state = flat[at : at + _FIELDS]
    at += _FIELDS
    count = int(flat[at])
    at += 1
    extra_vars = flat[at : at + 2 * count]
    at += 2 * count
    count = int(flat[at])
    at += 1
    extra_headers = flat[at : at + 2 * count]
    at += 2 * count
    parsed = _parsed.get(raw) or _parse(raw)
    if isinstance(parsed, bytes):
        return parsed, at
    uri, own_args = parsed
    if args is False:
        args = own_args
    elif own_args:
        args = own_args + b"&" + args if args else own_args
    elif not args:
        args = own_args
    if not may_go_deeper(r):
        return b"failed to issue subrequest: -1", at
    sub = Subrequest(r, uri, args, method)
    sub.lua = int(state)
    flags = int(flags)
    if r.vars is not None:
        if flags & SHARE:
            sub.vars = r.vars
        elif flags & COPY:
            sub.vars = dict(r.vars)
    elif flags & SHARE:
        sub.vars = r.vars = {}
    _set_body(sub, r, body, method, flags)
    for i in range(0, len(extra_headers), 2):
        sub.set_header_in(extra_headers[i], [extra_headers[i + 1]])
    for i in range(0, len(extra_vars), 2):
        error = _set_var(sub, extra_vars[i], extra_vars[i + 1])
        if error is not None:
            r.log(4, error)
            return b"failed to adjust the subrequest: -1", at
    return sub, at


def _set_body(sub: Subrequest, r: Request, body: Any, method: bytes, flags: int) -> None:
    """Give the subrequest its body: the option's, or the parent's for PUT and POST or where always forwarded.

    The parent's Content-Length goes with its body. ngx_lua: ``ngx_http_lua_adjust_subrequest``.
    """
    if body is not False:
        sub.body = RequestBody(r.main)
        sub.body.set_data(body)
        sub.set_header_in(b"Content-Length", [b"%d" % len(body)])
    elif flags & FORWARD or method in (b"PUT", b"POST"):
        sub.body = r.body
        if r.head.chunked:
            sub.set_header_in(b"Content-Length", [])
    elif b"content-length" in sub.index:
        sub.set_header_in(b"Content-Length", [])
    if b"transfer-encoding" in sub.index:
        sub.set_header_in(b"Transfer-Encoding", [])


def _set_var(sub: Subrequest, name: bytes, value: bytes) -> bytes | None:
    variable = sub.server.config.variable(name.decode("utf-8", "surrogateescape").lower())
    if variable is None or variable.get is None:
        return b'variable "%s" cannot be assigned a value (maybe you forgot to define it first?) ' % name
    if variable.set is None:
        return b'variable "%s" not changeable' % name
    variable.set(sub, value)
    return None


def _response(sub: Subrequest, answer: list[Any]) -> None:
    """Append the response of ``sub`` in its flat form."""
    parts = sub.captured
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    plain = sub.content_length is None and sub.last_modified is None and sub.location is None and not sub.headers_out
    if plain and sub.content_type and sub.charset is None:
        answer += (sub.status, sub.truncated, body, 1, b"Content-Type", sub.content_type)
        return
    headers: list[Any] = []
    for name, value in sub.headers_out:
        headers += (name, value)
    kind = sub.content_type
    if kind:
        if sub.charset and b"charset=" not in kind:
            kind += b"; charset=" + sub.charset
        headers += (b"Content-Type", kind)
    if sub.content_length is not None:
        headers += (b"Content-Length", sub.content_length)
    if sub.location is not None:
        headers += (b"Location", sub.location)
    if sub.last_modified is not None and sub.status in (200, 204, 206, 304):
        headers += (b"Last-Modified", http_time(sub.last_modified))
    answer += (sub.status, sub.truncated, body, len(headers) >> 1, *headers)


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls."""

    def is_subrequest() -> bool:
        """``ngx.is_subrequest``."""
        return vm.r is not None and vm.r.is_subrequest

    return {"is_subrequest": is_subrequest}


OPERATIONS = {"capture": capture, "capture_plain": capture_plain}
