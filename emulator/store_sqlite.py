"""Tasks in one SQLite file, for one host; several processes may share it.

One connection a process, behind a lock: SQLite writes one transaction at a time anyway. The journal is
a WAL with synchronous=NORMAL: what was committed survives the process being killed; a power cut may
lose the last moments, but never the file's consistency.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.store import (
    SECOND,
    TOMBSTONE_SECONDS,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    StoreUnavailableError,
    Task,
    TaskExistsError,
    TaskUnknownError,
    check_lease,
)

SCHEMA_VERSION = 1
BUSY_SECONDS = 10  # how long to wait for another process's transaction, each being well under 1 ms

SCHEMA = """
CREATE TABLE tasks (
    project TEXT NOT NULL, queue TEXT NOT NULL, id TEXT NOT NULL,
    tag TEXT, payload TEXT NOT NULL,
    enqueued_us INTEGER NOT NULL, eta_us INTEGER NOT NULL, retry_count INTEGER NOT NULL,
    PRIMARY KEY (project, queue, id)
);
CREATE INDEX tasks_by_eta ON tasks (project, queue, eta_us, id);
CREATE INDEX tasks_by_tag ON tasks (project, queue, tag, eta_us, id);
CREATE TABLE tombstones (
    project TEXT NOT NULL, queue TEXT NOT NULL, id TEXT NOT NULL, until_us INTEGER NOT NULL,
    PRIMARY KEY (project, queue, id)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_end ON tombstones (until_us);
CREATE TABLE lease_counts (
    project TEXT NOT NULL, queue TEXT NOT NULL, second INTEGER NOT NULL, leased INTEGER NOT NULL,
    PRIMARY KEY (project, queue, second)
) WITHOUT ROWID;
CREATE TABLE queues (project TEXT NOT NULL, queue TEXT NOT NULL, PRIMARY KEY (project, queue)) WITHOUT ROWID;
"""

_COLUMNS = "id, payload, tag, enqueued_us, eta_us, retry_count"
_QUEUE = "project = :project AND queue = :queue"


def _now_us() -> int:
    return time.time_ns() // 1000


class SqliteStore:
    """The store of one file. `now` gives microseconds since the epoch; tests replace it."""

    def __init__(self, path: str | Path, now: Callable[[], int] = _now_us) -> None:
        self._now = now
        self._lock = threading.Lock()
        try:
            Path(path).resolve().parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._create()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"{path} can't be used as a store: {error}") from error

    def _create(self) -> None:
        with self._step() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise StoreUnavailableError(f"the store's schema is {version}, this program's {SCHEMA_VERSION}")

    @contextmanager
    def _step(self) -> Iterator[sqlite3.Connection]:
        """One transaction; an error undoes it."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield self._database
                except Exception:
                    self._database.execute("ROLLBACK")
                    raise
                self._database.execute("COMMIT")
            except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
                raise StoreUnavailableError(f"the store does not answer: {error}") from error

    def _rows(self, statement: str, values: dict[str, object]) -> list[tuple[object, ...]]:
        with self._lock:
            try:
                return self._database.execute(statement, values).fetchall()
            except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
                raise StoreUnavailableError(f"the store does not answer: {error}") from error

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
        now = self._now()
        values = _key(queue) | {"id": task.id, "now": now}
        stored = Task(task.id, task.payload, task.tag, now, now if task.eta_us is None else task.eta_us, 0)
        with self._step() as database:
            database.execute("DELETE FROM tombstones WHERE until_us <= :now", values)
            taken = database.execute(
                f"SELECT 1 FROM tombstones WHERE {_QUEUE} AND id = :id "
                f"UNION ALL SELECT 1 FROM tasks WHERE {_QUEUE} AND id = :id",
                values,
            ).fetchone()
            if taken:
                raise TaskExistsError(f"task {task.id!r} exists already, or did until not long ago")
            database.execute("INSERT OR IGNORE INTO queues VALUES (:project, :queue)", values)
            database.execute(
                f"INSERT INTO tasks (project, queue, {_COLUMNS}) "
                "VALUES (:project, :queue, :id, :payload, :tag, :now, :eta, 0)",
                values | {"payload": task.payload, "tag": task.tag, "eta": stored.eta_us},
            )
        return stored

    def get(self, queue: QueueKey, task_id: str) -> Task:
        rows = self._rows(f"SELECT {_COLUMNS} FROM tasks WHERE {_QUEUE} AND id = :id", _key(queue) | {"id": task_id})
        if not rows:
            raise TaskUnknownError(f"there is no task {task_id!r} in queue {queue.name}")
        return Task(*rows[0])  # type: ignore[arg-type]

    def peek(self, queue: QueueKey, count: int) -> list[Task]:
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM tasks WHERE {_QUEUE} ORDER BY eta_us, id LIMIT :count",
            _key(queue) | {"count": count},
        )
        return [Task(*row) for row in rows]  # type: ignore[arg-type]

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        now = self._now()
        values: dict[str, object] = _key(queue) | {"now": now, "count": order.count, "tag": order.tag}
        values["end"] = now + order.seconds * SECOND
        due = f"FROM tasks WHERE {_QUEUE} AND eta_us <= :now"
        with self._step() as database:
            if order.group_by_tag and order.tag is None:
                oldest = database.execute(f"SELECT tag {due} ORDER BY eta_us, id LIMIT 1", values).fetchone()
                values["tag"] = oldest[0] if oldest else None
            tagged = "AND tag IS :tag" if order.group_by_tag else ""
            chosen = database.execute(
                f"SELECT rowid, length(payload) {due} {tagged} ORDER BY eta_us, id LIMIT :count", values
            ).fetchall()
            leased: list[Task] = []
            size = 0
            for rowid, length in chosen:
                size += length
                if leased and size > order.most_bytes:
                    break
                # The count given back is the one from before this lease: 0 for the first.
                row = database.execute(
                    "UPDATE tasks SET eta_us = :end, retry_count = retry_count + 1 WHERE rowid = :rowid "
                    "RETURNING id, payload, tag, enqueued_us, eta_us, retry_count - 1",
                    {"end": values["end"], "rowid": rowid},
                ).fetchone()
                leased.append(Task(*row))
            if leased:
                self._count_leases(database, values, len(leased))
        return leased

    @staticmethod
    def _count_leases(database: sqlite3.Connection, values: dict[str, object], leased: int) -> None:
        second = int(str(values["now"])) // SECOND
        values = values | {"second": second, "leased": leased, "hour_ago": second - 3600}
        database.execute(f"DELETE FROM lease_counts WHERE {_QUEUE} AND second <= :hour_ago", values)
        database.execute(
            "INSERT INTO lease_counts VALUES (:project, :queue, :second, :leased) "
            "ON CONFLICT DO UPDATE SET leased = leased + excluded.leased",
            values,
        )

    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        now = self._now()
        values = _key(queue) | {"id": task_id, "end": now + seconds * SECOND}
        with self._step() as database:
            row = database.execute(f"SELECT eta_us FROM tasks WHERE {_QUEUE} AND id = :id", values).fetchone()
            if row is None:
                raise TaskUnknownError(f"there is no task {task_id!r} in queue {queue.name}")
            check_lease(task_id, row[0], now, lease_us)
            row = database.execute(
                f"UPDATE tasks SET eta_us = :end WHERE {_QUEUE} AND id = :id RETURNING {_COLUMNS}", values
            ).fetchone()
        return Task(*row)

    def delete(self, queue: QueueKey, task_id: str) -> None:
        values = _key(queue) | {"id": task_id, "until": self._now() + TOMBSTONE_SECONDS * SECOND}
        with self._step() as database:
            if database.execute(f"DELETE FROM tasks WHERE {_QUEUE} AND id = :id", values).rowcount == 0:
                raise TaskUnknownError(f"there is no task {task_id!r} in queue {queue.name}")
            database.execute("INSERT OR REPLACE INTO tombstones VALUES (:project, :queue, :id, :until)", values)

    def stats(self, queue: QueueKey) -> QueueStats:
        second = self._now() // SECOND
        values = _key(queue) | {"minute_ago": second - 60, "hour_ago": second - 3600}
        ((total, oldest),) = self._rows(f"SELECT count(*), min(eta_us) FROM tasks WHERE {_QUEUE}", values)
        ((minute, hour),) = self._rows(
            f"SELECT total(leased) FILTER (WHERE second > :minute_ago), total(leased) "
            f"FROM lease_counts WHERE {_QUEUE} AND second > :hour_ago",
            values,
        )
        return QueueStats(
            int(str(total)),
            None if oldest is None else int(str(oldest)),
            int(float(str(minute))),
            int(float(str(hour))),
        )

    def queues(self) -> list[QueueKey]:
        rows = self._rows("SELECT project, queue FROM queues ORDER BY project, queue", {})
        return [QueueKey(str(project), str(name)) for project, name in rows]

    def ping(self) -> None:
        self._rows("SELECT 1", {})

    def close(self) -> None:
        with self._lock:
            self._database.close()


def _key(queue: QueueKey) -> dict[str, object]:
    return {"project": queue.project, "queue": queue.name}
