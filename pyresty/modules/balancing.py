"""``least_conn`` and ``ip_hash`` in ``upstream``; ``zone``.

https://nginx.org/en/docs/http/ngx_http_upstream_module.html#least_conn
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.directives import NOARGS, TAKE12, UPSTREAM, Directive, Module, no_effect
from ..upstream.balancing import IPHash, LeastConn

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from .upstream import UpstreamBlock


def set_least_conn(cf: Builder, conf: Any, node: Node) -> None:
    """``least_conn``."""
    block: UpstreamBlock = cf.scope.extra
    block.set_balancer(cf, lambda peers, u: LeastConn(peers), refused=())


def set_ip_hash(cf: Builder, conf: Any, node: Node) -> None:
    """``ip_hash``."""
    block: UpstreamBlock = cf.scope.extra
    block.set_balancer(cf, IPHash, refused=("backup",))


MODULE = Module(
    name="balancing",
    directives=(
        Directive("least_conn", UPSTREAM, NOARGS, set_least_conn, "main"),
        Directive("ip_hash", UPSTREAM, NOARGS, set_ip_hash, "main"),
        Directive("zone", UPSTREAM, TAKE12, no_effect("each worker keeps the state of the peers itself"), "main"),
    ),
)
