"""Whose address a chain of proxies says a request comes from. nginx: ``ngx_http_get_forwarded_addr``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .cidr import Cidr, parse_address, unmapped

if TYPE_CHECKING:
    from .request import Request


def matches(address: tuple[int, int], networks: Sequence[Cidr]) -> bool:
    """Whether ``address`` (family, number) is in one of ``networks``."""
    family, number = unmapped(address)
    return any(net.family == family and number & net.mask == net.value for net in networks)


def parse_address_port(text: bytes) -> tuple[int, int, int] | None:
    """(family, number, port) of ``address[:port]`` or ``[address]:port``, the port 0 if there is none; None for anything else.

    nginx: ``ngx_parse_addr_port``.
    """
    word = text.decode("latin-1")
    port = ""
    if word.startswith("["):
        word, closed, rest = word[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif word.count(":") == 1:
        word, _, port = word.partition(":")
    known = parse_address(word)
    if known is None or (port and not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536)):
        return None
    return *known, int(port or 0)


def forwarded_address(
    address: tuple[int, int], values: Sequence[bytes], proxies: Sequence[Cidr], recursive: bool
) -> tuple[int, int, int] | None:
    """The client's (family, number, port) by the headers ``values`` if ``address`` is one of ``proxies``; else None.

    The last address named counts, or with ``recursive`` the last one that is not itself one of ``proxies``.
    """
    found: tuple[int, int, int] | None = None
    words = [word for value in values for word in value.replace(b",", b" ").split()]
    for word in reversed(words):
        if not matches(address, proxies):
            break
        known = parse_address_port(word)
        if known is None:
            break
        found = known
        address = known[:2]
        if not recursive:
            break
    return found


def header_values(r: Request, name: bytes) -> list[bytes]:
    """All values of a request header (lower case)."""
    value = r.index.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
