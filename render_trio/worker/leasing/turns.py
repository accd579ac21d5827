"""Which tasks are ready → whose turn it is: a producer's or one from the web. Computed without I/O.

Producers' tasks go first, but after PRODUCERS_IN_A_ROW of them a task from the web that is ready goes next. So a flood
of visitors delays a producer's task by at most one render, and a rebuild of any size leaves one turn in four to the
web.
"""

from __future__ import annotations

from typing import Literal

PRODUCERS_IN_A_ROW = 3

Source = Literal["producer", "web"]


class Turns:
    """The turns of one worker."""

    def __init__(self) -> None:
        self._in_a_row = 0

    @property
    def web_is_due(self) -> bool:
        """Whether a task from the web goes next if one is ready."""
        return self._in_a_row >= PRODUCERS_IN_A_ROW

    @property
    def web_request_is_due(self) -> bool:
        """Whether to request a task from the web: after each PRODUCERS_IN_A_ROW tasks of producers."""
        return self._in_a_row > 0 and self._in_a_row % PRODUCERS_IN_A_ROW == 0

    def next(self, *, producer: bool, web: bool) -> Source | None:
        """Return whose turn it is, given which of them have a task ready; None if neither has."""
        if web and (self.web_is_due or not producer):
            return "web"
        return "producer" if producer else None

    def took(self, source: Source) -> None:
        """Record whose task was begun."""
        self._in_a_row = 0 if source == "web" else self._in_a_row + 1
