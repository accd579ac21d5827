"""The workers, the queue and the last hour → one `Status`, refreshed once a second however many clients request it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
import trio

from render_trio.errors import QueueError
from render_trio.observation.recent_activity import FailureNote, RecentActivity, StageTimes
from render_trio.queue.interface import QueueStats
from render_trio.supervision.health import Health

STATUS_SECONDS = 0.9  # for which a status is reused; shorter than the page's refresh interval of 1 s
QUEUE_SECONDS = 2.0  # between two requests to the queue
QUEUE_TIMEOUT = 2.0  # s


class QueueGlance(msgspec.Struct, frozen=True):
    """The queue's last answer. `oldest_seconds`: the age of its oldest entry, None if it is empty."""

    total: int
    oldest_seconds: float | None
    leased_last_minute: int


class Status(msgspec.Struct, frozen=True):
    """Everything that the status page shows.

    `at`: s since the epoch. `minutes`: tasks completed in each of the last sixty minutes, the current one last.
    """

    at: float
    health: Health
    queue: QueueGlance | None
    queue_error: str
    minutes: tuple[int, ...]
    stages: tuple[StageTimes, ...]
    failures: tuple[FailureNote, ...]

    @property
    def last_hour(self) -> int:
        """Tasks completed in the last hour."""
        return sum(self.minutes)


class StatusSource:
    """Collects the status. `date`: returns s since the epoch."""

    def __init__(
        self,
        health: Callable[[], Health],
        activity: RecentActivity,
        queue_stats: Callable[[], Awaitable[QueueStats]],
        date: Callable[[], float] = time.time,
    ) -> None:
        self._health = health
        self._activity = activity
        self._queue_stats = queue_stats
        self._date = date
        self._lock = trio.Lock()
        self._status: Status | None = None
        self._refreshed = self._queue_requested = float("-inf")
        self._queue: QueueGlance | None = None
        self._queue_error = ""

    async def current(self) -> Status:
        """Return the status, at most STATUS_SECONDS old."""
        async with self._lock:
            old = self._status
            # Report draining at once: streams end with this status.
            if old is None or self._age() >= STATUS_SECONDS or old.health.draining != self._health().draining:
                await self._request_stats()
                self._refreshed = trio.current_time()
                old = self._status = Status(
                    self._date(),
                    self._health(),
                    self._queue,
                    self._queue_error,
                    self._activity.minutes(),
                    self._activity.stages(),
                    self._activity.failures(),
                )
            return old

    def _age(self) -> float:
        return trio.current_time() - self._refreshed

    async def _request_stats(self) -> None:
        if trio.current_time() - self._queue_requested < QUEUE_SECONDS:
            return
        try:
            with trio.fail_after(QUEUE_TIMEOUT):
                stats = await self._queue_stats()
        except (QueueError, trio.TooSlowError) as error:
            self._queue, self._queue_error = None, str(error) or f"no answer within {QUEUE_TIMEOUT:.0f} s"
        else:
            age = self._date() - stats.oldest
            oldest = age if stats.oldest and age >= 0 else None
            self._queue, self._queue_error = QueueGlance(stats.total, oldest, stats.leased_last_minute), ""
        self._queue_requested = trio.current_time()
