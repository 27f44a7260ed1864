"""Responses kept by other locations: memcached, redis, anything that answers GET and PUT. https://github.com/openresty/srcache-nginx-module

The one idea: two subrequests around the content handler. The one in the access phase may bring a stored response, which is then the
answer; the other is made when the response is complete, with the response as its body. The two halves are
``srcache_fetch.py`` and ``srcache_store.py``; ``http/stored.py`` is the form they pass around.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    LIF,
    ONE_MORE,
    TAKE1,
    TAKE23,
    UNSET,
    Directive,
    Module,
    Settings,
    flag,
    inner,
    no_effect,
    seconds,
    setting,
    size,
    template,
)
from ..http.stored import HIDDEN
from ..http.template import Template, encode
from .srcache_fetch import Target, context_of, make_access
from .srcache_store import header_filter

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location

#: Methods that a subrequest may have.
_METHODS = (
    "GET", "PUT", "POST", "HEAD", "COPY", "MOVE", "LOCK", "MKCOL", "TRACE", "DELETE", "UNLOCK", "OPTIONS", "PROPFIND", "PROPPATCH",
)  # fmt: skip
#: Statuses that are stored where ``srcache_store_statuses`` says nothing.
_STATUSES = frozenset((200, 301, 302, 307, 308))


@dataclass(eq=False)
class SrcacheLocation(Settings):
    """Settings of a location. Times in seconds, sizes in bytes."""

    fetch: Target | None = setting(None)
    store: Target | None = setting(None)
    fetch_skip: Template | None = setting(None)
    store_skip: Template | None = setting(None)
    store_max_size: int = setting(0)
    header_buffer_size: int = setting(4096)
    store_statuses: frozenset[int] = setting(_STATUSES)
    methods: frozenset[bytes] = setting(frozenset())
    ignore_content_encoding: bool = setting(False)
    request_cache_control: bool = setting(False)
    response_cache_control: bool = setting(True)
    store_no_store: bool = setting(False)
    store_no_cache: bool = setting(False)
    store_private: bool = setting(False)
    store_ranges: bool = setting(False)
    default_expire: float = setting(60.0)
    max_expire: float = setting(0.0)
    hide: list[str] = setting([])
    passes: list[str] = setting([])

    hidden: frozenset[bytes] = inner(frozenset)


# -- variables


def _fetch_status(r: Request) -> bytes:
    ctx = context_of(r)
    if ctx is None or not (ctx.from_cache or ctx.asked):
        return b"BYPASS"
    return b"HIT" if ctx.from_cache else b"MISS"


def _store_status(r: Request) -> bytes:
    ctx = context_of(r)
    return b"STORE" if ctx is not None and ctx.stores else b"BYPASS"


def _expire(r: Request) -> bytes | None:
    ctx = context_of(r)
    if ctx is None or not ctx.stores:
        return None
    conf: SrcacheLocation = r.loc.conf["srcache"]
    left = ctx.expires - int(time.time()) if ctx.expires else int(conf.default_expire)
    if conf.max_expire and left > conf.max_expire:
        left = int(conf.max_expire)
    return b"%d" % left


def prepare(cf: Builder) -> None:
    """Declare the variables."""
    cf.define("srcache_fetch_status", _fetch_status)
    cf.define("srcache_store_status", _store_status)
    cf.define("srcache_expire", _expire)


# -- directives


def _target(field: str) -> Callable[[Builder, Any, Node], None]:
    """Setter of ``srcache_fetch`` and ``srcache_store``: ``method uri [args]``."""

    def set_target(cf: Builder, conf: SrcacheLocation, node: Node) -> None:
        if getattr(conf, field) is not UNSET:
            raise ValueError("is duplicate")
        method = node.args[0]
        if method not in _METHODS:
            raise cf.error(f"{node.name} specifies bad HTTP method {method}")
        args = cf.template(node.args[2]) if len(node.args) > 2 else None
        setattr(conf, field, Target(encode(method), cf.template(node.args[1]), args))

    return set_target


def set_statuses(cf: Builder, conf: SrcacheLocation, node: Node) -> None:
    """``srcache_store_statuses status …``."""
    if conf.store_statuses is not UNSET:
        raise ValueError("is duplicate")
    for word in node.args:
        if not (word.isascii() and word.isdigit()):
            raise cf.error(f'status code "{word}" is an invalid number')
    conf.store_statuses = frozenset(map(int, node.args))


def set_methods(cf: Builder, conf: SrcacheLocation, node: Node) -> None:
    """``srcache_methods method …``; GET and HEAD are always among them."""
    have = conf.methods
    chosen = set() if have is UNSET else set(have)
    for word in node.args:
        if word not in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            raise cf.error(f'invalid value "{word}"')
        chosen.add(word.encode())
    conf.methods = frozenset(chosen)


def _names(field: str) -> Callable[[Builder, Any, Node], None]:
    """Setter that gathers names of headers."""

    def add(cf: Builder, conf: SrcacheLocation, node: Node) -> None:
        have = getattr(conf, field)
        setattr(conf, field, [*(() if have is UNSET else have), node.args[0].lower()])

    return add


def on_location(cf: Builder, loc: Location) -> None:
    """Add the handler, behind all others of its phase."""
    conf: SrcacheLocation = loc.conf["srcache"]
    if conf.fetch is None and conf.store is None:
        return
    hidden = {*(name.decode() for name in HIDDEN), *conf.hide} - set(conf.passes)
    conf.hidden = frozenset(encode(name) for name in hidden)
    handler = make_access(conf)

    def add() -> None:
        loc.access += (handler,)

    cf.later(add)


MODULE = Module(
    name="srcache",
    location=SrcacheLocation,
    prepare=prepare,
    on_location=on_location,
    header_filter=header_filter,
    directives=(
        Directive("srcache_fetch", HSL | LIF, TAKE23, _target("fetch")),
        Directive("srcache_fetch_skip", HSL | LIF, TAKE1, template("fetch_skip")),
        Directive("srcache_store", HSL | LIF, TAKE23, _target("store")),
        Directive("srcache_store_skip", HSL | LIF, TAKE1, template("store_skip")),
        Directive("srcache_store_max_size", HSL | LIF, TAKE1, size("store_max_size")),
        Directive("srcache_store_statuses", HSL | LIF, ONE_MORE, set_statuses),
        Directive("srcache_store_ranges", HSL, FLAG, flag("store_ranges")),
        Directive("srcache_header_buffer_size", HSL | LIF, TAKE1, size("header_buffer_size")),
        Directive("srcache_store_hide_header", HSL, TAKE1, _names("hide")),
        Directive("srcache_store_pass_header", HSL, TAKE1, _names("passes")),
        Directive("srcache_methods", HSL, ONE_MORE, set_methods),
        Directive("srcache_ignore_content_encoding", HSL, FLAG, flag("ignore_content_encoding")),
        Directive("srcache_request_cache_control", HSL, FLAG, flag("request_cache_control")),
        Directive("srcache_response_cache_control", HSL, FLAG, flag("response_cache_control")),
        Directive("srcache_store_no_store", HSL, FLAG, flag("store_no_store")),
        Directive("srcache_store_no_cache", HSL, FLAG, flag("store_no_cache")),
        Directive("srcache_store_private", HSL, FLAG, flag("store_private")),
        Directive("srcache_default_expire", HSL | LIF, TAKE1, seconds("default_expire")),
        Directive("srcache_max_expire", HSL | LIF, TAKE1, seconds("max_expire")),
        Directive("srcache_buffer", HSL | LIF, TAKE1, no_effect("responses are gathered as they come")),
    ),
)
