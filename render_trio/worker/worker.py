"""One worker: lease → render and finish → deliver → settle, over and over.

What it promises: the result is put in the queue before the task is deleted, so that a kill at any moment
loses nothing; the result's id comes from the task's, so that doing it twice makes one; a task that can
never work is answered at once; any other failure is tried again, up to a limit, with more time each time.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, cast

import structlog
import trio

from render_trio.errors import (
    AttemptsExhaustedError,
    LeaseLostError,
    QueueError,
    QueueUnavailableError,
    RejectError,
    RenderTimedOutError,
    RetryError,
    first_error,
)
from render_trio.observation.observer import Observer
from render_trio.queue import messages
from render_trio.queue.messages import Result
from render_trio.queue.task_queue.client import LeasedBatch
from render_trio.queue.task_queue.connection import MAX_RETRY_AFTER, VERB_SECONDS
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.leases import Lease, LeaseQueue, Leases
from render_trio.worker.stage_timer import StageTimer
from resources.request import Request

POLL_WAIT = 20  # s that the queue may hold a lease request until there is a task
POLL_SHARE = 1 / 3  # of a lease that may pass so: it counts from the request on, and most of it must be left
# For an answer that is on its way when we are told to stop: its tasks are ours already, and nobody else's for a lease.
ANSWER_GRACE = 2.0  # s
SETTLE_VERBS = 3  # of the queue that end a task, at most: a failure's result, its deletion, or a release
SLACK_SECONDS = 20.0  # that a phase may last beyond the sum of its parts before it counts as stalled
LEASE_MARGIN = 10.0  # s that a lease lasts beyond the time limit of its task
BATCH_SECONDS = 1.0  # of work that a worker leases ahead: what is leased is lost for a while when we are killed
INITIAL_IDLE_PAUSE = 0.05  # s; doubles up to RENDER_SLEEP_TIME where the queue can't hold requests
INITIAL_UNREACHABLE_PAUSE, MAX_UNREACHABLE_PAUSE = (
    0.2,
    5.0,
)  # s between two attempts to reach the queue; doubles, with jitter

log = structlog.get_logger(__name__)


class Heartbeat(Protocol):
    """Where a worker says what it does, and how long that may take."""

    def enter(self, phase: str, budget: float) -> None:
        """Begin a phase that may last `budget` seconds."""

    def progress(self, kind: str) -> None:
        """Something worth knowing came to its end: `polled`, `finished`, `unreachable`."""


class Queue(LeaseQueue, Protocol):
    """The queue's verbs that a worker needs."""

    async def lease(self, count: int, seconds: int, *, tag: str = ..., wait: int = ...) -> LeasedBatch:
        """Lease tasks."""
        ...

    async def insert(self, task_id: str, payload: str, tag: str) -> None:
        """Insert a task; one that is there already is as good."""
        ...

    async def delete(self, task_id: str) -> None:
        """Delete a task; one that is gone already is as good."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """A worker's settings; times in seconds."""

    task_count: int
    task_seconds: float
    task_time_mult: float
    task_retry_limit: int
    sleep_time: float
    queue_timeout: float = 10.0

    @property
    def lease_seconds(self) -> int:
        """Seconds to lease a task for; renewed while the work goes on."""
        return math.ceil(self.task_seconds + LEASE_MARGIN)

    @property
    def poll_wait(self) -> int:
        """Seconds that the queue may hold a lease request."""
        return min(POLL_WAIT, int(self.lease_seconds * POLL_SHARE))

    @property
    def poll_budget(self) -> float:
        """Seconds that a round may take in which there is nothing to do."""
        return self.poll_wait + self.queue_timeout + max(self.sleep_time, MAX_RETRY_AFTER) + SLACK_SECONDS

    def work_budget(self, retry_count: int) -> float:
        """Seconds that a task may take from being begun to being settled."""
        verbs = SETTLE_VERBS * (VERB_SECONDS + self.queue_timeout)
        return self.seconds_for(retry_count) + LEASE_MARGIN + verbs + SLACK_SECONDS

    def seconds_for(self, retry_count: int) -> float:
        """Return the time limit of the attempt after `retry_count` earlier ones."""
        return self.task_seconds * (1 + self.task_time_mult * retry_count)


