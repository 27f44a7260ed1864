"""``proxy_ssl_certificate_by_lua*`` and ``proxy_ssl_verify_by_lua*``: Lua in the handshake with an upstream.

The one idea: Python's ``ssl`` can't stop in the middle of a handshake, so the first runs before it and the second after
it, before anything is sent. What Lua then refuses ends the connection as a failed handshake does.

https://github.com/openresty/lua-nginx-module#proxy_ssl_certificate_by_lua_block
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import FLAG, LIF, LOCATION, TAKE1, Directive, Module, Settings, flag, setting
from ..lua.handlers import Code
from ..lua.proxy_ssl import make_certifier, make_judge
from .lua import phase_directive

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..http.routing import Location
    from .proxy_ssl import ProxySSLLocation


@dataclass(eq=False)
class LuaProxySSLLocation(Settings):
    """Settings of a location."""

    certificate: Code | None = setting(None)
    verify: Code | None = setting(None)
    skip: bool = setting(False)  #: OpenSSL's own verification


def on_location(cf: Builder, loc: Location) -> None:
    """Give the location's TLS settings what has to be asked."""
    conf: LuaProxySSLLocation = loc.conf["lua_proxy_ssl"]
    target = loc.conf["proxy"].target
    secure: ProxySSLLocation = loc.conf["proxy_ssl"]
    if target is None or not (target.tls or target.template is not None):
        outer = loc.parent.conf["lua_proxy_ssl"] if loc.parent is not None else None
        for name in ("certificate", "verify"):
            code = getattr(conf, name)
            if code is not None and (outer is None or code is not getattr(outer, name)):
                raise cf.error(f"proxy_ssl_{name}_by_lua* should be used with proxy_pass https url")
        return
    if conf.certificate is not None:
        secure.certify = make_certifier(loc, conf.certificate)
    if conf.verify is not None:
        secure.judge = make_judge(loc, conf.verify, conf.skip or not secure.verify)
        secure.skip = conf.skip
    if conf.certificate is not None or conf.verify is not None:
        secure.prepare(cf, target)


_IN_LOCATION = LOCATION | LIF

MODULE = Module(
    name="lua_proxy_ssl",
    location=LuaProxySSLLocation,
    on_location=on_location,
    directives=(
        *(
            Directive(f"proxy_ssl_{field}_by_lua{kind}", _IN_LOCATION, TAKE1, phase_directive(field, phase))
            for field, phase in (("certificate", "proxy_ssl_cert"), ("verify", "proxy_ssl_verify"))
            for kind in ("_block", "_file")
        ),
        Directive("lua_upstream_skip_openssl_default_verify", _IN_LOCATION, FLAG, flag("skip")),
    ),
)
