"""``upstream name { … }``, the upstreams that ``proxy_pass`` names without such a block, and the variables that tell
how it went.

The one idea: a server in ``proxy_pass`` is an upstream with one server, so behind the configuration there is only one
kind of thing, an UpstreamBlock.

https://nginx.org/en/docs/http/ngx_http_upstream_module.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import hints
from ..config.build import Scope
from ..config.directives import (
    HTTP,
    NOARGS,
    ONE_MORE,
    TAKE1,
    TAKE12,
    UPSTREAM,
    Directive,
    Module,
    Settings,
    inner,
    parse_time,
    refuse,
)
from ..config.errors import ConfigError
from ..http.template import Variable, encode
from ..upstream import pool
from ..upstream.address import BadAddress, Url, addresses, parse_url
from ..upstream.peers import Peer, Peers
from ..upstream.pool import KeepalivePool

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..upstream.exchange import State
    from ..upstream.peers import Balancer

#: Parameters of ``server`` that nginx knows and we don't support.
_UNSUPPORTED = ("resolve", "drain", "service=", "route=", "slow_start=")


class UpstreamBlock:
    """One upstream. ``keepalive`` is what the directive says; without it each location keeps up to 32 connections of
    its own.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.peers = Peers(name, [])
        self.servers: list[tuple[list[Peer], bool]] = []  #: the peers of each ``server``, and whether it is a backup
        self.keepalive: int | None = None
        self.local = False
        self.settings: dict[str, Any] = {}  #: of the pool: requests, time, timeout
        self.shared: KeepalivePool | None = None
        self.balancer: Balancer | None = None
        self.refused: tuple[str, ...] = ()  #: parameters of ``server`` that the balancer can't have
        self.balancer_keepalive: int | None = None

    def make_pool(self) -> KeepalivePool:
        """A pool with this upstream's settings."""
        return KeepalivePool(pool.SIZE if self.keepalive is None else self.keepalive, **self.settings)

    def set_balancer(self, cf: Builder, balancer: Balancer, refused: tuple[str, ...]) -> None:
        """Choose peers by ``balancer``; servers that follow may not have the parameters ``refused``."""
        if self.balancer is not None:
            cf.warn("load balancing method redefined")
        self.balancer = balancer
        self.refused = refused

    def arrange(self) -> None:
        """Make the peers and the pool once all directives have been read."""
        main = [peer for peers, backup in self.servers if not backup for peer in peers]
        spare = [peer for peers, backup in self.servers if backup for peer in peers]
        self.peers = Peers(self.name, main, spare)
        self.peers.balancer = self.balancer
        if self.keepalive is not None and not self.local:
            self.shared = self.make_pool()


@dataclass(eq=False)
class UpstreamMain(Settings):
    """All upstreams: the blocks by lower-case name, the others by host and port, and the pools, to be closed at the
    worker's end.
    """

    blocks: dict[bytes, UpstreamBlock] = inner(dict)
    implicit: dict[tuple[bytes, int], UpstreamBlock] = inner(dict)
    pools: list[KeepalivePool] = inner(list)

    def known(self, url: Url) -> UpstreamBlock | None:
        """The upstream that ``url`` names, if the configuration has it."""
        host = url.host.lower()
        if not url.port_text and host in self.blocks:
            return self.blocks[host]
        return self.implicit.get((host, url.port))


def find_upstream(cf: Builder, url: Url) -> UpstreamBlock:
    """The upstream for the URL of a directive: a block, or made for its host and port, of which the name is looked up
    now.
    """
    main = cf.config.main["upstream"]
    assert isinstance(main, UpstreamMain)
    block = main.blocks.get(url.host.lower())
    text = url.host.decode("utf-8", "surrogateescape")
    if block is not None:
        if url.port_text:
            raise cf.error(f'upstream "{text}" may not have port {url.port}')
        return block
    key = (url.host.lower(), url.port)
    made = main.implicit.get(key)
    if made is None:
        try:
            peers = [Peer(address) for address in addresses(url)]
        except BadAddress as error:
            hint = hints.upstream(text, [name.decode("utf-8", "surrogateescape") for name in main.blocks])
            raise cf.error(f'{error} in upstream "{text}"', hint) from None
        made = main.implicit[key] = UpstreamBlock(url.host)
        made.servers.append((peers, False))
        made.arrange()
    return made


