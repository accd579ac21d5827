"""The leases a worker holds: renewed beside the work, and let go of together.

A lease that can't be renewed in time is lost: the work on its task is cancelled, and nothing may be
delivered for it. `confirm` is the fence right before delivery. All times are Trio's, a clock that only goes
forward: a lease is held for ended no later than the queue does, whatever happens to the date on either side.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog
import trio

from render_trio.errors import LeaseLostError, QueueError
from render_trio.observation.observer import Observer
from render_trio.queue.messages import LeasedTask

RENEWAL_SHARE = 0.5  # of the lease's life after which it is renewed
REQUESTS_AT_ONCE = 6  # of one worker: one that hangs must not make the others late; a client's pool holds more
RENEWAL_RETRY_SHARE = 0.05  # of the lease's life that a renewal which failed waits, at most, for its next attempt
POLL_INTERVAL = 0.05, 1.0  # the shortest and the longest pause between two looks at what is held
RELEASE_SECONDS = 5.0  # to give all leases back when we are told to end: what remains runs out by itself
log = structlog.get_logger(__name__)


class LeaseQueue(Protocol):
    """The verbs of a queue that keep and end leases."""

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        """Return the task with its lease prolonged. Raises LeaseLostError, QueueError."""
        ...

    async def release(self, task: LeasedTask, seconds: int = 0) -> None:
        """Give the task back at once, or in so many seconds. Raises QueueError."""
        ...


class Lease:
    """One task that is ours until `deadline` (by Trio's clock, which no change of the date moves)."""

    def __init__(self, task: LeasedTask, seconds: float, asked_at: float) -> None:
        self.task = task
        self.seconds = seconds
        self.lost = False
        self.renewing = False
        self.work = trio.CancelScope()
        self.renewal = trio.CancelScope()
        self.begin(asked_at)

    def begin(self, asked_at: float) -> None:
        """Count the lease from when it was asked for: the queue counts from then on at the earliest."""
        self.deadline = asked_at + self.seconds
        self.renew_at = asked_at + self.seconds * RENEWAL_SHARE

    def lose(self) -> None:
        """Stop the work: the task is somebody else's."""
        self.lost = True
        self.work.cancel()


class Leases:
    """What one worker holds."""

    def __init__(
        self,
        queue: LeaseQueue,
        observer: Observer,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`uniform` draws the pause before a failed renewal's next attempt, between its two arguments."""
        self._queue = queue
        self._uniform = uniform
        self._observer = observer
        self._held: dict[str, Lease] = {}

    def hold(self, tasks: Iterable[LeasedTask], seconds: float, asked_at: float) -> list[Lease]:
        """Take charge of tasks leased for `seconds` by a request that was sent at `asked_at`."""
        leases = [Lease(task, seconds, asked_at) for task in tasks]
        self._held |= {lease.task.id: lease for lease in leases}
        return leases

    def drop(self, lease: Lease) -> None:
        """Let go of a lease whose task was settled, given back, or lost; a renewal under way would bring it back."""
        self._held.pop(lease.task.id, None)
        lease.renewal.cancel()

    async def release(self, lease: Lease, seconds: int = 0) -> None:
        """Give a task back at once, or in so many seconds."""
        self.drop(lease)
        if not lease.lost:
            await self._queue.release(lease.task, seconds)

    async def release_all(self) -> None:
        """Give everything back, whatever cancels us, within a bounded time."""
        with trio.move_on_after(RELEASE_SECONDS, shield=True):
            limiter = trio.CapacityLimiter(REQUESTS_AT_ONCE)
            async with trio.open_nursery() as nursery:
                for lease in list(self._held.values()):
                    nursery.start_soon(self._give_back, lease, limiter)

    async def _give_back(self, lease: Lease, limiter: trio.CapacityLimiter) -> None:
        try:
            async with limiter:
                await self.release(lease)
        except QueueError as error:
            log.warning("lease not given back; it runs out by itself", task=lease.task.id, error=str(error))

    def confirm(self, lease: Lease) -> None:
        """Raise LeaseLostError unless the task is surely ours at this moment."""
        if not lease.lost and trio.current_time() >= lease.deadline:
            self._lose(lease, "its time was over")
        if lease.lost:
            raise LeaseLostError(f"the lease of task {lease.task.id} ended before its document was delivered")

    async def keep(self) -> None:
        """Renew what is held, each at half its life and beside the others, until cancelled."""
        limiter = trio.CapacityLimiter(REQUESTS_AT_ONCE)
        async with trio.open_nursery() as nursery:
            while True:
                now = trio.current_time()
                next_look = now + POLL_INTERVAL[1]
                for lease in [lease for lease in self._held.values() if not lease.lost]:
                    if now >= lease.deadline:
                        self._lose(lease, "it could not be renewed in time")
                    elif now >= lease.renew_at and not lease.renewing:
                        lease.renewing = True
                        nursery.start_soon(self._renew, lease, limiter)
                    else:
                        next_look = min(next_look, lease.deadline if lease.renewing else lease.renew_at)
                await trio.sleep(max(POLL_INTERVAL[0], next_look - now))

    async def _renew(self, lease: Lease, limiter: trio.CapacityLimiter) -> None:
        try:
            # An answer that comes after the lease's end is worth nothing.
            with trio.CancelScope(deadline=lease.deadline) as lease.renewal:
                if self._held.get(lease.task.id) is not lease:  # let go of since this was planned
                    return
                async with limiter:
                    asked_at = trio.current_time()
                    lease.task = await self._queue.renew(lease.task, max(1, round(lease.seconds)))
                    lease.begin(asked_at)
        except LeaseLostError as error:
            if lease.task.id in self._held:  # otherwise it was settled while we asked
                self._lose(lease, str(error))
        except QueueError as error:
            log.warning("lease not renewed yet", task=lease.task.id, error=str(error))
            lease.renew_at = trio.current_time() + self._uniform(0.5, 1.0) * RENEWAL_RETRY_SHARE * lease.seconds
        finally:
            lease.renewing = False

    def _lose(self, lease: Lease, reason: str) -> None:
        log.warning("lease lost", task=lease.task.id, reason=reason)
        self._observer.lost_lease()
        lease.lose()
