"""One leased task → its outcome: decode → render → deliver → settle, and what follows if one of these fails.

RejectError      the task can never succeed: a failure result at once
RetryError       the task is released for another attempt; the last attempt ends with a failure result
LeaseLostError   nothing is delivered: another worker has the task, or will have it
QueueError       the task stays as it is, and becomes available again when its lease expires
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import structlog
import trio

from render_trio.errors import (
    AttemptsExhaustedError,
    LeaseLostError,
    QueueError,
    RejectError,
    RenderTimedOutError,
    RetryError,
)
from render_trio.observation.observer import Observer
from render_trio.queue import messages
from render_trio.queue.interface import Queue
from render_trio.queue.messages import Result
from render_trio.rendering.fingerprint import fingerprint
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.leases import Lease, Leases
from render_trio.worker.limits import LEASE_MARGIN, Limits
from render_trio.worker.stage_timer import StageTimer
from resources.request import Request

Outcome = Literal["done", "rejected", "failed", "retried", "lost", "unsettled"]
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Attempt:
    """One attempt at a task; `resource` and `outcome` are labels of a metric."""

    lease: Lease
    stage_timer: StageTimer
    resource: str = "unknown"
    outcome: Outcome = "retried"  # stays so if the attempt is cancelled


class TaskRunner:
    """Makes one attempt at a time, each at a task that the worker has leased."""

    def __init__(
        self,
        queue: Queue,
        make: Callable[[Request, float], Awaitable[FinishedDocument]],
        deliver: Callable[[bytes, str], Awaitable[str | None]],
        limits: Limits,
        observer: Observer,
        leases: Leases,
    ) -> None:
        """See `Worker` for `make` and `deliver`; `leases` are those that the worker holds."""
        self._queue = queue
        self._make = make
        self._deliver = deliver
        self._limits = limits
        self._observer = observer
        self._leases = leases

    async def run(self, lease: Lease) -> None:
        """Make one attempt at the task, log it, and report its outcome to the observer."""
        task, attempt = lease.task, Attempt(lease, StageTimer(self._observer))
        self._observe_start(lease)
        with structlog.contextvars.bound_contextvars(
            task=task.id, attempt=task.retry_count + 1, seconds=attempt.stage_timer.seconds
        ):
            try:
                attempt.outcome = await self._complete(attempt)
            except LeaseLostError as error:
                log.warning("nothing delivered: lease lost", reason=str(error))
                self._observer.failure(task.id, "lease_lost", str(error), "lost")
                attempt.outcome = "lost"
            except QueueError as error:
                log.warning("settling failed, task returns when its lease expires", error=str(error))
                self._observer.failure(task.id, "not_settled", str(error), "unsettled")
                attempt.outcome = "unsettled"
            finally:
                cancelled_by_lost_lease = lease.lost and attempt.outcome == "retried"
                self._observer.in_flight(-1)
                self._observer.rendered(attempt.resource, "lost" if cancelled_by_lost_lease else attempt.outcome)

    def _observe_start(self, lease: Lease) -> None:
        if lease.task.retry_count == 0:
            self._observer.queue_wait(time.time() - lease.task.enqueued_us / 1e6)
        else:
            self._observer.retried()
        self._observer.in_flight(1)

    async def _complete(self, attempt: Attempt) -> Outcome:
        """Deliver a result, or release the task for another attempt. Raises LeaseLostError, QueueError."""
        lease, stage = attempt.lease, attempt.stage_timer
        try:
            task = messages.decode(lease.task)
            attempt.resource = task.request.view
            with stage("render"):
                document = await self._render(task.request, lease.task.retry_count)
            with stage("deliver"):
                url = await self._deliver(document.pdf, document.sha256)
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
            with stage("settle"):
                await self._settle(lease, result, task.reply_tag)
        except RejectError as error:
            return await self._fail(lease, error.code, str(error), "rejected")
        except RetryError as error:
            if lease.task.retry_count + 1 >= self._limits.task_retry_limit:
                return await self._fail(lease, error.code, str(error), "failed")
            return await self._release(lease, error)
        self._observer.result_bytes(len(document.pdf))
        log.info("task done", resource=attempt.resource, pages=document.pages, bytes=len(document.pdf))
        return "done"

    async def _render(self, request: Request, retry_count: int) -> FinishedDocument:
        """Return the document. Raises RetryError.

        The offload enforces the time limit; the limit here is a backstop in case it fails to.
        """
        if retry_count >= self._limits.task_retry_limit:
            raise AttemptsExhaustedError(f"the task was leased {retry_count} times, and no attempt finished")
        seconds = self._limits.render_seconds(retry_count)
        try:
            with trio.fail_after(seconds + LEASE_MARGIN / 2):
                return await self._make(request, seconds)
        except trio.TooSlowError:
            raise RenderTimedOutError(f"not drawn within {seconds:.0f} s") from None

    async def _release(self, lease: Lease, error: RetryError) -> Outcome:
        """Make the task available for another attempt, after a delay that doubles if the error has one."""
        delay = round(error.retry_delay * 2**lease.task.retry_count)
        log.warning("attempt failed, task released", code=error.code, error=str(error), delay=delay)
        self._observer.failure(lease.task.id, error.code, str(error), "retried")
        await self._leases.release(lease, delay)
        return "retried"

    async def _fail(self, lease: Lease, code: str, message: str, outcome: Outcome) -> Outcome:
        """Settle the task with a failure result."""
        self._observer.failure(lease.task.id, code, message, outcome)
        self._leases.confirm(lease)
        result = messages.failure(lease.task.id, code, message, lease.task.enqueued_us)
        await self._settle(lease, result, messages.reply_tag_of(lease.task))
        log.warning("failure result delivered", code=code, error=message)
        return outcome

    async def _settle(self, lease: Lease, result: Result, tag: str) -> None:
        await self._queue.settle(lease.task, messages.encode_result(result), tag)
