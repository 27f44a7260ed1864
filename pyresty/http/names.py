"""A table of host names with wildcards, as ``map`` (with ``hostnames``) and ``valid_referers`` have it.

An exact name counts first, then the longest wildcard at the front (``*.example.com``), then the longest at the end (``example.*``).
nginx: ``ngx_hash_add_key`` and ``ngx_hash_find_combined``.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class HostNames(Generic[T]):
    """Values by name; names are bytes and compared in lower case."""

    __slots__ = ("_head", "_tail", "exact")

    def __init__(self) -> None:
        self.exact: dict[bytes, T] = {}
        self._head: dict[bytes, T] = {}
        self._tail: dict[bytes, T] = {}

    def __bool__(self) -> bool:
        return bool(self.exact or self._head or self._tail)

    def add(self, name: bytes, value: T, wildcards: bool = True) -> str | None:
        """Add a name, or say what is wrong with it: "invalid" or "conflicting"."""
        low = name.lower()
        if not wildcards or (b"*" not in low and not low.startswith(b".")):
            return self._put(self.exact, low, value)
        if low.startswith(b"."):
            if len(low) < 2 or b"*" in low or b".." in low:
                return "invalid"
            return self._put(self.exact, low[1:], value) or self._put(self._head, low[1:], value)
        if low.startswith(b"*.") and len(low) > 2 and b"*" not in low[1:] and b".." not in low:
            return self._put(self._head, low[2:], value)
        if low.endswith(b".*") and len(low) > 2 and b"*" not in low[:-1] and b".." not in low:
            return self._put(self._tail, low[:-2], value)
        return "invalid"

    @staticmethod
    def _put(table: dict[bytes, T], key: bytes, value: T) -> str | None:
        if key in table:
            return "conflicting"
        table[key] = value
        return None

    def find(self, name: bytes) -> T | None:
        """The value for ``name`` (lower case); None if there is none."""
        found = self.exact.get(name)
        if found is not None:
            return found
        if self._head:
            rest = name
            while b"." in rest:
                rest = rest.partition(b".")[2]
                found = self._head.get(rest)
                if found is not None:
                    return found
        if self._tail:
            rest = name
            while b"." in rest:
                rest = rest.rpartition(b".")[0]
                found = self._tail.get(rest)
                if found is not None:
                    return found
        return None
