"""What a worker tells about its work; `metrics` counts it, `journal` keeps the latest, tests watch it."""

from __future__ import annotations

from collections.abc import Sequence


class Observer:
    """Told of everything worth counting; this one lets it pass, others keep what they are for. All times in seconds."""

    def leased(self, tasks: int) -> None:
        """Tasks were leased."""

    def queue_wait(self, seconds: float) -> None:
        """A task had waited so long between its insertion and its first lease."""

    def retried(self) -> None:
        """A task was begun that had been leased before."""

    def rendered(self, resource: str, outcome: str) -> None:
        """A task ended: `done`, `rejected`, `failed`; it comes back: `retried`, `unsettled`; or it was `lost`."""

    def failure(self, task: str, code: str, reason: str, outcome: str) -> None:
        """An attempt at a task failed, with the outcome that `rendered` counts."""

    def stage(self, name: str, seconds: float) -> None:
        """A stage of a task took so long."""

    def lost_lease(self) -> None:
        """A lease ended while the work went on; nothing was delivered."""

    def abandoned(self) -> None:
        """A hung drawing thread was left behind."""

    def killed(self) -> None:
        """A drawing process was killed or died."""

    def result_bytes(self, count: int) -> None:
        """A document of so many bytes was delivered."""

    def in_flight(self, change: int) -> None:
        """One more (1) or one less (-1) task is being worked on."""


class Observers(Observer):
    """Tells several observers the same."""

    def __init__(self, *observers: Observer) -> None:
        self._observers: Sequence[Observer] = observers

    def leased(self, tasks: int) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.leased(tasks)

    def queue_wait(self, seconds: float) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.queue_wait(seconds)

    def retried(self) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.retried()

    def rendered(self, resource: str, outcome: str) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.rendered(resource, outcome)

    def failure(self, task: str, code: str, reason: str, outcome: str) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.failure(task, code, reason, outcome)

    def stage(self, name: str, seconds: float) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.stage(name, seconds)

    def lost_lease(self) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.lost_lease()

    def abandoned(self) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.abandoned()

    def killed(self) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.killed()

    def result_bytes(self, count: int) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.result_bytes(count)

    def in_flight(self, change: int) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.in_flight(change)
