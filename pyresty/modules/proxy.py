"""proxy_pass and all that goes with it. https://nginx.org/en/docs/http/ngx_http_proxy_module.html

The one idea: everything about a request that can be known beforehand is worked out when the configuration is built, and
hangs on the location's settings: the target with its peers, the maker of requests, the names of headers that don't
pass.

The parts are in ``proxy_pass.py`` (where to), ``proxy_request.py`` (what is sent), ``proxy_rewrite.py`` (headers that
come back) and ``proxy_handler.py``; the protocol and the peers are in the package ``upstream``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    LIF,
    LMT,
    LOCATION,
    ONE_MORE,
    TAKE1,
    TAKE2,
    TAKE12,
    TAKE1234,
    UNSET,
    Directive,
    Module,
    Settings,
    bitmask,
    enum,
    flag,
    inner,
    no_effect,
    number,
    parse_size,
    refuse,
    seconds,
    setting,
    size,
    store,
    template,
)
from ..http.template import Template, encode
from ..process.logs import ERR
from ..upstream.address import BadAddress, parse_url
from ..upstream.pool import KeepalivePool
from .proxy_pass import Target, inherit_target, set_proxy_pass
from .proxy_request import RequestMaker
from .proxy_rewrite import NO_RULES, CookieFlags, Rules, cookie_rewriter, domain_rule, prefix_rule, set_flags, set_rules

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location
    from ..upstream.passing import Passed
    from ..upstream.peers import Peers
    from ..upstream.response_head import ResponseHead
    from .upstream import UpstreamBlock

#: Response headers that don't pass unless ``proxy_pass_header`` says so.
_HIDDEN = (
    "date", "server", "x-pad", "x-accel-expires", "x-accel-redirect", "x-accel-limit-rate", "x-accel-buffering",
    "x-accel-charset",
)  # fmt: skip

_STATUSES = (500, 502, 503, 504, 403, 404, 429)
_NEXT = ("error", "timeout", "invalid_header", "non_idempotent", "off", *(f"http_{status}" for status in _STATUSES))
_IGNORED = (
    "X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Buffering", "X-Accel-Charset", "Expires",
    "Cache-Control", "Set-Cookie", "Vary",
)  # fmt: skip

_PAGE = 4096


@dataclass(eq=False)
class ProxyLocation(Settings):
    """Settings of a location. Times in seconds, sizes in bytes. Those below ``target`` are worked out in
    ``on_location``.
    """

    buffering: bool = setting(True)
    request_buffering: bool = setting(True)
    ignore_client_abort: bool = setting(False)
    local: Callable[[Request], tuple[str, int] | None] | None = setting(None)
    socket_keepalive: bool = setting(False)
    socket_rcvbuf: int = setting(0)
    socket_sndbuf: int = setting(0)
    connect_timeout: float = setting(60.0)
    send_timeout: float = setting(60.0)
    read_timeout: float = setting(60.0)
    buffer_size: int = setting(_PAGE)
    buffers: tuple[int, int] = setting((8, _PAGE))
    busy_buffers_size: int | None = setting(None)
    next_upstream: frozenset[str] = setting(frozenset(("error", "timeout")))
    next_upstream_tries: int = setting(0)
    next_upstream_timeout: float = setting(0.0)
    intercept_errors: bool = setting(False)
    ignore_headers: frozenset[str] = setting(frozenset())
    pass_request_headers: bool = setting(True)
    pass_request_body: bool = setting(True)
    hide_headers: list[str] | None = setting(None)
    pass_headers: list[str] | None = setting(None)
    method: Template | None = setting(None)
    body: Template | None = setting(None)
    http_version: int = setting(1001)
    headers_source: list[tuple[str, Template]] | None = setting(None)
    redirects: Rules | None = setting(None)
    cookie_domains: Rules = setting(NO_RULES)
    cookie_paths: Rules = setting(NO_RULES)
    cookie_flags: tuple[CookieFlags, ...] = setting(())
    sizes_node: Any = setting(None)
    target: Target | None = setting(None, inherit=False)

    maker: RequestMaker | None = inner(lambda: None)
    window: int = inner(int)
    socket_options: list[tuple[int, int, int]] = inner(list)
    hidden: frozenset[bytes] = inner(frozenset)
    rewrite_location: Callable[[Request, bytes, int], bytes | None] | None = inner(lambda: None)
    rewrite_cookie: Callable[[Request, bytes], bytes | None] | None = inner(lambda: None)
    rewrites_vary: bool = inner(bool)
    #: What response heads come to here, and what variables in ``proxy_pass`` came to.
    passed: dict[ResponseHead, Passed] = inner(dict)
    evaluated: dict[bytes, tuple[Target, Peers | None]] = inner(dict)
    pools: dict[UpstreamBlock | None, KeepalivePool] = inner(dict)
    all_pools: list[KeepalivePool] = inner(list)

    def pool(self, upstream: UpstreamBlock | None) -> KeepalivePool:
        """The kept connections to ``upstream`` for this location; None: to addresses that came from variables."""
        pool = self.pools.get(upstream)
        if pool is None:
            if upstream is None:
                pool = KeepalivePool()
            else:
                pool = upstream.make_pool() if upstream.shared is None else upstream.shared
            self.pools[upstream] = pool
            self.all_pools.append(pool)
        return pool


def set_header(cf: Builder, conf: ProxyLocation, node: Node) -> None:
    """``proxy_set_header field value``."""
    if conf.headers_source is UNSET:
        conf.headers_source = []
    assert conf.headers_source is not None
    conf.headers_source.append((node.args[0], cf.template(node.args[1])))


def _names(field: str) -> Callable[[Builder, Any, Node], None]:
    """Setter that gathers names of headers."""

    def add(cf: Builder, conf: ProxyLocation, node: Node) -> None:
        if getattr(conf, field) is UNSET:
            setattr(conf, field, [])
        getattr(conf, field).append(node.args[0].lower())

    return add


def set_buffers(cf: Builder, conf: ProxyLocation, node: Node) -> None:
    """``proxy_buffers number size``."""
    if not node.args[0].isdigit() or int(node.args[0]) == 0:
        raise ValueError("invalid value")
    store(conf, "buffers", (int(node.args[0]), parse_size(node.args[1])))
    conf.sizes_node = node


def _size(field: str) -> Callable[[Builder, Any, Node], None]:
    """Setter for a size that ``on_location`` compares with the others."""

    def set_it(cf: Builder, conf: ProxyLocation, node: Node) -> None:
        size(field)(cf, conf, node)
        conf.sizes_node = node

    return set_it


def set_next_upstream(cf: Builder, conf: ProxyLocation, node: Node) -> None:
    """``proxy_next_upstream condition …``."""
    bitmask("next_upstream", {word: word for word in _NEXT})(cf, conf, node)
    if "off" in conf.next_upstream:
        conf.next_upstream = frozenset(("off",))


def set_redirect(cf: Builder, conf: ProxyLocation, node: Node) -> None:
    """``proxy_redirect default | off | redirect replacement``."""
    if node.args != ["default"]:
        set_rules(cf, conf, "redirects", node, prefix_rule)
        return
    if conf.redirects == NO_RULES:
        raise ValueError("is duplicate")
    target = conf.target
    if not target:
        raise cf.error('"proxy_redirect default" should be placed after the "proxy_pass" directive')
    if target.template is not None:
        raise cf.error('"proxy_redirect default" cannot be used with "proxy_pass" directive with variables')
    conf.redirects = (conf.redirects or Rules((), False)).plus(_default_redirect(target), False)


def _default_redirect(target: Target) -> Callable[[Request, bytes, int], bytes | None]:
    if target.uri:
        pattern, replacement = target.written, target.location
    else:
        pattern, replacement = target.written + b"/", b"/"
    return prefix_rule(Template("", (pattern,)), Template("", (replacement,)))


def set_bind(cf: Builder, conf: ProxyLocation, node: Node) -> None:
    """``proxy_bind address [transparent] | off``."""
    text = node.args[0]
    if conf.local is not UNSET:
        raise ValueError("is duplicate")
    if len(node.args) > 1:
        if node.args[1] == "transparent":
            raise cf.error('parameter "transparent" of "proxy_bind" is not supported by pyresty yet')
        raise cf.error(f'invalid parameter "{node.args[1]}"')
    if text == "off":
        conf.local = None
        return
    value = cf.template(text)
    if value.const is not None:
        fixed = _local_address(value.const)
        if fixed is None:
            raise cf.error(f'invalid address "{text}"')
        conf.local = lambda r: fixed
        return

    def local(r: Request) -> tuple[str, int] | None:
        address = value(r)
        found = _local_address(address) if address else None
        if address and found is None:
            r.log(ERR, b'invalid local address "%s"' % address)
        return found

    conf.local = local


def _local_address(text: bytes) -> tuple[str, int] | None:
    try:
        url = parse_url(text, 0, False)
    except BadAddress:
        return None
    sockaddr = url.address.sockaddr if url.address is not None else None
    return sockaddr if isinstance(sockaddr, tuple) else None


# -- after merging


def on_location(cf: Builder, loc: Location) -> None:
    """Work out what a location needs."""
    conf: ProxyLocation = loc.conf["proxy"]
    _check_sizes(cf, conf)
    inherit_target(conf, loc)
    target = conf.target
    if conf.redirects is None:
        outer = loc.parent.conf["proxy"].redirects if loc.parent is not None else None
        if outer is not None:
            conf.redirects = outer
        elif target is not None and target.template is None:
            conf.redirects = Rules((_default_redirect(target),), False)
    if target is None:
        return
    conf.maker = RequestMaker(cf, conf)
    count, each = conf.buffers
    conf.window = count * each if conf.buffering else conf.buffer_size
    if conf.socket_keepalive:
        conf.socket_options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    if conf.socket_rcvbuf:
        conf.socket_options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, conf.socket_rcvbuf))
    if conf.socket_sndbuf:
        conf.socket_options.append((socket.SOL_SOCKET, socket.SO_SNDBUF, conf.socket_sndbuf))
    hidden = {*_HIDDEN, *(conf.hide_headers or ())} - set(conf.pass_headers or ())
    conf.hidden = frozenset(encode(name) for name in hidden)
    redirects = conf.redirects or NO_RULES
    conf.rewrite_location = redirects.apply if redirects else None
    conf.rewrite_cookie = cookie_rewriter(conf.cookie_domains, conf.cookie_paths, conf.cookie_flags)
    conf.rewrites_vary = (
        redirects.vary
        or conf.cookie_domains.vary
        or conf.cookie_paths.vary
        or any(rule.vary for rule in conf.cookie_flags)
    )
    main: Any = cf.config.main["upstream"]
    conf.all_pools = main.pools


def _check_sizes(cf: Builder, conf: ProxyLocation) -> None:
    """The buffers must fit each other, as ``ngx_http_proxy_merge_loc_conf`` wants it."""
    count, each = conf.buffers
    largest = max(conf.buffer_size, each)
    busy = conf.busy_buffers_size if conf.busy_buffers_size is not None else 2 * largest
    if count < 2:
        raise cf.error('there must be at least 2 "proxy_buffers"', node=conf.sizes_node)
    if busy < largest:
        raise cf.error(
            '"proxy_busy_buffers_size" must be equal to or greater than the maximum of the value of '
            '"proxy_buffer_size" and one of the "proxy_buffers"',
            node=conf.sizes_node,
        )
    if busy > (count - 1) * each:
        raise cf.error(
            '"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers" minus one buffer',
            node=conf.sizes_node,
        )


def add_x_forwarded_for(r: Request) -> bytes:
    """``$proxy_add_x_forwarded_for``: the client's header, and the client's address after it."""
    value = r.header_in(b"x-forwarded-for")
    return value + b", " + r.conn.remote_addr if value else r.conn.remote_addr


def define_variables(cf: Builder) -> None:
    """Declare ``$proxy_…``."""
    cf.define("proxy_host", lambda r: r.upstream.host if r.upstream is not None else None)
    cf.define("proxy_port", lambda r: r.upstream.port if r.upstream is not None else None)
    cf.define("proxy_add_x_forwarded_for", add_x_forwarded_for)
    cf.define("proxy_internal_body_length", _body_length)
    cf.define("proxy_internal_chunked", lambda r: b"chunked" if r.upstream is not None and r.upstream.chunked else None)


def _body_length(r: Request) -> bytes | None:
    length = r.upstream.body_length if r.upstream is not None else None
    return None if length is None else b"%d" % length


_NO_FILES = "responses never go to temporary files; a slow client slows the upstream down"
_HASHES = "names are looked up in Python's sets"
_LOWAT = "the kernel decides when to send"

MODULE = Module(
    name="proxy",
    location=ProxyLocation,
    prepare=define_variables,
    on_location=on_location,
    directives=(
        Directive("proxy_pass", LOCATION | LIF | LMT, TAKE1, set_proxy_pass),
        Directive("proxy_redirect", HSL, TAKE12, set_redirect),
        Directive(
            "proxy_cookie_domain",
            HSL,
            TAKE12,
            lambda cf, c, n: set_rules(cf, c, "cookie_domains", n, domain_rule, True),
        ),
        Directive("proxy_cookie_path", HSL, TAKE12, lambda cf, c, n: set_rules(cf, c, "cookie_paths", n, prefix_rule)),
        Directive("proxy_cookie_flags", HSL, TAKE1234, set_flags),
        Directive("proxy_buffering", HSL, FLAG, flag("buffering")),
        Directive("proxy_request_buffering", HSL, FLAG, flag("request_buffering")),
        Directive("proxy_ignore_client_abort", HSL, FLAG, flag("ignore_client_abort")),
        Directive("proxy_bind", HSL, TAKE12, set_bind),
        Directive("proxy_socket_keepalive", HSL, FLAG, flag("socket_keepalive")),
        Directive("proxy_socket_rcvbuf", HSL, TAKE1, size("socket_rcvbuf")),
        Directive("proxy_socket_sndbuf", HSL, TAKE1, size("socket_sndbuf")),
        Directive("proxy_connect_timeout", HSL, TAKE1, seconds("connect_timeout")),
        Directive("proxy_send_timeout", HSL, TAKE1, seconds("send_timeout")),
        Directive("proxy_read_timeout", HSL, TAKE1, seconds("read_timeout")),
        Directive("proxy_intercept_errors", HSL, FLAG, flag("intercept_errors")),
        Directive("proxy_set_header", HSL, TAKE2, set_header),
        Directive("proxy_set_body", HSL, TAKE1, template("body")),
        Directive("proxy_method", HSL, TAKE1, template("method")),
        Directive("proxy_pass_request_headers", HSL, FLAG, flag("pass_request_headers")),
        Directive("proxy_pass_request_body", HSL, FLAG, flag("pass_request_body")),
        Directive("proxy_buffer_size", HSL, TAKE1, _size("buffer_size")),
        Directive("proxy_buffers", HSL, TAKE2, set_buffers),
        Directive("proxy_busy_buffers_size", HSL, TAKE1, _size("busy_buffers_size")),
        Directive("proxy_next_upstream", HSL, ONE_MORE, set_next_upstream),
        Directive("proxy_next_upstream_tries", HSL, TAKE1, number("next_upstream_tries")),
        Directive("proxy_next_upstream_timeout", HSL, TAKE1, seconds("next_upstream_timeout")),
        Directive("proxy_pass_header", HSL, TAKE1, _names("pass_headers")),
        Directive("proxy_hide_header", HSL, TAKE1, _names("hide_headers")),
        Directive(
            "proxy_ignore_headers", HSL, ONE_MORE, bitmask("ignore_headers", {name: name.lower() for name in _IGNORED})
        ),
        Directive("proxy_http_version", HSL, TAKE1, enum("http_version", {"1.0": 1000, "1.1": 1001})),
        Directive("proxy_force_ranges", HSL, FLAG, refuse("parts of a proxied response")),
        Directive("proxy_limit_rate", HSL, TAKE1, refuse("the speed of reading from upstreams")),
        Directive("proxy_pass_trailers", HSL, FLAG, refuse("trailers of responses")),
        Directive("proxy_max_temp_file_size", HSL, TAKE1, no_effect(_NO_FILES)),
        Directive("proxy_temp_file_write_size", HSL, TAKE1, no_effect(_NO_FILES)),
        Directive("proxy_temp_path", HSL, TAKE1234, no_effect(_NO_FILES)),
        Directive("proxy_send_lowat", HSL, TAKE1, no_effect(_LOWAT)),
        Directive("proxy_headers_hash_max_size", HSL, TAKE1, no_effect(_HASHES)),
        Directive("proxy_headers_hash_bucket_size", HSL, TAKE1, no_effect(_HASHES)),
    ),
)
