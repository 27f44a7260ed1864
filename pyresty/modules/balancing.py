"""``least_conn``, ``ip_hash``, ``hash`` and ``random`` in ``upstream``; ``zone``.

https://nginx.org/en/docs/http/ngx_http_upstream_module.html#least_conn
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.directives import NOARGS, TAKE12, UPSTREAM, Args, Directive, Module, no_effect
from ..upstream.balancing import LeastConn, Random, RandomTwo
from ..upstream.hashing import ConsistentHash, Hash, IPHash, Ring

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..upstream.exchange import Upstream
    from ..upstream.peers import Choice, Peers
    from .upstream import UpstreamBlock


def set_least_conn(cf: Builder, conf: Any, node: Node) -> None:
    """``least_conn``."""
    block: UpstreamBlock = cf.scope.extra
    block.set_balancer(cf, lambda peers, u: LeastConn(peers), refused=())


def set_ip_hash(cf: Builder, conf: Any, node: Node) -> None:
    """``ip_hash``."""
    block: UpstreamBlock = cf.scope.extra
    block.set_balancer(cf, IPHash, refused=("backup",))


def set_hash(cf: Builder, conf: Any, node: Node) -> None:
    """``hash key [consistent]``."""
    block: UpstreamBlock = cf.scope.extra
    key = cf.template(node.args[0])
    ring: Ring | None = None

    def consistent(peers: Peers, u: Upstream) -> Choice:
        nonlocal ring
        if ring is None:
            ring = Ring(peers)
        return ConsistentHash(peers, key(u.r), ring)

    if node.args[1:] == ["consistent"]:
        block.set_balancer(cf, consistent, refused=("backup",))
    elif len(node.args) == 1:
        block.set_balancer(cf, lambda peers, u: Hash(peers, key(u.r)), refused=("backup",))
    else:
        raise cf.error(f'invalid parameter "{node.args[1]}"')


def set_random(cf: Builder, conf: Any, node: Node) -> None:
    """``random [two [least_conn]]``."""
    block: UpstreamBlock = cf.scope.extra
    for word, known in zip(node.args, ("two", "least_conn"), strict=False):
        if word != known:
            raise cf.error(f'invalid parameter "{word}"')
    method = RandomTwo if node.args else Random
    block.set_balancer(cf, lambda peers, u: method(peers), refused=("backup",))


MODULE = Module(
    name="balancing",
    directives=(
        Directive("least_conn", UPSTREAM, NOARGS, set_least_conn, "main"),
        Directive("ip_hash", UPSTREAM, NOARGS, set_ip_hash, "main"),
        Directive("hash", UPSTREAM, TAKE12, set_hash, "main"),
        Directive("random", UPSTREAM, Args(0, 2), set_random, "main"),
        Directive("zone", UPSTREAM, TAKE12, no_effect("each worker keeps the state of the peers itself"), "main"),
    ),
)
