"""The leased tasks of one tag that wait for a worker, and the requests for more, which run in the background."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import trio

from render_trio.supervision.supervisor import Heartbeat
from render_trio.worker.leases import Lease
from render_trio.worker.leasing.requests import LeaseRequests


class Inbox:
    """The tasks that are ready, oldest first. Their leases are renewed by the worker's `Leases`."""

    def __init__(
        self,
        requests: LeaseRequests,
        heartbeat: Heartbeat,
        nursery: trio.Nursery,
        on_change: Callable[[], None],
    ) -> None:
        """The requests run in `nursery`; `on_change` is called at the end of each."""
        self.requests = requests
        self._heartbeat = heartbeat
        self._nursery = nursery
        self._ready: deque[Lease] = deque()
        self._running: dict[object, float] = {}  # when each request in progress began, in s of Trio's clock
        self._on_change = on_change

    def __bool__(self) -> bool:
        """Return whether a task is ready."""
        return bool(self._ready)

    @property
    def requesting(self) -> bool:
        """Whether a request is in progress."""
        return bool(self._running)

    @property
    def oldest_request(self) -> float:
        """When the oldest request in progress began, in s of Trio's clock; infinity if there is none."""
        return min(self._running.values(), default=math.inf)

    def take(self) -> Lease:
        """Remove and return the lease of the task that is ready for the longest time."""
        return self._ready.popleft()

    def request(self, *, hold: bool) -> trio.Event:
        """Request tasks in the background; `hold`: the queue may hold the request until there is a task.

        Returns an event that is set at the end of the request. A request in progress is never cancelled because another
        one was answered: the answer, with the tasks that the queue has leased, could be lost.
        """
        ended = trio.Event()
        self._running[ended] = trio.current_time()
        self._nursery.start_soon(self._request, ended, hold)
        return ended

    async def _request(self, ended: trio.Event, hold: bool) -> None:
        try:
            self._ready.extend(await self.requests.lease_batch(self._heartbeat, hold=hold))
        finally:
            del self._running[ended]
            ended.set()
            self._on_change()
