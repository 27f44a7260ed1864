"""``lua_ssl_*``: how cosockets speak TLS. https://github.com/openresty/lua-nginx-module#lua_ssl_protocols

The one idea: a location's directives are one TLSSettings; ``sslhandshake`` adds what its arguments say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    HSL,
    TAKE1,
    Directive,
    Module,
    Settings,
    inner,
    setting,
    string,
)
from ..tls.context import DEFAULT_PROTOCOLS, TLSError, certificate_path
from ..upstream.tls_settings import TLSSettings, client
from .ssl_directives import client_directives

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.routing import Location


@dataclass(eq=False)
class LuaSSLLocation(Settings):
    """Settings of a location; ``settings`` is worked out in ``on_location``."""

    protocols: frozenset[str] = setting(DEFAULT_PROTOCOLS)
    ciphers: str = setting("DEFAULT")
    verify_depth: int = setting(1)
    certificate: str = setting("")
    certificate_key: str = setting("")
    trusted_certificate: str = setting("")
    crl: str = setting("")
    commands: tuple[tuple[str, str], ...] = setting(())
    key_log: str = setting("")

    settings: TLSSettings = inner(TLSSettings)


def on_location(cf: Builder, loc: Location) -> None:
    """Gather the settings; where there are any, find out now whether they are any good."""
    conf: LuaSSLLocation = loc.conf["lua_ssl"]
    pairs: tuple[tuple[str, str], ...] = ()
    if conf.certificate:
        if not conf.certificate_key:
            raise cf.error(f'no "lua_ssl_certificate_key" is defined for certificate "{conf.certificate}"')
        pairs = (
            (
                certificate_path(cf.conf_prefix, conf.certificate),
                certificate_path(cf.conf_prefix, conf.certificate_key),
            ),
        )
    conf.settings = settings = TLSSettings(
        protocols=conf.protocols,
        ciphers=conf.ciphers,
        certificates=pairs,
        depth=conf.verify_depth,
        trusted=cf.path(conf.trusted_certificate, conf=True) if conf.trusted_certificate else "",
        crl=cf.path(conf.crl, conf=True) if conf.crl else "",
        commands=conf.commands,
        key_log=cf.path(conf.key_log, conf=True) if conf.key_log else "",
    )
    if settings != TLSSettings():
        try:
            client(settings)
        except TLSError as error:
            raise cf.error(str(error)) from None


MODULE = Module(
    name="lua_ssl",
    location=LuaSSLLocation,
    on_location=on_location,
    directives=(
        *client_directives("lua_ssl_"),
        Directive("lua_ssl_certificate", HSL, TAKE1, string("certificate")),
        Directive("lua_ssl_certificate_key", HSL, TAKE1, string("certificate_key")),
    ),
)
