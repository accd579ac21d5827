"""What the operator's page shows: the workers, the queue, the last hour. Looked up once a second, whoever asks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
import trio

from render_trio.errors import QueueError
from render_trio.observation.recent_activity import FailureNote, RecentActivity, StageTimes
from render_trio.queue.interface import QueueStats
from render_trio.supervision.health import Health

STATUS_SECONDS = 0.9  # for which a status serves all who ask; below the page's second
QUEUE_SECONDS = 2.0  # between two questions to the queue
QUEUE_PATIENCE = 2.0


class QueueGlance(msgspec.Struct, frozen=True):
    """The queue as it last answered; `oldest_seconds`: how long the longest waits, None when nothing waits."""

    total: int
    oldest_seconds: float | None
    leased_last_minute: int


class Status(msgspec.Struct, frozen=True):
    """Everything on the page. `minutes`: tasks done in each of the last sixty minutes, the last one last."""

    at: float
    health: Health
    queue: QueueGlance | None
    queue_error: str
    minutes: tuple[int, ...]
    stages: tuple[StageTimes, ...]
    failures: tuple[FailureNote, ...]

    @property
    def last_hour(self) -> int:
        """Tasks done in the last hour."""
        return sum(self.minutes)


class StatusSource:
    """Gathers the status."""

    def __init__(
        self,
        health: Callable[[], Health],
        journal: RecentActivity,
        queue_stats: Callable[[], Awaitable[QueueStats]],
        date: Callable[[], float] = time.time,
    ) -> None:
        self._health = health
        self._journal = journal
        self._queue_stats = queue_stats
        self._date = date
        self._asking = trio.Lock()
        self._status: Status | None = None
        self._looked = self._asked = float("-inf")
        self._queue: QueueGlance | None = None
        self._queue_error = ""

    async def status(self) -> Status:
        """Return the status of this moment, or of one not a second ago."""
        async with self._asking:
            old = self._status
            # That we drain is told at once: it is the last word that listeners hear.
            if old is None or self._age() >= STATUS_SECONDS or old.health.draining != self._health().draining:
                await self._ask_queue()
                self._looked = trio.current_time()
                old = self._status = Status(
                    self._date(),
                    self._health(),
                    self._queue,
                    self._queue_error,
                    self._journal.minutes(),
                    self._journal.stages(),
                    self._journal.failures(),
                )
            return old

    def _age(self) -> float:
        return trio.current_time() - self._looked

    async def _ask_queue(self) -> None:
        if trio.current_time() - self._asked < QUEUE_SECONDS:
            return
        try:
            with trio.fail_after(QUEUE_PATIENCE):
                stats = await self._queue_stats()
        except (QueueError, trio.TooSlowError) as error:
            self._queue, self._queue_error = None, str(error) or f"no answer within {QUEUE_PATIENCE:.0f} s"
        else:
            waits = self._date() - stats.oldest
            oldest = waits if stats.oldest and waits >= 0 else None
            self._queue, self._queue_error = QueueGlance(stats.total, oldest, stats.leased_last_minute), ""
        self._asked = trio.current_time()
