"""Whether the client's certificate will do: asked before the first phase of each request.

Rules: ``ngx_http_process_request``, ``ngx_http_set_virtual_server``, ``ngx_ssl_verify_error_optional``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..process.logs import INFO
from . import openssl
from .settings import ON, OPTIONAL_NO_CA, ServerTLS

if TYPE_CHECKING:
    from ..http.request import Request

_READING = " while reading client request headers"
CERT_ERROR, NO_CERT, MISDIRECTED = 495, 496, 421

#: Errors of a chain that doesn't end at a CA that is trusted (X509_V_ERR_…): what ``optional_no_ca`` lets pass.
_OPTIONAL = frozenset((18, 19, 20, 21, 27))


def result(tls: Any) -> tuple[int, str]:
    """OpenSSL's number and text for the certificate of ``tls``; where it can't be asked it has refused bad ones itself."""
    return (0, "ok") if openssl.WHY_NOT else openssl.verify_result(tls)


def make_check(settings: ServerTLS) -> Callable[[Request], Awaitable[int | None]]:
    """The handler for a server with ``ssl_verify_client``."""
    verify = settings.values.verify

    async def check(r: Request) -> int | None:
        conn: Any = r.conn
        if r.internal or r.is_subrequest or conn.tls is None:
            return None
        if conn.negotiated is not None and r.head.host != conn.negotiated:
            r.log(
                INFO,
                "client attempted to request the server name different from the one that was negotiated" + _READING,
            )
            return MISDIRECTED
        tls = conn.tls.object
        code, text = result(tls)
        if code and (verify != OPTIONAL_NO_CA or code not in _OPTIONAL):
            r.log(INFO, f"client SSL certificate verify error: ({code}:{text}){_READING}")
            return CERT_ERROR
        if verify == ON and not tls.getpeercert(True):
            r.log(INFO, "client sent no required SSL certificate" + _READING)
            return NO_CERT
        return None

    return check
