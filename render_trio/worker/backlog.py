"""Documents that the document store can't take now → results, as soon as it works again.

An outage of the store is not the task's fault, so it must not use up the task's attempts. The queue counts every lease
as an attempt: a task that is released during an outage has used one up. Therefore its lease is kept and renewed, and
its finished document waits here, in memory, until it is stored and the task is settled. The backlog exists once per
process, outside of the workers, so that it survives their restarts.

While the store fails, only one document at a time is tried, the one that has waited longest, after a pause that doubles
with each failure: many clients that retry would keep a store down. A document that failed is tried again after all the
others. If others were stored between its failures, it is at fault itself (its file is too large for the file system,
or its name is taken by a folder), and this counts as a failed attempt. A lack of space is never the fault of a
document.

The backlog is bounded. While it is full, workers begin no further task, because its document might have to wait, too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog
import trio

from render_trio.delivery.delivery import STORE_SECONDS, Delivery
from render_trio.errors import DeliveryError
from render_trio.observation.observer import Observer
from render_trio.queue.interface import Queue
from render_trio.worker.leases import Leases
from render_trio.worker.limits import Limits
from render_trio.worker.settling import Attempt, Outcome, RenderedTask, Settling

# The backlog is full when it holds this many documents or bytes. It still accepts the document of a task that was begun
# before, so each worker can exceed these bounds by one document.
MAX_DOCUMENTS = 20
MAX_BYTES = 64 * 1024 * 1024
FIRST_SECONDS = 10.0  # time limit for a worker, which delays its other tasks; a waiting document has STORE_SECONDS
INITIAL_PAUSE, MAX_PAUSE = 0.5, 15.0  # s between two attempts to store a document; doubles
OWN_FAILURES = 3  # after so many failures, each following a success of other documents, a document is at fault itself
FINISH_SECONDS = 2.0  # for a last attempt at shutdown; then the remaining leases are released
log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Waiting:
    """A document that waits. `stored`: how many documents had been stored at its last failure; `failures`: its own."""

    attempt: Attempt
    rendered: RenderedTask
    stored: int
    failures: int = 0


class Backlog:
    """The documents of one process that wait for the store, with the leases of their tasks."""

    def __init__(
        self,
        queue: Queue,
        delivery: Delivery,
        limits: Limits,
        observer: Observer,
        stopping: trio.Event,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`uniform` draws the length of every pause, between its two arguments."""
        self._delivery = delivery
        self._observer = observer
        self._stopping = stopping
        self._uniform = uniform
        self._leases = Leases(queue, observer, uniform)
        self._settling = Settling(queue, self._leases, limits, observer)
        self._nursery: trio.Nursery | None = None
        self._waiting: list[_Waiting] = []
        self._turn = trio.Lock()  # its waiters are served in the order in which they came
        self._over = trio.Event()  # at shutdown: nothing is left to do, or the store still fails
        self._cause = ""
        self._pause = 0.0
        self._retry_at = -math.inf
        self._stored = 0

    @property
    def full(self) -> bool:
        """Whether no further task may be begun."""
        size = sum(len(waiting.rendered.document.pdf) for waiting in self._waiting)
        return len(self._waiting) >= MAX_DOCUMENTS or size >= MAX_BYTES

    @property
    def documents(self) -> int:
        """The number of documents that wait."""
        return len(self._waiting)

    @property
    def problem(self) -> str:
        """Why the store fails and how many documents wait; empty if it works, as far as we know."""
        count = len(self._waiting)
        return f"{self._cause}; {count} document{' waits' if count == 1 else 's wait'}" if self._cause else ""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Store the waiting documents and settle their tasks, until `stopping` is set. Then release the others."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leases.keep_renewed)
                self._nursery = nursery
                task_status.started()
                await self._stopping.wait()
                if self._waiting:
                    with trio.move_on_after(FINISH_SECONDS):
                        await self._over.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            await self._leases.release_all()

    async def deliver(self, pdf: bytes, sha256: str, *, from_web: bool = False) -> str | None:
        """Return the address of the stored document, or None if it is small enough for its result.

        `from_web`: it is the document of a task from the web. Raises DeliveryError, at once if the store is known to
        fail; TooLargeError.
        """
        if self._cause and self._delivery.needs_store(pdf):
            raise DeliveryError(self._cause)
        return await self._store(pdf, sha256, FIRST_SECONDS, from_web=from_web)

    def add(self, attempt: Attempt, rendered: RenderedTask, leases: Leases, error: DeliveryError) -> bool:
        """Let a document wait that `deliver` failed to store because of `error`, and take over its lease from `leases`.

        Returns False if the service is stopping: the caller keeps the lease. Raises LeaseLostError.
        """
        if self._nursery is None or self._stopping.is_set():
            return False
        leases.transfer(attempt.lease, self._leases)
        waiting = _Waiting(attempt, rendered, self._stored)
        self._waiting.append(waiting)
        self._observer.waiting_documents(len(self._waiting))
        if not self._cause:
            self._store_failed(error, INITIAL_PAUSE)
        log.warning("document waits for the store", error=str(error), documents=len(self._waiting))
        self._nursery.start_soon(self._conclude, waiting)
        return True

    async def _conclude(self, waiting: _Waiting) -> None:
        lease = waiting.attempt.lease
        try:
            with lease.work:
                await self._settling.conclude(waiting.attempt, lambda attempt: self._complete(waiting))
            if lease.work.cancelled_caught:
                reason = "it was lost while the document waited for the store"
                log.warning("nothing delivered: lease lost", reason=reason)
                self._observer.failure(lease.task.id, "lease_lost", reason, "lost")
            self._leases.drop(lease)
        finally:
            self._remove(waiting)

    def _remove(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        self._observer.waiting_documents(len(self._waiting))
        if not self._waiting:
            self._cause = ""  # nothing tries the store any more: the next document does
            if self._stopping.is_set():
                self._over.set()

    async def _complete(self, waiting: _Waiting) -> Outcome:
        """Store the document and settle its task. Raises LeaseLostError, QueueError."""
        attempt, document = waiting.attempt, waiting.rendered.document
        while True:
            async with self._turn:
                with trio.CancelScope(deadline=self._retry_at):
                    await self._stopping.wait()
                try:
                    with attempt.stage_timer("deliver"):
                        from_web = attempt.lease.task.from_web
                        url = await self._store(document.pdf, document.sha256, STORE_SECONDS, from_web=from_web)
                except DeliveryError as error:
                    if self._is_at_fault(waiting, error):
                        return await self._settling.retry(attempt.lease, error)
                    self._store_failed(error, min(MAX_PAUSE, max(INITIAL_PAUSE, self._pause * 2)))
                else:
                    self._store_works()
                    return await self._settling.succeed(attempt, waiting.rendered, url)

    async def _store(self, pdf: bytes, sha256: str, seconds: float, *, from_web: bool) -> str | None:
        delivery = self._delivery.for_web if from_web else self._delivery
        try:
            return await delivery.deliver(pdf, sha256, seconds)
        except DeliveryError:
            self._observer.store_failed()
            raise

    def _is_at_fault(self, waiting: _Waiting, error: DeliveryError) -> bool:
        if error.store_full:
            return False
        if self._stored != waiting.stored:
            waiting.stored = self._stored
            waiting.failures += 1
        return waiting.failures >= OWN_FAILURES

    def _store_failed(self, error: DeliveryError, pause: float) -> None:
        if str(error) != self._cause:
            log.error("document store failed", error=str(error))
        self._cause, self._pause = str(error), pause
        self._retry_at = trio.current_time() + self._uniform(0.5, 1.0) * pause
        if self._stopping.is_set():
            self._over.set()

    def _store_works(self) -> None:
        if self._cause:
            log.info("document store works again", documents=len(self._waiting))
        self._cause, self._pause, self._retry_at = "", 0.0, -math.inf
        self._stored += 1
