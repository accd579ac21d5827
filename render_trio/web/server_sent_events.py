"""Server-sent events: a limited number of streams, each limited in time and bytes, all ended when the service drains.

A stream ends by itself after a while and the browser opens the next one. A client that has stopped reading therefore
fills no more than a socket buffer and never delays the shutdown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from render_trio.web.access.quotas import Quota, QuotaError
from render_trio.web.problems import problem
from render_trio.web.responses import NOT_KEPT, empty_response

STREAM_SECONDS = 600.0
STREAM_BYTES = 192 * 1024  # well below what the kernel buffers for a client that doesn't read
PING_SECONDS = 15.0  # proxies drop connections that are silent for longer
RETRY_MILLISECONDS = 2000  # after which a browser opens the next stream
RETRY_AFTER_SECONDS = 5
CLIENTS = 4  # that it takes to open all streams; with the default of 100, a client may have 25

Source = Callable[[], Awaitable[bytes | None]]


def event(name: str, text: str) -> bytes:
    """Return an event. Line breaks of any kind in `text` become separate `data` lines and can't end the event."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join((f"event: {name}\n", *(f"data: {line}\n" for line in lines), "\n")).encode()


class Listeners:
    """The clients that receive events: no more than `limit` streams at a time, until `draining` is set.

    A client may have a part of them (CLIENTS).
    """

    def __init__(self, limit: int, draining: trio.Event) -> None:
        self.draining = draining
        self.quota = Quota("event streams", limit, max(1, limit // CLIENTS), RETRY_AFTER_SECONDS)

    @property
    def count(self) -> int:
        """The number of open streams."""
        return self.quota.used

    async def pause(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the service drains."""
        with trio.move_on_after(seconds):
            await self.draining.wait()

    def respond(self, source: Source, client: str, *, head: bool = False) -> Response:
        """Return a stream of what the source returns, until it returns None; or 429 or 503 if there are too many.

        The source may wait, but must return something (b"" is enough) within PING_SECONDS. `client` is the name of the
        client. With `head` no stream is opened and none is counted.
        """
        if self.draining.is_set():
            reason = "the service is shutting down"
            return problem(503, "too_many_listeners", reason, retry_after=RETRY_AFTER_SECONDS)
        try:
            self.quota.check(client)
        except QuotaError as error:
            status, code = (429, error.code) if error.own else (503, "too_many_listeners")
            return problem(status, code, str(error), retry_after=error.retry_after)
        headers = {"Content-Type": "text/event-stream", "Cache-Control": NOT_KEPT, "X-Accel-Buffering": "no"}
        if head:
            return empty_response(headers, headers["Content-Type"])
        response = Response(_Stream(self.quota, source, client), 200, headers)
        response.timeout = None
        return response


class _Stream(ResponseBody):
    """One client's stream. Quart leaves the block however the stream ends, so the count stays correct."""

    def __init__(self, quota: Quota, source: Source, client: str) -> None:
        self._quota = quota
        self._source = source
        self._client = client
        self._sent = 0
        self._until = trio.current_time() + STREAM_SECONDS

    async def __aenter__(self) -> _Stream:
        self._quota.adjust(self._client, 1)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._quota.adjust(self._client, -1)

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        if self._sent == 0:
            first = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            self._sent = len(first)
            return first
        # Simultaneous requests all pass the check in `respond` before any of them is counted; the excess ends here.
        full = self._quota.used > self._quota.total or self._quota.used_by(self._client) > self._quota.per_client
        if full or self._sent >= STREAM_BYTES or trio.current_time() >= self._until:
            raise StopAsyncIteration
        data = await self._source()
        if data is None:
            raise StopAsyncIteration
        self._sent += len(data)
        return data or b": still here\n\n"
