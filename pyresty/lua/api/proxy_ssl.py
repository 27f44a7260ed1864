"""ngx.ssl.proxysslcert, ngx.ssl.proxysslverify, ngx.proxyssl; and ``ngx.exit`` in the phases that only end themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...http.request import Request
from ...process.logs import DEBUG
from ...tls.hello import VERSIONS
from ..scheduler import Exit

if TYPE_CHECKING:
    from ..vm import LuaVM


def exit_bare(r: Request, status: int) -> tuple[Any, ...]:
    """``ngx.exit`` where there is no response to be ended: the handler's code is the status."""
    r.log(DEBUG, f"lua exit with code {int(status)}")
    raise Exit(int(status))


def functions(vm: LuaVM) -> dict[str, Callable[..., Any]]:
    """What the Lua side calls. They answer True, or (None, error)."""

    def proxy_ssl_set(certificate: bytes | None, key: bytes | None) -> Any:
        """Set the certificate or the key, in PEM."""
        u = vm.r.upstream if vm.r is not None else None
        if u is None or u.conn is None:
            return None, b"bad request"
        if certificate is not None:
            u.certificate = certificate
        if key is not None:
            u.private_key = key
        return True

    def proxy_ssl_clear() -> Any:
        """Show nothing, not even what is configured."""
        u = vm.r.upstream if vm.r is not None else None
        if u is None or u.conn is None:
            return None, b"bad request"
        u.certificate = u.private_key = b""
        return True

    def proxy_ssl_result(result: float | None) -> Any:
        """Set, or with None get, the result of the verification."""
        u = vm.r.upstream if vm.r is not None else None
        if u is None or u.conn is None:
            return None, b"bad request"
        if result is None:
            return u.verify_result
        u.verify_result = int(result)
        return True

    def proxy_ssl_version() -> Any:
        """The number of the protocol's version."""
        r = vm.r
        u = r.upstream if r is not None else None
        if r is None or u is None or u.conn is None:
            return None, b"bad request"
        allowed = r.loc.conf["proxy_ssl"].protocols
        tls = u.conn.transport
        version = tls.object.version() if tls.handshaked else next(iter(allowed)) if len(allowed) == 1 else None
        if version is None:
            return None, b"not known before the handshake"
        return VERSIONS[version]

    table = (proxy_ssl_set, proxy_ssl_clear, proxy_ssl_result, proxy_ssl_version)
    return {function.__name__: function for function in table}


OPERATIONS = {"exit_bare": exit_bare}
