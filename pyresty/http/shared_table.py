"""A table of counters that all workers share and that a reload keeps: what limit_req and limit_conn remember of each key.

A record is found by a digest of its key, in one of a few neighbouring places, so that the table needs no pointers and no allocator.
The lock is the kernel's record lock on a file without a name: a worker that dies gives it back.
"""

from __future__ import annotations

import fcntl
import mmap
import struct
import tempfile
from hashlib import blake2b
from types import TracebackType

_RECORD = struct.Struct("=16sqq")
_EMPTY = bytes(16)
#: How many places a record may be in.
_WAYS = 8
#: nginx's size of a state on 64-bit systems: as many bytes of a zone's size count for one record.
_STATE = 128

_tables: dict[tuple[str, ...], SharedTable] = {}


def shared_table(kind: str, name: str, size: int, key: str) -> SharedTable:
    """The table of a zone of ``size`` bytes; the same one again for the same arguments, after a reload too."""
    known = (kind, name, str(size), key)
    table = _tables.get(known)
    if table is None:
        table = _tables[known] = SharedTable(size)
    return table


class SharedTable:
    """To be used in a ``with`` statement, which is the lock. A record has two numbers beside its digest."""

    __slots__ = ("_buckets", "_file", "_memory")

    def __init__(self, size: int) -> None:
        self._buckets = max(size // _STATE // _WAYS, 1)
        self._memory = mmap.mmap(-1, self._buckets * _WAYS * _RECORD.size)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process

    def __enter__(self) -> SharedTable:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    @staticmethod
    def digest(key: bytes) -> bytes:
        """What stands for ``key``: 16 bytes."""
        return blake2b(key, digest_size=16).digest()

    def find(self, digest: bytes) -> tuple[int, int, int] | None:
        """(place, first number, second number) of a record; None if there is none."""
        start = int.from_bytes(digest[:8], "big") % self._buckets * _WAYS * _RECORD.size
        for place in range(start, start + _WAYS * _RECORD.size, _RECORD.size):
            found, first, second = _RECORD.unpack_from(self._memory, place)
            if found == digest:
                return place, first, second
        return None

    def place(self, digest: bytes, *, evict: bool) -> int | None:
        """Where a new record may go: a free place, else with ``evict`` that of the record with the smallest first number."""
        start = int.from_bytes(digest[:8], "big") % self._buckets * _WAYS * _RECORD.size
        oldest, least = None, 0
        for place in range(start, start + _WAYS * _RECORD.size, _RECORD.size):
            found, first, _ = _RECORD.unpack_from(self._memory, place)
            if found == _EMPTY:
                return place
            if oldest is None or first < least:
                oldest, least = place, first
        return oldest if evict else None

    def store(self, place: int, digest: bytes, first: int, second: int) -> None:
        """Write a record."""
        _RECORD.pack_into(self._memory, place, digest, first, second)

    def remove(self, place: int) -> None:
        """Free a record's place."""
        _RECORD.pack_into(self._memory, place, _EMPTY, 0, 0)
