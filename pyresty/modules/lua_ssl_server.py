"""``ssl_client_hello_by_lua*`` and ``ssl_certificate_by_lua*``: Lua in the handshake with a client.

https://github.com/openresty/lua-nginx-module#ssl_certificate_by_lua_block
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import HTTP, SERVER, TAKE1, UNSET, Directive, Module, Settings, refuse, setting
from ..config.errors import ConfigError
from ..lua.handlers import Code
from ..lua.handshake import make_step
from .lua import code_from
from .ssl import SSLServer

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..tls.handshake import Handshake
    from ..tls.settings import Step


@dataclass(eq=False)
class LuaSSLServer(Settings):
    """Settings of a server."""

    client_hello: Code | None = setting(None)
    certificate: Code | None = setting(None)


def _code(field: str, phase: str) -> Any:
    def set_code(cf: Builder, conf: LuaSSLServer, node: Node) -> None:
        if getattr(conf, field) is not UNSET:
            raise ValueError("is duplicate")
        setattr(conf, field, code_from(cf, node, phase))

    return set_code


def finish(cf: Builder) -> None:
    """Give every server's handshakes their code."""
    for server in cf.config.servers:
        conf: LuaSSLServer = server.conf["lua_ssl_server"]
        secure: SSLServer = server.conf["ssl"]
        if conf.client_hello is None and conf.certificate is None:
            continue
        if secure.made.context is None:
            raise ConfigError("no ssl configured for the server")
        if conf.client_hello is not None:
            secure.made.client_hello = make_step(server, conf.client_hello, "ssl_client_hello", "client hello cb")
        if conf.certificate is not None:
            step = make_step(server, conf.certificate, "ssl_certificate", "cert cb")
            first = secure.made.certificate
            secure.made.certificate = step if first is None else _in_turn(first, step)


def _in_turn(first: Step, second: Step) -> Step:
    async def both(handshake: Handshake) -> bool:
        return await first(handshake) and await second(handshake)

    return both


_HS = HTTP | SERVER
_NO_SESSIONS = "Python's ssl doesn't let anybody look into its session cache"

MODULE = Module(
    name="lua_ssl_server",
    server=LuaSSLServer,
    finish=finish,
    directives=(
        *(
            Directive("ssl_client_hello_by_lua" + kind, _HS, TAKE1, _code("client_hello", "ssl_client_hello"), "server")
            for kind in ("_block", "_file")
        ),
        *(
            Directive("ssl_certificate_by_lua" + kind, _HS, TAKE1, _code("certificate", "ssl_certificate"), "server")
            for kind in ("_block", "_file")
        ),
        *(
            Directive(f"ssl_session_{what}_by_lua{kind}", HTTP, TAKE1, refuse(_NO_SESSIONS), "server")
            for what in ("fetch", "store")
            for kind in ("_block", "_file")
        ),
    ),
)
