"""sub_filter: https://nginx.org/en/docs/http/ngx_http_sub_module.html

The body filter looks for all strings at once, without regard to case. At the end of a piece of the body, what may be the beginning of a
string waits for the next piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    FLAG,
    HSL,
    ONE_MORE,
    TAKE2,
    UNSET,
    Directive,
    Module,
    Settings,
    flag,
    mime_types,
    setting,
)
from ..http.conditional import weak_etag
from ..http.headers_out import get_header_out, has_type, set_header_out
from ..http.postpone import LastInChain
from ..http.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location


@dataclass
class SubSettings(Settings):
    """Settings of a location; a block with pairs of its own does not inherit any."""

    pairs: tuple[tuple[Template, Template], ...] = setting(())
    once: bool = setting(True)
    last_modified: bool = setting(False)
    types: frozenset[bytes] = setting(frozenset((b"text/html",)))


def set_pair(cf: Builder, conf: SubSettings, node: Node) -> None:
    """``sub_filter string replacement``."""
    if not node.args[0]:
        raise cf.error("empty search pattern")
    pairs = () if conf.pairs is UNSET else conf.pairs
    if len(pairs) == 255:
        raise cf.error("number of search patterns exceeds 255")
    conf.pairs = (*pairs, (cf.template(node.args[0]), cf.template(node.args[1])))


class Substitution:
    """The body filter of one response: ``pairs`` are strings in lower case and their replacements."""

    __slots__ = ("_held", "_made", "_once", "_pairs")

    def __init__(self, pairs: list[tuple[bytes, Template]], once: bool) -> None:
        self._pairs = pairs
        self._once = once
        self._held = b""
        self._made: dict[bytes, bytes] = {}

    def __call__(self, r: Request, data: bytes, last: bool) -> bytes:
        if r.header_only:
            return b""
        last = last or data.__class__ is LastInChain
        data = self._held + data
        low = data.lower()
        pairs = self._pairs
        end = len(data) if last else self._decided(low)
        out: list[bytes] = []
        position = 0
        places = [self._find(low, text, 0, end) for text, _ in pairs]
        while pairs:
            at = min(places)
            if at >= end:
                break
            number = places.index(at)
            text, value = pairs[number]
            made = self._made.get(text)
            if made is None:
                made = self._made[text] = value(r)
            out += (data[position:at], made)
            position = at + len(text)
            if self._once:
                pairs = self._pairs = pairs[:number] + pairs[number + 1 :]
                del places[number]
            for number, place in enumerate(places):
                if place < position:
                    places[number] = self._find(low, pairs[number][0], position, end)
        end = max(position, end) if pairs else len(data)
        out.append(data[position:end])
        self._held = data[end:]
        return b"".join(out)

    def _decided(self, low: bytes) -> int:
        """Where the first string may begin that goes on in the next piece."""
        texts = [text for text, _ in self._pairs]
        for at in range(max(0, len(low) - max(map(len, texts), default=1) + 1), len(low)):
            rest = low[at:]
            if any(text.startswith(rest) and text != rest for text in texts):
                return at
        return len(low)

    @staticmethod
    def _find(low: bytes, text: bytes, position: int, end: int) -> int:
        at = low.find(text, position)
        return at if at >= 0 else end


def header_filter(loc: Location) -> Callable[[Request], None] | None:
    """The filter of a location; none without pairs."""
    conf: SubSettings = loc.conf["sub_filter"]
    if not conf.pairs:
        return None

    def sub(r: Request) -> None:
        if r.content_length == 0 or not has_type(r, conf.types):
            return
        found = [(search(r).lower(), value) for search, value in conf.pairs]
        pairs = [(text, value) for text, value in found if text]
        if not pairs:
            return
        r.add_body_filter(Substitution(pairs, conf.once))
        r.content_length = None
        if conf.last_modified:
            etag = get_header_out(r, b"etag")
            weak = weak_etag(etag)
            set_header_out(r, b"ETag", [weak] if weak is not None else [])
        else:
            r.last_modified = None
            set_header_out(r, b"Last-Modified", [])
            set_header_out(r, b"ETag", [])

    return sub


MODULE = Module(
    name="sub_filter",
    location=SubSettings,
    header_filter=header_filter,
    directives=(
        Directive("sub_filter", HSL, TAKE2, set_pair),
        Directive("sub_filter_last_modified", HSL, FLAG, flag("last_modified")),
        Directive("sub_filter_once", HSL, FLAG, flag("once")),
        Directive("sub_filter_types", HSL, ONE_MORE, mime_types("types")),
    ),
)
