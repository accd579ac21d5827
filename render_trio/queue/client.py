"""The clients for producers: submit tasks, fetch results, acknowledge each one; blocking, or on an event loop.

Both are thin. What they do is written once, in `producer` and `results`, as coroutines. `AsyncClient` awaits them;
`Client` runs them over a blocking transport, where they never suspend. What needs httpx is imported when a client is
created, because `render_trio.render` needs no HTTP client.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, cast

from render_trio.queue.messages import RESULT_TAG
from render_trio.queue.producer import TaskSink, checked_values, submit
from render_trio.queue.results import (
    LEASE_SECONDS,
    RESULT_COUNT,
    Clock,
    LinkFetcher,
    Received,
    ResultQueue,
    ResultStream,
    Unavailable,
)

DEFAULT_URL = "http://127.0.0.1:5052"
CLOSE_SECONDS = 5.0  # to release results when a client is closed
logger = logging.getLogger("render_trio")

T = TypeVar("T")


class _Queue(ResultQueue, TaskSink, Protocol):
    async def aclose(self) -> None: ...


class _Links(LinkFetcher, Protocol):
    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Received):
    """A result from a `Client`. It stays in the queue until `acknowledge` is called.

    task_id: of the task that it answers; "" if the result is broken and doesn't name one.
    enqueue_timestamp: of the task, µs since the epoch: which submission of the ID this answers; None if the
        service is older than this field.
    success: whether there is a document.
    filename: a proposed name for the file, safe on every file system; None without a document.
    document: the PDF, also if it was behind a link; None without one.
    url: the link that the document was fetched from, or None.
    pages: of all copies, or None if the service didn't name them.
    sha256: of the document, in hexadecimal; None without one.
    fingerprint: the version of the resource that drew the document; None if the service is older than this field.
    warnings: what was changed to draw it, each with `code`, `field` and `message`.
    request: the task as it was understood, with the seed that was used; `submit_values` repeats it.
    error: why there is no document, with `code` and `message`; the code is `broken_result` if it can't be read.
    payload: the result as it is in the queue.

    `save(folder)` writes the document to a complete file, and returns its path. `set_aside(folder)` writes a result
    that is `broken`, with the reason, to `folder`/rejected.
    """

    queue: ResultQueue = field(repr=False)

    def acknowledge(self) -> None:
        """Delete the result from the queue. Does nothing if it is not there any more. Raises QueueError."""
        _run(self.queue.delete(self.leased.id))

    def release(self, seconds: int = 0) -> None:
        """Return the result to the queue, to be fetched again after `seconds`. Raises QueueError."""
        _run(self.queue.release(self.leased, seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncResult(Received):
    """A result from an `AsyncClient`: a `Result` whose methods `acknowledge` and `release` are awaited."""

    queue: ResultQueue = field(repr=False)

    async def acknowledge(self) -> None:
        """Delete the result from the queue. Does nothing if it is not there any more. Raises QueueError."""
        await self.queue.delete(self.leased.id)

    async def release(self, seconds: int = 0) -> None:
        """Return the result to the queue, to be fetched again after `seconds`. Raises QueueError."""
        await self.queue.release(self.leased, seconds)


class Results(Iterator[Result]):
    """The results of a queue; each is leased when it is returned."""

    def __init__(self, stream: ResultStream, queue: ResultQueue) -> None:
        self._stream = stream
        self._queue = queue

    def __next__(self) -> Result:
        received = _run(self._stream.next())
        if received is None:
            raise StopIteration
        return Result(**_values(received), queue=self._queue)


class AsyncResults(AsyncIterator[AsyncResult]):
    """The same on an event loop."""

    def __init__(self, stream: ResultStream, queue: ResultQueue) -> None:
        self._stream = stream
        self._queue = queue

    async def __anext__(self) -> AsyncResult:
        received = await self._stream.next()
        if received is None:
            raise StopAsyncIteration
        return AsyncResult(**_values(received), queue=self._queue)


class _Producer:
    """What both clients share: their connections, and the streams of results that they opened."""

    _blocking: bool

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        project: str = "render",
        queue: str = "render",
        token: str = "",
        token_file: Path | str | None = None,
        ca_file: Path | str | None = None,
        timeout: float = 10.0,
        discovery_url: str = "",
        document_folder: Path | str | None = None,
    ) -> None:
        from render_trio.credentials.tokens import authorization
        from render_trio.queue.links import Links
        from render_trio.queue.task_queue.client import TaskQueue
        from render_trio.queue.task_queue.transport import BlockingTransport, LoopTransport

        new_transport = BlockingTransport if self._blocking else LoopTransport
        file = None if token_file is None else Path(token_file)
        authorization(token, file).header()  # a file that can't be used is an error now, not at the first request
        authorities = None if ca_file is None else Path(ca_file)
        transport = new_transport(authorities)
        folder = None if document_folder is None else Path(document_folder)
        self._clock: Clock = transport
        self._queue: _Queue = TaskQueue(
            url.rstrip("/"),
            project,
            queue,
            timeout=timeout,
            discovery_url=discovery_url,
            token=token,
            token_file=file,
            transport=transport,
        )
        self._links: _Links = Links(new_transport(authorities), folder)
        self._open_streams: set[ResultStream] = set()

    def _stream(
        self,
        wait: float | None,
        tag: str,
        lease_seconds: int,
        batch: int,
        on_unavailable: Callable[[Unavailable], None] | None,
    ) -> ResultStream:
        return ResultStream(
            self._queue,
            self._links,
            self._clock,
            on_unavailable or _log_unavailable,
            tag=tag,
            wait=wait,
            lease_seconds=lease_seconds,
            count=batch,
            open_streams=self._open_streams,
        )

    async def _close(self) -> None:
        for stream in list(self._open_streams):
            await stream.release_rest()
        await self._queue.aclose()
        await self._links.aclose()


class Client(_Producer):
    """Submits tasks to a queue and fetches their results, without an event loop.

    url: of the queue service; the default is that of `render-trio up`.
    project, queue: the names that are part of the queue's address.
    token: sent as `Authorization: Bearer`, if the queue requires one.
    token_file: of a file with the token, in place of `token`; it is read again when it changes.
    ca_file: of a PEM file with the certificates of authorities to trust in addition, for a queue behind a private one.
    timeout: s for a response of the queue.
    discovery_url: of a discovery document that names the queue service; it takes precedence over `url`.
    document_folder: the folder of the service's DOCUMENT_STORE, to read documents behind file links.

    Raises RenderTrioError if the file of the token or the certificates can't be used.

    A failed request is repeated with growing, jittered pauses for up to 30 s; then QueueUnavailableError is raised, a
    QueueError and RenderTrioError. The client can be used from several threads. Close it with `close`, or use it in
    a `with` statement.

    >>> from render_trio import Client
    >>> with Client("http://127.0.0.1:5052") as client:
    ...     task_id = client.submit("binary-cards", header_text="Room Four")
    ...     for result in client.results(wait=20):
    ...         if result.success:
    ...             result.save("out")
    ...         result.acknowledge()
    """

    _blocking = True

    def submit(
        self, view: str, /, *, task_id: str | None = None, reply_tag: str | None = None, **options: object
    ) -> str:
        """Submit a task for a document, and return its ID. The arguments are those of `render`.

        `task_id` chooses the ID (letters, digits, - and _), which must not have been used before; without it, a new
        one is made. The result has the tag `reply_tag`, by default `result`.

        Raises RequestError if the view, an option or its value is not allowed, before anything is sent;
        TaskExistsError if the ID is taken by another task; and QueueError.
        """
        return _run(submit(self._queue, checked_values(view, reply_tag, options), task_id))

    def submit_values(self, values: Mapping[str, Any], *, task_id: str | None = None) -> str:
        """Submit a task with the given keys, unchecked, and return its ID. `kind` is added if it is missing.

        Raises TaskExistsError, QueueError.
        """
        return _run(submit(self._queue, values, task_id))

    def results(
        self,
        *,
        wait: float | None = 0,
        tag: str = RESULT_TAG,
        lease_seconds: int = LEASE_SECONDS,
        batch: int = RESULT_COUNT,
        on_unavailable: Callable[[Unavailable], None] | None = None,
    ) -> Results:
        """Return an iterator over the results with a tag. It ends when none arrives for `wait` seconds; None: never.

        Each result is leased: no other client gets it for at least half of `lease_seconds`. Acknowledge it within this
        time, after you have kept what you need of it. A result that is not acknowledged, for example because the loop
        raised an exception, is fetched again when its lease ends. `batch` results are leased at a time.

        A result whose linked document can't be fetched at the moment is left in the queue for a minute, and
        `on_unavailable` is called; by default it is logged. The iterator raises QueueError.
        """
        return Results(self._stream(wait, tag, lease_seconds, batch, on_unavailable), self._queue)

    def close(self) -> None:
        """Release results that were leased but not returned yet, and close the connections."""
        _run(self._close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncClient(_Producer):
    """A `Client` for an event loop, trio or asyncio: `submit`, `submit_values` and `acknowledge` are awaited.

    It has the same arguments. Iterate over the results with `async for`, and close the client with `aclose` or an
    `async with` statement. `save` writes to the disk, and blocks as long as that takes.
    """

    _blocking = False

    async def submit(
        self, view: str, /, *, task_id: str | None = None, reply_tag: str | None = None, **options: object
    ) -> str:
        """Submit a task for a document, and return its ID, as `Client.submit` does."""
        return await submit(self._queue, checked_values(view, reply_tag, options), task_id)

    async def submit_values(self, values: Mapping[str, Any], *, task_id: str | None = None) -> str:
        """Submit a task with the given keys, unchecked, and return its ID, as `Client.submit_values` does."""
        return await submit(self._queue, values, task_id)

    def results(
        self,
        *,
        wait: float | None = 0,
        tag: str = RESULT_TAG,
        lease_seconds: int = LEASE_SECONDS,
        batch: int = RESULT_COUNT,
        on_unavailable: Callable[[Unavailable], None] | None = None,
    ) -> AsyncResults:
        """Return an asynchronous iterator over the results with a tag, as `Client.results` does."""
        return AsyncResults(self._stream(wait, tag, lease_seconds, batch, on_unavailable), self._queue)

    async def aclose(self) -> None:
        """Release results that were leased but not returned yet, and close the connections, even if cancelled."""
        import anyio

        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine whose I/O blocks instead of suspending it."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return cast(T, finished.value)
    coroutine.close()
    raise RuntimeError("a coroutine of a blocking client was suspended")


def _values(received: Received) -> dict[str, Any]:
    return {one.name: getattr(received, one.name) for one in fields(received)}


def _log_unavailable(found: Unavailable) -> None:
    logger.warning("document unavailable, its result is left for later: task %s: %s", found.task_id, found.reason)
