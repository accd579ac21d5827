"""Leased tasks of producers and of the web → the next one for the worker, by the rules of `turns`.

While a worker is idle, it keeps two requests at the queue, one for each tag. A task that arrives is worked on at once.
The other request stays, and its answer is kept for the next turn.

While a worker works, it sends no request: tasks that it leases would have to wait for it, and another worker may be
free. There is one exception: during every third task of a producer in a row, it requests a task from the web.

Before a task from the web is begun, producers' tasks are requested once more, after the end of the task before: one
that was inserted meanwhile goes first. So each worker does at most one task from the web between the insertion of a
producer's task and that task's turn.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from render_trio.observation.observer import Observer
from render_trio.queue.interface import Queue
from render_trio.queue.messages import TASK_TAG, WEB_TASK_TAG
from render_trio.supervision.supervisor import Heartbeat
from render_trio.worker.leases import Lease, Leases
from render_trio.worker.leasing.inbox import Inbox
from render_trio.worker.leasing.outage import BackOff
from render_trio.worker.leasing.requests import LeaseRequests
from render_trio.worker.leasing.turns import Turns
from render_trio.worker.limits import Limits


class Intake:
    """The tasks that one worker has leased, and its requests for more."""

    def __init__(
        self,
        queue: Queue,
        leases: Leases,
        limits: Limits,
        observer: Observer,
        stopping: trio.Event,
        back_off: BackOff,
        uniform: Callable[[float, float], float],
        heartbeat: Heartbeat,
        nursery: trio.Nursery,
    ) -> None:
        """Requests run in `nursery`. `uniform` draws the length of every pause, between its two arguments."""

        def inbox(tag: str, max_count: int) -> Inbox:
            requests = LeaseRequests(queue, tag, max_count, leases, limits, observer, stopping, back_off, uniform)
            return Inbox(requests, heartbeat, nursery, self._on_change)

        self._changed = trio.Event()
        self._limits = limits
        self._stopping = stopping
        self._back_off = back_off
        self._heartbeat = heartbeat
        self._producers = inbox(TASK_TAG, limits.task_count)
        self._web = inbox(WEB_TASK_TAG, 1)
        self._turns = Turns()
        self._check: trio.Event | None = None  # the end of the request for producers' tasks since the last task

    async def next(self) -> Lease | None:
        """Return the lease of the task whose turn it is, as soon as there is one; None if the service stops."""
        while not self._stopping.is_set():
            if (lease := self._take()) is not None:
                return lease
            self._request()
            self._enter_poll()
            await self._wait()
        return None

    def task_finished(self, lease: Lease, seconds: float) -> None:
        """Record how long the task that `next` returned took."""
        if not lease.task.from_web:
            self._producers.requests.task_finished(seconds)

    async def close(self) -> None:
        """Wait for the requests in progress, which end soon once the service stops; their tasks are to be released."""
        while self._producers.requesting or self._web.requesting:
            await self._wait()

    def _take(self) -> Lease | None:
        """Return the next task, None if there is none or a request must be waited for."""
        if self._overdue:
            return None
        source = self._turns.next(producer=bool(self._producers), web=bool(self._web))
        if source is None or (source == "web" and not self._turns.web_is_due and not self._checked):
            return None
        self._turns.took(source)
        self._check = None
        if source == "web":
            return self._web.take()
        lease = self._producers.take()
        if self._turns.web_request_is_due and not self._web and not self._web.requesting:
            self._web.request(hold=False)
        return lease

    @property
    def _checked(self) -> bool:
        return self._check is not None and self._check.is_set()

    def _request(self) -> None:
        """Send the requests that are missing, when no task can be begun."""
        if self._overdue:
            return
        if self._check is None:
            self._check = self._producers.request(hold=False)
        if self._web:
            return
        if self._checked and not self._producers.requesting:
            self._producers.request(hold=True)
        if not self._web.requesting and self._back_off.reachable:
            self._web.request(hold=True)

    @property
    def _deadline(self) -> float:
        """The time by which every request in progress must have ended."""
        oldest = min(self._producers.oldest_request, self._web.oldest_request)
        return min(oldest, trio.current_time()) + self._limits.poll_budget

    @property
    def _overdue(self) -> bool:
        """Whether a request hangs. No task is begun then: the watchdog restarts the worker, which ends the request."""
        return trio.current_time() >= self._deadline

    def _enter_poll(self) -> None:
        """Report an idle worker. It has no time limit of its own, but each of its requests has one."""
        self._heartbeat.enter("poll", max(self._deadline - trio.current_time(), 0.001))

    def _on_change(self) -> None:
        self._changed.set()

    async def _wait(self) -> None:
        """Wait until a request ends, if none has ended since the last call."""
        await self._changed.wait()
        self._changed = trio.Event()
