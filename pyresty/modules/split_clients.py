"""split_clients: https://nginx.org/en/docs/http/ngx_http_split_clients_module.html

A string's MurmurHash2 falls into one of several parts of the range of 32 bits; the variable's value is that part's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..config.directives import HTTP, TAKE2, Directive, Module
from ..http.template import encode

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request

_PERCENT = re.compile(r"(\d+)(?:\.(\d{0,2}))?%")
_WHOLE = 10000


def murmur_hash2(data: bytes) -> int:
    """MurmurHash2 with seed 0, as nginx has it: 32 bits."""
    number = len(data)
    end = len(data) & ~3
    for at in range(0, end, 4):
        part = int.from_bytes(data[at : at + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        part = (part ^ part >> 24) * 0x5BD1E995 & 0xFFFFFFFF
        number = (number * 0x5BD1E995 & 0xFFFFFFFF) ^ part
    if end < len(data):
        number = (number ^ int.from_bytes(data[end:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    number = (number ^ number >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return number ^ number >> 15


def set_split_clients(cf: Builder, conf: Any, node: Node) -> None:
    """``split_clients string $variable { percent% value; … * value; }``."""
    source = cf.template(node.args[0])
    parts: list[tuple[int, bytes]] = []
    total = limit = 0
    for row in node.block or []:
        if len(row.args) != 1 or row.block is not None:
            raise cf.error(f'invalid percent value "{row.name}"', node=row)
        share = _WHOLE - total if row.name == "*" else _share(cf, row)
        total += share
        if total > _WHOLE:
            raise cf.error("percent total is greater than 100%")
        limit = limit + share * 0xFFFFFFFF // _WHOLE if total < _WHOLE else 1 << 32
        parts.append((limit, encode(row.args[0])))

    def value(r: Request) -> bytes:
        number = murmur_hash2(source(r))
        for limit, text in parts:
            if number < limit:
                return text
        return b""

    cf.compute(node.args[1], value)


def _share(cf: Builder, row: Node) -> int:
    match = _PERCENT.fullmatch(row.name)
    share = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else 0
    if not share:
        raise cf.error(f'invalid percent value "{row.name}"', node=row)
    return share


MODULE = Module(
    name="split_clients",
    directives=(Directive("split_clients", HTTP, TAKE2, set_split_clients, block=True),),
)
