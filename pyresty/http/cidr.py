"""Networks in the configuration, and whether a client's address is in one. nginx: ``ngx_ptocidr``.

An address is a pair (family, number), so that belonging to a network is one ``&`` and one ``==``.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .request import Request

INET, INET6, UNIX = 4, 6, 1


class Cidr(NamedTuple):
    """A network: of one ``family``, the addresses that are ``value`` where ``mask`` has bits."""

    family: int
    mask: int
    value: int


def parse_address(text: str) -> tuple[int, int] | None:
    """(family, number) of an IPv4 or IPv6 address; None for anything else."""
    for family, af in ((INET, socket.AF_INET), (INET6, socket.AF_INET6)):
        try:
            return family, int.from_bytes(socket.inet_pton(af, text), "big")
        except (OSError, ValueError):
            continue
    return None


def parse_cidr(text: str) -> tuple[Cidr, bool] | None:
    """The network ``address[/bits]``, and whether bits of the address below the mask were set; None if it is no network."""
    address, slash, bits = text.partition("/")
    known = parse_address(address)
    if known is None:
        return None
    family, number = known
    width = 32 if family == INET else 128
    shift = width
    if slash:
        if not (bits.isascii() and bits.isdigit()) or int(bits) > width:
            return None
        shift = int(bits)
    mask = (1 << width) - (1 << (width - shift))
    return Cidr(family, mask, number & mask), number & mask != number


def unmapped(address: tuple[int, int]) -> tuple[int, int]:
    """The same, but an IPv4 address inside IPv6 (``::ffff:1.2.3.4``) as what it is."""
    family, number = address
    if family == INET6 and number >> 32 == 0xFFFF:
        return INET, number & 0xFFFFFFFF
    return address


def client_address(r: Request) -> tuple[int, int]:
    """(family, number) of the client's address, IPv4 inside IPv6 as IPv4; (UNIX, 0) for a unix socket."""
    packed = r.conn.binary_remote_addr
    if len(packed) == 4:
        return INET, int.from_bytes(packed, "big")
    return unmapped((INET6, int.from_bytes(packed, "big"))) if len(packed) == 16 else (UNIX, 0)
