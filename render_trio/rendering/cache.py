"""Finished things kept at hand, up to a number of bytes; what was not asked for the longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class Cache:
    """A bounded store: key → (thing, its bytes). A thing larger than the whole shelf is not kept."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self.used = 0

    def get(self, key: Hashable) -> object | None:
        """Return what is kept under the key, or None."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, thing: object, size: int) -> None:
        """Keep the thing, which has `size` bytes, and let go of the oldest ones that no longer fit."""
        if size > self._most:
            return
        if key in self._kept:
            self.used -= self._kept.pop(key)[1]
        self._kept[key] = (thing, size)
        self.used += size
        while self.used > self._most:
            _, (_, oldest) = self._kept.popitem(last=False)
            self.used -= oldest
