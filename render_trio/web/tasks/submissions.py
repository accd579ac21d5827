"""Tasks submitted over HTTP: put on the queue, observed without leasing, their results deleted in time.

Visitors never reach the tasks and results of producers, nor the other way round: tasks from the web and their results
have tags of their own, which a visitor can't choose, and only entries of the queue with these tags are shown. A task is
private to those who know its ID, which has 128 random bits. No client takes such a result off the queue, so
`sweep` deletes it: the first lease of a result lasts as long as the result is kept, and when the lease has expired the
result is deleted. In this way the queue keeps the time, for all services that share it.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import msgspec
import structlog
import trio

from render_trio.errors import QueueError, QueueUnavailableError, UnavailableError
from render_trio.observation import trace_context
from render_trio.queue import messages
from render_trio.queue.identity import web_result_id
from render_trio.queue.interface import FoundTask, LeasedBatch
from render_trio.queue.messages import (
    WEB_DOCUMENT_BYTES,
    WEB_RESULT_TAG,
    WEB_TASK_TAG,
    DocumentResult,
    Failure,
    LinkResult,
    Result,
)
from render_trio.web.tasks.ledger import Ledger

TASK_ID = re.compile(r"web-[0-9a-f]{32}")
QUEUE_TIMEOUT = 10.0  # s that a web client waits for the queue
# Half of a queue client's connections: cancellation can poison a pool that has fewer connections than users.
MAX_CONCURRENT = 4
MAX_WAITING = 60  # requests that wait for a connection; more are refused
STORE_TIMEOUT = 10.0  # s that a web client waits for the document store
STORE_THREADS = 4  # that may wait for the document store, including those that were abandoned in it
NAME_CHARACTERS = 400
SWEEP_SECONDS = 10.0
SWEEP_COUNT, SWEEP_BATCHES = 20, 50  # results per lease, leases per sweep
log = structlog.get_logger(__name__)
T = TypeVar("T")


class WebTaskQueue(Protocol):
    """The operations of a queue that are used here."""

    async def insert(self, task_id: str, payload: str, tag: str) -> None:
        """Insert a task."""

    async def get(self, task_id: str) -> FoundTask | None:
        """Return a task without leasing it, None if there is none."""
        ...

    async def lease(self, count: int, seconds: int, *, tag: str = ..., wait: int = ...) -> LeasedBatch:
        """Lease tasks."""
        ...

    async def delete(self, task_id: str) -> None:
        """Delete a task."""


class StoredDocuments(Protocol):
    """A document store that this service can read."""

    def read(self, sha256: str) -> bytes | None:
        """Return the document with this digest, None if it isn't stored here. Raises UnavailableError."""
        ...


class TaskView(msgspec.Struct, frozen=True):
    """The state of a task: queued, leased by a worker, done or failed. The other fields are set once it has ended."""

    id: str
    state: Literal["queued", "rendering", "done", "failed"]
    filename: str | None = None
    pages: int | None = None
    error: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, slots=True)
class DocumentBytes:
    """A document that this service can serve."""

    filename: str
    pdf: bytes


@dataclass(frozen=True, slots=True)
class DocumentLink:
    """A document at another http(s) address."""

    url: str


