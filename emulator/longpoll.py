"""Leases that are held until there is a task: the standard header `Prefer: wait=N` (RFC 7240).

Whoever puts a task in or gives one back through this process wakes those who wait for that queue at once.
What another process did, or a lease's end, is seen by a look at the store every moment.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import trio

from emulator.store import QueueKey, Task

WAIT_MOST = 60  # s
LOOK_SECONDS = 0.1  # between two looks at the store; a look costs it well under a millisecond


def wait_preference(header: str) -> int:
    """Return the seconds that a Prefer header asks to wait, at most 60; 0 when it doesn't ask."""
    for preference in header.split(","):
        match = re.fullmatch(r"\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*", preference, re.IGNORECASE | re.ASCII)
        if match:
            return min(int(match[1]), WAIT_MOST)
    return 0


class Waiters:
    """Who waits for which queue, in this process."""

    def __init__(self) -> None:
        self._changed: dict[QueueKey, trio.Event] = {}

    def wake(self, queue: QueueKey) -> None:
        """Let everybody who waits for this queue look again."""
        event = self._changed.pop(queue, None)
        if event is not None:
            event.set()

    async def lease(self, queue: QueueKey, lease: Callable[[], Awaitable[list[Task]]], seconds: int) -> list[Task]:
        """Return what `lease` gives, asked again until it gives something or `seconds` are over."""
        deadline = trio.current_time() + seconds
        while True:
            # Known before the look: a task that comes between the look and the wait must wake us.
            changed = self._changed.setdefault(queue, trio.Event())
            tasks = await lease()
            remaining = deadline - trio.current_time()
            if tasks or remaining <= 0:
                return tasks
            with trio.move_on_after(min(LOOK_SECONDS, remaining)):
                await changed.wait()
