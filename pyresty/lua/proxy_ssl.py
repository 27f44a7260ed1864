"""Runs Lua for the handshake with an upstream: before it, to choose a certificate; after it, to judge the peer's.

The one idea: what Lua chooses (``ngx.ssl.proxysslcert``) is left on the request's Upstream as PEM text, and becomes a
TLSClient like that of any ``proxy_ssl_certificate``.

https://github.com/openresty/lua-nginx-module#proxy_ssl_verify_by_lua_block
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..process.logs import CRIT, DEBUG, ERR
from ..tls.context import TLSError
from ..upstream.tls_exchange import Refused
from ..upstream.tls_settings import client
from .scheduler import advance, carry_on

if TYPE_CHECKING:
    from ..http.request import Request
    from ..http.routing import Location
    from ..upstream.exchange import Upstream
    from ..upstream.tls import TLSTransport
    from ..upstream.tls_client import TLSClient
    from .handlers import Code
    from .vm import LuaVM

#: What OpenSSL says of a callback that has failed, and of a certificate that one has refused.
_CALLBACK = "SSL_do_handshake() failed (SSL: error:0A0000EA:SSL routines::callback failed)"
_REFUSED = "SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed)"


def make_certifier(loc: Location, code: Code) -> Callable[[Upstream], Awaitable[TLSClient | None]]:
    """For ``proxy_ssl_certificate_by_lua*``: answers with the client to use, None for the usual one. Raises Refused."""
    conf = loc.conf["proxy_ssl"]

    async def certify(u: Upstream) -> TLSClient | None:
        u.certificate = u.private_key = None
        ok = await _run(u, loc, code, "certificate", "cert cb")
        if not ok:
            raise Refused(ERR, _CALLBACK)
        if u.certificate is None or u.private_key is None:
            return None
        pairs: tuple[tuple[str, str], ...] = ()
        if u.certificate and u.private_key:
            pairs = (("data:" + u.certificate.decode(), "data:" + u.private_key.decode()),)
        try:
            return client(conf.settings._replace(certificates=pairs, verify=conf.verifies))
        except TLSError as error:
            raise Refused(ERR, str(error)) from None

    return certify


def make_judge(loc: Location, code: Code, alone: bool) -> Callable[[Upstream, TLSTransport], Awaitable[None]]:
    """For ``proxy_ssl_verify_by_lua*``, after the handshake; ``alone``: OpenSSL has not verified. Raises Refused."""

    async def judge(u: Upstream, tls: TLSTransport) -> None:
        if not alone:
            u.r.log(DEBUG, "proxy_ssl_verify_by_lua: openssl default verify")
        u.verify_result = 0
        if not await _run(u, loc, code, "verify", "cert verify callback"):
            raise Refused(CRIT, _REFUSED)
        if u.verify_result:
            raise Refused(ERR, f"upstream SSL certificate verify error: ({u.verify_result}:set by Lua)")

    return judge


async def _run(u: Upstream, loc: Location, code: Code, name: str, callback: str) -> bool:
    """Run the code; whether it ended well."""
    r: Request = u.r
    vm: LuaVM = loc.server.config.lua
    chunk = code.chunk(vm, r, loc.conf["lua"].code_cache)
    if chunk < 0:
        return False
    action = r.main.action
    doing = f"loading proxy ssl {name} by lua".encode()
    before = u.action
    r.main.action, u.action = b" while " + doing, b""
    vm.r = r
    directive = f"proxy_ssl_{name}_by_lua"
    waited = False
    try:
        tid, waiting = advance(vm, r, vm.start(code.phase, chunk, r.lua, r.header_sent), False)
        waited = tid != 0
        result: Any = await carry_on(vm, r, tid, waiting, False)
    except asyncio.CancelledError:
        r.log(DEBUG, f"{directive}: {callback} aborted")
        u.action = doing
        raise
    finally:
        r.main.action = action
    u.action = before
    ok = result is None or result == 0
    value = "" if waited else f"handler return value: {result or 0}, "
    r.log(DEBUG, f"{directive}: {value}{callback} exit code: {int(ok)}")
    return ok
