"""Requests sent somewhere else, too, without anybody reading the answers. https://nginx.org/en/docs/http/ngx_http_mirror_module.html"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import FLAG, HSL, TAKE1, UNSET, Directive, Module, Settings, flag, setting
from ..http.body import RequestBody
from ..http.postpone import PlainSubrequest, may_begin, post
from ..http.template import encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler


@dataclass
class MirrorSettings(Settings):
    """Settings of a location. ``mirror off`` is an empty list."""

    uris: tuple[bytes, ...] = setting(())
    request_body: bool = setting(True)


def set_mirror(cf: Builder, conf: MirrorSettings, node: Node) -> None:
    """``mirror uri``, as often as wanted, or ``mirror off``."""
    if node.args[0] == "off":
        if conf.uris is not UNSET:
            raise ValueError("is duplicate")
        conf.uris = ()
        return
    if conf.uris == ():
        raise ValueError("is duplicate")
    conf.uris = (*(conf.uris or ()), encode(node.args[0]))


def make_mirror(uris: tuple[bytes, ...], request_body: bool) -> PhaseHandler:
    """The handler of the precontent phase."""

    async def mirror(r: Request) -> int | None:
        if r.is_subrequest:
            return None
        if request_body:
            if r.body is None:
                r.body = RequestBody(r)
            await r.body.read()
        for uri in uris:
            if not may_begin(r, uri):
                return 500
            sub = PlainSubrequest(r, uri, r.args, r.method)
            sub.header_only = True
            post(sub)
        return None

    return mirror


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler where there is something to mirror to."""
    conf: MirrorSettings = loc.conf["mirror"]
    if conf.uris:
        loc.precontent += (make_mirror(conf.uris, conf.request_body),)


MODULE = Module(
    name="mirror",
    location=MirrorSettings,
    on_location=on_location,
    directives=(
        Directive("mirror", HSL, TAKE1, set_mirror),
        Directive("mirror_request_body", HSL, FLAG, flag("request_body")),
    ),
)
