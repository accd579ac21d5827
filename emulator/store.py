"""What a store of tasks does: the interface that SQLite and Redis implement, and the lease rules.

A task's ETA is when it can be leased next. Leasing sets it to the end of the lease, so that an expired
lease needs no reaper: the task is simply due again. Tasks are leased oldest ETA first, ties by id.
A deleted task's id stays taken for a while (a tombstone), so that a late repeated insert makes no second
task. All times are whole microseconds since the epoch, by the store's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SECOND = 1_000_000  # µs
TOMBSTONE_SECONDS = 3600


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
    together; the first comes back whatever its size.
    """

    count: int
    seconds: int
    group_by_tag: bool = False
    tag: str | None = None
    most_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of a queue. `oldest_us` is the earliest ETA, None when there are no tasks."""

    total: int
    oldest_us: int | None
    leased_last_minute: int
    leased_last_hour: int


class Store(Protocol):
    """Tasks in queues. Every method may be called from any thread, and is one atomic step.

    Each may raise StoreUnavailableError.
    """

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
        """Add a task and return it; once this returns, the task survives a kill. Raises TaskExistsError."""
        ...

    def get(self, queue: QueueKey, task_id: str) -> Task:
        """Return the task without leasing it. Raises TaskUnknownError."""
        ...

    def peek(self, queue: QueueKey, count: int) -> list[Task]:
        """Return the first tasks by ETA, leased ones included."""
        ...

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        """Lease tasks that are due, oldest ETA first; never one that somebody holds.

        The tasks come back with the ETA at which the lease ends, and with the retry count from before it.
        """
        ...

    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        """Let the lease end `seconds` from now (0 gives the task back) and return the task.

        `lease_us`, if given, must be the current end of the lease: it fences off former holders.
        Raises TaskUnknownError, LeaseExpiredError, LeaseConflictError.
        """
        ...

    def delete(self, queue: QueueKey, task_id: str) -> None:
        """Delete the task, leased or not. Raises TaskUnknownError."""
        ...

    def stats(self, queue: QueueKey) -> QueueStats:
        """Return the queue's figures."""
        ...

    def queues(self) -> list[QueueKey]:
        """Return the queues that were ever used, sorted."""
        ...

    def ping(self) -> None:
        """Return when the store answers."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def check_lease(task_id: str, eta_us: int, now_us: int, lease_us: int | None) -> None:
    """Raise unless a task with this ETA is leased now, and by the lease that ends at `lease_us`.

    A task that was given back or never leased is due, so that its ETA lies in the past: that is what an
    expired lease looks like, and it can't be renewed either.
    """
    if lease_us is not None and lease_us != eta_us:
        raise LeaseConflictError(
            f"leaseTimestamp {lease_us} of task {task_id!r} is not its current one; lease it again"
        )
    if eta_us <= now_us:
        raise LeaseExpiredError(f"the lease of task {task_id!r} has expired; lease it again")


def open_store(url: str) -> Store:
    """Return the store of this address: `sqlite:///FILE` or `redis://host:port/db` (also rediss, unix).

    Raises ValueError for any other address, StoreUnavailableError when it can't be opened.
    """
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        from emulator.store_sqlite import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("redis://", "rediss://", "unix://")):
        from emulator.store_redis import RedisStore

        return RedisStore(url)
    raise ValueError(f"store is {url[:80]!r}; allowed: sqlite:///FILE, redis://HOST:PORT/DB, rediss://…, unix://…")
