"""The content handler of a location with ``proxy_pass``.

The one idea: it only sets the order, which is nginx's (where to, the client's body, the request, a peer that answers,
the response); each step is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..process.logs import ERR
from ..upstream.exchange import Upstream
from ..upstream.passing import pass_response
from ..upstream.peers import Choice
from .proxy_pass import Target, evaluate
from .proxy_request import request_body, same_body

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ..http.request import Request
    from ..http.routing import Location
    from .proxy import ProxyLocation
    from .proxy_ssl import ProxySSLLocation


def make_handler(loc: Location) -> Callable[[Request], Awaitable[int]]:
    """The handler for a location. nginx: ``ngx_http_proxy_handler``."""
    conf: ProxyLocation = loc.conf["proxy"]
    ssl: ProxySSLLocation = loc.conf["proxy_ssl"]
    target = conf.target
    maker = conf.maker
    assert target is not None and maker is not None
    fixed = target.template is None
    body_set = conf.body is not None
    kept = conf.pool(target.upstream) if fixed else None

    async def proxy(r: Request) -> int:
        to: Target = target
        u = Upstream(r, conf)
        try:
            if fixed:
                peers = to.upstream.peers  # type: ignore[union-attr]
            else:
                found = await evaluate(r, conf)
                if isinstance(found, int):
                    return found
                to, peers = found
            u.host, u.port = to.host_header, to.port
            if to.tls:
                u.schema = b"https://"
                u.security = to.security or ssl.security(r, to)
                if u.security is None:
                    return 500
            data, rest = b"", None
            if r.head.has_body or r.body is not None or body_set:
                data, rest = await request_body(r, u, conf)
            elif not r.is_subrequest:
                u.body_length = r.head.content_length
            request = maker.make(r, u, to)
            if not request:
                r.log(ERR, "zero length URI to proxy")
                return 500
            if conf.local is not None:
                u.local = conf.local(r)
            pool = conf.pool(to.upstream) if kept is None else kept
            if peers.balancer is None:
                choice = Choice(peers)
            else:

                def make_request() -> bytes:
                    body = same_body(r, u, conf, data)
                    return maker.make(r, u, to) + body

                u.make_request = make_request
                u.secure = lambda name: ssl.security(r, to, name)
                choice = peers.balancer(peers, u)
            status = await u.run(choice, pool, request + data if data else request, rest)
            if status:
                return status
            rc = pass_response(u)
            return rc if rc.__class__ is int else await rc  # type: ignore[misc]
        finally:
            if u.conn is not None:
                u.finish(False)
            r.on_abort = None
            u.forget()

    return proxy
