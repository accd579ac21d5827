"""What a queue is: the operations that the service needs, whichever engine provides them.

A *lease* reserves a task for one worker until a deadline. The worker *renews* the lease while it works, *releases*
it to make the task available again, or *settles* the task: it inserts the result, then deletes the task. A task whose
lease expires is available again, so a worker that dies loses nothing.

A failed request is repeated for at most REQUEST_SECONDS, so it ends within that time plus the timeout of one attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from render_trio.queue.messages import LeasedTask

REQUEST_SECONDS = 30.0  # after this, a failed request is not repeated
MAX_RETRY_AFTER = 30.0  # s; the longest pause that a server can require


@dataclass(frozen=True, slots=True)
class LeasedBatch:
    """The response to a lease request.

    `waited` is True if the queue held the request until a task arrived or the wait was over (long polling).
    """

    tasks: tuple[LeasedTask, ...]
    waited: bool


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task that was read without leasing it."""

    task: LeasedTask
    tag: str


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Statistics of a queue. `oldest`: when the first task can be leased, in s since the epoch; 0 if there is none."""

    total: int
    oldest: int
    leased_last_minute: int


class LeaseQueue(Protocol):
    """The operations that extend and end leases."""

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        """Return the task with a lease that ends `seconds` from now. Raises LeaseLostError, QueueError."""
        ...

    async def release(self, task: LeasedTask, seconds: int = 0) -> None:
        """Make the task available again after `seconds`. Raises QueueError."""
        ...


class Queue(LeaseQueue, Protocol):
    """The operations that a worker or a producer needs."""

    async def lease(self, count: int, seconds: int, *, tag: str = ..., wait: int = ...) -> LeasedBatch:
        """Lease at most `count` tasks for `seconds`; the queue may hold the request up to `wait` s for a task.

        Raises QueueError.
        """
        ...

    async def insert(self, task_id: str, payload: str, tag: str) -> None:
        """Insert a task. If its insertion was repeated because a response was lost, it is inserted once.

        Raises QueueRefusedError if the ID belongs to another task, QueueError.
        """
        ...

    async def settle(self, task: LeasedTask, result: str, tag: str) -> None:
        """Insert the result of the task, an encoded payload, then delete the task. Raises QueueError.

        Repeating it has no further effect: after a kill between the two steps, the next attempt does both again.
        """
        ...

    async def delete(self, task_id: str) -> None:
        """Delete a task. Idempotent: a missing task is not an error. Raises QueueError."""
        ...
