"""Results in a queue → results with their documents, one at a time: lease → read → fetch → hand over → acknowledge.

A result stays in the queue until it is acknowledged. Whatever happens before (an exception in the caller's loop, a
kill, a lost reply) costs no document: the lease ends, and the result is handed over again. One result that is broken,
or whose document can't be fetched at the moment, doesn't stop the others.

The coroutines here run on an event loop, or over a blocking transport without one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from render_trio.errors import BrokenResultError, LeaseLostError, QueueError, UnavailableError
from render_trio.queue.interface import LeasedBatch
from render_trio.queue.messages import Failure, LeasedTask, LinkResult
from render_trio.queue.messages import Result as WireResult
from render_trio.queue.reading import read
from render_trio.queue.saving import clean_name, save
from resources.request import RequestWarning

RESULT_COUNT = 20  # results leased at a time
# A result is handed over with at least half of this left, so half must suffice to fetch a linked document.
LEASE_SECONDS = 120
HOLD_SECONDS = 20  # of one long poll: below the idle timeout of usual load balancers
POLL_INTERVAL = 1.0  # s; for a queue that doesn't hold requests
RELEASE_SECONDS = 60  # until a result whose document can't be fetched is tried again
REJECTED = "rejected"  # the folder of results that were set aside
NO_MESSAGE = Failure("unknown", "the result has no error message")


class ResultQueue(Protocol):
    """The operations that fetching results needs; `TaskQueue` has them."""

    async def lease(
        self, count: int, seconds: int, *, tag: str = ..., wait: int = ..., repeat: bool = ...
    ) -> LeasedBatch:
        """Lease results. Raises QueueError."""
        ...

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        """Renew a lease. Raises LeaseLostError, QueueError."""
        ...

    async def release(self, task: LeasedTask, seconds: int = ...) -> None:
        """Make a result available again after `seconds`. Raises QueueError."""
        ...

    async def delete(self, task_id: str) -> None:
        """Delete a result. Raises QueueError."""
        ...


class LinkFetcher(Protocol):
    """Fetches the document behind a link."""

    async def fetch(self, result: LinkResult) -> bytes:
        """Return the document. Raises UnavailableError, BrokenResultError."""
        ...


class Clock(Protocol):
    """Time in s, and pauses."""

    def now(self) -> float:
        """Return the time; only differences have a meaning."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A result whose document can't be fetched at the moment. It was released, and will be handed over later."""

    task_id: str
    url: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A result, leased until it is acknowledged.

    task_id: of the task that it answers; "" if the result is broken and doesn't name one.
    enqueue_timestamp: of the task, µs since the epoch: which submission of the ID this answers; None if the
        service is older than this field.
    success: whether there is a document.
    filename: a proposed name for the file, safe on every file system; None without a document.
    document: the PDF, also if it was behind a link; None without one.
    url: the link that the document was fetched from, or None.
    pages: of all copies, or None if the service didn't name them.
    sha256: of the document, in hexadecimal.
    fingerprint: the version of the resource that drew the document.
    warnings: what was changed to draw it, each with `code`, `field` and `message`.
    request: the task as the service understood it, with the seed that was used: `submit_values` repeats it.
    error: the reason why there is no document, with `code` and `message`; `broken_result` if the result can't be read.
    payload: the result as it is in the queue.
    """

    task_id: str
    success: bool
    enqueue_timestamp: int | None = None
    filename: str | None = None
    document: bytes | None = field(default=None, repr=False)
    url: str | None = None
    pages: int | None = None
    sha256: str | None = None
    fingerprint: str | None = None
    warnings: tuple[RequestWarning, ...] = ()
    request: dict[str, Any] | None = None
    error: Failure | None = None
    payload: str = field(default="", repr=False)
    leased: LeasedTask = field(repr=False)

    @property
    def broken(self) -> bool:
        """Whether the result can't be read: keep it with `set_aside` before you acknowledge it."""
        return self.error is not None and self.error.code == BrokenResultError.code and not self.success

    def save(self, folder: Path | str) -> Path:
        """Write the document to a file in the folder, and return its path.

        The file is complete or absent. It is called `filename`; if that file exists with other content, part of the
        digest is added. Saving the same document again finds its file. Raises OSError, and ValueError if there is no
        document.
        """
        if self.document is None or self.filename is None:
            raise ValueError(f"the result of task {self.task_id!r} has no document to save")
        return save(Path(folder), self.filename, self.document)

    def set_aside(self, folder: Path | str) -> Path:
        """Write the result as it is in the queue, with the reason, to a file in `folder`/rejected; return its path.

        Raises OSError.
        """
        content = {"id": self.leased.id, "reason": self.error.message if self.error else "", "payload": self.payload}
        text = json.dumps(content, indent=2) + "\n"
        return save(Path(folder) / REJECTED, self.leased.id, text.encode(), suffix=".json", fallback="result")


