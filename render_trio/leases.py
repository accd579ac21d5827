"""The leases a worker holds: renewed beside the work, and let go of together.

A lease that can't be renewed in time is lost: the work on its task is cancelled, and nothing may be
delivered for it. `confirm` is the fence right before delivery.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import structlog
import trio

from render_trio.errors import LeaseLostError, QueueError
from render_trio.observation import Observer
from render_trio.tasks import LeasedTask

RENEWAL_SHARE = 0.5  # of the lease's life after which it is renewed
RELEASE_SECONDS = 5.0  # to give all leases back when we are told to end: what remains runs out by itself
log = structlog.get_logger(__name__)


class LeaseQueue(Protocol):
    """The verbs of a queue that keep and end leases."""

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        """Return the task with its lease prolonged. Raises LeaseLostError, QueueError."""
        ...

    async def release(self, task: LeasedTask) -> None:
        """Give the task back at once. Raises QueueError."""
        ...


class Lease:
    """One task that is ours until `deadline` (by Trio's clock, which no change of the date moves)."""

    def __init__(self, task: LeasedTask, seconds: float, leased_at: float) -> None:
        self.task = task
        self.seconds = seconds
        self.deadline = leased_at + seconds
        self.lost = False
        self.work = trio.CancelScope()

    def lose(self) -> None:
        """Stop the work: the task is somebody else's."""
        self.lost = True
        self.work.cancel()


class Leases:
    """What one worker holds."""

    def __init__(self, queue: LeaseQueue, observer: Observer) -> None:
        self._queue = queue
        self._observer = observer
        self._held: dict[str, Lease] = {}

    def hold(self, tasks: Iterable[LeasedTask], seconds: float, leased_at: float) -> list[Lease]:
        """Take charge of tasks leased for `seconds` by a request that was sent at `leased_at`."""
        leases = [Lease(task, seconds, leased_at) for task in tasks]
        self._held |= {lease.task.id: lease for lease in leases}
        return leases

    def drop(self, lease: Lease) -> None:
        """Let go of a lease whose task was settled, or lost."""
        self._held.pop(lease.task.id, None)

    async def release(self, lease: Lease) -> None:
        """Give a task back at once."""
        self.drop(lease)
        if not lease.lost:
            await self._queue.release(lease.task)

    async def release_all(self) -> None:
        """Give everything back, whatever cancels us, within a bounded time."""
        with trio.move_on_after(RELEASE_SECONDS, shield=True):
            for lease in list(self._held.values()):
                try:
                    await self.release(lease)
                except QueueError as error:
                    log.warning("lease not given back; it runs out by itself", task=lease.task.id, error=str(error))

    def confirm(self, lease: Lease) -> None:
        """Raise LeaseLostError unless the task is surely ours at this moment."""
        if lease.lost or trio.current_time() >= lease.deadline:
            lease.lose()
            raise LeaseLostError(f"the lease of task {lease.task.id} ended before its document was delivered")

    async def keep(self) -> None:
        """Renew what is held, each at half its life, until cancelled."""
        while True:
            now = trio.current_time()
            for lease in [lease for lease in self._held.values() if not lease.lost]:
                if lease.deadline - now <= lease.seconds * (1 - RENEWAL_SHARE):
                    await self._renew(lease)
            due = [lease.deadline - lease.seconds * (1 - RENEWAL_SHARE) for lease in self._held.values()]
            await trio.sleep(min(1.0, max(0.05, min(due, default=now + 1.0) - trio.current_time())))

    async def _renew(self, lease: Lease) -> None:
        asked = trio.current_time()
        try:
            lease.task = await self._queue.renew(lease.task, max(1, round(lease.seconds)))
            lease.deadline = asked + lease.seconds
        except LeaseLostError as error:
            if lease.task.id in self._held:  # otherwise it was settled while we asked
                log.warning("lease lost", task=lease.task.id, reason=str(error))
                self._observer.lost_lease()
                lease.lose()
        except QueueError as error:
            log.warning("lease not renewed yet", task=lease.task.id, error=str(error))
            if trio.current_time() >= lease.deadline:
                self._observer.lost_lease()
                lease.lose()
