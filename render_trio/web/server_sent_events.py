"""Server-sent events: bounded in number, in time and in bytes, ended when the service drains.

A stream ends by itself after a while, and the browser opens the next; so a client that stopped reading fills a
socket's buffer at most, and never holds up the end of the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from render_trio.web.problems import problem
from render_trio.web.responses import NOT_KEPT, bodiless

STREAM_SECONDS = 600.0
STREAM_BYTES = 192 * 1024  # what the kernel takes from us for a client that doesn't read, with room to spare
PING_SECONDS = 15.0  # proxies drop what is silent for longer
RETRY_MILLISECONDS = 2000  # after which a browser opens the next stream
RETRY_AFTER_SECONDS = 5

Source = Callable[[], Awaitable[bytes | None]]


def event(name: str, text: str) -> bytes:
    """Return an event; a line break of any kind stays one inside its data."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join((f"event: {name}\n", *(f"data: {line}\n" for line in lines), "\n")).encode()


class Listeners:
    """Everybody who listens: at most `most`, until `ending` is set."""

    def __init__(self, most: int, ending: trio.Event) -> None:
        self.most = most
        self.ending = ending
        self.count = 0

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the service drains."""
        with trio.move_on_after(seconds):
            await self.ending.wait()

    def answer(self, source: Source, *, head: bool = False) -> Response:
        """Return a stream of what the source gives, until it gives None; or 503 when too many listen.

        The source waits as long as it likes, but says something (b"" will do) within PING_SECONDS. With `head`
        there is no stream: who asks for no body would listen for nothing.
        """
        if self.ending.is_set() or self.count >= self.most:
            reason = "the service is about to end" if self.ending.is_set() else f"{self.count} listen already"
            return problem(503, "too_many_listeners", reason, retry_after=RETRY_AFTER_SECONDS)
        headers = {"Content-Type": "text/event-stream", "Cache-Control": NOT_KEPT, "X-Accel-Buffering": "no"}
        if head:
            return bodiless(headers, headers["Content-Type"])
        response = Response(_Stream(self, source), 200, headers)
        response.timeout = None
        return response


class _Stream(ResponseBody):
    """One listener's stream. Quart leaves the block however the stream ends, so the count is right."""

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
        # Those who came at the same moment were counted one by one: the last of them find it full.
        full = self._listeners.count > self._listeners.most
        if full or self._sent >= STREAM_BYTES or trio.current_time() >= self._until:
            raise StopAsyncIteration
        text = await self._source()
        if text is None:
            raise StopAsyncIteration
        self._sent += len(text)
        return text or b": still here\n\n"
