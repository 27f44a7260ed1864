"""Responses kept by other locations: memcached, redis, anything that answers GET and PUT. https://github.com/openresty/srcache-nginx-module

The one idea: two subrequests around the content handler. The one in the access phase may bring a stored response, which is then the
answer; the other is made when the response is complete, with the response as its body. ``http/stored.py`` is the form they pass around.
"""

from __future__ import annotations

import asyncio
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
from ..http.body import RequestBody
from ..http.dates import parse_http_time
from ..http.headers_out import get_header_out, get_headers_out
from ..http.phases import begin
from ..http.postpone import PlainSubrequest, may_begin, node_of
from ..http.request import ERROR
from ..http.stored import HIDDEN, BadHead, Stored, parse, restore, serialize
from ..http.subrequest import begin_subrequest
from ..http.template import Template, encode
from ..http.uri import UnsafeURI, parse_unsafe_uri
from ..process.logs import DEBUG, ERR, WARN
from .static import send_data

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location, PhaseHandler

#: Methods that a subrequest may have.
_METHODS = (
    "GET", "PUT", "POST", "HEAD", "COPY", "MOVE", "LOCK", "MKCOL", "TRACE", "DELETE", "UNLOCK", "OPTIONS", "PROPFIND", "PROPPATCH",
)  # fmt: skip
#: Statuses that are stored where ``srcache_store_statuses`` says nothing.
_STATUSES = frozenset((200, 301, 302, 307, 308))
#: What is taken for the head's size where only the body's is known.
_HEAD_SIZE = 15


@dataclass(frozen=True)
class Target:
    """What ``srcache_fetch`` or ``srcache_store`` asks for."""

    method: bytes
    location: Template
    args: Template | None


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


class Context:
    """How far srcache is with a request."""

    __slots__ = ("asked", "expires", "from_cache", "head", "parts", "size", "status", "stores")

    def __init__(self) -> None:
        self.asked = False  #: a subrequest has been made to fetch the response
        self.from_cache = False
        self.stores = False  #: the response is being gathered, or has been stored
        self.expires = 0  #: until when the response is good, in seconds since 1970; 0 if it doesn't say
        self.status = 0
        self.head = b""
        self.parts: list[bytes] = []
        self.size = 0  #: of the body


def context_of(r: Request) -> Context | None:
    """What srcache knows of ``r``."""
    found: Context | None = r.__dict__.get("srcache")
    return found


def _true(template: Template | None, r: Request) -> bool:
    return template is not None and template(r) not in (b"", b"0")


# -- fetching


class _Asked(PlainSubrequest):
    """A subrequest that brings a stored response or stores one. ``rc`` is the status that it has ended with instead of answering."""

    __slots__ = ("rc",)

    def __init__(self, parent: Request, uri: bytes, args: bytes | None, method: bytes) -> None:
        super().__init__(parent, uri, args, method, share_variables=False)
        self.rc = 0

    def emit(self, data: bytes) -> None:
        self.captured.append(data)

    def end_with(self, status: int) -> int:
        self.rc = status
        self.status = 0
        self.header_sent = self.finished = True
        return 0


def _make(r: Request, target: Target) -> _Asked | None:
    """A subrequest to ``target``, with variables of its own; None if its URI is no good."""
    uri = target.location(r)
    try:
        path, args = parse_unsafe_uri(uri) if uri else (b"", None)
    except UnsafeURI:
        r.log(ERR, b'unsafe URI "%s" was detected' % uri)
        return None
    given = target.args(r) if target.args is not None else b""
    if not path or not may_begin(r, path):
        return None
    return _Asked(r, path, given or args, target.method)


def make_access(conf: SrcacheLocation) -> PhaseHandler:
    """The last handler of the access phase. nginx: ``ngx_http_srcache_access_handler``."""
    methods = conf.methods | {b"GET", b"HEAD"}

    async def fetch(r: Request) -> int | None:
        r.__dict__.pop("srcache", None)
        if r.method not in methods:
            return None
        if conf.request_cache_control:
            no_cache, no_store = _request_says(r)
            if no_cache:
                if not no_store:
                    r.__dict__["srcache"] = Context()
                return None
        r.__dict__["srcache"] = ctx = Context()
        if conf.fetch is None or _true(conf.fetch_skip, r):
            return None
        if r.head.has_body and r.body is None and not r.discarded:
            r.body = RequestBody(r)
            await r.body.read()
        sub = _make(r, conf.fetch)
        if sub is None:
            return ERROR
        ctx.asked = True
        coro = begin_subrequest(sub)
        if coro is not None:
            await coro
        stored = _found(sub, conf)
        if stored is None:
            return None
        ctx.from_cache = True
        return _answer(r, stored)

    return fetch


def _request_says(r: Request) -> tuple[bool, bool]:
    """Whether the client wants no stored response, and whether it wants none to be stored."""
    control = (r.header_in(b"cache-control") or b"").lower()
    no_cache = b"no-cache" in control or b"no-cache" in (r.header_in(b"pragma") or b"").lower()
    return no_cache, b"no-store" in control


def _found(sub: _Asked, conf: SrcacheLocation) -> Stored | None:
    """The stored response that a subrequest has brought."""
    if sub.status != 200 or sub.method == b"HEAD":
        return None
    if sub.truncated:
        sub.log(ERR, "srcache_fetch: cache sent truncated response body")
        return None
    try:
        return parse(b"".join(sub.captured), conf.header_buffer_size)
    except BadHead as bad:
        sub.log(ERR, str(bad))
        return None


