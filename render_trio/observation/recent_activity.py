"""What happened lately, for people to look at: ends by the minute, times by stage, the last failures.

Bounded, whatever comes: numbers that count for ever are the business of `metrics`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import msgspec

from render_trio.observation.observer import Observer

MINUTES = 60
SECONDS = MINUTES * 60
SAMPLES = 500  # latest times of a stage that its figures are taken from
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
    """Figures of a stage's latest runs, s. `high`: 95 of 100 took no longer."""

    name: str
    count: int
    middle: float
    high: float
    longest: float


class RecentActivity(Observer):
    """Keeps the latest. `clock` only goes forward, s; `date` gives s since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, date: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._date = date
        self._second = int(clock())
        self._done = [0] * SECONDS  # documents of each second of the last hour; a ring
        self._stages: dict[str, deque[float]] = {}
        self._failures: deque[FailureNote] = deque(maxlen=FAILURES)

    def rendered(self, resource: str, outcome: str) -> None:
        """Count a document."""
        if outcome == "done":
            self._turn()
            self._done[self._second % SECONDS] += 1

    def failure(self, task: str, code: str, reason: str, outcome: str) -> None:
        """Note a failed attempt."""
        note = FailureNote(self._date(), _abridged(task), _short(code, 40), _short(reason, REASON_CHARACTERS), outcome)
        self._failures.appendleft(note)

    def queue_wait(self, seconds: float) -> None:
        """Note how long a task waited, as a stage like others."""
        self.stage("wait in the queue", max(0.0, seconds))

    def stage(self, name: str, seconds: float) -> None:
        """Note how long a stage took."""
        if name in self._stages or len(self._stages) < MAX_STAGES:
            self._stages.setdefault(name, deque(maxlen=SAMPLES)).append(seconds)

    def failures(self) -> tuple[FailureNote, ...]:
        """Return the last failures, the latest first."""
        return tuple(self._failures)

    def stages(self) -> tuple[StageTimes, ...]:
        """Return the figures of each stage, in the order in which they first came."""
        return tuple(_figures(name, sorted(times)) for name, times in self._stages.items())

    def minutes(self) -> tuple[int, ...]:
        """Return the documents of each of the last sixty minutes, the last one last; it ends now."""
        self._turn()
        first = self._second + 1
        seconds = [self._done[(first + i) % SECONDS] for i in range(SECONDS)]
        return tuple(sum(seconds[i : i + 60]) for i in range(0, SECONDS, 60))

    def _turn(self) -> None:
        """Move the ring on to this second; what lies an hour back is forgotten."""
        now = int(self._clock())
        for second in range(max(self._second + 1, now - SECONDS + 1), now + 1):
            self._done[second % SECONDS] = 0
        self._second = max(self._second, now)


def _figures(name: str, times: list[float]) -> StageTimes:
    last = len(times) - 1
    return StageTimes(name, len(times), times[last // 2], times[round(last * 0.95)], times[last])


def _abridged(task: str) -> str:
    """Return enough of a task's id to find it in the log; the whole of it opens a web task's document."""
    seen = _short(task, len(task))
    return seen if len(seen) <= TASK_CHARACTERS else f"{seen[:8]}…{seen[-8:]}"


def _short(text: str, most: int) -> str:
    """Return the text on one line, at most so many characters of it, none that can't be seen."""
    seen = "".join(character if character.isprintable() else " " for character in text[: most + 1])
    return seen if len(seen) <= most else seen[: most - 1] + "…"
