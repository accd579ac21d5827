"""A cache of results, bounded by their total size in bytes; the least recently used result is evicted first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class Cache:
    """Maps keys to results. A result larger than the whole cache is not stored."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self.used = 0

    def get(self, key: Hashable) -> object | None:
        """Return the result stored under the key, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, result: object, size: int) -> None:
        """Store a result of `size` bytes, and evict the least recently used ones that no longer fit."""
        if size > self._max_bytes:
            return
        if key in self._entries:
            self.used -= self._entries.pop(key)[1]
        self._entries[key] = (result, size)
        self.used += size
        while self.used > self._max_bytes:
            _, (_, evicted) = self._entries.popitem(last=False)
            self.used -= evicted
