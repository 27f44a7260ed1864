"""The way of a request through nginx's phases, and what happens to the code that a handler returns.

A request of which only the content handler has to run is that one call, when the handler answers at once. Otherwise ``run`` is one
coroutine for the whole request, started by stepping it once (``start``); only a request that waits for something else than a
``Parked`` becomes a task. Phases: https://nginx.org/en/docs/dev/development_guide.html#http_phases
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import TYPE_CHECKING, Any

from ..process.logs import CRIT, ERR
from .headers_out import set_header_out
from .parked import Parked
from .regex import set_captures
from .request import ERROR, OK, REDIRECTED, Finalize, Request
from .special import special_response
from .status import is_msie6, is_safari

if TYPE_CHECKING:
    from .routing import Handler


async def run(r: Request, content: Awaitable[int | None] | None = None) -> None:
    """Serve ``r``: phases, internal redirects, error pages, until the response is complete. Never raises for a user's mistake.

    ``content`` is what a content handler that was called directly wants to have awaited.
    """
    try:
        rc = await _phases(r) if content is None else await content or OK
        while rc == REDIRECTED or (rc != OK and not r.header_sent):
            if rc != REDIRECTED:
                rc = await special_response(r, rc)
            if rc == REDIRECTED:
                rc = await _phases(r)
    except Finalize as stop:
        rc = await _late(r, stop.status)
    except Exception:
        r.log(CRIT, _traceback())
        rc = await _late(r, 500)
    if rc != OK:
        # The head has gone: the only way to tell the client is to break off.
        abort(r, rc)
    elif not r.header_sent:
        _empty(r)
    try:
        r.finish()
        if r.postponed is not None:
            await r.postponed.settled()
            r.postponed = None
    except Finalize as stop:
        abort(r, stop.status)
        r.emit_end()


async def _answer(rc: int | None) -> int | None:
    return rc


def refuse(r: Request, status: int) -> Coroutine[Any, Any, None]:
    """Answer ``r`` with ``status`` before any phase: its head was bad."""
    return run(r, _answer(status))


async def _raise(error: Exception) -> int | None:
    raise error


async def _late(r: Request, status: int) -> int:
    """A status that was raised instead of returned."""
    if r.header_sent:
        return status
    try:
        rc = await special_response(r, status)
        while rc == REDIRECTED:
            rc = await _phases(r)
            if rc not in (OK, REDIRECTED) and not r.header_sent:
                rc = await special_response(r, rc)
        return rc
    except Finalize as stop:
        if r.header_sent or r.uri_changes <= 1:
            return stop.status
        r.uri_changes -= 1
        return await _late(r, stop.status)


def abort(r: Request, rc: int) -> None:
    """Break off: the response can't be completed, so its framing must not look complete."""
    r.body_filters = None
    if r.is_subrequest:
        r.truncated = True  # type: ignore[attr-defined]
    else:
        r.keepalive = False
        if rc == ERROR and sum(map(len, r.out)) < r.loc.core.postpone_output:
            r.out.clear()
        r.flush()
        r.chunked = False
        r.aborted = True


def _empty(r: Request) -> None:
    """A handler that ended well and sent nothing: nginx closes the connection without an answer, and so do we."""
    r.header_only = True
    if not r.is_subrequest:
        r.keepalive = False


async def _phases(r: Request) -> int:
    """Run the phases from server_rewrite (or, in a named location, from rewrite) to content, and return the last code."""
    if r.named:
        r.named = False
        loc = r.loc
        r.uri_changed = False
    else:
        server = r.server
        if not server.quiet:
            r.loc = server.root
            for handler in server.rewrite:
                rc = await handler(r)
                if rc is not None:
                    return rc
            if server.script is not None:
                rc = server.script(r)
                if rc is not None:
                    return rc
        head = r.head
        if head.location is not None and r.uri is head.uri and not r.internal:
            loc = r.loc = head.location
            if head.captures is not None:
                set_captures(r, head.captures)
            if loc.simple:
                return await content(r)
        else:
            found = _find_location(r)
            if isinstance(found, int):
                return found
            loc = found
            if not r.internal and r.uri is head.uri:
                head.location = loc
                if r.match is not None:
                    head.captures = r.match
    while True:
        for handler in loc.first_rewrite:
            rc = await handler(r)
            if rc is not None:
                return rc
        if loc.script is not None and not r.uri_changed:
            rc = loc.script(r)
            if rc is not None:
                return rc
            loc = r.loc
        if loc.rewrite and not r.uri_changed:
            for handler in loc.rewrite:
                rc = await handler(r)
                if rc is not None:
                    return rc
                if r.uri_changed:
                    break
        if not r.uri_changed:
            break
        r.uri_changed = False
        r.uri_changes -= 1
        if r.uri_changes == 0:
            r.log(ERR, b'rewrite or internal redirection cycle while processing "%s"' % r.uri)
            return 500
        found = _find_location(r)
        if isinstance(found, int):
            return found
        loc = found
    for handler in loc.preaccess:
        rc = await handler(r)
        if rc is not None and rc != OK:
            return rc
    if loc.access and not r.is_subrequest:
        rc = await _access(r)
        if rc is not None:
            return rc
        loc = r.loc
    for handler in loc.precontent:
        rc = await handler(r)
        if rc is not None:
            return rc
    return await content(r)


