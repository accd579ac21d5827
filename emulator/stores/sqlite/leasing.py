"""Rows of due tasks → those to lease and those that reached the retry limit; and the changes that a lease makes."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from emulator.stores.interface import LeaseOrder, Task
from emulator.stores.sqlite.file import QueueRow

MAX_DEAD_LETTERED = 1000  # tasks moved to the dead letters by one transaction, so that transactions stay short
MAX_TRIMMED = 20  # expired rows removed per operation: more than it adds, so they don't accumulate
TASK = "id, payload, tag, enqueued_us, eta_us, retry_count"

_DUE = f"SELECT rowid, {TASK} FROM tasks WHERE part = ? AND eta_us <= ? ORDER BY eta_us, id"
_DUE_OF_TAG = f"SELECT rowid, {TASK} FROM tasks WHERE part = ? AND tag IS ? AND eta_us <= ? ORDER BY eta_us, id"


def choose(
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


def move(database: sqlite3.Connection, queue_row: QueueRow | None, task: Task, eta_us: int) -> Task:
    """Change the ETA of the task and return it."""
    assert queue_row is not None  # otherwise the task would not have been found
    database.execute("UPDATE tasks SET eta_us = ? WHERE part = ? AND id = ?", (eta_us, queue_row.live, task.id))
    return replace(task, eta_us=eta_us)


def count_leases(database: sqlite3.Connection, number: int, second: int, leased: int) -> None:
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