class WebTasks:
    """Submits tasks and reports their state. `keep`: s for which a result is kept; `ledger` counts the tasks."""

    def __init__(self, queue: WebTaskQueue, keep: int, stored: StoredDocuments | None, ledger: Ledger) -> None:
        self._queue = queue
        self._keep = keep
        self._stored = stored
        self._ledger = ledger
        self._capacity = trio.CapacityLimiter(MAX_CONCURRENT)
        self._readers = trio.CapacityLimiter(STORE_THREADS)

    async def submit(self, values: dict[str, Any], client: str | None) -> str:
        """Put a task with these values, which the caller has checked, on the queue; return its id.

        `client`: None for a program with a token. Raises QuotaError if the client, or all of them together, have too
        many; QueueError.
        """
        task_id = f"web-{uuid.uuid4().hex}"
        trace = trace_context.checked(values.get("traceparent")) or trace_context.current()
        payload = messages.encode_task({**values, "traceparent": trace} if trace else values)
        self._check_capacity()
        self._ledger.reserve(task_id, client)
        # A client that goes away cancels the insertion, but the task may be on the queue: it counts meanwhile.
        self._ledger.doubt(task_id)
        await self._call(lambda: self._queue.insert(task_id, payload, WEB_TASK_TAG))
        self._ledger.confirm(task_id)
        return task_id

    async def view(self, task_id: str) -> TaskView | None:
        """Return the state of a task, None if it is unknown. Raises QueueError."""
        found = await self._find(task_id)
        return found if found is None or isinstance(found, TaskView) else _ended(task_id, found)

    async def document(self, task_id: str) -> DocumentBytes | DocumentLink | None:
        """Return the document of a task, None if there is none (yet).

        Raises QueueError; UnavailableError if the document can be had only from the document store, which fails.
        """
        result = await self._find(task_id)
        if isinstance(result, DocumentResult) and result.success and result.document is not None:
            pdf = base64.b64decode(result.document)
            return DocumentBytes(_printable(result.filename or "document.pdf"), pdf)
        if isinstance(result, LinkResult):
            return await self._stored_document(result)
        return None

    async def _stored_document(self, result: LinkResult) -> DocumentBytes | DocumentLink | None:
        """Return the document from our own store, by its digest, or else its link, which is never opened here."""
        link = DocumentLink(result.url) if re.fullmatch(r"https?://[!-~]+", result.url) else None
        try:
            stored = await self._read(result.sha256)
        except UnavailableError as error:
            log.warning("stored document not read", error=str(error))
            if link is None:
                raise
            return link
        return link if stored is None else DocumentBytes(_printable(result.filename), stored)

    async def _read(self, sha256: str) -> bytes | None:
        if self._stored is None:
            return None
        try:
            with trio.fail_after(STORE_TIMEOUT):
                return await trio.to_thread.run_sync(
                    self._stored.read, sha256, limiter=self._readers, abandon_on_cancel=True
                )
        except trio.TooSlowError:
            raise UnavailableError(f"the document store did not answer within {STORE_TIMEOUT:.0f} s") from None

    async def _find(self, task_id: str) -> TaskView | Result | None:
        """Return the task while it is on the queue, then its result.

        The order matters: a worker inserts the result before it deletes the task.
        """
        if not TASK_ID.fullmatch(task_id):
            return None
        found = await self._call(lambda: self._queue.get(task_id))
        if found is not None and not _is_ours(found):
            return None
        if found is not None:
            leased = found.task.retry_count > 0 and found.task.lease_us > time.time() * 1e6
            return TaskView(task_id, "rendering" if leased else "queued")
        kept = await self._call(lambda: self._queue.get(web_result_id(task_id)))
        if kept is None or kept.tag != WEB_RESULT_TAG:
            return None
        result = _decoded(task_id, kept.task.payload)
        self._ledger.correct(task_id, _size(kept.task.payload, result))
        return result

    async def _call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Call the queue, with limits on concurrency and time. Raises QueueError."""
        self._check_capacity()
        try:
            with trio.fail_after(QUEUE_TIMEOUT):
                async with self._capacity:
                    return await operation()
        except trio.TooSlowError:
            raise QueueUnavailableError(f"the queue did not answer within {QUEUE_TIMEOUT:.0f} s") from None

    def _check_capacity(self) -> None:
        if self._capacity.statistics().tasks_waiting >= MAX_WAITING:
            raise QueueUnavailableError(f"{MAX_WAITING} web requests are waiting for the queue")

    async def sweep_for_ever(self) -> None:
        """Delete old results periodically, until cancelled."""
        while True:
            try:
                removed = await self.sweep()
                if removed:
                    log.info("old web results deleted", results=removed)
            except QueueError as error:
                log.warning("old web results not deleted", error=str(error))
            await trio.sleep(min(SWEEP_SECONDS, self._keep))

    async def _resolve_doubts(self) -> None:
        """Find out which tasks were inserted although their insertion seemed to fail. Raises QueueError."""
        for task_id in self._ledger.doubtful():
            if await self._queue.get(task_id) is None and await self._queue.get(web_result_id(task_id)) is None:
                self._ledger.release(task_id)
            else:
                self._ledger.confirm(task_id)

    async def sweep(self) -> int:
        """Delete the results that have been kept for `keep` seconds; return how many. Raises QueueError."""
        removed = 0
        await self._resolve_doubts()
        for _ in range(SWEEP_BATCHES):
            batch = (await self._queue.lease(SWEEP_COUNT, self._keep, tag=WEB_RESULT_TAG)).tasks
            for result in batch:
                # Use the queue's clock only: the lease began when the queue granted it.
                leased_us = result.lease_us - self._keep * 1_000_000
                task_id = result.id.removesuffix("-result")
                if leased_us - result.enqueued_us >= self._keep * 1_000_000:
                    await self._queue.delete(result.id)
                    self._ledger.release(task_id)
                    removed += 1
                else:
                    self._ledger.correct(task_id, _size(result.payload, _decoded(task_id, result.payload)))
            if len(batch) < SWEEP_COUNT:
                break
        return removed + await self._delete_overdue()

    async def _delete_overdue(self) -> int:
        """Delete the tasks that no worker has ended, and the results that nobody has deleted; return their number."""
        overdue = self._ledger.overdue()
        for task_id in overdue:
            await self._queue.delete(task_id)
            await self._queue.delete(web_result_id(task_id))
            self._ledger.release(task_id)
        return len(overdue)


def _is_ours(found: FoundTask) -> bool:
    """Return whether a task on the queue was submitted over the web, by this version or by 0.1.0.

    Version 0.1.0 gave such tasks the tag of producers, so that only the tag of their results identifies them.
    """
    return found.tag == WEB_TASK_TAG or messages.reply_tag_of(found.task) == WEB_RESULT_TAG


def _printable(name: str) -> str:
    """Return the name in a form that is safe in a header: any producer can put a result on the queue."""
    return "".join(character if character.isprintable() else " " for character in name[:NAME_CHARACTERS])


def _decoded(task_id: str, payload: str) -> Result:
    try:
        result = messages.decode_result(payload)
        if isinstance(result, DocumentResult) and result.document is not None:
            base64.b64decode(result.document, validate=True)
        return result
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return messages.failure(task_id, "not_a_result", f"the queue holds an invalid result for this task: {error}")


def _size(payload: str, result: Result) -> int:
    """Return the bytes that a result takes, with those of its document if that is stored elsewhere."""
    return len(payload) + (WEB_DOCUMENT_BYTES if isinstance(result, LinkResult) else 0)


def _ended(task_id: str, result: Result) -> TaskView:
    if isinstance(result, LinkResult) or result.success:
        pages = None if isinstance(result.pages, msgspec.UnsetType) else result.pages
        return TaskView(task_id, "done", result.filename, pages)
    error = Failure("unknown", "no reason was given") if result.error is msgspec.UNSET else result.error
    return TaskView(task_id, "failed", error=error)
