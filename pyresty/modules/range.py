"""Range requests for responses whose handler allows them. nginx: ``ngx_http_range_filter_module``.

The filter decides and writes the head; the handler then sends the slices named by ``r.ranges`` (``static.py`` does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.directives import Module
from ..http.conditional import range_applies
from ..http.headers_out import get_header_out, set_header_out
from ..http.ranges import UNLIMITED, Unsatisfiable, content_range, multipart, parse_ranges, unsatisfied_range
from ..http.request import Finalize

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http.request import Request
    from ..http.routing import Location


def header_filter(loc: Location) -> Callable[[Request], None] | None:
    """The filter of a location; none with ``max_ranges 0``."""
    max_ranges = UNLIMITED if loc.core.max_ranges is None else loc.core.max_ranges
    if max_ranges == 0:
        return None

    def ranges(r: Request) -> None:
        if not r.allow_ranges or r.status != 200 or r.content_length is None or r.version < 1000 or r.is_subrequest:
            return
        value = r.index.get(b"range")
        if isinstance(value, list):
            value = value[0]
        if (
            value is None
            or value[:6].lower() != b"bytes="
            or not range_applies(r.header_in(b"if-range"), r.last_modified, get_header_out(r, b"etag"))
        ):
            r.headers_out.append((b"Accept-Ranges", b"bytes"))
            return
        _apply(r, value, r.content_length, max_ranges)

    return ranges


def _apply(r: Request, value: bytes, size: int, max_ranges: int) -> None:
    found = parse_ranges(value, size, max_ranges)
    if found is None or (r.single_range and isinstance(found, list) and len(found) > 1):
        r.headers_out.append((b"Accept-Ranges", b"bytes"))
        return
    if isinstance(found, Unsatisfiable):
        set_header_out(r, b"Content-Range", [unsatisfied_range(size)])
        r.content_length = None
        raise Finalize(416)
    r.status = 206
    r.status_line = None
    r.ranges = found
    if len(found) == 1:
        start, end = found[0]
        set_header_out(r, b"Content-Range", [content_range(start, end, size)])
        r.content_length = end - start
        return
    content_type = r.content_type or b""
    if r.charset and content_type:
        content_type += b"; charset=" + r.charset
    r.multipart = multipart(found, size, content_type)
    r.content_type = r.multipart.content_type
    r.charset = None
    r.content_length = r.multipart.length


MODULE = Module(name="range", header_filter=header_filter)
