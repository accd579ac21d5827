"""The leases that a worker holds: renewed while the work continues, and released together.

A lease that can't be renewed in time is lost: the work on its task is cancelled, and nothing may be delivered for it.
`confirm` is the fence right before delivery. All times are those of Trio's clock, which is monotonic: we consider a
lease expired no later than the queue does, even if the system time changes on either side.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import structlog
import trio

from render_trio.errors import LeaseLostError, QueueError
from render_trio.observation.observer import Observer
from render_trio.queue.interface import LeaseQueue
from render_trio.queue.messages import LeasedTask

RENEWAL_SHARE = 0.5  # of a lease's duration, after which it is renewed
# Concurrent requests of one worker: one that hangs must not delay the others. The client's pool has more connections.
REQUESTS_AT_ONCE = 6
RENEWAL_RETRY_SHARE = 0.05  # of a lease's duration; the longest pause before a failed renewal is repeated
POLL_INTERVAL = 0.05, 1.0  # s; the shortest and the longest pause between two checks of the leases
RELEASE_SECONDS = 5.0  # time to release all leases at shutdown; the remaining leases expire by themselves
log = structlog.get_logger(__name__)


class Lease:
    """One task that is ours until `deadline`."""

    def __init__(self, task: LeasedTask, seconds: float, requested_at: float) -> None:
        self.task = task
        self.seconds = seconds
        self.lost = False
        self.renewing = False
        self.work = trio.CancelScope()
        self.renewal = trio.CancelScope()
        self.extend(requested_at)

    def extend(self, requested_at: float) -> None:
        """Count the lease from the time of the request: the queue can't have started to count any earlier."""
        self.deadline = requested_at + self.seconds
        self.renew_at = requested_at + self.seconds * RENEWAL_SHARE

    @property
    def waited_seconds(self) -> float:
        """The time between the task's insertion and the start of the lease, both by the queue's clock."""
        return (self.task.lease_us - self.task.enqueued_us) / 1e6 - self.seconds

    def lose(self) -> None:
        """Cancel the work: another worker has the task, or will have it."""
        self.lost = True
        self.work.cancel()


class Leases:
    """All leases of one worker."""

    def __init__(
        self,
        queue: LeaseQueue,
        observer: Observer,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`uniform` draws the pause before a failed renewal is repeated, between its two arguments."""
        self._queue = queue
        self._uniform = uniform
        self._observer = observer
        self._held: dict[str, Lease] = {}

    def hold(self, tasks: Iterable[LeasedTask], seconds: float, requested_at: float) -> list[Lease]:
        """Return leases for tasks that a request at `requested_at` leased for `seconds`, and keep them renewed."""
        leases = [Lease(task, seconds, requested_at) for task in tasks]
        self._held |= {lease.task.id: lease for lease in leases}
        return leases

    def drop(self, lease: Lease) -> None:
        """Stop renewing a lease whose task was settled, released or lost; a renewal in progress would undo that.

        Does nothing if the lease isn't held here.
        """
        if self._holds(lease):
            del self._held[lease.task.id]
            lease.renewal.cancel()

    def transfer(self, lease: Lease, to: Leases) -> None:
        """Move a lease to `to`, which keeps it renewed from now on. Raises LeaseLostError, and then keeps it here.

        A renewal in progress continues. The lease gets a new scope for the work that follows.
        """
        self.confirm(lease)
        del self._held[lease.task.id]
        lease.work = trio.CancelScope()
        to._held[lease.task.id] = lease

    def _holds(self, lease: Lease) -> bool:
        return self._held.get(lease.task.id) is lease

    async def release(self, lease: Lease, seconds: int = 0) -> None:
        """Make the task available again after `seconds`. Raises QueueError."""
        self.drop(lease)
        if not lease.lost:
            await self._queue.release(lease.task, seconds)

    async def release_all(self) -> None:
        """Release all leases, even when cancelled, within RELEASE_SECONDS."""
        with trio.move_on_after(RELEASE_SECONDS, shield=True):
            limiter = trio.CapacityLimiter(REQUESTS_AT_ONCE)
            async with trio.open_nursery() as nursery:
                for lease in list(self._held.values()):
                    nursery.start_soon(self._try_release, lease, limiter)

    async def _try_release(self, lease: Lease, limiter: trio.CapacityLimiter) -> None:
        try:
            async with limiter:
                await self.release(lease)
        except QueueError as error:
            log.warning("lease release failed, will expire", task=lease.task.id, error=str(error))

    def confirm(self, lease: Lease) -> None:
        """Raise LeaseLostError unless the task is certainly ours at this moment."""
        if not lease.lost and trio.current_time() >= lease.deadline:
            self._lose(lease, "it expired")
        if lease.lost:
            raise LeaseLostError(f"the lease of task {lease.task.id} ended before its document was delivered")

    async def keep_renewed(self) -> None:
        """Renew the leases, each at half its duration and all concurrently, until cancelled."""
        limiter = trio.CapacityLimiter(REQUESTS_AT_ONCE)
        async with trio.open_nursery() as nursery:
            while True:
                now = trio.current_time()
                next_check = now + POLL_INTERVAL[1]
                for lease in [lease for lease in self._held.values() if not lease.lost]:
                    if now >= lease.deadline:
                        self._lose(lease, "it could not be renewed in time")
                    elif now >= lease.renew_at and not lease.renewing:
                        lease.renewing = True
                        nursery.start_soon(self._renew, lease, limiter)
                    else:
                        next_check = min(next_check, lease.deadline if lease.renewing else lease.renew_at)
                await trio.sleep(max(POLL_INTERVAL[0], next_check - now))

    async def _renew(self, lease: Lease, limiter: trio.CapacityLimiter) -> None:
        try:
            # A response that arrives after the deadline is useless.
            with trio.CancelScope(deadline=lease.deadline) as lease.renewal:
                if not self._holds(lease):  # dropped since this renewal was scheduled
                    return
                async with limiter:
                    requested_at = trio.current_time()
                    lease.task = await self._queue.renew(lease.task, max(1, round(lease.seconds)))
                    lease.extend(requested_at)
        except LeaseLostError as error:
            if self._holds(lease):  # otherwise it was settled during the request, or transferred
                self._lose(lease, str(error))
        except QueueError as error:
            log.warning("lease renewal failed, will retry", task=lease.task.id, error=str(error))
            lease.renew_at = trio.current_time() + self._uniform(0.5, 1.0) * RENEWAL_RETRY_SHARE * lease.seconds
        finally:
            lease.renewing = False

    def _lose(self, lease: Lease, reason: str) -> None:
        log.warning("lease lost", task=lease.task.id, reason=reason)
        self._observer.lost_lease()
        lease.lose()
