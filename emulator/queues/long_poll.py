"""Leases that wait until a task is due: the standard header `Prefer: wait=N` (RFC 7240).

The waiting leases of each queue form a FIFO. When the store notifies the process that the queue may have work (a
task was inserted or released, or the clock was advanced), the first waiter tries to lease. If it succeeds, the next
one tries, because there may be more tasks. If it fails, only waiters with a different tag filter try next. So one
new task wakes one waiter, not all of them.
No notification is sent when the ETA of a task is reached. The first waiter gets that time from the store and tries
again then.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from emulator.stores.interface import SECOND, LeaseOrder, QueueKey, Store, Task

MAX_WAIT = 60  # s
# Notifications can be lost (a broken connection to Redis, a process in another container), so the first waiter polls.
POLL_INTERVAL = 1.0

CallStore = Callable[..., Awaitable[Any]]
TagFilter = tuple[bool, str | None]
"""`group_by_tag` and `tag` of a lease. Waiters with equal filters can be served by the same tasks."""


def wait_preference(header: str) -> int:
    """Return the seconds to wait according to a Prefer header, limited to 60; 0 if it has no wait preference."""
    for preference in header.split(","):
        match = re.fullmatch(r"\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*", preference, re.IGNORECASE | re.ASCII)
        if match:
            return min(int(match[1]), MAX_WAIT)
    return 0


@dataclass(eq=False, slots=True)
class _Waiter:
    """One waiting lease. `attempt` is set if it is to try to lease when it wakes up."""

    tag_filter: TagFilter
    attempt: bool = False
    woken: trio.Event = field(default_factory=trio.Event)

    def wake(self, *, attempt: bool) -> None:
        self.attempt = self.attempt or attempt
        self.woken.set()


@dataclass(eq=False, slots=True)
class _Fifo:
    """The waiters of one queue in order of arrival. One of them tries to lease at a time.

    A notification starts a round of attempts. `failed` contains the tag filters that found no task in this round.
    """

    waiters: list[_Waiter] = field(default_factory=list)
    trying: _Waiter | None = None
    repeat_round: bool = False
    failed: set[TagFilter] = field(default_factory=set)
    next_attempt_at: float = math.inf

    def notify(self) -> None:
        """Start a round of attempts, or schedule another one after the current round."""
        if self.trying is not None:
            self.repeat_round = True
        else:
            self.failed.clear()
            self.wake_next()

    def wake_next(self) -> None:
        """Wake the next waiter that may find a task. If there is none, the round is over."""
        self.trying = next((waiter for waiter in self.waiters if waiter.tag_filter not in self.failed), None)
        if self.trying is not None:
            self.trying.wake(attempt=True)
        elif self.repeat_round:
            self.repeat_round = False
            self.notify()

    def attempt_failed(self, waiter: _Waiter) -> None:
        """Continue the round without waiters that have the same tag filter."""
        self.failed.add(waiter.tag_filter)
        self.wake_next()

    def remove(self, waiter: _Waiter) -> None:
        """Remove a waiter and continue its round: if it leased a task, there may be more."""
        self.waiters.remove(waiter)
        if self.trying is waiter:
            self.wake_next()
        if self.waiters:
            self.waiters[0].wake(attempt=False)  # as the first waiter, it is now responsible for next_attempt_at


class Waiters:
    """The waiting leases of this process. `call_store` calls a method of the store without blocking the event loop."""

    def __init__(self, store: Store, call_store: CallStore) -> None:
        self._store = store
        self._call_store = call_store
        self._fifos: dict[QueueKey, _Fifo] = {}
        self._watching = False

    async def lease(self, queue: QueueKey, order: LeaseOrder, seconds: float) -> list[Task]:
        """Lease tasks. If none is due, wait for one, for up to `seconds`."""
        if seconds == 0:
            return list(await self._call_store(self._store.lease, queue, order))
        deadline = trio.current_time() + seconds
        self._watch()
        fifo = self._fifos.setdefault(queue, _Fifo())
        waiter = _Waiter((order.group_by_tag, order.tag))
        fifo.waiters.append(waiter)
        try:
            return await self._wait(queue, replace(order, awaited=True), fifo, waiter, deadline)
        finally:
            fifo.remove(waiter)
            if not fifo.waiters:
                self._fifos.pop(queue, None)

    async def _wait(
        self, queue: QueueKey, order: LeaseOrder, fifo: _Fifo, waiter: _Waiter, deadline: float
    ) -> list[Task]:
        waiter.attempt = True  # every waiter tries once on arrival
        while True:
            if waiter.attempt:
                in_round = fifo.trying is waiter  # false for the attempt on arrival
                waiter.attempt = False
                waiter.woken = trio.Event()
                tasks: list[Task] = await self._call_store(self._store.lease, queue, order)
                if tasks:
                    await self._release_if_cancelled(queue, tasks)
                    return tasks
                fifo.next_attempt_at = trio.current_time() + await self._attempt_delay(queue)
                if in_round:
                    fifo.attempt_failed(waiter)
            if trio.current_time() >= deadline:
                return []
            first = fifo.waiters[0] is waiter
            with trio.move_on_at(min(deadline, fifo.next_attempt_at) if first else deadline):
                await waiter.woken.wait()
            if waiter.woken.is_set():
                waiter.woken = trio.Event()
            elif trio.current_time() < deadline:
                fifo.next_attempt_at = trio.current_time() + POLL_INTERVAL
                fifo.notify()

    async def _release_if_cancelled(self, queue: QueueKey, tasks: list[Task]) -> None:
        """Release the tasks if the client disconnected during the lease, because nothing would process them."""
        if trio.current_effective_deadline() == -math.inf:
            with trio.CancelScope(shield=True):
                for task in tasks:
                    await self._call_store(self._store.renew, queue, task.id, task.eta_us, 0)
            await trio.lowlevel.checkpoint()

    async def _attempt_delay(self, queue: QueueKey) -> float:
        """Return the seconds until the next task becomes due, limited to the poll interval."""
        due_in: int | None = await self._call_store(self._store.due_in, queue)
        return POLL_INTERVAL if due_in is None else min(due_in / SECOND, POLL_INTERVAL)

    def _watch(self) -> None:
        """Subscribe to the notifications of the store, once, when the first lease waits."""
        if self._watching:
            return
        token = trio.lowlevel.current_trio_token()

        def notify(queue: QueueKey | None) -> None:
            # The store can still send a notification after the event loop has ended.
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(self.notify, queue, idempotent=True)

        self._store.watch(notify)
        self._watching = True

    def notify(self, queue: QueueKey | None) -> None:
        """Start attempts for the waiters of this queue, or of all queues."""
        if queue is None:
            for fifo in list(self._fifos.values()):
                fifo.notify()
        elif queue in self._fifos:
            self._fifos[queue].notify()
