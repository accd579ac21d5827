"""Lease requests for the tasks of one tag → leased tasks, at a pace that suits the queue and the work.

Batches are small: if a worker is killed, its tasks are unavailable until their leases expire. So a worker leases only
about BATCH_SECONDS of work, estimated from the tasks before. A request that the queue holds while the worker is idle
requests a single task: the worker may be busy with a task of the other tag when it arrives.

An idle worker long-polls: the queue holds the request until a task arrives. Where the queue can't do that, the worker
pauses between requests, longer each time. An unreachable queue is retried after a pause that also doubles. All pauses
have jitter, so that workers that start or fail together spread out, and all of them end when the service stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import trio

from render_trio.errors import QueueError, first_error
from render_trio.observation.observer import Observer
from render_trio.queue.interface import LeasedBatch, Queue
from render_trio.supervision.supervisor import Heartbeat
from render_trio.worker.leases import Lease, Leases
from render_trio.worker.leasing.outage import BackOff
from render_trio.worker.limits import Limits

# When the service stops, a response may be on its way. Its tasks are already leased to us: if we ignored them, nobody
# could work on them until the lease expires.
ANSWER_GRACE = 2.0  # s
BATCH_SECONDS = 1.0  # of work that a worker leases ahead
INITIAL_TASK_SECONDS = 0.25  # the estimate before the first task: the first batches are small
TASK_SECONDS_WEIGHT = 0.3  # of the latest task in the running mean
INITIAL_IDLE_PAUSE = 0.05  # s; doubles up to RENDER_SLEEP_TIME if the queue can't hold requests


class LeaseRequests:
    """Leases tasks of one tag for one worker."""

    def __init__(
        self,
        queue: Queue,
        tag: str,
        max_count: int,
        leases: Leases,
        limits: Limits,
        observer: Observer,
        stopping: trio.Event,
        back_off: BackOff,
        uniform: Callable[[float, float], float],
    ) -> None:
        """Leases at most `max_count` tasks at once. `uniform` draws a random number between its two arguments."""
        self._queue = queue
        self._tag = tag
        self._max_count = max_count
        self._leases = leases
        self._limits = limits
        self._observer = observer
        self._stopping = stopping
        self._back_off = back_off
        self._uniform = uniform
        self._task_seconds = INITIAL_TASK_SECONDS
        self._idle_pause = INITIAL_IDLE_PAUSE
        self._found_tasks = False  # by the last request

    async def lease_batch(self, heartbeat: Heartbeat, *, hold: bool = True) -> list[Lease]:
        """Return newly leased tasks; pause and return none if there are no tasks or the queue is unreachable.

        `hold`: the queue may hold the request. It doesn't hold the first one and the first after an outage: the answer
        shows that the queue is reachable.
        """
        async with self._back_off.permission() as permitted:
            if not permitted:
                return []
            wait = self._limits.poll_wait if hold and self._back_off.reachable else 0
            requested_at = trio.current_time()
            try:
                batch = await self._request_batch(wait)
            except QueueError as error:
                heartbeat.progress("unreachable")
                self._back_off.failed(error, requested_at)
                return []
            if batch is None:
                return []
            self._back_off.reached()
        heartbeat.progress("polled")
        self._observer.leased(len(batch.tasks))
        self._found_tasks = bool(batch.tasks)
        if batch.tasks:
            self._idle_pause = INITIAL_IDLE_PAUSE
            return self._leases.hold(batch.tasks, self._limits.lease_seconds, requested_at)
        if hold and not batch.waited:
            await self._pause(self._idle_pause)
            self._idle_pause = min(self._limits.sleep_time, self._idle_pause * 2)
        return []

    def task_finished(self, seconds: float) -> None:
        """Update the estimate of how long a task takes; it determines the size of the next batch."""
        self._task_seconds += TASK_SECONDS_WEIGHT * (seconds - self._task_seconds)

    async def _request_batch(self, wait: int) -> LeasedBatch | None:
        """Return the queue's answer, or None if the service stops before it arrives. Raises QueueError."""
        count = 1 if wait and not self._found_tasks else self._batch_size()
        batch: LeasedBatch | None = None
        failure: QueueError | None = None
        try:
            with trio.CancelScope() as request:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._cancel_when_stopping, request)
                    batch = await self._queue.lease(count, self._limits.lease_seconds, tag=self._tag, wait=wait)
                    nursery.cancel_scope.cancel()
        except* QueueError as group:
            failure = cast(QueueError, first_error(group))
        if failure is not None:
            raise failure
        return batch

    def _batch_size(self) -> int:
        return max(1, min(self._max_count, math.floor(BATCH_SECONDS / max(self._task_seconds, 0.001))))

    async def _cancel_when_stopping(self, request: trio.CancelScope) -> None:
        await self._stopping.wait()
        request.deadline = trio.current_time() + ANSWER_GRACE

    async def _pause(self, seconds: float) -> None:
        """Wait between half and all of `seconds`, or until the service stops."""
        with trio.move_on_after(self._uniform(0.5, 1.0) * seconds):
            await self._stopping.wait()