# -- directives


def set_upstream(cf: Builder, conf: UpstreamMain, node: Node) -> None:
    """``upstream name { … }``."""
    name = node.args[0]
    key = encode(name.lower())
    if key in conf.blocks:
        raise cf.error(f'duplicate upstream "{name}"')
    block = conf.blocks[key] = UpstreamBlock(encode(name))
    outer = cf.new_server_scope(UPSTREAM)
    cf.walk(node.block or [], Scope(UPSTREAM, outer.server, outer.location, extra=block))
    if not block.servers:
        raise ConfigError("no servers are inside upstream", node.file, node.end)
    block.arrange()
    if not block.peers.peers:
        raise cf.error(f'no servers in upstream "{name}"')


def set_server(cf: Builder, conf: Any, node: Node) -> None:
    """``server address [parameters]``."""
    block: UpstreamBlock = cf.scope.extra
    text, *words = node.args
    numbers = {"weight": 1, "max_conns": 0, "max_fails": 1, "fail_timeout": 10}
    backup = down = False
    for word in words:
        if word.startswith(block.refused):
            raise cf.error(f'balancing method does not support parameter "{word}"')
        name, eq, value = word.partition("=")
        if eq and name in numbers:
            numbers[name] = _number(cf, name, value, word)
        elif word == "backup":
            backup = True
        elif word == "down":
            down = True
        elif word.startswith(_UNSUPPORTED):
            raise cf.error(f'parameter "{word}" of "server" is not supported by pyresty yet')
        else:
            raise cf.error(f'invalid parameter "{word}"')
    try:
        found = addresses(parse_url(encode(text), 80, False))
    except BadAddress as error:
        raise cf.error(f'{error} in upstream "{text}"') from None
    block.servers.append(([Peer(address, **numbers, down=down, server=encode(text)) for address in found], backup))


def _number(cf: Builder, name: str, value: str, word: str) -> int:
    try:
        number = int(parse_time(value)) if name == "fail_timeout" else int(value) if value.isdigit() else -1
    except ValueError:
        number = -1
    if number < 0 or (name == "weight" and number == 0):
        raise cf.error(f'invalid parameter "{word}"')
    return number


def set_keepalive(cf: Builder, conf: Any, node: Node) -> None:
    """``keepalive connections [local]``."""
    block: UpstreamBlock = cf.scope.extra
    if block.keepalive is not None:
        raise ValueError("is duplicate")
    if not node.args[0].isdigit():
        raise cf.error(f'invalid value "{node.args[0]}" in "keepalive" directive')
    if len(node.args) > 1:
        if node.args[1] != "local":
            raise cf.error(f'invalid parameter "{node.args[1]}"')
        block.local = True
    block.keepalive = int(node.args[0])


def _pool_setting(name: str, read: Callable[[str], Any]) -> Callable[[Builder, Any, Node], None]:
    """Setter for ``keepalive_requests``, ``keepalive_time`` and ``keepalive_timeout``."""

    def set_it(cf: Builder, conf: Any, node: Node) -> None:
        block: UpstreamBlock = cf.scope.extra
        if name in block.settings:
            raise ValueError("is duplicate")
        block.settings[name] = read(node.args[0])

    return set_it


def _count(text: str) -> int:
    if not text.isdigit():
        raise ValueError("invalid number")
    return int(text)


# -- variables


def _each(show: Callable[[State], bytes]) -> Callable[[Request], bytes | None]:
    """A variable that shows every attempt: separated by ``, ``, and by `` : `` where another upstream was asked."""

    def get(r: Request) -> bytes | None:
        if r.upstream is None or not r.upstream.states:
            return None
        states: list[State] = r.upstream.states
        out = [show(states[0])]
        after_gap = False
        for state in states[1:]:
            if state.peer is None:
                after_gap = True
                continue
            out += (b" : " if after_gap else b", ", show(state))
            after_gap = False
        if after_gap:
            out.append(b" : ")
        return b"".join(out)

    return get


