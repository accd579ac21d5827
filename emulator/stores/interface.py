"""The interface of a task store, implemented for SQLite and Redis, and the rules for leases.

The ETA of a task is the time from which it can be leased. Leasing sets the ETA to the end of the lease, so an
expired lease needs no reaper: the task is due again. Tasks are leased by ETA, oldest first, then by ID.
The ID of a deleted task stays reserved for a while (a tombstone), so that a delayed, repeated insert doesn't
create a second task. A task that was leased as often as its queue allows is moved to the queue's dead letters
at the next lease. Only `dead_letters`, `revive`, `delete` and `purge` operate on dead letters, and their IDs
stay reserved.
All times are whole microseconds since the epoch, by the clock of the store, which tests can advance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

SECOND = 1_000_000  # µs
TOMBSTONE_SECONDS = 3600
MAX_ADVANCE = 10 * 365 * 86_400  # s; keeps times within the 17 digits that the Redis indexes use
T = TypeVar("T")


class StoreError(Exception):
    """The store refused an operation. The message is meant for the client."""


class TaskExistsError(StoreError):
    """The ID belongs to a task, a dead letter, or a recently deleted task."""


class TaskUnknownError(StoreError):
    """The task does not exist, or it was deleted."""


class LeaseExpiredError(StoreError):
    """The lease of the task has expired; its former holder no longer holds the task."""


class LeaseConflictError(StoreError):
    """The given lease is not the current lease of the task."""


class StoreUnavailableError(Exception):
    """The store is unreachable or failed. The operation may or may not have been executed.

    The message is sent to clients with status 503: it states the cause and what to do, and contains no secrets.
    """


class StoreFullError(StoreUnavailableError):
    """There is no room for new tasks; they can still be leased, renewed, deleted and purged. Nothing was executed."""


class StoreBusyError(StoreUnavailableError):
    """Another program or thread is using the store. Nothing was executed, so the operation can be repeated."""


class StorePendingError(Exception):
    """An operation on the event loop was sent, and its reply is late. `resume` must be called in a thread.

    Its argument repeats the operation, which then waits for that reply instead of sending anything twice.
    """

    def __init__(self, resume: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__("the reply is late")
        self.resume = resume


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """The result of a check. `problem` is None if the store accepts tasks, otherwise the cause and what to do.

    `warnings` describe risks that don't prevent the store from working, such as settings that can lose tasks.
    `full` means that only inserts fail, for lack of space, so the queue can be drained.
    """

    problem: str | None = None
    warnings: tuple[str, ...] = ()
    full: bool = False

    @classmethod
    def failed(cls, error: StoreUnavailableError) -> StoreHealth:
        """Return the result of a check that ended with this error."""
        return cls(str(error), full=isinstance(error, StoreFullError))


@dataclass(frozen=True, slots=True)
class QueueKey:
    """The project (without its prefix) and the name of a queue, both validated."""

    project: str
    name: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to insert. `payload` is Base64 as the client sent it; an `eta_us` of None means now."""

    id: str
    payload: str
    tag: str | None = None
    eta_us: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A stored task. `retry_count` is the number of leases so far."""

    id: str
    payload: str
    tag: str | None
    enqueued_us: int
    eta_us: int
    retry_count: int


@dataclass(frozen=True, slots=True)
class LeaseOrder:
    """What to lease: up to `count` tasks, for `seconds`.

    `group_by_tag` restricts the lease to tasks with one tag: `tag` or, if that is None, the tag of the oldest
    due task (if that task has no tag, to tasks without a tag). `max_bytes` limits the total size of the
    payloads as Base64; the first task is returned whatever its size. A due task that was leased `retry_limit`
    times (None: no limit) is moved to the dead letters instead. `awaited` means that a client waits for the
    result: if nothing can be leased, the store notifies its watchers of the next task in the queue.
    """

    count: int
    seconds: int
    group_by_tag: bool = False
    tag: str | None = None
    max_bytes: int = 32 * 1024 * 1024
    retry_limit: int | None = None
    awaited: bool = False


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Statistics of a queue. `oldest_us` is the earliest ETA, None if the queue has no tasks."""

    total: int
    oldest_us: int | None
    leased_last_minute: int
    leased_last_hour: int
    dead: int = 0
    paused: bool = False


