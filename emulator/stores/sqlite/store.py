"""Tasks in one SQLite file, for one host. Several processes can share the file.

Each process has one connection, protected by a lock, because SQLite executes one writing transaction at a time
anyway. The journal is a WAL with synchronous=NORMAL: committed transactions survive a kill of the process. A power
failure can lose the latest transactions, but never leaves the file inconsistent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from emulator.stores.interface import (
    SECOND,
    TOMBSTONE_SECONDS,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    StoreFullError,
    StoreHealth,
    Task,
    check_lease,
    microseconds_ahead,
    reserved_id,
    unknown_task,
)
from emulator.stores.sqlite import clock as store_clock
from emulator.stores.sqlite.clock import MachineClock
from emulator.stores.sqlite.file import QueueRow, SqliteFile
from emulator.stores.sqlite.leasing import MAX_DEAD_LETTERED, MAX_TRIMMED, TASK, choose, count_leases, move

P = ParamSpec("P")
T = TypeVar("T")

_RESERVED = (
    "SELECT 1 FROM tombstones WHERE queue = ? AND id = ? AND until_us > ? "
    "UNION ALL SELECT 1 FROM tasks WHERE part IN (?, ?) AND id = ?"
)
_INSERT = "INSERT INTO tasks (part, id, payload, tag, enqueued_us, eta_us, retry_count) VALUES (?, ?, ?, ?, ?, ?, ?)"
# Selected first and then deleted one by one: for "(queue, id) IN (SELECT …)", SQLite would scan a whole queue.
_OLD_TOMBSTONES = f"SELECT queue, id FROM tombstones WHERE until_us <= ? ORDER BY until_us LIMIT {MAX_TRIMMED}"


def _with_reserve(
    method: Callable[Concatenate[SqliteStore, P], T],
) -> Callable[Concatenate[SqliteStore, P], T]:
    """Repeat an operation that helps to drain a queue, with the space of the reserve, if the disk is full."""

    @wraps(method)
    def repeated(self: SqliteStore, /, *arguments: P.args, **named: P.kwargs) -> T:
        try:
            return method(self, *arguments, **named)
        except StoreFullError:
            self._file.release_reserve()
            return method(self, *arguments, **named)

    return repeated


class SqliteStore:
    """A store in one file, or in memory if `path` is ":memory:". `clock` replaces the clocks of the machine."""

    def __init__(
        self, path: str | Path, tombstone_seconds: int = TOMBSTONE_SECONDS, clock: MachineClock | None = None
    ) -> None:
        self._file = SqliteFile(path, clock)
        self._tombstone_us = tombstone_seconds * SECOND

    @property
    def runs_inline(self) -> bool:
        return self._file.runs_inline

    def call_inline(self, method: Callable[..., T], *arguments: object) -> T:
        return method(*arguments)  # on the event loop, transactions wait for a short time only (connection.py)

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
        self._file.require_room(len(task.payload))
        with self._file.write as database:
            queue_row, now = self._file.find_or_create(queue)
            reserved = (queue_row.number, task.id, now, queue_row.live, queue_row.dead, task.id)
            if database.execute(_RESERVED, reserved).fetchone():
                raise reserved_id(task.id)
            stored = Task(task.id, task.payload, task.tag, now, now if task.eta_us is None else task.eta_us, 0)
            row = (queue_row.live, task.id, task.payload, task.tag, now, stored.eta_us, 0)
            database.execute(_INSERT, row)
            database.execute(
                "UPDATE queues SET live_count = live_count + 1, awaited = 0 WHERE number = ?", (queue_row.number,)
            )
        self._file.notify(queue, queue_row)
        return stored

    def get(self, queue: QueueKey, task_id: str) -> Task:
        with self._file.read:
            queue_row, _ = self._file.find(queue)
            return self._task(queue, queue_row, task_id)

    def peek(self, queue: QueueKey, count: int, after: tuple[int, str] | None = None) -> list[Task]:
        with self._file.read as database:
            queue_row, _ = self._file.find(queue)
            if queue_row is None:
                return []
            rows = database.execute(
                f"SELECT {TASK} FROM tasks WHERE part = ? AND (eta_us, id) > (?, ?) ORDER BY eta_us, id LIMIT ?",
                (queue_row.live, *(after or (-1, "")), count),
            )
            return [Task(*row) for row in rows]

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        while True:
            try:
                leased, buried = self._lease(queue, order)
            except StoreFullError:
                if order.count == 1:
                    raise
                order = replace(order, count=order.count // 2)  # writes less
                continue
            if leased or buried < MAX_DEAD_LETTERED:
                return leased

    @_with_reserve
    def _lease(self, queue: QueueKey, order: LeaseOrder) -> tuple[list[Task], int]:
        """Return the leased tasks, and the number of tasks that were moved to the dead letters instead."""
        with self._file.write as database:
            queue_row, now = self._file.find_or_create(queue) if order.awaited else self._file.find(queue)
            if queue_row is None:
                return [], 0
            chosen, buried = ({}, set()) if queue_row.paused else choose(database, queue_row, now, order)
            if buried:
                rows = [(queue_row.dead, row) for row in buried]
                database.executemany("UPDATE tasks SET part = ? WHERE rowid = ?", rows)
                database.execute(
                    "UPDATE queues SET live_count = live_count - ?, dead_count = dead_count + ? WHERE number = ?",
                    (len(buried), len(buried), queue_row.number),
                )
            if chosen:
                end = now + order.seconds * SECOND
                database.executemany(
                    "UPDATE tasks SET eta_us = ?, retry_count = retry_count + 1 WHERE rowid = ?",
                    [(end, row) for row in chosen],
                )
                count_leases(database, queue_row.number, now // SECOND, len(chosen))
                return [replace(task, eta_us=end) for task in chosen.values()], len(buried)
            if order.awaited and not queue_row.awaited:
                database.execute("UPDATE queues SET awaited = 1 WHERE number = ?", (queue_row.number,))
            return [], len(buried)

    def due_in(self, queue: QueueKey) -> int | None:
        with self._file.read as database:
            queue_row, now = self._file.find(queue)
            if queue_row is None:
                return None
            row = database.execute(
                "SELECT eta_us FROM tasks WHERE part = ? AND eta_us > ? ORDER BY eta_us LIMIT 1", (queue_row.live, now)
            ).fetchone()
            return None if row is None else int(row[0]) - now

    @_with_reserve
    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        with self._file.write as database:
            queue_row, now = self._file.find(queue)
            task = self._task(queue, queue_row, task_id)
            check_lease(task_id, task.eta_us, now, lease_us)
            task = move(database, queue_row, task, now + seconds * SECOND)
        if seconds == 0:
            self._file.notify(queue, queue_row)
        return task

    @_with_reserve
    def release(self, queue: QueueKey, task_id: str) -> Task:
        with self._file.write as database:
            queue_row, now = self._file.find(queue)
            task = self._task(queue, queue_row, task_id)
            task = move(database, queue_row, task, min(task.eta_us, now))
        self._file.notify(queue, queue_row)
        return task

    @_with_reserve
    def delete(self, queue: QueueKey, task_id: str, lease_us: int | None = None) -> None:
        with self._file.write as database:
            queue_row, now = self._file.find(queue)
            if queue_row is None:
                raise unknown_task(queue, task_id)
            if lease_us is not None:
                check_lease(task_id, self._task(queue, queue_row, task_id).eta_us, now, lease_us)
            statement = "DELETE FROM tasks WHERE part = ? AND id = ?"
            count = "live_count"
            if database.execute(statement, (queue_row.live, task_id)).rowcount == 0:
                count = "dead_count"
                if database.execute(statement, (queue_row.dead, task_id)).rowcount == 0:
                    raise unknown_task(queue, task_id)
            database.execute(f"UPDATE queues SET {count} = {count} - 1 WHERE number = ?", (queue_row.number,))
            tombstone = (queue_row.number, task_id, now + self._tombstone_us)
            database.execute("INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?)", tombstone)
            old = database.execute(_OLD_TOMBSTONES, (now,)).fetchall()
            database.executemany("DELETE FROM tombstones WHERE queue = ? AND id = ?", old)

    def stats(self, queue: QueueKey) -> QueueStats:
        with self._file.read as database:
            queue_row, now = self._file.find(queue)
            if queue_row is None:
                return QueueStats(0, None, 0, 0)
            (oldest,) = database.execute("SELECT min(eta_us) FROM tasks WHERE part = ?", (queue_row.live,)).fetchone()
            second = now // SECOND
            minute, hour = database.execute(
                "SELECT coalesce(sum(leased) FILTER (WHERE second > ?), 0), coalesce(sum(leased), 0) "
                "FROM lease_counts WHERE queue = ? AND second > ?",
                (second - 60, queue_row.number, second - 3600),
            ).fetchone()
            return QueueStats(queue_row.live_count, oldest, minute, hour, queue_row.dead_count, bool(queue_row.paused))

    def dead_letters(self, queue: QueueKey, count: int) -> list[Task]:
        with self._file.read as database:
            queue_row, _ = self._file.find(queue)
            if queue_row is None:
                return []
            rows = database.execute(
                f"SELECT {TASK} FROM tasks WHERE part = ? ORDER BY eta_us, id LIMIT ?", (queue_row.dead, count)
            )
            return [Task(*row) for row in rows]

    @_with_reserve
    def revive(self, queue: QueueKey, task_id: str) -> Task:
        with self._file.write as database:
            queue_row, now = self._file.find(queue)
            row = (
                queue_row
                and database.execute(
                    "UPDATE tasks SET part = ?, eta_us = ?, retry_count = 0 "
                    f"WHERE part = ? AND id = ? RETURNING {TASK}",
                    (queue_row.live, now, queue_row.dead, task_id),
                ).fetchone()
            )
            if not row or queue_row is None:
                raise unknown_task(queue, task_id)
            database.execute(
                "UPDATE queues SET live_count = live_count + 1, dead_count = dead_count - 1 WHERE number = ?",
                (queue_row.number,),
            )
        self._file.notify(queue, queue_row)
        return Task(*row)

    @_with_reserve
    def purge(self, queue: QueueKey, dead: bool = False) -> int:
        part, count = ("dead", "dead_count") if dead else ("live", "live_count")
        with self._file.write as database:
            queue_row, _ = self._file.find(queue)
            if queue_row is None:
                return 0
            (fresh,) = database.execute("UPDATE clock SET next_part = next_part + 1 RETURNING next_part - 1").fetchone()
            database.execute("INSERT INTO garbage VALUES (?)", (queue_row.dead if dead else queue_row.live,))
            database.execute(f"UPDATE queues SET {part} = ?, {count} = 0 WHERE number = ?", (fresh, queue_row.number))
        self._file.sweep()
        return queue_row.dead_count if dead else queue_row.live_count

    @_with_reserve
    def pause(self, queue: QueueKey) -> None:
        with self._file.write as database:
            queue_row, _ = self._file.find_or_create(queue)
            database.execute("UPDATE queues SET paused = 1 WHERE number = ?", (queue_row.number,))

    @_with_reserve
    def resume(self, queue: QueueKey) -> None:
        with self._file.write as database:
            queue_row, _ = self._file.find_or_create(queue)
            database.execute("UPDATE queues SET paused = 0 WHERE number = ?", (queue_row.number,))
        self._file.notify(queue, queue_row)

    @_with_reserve
    def declare(self, queue: QueueKey) -> None:
        with self._file.write:
            self._file.find_or_create(queue)

    def queues(self) -> list[QueueKey]:
        with self._file.read as database:
            rows = database.execute("SELECT project, name FROM queues ORDER BY project, name").fetchall()
        return [QueueKey(project, name) for project, name in rows]

    @_with_reserve
    def reset(self) -> None:
        with self._file.write as database:
            database.execute("INSERT INTO garbage SELECT live FROM queues UNION SELECT dead FROM queues")
            database.execute("DELETE FROM queues")
            store_clock.reset(database, self._file.clock)
        self._file.sweep()

    @_with_reserve
    def advance(self, seconds: float) -> int:
        ahead = microseconds_ahead(seconds)
        with self._file.write as database:
            moved = "UPDATE clock SET steady_offset_us = steady_offset_us + ?, ahead_us = ahead_us + ?"
            database.execute(moved, (ahead, ahead))
            now = self._file.now_us()
        self._file.notify(None)
        return now

    def now_us(self) -> int:
        with self._file.read:
            return self._file.now_us()

    def watch(self, notify: Callable[[QueueKey | None], None]) -> None:
        self._file.watch(notify)

    def check(self) -> StoreHealth:
        return self._file.health()

    def close(self) -> None:
        self._file.close()

    def _task(self, queue: QueueKey, queue_row: QueueRow | None, task_id: str) -> Task:
        row = (
            queue_row
            and self._file.database.execute(
                f"SELECT {TASK} FROM tasks WHERE part = ? AND id = ?", (queue_row.live, task_id)
            ).fetchone()
        )
        if not row:
            raise unknown_task(queue, task_id)
        return Task(*row)