def _seconds(name: str) -> Callable[[State], bytes]:
    def show(state: State) -> bytes:
        value: float | None = getattr(state, name)
        return b"-" if value is None else b"%.3f" % max(0.0, value)

    return show


def _header(name: str) -> Variable:
    """``$upstream_http_NAME``: repeated headers are joined by ``, ``."""
    key = encode(name.lower())

    def get(r: Request) -> bytes | None:
        head = r.upstream.head if r.upstream is not None else None
        if head is None:
            return None
        found = [value for _, lower, value in head.headers if lower.replace(b"-", b"_") == key]
        return b", ".join(found) if found else None

    return Variable("upstream_http_" + name, get)


def _trailer(name: str) -> Variable:
    """``$upstream_trailer_NAME``: from the end of a chunked response."""
    key = encode(name.lower())

    def get(r: Request) -> bytes | None:
        if r.upstream is None:
            return None
        found = [value for trailer, value in r.upstream.trailers if trailer.lower().replace(b"-", b"_") == key]
        return b", ".join(found) if found else None

    return Variable("upstream_trailer_" + name, get)


def _cookie(name: str) -> Variable:
    """``$upstream_cookie_NAME``: the value of a cookie that the upstream sets."""
    key = encode(name.lower())

    def get(r: Request) -> bytes | None:
        head = r.upstream.head if r.upstream is not None else None
        if head is None:
            return None
        for value in head.get_all(b"set-cookie"):
            cookie, eq, text = value.partition(b";")[0].partition(b"=")
            if eq and cookie.rstrip(b" ").lower() == key:
                return bytes(text.strip(b" "))
        return None

    return Variable("upstream_cookie_" + name, get)


def define_variables(cf: Builder) -> None:
    """Declare ``$upstream_…``."""
    cf.define("upstream_addr", _each(lambda state: state.peer or b""))
    cf.define("upstream_status", _each(lambda state: b"%d" % state.status if state.status else b"-"))
    for name in ("connect_time", "header_time", "response_time"):
        cf.define("upstream_" + name, _each(_seconds(name)))
    cf.define("upstream_response_length", _each(lambda state: b"%d" % state.response_length))
    cf.define("upstream_bytes_received", _each(lambda state: b"%d" % state.bytes_received))
    cf.define("upstream_bytes_sent", _each(lambda state: b"%d" % state.bytes_sent))
    cf.define("upstream_cache_status", lambda r: None)  # nginx's answer where nothing is cached
    prefixes = cf.config.prefix_variables
    prefixes["upstream_http_"] = _header
    prefixes["upstream_trailer_"] = _trailer
    prefixes["upstream_cookie_"] = _cookie


def finish(cf: Builder) -> None:
    """Have the worker close what it has kept when it ends."""
    main = cf.config.main["upstream"]
    assert isinstance(main, UpstreamMain)
    main.pools += [block.shared for block in main.blocks.values() if block.shared is not None]

    async def close(worker: Any) -> None:
        for kept in main.pools:
            kept.close()

    cf.config.worker_exit.append(close)


MODULE = Module(
    name="upstream",
    main=UpstreamMain,
    prepare=define_variables,
    finish=finish,
    directives=(
        Directive("upstream", HTTP, TAKE1, set_upstream, "main", block=True),
        Directive("server", UPSTREAM, ONE_MORE, set_server, "main"),
        Directive("keepalive", UPSTREAM, TAKE12, set_keepalive, "main"),
        Directive("keepalive_requests", UPSTREAM, TAKE1, _pool_setting("requests", _count), "main"),
        Directive("keepalive_time", UPSTREAM, TAKE1, _pool_setting("time", parse_time), "main"),
        Directive("keepalive_timeout", UPSTREAM, TAKE1, _pool_setting("timeout", parse_time), "main"),
        Directive("resolver", UPSTREAM, ONE_MORE, refuse("names are looked up at start-up"), "main"),
        Directive("resolver_timeout", UPSTREAM, TAKE1, refuse("names are looked up at start-up"), "main"),
    ),
)

__all__ = ["MODULE", "NOARGS", "UpstreamBlock", "UpstreamMain", "find_upstream"]
