"""The first half of srcache: the subrequest in the access phase that may bring a stored response.

What both halves share is here, too: what is remembered of a request, and how the subrequests are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..http.body import RequestBody
from ..http.postpone import PlainSubrequest, may_begin
from ..http.request import ERROR
from ..http.stored import BadHead, Stored, parse, restore
from ..http.subrequest import begin_subrequest
from ..http.uri import UnsafeURI, parse_unsafe_uri
from ..process.logs import ERR
from .static import send_data

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.routing import PhaseHandler
    from ..http.template import Template
    from .srcache import SrcacheLocation


@dataclass(frozen=True)
class Target:
    """What ``srcache_fetch`` or ``srcache_store`` asks for."""

    method: bytes
    location: Template
    args: Template | None


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
    found: Context | None = r.contexts.get("srcache") if r.contexts is not None else None
    return found


def _new_context(r: Request) -> Context:
    if r.contexts is None:
        r.contexts = {}
    made = r.contexts["srcache"] = Context()
    return made


def is_true(template: Template | None, r: Request) -> bool:
    """Whether a setting such as ``srcache_fetch_skip`` says so: anything but nothing and ``0``."""
    return template is not None and template(r) not in (b"", b"0")


class Asked(PlainSubrequest):
    """A subrequest that brings a stored response, or stores one. ``rc`` is the status that it has ended with instead of answering."""

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


def make_subrequest(r: Request, target: Target, kind: type[Asked]) -> Asked | None:
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
    return kind(r, path, given or args, target.method)


def make_access(conf: SrcacheLocation) -> PhaseHandler:
    """The last handler of the access phase. nginx: ``ngx_http_srcache_access_handler``."""
    methods = conf.methods | {b"GET", b"HEAD"}

    async def fetch(r: Request) -> int | None:
        if r.method not in methods:
            return None
        if conf.request_cache_control:
            no_cache, no_store = _request_says(r)
            if no_cache:
                if not no_store:
                    _new_context(r)
                return None
        ctx = _new_context(r)
        if conf.fetch is None or is_true(conf.fetch_skip, r):
            return None
        if r.head.has_body and r.body is None and not r.discarded:
            r.body = RequestBody(r)
            await r.body.read()
        sub = make_subrequest(r, conf.fetch, Asked)
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


def _found(sub: Asked, conf: SrcacheLocation) -> Stored | None:
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
