"""``balancer_by_lua*`` and ``balancer_keepalive``: Lua chooses the peers of an upstream.

https://github.com/openresty/lua-nginx-module#balancer_by_lua_block
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from ..config.directives import TAKE1, UPSTREAM, Directive, Module
from ..lua.balancer import LuaBalancer
from ..upstream.address import inet_address
from ..upstream.peers import Peer
from .lua import code_from

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from .upstream import UpstreamBlock


def set_balancer(cf: Builder, conf: Any, node: Node) -> None:
    """``balancer_by_lua_block { … }`` and its sister; an upstream with it needs no servers."""
    block: UpstreamBlock = cf.scope.extra
    if isinstance(block.balancer, LuaBalancer):
        raise ValueError("is duplicate")
    balancer = LuaBalancer(cf.config, code_from(cf, node, "balancer"))
    block.set_balancer(cf, balancer, refused=("backup", "max_conns="))
    if not block.servers:
        balancer.placeholder = Peer(inet_address(socket.AF_INET, "0.0.0.1", 80))
        block.servers.append(([balancer.placeholder], False))
    balancer.pool.size = block.balancer_keepalive or balancer.pool.size
    cf.config.main["upstream"].pools.append(balancer.pool)  # type: ignore[attr-defined]


def set_keepalive(cf: Builder, conf: Any, node: Node) -> None:
    """``balancer_keepalive connections``."""
    block: UpstreamBlock = cf.scope.extra
    text = node.args[0]
    if not (text.isascii() and text.isdigit()) or not int(text):
        raise cf.error(f'invalid value "{text}" in "{node.name}" directive')
    if block.balancer_keepalive is not None:
        raise ValueError("is duplicate")
    block.balancer_keepalive = int(text)
    if isinstance(block.balancer, LuaBalancer):
        block.balancer.pool.size = block.balancer_keepalive


MODULE = Module(
    name="balancer",
    directives=(
        Directive("balancer_by_lua_block", UPSTREAM, TAKE1, set_balancer, "main"),
        Directive("balancer_by_lua_file", UPSTREAM, TAKE1, set_balancer, "main"),
        Directive("balancer_keepalive", UPSTREAM, TAKE1, set_keepalive, "main"),
    ),
)
