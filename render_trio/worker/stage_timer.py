"""The durations of a task's stages, for the metrics and for the log lines of the task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio

from render_trio.observation import trace_context, traces


class StageObserver(Protocol):
    """Receives the duration of every stage."""

    def stage(self, name: str, seconds: float) -> None:
        """Record that a stage of a task took `seconds`."""


class StageTimer:
    """Measures the stages of one task.

    `seconds` maps the names of the finished stages to their durations in s. It can be bound to a logging context: it
    is updated in place, so that every log line has the durations known by then.
    """

    def __init__(self, observer: StageObserver) -> None:
        self._observer = observer
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure the block as a stage, however the block ends. The durations of a repeated stage are added up."""
        started = trio.current_time()
        try:
            with traces.span(name, trace_context.current()):
                yield
        finally:
            duration = trio.current_time() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + duration, 4)
            self._observer.stage(name, duration)
