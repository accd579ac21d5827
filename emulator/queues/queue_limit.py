"""The number of queues without a queue file: created on first use by any client, and therefore limited.

A queue that exists can always be used. Queues aren't deleted, so a client that creates many uses up the limit; then
the operator lists the queues in a file, or raises the limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from emulator.stores.interface import QueueKey, Store
from emulator.wire.errors import ApiError

REFRESH_SECONDS = 1.0  # for which refusals rely on the last look at the store, so that a flood costs the store nothing

CallStore = Callable[..., Awaitable[Any]]


class QueueLimit:
    """Creates queues in one process, up to `max_queues`. With several processes, a few more can exist."""

    def __init__(self, store: Store, call_store: CallStore, max_queues: int) -> None:
        self._store = store
        self._call_store = call_store
        self._max_queues = max_queues
        self._known: set[QueueKey] = set()
        self._refreshed_at = float("-inf")
        self._lock = trio.Lock()

    async def create(self, queue: QueueKey) -> None:
        """Create the queue unless it exists. Raises ApiError (403) at the limit."""
        if queue in self._known:
            return
        async with self._lock:
            if trio.current_time() >= self._refreshed_at + REFRESH_SECONDS or len(self._known) < self._max_queues:
                self._known = set(await self._call_store(self._store.queues))
                self._refreshed_at = trio.current_time()
            if queue in self._known:
                return
            if len(self._known) >= self._max_queues:
                raise ApiError(
                    403,
                    f"queue {queue.name} of project {queue.project} does not exist, and no more than "
                    f"{self._max_queues} queues can be created; use an existing one, list the queues in --queues, or "
                    "raise --max-queues",
                    "quotaExceeded",
                )
            await self._call_store(self._store.declare, queue)
            self._known.add(queue)

    def forget(self) -> None:
        """Forget which queues exist, after they were deleted."""
        self._known.clear()
        self._refreshed_at = float("-inf")
