"""What the verbs of every API ask of: the store, without blocking the event loop, and who waits for tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from emulator import longpoll, parameters
from emulator.access import Access, Need
from emulator.calls import Call
from emulator.errors import ApiError
from emulator.store import (
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    QueueKey,
    Store,
    Task,
    TaskExistsError,
    TaskUnknownError,
)

STORE_THREADS = 32  # waiting for the store at once; further requests wait for a thread
T = TypeVar("T")


class QueueService:
    """The queues of one store."""

    def __init__(self, store: Store, access: Access) -> None:
        self.store = store
        self.access = access
        self._limiter = trio.CapacityLimiter(STORE_THREADS)
        self._waiters = longpoll.Waiters(store, self.ask)

    def queue(self, call: Call, project: str, name: str, need: Need) -> QueueKey:
        """Return the queue that a call is about. Raises ApiError when there is none, or the call may not do this."""
        queue = parameters.queue_key(project, name)
        self.access.check(call, need, queue)
        return queue

    def retry_limit(self, queue: QueueKey) -> int | None:
        """Return how often a task of the queue is leased at most, None for no limit."""
        return self.access.rule(queue).retry_limit

    async def ask(self, verb: Callable[..., T], *arguments: object) -> T:
        """Call the store in a thread. Never abandoned: what changes state must be known to have ended.

        Raises ApiError for what the store refuses.
        """
        try:
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

    def wake(self, queue: QueueKey) -> None:
        """Let those look again who wait for this queue: a task came, or was given back."""
        self._waiters.wake(queue)
