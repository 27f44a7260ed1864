"""The filter of echo: texts before and after the body, whoever makes it. https://github.com/openresty/echo-nginx-module#filter-directives"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.routing import HeaderFilter
    from ..http.template import Template


class Around:
    """The body filter of one response. The texts are rendered when they are due."""

    __slots__ = ("after", "before")

    def __init__(self, before: list[Template], after: list[Template]) -> None:
        self.before = before
        self.after = after

    def __call__(self, r: Request, data: bytes, last: bool) -> bytes:
        """What goes on for a piece of the body."""
        if r.header_only:
            return data
        if self.before:
            data = b"".join([text(r) for text in self.before]) + data
            self.before = []
        if last and self.after:
            data += b"".join([text(r) for text in self.after])
            self.after = []
        return data


def make_filter(before: list[Template], after: list[Template]) -> HeaderFilter:
    """The header filter, which puts the body filter in place."""

    def header_filter(r: Request) -> None:
        r.content_length = None
        r.allow_ranges = False
        r.need_memory = True
        r.add_body_filter(Around(before, after))

    return header_filter
