"""The events that workers and the offload report. All durations are in seconds."""

from __future__ import annotations

from collections.abc import Callable


class Observer:
    """Ignores every event; subclasses override the methods they need."""

    def leased(self, tasks: int) -> None:
        """`tasks` tasks were leased in one request."""

    def queue_wait(self, seconds: float) -> None:
        """A task was leased for the first time, `seconds` after its insertion."""

    def retried(self) -> None:
        """An attempt began at a task that had been leased before."""

    def rendered(self, resource: str, outcome: str) -> None:
        """An attempt ended.

        Final outcomes: `done`, `rejected`, `failed`. The task will be leased again after `retried` and
        `unsettled`; another worker has it after `lost`.
        """

    def failure(self, task: str, code: str, reason: str, outcome: str) -> None:
        """An attempt failed; `outcome` as in `rendered`."""

    def stage(self, name: str, seconds: float) -> None:
        """A stage of a task (`render`, `deliver`, `settle`) took `seconds`."""

    def lost_lease(self) -> None:
        """A lease was lost during the work; nothing is delivered."""

    def abandoned(self) -> None:
        """A render thread that hangs was abandoned."""

    def killed(self) -> None:
        """A render process was killed, or died."""

    def result_bytes(self, count: int) -> None:
        """A document of `count` bytes was delivered."""

    def store_failed(self) -> None:
        """A document could not be stored."""

    def waiting_documents(self, count: int) -> None:
        """The number of documents that wait for the document store has changed to `count`."""

    def in_flight(self, change: int) -> None:
        """The number of tasks in progress changed by 1 or -1."""


class Observers(Observer):
    """Forwards every event to several observers, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers


def _forward(event: str) -> Callable[..., None]:
    def forward(self: Observers, *arguments: object) -> None:
        for observer in self._observers:
            getattr(observer, event)(*arguments)

    return forward


# Generated from Observer, so that a new event can't be forgotten here; the types are Observer's own.
for _event in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Observers, _event, _forward(_event))
