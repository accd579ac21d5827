"""Tasks in one SQLite file, for one host. Several processes can share the file.

Each process has one connection, protected by a lock, because SQLite executes one writing transaction at a time
anyway. The journal is a WAL with synchronous=NORMAL: committed transactions survive a kill of the process. A power
failure can lose the latest transactions, but never leaves the file inconsistent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from emulator.stores.interface import (
    SECOND,
    TOMBSTONE_SECONDS,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    StoreHealth,
    StoreUnavailableError,
    Task,
    check_lease,
    microseconds_ahead,
    reserved_id,
    unknown_task,
)
from emulator.stores.sqlite.file import QueueRow, SqliteFile

MAX_DEAD_LETTERED = 1000  # tasks moved to the dead letters by one transaction, so that transactions stay short
MAX_TRIMMED = 20  # expired rows removed per operation: more than it adds, so they don't accumulate

_TASK = "id, payload, tag, enqueued_us, eta_us, retry_count"
_DUE = f"SELECT rowid, {_TASK} FROM tasks WHERE part = ? AND eta_us <= ? ORDER BY eta_us, id"
_DUE_OF_TAG = f"SELECT rowid, {_TASK} FROM tasks WHERE part = ? AND tag IS ? AND eta_us <= ? ORDER BY eta_us, id"
_RESERVED = (
    "SELECT 1 FROM tombstones WHERE queue = ? AND id = ? AND until_us > ? "
    "UNION ALL SELECT 1 FROM tasks WHERE part IN (?, ?) AND id = ?"
)
_INSERT = "INSERT INTO tasks (part, id, payload, tag, enqueued_us, eta_us, retry_count) VALUES (?, ?, ?, ?, ?, ?, ?)"
# Selected first and then deleted one by one: for "(queue, id) IN (SELECT …)", SQLite would scan a whole queue.
_OLD_TOMBSTONES = f"SELECT queue, id FROM tombstones WHERE until_us <= ? ORDER BY until_us LIMIT {MAX_TRIMMED}"


class SqliteStore:
    """A store in one file."""

    runs_inline = True

    def __init__(self, path: str | Path, tombstone_seconds: int = TOMBSTONE_SECONDS) -> None:
        self._file = SqliteFile(path)
        self._tombstone_us = tombstone_seconds * SECOND

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
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
                f"SELECT {_TASK} FROM tasks WHERE part = ? AND (eta_us, id) > (?, ?) ORDER BY eta_us, id LIMIT ?",
                (queue_row.live, *(after or (-1, "")), count),
            )
            return [Task(*row) for row in rows]

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        while True:
            leased, buried = self._lease(queue, order)
            if leased or buried < MAX_DEAD_LETTERED:
                return leased

    def _lease(self, queue: QueueKey, order: LeaseOrder) -> tuple[list[Task], int]:
        """Return the leased tasks, and the number of tasks that were moved to the dead letters instead."""
        with self._file.write as database:
            queue_row, now = self._file.find_or_create(queue) if order.awaited else self._file.find(queue)
            if queue_row is None:
                return [], 0
            chosen, buried = ({}, set()) if queue_row.paused else _choose(database, queue_row, now, order)
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
                _count_leases(database, queue_row.number, now // SECOND, len(chosen))
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

    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        with self._file.write as database:
            queue_row, now = self._file.find(queue)
            task = self._task(queue, queue_row, task_id)
            check_lease(task_id, task.eta_us, now, lease_us)
            task = _move(database, queue_row, task, now + seconds * SECOND)
        if seconds == 0:
            self._file.notify(queue, queue_row)
        return task

    def release(self, queue: QueueKey, task_id: str) -> Task:
        with self._file.write as database:
            queue_row, now = self._file.find(queue)
            task = self._task(queue, queue_row, task_id)
            task = _move(database, queue_row, task, min(task.eta_us, now))
        self._file.notify(queue, queue_row)
        return task

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
                f"SELECT {_TASK} FROM tasks WHERE part = ? ORDER BY eta_us, id LIMIT ?", (queue_row.dead, count)
            )
            return [Task(*row) for row in rows]

    def revive(self, queue: QueueKey, task_id: str) -> Task:
        with self._file.write as database:
            queue_row, now = self._file.find(queue)
            row = (
                queue_row
                and database.execute(
                    "UPDATE tasks SET part = ?, eta_us = ?, retry_count = 0 "
                    f"WHERE part = ? AND id = ? RETURNING {_TASK}",
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

    def pause(self, queue: QueueKey) -> None:
        with self._file.write as database:
            queue_row, _ = self._file.find_or_create(queue)
            database.execute("UPDATE queues SET paused = 1 WHERE number = ?", (queue_row.number,))

    def resume(self, queue: QueueKey) -> None:
        with self._file.write as database:
            queue_row, _ = self._file.find_or_create(queue)
            database.execute("UPDATE queues SET paused = 0 WHERE number = ?", (queue_row.number,))
        self._file.notify(queue, queue_row)

    def declare(self, queue: QueueKey) -> None:
        with self._file.write:
            self._file.find_or_create(queue)

    def queues(self) -> list[QueueKey]:
        with self._file.read as database:
            rows = database.execute("SELECT project, name FROM queues ORDER BY project, name").fetchall()
        return [QueueKey(project, name) for project, name in rows]

    def reset(self) -> None:
        with self._file.write as database:
            database.execute("INSERT INTO garbage SELECT live FROM queues UNION SELECT dead FROM queues")
            database.execute("DELETE FROM queues")
            database.execute("UPDATE clock SET offset_us = 0")
        self._file.sweep()

    def advance(self, seconds: float) -> int:
        ahead = microseconds_ahead(seconds)
        with self._file.write as database:
            database.execute("UPDATE clock SET offset_us = offset_us + ?", (ahead,))
            now = self._file.now_us()
        self._file.notify(None)
        return now

    def now_us(self) -> int:
        with self._file.read:
            return self._file.now_us()

    def watch(self, notify: Callable[[QueueKey | None], None]) -> None:
        self._file.watch(notify)

    def check(self) -> StoreHealth:
        try:
            with self._file.write as database:
                database.execute("UPDATE clock SET next_part = next_part")
        except StoreUnavailableError as error:
            return StoreHealth(str(error))
        return StoreHealth()

    def close(self) -> None:
        self._file.close()

    def _task(self, queue: QueueKey, queue_row: QueueRow | None, task_id: str) -> Task:
        row = (
            queue_row
            and self._file.database.execute(
                f"SELECT {_TASK} FROM tasks WHERE part = ? AND id = ?", (queue_row.live, task_id)
            ).fetchone()
        )
        if not row:
            raise unknown_task(queue, task_id)
        return Task(*row)


def _choose(
    database: sqlite3.Connection, queue_row: QueueRow, now: int, order: LeaseOrder
) -> tuple[dict[int, Task], set[int]]:
    """Return the tasks to lease by row ID, oldest first, and the rows of tasks that reached the retry limit."""
    chosen: dict[int, Task] = {}
    buried: set[int] = set()
    size = 0
    tag = order.tag
    if order.group_by_tag and tag is None:
        for row, *values in database.execute(_DUE, (queue_row.live, now)):
            task = Task(*values)
            if order.retry_limit is None or task.retry_count < order.retry_limit:
                tag = task.tag
                break
            buried.add(row)
            if len(buried) == MAX_DEAD_LETTERED:
                return chosen, buried
    if order.group_by_tag:
        found = database.execute(_DUE_OF_TAG, (queue_row.live, tag, now))
    else:
        found = database.execute(_DUE, (queue_row.live, now))
    for row, *values in found:
        task = Task(*values)
        if order.retry_limit is not None and task.retry_count >= order.retry_limit:
            buried.add(row)
            if len(buried) == MAX_DEAD_LETTERED:
                break
            continue
        size += len(task.payload)
        if chosen and size > order.max_bytes:
            break
        chosen[row] = task
        if len(chosen) == order.count:
            break
    found.close()
    return chosen, buried


def _move(database: sqlite3.Connection, queue_row: QueueRow | None, task: Task, eta_us: int) -> Task:
    """Change the ETA of the task and return it."""
    assert queue_row is not None  # otherwise the task would not have been found
    database.execute("UPDATE tasks SET eta_us = ? WHERE part = ? AND id = ?", (eta_us, queue_row.live, task.id))
    return replace(task, eta_us=eta_us)


def _count_leases(database: sqlite3.Connection, number: int, second: int, leased: int) -> None:
    """Add to the count of this second, and remove a few counts that are over an hour old."""
    database.execute(
        "INSERT INTO lease_counts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET leased = leased + excluded.leased",
        (number, second, leased),
    )
    database.execute(
        "DELETE FROM lease_counts WHERE queue = ? AND second IN "
        f"(SELECT second FROM lease_counts WHERE queue = ? AND second <= ? ORDER BY second LIMIT {MAX_TRIMMED})",
        (number, number, second - 3600),
    )
