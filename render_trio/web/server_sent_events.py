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

from render_trio.web.problems import problem
from render_trio.web.responses import NOT_KEPT, empty_response

STREAM_SECONDS = 600.0
STREAM_BYTES = 192 * 1024  # well below what the kernel buffers for a client that doesn't read
PING_SECONDS = 15.0  # proxies drop connections that are silent for longer
RETRY_MILLISECONDS = 2000  # after which a browser opens the next stream
RETRY_AFTER_SECONDS = 5

Source = Callable[[], Awaitable[bytes | None]]


def event(name: str, text: str) -> bytes:
    """Return an event. Line breaks of any kind in `text` become separate `data` lines and can't end the event."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join((f"event: {name}\n", *(f"data: {line}\n" for line in lines), "\n")).encode()


class Listeners:
    """The clients that receive events: no more than `limit` at a time, until `draining` is set."""

    def __init__(self, limit: int, draining: trio.Event) -> None:
        self.limit = limit
        self.draining = draining
        self.count = 0

    async def pause(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the service drains."""
        with trio.move_on_after(seconds):
            await self.draining.wait()

    def respond(self, source: Source, *, head: bool = False) -> Response:
        """Return a stream of what the source returns, until it returns None; or 503 if there are too many streams.

        The source may wait, but must return something (b"" is enough) within PING_SECONDS. With `head` no stream is
        opened and none is counted.
        """
        if self.draining.is_set() or self.count >= self.limit:
            reason = "the service is shutting down" if self.draining.is_set() else f"{self.count} streams are open"
            return problem(503, "too_many_listeners", reason, retry_after=RETRY_AFTER_SECONDS)
        headers = {"Content-Type": "text/event-stream", "Cache-Control": NOT_KEPT, "X-Accel-Buffering": "no"}
        if head:
            return empty_response(headers, headers["Content-Type"])
        response = Response(_Stream(self, source), 200, headers)
        response.timeout = None
        return response


class _Stream(ResponseBody):
    """One client's stream. Quart leaves the block however the stream ends, so the count stays correct."""

    def __init__(self, listeners: Listeners, source: Source) -> None:
        self._listeners = listeners
        self._source = source
        self._sent = 0
        self._until = trio.current_time() + STREAM_SECONDS

    async def __aenter__(self) -> _Stream:
        self._listeners.count += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listeners.count -= 1

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        if self._sent == 0:
            first = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            self._sent = len(first)
            return first
        # Simultaneous requests all pass the check in `respond` before any of them is counted; the excess ends here.
        full = self._listeners.count > self._listeners.limit
        if full or self._sent >= STREAM_BYTES or trio.current_time() >= self._until:
            raise StopAsyncIteration
        data = await self._source()
        if data is None:
            raise StopAsyncIteration
        self._sent += len(data)
        return data or b": still here\n\n"
