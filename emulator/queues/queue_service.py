"""The service behind the verbs of both APIs: access checks, store calls off the event loop, waiting leases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import trio

from emulator.permissions.access import Access, Need
from emulator.permissions.clients import client_name
from emulator.permissions.rereading import AccessFiles
from emulator.queues import long_poll
from emulator.queues.queue_limit import QueueLimit
from emulator.queues.store_check import StoreCheck
from emulator.stores.interface import (
    SECOND,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    Store,
    StoreBusyError,
    StoreHealth,
    StorePendingError,
    Task,
    TaskExistsError,
    TaskUnknownError,
)
from emulator.wire import parameters
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError, invalid

LARGE_LEASE = 100  # tasks; larger leases run in a thread with any store
MAX_QUEUES = 100  # that clients can create without a queue file
MAX_LISTED = 200  # queues in the metrics and on the page; those that clients invent must not make them grow
MAX_CLIENT_WAITS = 256  # leases of one client that wait at the same time; the next ones return at once
STORE_THREADS = 32  # concurrent store calls; further calls wait for a thread
T = TypeVar("T")


class QueueService:
    """The queues of one store. `legacy_shapes` selects the formats of older Task Queue clients."""

    def __init__(
        self,
        store: Store,
        access: Access | AccessFiles,
        *,
        legacy_shapes: bool = False,
        max_queues: int = MAX_QUEUES,
    ) -> None:
        self.store = store
        self._access = access
        self.legacy_shapes = legacy_shapes
        self._limiter = trio.CapacityLimiter(STORE_THREADS)
        self.store_check = StoreCheck(store)
        self._waiters = long_poll.Waiters(store, self.call_store)
        self._queue_limit = QueueLimit(store, self.call_store, max_queues)
        self._waiting: Counter[str] = Counter()

    @property
    def access(self) -> Access:
        """The access rules in force."""
        return self._access.access if isinstance(self._access, AccessFiles) else self._access

    async def health(self) -> StoreHealth:
        """Return the health of the store, with the warnings about the files of the access rules."""
        found = await self.store_check.health()
        if isinstance(self._access, AccessFiles) and (warnings := self._access.warnings):
            return replace(found, warnings=(*found.warnings, *warnings))
        return found

    def key(self, project: str, name: str) -> QueueKey:
        """Return the queue with this name, whether or not it exists. Raises ApiError if the name is not valid."""
        return parameters.queue_key(project, name, legacy=self.legacy_shapes)

    def queue(self, call: Call, project: str, name: str, need: Need) -> QueueKey:
        """Return the queue with this name. Raises ApiError if it does not exist or the call lacks the permission."""
        queue = self.key(project, name)
        self.access.check(call, need, queue)
        return queue

    def retry_limit(self, queue: QueueKey) -> int | None:
        """Return how often a task of the queue can be leased, None for no limit."""
        return self.access.rule(queue).retry_limit

    def permits(self, call: Call, need: Need, queue: QueueKey) -> bool:
        """Return whether the call has this permission on the queue."""
        try:
            self.access.check(call, need, queue)
        except ApiError:
            return False
        return True

    async def queues_of(self, project: str) -> list[QueueKey]:
        """Return the queues of a project, sorted: those in the queue file or, without one, those used so far."""
        if self.access.queues is not None:
            return [QueueKey(project, name) for name in sorted(self.access.queues.rules)]
        return [queue for queue in await self.call_store(self.store.queues) if queue.project == project]

    async def all_stats(self) -> tuple[list[tuple[QueueKey, QueueStats]], int]:
        """Return the statistics of up to MAX_LISTED queues used so far, and the number of the others.

        Those of the queue file come first, then the others by name.
        """
        queues: list[QueueKey] = await self.call_store(self.store.queues)
        if self.access.queues is not None:
            rules = self.access.queues.rules
            queues.sort(key=lambda queue: queue.name not in rules)
        listed = [(queue, await self.call_store(self.store.stats, queue)) for queue in queues[:MAX_LISTED]]
        return listed, len(queues) - len(listed)

    async def create_queue(self, queue: QueueKey) -> None:
        """Create the queue unless it exists, before a call that would do so. Raises ApiError at the limit."""
        if self.access.queues is None:
            await self._queue_limit.create(queue)

    async def reset(self) -> None:
        """Delete everything in the store."""
        await self.call_store(self.store.reset)
        self._queue_limit.forget()

    async def due(self, eta_us: int, location: str) -> int | None:
        """Return the ETA for a new task, or None for now if `eta_us` is in the past.

        A task with an ETA in the past would overtake older tasks. Raises ApiError if the ETA is too far in the
        future; `location` names the field.
        """
        now = await self.call_store(self.store.now_us)
        if eta_us > now + parameters.ETA_AHEAD_DAYS * 86_400 * SECOND:
            allowed = f"a time within the next {parameters.ETA_AHEAD_DAYS} days"
            raise invalid(location, eta_us, allowed, location_type="field")
        return eta_us if eta_us > now else None

    async def call_store(self, method: Callable[..., T], *arguments: object) -> T:
        """Call a method of the store: inline if that is faster than switching to a thread, else in a thread.

        Cancellation never abandons the thread, because the outcome of a change must be known. Raises ApiError if
        the store refuses, StoreUnavailableError.
        """
        try:
            if self.store.runs_inline and not _is_large(arguments):
                try:
                    return self.store.call_inline(method, *arguments)
                except StoreBusyError:
                    pass  # this was a short attempt without any effect; in a thread, it can wait
                except StorePendingError as pending:
                    return await self._resume(pending, method, *arguments)
            return await trio.to_thread.run_sync(method, *arguments, limiter=self._limiter)
        except TaskUnknownError as error:
            raise ApiError(404, str(error)) from None
        except TaskExistsError as error:
            raise ApiError(409, str(error)) from None
        except LeaseExpiredError as error:
            raise ApiError(400, str(error), "leaseExpired") from None
        except LeaseConflictError as error:
            raise ApiError(400, str(error), "leaseConflict", "leaseTimestamp", "field") from None

    async def _resume(self, pending: StorePendingError, method: Callable[..., T], *arguments: object) -> T:
        """Wait in a thread for the reply to a call that was sent, even if cancelled: its outcome must be known."""
        call = partial(method, *arguments)
        with trio.CancelScope(shield=True):
            result: T = await trio.to_thread.run_sync(pending.resume, call, limiter=self._limiter)
        return result

    async def insert(self, queue: QueueKey, task: NewTask) -> Task:
        """Insert a task and return it. Raises ApiError if its ID is in use."""
        await self.create_queue(queue)
        inserted = await self.call_store(self.store.insert, queue, task)
        # The store notifies too, but a notification from Redis arrives through a subscription and another thread. With
        # this call, a lease that waits in this process gets the task 0.14 ms sooner (10th percentile in
        # tests/bench/queue.py, median of 8 runs of 200 waits: 1.84 instead of 1.98 ms). With SQLite, the difference is
        # within the noise.
        self._waiters.notify(queue)
        return inserted

    def wait_seconds(self, call: Call) -> int:
        """Return how long the lease of a call waits (s): what its Prefer header says, unless its client waits a lot."""
        wait = long_poll.wait_preference(call.headers.get("prefer", ""))
        return 0 if wait and self._waiting[client_name(call.client)] >= MAX_CLIENT_WAITS else wait

    async def lease(self, queue: QueueKey, order: LeaseOrder, wait_seconds: int = 0, client: str = "") -> list[Task]:
        """Lease tasks. If none is due, wait for one, for up to `wait_seconds`. `client` is the caller's IP address."""
        if not wait_seconds:
            return await self._waiters.lease(queue, order, 0)
        name = client_name(client)
        self._waiting[name] += 1
        try:
            await self.create_queue(queue)
            return await self._waiters.lease(queue, order, wait_seconds)
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]


def _is_large(arguments: tuple[object, ...]) -> bool:
    """Return whether a call with these arguments can take milliseconds."""
    return any(isinstance(argument, LeaseOrder) and argument.count > LARGE_LEASE for argument in arguments)
