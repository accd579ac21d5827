"""The health of the store: a check in a thread of its own, at most one at a time and about one per second.

It uses neither the threads nor the queue of the other calls, so it answers while they wait. A check that hangs is
abandoned and counts as a failure; no other check starts until it has ended.
"""

from __future__ import annotations

import trio

from emulator.stores.interface import Store, StoreHealth

CHECK_SECONDS = 3.0  # for one check, including the wait for one that hangs
FRESH_SECONDS = 1.0  # for which a result is reused, so that many probes cost as much as one


class StoreCheck:
    """Checks one store on request."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._limiter = trio.CapacityLimiter(1)
        self._lock = trio.Lock()
        self._result = StoreHealth()
        self._checked_at = float("-inf")

    async def health(self) -> StoreHealth:
        """Return the result of a check that ended less than FRESH_SECONDS ago, if necessary of a new one."""
        async with self._lock:
            if trio.current_time() >= self._checked_at + FRESH_SECONDS:
                self._result = await self._check()
                self._checked_at = trio.current_time()
            return self._result

    async def _check(self) -> StoreHealth:
        with trio.move_on_after(CHECK_SECONDS):
            return await trio.to_thread.run_sync(self._store.check, abandon_on_cancel=True, limiter=self._limiter)
        return StoreHealth(
            f"the store did not complete a check within {CHECK_SECONDS:.0f} s; check its disk or its network connection"
        )