class Worker:
    """Works on tasks until it is told to stop, or cancelled."""

    def __init__(
        self,
        queue: Queue,
        make: Callable[[Request, float], Awaitable[FinishedDocument]],
        deliver: Callable[[bytes, str], Awaitable[str | None]],
        limits: Limits,
        observer: Observer,
        stopping: trio.Event,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`uniform` draws every pause, between its two arguments."""
        self._queue = queue
        self._make = make
        self._deliver = deliver
        self._limits = limits
        self._observer = observer
        self._stopping = stopping
        self._leases = Leases(queue, observer, uniform)
        self._pace = 0.25  # s a task, a running mean; the first batches are small until we know
        self._idle = INITIAL_IDLE_PAUSE
        # A queue that was not reached yet is not asked to hold the answer: only that tells that it is there.
        self._wait_most = 0
        self._unreached = INITIAL_UNREACHABLE_PAUSE
        self._uniform = uniform

    async def run(self, heartbeat: Heartbeat) -> None:
        """Work until told to stop; gives back what it holds when it ends, however it ends."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leases.keep)
                while not self._stopping.is_set():
                    await self.iterate(heartbeat)
                nursery.cancel_scope.cancel()
        finally:
            await self._leases.release_all()

    async def iterate(self, heartbeat: Heartbeat) -> None:
        """Do one round: lease a small batch, and work on each of its tasks."""
        heartbeat.enter("poll", self._limits.poll_budget)
        batch = await self._lease_batch(heartbeat)
        if not batch:
            return
        for lease in batch:
            if self._stopping.is_set():
                break
            heartbeat.enter("work", self._limits.work_budget(lease.task.retry_count))
            started = trio.current_time()
            with lease.work:
                await self._work_on(lease)
            self._leases.drop(lease)
            self._pace += 0.3 * (trio.current_time() - started - self._pace)
            heartbeat.progress("finished")
        await self._leases.release_all()

    async def _lease_batch(self, heartbeat: Heartbeat) -> list[Lease]:
        """Return leased tasks; waits a while when there are none."""
        count = max(1, min(self._limits.task_count, math.floor(BATCH_SECONDS / max(self._pace, 0.001))))
        seconds, wait = self._limits.lease_seconds, min(self._wait_most, self._limits.poll_wait)
        asked_at = trio.current_time()
        answer: LeasedBatch | None = None
        unreached: QueueError | None = None
        try:
            with trio.CancelScope() as poll:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._cancel_when_stopping, poll)
                    answer = await self._queue.lease(count, seconds, wait=wait)
                    nursery.cancel_scope.cancel()
        except* QueueError as group:
            unreached = cast(QueueError, first_error(group))
        if unreached is not None:
            heartbeat.progress("unreachable")
            self._wait_most = 0
            await self._rest_unreached(unreached)
            return []
        if answer is None:  # told to stop while asking
            return []
        self._unreached = INITIAL_UNREACHABLE_PAUSE
        heartbeat.progress("polled")
        self._wait_most = POLL_WAIT
        self._observer.leased(len(answer.tasks))
        if not answer.tasks:
            if not answer.waited:
                await self._rest(self._idle)
                self._idle = min(self._limits.sleep_time, self._idle * 2)
            return []
        self._idle = INITIAL_IDLE_PAUSE
        return self._leases.hold(answer.tasks, seconds, asked_at)

    async def _cancel_when_stopping(self, scope: trio.CancelScope) -> None:
        await self._stopping.wait()
        scope.deadline = trio.current_time() + ANSWER_GRACE

    async def _rest_unreached(self, error: QueueError) -> None:
        """Wait before the queue is asked again: longer each time, and as long as it asks for."""
        asked_for = error.pause if isinstance(error, QueueUnavailableError) else 0.0
        log.warning("queue not reached", error=str(error), pause=asked_for)
        with trio.move_on_after(asked_for):
            await self._stopping.wait()
        await self._rest(self._unreached)
        self._unreached = min(MAX_UNREACHABLE_PAUSE, self._unreached * 2)

    async def _rest(self, most: float) -> None:
        """Wait about so long, or until told to stop; a little less each time, so that workers spread."""
        with trio.move_on_after(self._uniform(0.5, 1.0) * most):
            await self._stopping.wait()

    async def _work_on(self, lease: Lease) -> None:
        """Bring one task to its end, or give it back."""
        task = lease.task
        if task.retry_count == 0:
            self._observer.queue_wait(time.time() - task.enqueued_us / 1e6)
        else:
            self._observer.retried()
        self._observer.in_flight(1)
        phases, attempt = StageTimer(self._observer), task.retry_count + 1
        with structlog.contextvars.bound_contextvars(task=task.id, attempt=attempt, seconds=phases.seconds):
            resource, outcome = "unknown", "retried"
            try:
                render_task = messages.decode(task)
                resource = render_task.request.view
                outcome = await self._attempt(lease, render_task, phases)
            except RejectError as error:
                outcome = await self._fail(lease, error.code, str(error), "rejected")
            except LeaseLostError as error:
                log.warning("nothing delivered", reason=str(error))
                self._observer.failure(task.id, "lease_lost", str(error), "lost")
                outcome = "lost"
            except QueueError as error:
                log.warning("task not settled; it comes back when its lease ends", error=str(error))
                self._observer.failure(task.id, "not_settled", str(error), "unsettled")
                outcome = "unsettled"
            finally:
                self._observer.in_flight(-1)
                self._observer.rendered(resource, "lost" if lease.lost and outcome == "retried" else outcome)

    async def _attempt(self, lease: Lease, task: messages.RenderTask, phases: StageTimer) -> str:
        """Make and hand over the document; returns the outcome. Raises RejectError, LeaseLostError, QueueError."""
        limits, before = self._limits, lease.task.retry_count
        try:
            if before >= limits.task_retry_limit:
                raise AttemptsExhaustedError(f"leased {before} times, and no attempt came to an end")
            with phases("render"):
                document = await self._make_in_time(task.request, limits.seconds_for(before))
            with phases("deliver"):
                url = await self._deliver(document.pdf, document.sha256)
            result = messages.success(
                task.id,
                filename=document.filename,
                pdf=document.pdf,
                pages=document.pages,
                sha256=document.sha256,
                url=url,
            )
            self._leases.confirm(lease)
            with phases("settle"):
                await self._settle(lease, result, task.reply_tag)
            self._observer.result_bytes(len(document.pdf))
            log.info("done", resource=task.request.view, pages=document.pages, bytes=len(document.pdf))
            return "done"
        except RetryError as error:
            if before + 1 >= limits.task_retry_limit:
                return await self._fail(lease, error.code, str(error), "failed")
            delay = round(error.retry_delay * 2**before)
            log.warning("attempt failed; given back", code=error.code, error=str(error), delay=delay)
            self._observer.failure(lease.task.id, error.code, str(error), "retried")
            await self._leases.release(lease, delay)
            return "retried"

    async def _make_in_time(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document; the offload keeps the limit, this is the last word in case it doesn't."""
        try:
            with trio.fail_after(seconds + LEASE_MARGIN / 2):
                return await self._make(request, seconds)
        except trio.TooSlowError:
            raise RenderTimedOutError(f"not drawn within {seconds:.0f} s") from None

    async def _fail(self, lease: Lease, code: str, message: str, outcome: str) -> str:
        """Answer the task with a failure result."""
        log.warning("answered with a failure", code=code, error=message)
        self._observer.failure(lease.task.id, code, message, outcome)
        self._leases.confirm(lease)
        await self._settle(lease, messages.failure(lease.task.id, code, message), messages.reply_tag_of(lease.task))
        return outcome

    async def _settle(self, lease: Lease, result: Result, tag: str) -> None:
        """Result first, delete second: killed between the two, the next attempt finds its result there."""
        await self._queue.insert(messages.result_id(lease.task.id), messages.encode_result(result), tag)
        await self._queue.delete(lease.task.id)
