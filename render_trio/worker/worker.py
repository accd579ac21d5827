"""One worker: take the leased task whose turn it is, then render, deliver and settle it, over and over.

The worker guarantees:

- The result is inserted before the task is deleted, so a kill at any moment loses nothing.
- The ID of the result is derived from the ID of the task, so doing this twice produces one result.
- A task that can never succeed gets a failure result at once.
- Any other failure is retried with a longer time limit each time, up to a limit.
- An outage of the document store is no failure of a task: see `backlog`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable

import trio

from render_trio.observation.observer import Observer
from render_trio.queue.interface import Queue
from render_trio.rendering.finisher import FinishedDocument
from render_trio.supervision.health import STORE_PHASE
from render_trio.supervision.supervisor import Heartbeat
from render_trio.worker.backlog import Backlog
from render_trio.worker.leases import Leases
from render_trio.worker.leasing.intake import Intake
from render_trio.worker.leasing.outage import BackOff, OutageLog
from render_trio.worker.limits import Limits
from render_trio.worker.task_runner import TaskRunner
from resources.request import Request

SPACE_INTERVAL = 1.0  # s between two checks whether the backlog is still full


class Worker:
    """Works on tasks until `stopping` is set or it is cancelled."""

    def __init__(
        self,
        queue: Queue,
        make: Callable[[Request, float], Awaitable[FinishedDocument]],
        backlog: Backlog,
        limits: Limits,
        observer: Observer,
        stopping: trio.Event,
        uniform: Callable[[float, float], float] = random.uniform,
        outages: OutageLog | None = None,
    ) -> None:
        """`make` renders a request within so many seconds; `backlog` is that of the process, and must be running.

        `uniform` draws the length of every pause, between its two arguments. `outages` is that of the process.
        """
        self._queue = queue
        self._observer = observer
        self._uniform = uniform
        self._back_off = BackOff(stopping, uniform, OutageLog() if outages is None else outages)
        self._backlog = backlog
        self._limits = limits
        self._stopping = stopping
        self._leases = Leases(queue, observer, uniform)
        self._runner = TaskRunner(queue, make, backlog, limits, observer, self._leases)

    async def run(self, heartbeat: Heartbeat) -> None:
        """Iterate until `stopping` is set. Releases all leases at the end, even when cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leases.keep_renewed)
                intake = self.open_intake(heartbeat, nursery)
                while not self._stopping.is_set():
                    await self.iterate(heartbeat, intake)
                await intake.close()
                nursery.cancel_scope.cancel()
        finally:
            await self._leases.release_all()

    def open_intake(self, heartbeat: Heartbeat, nursery: trio.Nursery) -> Intake:
        """Return the source of tasks for `iterate`; its requests run in `nursery`."""
        return Intake(
            self._queue,
            self._leases,
            self._limits,
            self._observer,
            self._stopping,
            self._back_off,
            self._uniform,
            heartbeat,
            nursery,
        )

    async def iterate(self, heartbeat: Heartbeat, intake: Intake) -> None:
        """Work on the task whose turn it is."""
        await self._wait_for_space(heartbeat)
        lease = await intake.next()
        if lease is None:
            return
        await self._wait_for_space(heartbeat)  # the backlog may have filled up while there was no task
        if self._stopping.is_set():
            return
        heartbeat.enter("work", self._limits.work_budget(lease.task.retry_count))
        started = trio.current_time()
        with lease.work:
            await self._runner.run(lease)
        self._leases.drop(lease)
        intake.task_finished(lease, trio.current_time() - started)
        heartbeat.progress("finished")

    async def _wait_for_space(self, heartbeat: Heartbeat) -> None:
        """Wait while the backlog is full; the leases of the tasks that the worker has are renewed meanwhile."""
        if self._backlog.full:
            heartbeat.enter(STORE_PHASE, math.inf)  # an outage may take any time, and a restart wouldn't end it
        while self._backlog.full and not self._stopping.is_set():
            with trio.move_on_after(SPACE_INTERVAL):
                await self._stopping.wait()
