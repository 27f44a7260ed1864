"""Memory zones that all workers share and that outlive a reload: anonymous shared mappings that the master makes and its children inherit.

They belong to the cycle, as nginx's ``cycle->shared_memory``: a new cycle takes a zone over from the one before if it has the same name
and size; a zone that no cycle has any more is given back to the system.
"""

from __future__ import annotations

import ctypes
import mmap

from ..config.errors import ConfigError
from .logs import reason


class Zone:
    """A zone by its ``name``, ``size`` bytes as the configuration says, with ``extra`` bytes behind them for its user's own tables.

    ``fresh`` is true until its user has made something of the zeros it begins with.
    """

    __slots__ = ("name", "size", "extra", "fresh", "_memory")

    def __init__(self, name: str, size: int, extra: int) -> None:
        self.name = name
        self.size = size
        self.extra = extra
        self.fresh = True
        self._memory: mmap.mmap | None = None

    def map(self) -> None:
        """Get the memory, all zeros; it costs nothing before it is touched. Raises :class:`ConfigError`."""
        try:
            self._memory = mmap.mmap(-1, self.size + self.extra)
        except (OSError, OverflowError) as error:
            why = reason(error) if isinstance(error, OSError) else "(12: Cannot allocate memory)"
            raise ConfigError(f"mmap(MAP_ANON|MAP_SHARED, {self.size + self.extra}) failed {why}") from None

    @property
    def address(self) -> int:
        """Where the memory begins; good as long as this object lives."""
        assert self._memory is not None
        return ctypes.addressof(ctypes.c_char.from_buffer(self._memory))


def open_zones(zones: dict[str, Zone], before: dict[str, Zone]) -> None:
    """Give every zone of a new cycle its memory, or take it over from the cycle ``before``: the very same Zone then.

    nginx: ``ngx_init_cycle``. Raises :class:`ConfigError` if there is not enough memory; ``before`` stays as it was.
    """
    for name, zone in zones.items():
        old = before.get(name)
        if old is not None and (old.size, old.extra) == (zone.size, zone.extra):
            zones[name] = old
        else:
            zone.map()
