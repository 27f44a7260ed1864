"""``proxy_pass https://…``: the directives ``proxy_ssl_*``.

The one idea: without variables everything is made when the configuration is built; with them (``proxy_ssl_name``,
``proxy_ssl_certificate``, ``proxy_pass``) the same things are made for the request, and remembered by their values.

https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_certificate
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    ONE_MORE,
    TAKE1,
    TAKE2,
    TAKE123,
    UNSET,
    Directive,
    Module,
    Settings,
    bitmask,
    flag,
    inner,
    number,
    parse_time,
    setting,
    string,
    template,
)
from ..http.template import Template
from ..process.logs import ERR
from ..tls.context import DEFAULT_PROTOCOLS, PROTOCOLS, TLSError, read_passwords
from ..upstream.tls_client import Origin, TLSClient
from ..upstream.tls_exchange import Security
from ..upstream.tls_settings import TLSSettings, client

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request
    from ..http.routing import Location
    from .proxy import ProxyLocation
    from .proxy_pass import Target

#: Origins that a location remembers.
_KEPT = 512


@dataclass(eq=False)
class ProxySSLLocation(Settings):
    """Settings of a location; ``settings`` and ``client`` are worked out in ``on_location``."""

    session_reuse: bool = setting(True)
    protocols: frozenset[str] = setting(DEFAULT_PROTOCOLS)
    ciphers: str = setting("DEFAULT")
    name: Template | None = setting(None)
    server_name: bool = setting(False)
    verify: bool = setting(False)
    verify_depth: int = setting(1)
    trusted_certificate: str = setting("")
    crl: str = setting("")
    certificate: Template | None = setting(None)
    certificate_key: Template | None = setting(None)
    certificate_cache: bool = setting(False)
    passwords: tuple[bytes, ...] = setting(())
    commands: tuple[tuple[str, str], ...] = setting(())
    key_log: str = setting("")

    conf_prefix: str = inner(str)
    settings: TLSSettings = inner(TLSSettings)
    client: TLSClient | None = inner(lambda: None)
    origins: dict[tuple[TLSClient, bytes], Security] = inner(dict)

    #: What Lua has to say (``proxy_ssl_*_by_lua*``); ``skip``: it verifies alone.
    certify: Any = inner(lambda: None)
    judge: Any = inner(lambda: None)
    skip: bool = inner(bool)

    @property
    def verifies(self) -> bool:
        """Whether OpenSSL verifies."""
        return self.verify and not self.skip

    @property
    def varies(self) -> bool:
        """Whether the certificate depends on the request."""
        return self.certificate is not None and (
            self.certificate.const is None or (self.certificate_key is not None and self.certificate_key.const is None)
        )

    def security(self, r: Request, target: Target, name: bytes | None = None) -> Security | None:
        """How to be secure towards ``target``, or ``name`` instead of its host; None where that can't be, which is
        logged.
        """
        used = self.client
        if self.varies:
            used = self._for_certificate(r)
        if used is None:
            return None
        assert target.url is not None
        if name is None:
            name = self.name(r) if self.name is not None else target.url.host
        known = self.origins.get((used, name))
        if known is None:
            text = name.decode("utf-8", "surrogateescape")
            known = self._security(used, text)
            if len(self.origins) >= _KEPT:
                self.origins.clear()
            self.origins[used, name] = known
        return known

    def _security(self, used: TLSClient, name: str) -> Security:
        return Security(
            Origin(used, name, self.server_name, self.verify, self.session_reuse and not self.skip),
            self.verify,
            self.certify,
            self.judge,
        )

    def prepare(self, cf: Builder, target: Target) -> None:
        """Make now what is the same for all requests, once all that it depends on has been set."""
        try:
            self.client = client(self.settings._replace(verify=self.verifies))
        except TLSError as error:
            raise cf.error(str(error)) from None
        if target.url is not None and not self.varies and (self.name is None or self.name.const is not None):
            name = target.url.host if self.name is None else self.name.const
            assert name is not None
            target.security = self._security(self.client, name.decode("utf-8", "surrogateescape"))

    def _for_certificate(self, r: Request) -> TLSClient | None:
        assert self.certificate is not None and self.certificate_key is not None
        certificate = self.certificate(r).decode("utf-8", "surrogateescape")
        settings = self.settings
        if certificate:
            key = self.certificate_key(r).decode("utf-8", "surrogateescape")
            pair = full_path(self.conf_prefix, certificate), full_path(self.conf_prefix, key)
            settings = settings._replace(certificates=(pair,))
        try:
            return client(settings._replace(verify=self.verifies))
        except TLSError as error:
            r.log(ERR, str(error))
            return None


def full_path(prefix: str, name: str) -> str:
    """The path of a certificate or key: below the folder of the conf file. ``data:…`` is itself."""
    return name if name.startswith("data:") else os.path.join(prefix, name)


# -- directives


def set_password_file(cf: Builder, conf: ProxySSLLocation, node: Node) -> None:
    """``proxy_ssl_password_file file``: passphrases, one a line, tried in turn."""
    if conf.passwords is not UNSET:
        raise ValueError("is duplicate")
    try:
        conf.passwords = read_passwords(cf.path(node.args[0], conf=True))
    except TLSError as error:
        raise cf.error(str(error)) from None


def set_conf_command(cf: Builder, conf: ProxySSLLocation, node: Node) -> None:
    """``proxy_ssl_conf_command name value``."""
    conf.commands = (*(conf.commands or ()), (node.args[0], node.args[1]))


def set_certificate_cache(cf: Builder, conf: ProxySSLLocation, node: Node) -> None:
    """``proxy_ssl_certificate_cache off | max=N [inactive=time] [valid=time]``."""
    if conf.certificate_cache is not UNSET:
        raise ValueError("is duplicate")
    found = off = False
    for word in node.args:
        name, _, value = word.partition("=")
        try:
            if word == "off":
                off = True
            elif name == "max" and value.isdigit() and int(value):
                found = True
            elif name in ("inactive", "valid"):
                parse_time(value)
            else:
                raise ValueError
        except ValueError:
            raise cf.error(f'invalid parameter "{word}"') from None
    if not off and not found:
        raise cf.error('"proxy_ssl_certificate_cache" must have the "max" parameter')
    conf.certificate_cache = not off
    if not off:
        cf.ineffective(node, "certificates that variables name are kept for as long as their files don't change")


# -- after merging


def on_location(cf: Builder, loc: Location) -> None:
    """Make what TLS needs where a location proxies to ``https://``, or may."""
    conf: ProxySSLLocation = loc.conf["proxy_ssl"]
    proxy: ProxyLocation = loc.conf["proxy"]
    target = proxy.target
    if target is None or not (target.tls or target.template is not None):
        return
    conf.conf_prefix = cf.conf_prefix
    certificate, key = conf.certificate, conf.certificate_key
    certificates: tuple[tuple[str, str], ...] = ()
    if certificate is not None and certificate.text:
        if key is None:
            raise cf.error(f'no "proxy_ssl_certificate_key" is defined for certificate "{certificate.text}"')
        if not conf.varies:
            certificates = ((full_path(cf.conf_prefix, certificate.text), full_path(cf.conf_prefix, key.text)),)
    if conf.verify and not conf.trusted_certificate:
        raise cf.error("no proxy_ssl_trusted_certificate for proxy_ssl_verify")
    conf.settings = TLSSettings(
        conf.protocols,
        conf.ciphers,
        certificates,
        conf.passwords,
        conf.verify,
        conf.verify_depth,
        cf.path(conf.trusted_certificate, conf=True) if conf.verify else "",
        cf.path(conf.crl, conf=True) if conf.verify and conf.crl else "",
        conf.commands,
        cf.path(conf.key_log) if conf.key_log else "",
    )
    conf.prepare(cf, target)


