"""Failed requests to the queue → the pause before the next one, and one log line at growing intervals.

All requests of a worker share one pause, because all of them reach the same queue. Until the queue has answered, one
request at a time tries to reach it; several that fail at the same time count as one failure. All workers of a process
share the log lines.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
import trio

from render_trio.errors import QueueError, QueueUnavailableError

INITIAL_UNREACHABLE_PAUSE, MAX_UNREACHABLE_PAUSE = 0.2, 5.0  # s between two attempts to reach the queue; doubles
CALM_SECONDS = 60.0  # without a failure, after which the next one belongs to another outage
INITIAL_LOG_INTERVAL, MAX_LOG_INTERVAL = 2.0, 600.0  # s between two log lines about one outage; doubles

log = structlog.get_logger(__name__)


class OutageLog:
    """Logs an outage of the queue at once, then after 2 s, 4 s, 8 s … up to 10 min, and once when it is over.

    A queue that fails and answers in turns, or fails for some workers only, doesn't fill the log: the interval shrinks
    only after CALM_SECONDS without a failure.
    """

    def __init__(self) -> None:
        self._interval = 0.0
        self._next_line = -math.inf
        self._last_failure = -math.inf
        self._began: float | None = None
        self._reported = False
        self._failures = 0  # since the last line

    def failed(self, error: QueueError, pause: float) -> None:
        """Record a failed request, after which the queue requires a pause of `pause` s."""
        now = trio.current_time()
        if now >= self._last_failure + CALM_SECONDS:
            self._interval, self._next_line, self._failures = 0.0, now, 0
        self._last_failure = now
        self._failures += 1
        if self._began is None:
            self._began, self._reported = now, False
        if now < self._next_line:
            return
        log.warning("queue unreachable", error=str(error), pause=pause, failures=self._failures)
        self._reported, self._failures = True, 0
        self._interval = min(MAX_LOG_INTERVAL, max(INITIAL_LOG_INTERVAL, self._interval * 2))
        self._next_line = now + self._interval

    def reached(self) -> None:
        """Record an answer of the queue."""
        if self._began is not None and self._reported:
            log.info("queue reached again", seconds=round(trio.current_time() - self._began, 1))
        self._began = None


class BackOff:
    """The pause of one worker before its next request, after a failed one."""

    def __init__(self, stopping: trio.Event, uniform: Callable[[float, float], float], outages: OutageLog) -> None:
        """`uniform` draws the length of a pause, between its two arguments."""
        self._stopping = stopping
        self._uniform = uniform
        self._outages = outages
        self._pause = INITIAL_UNREACHABLE_PAUSE
        self._failed_at = -math.inf
        self._retry_at = -math.inf
        self._trial: trio.Event | None = None  # the end of the request that tries to reach the queue
        self.reachable = False  # whether the last request was answered

    @asynccontextmanager
    async def permission(self) -> AsyncIterator[bool]:
        """Wait until a request may be sent, and yield True; the request must end inside the block.

        Yields False if the queue stays unreachable for the request that tries to reach it now, or the service stops.
        """
        if self.reachable:
            yield True
        elif self._trial is not None:
            await self._trial.wait()
            yield self.reachable
        else:
            self._trial = trial = trio.Event()
            try:
                yield await self._pause_over()
            finally:
                self._trial = None
                trial.set()

    async def _pause_over(self) -> bool:
        """Return True after the pause, False if the service stops before its end."""
        with trio.CancelScope(deadline=self._retry_at):
            await self._stopping.wait()
        return trio.current_time() >= self._retry_at

    def reached(self) -> None:
        """Record an answer: no pause is needed."""
        self.reachable = True
        self._pause, self._retry_at = INITIAL_UNREACHABLE_PAUSE, -math.inf
        self._outages.reached()

    def failed(self, error: QueueError, requested_at: float) -> None:
        """Record that a request failed, which was sent at `requested_at`.

        The pause is at least as long as the queue requires, and longer after each failure.
        """
        now = trio.current_time()
        required = error.pause if isinstance(error, QueueUnavailableError) else 0.0
        self._outages.failed(error, required)
        pause = self._pause
        if requested_at > self._failed_at or self.reachable:
            self._pause = min(MAX_UNREACHABLE_PAUSE, self._pause * 2)
        else:  # it was sent before the last failure: the same one
            pause = 0.0
        self.reachable = False
        self._failed_at = now
        self._retry_at = max(self._retry_at, now + required + self._uniform(0.5, 1.0) * pause)