class ResultStream:
    """The results with a tag, leased in batches."""

    def __init__(
        self,
        queue: ResultQueue,
        links: LinkFetcher,
        clock: Clock,
        on_unavailable: Callable[[Unavailable], None],
        *,
        tag: str,
        wait: float | None,
        lease_seconds: int,
        count: int = RESULT_COUNT,
        open_streams: set[ResultStream] | None = None,
    ) -> None:
        """`wait`: s without a result after which `next` returns None; None: never.

        `open_streams`: has this stream while it holds leases, so that they can be released if its user drops it.
        """
        self.wait = wait
        self._queue = queue
        self._links = links
        self._clock = clock
        self._on_unavailable = on_unavailable
        self._tag = tag
        self._lease_seconds = lease_seconds
        self._count = count
        self._open_streams = set() if open_streams is None else open_streams
        self._leased: deque[tuple[LeasedTask, float]] = deque()  # each with the time when its lease ends

    async def next(self) -> Received | None:
        """Return the next result, or None if none arrived within the wait. Raises QueueError."""
        while True:
            while self._leased:
                received = await self._received(*self._leased[0])
                self._leased.popleft()  # not before: if this is cancelled meanwhile, `release_rest` releases it
                if not self._leased:
                    self._open_streams.discard(self)
                if received is not None:
                    return received
            if not await self._lease():
                return None

    async def release_rest(self) -> None:
        """Make the results available again that were leased but not handed over, as far as the queue answers."""
        try:
            while self._leased:
                await self._queue.release(self._leased.popleft()[0])
        except QueueError:
            self._leased.clear()  # their leases end soon
        self._open_streams.discard(self)

    @property
    def expired(self) -> bool:
        """Whether all leases have ended."""
        return all(ends < self._clock.now() for _, ends in self._leased)

    async def _lease(self) -> bool:
        """Lease results, and return whether there are any. Raises QueueError."""
        deadline = math.inf if self.wait is None else self._clock.now() + self.wait
        while True:
            begun = self._clock.now()
            hold = int(max(0, min(HOLD_SECONDS, deadline - begun)))
            batch = await self._queue.lease(self._count, self._lease_seconds, tag=self._tag, wait=hold, repeat=True)
            # Counted from the request, so that the lease is not believed to last longer than it does. Of a request that
            # was held, only the end counts: a quarter of the lease is more than a response needs.
            begun = max(begun, self._clock.now() - self._lease_seconds / 4) if batch.waited else begun
            self._leased.extend((task, begun + self._lease_seconds) for task in batch.tasks)
            if batch.tasks:
                self._open_streams -= {stream for stream in self._open_streams if stream.expired}
                self._open_streams.add(self)
                return True
            left = deadline - self._clock.now()
            if left <= 0:
                return False
            if not batch.waited:
                await self._clock.sleep(min(POLL_INTERVAL, left))

    async def _received(self, leased: LeasedTask, ends: float) -> Received | None:
        """Return a result, or None if its lease was lost or its document can't be fetched. Raises QueueError."""
        try:
            leased, ends = await self._extended(leased, ends)
            try:
                result, document = read(leased.payload)
                if isinstance(result, LinkResult):
                    document = await self._links.fetch(result)
                    leased, ends = await self._extended(leased, ends)
            except BrokenResultError as error:
                failure = Failure(error.code, str(error))
                return Received(
                    task_id=error.task_id, success=False, error=failure, payload=leased.payload, leased=leased
                )
            except UnavailableError as error:
                await self._queue.release(leased, RELEASE_SECONDS)
                self._on_unavailable(Unavailable(result.task_id, getattr(result, "url", ""), str(error)))
                return None
        except LeaseLostError:  # another client has it, or it is handed over again
            return None
        return _complete(result, document, leased)

    async def _extended(self, leased: LeasedTask, ends: float) -> tuple[LeasedTask, float]:
        """Return the result with a lease of which at least half is left. Raises LeaseLostError, QueueError."""
        now = self._clock.now()
        if ends - now >= self._lease_seconds / 2:
            return leased, ends
        return await self._queue.renew(leased, self._lease_seconds), now + self._lease_seconds


def _complete(result: WireResult, document: bytes | None, leased: LeasedTask) -> Received:
    return Received(
        task_id=result.task_id,
        success=result.success,
        enqueue_timestamp=_time(result),
        filename=None if document is None else clean_name(result.filename or result.task_id, ".pdf"),
        document=document,
        url=result.url if isinstance(result, LinkResult) else None,
        pages=_optional(result, "pages"),
        sha256=None if document is None else hashlib.sha256(document).hexdigest(),
        fingerprint=_optional(result, "fingerprint"),
        warnings=_optional(result, "warnings") or (),
        request=_optional(result, "request"),
        error=None if result.success else _optional(result, "error") or NO_MESSAGE,
        payload=leased.payload,
        leased=leased,
    )


def _time(result: WireResult) -> int | None:
    text = _optional(result, "enqueue_timestamp")
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else None


def _optional(result: WireResult, key: str) -> Any:
    """Return a value that results of older services don't have, or None."""
    value = getattr(result, key)
    return None if value is msgspec.UNSET else value
