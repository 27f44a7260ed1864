"""memcached_pass: values of memcached as responses. https://nginx.org/en/docs/http/ngx_http_memcached_module.html

The one idea: ``ask`` sends one command through nginx's upstream machinery and answers with what came back; this module and ``memc.py``
differ in the commands they make.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    LIF,
    LOCATION,
    ONE_MORE,
    TAKE1,
    TAKE12,
    Directive,
    Module,
    Settings,
    bitmask,
    flag,
    inner,
    number,
    refuse,
    seconds,
    setting,
    size,
)
from ..http.template import Variable, assigner, encode
from ..http.uri import ESCAPE_MEMCACHED, escape_uri
from ..process.logs import ERR, INFO
from ..upstream.address import BadAddress, parse_url
from ..upstream.memcached import MemcachedUpstream
from ..upstream.passing import send_response
from ..upstream.peers import Choice, Peers
from ..upstream.pool import KeepalivePool
from .proxy import set_bind
from .static import send_data
from .upstream import UpstreamBlock, find_upstream

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Handler, Location
    from ..upstream.exchange import Body
    from ..upstream.memcached import Reply

NEXT = {word: word for word in ("error", "timeout", "invalid_response", "not_found", "off")}
#: What upstream/exchange.py calls two of these.
_WORDS = {"invalid_response": "invalid_header", "not_found": "http_404"}


@dataclass(eq=False)
class MemcachedSettings(Settings):
    """Settings of a location that asks memcached: those that the exchange reads. Times in seconds, sizes in bytes."""

    connect_timeout: float = setting(60.0)
    send_timeout: float = setting(60.0)
    read_timeout: float = setting(60.0)
    buffer_size: int = setting(4096)
    next_upstream: frozenset[str] = setting(frozenset(("error", "timeout")))
    next_upstream_tries: int = setting(0)
    next_upstream_timeout: float = setting(0.0)
    ignore_client_abort: bool = setting(False)
    local: Callable[[Request], tuple[str, int] | None] | None = setting(None)
    socket_keepalive: bool = setting(False)
    passes: bool = setting(False, inherit=False)

    upstream: UpstreamBlock | None = inner(lambda: None)
    window: int = inner(int)
    socket_options: list[tuple[int, int, int]] = inner(list)
    pools: dict[UpstreamBlock | None, KeepalivePool] = inner(dict)
    all_pools: list[KeepalivePool] = inner(list)

    # what these modules do not let one choose
    buffering = False
    buffers = (0, 0)
    intercept_errors = True

    def pool(self, upstream: UpstreamBlock) -> KeepalivePool:
        """The kept connections to ``upstream`` for this location."""
        pool = self.pools.get(upstream)
        if pool is None:
            pool = upstream.make_pool() if upstream.shared is None else upstream.shared
            self.pools[upstream] = pool
            self.all_pools.append(pool)
        return pool

    def arrange(self, cf: Builder) -> None:
        """Work out what follows from the settings."""
        self.window = self.buffer_size
        self.next_upstream = frozenset(_WORDS.get(word, word) for word in self.next_upstream)
        if "off" in self.next_upstream:
            self.next_upstream = frozenset(("off",))
        if self.socket_keepalive:
            self.socket_options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
        main: Any = cf.config.main["upstream"]
        self.all_pools = main.pools


@dataclass(eq=False)
class MemcachedLocation(MemcachedSettings):
    """The same, and what only ``memcached_pass`` has."""

    gzip_flag: int = setting(0)
    key: Variable | None = setting(None)  #: $memcached_key, which ``set`` has to define


def set_content(cf: Builder, conf: MemcachedSettings, factory: Callable[[Location], Handler], text: str | None) -> None:
    """An upstream, unless variables name it the one at ``text``, answers for the location. Raises ValueError where one does already."""
    if conf.passes:
        raise ValueError("is duplicate")
    if text is not None:
        set_upstream(cf, conf, text)
    conf.passes = True
    assert cf.scope.loc is not None
    cf.scope.loc.pass_to(factory)


def set_upstream(cf: Builder, conf: MemcachedSettings, text: str) -> None:
    """The upstream that a directive names: a block of the configuration, or host and port."""
    try:
        url = parse_url(encode(text), 0, False)
    except BadAddress as error:
        raise cf.error(f'{error} in upstream "{text}"') from None

    def resolve() -> None:
        main: Any = cf.config.main["upstream"]
        if not url.port_text and not url.is_unix and url.host.lower() not in main.blocks:
            raise cf.error(f'no port in upstream "{text}"')
        conf.upstream = find_upstream(cf, url)

    cf.later(resolve)


def inherit_upstream(cf: Builder, conf: MemcachedSettings, loc: Location, module: str) -> None:
    """``if`` blocks ask the upstream that the location around them asks."""
    parent = loc.parent
    if conf.passes or loc.kind != "if" or parent is None or not parent.conf[module].passes:
        return
    conf.passes = True
    cf.later(lambda: setattr(conf, "upstream", parent.conf[module].upstream))


def changeable(cf: Builder, name: str) -> None:
    """Declare a variable that ``set`` may write, and that has no value before."""

    def get(r: Request) -> bytes | None:
        return r.vars.get(name) if r.vars is not None else None

    cf.define(name, get, assigner(name))


def value_of(r: Request, name: str) -> bytes | None:
    """The value of such a variable."""
    return r.vars.get(name) if r.vars is not None else None


def escape_key(key: bytes) -> bytes:
    """A key as it is sent: blanks, control characters and ``%`` are escaped."""
    return escape_uri(key, ESCAPE_MEMCACHED)


async def ask(
    r: Request,
    conf: MemcachedSettings,
    upstream: UpstreamBlock,
    command: bytes,
    body: Body | None,
    key: bytes,
    use: Callable[[Request, Reply], int],
    ranges: bool,
) -> int:
    """Send ``command`` (and what ``body`` iterates over) and answer ``r`` with the reply: OK, or the status to end with.

    ``use`` sees the head of the reply first and may give another status. ``ranges``: the client may ask for parts.
    """
    u = MemcachedUpstream(r, conf)
    try:
        if conf.local is not None:
            u.local = conf.local(r)
        peers: Peers = upstream.peers
        choice = Choice(peers) if peers.balancer is None else peers.balancer(peers, u)
        status = await u.run(choice, conf.pool(upstream), command, body)
        if status:
            return status
        head, conn = u.head, u.conn
        assert head is not None and conn is not None
        status = head.status
        if status == 404:
            if command.startswith(b"get "):
                u.log(INFO, b'key: "%s" was not found by memcached' % key)
            u.finish(False)
            return 404
        if status >= 300 and r.loc.core.error_pages and status in r.loc.core.error_pages:
            return status
        status = use(r, head)
        if status:
            return status
        r.status = status = head.status
        r.content_length = head.content_length
        r.disable_not_modified = True
        r.allow_ranges = ranges
        r.single_range = True
        if ranges and b"range" in r.index and not r.is_subrequest:
            rc = await _send_ranges(u)
        else:
            sent = send_response(u, conn)
            rc = sent if isinstance(sent, int) else await sent
        if conn.notice:
            r.log(ERR, conn.notice)
        return rc
    finally:
        if u.conn is not None:
            u.finish(False)
        r.on_abort = None
        u.forget()


async def _send_ranges(u: MemcachedUpstream) -> int:
    """As ``send_response``, for a client that may have parts of the value."""
    r, conn = u.r, u.conn
    assert conn is not None
    parts = [conn.take()]
    while not conn.complete and not conn.failure:
        await conn.wait()
        if u.stop:
            return u.stop
        parts.append(conn.take())
    if conn.failure:
        u.log(ERR, conn.message or "upstream timed out (110: Connection timed out)")
        return 502
    rc = send_data(r, b"".join(parts))
    u.finish(True)
    return rc


# -- memcached_pass


def make_handler(loc: Location) -> Handler:
    """The handler of a location. nginx: ``ngx_http_memcached_handler``."""
    conf: MemcachedLocation = loc.conf["memcached"]
    upstream, key_of = conf.upstream, conf.key

    def use(r: Request, head: Reply) -> int:
        if conf.gzip_flag:
            if not head.flags.isdigit():
                r.log(ERR, b"memcached sent invalid flags in response")
                return 502
            if int(head.flags) & conf.gzip_flag:
                r.headers_out.append((b"Content-Encoding", b"gzip"))
        return 0

    def memcached(r: Request) -> int | Awaitable[int]:
        if r.method not in (b"GET", b"HEAD"):
            return 405
        if r.head.has_body and not r.is_subrequest and not r.discard_body():
            return 400
        r.content_type = r.loc.core.type_of(r.uri)
        assert upstream is not None and key_of is not None  # a configuration without them does not start
        key = key_of.get(r)
        if not key:
            r.log(ERR, b'the "$memcached_key" variable is not set')
            return 500
        key = escape_key(key)
        return ask(r, conf, upstream, b"get %s\r\n" % key, None, key, use, True)

    return memcached


def set_memcached_pass(cf: Builder, conf: MemcachedLocation, node: Node) -> None:
    """``memcached_pass address``."""
    set_content(cf, conf, make_handler, node.args[0])
    conf.key = cf.variable("memcached_key")


def on_location(cf: Builder, loc: Location) -> None:
    """Work out what a location needs."""
    conf: MemcachedLocation = loc.conf["memcached"]
    inherit_upstream(cf, conf, loc, "memcached")
    if conf.passes:
        conf.arrange(cf)


MODULE = Module(
    name="memcached",
    location=MemcachedLocation,
    on_location=on_location,
    directives=(
        Directive("memcached_pass", LOCATION | LIF, TAKE1, set_memcached_pass),
        Directive("memcached_bind", HSL, TAKE12, set_bind),
        Directive("memcached_socket_keepalive", HSL, FLAG, flag("socket_keepalive")),
        Directive("memcached_connect_timeout", HSL, TAKE1, seconds("connect_timeout")),
        Directive("memcached_send_timeout", HSL, TAKE1, seconds("send_timeout")),
        Directive("memcached_read_timeout", HSL, TAKE1, seconds("read_timeout")),
        Directive("memcached_buffer_size", HSL, TAKE1, size("buffer_size")),
        Directive("memcached_next_upstream", HSL, ONE_MORE, bitmask("next_upstream", NEXT)),
        Directive("memcached_next_upstream_tries", HSL, TAKE1, number("next_upstream_tries")),
        Directive("memcached_next_upstream_timeout", HSL, TAKE1, seconds("next_upstream_timeout")),
        Directive("memcached_gzip_flag", HSL, TAKE1, number("gzip_flag")),
        Directive("memcached_bind_dynamic", HSL, FLAG, refuse("addresses are worked out for each request anyway")),
        Directive("memcached_allow_upstream", HSL, ONE_MORE, refuse("every upstream may be asked")),
    ),
)