class Store(Protocol):
    """Tasks in queues. Every method is thread-safe and atomic, and can raise StoreUnavailableError."""

    @property
    def runs_inline(self) -> bool:
        """Whether most calls currently take less time than switching to a worker thread would."""
        ...

    def call_inline(self, method: Callable[..., T], *arguments: object) -> T:
        """Call a method of this store on the event loop, without holding it up for long; return its result.

        Raises StoreBusyError if it must be called in a thread, StorePendingError, and what the method raises.
        """
        ...

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
        """Add a task and return it. From then on, it survives a kill of this process. Raises TaskExistsError."""
        ...

    def get(self, queue: QueueKey, task_id: str) -> Task:
        """Return the task without leasing it. Raises TaskUnknownError."""
        ...

    def peek(self, queue: QueueKey, count: int, after: tuple[int, str] | None = None) -> list[Task]:
        """Return the first `count` tasks by ETA, including leased ones, that follow `after` (ETA, ID)."""
        ...

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        """Lease due tasks, oldest ETA first. A paused queue leases nothing.

        The returned tasks have the end of the lease as their ETA, and the retry count from before the lease.
        """
        ...

    def due_in(self, queue: QueueKey) -> int | None:
        """Return the microseconds until the next task becomes due, None if no ETA is in the future."""
        ...

    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        """Make the lease end `seconds` from now (0 releases the task) and return the task.

        `lease_us`, if given, must be the current end of the lease; it fences off former holders.
        Raises TaskUnknownError, LeaseExpiredError, LeaseConflictError.
        """
        ...

    def release(self, queue: QueueKey, task_id: str) -> Task:
        """Make the task due now, even if it is leased, and return it. Raises TaskUnknownError."""
        ...

    def delete(self, queue: QueueKey, task_id: str, lease_us: int | None = None) -> None:
        """Delete the task, even if it is leased, or the dead letter with that ID, and leave a tombstone.

        With `lease_us`, delete only a task whose current lease ends then. Raises the same errors as `renew`.
        """
        ...

    def stats(self, queue: QueueKey) -> QueueStats:
        """Return the statistics of the queue."""
        ...

    def dead_letters(self, queue: QueueKey, count: int) -> list[Task]:
        """Return the first `count` dead letters by the end of their last lease."""
        ...

    def revive(self, queue: QueueKey, task_id: str) -> Task:
        """Turn a dead letter into a due task with a lease count of 0, and return it. Raises TaskUnknownError."""
        ...

    def purge(self, queue: QueueKey, dead: bool = False) -> int:
        """Delete all tasks, or all dead letters, and return their number. Their IDs can be reused at once."""
        ...

    def pause(self, queue: QueueKey) -> None:
        """Lease nothing from this queue until it is resumed."""
        ...

    def resume(self, queue: QueueKey) -> None:
        """End a pause."""
        ...

    def declare(self, queue: QueueKey) -> None:
        """Create the queue if it does not exist."""
        ...

    def queues(self) -> list[QueueKey]:
        """Return, sorted, the queues that were declared, inserted into, paused, or used by an awaited lease."""
        ...

    def reset(self) -> None:
        """Delete everything: tasks, tombstones, queues and statistics, and reset the clock."""
        ...

    def advance(self, seconds: float) -> int:
        """Advance the clock for all processes that share the store; return the time.

        Raises ValueError unless `seconds` is between 0 and MAX_ADVANCE.
        """
        ...

    def now_us(self) -> int:
        """Return the time of the store."""
        ...

    def watch(self, notify: Callable[[QueueKey | None], None]) -> None:
        """Call `notify` when a queue may have work for an awaited lease, in whichever process the change is made.

        It is called from any thread. None means any queue; the first call has this argument and means that the
        store has started to listen. A notification may be spurious, and may be lost with a connection.
        """
        ...

    def check(self) -> StoreHealth:
        """Test whether the store accepts changes by making one that has no effect, and return the result.

        It does not wait for other callers, returns within about 2 s, and never raises StoreUnavailableError. It is
        called in a thread of its own, at most once per second, while other threads use the store.
        """
        ...

    def close(self) -> None:
        """Close files and connections, and stop threads."""
        ...


def microseconds_ahead(seconds: float) -> int:
    """Return the number of microseconds by which to advance the clock. Raises ValueError if out of range."""
    if not 0 <= seconds <= MAX_ADVANCE:
        raise ValueError(f"seconds is {seconds!r}; allowed: 0 to {MAX_ADVANCE}")
    return round(seconds * SECOND)


def unknown_task(queue: QueueKey, task_id: str) -> TaskUnknownError:
    """Return the error for a task that does not exist."""
    return TaskUnknownError(f"task {task_id!r} does not exist in queue {queue.name}")


def reserved_id(task_id: str) -> TaskExistsError:
    """Return the error for an ID that is in use or reserved."""
    return TaskExistsError(f"task {task_id!r} already exists or was deleted recently; use another id")


def lease_expired(task_id: str) -> LeaseExpiredError:
    """Return the error for an expired lease."""
    return LeaseExpiredError(f"the lease of task {task_id!r} has expired; lease the task again")


def lease_conflict(task_id: str, lease_us: object) -> LeaseConflictError:
    """Return the error for a lease that is not the current one."""
    return LeaseConflictError(
        f"leaseTimestamp {lease_us} is not that of the current lease of task {task_id!r}; lease the task again"
    )


def check_lease(task_id: str, eta_us: int, now_us: int, lease_us: int | None) -> None:
    """Raise unless a task with this ETA is currently leased and, if `lease_us` is given, by the lease that ends then.

    Raises LeaseConflictError, LeaseExpiredError. A task that was released or never leased has an ETA in the
    past, just like one whose lease has expired; it can't be renewed either.
    """
    if lease_us is not None and lease_us != eta_us:
        raise lease_conflict(task_id, lease_us)
    if eta_us <= now_us:
        raise lease_expired(task_id)
