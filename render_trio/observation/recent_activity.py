"""Recent activity for the status page: documents per minute, durations by stage, the last failures.

Its size is bounded whatever is reported. `metrics` has the counters that grow for the life of the process.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import msgspec

from render_trio.observation.observer import Observer

MINUTES = 60
SECONDS = MINUTES * 60
SAMPLES = 500  # durations kept for each stage
MAX_STAGES = 20
FAILURES = 25
TASK_CHARACTERS = 20
REASON_CHARACTERS = 240


class FailureNote(msgspec.Struct, frozen=True):
    """A failed attempt. `at`: s since the epoch; `outcome`: rejected, failed, retried, lost or unsettled."""

    at: float
    task: str
    code: str
    reason: str
    outcome: str


class StageTimes(msgspec.Struct, frozen=True):
    """The latest durations of a stage, s: median (`middle`), 95th percentile (`high`) and maximum (`longest`)."""

    name: str
    count: int
    middle: float
    high: float
    longest: float


class RecentActivity(Observer):
    """Records recent events. `clock` is monotonic, in s; `date` returns s since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, date: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._date = date
        self._second = int(clock())
        self._done = [0] * SECONDS  # documents per second over the last hour: a ring buffer
        self._stages: dict[str, deque[float]] = {}
        self._failures: deque[FailureNote] = deque(maxlen=FAILURES)

    def rendered(self, resource: str, outcome: str) -> None:
        if outcome == "done":
            self._advance()
            self._done[self._second % SECONDS] += 1

    def failure(self, task: str, code: str, reason: str, outcome: str) -> None:
        note = FailureNote(self._date(), _abridged(task), _short(code, 40), _short(reason, REASON_CHARACTERS), outcome)
        self._failures.appendleft(note)

    def queue_wait(self, seconds: float) -> None:
        """Record the wait as one more stage."""
        self.stage("wait in the queue", max(0.0, seconds))

    def stage(self, name: str, seconds: float) -> None:
        if name in self._stages or len(self._stages) < MAX_STAGES:
            self._stages.setdefault(name, deque(maxlen=SAMPLES)).append(seconds)

    def failures(self) -> tuple[FailureNote, ...]:
        """Return the last FAILURES failures, the latest first."""
        return tuple(self._failures)

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the durations of each stage, in the order in which the stages were first reported."""
        return tuple(_figures(name, sorted(times)) for name, times in self._stages.items())

    def minutes(self) -> tuple[int, ...]:
        """Return the number of documents in each of the last 60 minutes, oldest first; the last minute ends now."""
        self._advance()
        first = self._second + 1
        seconds = [self._done[(first + i) % SECONDS] for i in range(SECONDS)]
        return tuple(sum(seconds[i : i + 60]) for i in range(0, SECONDS, 60))

    def _advance(self) -> None:
        """Advance the ring buffer to the current second, and clear the entries that are now an hour old."""
        now = int(self._clock())
        for second in range(max(self._second + 1, now - SECONDS + 1), now + 1):
            self._done[second % SECONDS] = 0
        self._second = max(self._second, now)


def _figures(name: str, times: list[float]) -> StageTimes:
    last = len(times) - 1
    return StageTimes(name, len(times), times[last // 2], times[round(last * 0.95)], times[last])


def _abridged(task: str) -> str:
    """Return enough of a task's ID to find it in the log. The whole ID would give access to a web task's document."""
    text = _short(task, len(task))
    return text if len(text) <= TASK_CHARACTERS else f"{text[:8]}…{text[-8:]}"


def _short(text: str, limit: int) -> str:
    """Return the text on one line, shortened to `limit` characters, with unprintable ones replaced by spaces."""
    line = "".join(character if character.isprintable() else " " for character in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"
