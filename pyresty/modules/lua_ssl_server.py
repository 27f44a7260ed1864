"""``ssl_client_hello_by_lua*``, ``ssl_certificate_by_lua*`` and ``ssl_session_*_by_lua*``: Lua in the handshake with a
client.

https://github.com/openresty/lua-nginx-module#ssl_certificate_by_lua_block
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import HTTP, SERVER, TAKE1, Directive, Module, Settings, setting
from ..config.errors import ConfigError
from ..lua.handlers import Code
from ..lua.handshake import make_step, make_store
from ..tls import openssl, sessions
from .lua import phase_directive
from .ssl import SSLServer

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..tls.handshake import Handshake
    from ..tls.settings import ServerTLS, Step


@dataclass(eq=False)
class LuaSSLServer(Settings):
    """Settings of a server."""

    ssl_client_hello: Code | None = setting(None)
    ssl_certificate: Code | None = setting(None)
    ssl_session_fetch: Code | None = setting(None)
    ssl_session_store: Code | None = setting(None)


def finish(cf: Builder) -> None:
    """Give every server's handshakes their code."""
    for server in cf.config.servers:
        conf: LuaSSLServer = server.conf["lua_ssl_server"]
        secure: SSLServer = server.conf["ssl"]
        made = secure.made
        if made.context is None:
            if conf.ssl_client_hello is not None or conf.ssl_certificate is not None:
                raise ConfigError("no ssl configured for the server")
            continue
        if conf.ssl_client_hello is not None:
            made.client_hello = make_step(server, conf.ssl_client_hello, "client hello cb")
        if conf.ssl_certificate is not None:
            step = make_step(server, conf.ssl_certificate, "cert cb")
            made.certificate = step if made.certificate is None else _in_turn(made.certificate, step)
        if conf.ssl_session_fetch is not None:
            made.session_fetch = make_step(server, conf.ssl_session_fetch, "sess get cb")
            _watch(made)
        if conf.ssl_session_store is not None:
            made.session_store = make_store(server, conf.ssl_session_store)
            _watch(made)


def _watch(made: ServerTLS) -> None:
    if openssl.WHY_NOT:
        raise ConfigError(
            f'"ssl_session_fetch_by_lua*" and "ssl_session_store_by_lua*" are not possible: {openssl.WHY_NOT}'
        )
    assert made.context is not None
    made.values = made.values._replace(by_lua=True)
    sessions.watch(made.context)


def _in_turn(first: Step, second: Step) -> Step:
    async def both(handshake: Handshake) -> bool:
        return await first(handshake) and await second(handshake)

    return both


MODULE = Module(
    name="lua_ssl_server",
    server=LuaSSLServer,
    finish=finish,
    directives=tuple(
        Directive(f"{phase}_by_lua{kind}", where, TAKE1, phase_directive(phase), "server")
        for phase, where in (
            ("ssl_client_hello", HTTP | SERVER),
            ("ssl_certificate", HTTP | SERVER),
            ("ssl_session_fetch", HTTP),
            ("ssl_session_store", HTTP),
        )
        for kind in ("_block", "_file")
    ),
)
