"""One leased task → its outcome: decode → render → deliver → settle. `settling` has what follows if one of these fails.

A document that the store can't take is handed to the backlog, which settles the task later: the outcome is "waiting".
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog
import trio

from render_trio.errors import (
    AttemptsExhaustedError,
    DeliveryError,
    ExpiredError,
    RejectError,
    RenderTimedOutError,
    RetryError,
    TooLargeError,
)
from render_trio.observation import traces
from render_trio.observation.observer import Observer
from render_trio.queue import messages
from render_trio.queue.interface import Queue
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.backlog import Backlog
from render_trio.worker.leases import Lease, Leases
from render_trio.worker.limits import LEASE_MARGIN, Limits
from render_trio.worker.settling import Attempt, Outcome, RenderedTask, Settling
from render_trio.worker.stage_timer import StageTimer
from resources.request import Request


class TaskRunner:
    """Makes one attempt at a time, each at a task that the worker has leased."""

    def __init__(
        self,
        queue: Queue,
        make: Callable[[Request, float], Awaitable[FinishedDocument]],
        backlog: Backlog,
        limits: Limits,
        observer: Observer,
        leases: Leases,
    ) -> None:
        """See `Worker` for `make` and `backlog`; `leases` are those that the worker holds."""
        self._make = make
        self._backlog = backlog
        self._limits = limits
        self._observer = observer
        self._leases = leases
        self._settling = Settling(queue, leases, limits, observer)

    async def run(self, lease: Lease) -> None:
        """Make one attempt at the task, log it, and report its outcome to the observer."""
        task, attempt = lease.task, Attempt(lease, StageTimer(self._observer))
        self._observe_start(lease)
        with (
            traces.span("task", messages.traceparent_of(task), "consumer", {"messaging.message.id": task.id}),
            structlog.contextvars.bound_contextvars(
                task=task.id, attempt=task.retry_count + 1, seconds=attempt.stage_timer.seconds
            ),
        ):
            try:
                await self._settling.conclude(attempt, self._complete)
            finally:
                self._observer.in_flight(-1)

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
            if lease.task.from_web and lease.waited_seconds > self._limits.web_seconds:
                raise ExpiredError(f"the task waited longer than {self._limits.web_seconds:.0f} s; submit it again")
            task = messages.decode(lease.task)
            attempt.resource = task.request.view
            with stage("render"):
                document = await self._render(task.request, lease.task.retry_count)
            if lease.task.from_web and len(document.pdf) > messages.WEB_DOCUMENT_BYTES:
                limit = messages.WEB_DOCUMENT_BYTES
                raise TooLargeError(f"the document has {len(document.pdf)} bytes; tasks from the web may have {limit}")
            try:
                with stage("deliver"):
                    url = await self._backlog.deliver(document.pdf, document.sha256, from_web=lease.task.from_web)
            except DeliveryError as error:
                if self._backlog.add(attempt, RenderedTask(task, document), self._leases, error):
                    return "waiting"
                return await self._settling.release(lease, error)
        except RejectError as error:
            return await self._settling.reject(lease, error)
        except RetryError as error:
            return await self._settling.retry(lease, error)
        return await self._settling.succeed(attempt, RenderedTask(task, document), url)

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
