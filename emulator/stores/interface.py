"""What a store of tasks does: the interface that SQLite and Redis implement, and the lease rules.

A task's ETA is when it can be leased next. Leasing sets it to the end of the lease, so that an expired
lease needs no reaper: the task is simply due again. Tasks are leased oldest ETA first, ties by id.
A deleted task's id stays taken for a while (a tombstone), so that a late repeated insert makes no second
task. A task that has had its most leases goes to the queue's dead letters at the next lease; there only
`dead_letters`, `revive`, `delete` and `purge` know it, and its id stays taken.
All times are whole microseconds since the epoch, by the store's own clock, which tests can move ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SECOND = 1_000_000  # µs
TOMBSTONE_SECONDS = 3600
MAX_ADVANCE = 10 * 365 * 86_400  # s; further ahead the members of the indexes would grow a digit


class StoreError(Exception):
    """Something a store refuses; the message is for the client."""


class TaskExistsError(StoreError):
    """The id is taken, by a task or by one deleted not long ago."""


class TaskUnknownError(StoreError):
    """There is no such task, or it was deleted."""


class LeaseExpiredError(StoreError):
    """The task's lease has ended; whoever held it holds it no more."""


class LeaseConflictError(StoreError):
    """The lease named isn't the task's current one."""


class StoreUnavailableError(Exception):
    """The store can't be reached now; nothing is known of what was asked last."""


@dataclass(frozen=True, slots=True)
class QueueKey:
    """A queue's project and name, both checked, the project without its prefix."""

    project: str
    name: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to insert. `payload` is Base64 as it was sent; `eta_us` None means: due now."""

    id: str
    payload: str
    tag: str | None = None
    eta_us: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it is stored. `retry_count` is the number of leases so far."""

    id: str
    payload: str
    tag: str | None
    enqueued_us: int
    eta_us: int
    retry_count: int


