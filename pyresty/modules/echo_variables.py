"""The variables of echo. https://github.com/openresty/echo-nginx-module#variables"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from .echo_commands import State


def _state(r: Request) -> State | None:
    found: State | None = r.contexts.get("echo") if r.contexts is not None else None
    return found


def it(r: Request) -> bytes | None:
    """``$echo_it``: where the loop stands."""
    state = _state(r)
    return state.choices[-1] if state is not None and state.choices else None


def timer_elapsed(r: Request) -> bytes:
    """``$echo_timer_elapsed``: seconds since the request began, or since ``echo_reset_timer``."""
    state = _state(r)
    begun = r.start if state is None else state.timer
    # both ends are cut to milliseconds first, as nginx's clock is
    return b"%.3f" % max(0.0, (int(time.time() * 1000) - int(begun * 1000)) / 1000)


def request_body(r: Request) -> bytes | None:
    """``$echo_request_body``: the body, if it has been read and is in memory."""
    return (r.body.data or None) if r.body is not None else None


def incr(r: Request) -> bytes | None:
    """``$echo_incr``: counts up at each use, in the main request's sequence."""
    state = _state(r.main)
    if state is None:
        return None
    state.counter += 1
    return b"%d" % state.counter


def cacheable_request_uri(r: Request) -> bytes:
    """``$echo_cacheable_request_uri``: the URI as it was at the first use."""
    if r.vars is None:
        r.vars = {}
    return r.vars.setdefault("echo_cacheable_request_uri", r.uri) or b""


def response_status(r: Request) -> bytes | None:
    """``$echo_response_status``: of this request or subrequest, once it is known."""
    return b"%d" % r.status if r.status else None


def define_variables(cf: Builder) -> None:
    """Declare them."""
    cf.define("echo_it", it)
    cf.define("echo_timer_elapsed", timer_elapsed)
    cf.define("echo_request_body", request_body)
    cf.define("echo_request_method", lambda r: r.method)
    cf.define("echo_client_request_method", lambda r: r.main.method)
    cf.define("echo_client_request_headers", lambda r: r.main.head.raw)
    cf.define("echo_request_uri", lambda r: r.uri)
    cf.define("echo_cacheable_request_uri", cacheable_request_uri)
    cf.define("echo_incr", incr)
    cf.define("echo_response_status", response_status)
