"""What a worker tells about its work; `metrics` counts it, tests watch it."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Told of everything worth counting. All times in seconds."""

    def leased(self, tasks: int) -> None:
        """Tasks were leased."""

    def queue_wait(self, seconds: float) -> None:
        """A task had waited so long between its insertion and its first lease."""

    def retried(self) -> None:
        """A task was begun that had been leased before."""

    def rendered(self, resource: str, outcome: str) -> None:
        """A task ended: `done`, `rejected`, `failed`; it comes back: `retried`, `unsettled`; or it was `lost`."""

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
