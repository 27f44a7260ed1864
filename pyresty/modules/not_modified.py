"""Answers conditional requests with 304 or 412 where a handler was about to send 200. nginx: ``ngx_http_not_modified_filter_module``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.directives import Module
from ..http.conditional import CONDITIONS, evaluate
from ..http.headers_out import get_header_out, set_header_out
from ..http.request import Finalize

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http.request import Request
    from ..http.routing import Location


def header_filter(loc: Location) -> Callable[[Request], None]:
    """The filter of a location."""
    if_modified_since = loc.core.if_modified_since

    def not_modified(r: Request) -> None:
        if CONDITIONS.isdisjoint(r.index) or r.status != 200 or r.is_subrequest or r.disable_not_modified:
            return
        status = evaluate(r.index, r.last_modified, get_header_out(r, b"etag"), if_modified_since)
        if status == 412:
            raise Finalize(412)
        if status == 304:
            r.status = 304
            r.status_line = None
            r.type_before_304 = r.content_type  # type: ignore[attr-defined]  # headers_more still goes by it
            r.content_type = None
            r.content_length = None
            r.allow_ranges = False
            set_header_out(r, b"Accept-Ranges", [])
            set_header_out(r, b"Content-Encoding", [])

    return not_modified


MODULE = Module(name="not_modified", header_filter=header_filter)