MODULE = Module(
    name="proxy_ssl",
    location=ProxySSLLocation,
    on_location=on_location,
    directives=(
        Directive("proxy_ssl_session_reuse", HSL, FLAG, flag("session_reuse")),
        Directive("proxy_ssl_protocols", HSL, ONE_MORE, bitmask("protocols", {word: word for word in PROTOCOLS})),
        Directive("proxy_ssl_ciphers", HSL, TAKE1, string("ciphers")),
        Directive("proxy_ssl_name", HSL, TAKE1, template("name")),
        Directive("proxy_ssl_server_name", HSL, FLAG, flag("server_name")),
        Directive("proxy_ssl_verify", HSL, FLAG, flag("verify")),
        Directive("proxy_ssl_verify_depth", HSL, TAKE1, number("verify_depth")),
        Directive("proxy_ssl_trusted_certificate", HSL, TAKE1, string("trusted_certificate")),
        Directive("proxy_ssl_crl", HSL, TAKE1, string("crl")),
        Directive("proxy_ssl_certificate", HSL, TAKE1, template("certificate")),
        Directive("proxy_ssl_certificate_key", HSL, TAKE1, template("certificate_key")),
        Directive("proxy_ssl_certificate_cache", HSL, TAKE123, set_certificate_cache),
        Directive("proxy_ssl_password_file", HSL, TAKE1, set_password_file),
        Directive("proxy_ssl_conf_command", HSL, TAKE2, set_conf_command),
        Directive("proxy_ssl_key_log", HSL, TAKE1, string("key_log")),
    ),
)