def _answer(r: Request, stored: Stored) -> int:
    restore(r, stored)
    r.content_length = len(stored.body)
    return send_data(r, stored.body)


# -- storing


def header_filter(loc: Location) -> Callable[[Request], None] | None:
    """The filter of a location that stores; for the client's own requests only."""
    conf: SrcacheLocation = loc.conf["srcache"]
    if conf.store is None:
        return None

    def srcache(r: Request) -> None:
        ctx = context_of(r)
        if ctx is None or ctx.from_cache or not _storable(r, conf, ctx):
            return
        r.log(DEBUG, "srcache_store decides to store the response")
        ctx.stores = True
        ctx.status = r.status
        ctx.head = serialize(r, conf.hidden)
        r.need_memory = True
        r.add_body_filter(gather)

    def gather(r: Request, data: bytes, last: bool) -> bytes:
        ctx = context_of(r)
        if ctx is not None and ctx.stores:
            _gather(r, conf, ctx, data, last)
        return data

    return srcache


def _storable(r: Request, conf: SrcacheLocation, ctx: Context) -> bool:
    """Whether the response may be stored, as far as its head tells. nginx: ``ngx_http_srcache_header_filter``."""
    if r.method not in conf.methods | {b"GET"}:
        return False
    encoding = get_header_out(r, b"content-encoding")
    if encoding and not conf.ignore_content_encoding:
        r.log(
            WARN,
            b'srcache_store skipped due to response header "Content-Encoding: %s" (maybe you forgot to disable compression on '
            b"the backend?)" % encoding,
        )
        return False
    if conf.response_cache_control and not _response_allows(r, conf, ctx):
        r.log(DEBUG, "srcache_store skipped due to response header Cache-Control")
        return False
    if _true(conf.store_skip, r) or r.status not in conf.store_statuses:
        return False
    limit = conf.store_max_size
    return not (limit and r.content_length and r.content_length + _HEAD_SIZE > limit)


def _response_allows(r: Request, conf: SrcacheLocation, ctx: Context) -> bool:
    """Whether ``Cache-Control`` and ``Expires`` let the response be stored; remembers for how long it is good."""
    for value in get_headers_out(r, b"cache-control"):
        value = value.lower()
        if (
            (b"private" in value and not conf.store_private)
            or (b"no-store" in value and not conf.store_no_store)
            or (b"no-cache" in value and not conf.store_no_cache)
        ):
            return False
        _, found, age = value.partition(b"max-age=")
        if found and not ctx.expires:
            digits = age.replace(b";", b",").replace(b" ", b",").partition(b",")[0]
            if (digits and not digits.isdigit()) or not int(digits or b"0"):
                return False
            ctx.expires = int(time.time()) + int(digits)
    expires = get_header_out(r, b"expires")
    if not ctx.expires and expires is not None:
        at = parse_http_time(expires)
        if at is None or at <= time.time():
            return False
        ctx.expires = at
    return True


def _gather(r: Request, conf: SrcacheLocation, ctx: Context, data: bytes, last: bool) -> None:
    """Take a piece of the response; the last one is the time to store it. nginx: ``ngx_http_srcache_body_filter``."""
    if r.status == 206 and ctx.status == 200:
        if not conf.store_ranges:
            ctx.stores = False
            return
        ctx.status = 206
        ctx.head = b"HTTP/1.1 206" + ctx.head[12:]
    if data:
        ctx.parts.append(data)
        ctx.size += len(data)
    if conf.store_max_size and len(ctx.head) + ctx.size > conf.store_max_size:
        ctx.stores = False
    elif last:
        ctx.stores = _complete(r, conf, ctx) and _store(r, conf, b"".join((ctx.head, *ctx.parts)))
    if not ctx.stores:
        ctx.parts.clear()


def _complete(r: Request, conf: SrcacheLocation, ctx: Context) -> bool:
    """Whether what has been gathered is the whole response, and still wanted."""
    length = r.content_length or 0
    if length > ctx.size:
        r.log(ERR, f"srcache_store: skipped because response body truncated: {length} > {ctx.size}")
        return False
    if r.status >= 300 and r.status != ctx.status:
        r.log(ERR, f"srcache_store: skipped due to new error status code {r.status} (old: {ctx.status})")
        return False
    return not _true(conf.store_skip, r)


def _store(r: Request, conf: SrcacheLocation, data: bytes) -> bool:
    """Have the response stored; the request ends when that is done. False if the subrequest can't be made."""
    assert conf.store is not None
    sub = _make(r, conf.store)
    if sub is None:
        return False
    sub.body = RequestBody(r)
    sub.body.set_data(data)
    sub.set_header_in(b"Content-Length", [b"%d" % len(data)])
    node = node_of(r)
    node.running += 1
    r.conn.loop.call_soon(_start, sub)
    return True


def _start(sub: _Asked) -> None:
    node = node_of(sub.parent)  # type: ignore[arg-type]
    coro = begin_subrequest(sub)
    task = None if coro is None else begin(sub, coro)

    def ended(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            node.tasks.discard(task)
        rc = ERROR if sub.truncated else sub.rc
        if rc < 0 or rc >= 300 or sub.status >= 300:
            sub.log(ERR, f"srcache_store subrequest failed: rc={rc} status={sub.status}")
        node.child_ended()

    if task is None:
        ended(None)
    else:
        node.tasks.add(task)
        task.add_done_callback(ended)


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