def _find_location(r: Request) -> Any:
    """Phase find_config: choose the location; an int is the status to end with. nginx: ``ngx_http_core_find_config_phase``."""
    loc, match = r.server.find_location(r.uri)
    r.loc = loc
    r.match = match
    if match is not None:
        set_captures(r, match)
    if loc.limit_except is not None:
        allowed, other = loc.limit_except
        if r.method not in allowed:
            loc = r.loc = other
    core = loc.core
    if core.internal and not r.internal:
        return 404
    size = r.main.head.content_length
    limit = core.client_max_body_size
    if size is not None and limit and size > limit and not r.is_subrequest and r.body is None and not r.discarded:
        r.log(ERR, f"client intended to send too large body: {size} bytes")
        r.expect_tested = True
        r.discard_body()
        return 413
    if not core.keepalive_limit:
        r.keepalive = False  # of whatever location answers in the end
    elif core.keepalive_disable and r.keepalive and _keepalive_disabled(r, core.keepalive_disable):
        r.keepalive = r.head.keepalive = False
    if loc.auto_redirect and len(r.uri) + 1 == len(loc.prefix) and r.uri + b"/" == loc.prefix:
        r.location = loc.prefix + (b"?" + r.args if r.args is not None else b"")
        return 301
    return loc


def _keepalive_disabled(r: Request, browsers: frozenset[str]) -> bool:
    user_agent = r.header_in(b"user-agent")
    if user_agent is None:
        return False
    return ("msie6" in browsers and r.method == b"POST" and is_msie6(user_agent)) or (
        "safari" in browsers and is_safari(user_agent)
    )


async def _access(r: Request) -> int | None:
    """Phase access with ``satisfy all | any``: None lets the request pass."""
    loc = r.loc
    if not loc.core.satisfy_any:
        for handler in loc.access:
            rc = await handler(r)
            if rc is not None and (rc != OK or r.header_sent):
                return rc
        return None
    code = 0
    for handler in loc.access:
        rc = await handler(r)
        if rc == OK:
            if code == 401:
                set_header_out(r, b"WWW-Authenticate", [])
            return OK if r.header_sent else None
        if rc in (401, 403):
            if rc == 401 or code == 0:
                code = rc or 0
        elif rc is not None:
            return rc
    if code:
        if code == 403:
            r.log(ERR, "access forbidden by rule")
        return code
    return None


async def content(r: Request) -> int:
    """Phase content: the location's own handler."""
    rc = r.loc.content(r)
    if rc.__class__ is not int and rc is not None:
        rc = await rc  # type: ignore[misc]
    return rc or OK


def chain(handlers: tuple[Handler, ...]) -> Handler:
    """The content handler of a location without one of its own: index, autoindex, static in turn, else 404 or 403."""

    def try_in_turn(r: Request) -> Any:
        for handler in handlers:
            rc = handler(r)
            if rc is not None:
                return rc
        if r.uri.endswith(b"/"):
            r.log(ERR, b'directory index of "%s" is forbidden' % r.loc.core.path(r))
            return 403
        r.log(ERR, "no handler found")
        return 404

    return try_in_turn


def at_once(r: Request, handler: Handler) -> Coroutine[Any, Any, None] | None:
    """Call the content handler directly. None if that completed the response, else the coroutine that will."""
    try:
        rc = handler(r)
        if rc == OK and r.header_sent:
            if not r.finished:
                r.finish()
            return None
    except Exception as error:
        return run(r, _raise(error))
    if rc is None or rc.__class__ is int:
        return run(r, _answer(rc))
    return run(r, rc)  # type: ignore[arg-type]


def start(r: Request, coro: Coroutine[Any, Any, None] | None = None) -> None:
    """Serve the request as far as it goes without waiting; if it has to wait, a task carries it on.

    ``r.conn.ended(r)`` is called when it is complete.
    """
    if coro is None:
        head = r.head
        loc = head.location
        if loc is None and r.server.quiet:
            found = _find_location(r)
            if found.__class__ is int:
                step(r, run(r, _answer(found)))
                return
            loc = head.location = found
            head.captures = r.match
        if loc is not None and loc.simple:
            r.loc = loc
            if head.captures is not None:
                set_captures(r, head.captures)
            coro = at_once(r, loc.content)
        else:
            coro = run(r)
        if coro is None:
            r.conn.ended(r)
            return
    step(r, coro)


def step(r: Request, coro: Coroutine[Any, Any, None]) -> None:
    """Go on with a request that has to wait, up to where it waits again or ends."""
    try:
        waited = coro.send(None)
    except StopIteration:
        r.conn.ended(r)
        return
    if waited.__class__ is Parked:
        waited.resume = lambda: step(r, coro)
    else:
        r.conn.task = r.conn.loop.create_task(_carry_to_end(r, coro, waited))


def begin(r: Request, coro: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Step ``coro`` once, directly; None if that completed it, else the task that carries it on."""
    try:
        waited = coro.send(None)
    except StopIteration:
        return None
    if waited.__class__ is Parked:
        waited = next(iter(waited.future()))
    return r.conn.loop.create_task(_carry(coro, waited))


@types.coroutine
def _carry(coro: Coroutine[Any, Any, None], waited: Any) -> Generator[Any, Any, None]:
    """Carry on a started coroutine inside a task, from the future where it stopped."""
    try:
        while True:
            try:
                yield waited
            except BaseException as error:
                waited = coro.throw(error)
            else:
                yield from coro
                return
    except StopIteration:
        pass


async def _carry_to_end(r: Request, coro: Coroutine[Any, Any, None], waited: Any) -> None:
    await _carry(coro, waited)
    r.conn.ended(r)


def _traceback() -> str:
    import traceback

    return "internal error, please report it: " + traceback.format_exc().replace("\n", "\\n")


__all__ = ["ERROR", "OK", "REDIRECTED", "abort", "at_once", "begin", "chain", "content", "refuse", "run", "start"]
