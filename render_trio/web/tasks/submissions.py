"""Tasks that come over the web: put on the queue like any other, looked after without leasing, cleared away in time.

Their ids begin with `web-`, and only such tasks can be looked at: what other producers put on the same queue
stays between them and the queue. Their results carry a tag of their own, so that no producer leases them by
mistake. Nobody takes such a result off the queue, so `sweep` does: its first lease of a result lasts as long as the
result is kept, and when it comes back it is deleted. So the queue itself keeps the time, for all services on it.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import msgspec
import structlog
import trio

from render_trio.errors import QueueError, QueueUnavailableError
from render_trio.queue import messages
from render_trio.queue.interface import FoundTask, LeasedBatch
from render_trio.queue.messages import DocumentResult, Failure, LeasedTask, LinkResult, Result

RESULT_TAG = "web-result"
TASK_ID = re.compile(r"web-[0-9a-f]{32}")
PATIENCE_SECONDS = 10.0  # that somebody on the web waits for the queue
ASKED_AT_ONCE = 4  # half of a queue client's connections: a pool smaller than its tasks is poisoned by cancellation
MAX_WAITING = 60  # for their turn; more are told to come again
NAME_CHARACTERS = 400
SWEEP_SECONDS = 10.0
SWEEP_COUNT, SWEEP_BATCHES = 20, 50  # results leased at once, and in one sweep
log = structlog.get_logger(__name__)
T = TypeVar("T")


class WebTaskQueue(Protocol):
    """The queue's verbs that are needed here."""

    async def insert(self, task_id: str, payload: str, tag: str) -> None:
        """Insert a task."""

    async def get(self, task_id: str) -> FoundTask | None:
        """Return a task without leasing it."""
        ...

    async def lease(self, count: int, seconds: int, *, tag: str = ..., wait: int = ...) -> LeasedBatch:
        """Lease tasks."""
        ...

    async def delete(self, task_id: str) -> None:
        """Delete a task."""


class StoredDocuments(Protocol):
    """Where linked documents lie, when they lie with us."""

    def read(self, sha256: str) -> bytes | None:
        """Return the document of this digest, None when it isn't there."""
        ...


class TaskView(msgspec.Struct, frozen=True):
    """How a task stands: waiting, leased by a renderer, or ended well or not; the rest is there when it has ended."""

    id: str
    state: Literal["queued", "rendering", "done", "failed"]
    filename: str | None = None
    pages: int | None = None
    error: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, slots=True)
class Document:
    """A document that can be handed out."""

    filename: str
    pdf: bytes


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A document that lies at another address, http or https."""

    url: str


class WebTasks:
    """Takes tasks, and tells what became of them. `keep`: s for which a result is kept."""

    def __init__(self, queue: WebTaskQueue, keep: int, stored: StoredDocuments | None) -> None:
        self._queue = queue
        self._keep = keep
        self._stored = stored
        self._turn = trio.CapacityLimiter(ASKED_AT_ONCE)

    async def submit(self, body: bytes) -> str:
        """Put the task of a JSON text on the queue, and return its id. Raises InvalidTaskError, QueueError."""
        task_id = f"web-{uuid.uuid4().hex}"
        payload = messages.with_reply_tag(body, RESULT_TAG)
        messages.decode(LeasedTask(task_id, payload, 0, 0, 0))
        await self._ask(lambda: self._queue.insert(task_id, payload, messages.TASK_TAG))
        return task_id

    async def look(self, task_id: str) -> TaskView | None:
        """Return how a task stands, None when nothing is known of it. Raises QueueError."""
        found = await self._find(task_id)
        return found if found is None or isinstance(found, TaskView) else _ended(task_id, found)

    async def document(self, task_id: str) -> Document | Elsewhere | None:
        """Return the document of a task, None when there is none, or none yet. Raises QueueError."""
        result = await self._find(task_id)
        if isinstance(result, DocumentResult) and result.success and result.document is not None:
            pdf = base64.b64decode(result.document)
            return Document(_printable(result.filename or "document.pdf"), pdf)
        if isinstance(result, LinkResult):
            # The link only says which document it is: what is read is named by its digest, in our own folder.
            stored = None if self._stored is None else await trio.to_thread.run_sync(self._stored.read, result.sha256)
            if stored is not None:
                return Document(_printable(result.filename), stored)
            if re.fullmatch(r"https?://[!-~]+", result.url):
                return Elsewhere(result.url)
        return None

    async def _find(self, task_id: str) -> TaskView | Result | None:
        """Return the task while it is on the queue, else its result.

        Asked in this order since a worker inserts the result before it deletes the task.
        """
        if not TASK_ID.fullmatch(task_id):
            return None
        found = await self._ask(lambda: self._queue.get(task_id))
        if found is not None:
            held = found.task.retry_count > 0 and found.task.lease_us > time.time() * 1e6
            return TaskView(task_id, "rendering" if held else "queued")
        kept = await self._ask(lambda: self._queue.get(messages.result_id(task_id)))
        return None if kept is None else _decoded(task_id, kept.task.payload)

    async def _ask(self, verb: Callable[[], Awaitable[T]]) -> T:
        if self._turn.statistics().tasks_waiting >= MAX_WAITING:
            raise QueueUnavailableError("too many ask at once")
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                async with self._turn:
                    return await verb()
        except trio.TooSlowError:
            raise QueueUnavailableError(f"the queue did not answer within {PATIENCE_SECONDS:.0f} s") from None

    async def sweep_for_ever(self) -> None:
        """Clear away old results, time and again."""
        while True:
            try:
                removed = await self.sweep()
                if removed:
                    log.info("old results of web tasks cleared away", results=removed)
            except QueueError as error:
                log.warning("old results not cleared away yet", error=str(error))
            await trio.sleep(min(SWEEP_SECONDS, self._keep))

    async def sweep(self) -> int:
        """Delete the results that were kept long enough; returns how many. Raises QueueError."""
        removed = 0
        for _ in range(SWEEP_BATCHES):
            batch = (await self._queue.lease(SWEEP_COUNT, self._keep, tag=RESULT_TAG)).tasks
            for result in batch:
                # By the queue's clock alone: the lease began when it was granted.
                leased_us = result.lease_us - self._keep * 1_000_000
                if leased_us - result.enqueued_us >= self._keep * 1_000_000:
                    await self._queue.delete(result.id)
                    removed += 1
            if len(batch) < SWEEP_COUNT:
                break
        return removed


def _printable(name: str) -> str:
    """Return a name that a header can carry, whoever put the result on the queue."""
    return "".join(character if character.isprintable() else " " for character in name[:NAME_CHARACTERS])


def _decoded(task_id: str, payload: str) -> Result:
    try:
        result = messages.decode_result(payload)
        if isinstance(result, DocumentResult) and result.document is not None:
            base64.b64decode(result.document, validate=True)
        return result
    except (msgspec.DecodeError, ValueError) as error:
        return messages.failure(task_id, "not_a_result", f"what stands where the result should isn't one: {error}")


def _ended(task_id: str, result: Result) -> TaskView:
    if isinstance(result, LinkResult) or result.success:
        pages = None if isinstance(result.pages, msgspec.UnsetType) else result.pages
        return TaskView(task_id, "done", result.filename, pages)
    error = messages.Failure("unknown", "no reason was given") if result.error is msgspec.UNSET else result.error
    return TaskView(task_id, "failed", error=error)
