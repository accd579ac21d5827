"""A simple model of a store, a dictionary of tasks with plain rules, with which the real stores are compared.

A time in the model is a multiple of ten seconds, changed only by `advance`, and the number of the step. The real time
that passes during a test only determines the order of steps, as the step number does here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from emulator.stores.interface import (
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    StoreError,
    TaskExistsError,
    TaskUnknownError,
)

Moment = tuple[int, int]  # seconds, step


@dataclass(frozen=True)
class ModelTask:
    """A task, with its ETA as a moment."""

    id: str
    tag: str | None
    eta: Moment
    leases: int = 0


@dataclass
class StoreModel:
    """One queue."""

    now: Moment = (0, 0)
    paused: bool = False
    tasks: dict[str, ModelTask] = field(default_factory=dict)
    dead: dict[str, ModelTask] = field(default_factory=dict)
    tombstones: dict[str, Moment] = field(default_factory=dict)
    leased_at: list[int] = field(default_factory=list)

    def step(self) -> None:
        """Begin the next step, which is later than all previous ones."""
        self.now = (self.now[0], self.now[1] + 1)

    def ahead(self, seconds: int) -> Moment:
        """Return the moment that is `seconds` from now."""
        return (self.now[0] + seconds, self.now[1])

    def advance(self, seconds: int) -> None:
        self.now = self.ahead(seconds)

    def insert(self, task_id: str, tag: str | None, delay: int) -> None:
        if task_id in self.tasks or task_id in self.dead or self.tombstones.get(task_id, (0, 0)) > self.now:
            raise TaskExistsError
        self.tasks[task_id] = ModelTask(task_id, tag, self.ahead(delay))

    def in_order(self, tasks: dict[str, ModelTask]) -> list[ModelTask]:
        """Return tasks sorted by ETA and ID."""
        return sorted(tasks.values(), key=lambda task: (task.eta, task.id))

    def lease(self, order: LeaseOrder) -> list[ModelTask]:
        """Return the leased tasks, with their counts from before the lease."""
        chosen: list[ModelTask] = []
        tag = order.tag
        known = tag is not None
        for task in [] if self.paused else self.in_order(self.tasks):
            if len(chosen) == order.count or task.eta > self.now:
                break
            if order.group_by_tag and known and task.tag != tag:
                continue
            if order.retry_limit is not None and task.leases >= order.retry_limit:
                self.dead[task.id] = self.tasks.pop(task.id)
                continue
            if order.group_by_tag and not known:
                tag, known = task.tag, True
            chosen.append(task)
        for task in chosen:
            self.tasks[task.id] = replace(task, eta=self.ahead(order.seconds), leases=task.leases + 1)
            self.leased_at.append(self.now[0])
        return chosen

    def known(self, task_id: str) -> ModelTask:
        if task_id not in self.tasks:
            raise TaskUnknownError
        return self.tasks[task_id]

    def check_lease(self, task_id: str, lease: Moment | None) -> None:
        task = self.known(task_id)
        if lease is not None and lease != task.eta:
            raise LeaseConflictError
        if task.eta <= self.now:
            raise LeaseExpiredError

    def renew(self, task_id: str, lease: Moment | None, seconds: int) -> ModelTask:
        self.check_lease(task_id, lease)
        self.tasks[task_id] = replace(self.tasks[task_id], eta=self.ahead(seconds))
        return self.tasks[task_id]

    def release(self, task_id: str) -> None:
        task = self.known(task_id)
        self.tasks[task_id] = replace(task, eta=min(task.eta, self.now))

    def delete(self, task_id: str, lease: Moment | None, fenced: bool) -> None:
        if fenced:
            self.check_lease(task_id, lease)
        if self.tasks.pop(task_id, None) is None and self.dead.pop(task_id, None) is None:
            raise TaskUnknownError
        self.tombstones[task_id] = self.ahead(3600)

    def revive(self, task_id: str) -> None:
        if task_id not in self.dead:
            raise TaskUnknownError
        self.tasks[task_id] = replace(self.dead.pop(task_id), eta=self.now, leases=0)

    def purge(self, dead: bool) -> int:
        purged = self.dead if dead else self.tasks
        count = len(purged)
        purged.clear()
        return count

    def leased_within(self, seconds: int) -> int:
        return sum(1 for at in self.leased_at if self.now[0] - at < seconds)


REFUSALS: tuple[type[StoreError], ...] = (TaskExistsError, TaskUnknownError, LeaseExpiredError, LeaseConflictError)
