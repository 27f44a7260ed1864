"""Certificates that variables name: loaded for the handshake that asks for them, and remembered.

https://nginx.org/en/docs/http/ngx_http_ssl_module.html#ssl_certificate
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..process.logs import ERR
from .context import TLSError, certificate_path, read_certificate, read_key
from .handshake import Handshake, HandshakeRequest

if TYPE_CHECKING:
    from ..http.routing import Server
    from ..http.template import Template
    from .settings import Step


def make_certifier(
    server: Server, pairs: list[tuple[Template, Template]], conf_prefix: str, passwords: tuple[bytes, ...]
) -> Step:
    """The step that loads ``pairs``, certificates and keys; their paths are below ``conf_prefix``."""

    def source(template: Template, r: HandshakeRequest) -> str:
        return certificate_path(conf_prefix, template(r).decode("utf-8", "surrogateescape"))

    async def certify(handshake: Handshake) -> bool:
        r = HandshakeRequest(handshake, server.root, b"")
        for certificate, key in pairs:
            if not certificate(r):
                continue
            try:
                handshake.certificates.append(read_certificate(source(certificate, r)))
                handshake.keys.append(read_key(source(key, r), passwords))
            except TLSError as error:
                handshake.user.worker.log(ERR, f"{error} while SSL handshaking", handshake.user)
                return False
        return True

    return certify
