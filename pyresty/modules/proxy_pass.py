"""``proxy_pass``: where requests go, fixed at start-up or worked out from variables for each request.

The one idea: both ways end in the same Target. A fixed one is made once; one with variables is made from the text they
give, and remembered by that text.

https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..http.template import Template, encode
from ..process.logs import ERR
from ..upstream.address import BadAddress, Url, inet_address, is_inet, parse_url
from ..upstream.peers import Peer, Peers
from ..upstream.resolver import ResolveError

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location
    from ..upstream.tls_exchange import Security
    from .proxy import ProxyLocation
    from .upstream import UpstreamBlock

#: Texts from variables that a location remembers.
_KEPT = 512

_NO_URI_PART = (
    '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, '
    'or inside "if" statement, or inside "limit_except" block'
)
_PORTS = {b"http://": 80, b"https://": 443}


class Target:
    """Where a request goes. ``host_header`` and ``port`` are ``$proxy_host`` and ``$proxy_port``; ``location`` is the
    part of the client's URI that ``uri`` replaces; ``complete`` tells that ``uri`` is the whole URI. With ``template``
    set, the rest is empty.
    """

    __slots__ = (
        "complete", "host_header", "location", "port", "security", "template", "tls", "upstream", "uri", "url",
        "written",
    )  # fmt: skip

    def __init__(
        self, url: Url | None = None, written: bytes = b"", template: Template | None = None, scheme: bytes = b"http://"
    ) -> None:
        self.template = template
        self.tls = scheme == b"https://"
        self.security: Security | None = None  #: where TLS is the same for all requests
        self.url = url
        self.written = written  #: proxy_pass's argument, for ``proxy_redirect default``
        self.uri = b""
        self.location = b""
        self.complete = False
        self.host_header = b""
        self.port: bytes | None = None
        self.upstream: UpstreamBlock | None = None
        if url is not None:
            self.uri = url.uri
            if url.is_unix:
                self.host_header = b"localhost"
            elif url.port == _PORTS[scheme]:
                self.host_header, self.port = url.host, b"%d" % url.port
            else:
                self.host_header, self.port = url.host + b":" + url.port_text, url.port_text


def set_proxy_pass(cf: Builder, conf: ProxyLocation, node: Node) -> None:
    """``proxy_pass URL``."""
    from .proxy_handler import make_handler
    from .upstream import find_upstream

    if conf.target:
        raise ValueError("is duplicate")
    loc = cf.scope.loc
    assert loc is not None
    text = node.args[0]
    template = cf.template(text)
    if template.const is None:
        conf.target = Target(template=template)
        loc.pass_to(make_handler)
        return
    written = encode(text)
    scheme, rest = _scheme(written)
    if not scheme:
        raise cf.error("invalid URL prefix")
    try:
        url = parse_url(rest, _PORTS[scheme], True)
    except BadAddress as error:
        raise cf.error(f'{error} in upstream "{text[len(scheme) :]}"') from None
    target = Target(url, written, None, scheme)
    if loc.kind in ("named", "regex", "if", "limit_except"):
        if url.uri:
            raise cf.error(_NO_URI_PART)
    else:
        target.location = loc.prefix
    if url.uri.startswith(b"?"):
        target.uri = url.uri

    conf.target = target
    loc.pass_to(make_handler)

    def resolve() -> None:
        target.upstream = find_upstream(cf, url)

    cf.later(resolve)


def _scheme(text: bytes) -> tuple[bytes, bytes]:
    """``http://`` or ``https://`` (b"" for anything else), and what follows."""
    for scheme in (b"http://", b"https://"):
        if text[: len(scheme)].lower() == scheme:
            return scheme, text[len(scheme) :]
    return b"", text


def inherit_target(conf: ProxyLocation, loc: Location) -> None:
    """``if`` and ``limit_except`` blocks proxy where the location around them does."""
    if conf.target is None and loc.kind in ("if", "limit_except") and loc.parent is not None:
        conf.target = loc.parent.conf["proxy"].target
        if loc.kind == "limit_except" and loc.content_factory is None and conf.target is not None:
            loc.content_factory = loc.parent.content_factory


async def evaluate(r: Request, conf: ProxyLocation) -> tuple[Target, Peers] | int:
    """The target that variables name, and its peers; or the status to end with. nginx: ``ngx_http_proxy_eval``."""
    assert conf.target is not None and conf.target.template is not None
    text = conf.target.template(r)
    known = conf.evaluated.get(text)
    if known is None:
        target = _from_text(r, text)
        if target is None:
            return 500
        known = _find_peers(r, target)
        if len(conf.evaluated) >= _KEPT:
            conf.evaluated.clear()
        conf.evaluated[text] = known
    target, peers = known
    if peers is None:
        assert target.url is not None
        looked_up = await _look_up(r, target.url)
        if isinstance(looked_up, int):
            return looked_up
        peers = looked_up
    return target, peers


def _from_text(r: Request, text: bytes) -> Target | None:
    scheme, rest = _scheme(text)
    if not scheme or not rest:
        r.log(ERR, b'invalid URL prefix in "%s"' % text)
        return None
    try:
        url = parse_url(rest, _PORTS[scheme], True)
    except BadAddress as error:
        r.log(ERR, b'%s in upstream "%s"' % (str(error).encode(), rest))
        return None
    target = Target(url, text, None, scheme)
    if target.uri.startswith(b"?"):
        target.uri = b"/" + target.uri
    target.complete = bool(target.uri)
    return target


def _find_peers(r: Request, target: Target) -> tuple[Target, Peers | None]:
    """The peers of an upstream of the configuration or of an address; None for a name that must be looked up."""
    url = target.url
    assert url is not None
    main: Any = r.server.config.main["upstream"]
    target.upstream = main.known(url)
    if target.upstream is not None:
        return target, target.upstream.peers
    if url.address is not None:
        return target, Peers(url.host, [Peer(url.address)])
    return target, None


async def _look_up(r: Request, url: Url) -> Peers | int:
    core = r.loc.core
    if core.resolver is None:
        r.log(ERR, b"no resolver defined to resolve %s" % url.host)
        return 502
    try:
        found = await core.resolver.resolve(url.host, core.resolver_timeout)
    except ResolveError as error:
        r.log(ERR, error.text)
        return 502
    if r.conn.eof and not r.loc.conf["proxy"].ignore_client_abort:
        return 499
    import socket

    families = [(socket.AF_INET if is_inet(host.encode()) else socket.AF_INET6, host) for host in found]
    return Peers(url.host, [Peer(inet_address(family, host, url.port)) for family, host in families])
