"""The postpone filter, in locations that make subrequests into their response. nginx: ``ngx_http_postpone_filter_module``.

What it does is in ``http/postpone.py``; here is its place among the filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.directives import Module
from ..http.postpone import in_order, node_of

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.routing import HeaderFilter, Location


def header_filter(loc: Location) -> HeaderFilter | None:
    """The filter of a location, which puts the body filter in place."""
    if not loc.postpones:
        return None

    def postpone(r: Request) -> None:
        if not r.is_subrequest:
            node_of(r)
            r.add_body_filter(in_order)

    return postpone


MODULE = Module(name="postpone", header_filter=header_filter)
