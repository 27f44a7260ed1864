"""add_before_body and add_after_body. https://nginx.org/en/docs/http/ngx_http_addition_module.html"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HSL, ONE_MORE, TAKE1, Directive, Module, Settings, byte_string, mime_types, setting
from ..http.headers_out import body_changes, has_type
from ..http.postpone import LastInChain, PostponedSubrequest, may_begin, post
from ..http.request import ERROR, Finalize

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.request import Request
    from ..http.routing import HeaderFilter, Location


@dataclass
class AdditionSettings(Settings):
    """Settings of a location; an empty URI adds nothing."""

    before: bytes = setting(b"")
    after: bytes = setting(b"")
    types: frozenset[bytes] = setting(frozenset((b"text/html",)))


class Addition:
    """The body filter of one response."""

    __slots__ = ("after", "before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before = before
        self.after = after

    def __call__(self, r: Request, data: bytes, last: bool) -> bytes:
        """Put the subrequests before and after what passes."""
        if r.header_only:
            return data
        if self.before:
            before, self.before = self.before, b""
            add(r, before)
        if last and self.after:
            after, self.after = self.after, b""
            r.write_after(self, LastInChain(data))
            add(r, after)
            return b""
        return data


def add(r: Request, uri: bytes) -> None:
    """Make a subrequest whose response comes here."""
    if not may_begin(r, uri):
        raise Finalize(ERROR)
    post(PostponedSubrequest(r, uri, None))


def header_filter(loc: Location) -> HeaderFilter | None:
    """The filter of a location with something to add."""
    conf: AdditionSettings = loc.conf["addition"]
    if not conf.before and not conf.after:
        return None

    def addition(r: Request) -> None:
        if r.status != 200 or r.is_subrequest or not has_type(r, conf.types):
            return
        body_changes(r)
        r.need_memory = True
        r.add_body_filter(Addition(conf.before, conf.after))

    return addition


def on_location(cf: Builder, loc: Location) -> None:
    """Mark locations with something to add."""
    conf: AdditionSettings = loc.conf["addition"]
    if conf.before or conf.after:
        loc.postpones = True


MODULE = Module(
    name="addition",
    location=AdditionSettings,
    on_location=on_location,
    header_filter=header_filter,
    directives=(
        Directive("add_before_body", HSL, TAKE1, byte_string("before")),
        Directive("add_after_body", HSL, TAKE1, byte_string("after")),
        Directive("addition_types", HSL, ONE_MORE, mime_types("types")),
    ),
)
