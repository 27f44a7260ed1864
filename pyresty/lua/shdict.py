"""``lua_shared_dict``: a zone of shared memory for each dictionary, made ready by the Lua side and known to the VM by its address.

The zones belong to the cycle (``process/shared_memory.py``), so they outlive the VM at a reload. What is in them is the business of
``runtime/shdict_*.lua``. https://github.com/openresty/lua-nginx-module#lua_shared_dict
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..config.errors import ConfigError
from ..process.shared_memory import Zone

if TYPE_CHECKING:
    from ..config.build import Builder, Config
    from ..config.parse import Node
    from .vm import LuaVM

#: Bytes: below this nothing is a dictionary; above it, places in it are no 32-bit integers.
LEAST, MOST = 8192, 8 << 30
#: The bytes that the smallest entry takes: there is one hash chain for each.
ENTRY = 128


def chains(size: int) -> int:
    """How many hash chains a dictionary of ``size`` bytes has: a power of two, and never fewer than it can have entries."""
    return 1 << (size // ENTRY).bit_length()


def set_shared_dict(cf: Builder, conf: object, node: Node) -> None:
    """``lua_shared_dict name size``."""
    name, text = node.args
    if not name:
        raise cf.error(f'invalid lua shared dict name "{name}"')
    size = _parse_size(text)
    if size < LEAST:
        raise cf.error(f'invalid lua shared dict size "{text}"')
    if size > MOST:
        raise cf.error(f'the lua shared dict size "{text}" is above the 8 GB that pyresty can use')
    if sys.platform != "linux":
        raise cf.error('"lua_shared_dict" needs robust mutexes that processes share, which pyresty has on Linux only')
    zones = cf.config.shared_memory
    before = zones.get(name)
    if before is not None and before.size != size:
        raise cf.error(
            f'the size {size} of shared memory zone "{name}" conflicts with already declared size {before.size}'
        )
    if before is not None:
        raise cf.error(f'lua_shared_dict "{name}" is already defined as "{name}"')
    zones[name] = Zone(name, size, 4 * chains(size) + 8)


def _parse_size(text: str) -> int:
    """Bytes; -1 for what is no size. nginx: ``ngx_parse_size``, which knows k and m."""
    factor = {"k": 1 << 10, "m": 1 << 20}.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor > 1 else text
    return int(digits) * factor if digits.isascii() and digits.isdigit() else -1


def add_dictionaries(vm: LuaVM, config: Config) -> None:
    """Give ``ngx.shared`` its dictionaries. Raises :class:`ConfigError` for one that is too small for its own tables."""
    for name, zone in config.shared_memory.items():
        error = vm.add_dictionary(name.encode("utf-8", "surrogateescape"), zone.address, zone.size, chains(zone.size))
        if error is not None:
            raise ConfigError(f'{error.decode()} in lua_shared_dict zone "{name}"', level="crit")
