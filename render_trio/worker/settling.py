"""The end of an attempt: a result, a release, or neither if the lease is lost; and the report of its outcome.

RejectError      the task can never succeed: a failure result at once
RetryError       the task is released for another attempt; the last attempt ends with a failure result
LeaseLostError   nothing is delivered: another worker has the task, or will have it
QueueError       the task stays as it is, and becomes available again when its lease expires
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import structlog

from render_trio.errors import LeaseLostError, QueueError, RejectError, RetryError
from render_trio.observation.observer import Observer
from render_trio.queue import messages
from render_trio.queue.interface import Queue
from render_trio.queue.messages import RenderTask, Result
from render_trio.rendering.fingerprint import fingerprint
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.leases import Lease, Leases
from render_trio.worker.limits import Limits
from render_trio.worker.stage_timer import StageTimer

Outcome = Literal["done", "rejected", "failed", "retried", "lost", "unsettled", "waiting"]
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Attempt:
    """One attempt at a task; `resource` and `outcome` are labels of a metric.

    `outcome` stays "retried" if the attempt is cancelled, and is "waiting" while its document waits for the store.
    """

    lease: Lease
    stage_timer: StageTimer
    resource: str = "unknown"
    outcome: Outcome = "retried"


@dataclass(frozen=True, slots=True)
class RenderedTask:
    """A task and its finished document."""

    task: RenderTask
    document: FinishedDocument


class Settling:
    """Ends attempts at tasks whose leases are in `leases`."""

    def __init__(self, queue: Queue, leases: Leases, limits: Limits, observer: Observer) -> None:
        self._queue = queue
        self._leases = leases
        self._limits = limits
        self._observer = observer

    async def conclude(self, attempt: Attempt, steps: Callable[[Attempt], Awaitable[Outcome]]) -> None:
        """Take the steps that remain, and report the outcome, unless the document waits for the store."""
        task_id = attempt.lease.task.id
        attempt.outcome = "retried"
        try:
            attempt.outcome = await steps(attempt)
        except LeaseLostError as error:
            log.warning("nothing delivered: lease lost", reason=str(error))
            self._observer.failure(task_id, "lease_lost", str(error), "lost")
            attempt.outcome = "lost"
        except QueueError as error:
            log.warning("settling failed, task returns when its lease expires", error=str(error))
            self._observer.failure(task_id, "not_settled", str(error), "unsettled")
            attempt.outcome = "unsettled"
        finally:
            if attempt.lease.lost and attempt.outcome == "retried":  # cancelled because of it
                attempt.outcome = "lost"
            if attempt.outcome != "waiting":
                self._observer.rendered(attempt.resource, attempt.outcome)

    async def succeed(self, attempt: Attempt, rendered: RenderedTask, url: str | None) -> Outcome:
        """Settle the task with its document, or a link to it. Raises LeaseLostError, QueueError."""
        lease, task, document = attempt.lease, rendered.task, rendered.document
        result = messages.success(
            task,
            lease.task.enqueued_us,
            filename=document.filename,
            pdf=document.pdf,
            pages=document.pages,
            sha256=document.sha256,
            fingerprint=fingerprint(task.request.view),
            warnings=document.warnings,
            url=url,
        )
        self._leases.confirm(lease)
        with attempt.stage_timer("settle"):
            await self._settle(lease, result, task.reply_tag)
        self._observer.result_bytes(len(document.pdf))
        log.info("task done", resource=attempt.resource, pages=document.pages, bytes=len(document.pdf))
        return "done"

    async def reject(self, lease: Lease, error: RejectError) -> Outcome:
        """Settle a task that can never succeed with a failure result. Raises LeaseLostError, QueueError."""
        return await self._fail(lease, error, "rejected")

    async def retry(self, lease: Lease, error: RetryError) -> Outcome:
        """Release the task for another attempt, or settle it with a failure result if this was the last.

        The delay before the next attempt doubles if the error has one. Raises LeaseLostError, QueueError.
        """
        if lease.task.retry_count + 1 >= self._limits.task_retry_limit:
            return await self._fail(lease, error, "failed")
        return await self.release(lease, error, round(error.retry_delay * 2**lease.task.retry_count))

    async def release(self, lease: Lease, error: RetryError, delay: int = 0) -> Outcome:
        """Make the task available again after `delay` seconds. Raises QueueError."""
        log.warning("attempt failed, task released", code=error.code, error=error.loggable, delay=delay)
        self._observer.failure(lease.task.id, error.code, error.loggable, "retried")
        await self._leases.release(lease, delay)
        return "retried"

    async def _fail(self, lease: Lease, error: RejectError | RetryError, outcome: Outcome) -> Outcome:
        self._observer.failure(lease.task.id, error.code, error.loggable, outcome)
        self._leases.confirm(lease)
        traceparent = messages.traceparent_of(lease.task)
        result = messages.failure(lease.task.id, error.code, str(error), lease.task.enqueued_us, traceparent)
        await self._settle(lease, result, messages.reply_tag_of(lease.task))
        log.warning("failure result delivered", code=error.code, error=error.loggable)
        return outcome

    async def _settle(self, lease: Lease, result: Result, tag: str) -> None:
        await self._queue.settle(lease.task, messages.encode_result(result), tag)
