"""What the verbs of every API ask of: the store, without blocking the event loop, and who waits for tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from emulator.permissions.access import Access, Need
from emulator.queues import long_poll
from emulator.stores.interface import (
    SECOND,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    QueueKey,
    QueueStats,
    Store,
    Task,
    TaskExistsError,
    TaskUnknownError,
)
from emulator.wire import parameters
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError, invalid

LARGE_LEASE = 100  # tasks; more of them are leased in a thread, whatever the store
STORE_THREADS = 32  # waiting for the store at once; further requests wait for a thread
T = TypeVar("T")


class QueueService:
    """The queues of one store. `legacy_shapes` selects the list format of older Task Queue clients."""

    def __init__(self, store: Store, access: Access, *, legacy_shapes: bool = False) -> None:
        self.store = store
        self.access = access
        self.legacy_shapes = legacy_shapes
        self._limiter = trio.CapacityLimiter(STORE_THREADS)
        self._waiters = long_poll.Waiters(store, self.ask)

    def queue(self, call: Call, project: str, name: str, need: Need) -> QueueKey:
        """Return the queue that a call is about. Raises ApiError when there is none, or the call may not do this."""
        queue = parameters.queue_key(project, name)
        self.access.check(call, need, queue)
        return queue

    def retry_limit(self, queue: QueueKey) -> int | None:
        """Return how often a task of the queue is leased at most, None for no limit."""
        return self.access.rule(queue).retry_limit

    def may(self, call: Call, need: Need, queue: QueueKey) -> bool:
        """Return whether the call may do this on the queue."""
        try:
            self.access.check(call, need, queue)
        except ApiError:
            return False
        return True

    async def known(self, project: str) -> list[QueueKey]:
        """Return the project's queues by name: those of the queue file, or without one those used so far."""
        if self.access.queues is not None:
            return [QueueKey(project, name) for name in sorted(self.access.queues.rules)]
        return [queue for queue in await self.ask(self.store.queues) if queue.project == project]

    async def figures(self) -> list[tuple[QueueKey, QueueStats]]:
        """Return the queues used so far, with their figures."""
        return [(queue, await self.ask(self.store.stats, queue)) for queue in await self.ask(self.store.queues)]

    async def due(self, eta_us: int, location: str) -> int | None:
        """Return when a new task is to fall due, None for now: one that lies back must not jump the queue.

        Raises ApiError when it lies too far ahead.
        """
        now = await self.ask(self.store.now_us)
        if eta_us > now + parameters.ETA_AHEAD_DAYS * 86_400 * SECOND:
            allowed = f"at most {parameters.ETA_AHEAD_DAYS} days ahead"
            raise invalid(location, eta_us, allowed, location_type="field")
        return eta_us if eta_us > now else None

    async def ask(self, verb: Callable[..., T], *arguments: object) -> T:
        """Call the store: inline if that is quicker than a change of threads, else in a thread.

        Never abandoned: what changes state must be known to have ended. Raises ApiError for what the store refuses.
        """
        try:
            if self.store.runs_inline and not _is_large(arguments):
                return verb(*arguments)
            return await trio.to_thread.run_sync(verb, *arguments, limiter=self._limiter)
        except TaskUnknownError as error:
            raise ApiError(404, str(error)) from None
        except TaskExistsError as error:
            raise ApiError(409, str(error)) from None
        except LeaseExpiredError as error:
            raise ApiError(400, str(error), "leaseExpired") from None
        except LeaseConflictError as error:
            raise ApiError(400, str(error), "leaseConflict", "leaseTimestamp", "field") from None

    async def lease(self, queue: QueueKey, order: LeaseOrder, wait_seconds: int = 0) -> list[Task]:
        """Lease tasks; when there are none, wait for them."""
        return await self._waiters.lease(queue, order, wait_seconds)


def _is_large(arguments: tuple[object, ...]) -> bool:
    """Return whether a verb with these arguments may take milliseconds."""
    return any(isinstance(argument, LeaseOrder) and argument.count > LARGE_LEASE for argument in arguments)
