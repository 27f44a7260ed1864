"""The settings of TLS clients as plain values, from which TLSClients are made.

The one idea: what is equal as a value is one TLSClient (``client``), however many locations say it; so they share their
sessions and, where they share a pool, their connections.
"""

from __future__ import annotations

import os
import ssl
from typing import NamedTuple

from ..tls import context as make
from ..tls import openssl
from .tls_client import TLSClient

#: Clients that are remembered: those of the configuration, and the latest whose certificates variables name.
_KEPT = 256

_clients: dict[tuple[TLSSettings, tuple[tuple[float, int, int], ...]], TLSClient] = {}


class TLSSettings(NamedTuple):
    """What ``proxy_ssl_*`` and ``lua_ssl_*`` say. Paths are absolute, "" where there is none."""

    protocols: frozenset[str] = frozenset(("TLSv1.2", "TLSv1.3"))
    ciphers: str = "DEFAULT"
    certificates: tuple[tuple[str, str], ...] = ()  #: certificate and key of this side
    passwords: tuple[bytes, ...] = ()
    verify: bool = False
    depth: int = 1
    trusted: str = ""
    crl: str = ""
    commands: tuple[tuple[str, str], ...] = ()  #: ``ssl_conf_command``
    key_log: str = ""


def client(settings: TLSSettings) -> TLSClient:
    """The TLSClient for ``settings``; made anew where one of the files has changed.

    Raises ``tls.context.TLSError``, with nginx's text, where a file or a value is no good.
    """
    files = [path for pair in settings.certificates for path in pair] + [settings.trusted, settings.crl]
    key = settings, tuple(_state(path) for path in files if path and not path.startswith("data:"))
    found = _clients.get(key)
    if found is None:
        found = TLSClient(_context(settings), settings.verify, settings.depth)
        if len(_clients) >= _KEPT:
            del _clients[next(iter(_clients))]
        _clients[key] = found
    return found


def _state(path: str) -> tuple[float, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0.0, 0, 0
    return found.st_mtime, found.st_size, found.st_ino


def _context(settings: TLSSettings) -> ssl.SSLContext:
    context = make.new_context(server=False)
    make.set_protocols(context, settings.protocols)
    make.set_ciphers(context, settings.ciphers)
    for certificate, key in settings.certificates:
        make.load_pair(context, certificate, key, settings.passwords)
    if settings.trusted:
        make.load_trusted(context, settings.trusted)
    if settings.crl:
        make.load_crl(context, settings.crl)
    for name, value in settings.commands:
        make.conf_command(context, name, value, server=False)
    if settings.key_log:
        make.set_key_log(context, settings.key_log)
    if settings.verify:
        context.verify_mode = ssl.CERT_REQUIRED
        if not openssl.WHY_NOT:
            openssl.set_verify_depth(context, settings.depth)
    return context
