"""Addresses of upstream servers: from the text in a directive to what a socket connects to.

The one idea: parsing (``parse_url``) and looking names up (``addresses``) are two steps, because names in
``proxy_pass`` may turn out to be upstreams, and because variables bring text that is parsed while serving but must
never block on a look-up.

Rules: nginx's ``ngx_parse_url`` and ``ngx_inet_resolve_host``; the texts of BadAddress are nginx's.
"""

from __future__ import annotations

import socket
from typing import NamedTuple


class BadAddress(ValueError):
    """Not an address; the text is nginx's word for why (``no host``, ``invalid port``, ``host not found``, …)."""


class Address(NamedTuple):
    """Where a peer listens. ``sockaddr`` is what the socket module takes; ``name`` is nginx's spelling, as in
    ``$upstream_addr``.
    """

    family: int
    sockaddr: tuple[str, int] | str
    name: bytes


class Url(NamedTuple):
    """``host:port/uri`` taken apart."""

    host: bytes  #: as written, IPv6 in brackets; the path of a unix socket
    port: int  #: the default one where none is written
    port_text: bytes  #: empty where none is written
    uri: bytes  #: from the first "/" or "?", empty where there is none
    address: Address | None  #: set where the host is no name

    @property
    def is_unix(self) -> bool:
        """Whether it names a unix socket."""
        return self.address is not None and self.address.family == socket.AF_UNIX


def parse_url(text: bytes, default_port: int, uri_part: bool) -> Url:
    """Take ``text`` apart, a URI after the host only if ``uri_part``. Looks nothing up. Raises BadAddress."""
    if text[:5].lower() == b"unix:":
        return _parse_unix(text, uri_part)
    if text.startswith(b"["):
        return _parse_inet6(text, default_port, uri_part)
    ends = [at for at in (text.find(b"/"), text.find(b"?")) if at >= 0]
    end = min(ends, default=len(text))
    if ends and not uri_part:
        raise BadAddress("invalid host")
    host, colon, port_text = text[:end].partition(b":")
    port = _port(port_text) if colon else default_port
    if not host:
        raise BadAddress("no host")
    address = None
    if is_inet(host):
        address = inet_address(socket.AF_INET, host.decode(), port)
    return Url(host, port, port_text, text[end:], address)


def _parse_unix(text: bytes, uri_part: bool) -> Url:
    path, uri = text[5:], b""
    if uri_part:
        path, _, uri = path.partition(b":")
    if not path:
        raise BadAddress("no path in the unix domain socket")
    if len(path) > 107:
        raise BadAddress("too long path in the unix domain socket")
    name = b"unix:" + path
    return Url(path, 0, b"", uri, Address(socket.AF_UNIX, path.decode("utf-8", "surrogateescape"), name))


def _parse_inet6(text: bytes, default_port: int, uri_part: bool) -> Url:
    inner, bracket, rest = text[1:].partition(b"]")
    if not bracket:
        raise BadAddress("invalid host")
    slash = rest.find(b"/")
    uri = b""
    if slash >= 0:
        if not uri_part:
            raise BadAddress("invalid host")
        rest, uri = rest[:slash], rest[slash:]
    port, port_text = default_port, b""
    if rest:
        if not rest.startswith(b":"):
            raise BadAddress("invalid host")
        port_text = rest[1:]
        port = _port(port_text)
    if not inner:
        raise BadAddress("no host")
    try:
        host = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, inner.decode("latin-1")))
    except (OSError, ValueError):
        raise BadAddress("invalid IPv6 address") from None
    return Url(b"[" + inner + b"]", port, port_text, uri, inet_address(socket.AF_INET6, host, port))


def _port(text: bytes) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise BadAddress("invalid port")
    return int(text)


def is_inet(host: bytes) -> bool:
    """Whether ``host`` is a dotted IPv4 address."""
    return _is_address(socket.AF_INET, host)


def is_inet6(host: bytes) -> bool:
    """Whether ``host`` is an IPv6 address, without brackets."""
    return _is_address(socket.AF_INET6, host)


def _is_address(family: int, host: bytes) -> bool:
    try:
        socket.inet_pton(family, host.decode("latin-1"))
    except (OSError, ValueError):
        return False
    return True


def inet_address(family: int, host: str, port: int) -> Address:
    """The Address of a numeric host."""
    if family == socket.AF_INET6:
        return Address(family, (host, port), f"[{host}]:{port}".encode())
    return Address(family, (host, port), f"{host}:{port}".encode())


def addresses(url: Url) -> list[Address]:
    """All addresses of ``url``, names looked up by the system. Blocks: only for start-up. Raises BadAddress (``host not
    found``).
    """
    if url.address is not None:
        return [url.address]
    try:
        found = socket.getaddrinfo(url.host.decode("utf-8", "surrogateescape"), url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BadAddress("host not found") from None
    inet = (socket.AF_INET, socket.AF_INET6)
    return [inet_address(family, str(sockaddr[0]), url.port) for family, _, _, _, sockaddr in found if family in inet]
