"""``proxy_pass https://…``: the directives ``proxy_ssl_*``.

The one idea: without variables everything is made when the configuration is built; with them (``proxy_ssl_name``,
``proxy_ssl_certificate``, ``proxy_pass``) the same things are made for the request, and remembered by their values.

https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ssl_certificate
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directives import (
    FLAG,
    HSL,
    TAKE1,
    TAKE123,
    Directive,
    Module,
    Settings,
    flag,
    inner,
    setting,
    template,
)
from ..http.template import Template
from ..process.logs import ERR
from ..tls.context import DEFAULT_PROTOCOLS, TLSError, certificate_path
from ..upstream.tls_client import Origin, TLSClient
from ..upstream.tls_exchange import Security
from ..upstream.tls_settings import TLSSettings, client
from .ssl_directives import client_directives, set_certificate_cache, set_password_file

if TYPE_CHECKING:
    from ..config.build import Builder
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
            pair = certificate_path(self.conf_prefix, certificate), certificate_path(self.conf_prefix, key)
            settings = settings._replace(certificates=(pair,))
        try:
            return client(settings._replace(verify=self.verifies))
        except TLSError as error:
            r.log(ERR, str(error))
            return None


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
            certificates = (
                (certificate_path(cf.conf_prefix, certificate.text), certificate_path(cf.conf_prefix, key.text)),
            )
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
        *client_directives("proxy_ssl_"),
        Directive("proxy_ssl_session_reuse", HSL, FLAG, flag("session_reuse")),
        Directive("proxy_ssl_name", HSL, TAKE1, template("name")),
        Directive("proxy_ssl_server_name", HSL, FLAG, flag("server_name")),
        Directive("proxy_ssl_verify", HSL, FLAG, flag("verify")),
        Directive("proxy_ssl_certificate", HSL, TAKE1, template("certificate")),
        Directive("proxy_ssl_certificate_key", HSL, TAKE1, template("certificate_key")),
        Directive("proxy_ssl_certificate_cache", HSL, TAKE123, set_certificate_cache),
        Directive("proxy_ssl_password_file", HSL, TAKE1, set_password_file),
    ),
)
