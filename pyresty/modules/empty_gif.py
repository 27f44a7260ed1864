"""empty_gif: a transparent image of one pixel. https://nginx.org/en/docs/http/ngx_http_empty_gif_module.html"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.directives import LOCATION, NOARGS, Directive, Module

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Handler, Location

#: A GIF89a of one transparent pixel: header, two colours, the extension that says transparent, the picture, the end.
GIF = (
    b"GIF89a" + b"\x01\x00\x01\x00\x80\x01\x00"
    + b"\x00\x00\x00\xff\xff\xff"
    + b"\x21\xf9\x04\x01\x00\x00\x01\x00"
    + b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00" + b"\x02\x02\x4c\x01\x00"
    + b"\x3b"
)  # fmt: skip
#: nginx's date for it: Mon, 28 Sep 1970 06:00:00 GMT.
_MODIFIED = 23349600


def make_empty_gif(loc: Location) -> Handler:
    """The handler of a location."""

    def empty_gif(r: Request) -> int:
        if r.method not in (b"GET", b"HEAD"):
            return 405
        if r.head.has_body and not r.discard_body():
            return 400
        r.status = 200
        r.content_type = b"image/gif"
        r.last_modified = _MODIFIED
        return r.respond(GIF)

    return empty_gif


def set_empty_gif(cf: Builder, conf: Any, node: Node) -> None:
    """``empty_gif``."""
    assert cf.scope.loc is not None
    cf.scope.loc.content_factory = make_empty_gif


MODULE = Module(name="empty_gif", directives=(Directive("empty_gif", LOCATION, NOARGS, set_empty_gif),))
