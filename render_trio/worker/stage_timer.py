"""What the time of a task goes into: told to the metrics, and shown on each of its log lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio


class StageObserver(Protocol):
    """Told how long stages took."""

    def stage(self, name: str, seconds: float) -> None:
        """A stage of a task took so long."""


class StageTimer:
    """The phases of one task. `seconds` can be bound to a log's context: it shows what is known at each line."""

    def __init__(self, observer: StageObserver) -> None:
        self._observer = observer
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Take the time of a phase, however it ends; one that comes again is added up."""
        begun = trio.current_time()
        try:
            yield
        finally:
            took = trio.current_time() - begun
            self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 4)
            self._observer.stage(name, took)
