"""geo: https://nginx.org/en/docs/http/ngx_http_geo_module.html

A variable whose value depends on the client's address: that of the smallest network, or of the range, that the address is in.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from ..config.directives import HTTP, TAKE12, Directive, Module
from ..http.cidr import INET, INET6, Cidr, client_address, parse_address, parse_cidr, unmapped
from ..http.forwarded import forwarded_address, header_values
from ..http.template import Variable, encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request

#: What has no IPv4 or IPv6 address counts as this one.
_NONE = (INET, 0xFFFFFFFF)


class Geo:
    """One ``geo``."""

    def __init__(self, source: Variable | None) -> None:
        self.source = source
        self.default: bytes | None = None
        self.proxies: list[Cidr] = []
        self.recursive = self.volatile = self.by_range = False
        #: Values by family, mask and network, the longest masks first once it is complete.
        self.networks: dict[tuple[int, int], dict[int, bytes]] = {}
        #: Ranges that do not overlap, in order: first and last address, value.
        self.ranges: list[tuple[int, int, bytes]] = []
        self._starts: list[int] = []

    # -- the block

    def add(self, cf: Builder, row: Node) -> None:
        """One line of the block."""
        key, words = row.name, row.args
        if not words and key == "ranges":
            if self.networks or self.default is not None:
                raise cf.error('the "ranges" directive must be the first directive inside "geo" block', node=row)
            self.by_range = True
        elif not words and key == "proxy_recursive":
            self.recursive = True
        elif not words and key == "volatile":
            self.volatile = True
        elif len(words) != 1 or row.block is not None:
            raise cf.error("invalid number of the geo parameters", node=row)
        elif key == "proxy":
            self.proxies.append(_network(cf, row, words[0]))
        elif key == "default":
            if self.default is not None:
                what = "geo range value" if self.by_range else "network"
                cf.warn(f'duplicate default {what}: "{words[0]}", old value: "{self.default.decode()}"')
            self.default = encode(words[0])
        elif self.by_range:
            self._add_range(cf, row)
        else:
            self._add_network(cf, row)

    def _add_network(self, cf: Builder, row: Node) -> None:
        remove = row.name == "delete"
        net = _network(cf, row, row.args[0] if remove else row.name)
        table = self.networks.setdefault((net.family, net.mask), {})
        if remove:
            if table.pop(net.value, None) is None:
                cf.warn(f'no network "{row.args[0]}" to delete')
            return
        value = encode(row.args[0])
        if net.value in table:
            old = table[net.value].decode()
            cf.warn(f'duplicate network "{row.name}", value: "{row.args[0]}", old value: "{old}"')
        table[net.value] = value

    def _add_range(self, cf: Builder, row: Node) -> None:
        """A range may lie within another one, which is then split, but not overlap it otherwise."""
        remove = row.name == "delete"
        text = row.args[0] if remove else row.name
        low, dash, high = text.partition("-")
        first, last = parse_address(low), parse_address(high)
        if not dash or first is None or last is None or first[0] != INET or last[0] != INET or first > last:
            raise cf.error(f'invalid range "{text}"', node=row)
        start, end, value = first[1], last[1], encode(row.args[0])
        for at, (begin, stop, old) in enumerate(self.ranges):
            if end < begin or start > stop:
                continue
            if (start, end) == (begin, stop):
                if remove:
                    del self.ranges[at]
                    return
                cf.warn(f'duplicate range "{text}", value: "{row.args[0]}", old value: "{old.decode()}"')
            elif remove:
                break
            elif start < begin or end > stop:
                names = ".".join(str(byte) for byte in begin.to_bytes(4, "big"))
                raise cf.error(
                    f'range "{text}" overlaps "{names}-{".".join(str(byte) for byte in stop.to_bytes(4, "big"))}"',
                    node=row,
                )
            pieces = [(begin, start - 1, old), (start, end, value), (end + 1, stop, old)]
            self.ranges[at : at + 1] = [piece for piece in pieces if piece[0] <= piece[1]]
            return
        if remove:
            cf.warn(f'no address range "{text}" to delete')
            return
        self.ranges.insert(bisect_right([begin for begin, _, _ in self.ranges], start), (start, end, value))

    def complete(self) -> None:
        """Put the tables in the order that look-ups need."""
        self.networks = dict(sorted(self.networks.items(), key=lambda item: -item[0][1].bit_count()))
        self._starts = [start for start, _, _ in self.ranges]

    # -- serving

    def address(self, r: Request) -> tuple[int, int]:
        """The address that counts: the client's or a variable's, or behind proxies the one that they name."""
        if self.source is None:
            address = client_address(r)
            if address[0] not in (INET, INET6):
                address = _NONE
        else:
            value: bytes | None = self.source.get(r)
            known = parse_address(value.decode("latin-1")) if value is not None else None
            if known is None:
                return _NONE
            address = known
        if self.proxies:
            forwarded = forwarded_address(address, header_values(r, b"x-forwarded-for"), self.proxies, self.recursive)
            if forwarded is not None:
                return forwarded[:2]
        return address

    def value(self, r: Request) -> bytes:
        """The variable's value for ``r``."""
        family, number = unmapped(self.address(r))
        if self.by_range:
            if family != INET:
                number = _NONE[1]
            at = bisect_right(self._starts, number) - 1
            if at >= 0 and number <= self.ranges[at][1]:
                return self.ranges[at][2]
        else:
            for (kind, mask), table in self.networks.items():
                if kind == family:
                    found = table.get(number & mask)
                    if found is not None:
                        return found
        return self.default or b""


def _network(cf: Builder, row: Node, text: str) -> Cidr:
    known = parse_cidr(text)
    if known is None:
        raise cf.error(f'invalid network "{text}"', node=row)
    if known[1]:
        cf.warn(f"low address bits of {text} are meaningless")
    return known[0]


def set_geo(cf: Builder, conf: Any, node: Node) -> None:
    """``geo [$address] $variable { … }``."""
    source = None
    if len(node.args) == 2:
        if not node.args[0].startswith("$"):
            raise cf.error(f'invalid variable name "{node.args[0]}"')
        source = cf.variable(node.args[0][1:])
    made = Geo(source)
    for row in node.block or []:
        made.add(cf, row)
    made.complete()
    cf.compute(node.args[-1], made.value, made.volatile)


MODULE = Module(name="geo", directives=(Directive("geo", HTTP, TAKE12, set_geo, block=True),))
