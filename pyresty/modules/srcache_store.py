"""The second half of srcache: the response is gathered as it passes, and when it is complete, a subrequest stores it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..http.body import RequestBody
from ..http.dates import parse_http_time
from ..http.headers_out import get_header_out, get_headers_out
from ..http.postpone import post
from ..http.request import ERROR
from ..http.stored import serialize
from ..process.logs import DEBUG, ERR, WARN
from .srcache_fetch import Asked, Context, context_of, is_true, make_subrequest

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.routing import HeaderFilter, Location
    from .srcache import SrcacheLocation

#: What is taken for the head's size where only the body's is known.
_HEAD_SIZE = 15


class Store(Asked):
    """The subrequest that stores a response, which is its body."""

    __slots__ = ()

    def has_ended(self) -> None:
        rc = ERROR if self.truncated else self.rc
        if rc < 0 or rc >= 300 or self.status >= 300:
            self.log(ERR, f"srcache_store subrequest failed: rc={rc} status={self.status}")


def header_filter(loc: Location) -> HeaderFilter | None:
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
    if is_true(conf.store_skip, r) or r.status not in conf.store_statuses:
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
    return not is_true(conf.store_skip, r)


def _store(r: Request, conf: SrcacheLocation, data: bytes) -> bool:
    """Have the response stored; the request ends when that is done. False if the subrequest can't be made."""
    assert conf.store is not None
    sub = make_subrequest(r, conf.store, Store)
    if sub is None:
        return False
    sub.body = RequestBody(r)
    sub.body.set_data(data)
    sub.set_header_in(b"Content-Length", [b"%d" % len(data)])
    post(sub)
    return True
