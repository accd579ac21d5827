"""Documents made in threads of this process: nothing to start, but a thread that hangs can only be abandoned.

An abandoned thread exits at its next page. One that never reaches it costs memory, and the interpreter's lock, for
good. When the limit on abandoned threads is reached, and stays reached, the service gives up.
"""

from __future__ import annotations

import trio

from render_trio.errors import FatalError, RenderCrashedError, RenderFailedError, RenderTimedOutError, loggable
from render_trio.observation.observer import Observer
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.pipeline import Produce, produce
from resources.request import Request

PARTING_SECONDS = 5.0  # time for an abandoned thread to reach its next page, before it counts as hung for good
POLL_INTERVAL = 0.05  # s; Trio has no notification for the exit of an abandoned thread


class ThreadOffload:
    """Makes documents in threads; at most `abandoned_limit` of them may hang."""

    def __init__(
        self,
        observer: Observer,
        workers: int,
        abandoned_limit: int,
        produce: Produce = produce,
        parting_seconds: float = PARTING_SECONDS,
    ) -> None:
        self._observer = observer
        self._produce = produce
        self._abandoned_limit = abandoned_limit
        self._parting_seconds = parting_seconds
        # An abandoned thread keeps its token until it exits; the workers must not wait for those tokens.
        self._limiter = trio.CapacityLimiter(workers + abandoned_limit)
        self._running = 0

    @property
    def abandoned(self) -> int:
        """The number of abandoned threads that have not exited yet."""
        return max(0, int(self._limiter.borrowed_tokens) - self._running)

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document. Raises RenderTimedOutError, RenderCrashedError, RenderFailedError, FatalError."""
        await self._wait_for_room()
        self._running += 1
        returned = False
        try:
            with trio.move_on_after(seconds):
                document = await trio.to_thread.run_sync(
                    self._produce,
                    request,
                    trio.from_thread.check_cancelled,
                    limiter=self._limiter,
                    abandon_on_cancel=True,
                )
                returned = True
                return document
        except MemoryError as error:
            returned = True
            raise RenderCrashedError(f"out of memory: {error}", loggable="out of memory") from error
        except Exception as error:
            returned = True
            raise RenderFailedError(f"{type(error).__name__}: {error}", loggable=loggable(error)) from error
        finally:
            self._running -= 1
            if not returned:  # it timed out, or its worker was cancelled
                self._observer.abandoned()
        raise RenderTimedOutError(f"not drawn within {seconds:.0f} s")

    def with_capacity(self, workers: int) -> ThreadOffload:
        """Return an offload with its own threads."""
        return ThreadOffload(self._observer, workers, self._abandoned_limit, self._produce, self._parting_seconds)

    async def _wait_for_room(self) -> None:
        """Wait until fewer threads hang than the limit allows. Raises FatalError if that takes too long."""
        with trio.move_on_after(self._parting_seconds):
            while self.abandoned >= self._abandoned_limit:  # noqa: ASYNC110 - see POLL_INTERVAL
                await trio.sleep(POLL_INTERVAL)
            return
        raise FatalError(f"{self.abandoned} drawing threads hang; RENDER_ISOLATION=process could kill them")
