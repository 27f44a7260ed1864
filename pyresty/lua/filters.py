"""The filters that run Lua code: ``header_filter_by_lua*`` and ``body_filter_by_lua*``.

Each is a call into Lua of its own, made while no Lua code of the request runs: what a handler prints in such a location reaches us as an
operation that it waits for. The Lua half is ``runtime/filter.lua``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http.phases import abort
from ..http.request import ERROR, Finalize, Request
from ..http.subrequest import Subrequest
from ..process.logs import ERR
from ..upstream.exchange import HEAD_READ, TO_CLIENT

if TYPE_CHECKING:
    from ..http.request import BodyFilter
    from ..http.routing import HeaderFilter, Location
    from .handlers import Code


def make_filters(loc: Location) -> HeaderFilter | None:
    """The header filter of a location, which also puts its body filter in place; None without Lua filters."""
    conf = loc.conf["lua"]
    header: Code | None = conf.header_filter
    body = make_body_filter(loc, conf.body_filter) if conf.body_filter is not None else None
    if header is None and body is None:
        return None
    config = loc.server.config
    cache = conf.code_cache

    def header_filter(r: Request) -> None:
        if body is not None:
            r.add_body_filter(body)
        if header is not None:
            run_header(r, header)
        if r.main.action is HEAD_READ:
            r.main.action = TO_CLIENT

    def run_header(r: Request, header: Code) -> None:
        vm = config.lua
        chunk = header.chunk(vm, r, cache)
        if chunk < 0:
            raise Finalize(ERROR)
        outer, vm.r = vm.r, r
        r.lua, error, code = vm.header_filter(chunk, r.lua)
        vm.r = outer
        if error is not None:
            r.log(ERR, b"failed to run header_filter_by_lua*: " + error)
            raise Finalize(ERROR)
        if code is not None and code != r.filter_exit:
            r.filter_exit = int(code)
            if code != ERROR:
                _clean(r)
            raise Finalize(r.filter_exit)

    return header_filter


def _clean(r: Request) -> None:
    """Forget the head that was to be sent. nginx: ``ngx_http_clean_header``."""
    r.headers_out = []
    r.status = 0
    r.status_line = r.content_type = r.charset = r.content_length = r.last_modified = r.location = None
    r.server_header = r.date_header = r.length_name = None
    r.allow_ranges = False


def _broken(r: Request) -> Finalize:
    """What ends a response whose body filter has failed. With that of a subrequest goes the whole request, as in OpenResty."""
    if r.is_subrequest:
        abort(r.main, ERROR)
    return Finalize(ERROR)


def make_body_filter(loc: Location, code: Code) -> BodyFilter:
    """The body filter of a location."""
    config = loc.server.config
    cache = loc.conf["lua"].code_cache

    def body_filter(r: Request, data: bytes, last: bool) -> bytes:
        if r.header_only:
            return data
        if r.body_ended:
            return b""
        vm = config.lua
        chunk = code.chunk(vm, r, cache)
        if chunk < 0:
            raise _broken(r)
        outer, vm.r = vm.r, r
        r.lua, error, data, ends, r.body_ended, failed = vm.body_filter(chunk, r.lua, data, last)
        vm.r = outer
        if error is not None:
            r.log(ERR, b"failed to run body_filter_by_lua*: " + error)
            raise _broken(r)
        if failed:
            raise _broken(r)
        if ends is not last:
            r.body_last = ends
            if last and type(r) is Subrequest:  # a captured body is whole when its end has come through
                r.truncated = True
        return data

    return body_filter