@dataclass(frozen=True, slots=True)
class LeaseOrder:
    """What to lease: at most `count` tasks for `seconds`.

    With `group_by_tag` only tasks of one tag: `tag`, or without one the tag of the oldest task that is
    due (and if that has none, only tasks without). `most_bytes` bounds the payloads that come back
    together; the first comes back whatever its size. A due task that has had `retry_limit` leases (None:
    no limit) goes to the dead letters instead. `awaited`: somebody waits for this, so if it comes to
    nothing, those who watch the store are to be told of the next task.
    """

    count: int
    seconds: int
    group_by_tag: bool = False
    tag: str | None = None
    most_bytes: int = 32 * 1024 * 1024
    retry_limit: int | None = None
    awaited: bool = False


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of a queue. `oldest_us` is the earliest ETA, None when there are no tasks."""

    total: int
    oldest_us: int | None
    leased_last_minute: int
    leased_last_hour: int
    dead: int = 0
    paused: bool = False


class Store(Protocol):
    """Tasks in queues. Every method may be called from any thread, and is one atomic step.

    Each may raise StoreUnavailableError.
    """

    @property
    def quick(self) -> bool:
        """Whether most verbs take less time now than a change of threads would."""
        ...

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
        """Add a task and return it; once this returns, the task survives a kill. Raises TaskExistsError."""
        ...

    def get(self, queue: QueueKey, task_id: str) -> Task:
        """Return the task without leasing it. Raises TaskUnknownError."""
        ...

    def peek(self, queue: QueueKey, count: int, after: tuple[int, str] | None = None) -> list[Task]:
        """Return the first tasks by ETA, leased ones included; `after` (ETA, id) is where the last page ended."""
        ...

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        """Lease tasks that are due, oldest ETA first; never one that somebody holds; none of a paused queue.

        The tasks come back with the ETA at which the lease ends, and with the retry count from before it.
        """
        ...

    def due_in(self, queue: QueueKey) -> int | None:
        """Return the microseconds until the next task falls due by itself, None when none will."""
        ...

    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        """Let the lease end `seconds` from now (0 gives the task back) and return the task.

        `lease_us`, if given, must be the current end of the lease: it fences off former holders.
        Raises TaskUnknownError, LeaseExpiredError, LeaseConflictError.
        """
        ...

    def release(self, queue: QueueKey, task_id: str) -> Task:
        """Make the task due now, whoever holds it, and return it. Raises TaskUnknownError."""
        ...

    def delete(self, queue: QueueKey, task_id: str, lease_us: int | None = None) -> None:
        """Delete the task, leased or not, or the dead letter of that id; leaves a tombstone.

        With `lease_us` only a task whose current lease ends then. Raises as `renew` does.
        """
        ...

    def stats(self, queue: QueueKey) -> QueueStats:
        """Return the queue's figures."""
        ...

    def dead_letters(self, queue: QueueKey, count: int) -> list[Task]:
        """Return the first dead letters by the end of their last lease."""
        ...

    def revive(self, queue: QueueKey, task_id: str) -> Task:
        """Make a dead letter a task again, due now, with no leases so far. Raises TaskUnknownError."""
        ...

    def purge(self, queue: QueueKey, dead: bool = False) -> int:
        """Delete all tasks, or all dead letters, and return how many; their ids are free at once."""
        ...

    def pause(self, queue: QueueKey) -> None:
        """Lease nothing of this queue until it is resumed."""
        ...

    def resume(self, queue: QueueKey) -> None:
        """Lease again."""
        ...

    def declare(self, queue: QueueKey) -> None:
        """Make a queue known before its first task."""
        ...

    def queues(self) -> list[QueueKey]:
        """Return the queues that were declared, inserted into, paused or waited for, sorted."""
        ...

    def reset(self) -> None:
        """Forget everything: tasks, tombstones, queues, figures, and that the clock was moved."""
        ...

    def advance(self, seconds: float) -> int:
        """Move the clock ahead for all who share the store, and return the time. Raises ValueError below 0."""
        ...

    def now_us(self) -> int:
        """Return the store's time."""
        ...

    def watch(self, ring: Callable[[QueueKey | None], None]) -> None:
        """Call `ring`, from any thread, when there may be work for an awaited lease, whoever made it.

        None stands for any queue, and is the first: now it listens. A ring may be spurious, and may be lost
        with a connection.
        """
        ...

    def ping(self) -> None:
        """Return when the store answers."""
        ...

    def close(self) -> None:
        """Let go of files, connections and threads."""
        ...


def microseconds_ahead(seconds: float) -> int:
    """Return what `advance` adds to the clock. Raises ValueError when that would turn it back."""
    if not 0 <= seconds <= MAX_ADVANCE:
        raise ValueError(f"seconds is {seconds!r}; allowed: 0 to {MAX_ADVANCE}")
    return round(seconds * SECOND)


def unknown_task(queue: QueueKey, task_id: str) -> TaskUnknownError:
    """Return the error for a task that isn't there."""
    return TaskUnknownError(f"task {task_id!r} does not exist in queue {queue.name}")


def taken_id(task_id: str) -> TaskExistsError:
    """Return the error for an id that a task has, or had not long ago."""
    return TaskExistsError(f"task {task_id!r} already exists or was deleted recently; use another id")


def lease_expired(task_id: str) -> LeaseExpiredError:
    """Return the error for a lease that has ended."""
    return LeaseExpiredError(f"the lease of task {task_id!r} has expired; lease the task again")


def lease_conflict(task_id: str, lease_us: object) -> LeaseConflictError:
    """Return the error for a lease that isn't the current one."""
    return LeaseConflictError(
        f"leaseTimestamp {lease_us} is not that of the current lease of task {task_id!r}; lease the task again"
    )


def check_lease(task_id: str, eta_us: int, now_us: int, lease_us: int | None) -> None:
    """Raise unless a task with this ETA is leased now, and by the lease that ends at `lease_us`.

    A task that was given back or never leased is due, so that its ETA lies in the past: that is what an
    expired lease looks like, and it can't be renewed either.
    """
    if lease_us is not None and lease_us != eta_us:
        raise lease_conflict(task_id, lease_us)
    if eta_us <= now_us:
        raise lease_expired(task_id)
