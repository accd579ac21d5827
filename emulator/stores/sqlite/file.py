"""The SQLite file of a store: one connection protected by a lock, transactions, the clock, and the queue rows.

A purge only marks rows as garbage. A thread with its own connection deletes them later, in transactions so short
that they don't delay other operations.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from emulator.stores.interface import QueueKey, StoreUnavailableError
from emulator.stores.sqlite import schema
from emulator.stores.sqlite.notifications import Notifications, Notify, send

log = logging.getLogger(__name__)
BUSY_SECONDS = 5  # to wait for transactions of other processes, each of which takes well under 1 ms
BUSY_PAUSE = 0.0001  # s before the next attempt; doubled after each, up to MAX_BUSY_PAUSE
MAX_BUSY_PAUSE = 0.002
CACHE_KIB = 16 * 1024  # page cache: enough for the frequently used ends of large indexes
SWEPT_ROWS = 500  # garbage rows deleted per transaction
SWEEP_RETRY_SECONDS = 1.0  # after a failed transaction
SWEEP_PAUSE = 0.005  # s between two transactions, in which others can use the file

_FAILURES = (sqlite3.OperationalError, sqlite3.ProgrammingError)
_FIND = (
    "SELECT offset_us, number, live, dead, live_count, dead_count, paused, awaited "
    "FROM clock LEFT JOIN queues ON project = ? AND name = ?"
)
# A reset deletes all queues at once, and queue numbers only increase.
_DELETED_QUEUE = "queue < (SELECT coalesce(min(number), 9223372036854775807) FROM queues)"
# For each table, how to find garbage rows and how to delete one. CROSS JOIN makes SQLite start with the garbage.
_SWEEPS = (
    ("SELECT t.rowid FROM garbage g CROSS JOIN tasks t ON t.part = g.part", "DELETE FROM tasks WHERE rowid = ?"),
    (f"SELECT queue, id FROM tombstones WHERE {_DELETED_QUEUE}", "DELETE FROM tombstones WHERE queue = ? AND id = ?"),
    (
        f"SELECT queue, second FROM lease_counts WHERE {_DELETED_QUEUE}",
        "DELETE FROM lease_counts WHERE queue = ? AND second = ?",
    ),
    (
        "SELECT part FROM garbage g WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.part = g.part)",
        "DELETE FROM garbage WHERE part = ?",
    ),
)


class QueueRow(NamedTuple):
    """The row of a queue: its number, the parts with its tasks and its dead letters, its counts and flags."""

    number: int
    live: int
    dead: int
    live_count: int
    dead_count: int
    paused: int
    awaited: int


class _Transaction:
    """A context manager that begins a transaction and commits it, or rolls it back after an error.

    Raises StoreUnavailableError. Each instance is reused for all transactions, because entering it is a hot path.
    """

    def __init__(self, lock: threading.Lock, begin: Callable[[], None], database: sqlite3.Connection) -> None:
        self._lock = lock
        self._begin = begin
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._begin()
        except _FAILURES as error:
            self._lock.release()
            raise StoreUnavailableError(f"the store failed: {error}") from error
        return self._database

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._database.execute("COMMIT")
        except _FAILURES as failure:
            raise StoreUnavailableError(f"the store failed: {failure}") from failure
        finally:
            # Needed after a failed commit too. If the disk is full, SQLite may already have rolled back.
            if self._database.in_transaction:
                self._database.rollback()
            self._lock.release()
        if isinstance(error, _FAILURES):
            raise StoreUnavailableError(f"the store failed: {error}") from error


class SqliteFile:
    """One file. `read` (a consistent snapshot) and `write` are transactions that hold the lock.

    `find`, `find_or_create` and `now_us` must be called within one of them.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._notifications = Notifications(self._register_listener)
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._sweeper: threading.Thread | None = None
        try:
            Path(path).resolve().parent.mkdir(parents=True, exist_ok=True)
            self.database = self._connect()
            self.database.execute("PRAGMA busy_timeout = 0")  # _begin waits
            self.read = _Transaction(self._lock, partial(self._begin, "BEGIN"), self.database)
            self.write = _Transaction(self._lock, partial(self._begin, "BEGIN IMMEDIATE"), self.database)
            left = self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"{path} can't be used as a store: {error}") from error
        if left:
            self.sweep()

    def _prepare(self) -> bool:
        """Create or migrate the tables; return whether garbage is left over. Raises StoreUnavailableError."""
        try:
            with self.write as database:
                schema.prepare(database)
                return database.execute("SELECT 1 FROM garbage").fetchone() is not None
        except StoreUnavailableError:
            self.database.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return database

    def _begin(self, statement: str) -> None:
        """Begin a transaction. SQLite's own busy handler sleeps for 1 ms or more each time, which is too long."""
        deadline, pause = 0.0, BUSY_PAUSE
        while True:
            try:
                self.database.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                deadline = deadline or time.monotonic() + BUSY_SECONDS
                if time.monotonic() > deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, MAX_BUSY_PAUSE)

    def now_us(self) -> int:
        """Return the time of the store."""
        (offset,) = self.database.execute("SELECT offset_us FROM clock").fetchone()
        return time.time_ns() // 1000 + int(offset)

    def find(self, queue: QueueKey) -> tuple[QueueRow | None, int]:
        """Return the queue, or None if it does not exist, and the time."""
        offset, number, *values = self.database.execute(_FIND, (queue.project, queue.name)).fetchone()
        now = time.time_ns() // 1000 + offset
        return (None if number is None else QueueRow(number, *values)), now

    def find_or_create(self, queue: QueueKey) -> tuple[QueueRow, int]:
        """Return the queue, which is created if it does not exist, and the time."""
        queue_row, now = self.find(queue)
        while queue_row is None:
            self.database.execute(
                "INSERT INTO queues (project, name, live, dead) SELECT ?, ?, next_part, next_part + 1 FROM clock",
                (queue.project, queue.name),
            )
            self.database.execute("UPDATE clock SET next_part = next_part + 2")
            queue_row, now = self.find(queue)
        return queue_row, now

    def watch(self, notify: Notify) -> None:
        """Call `notify` when an awaited queue may have work."""
        self._notifications.listen(notify)

    def notify(self, queue: QueueKey | None, queue_row: QueueRow | None = None) -> None:
        """Notify every process of this queue if it was awaited when `queue_row` was read; if None, of any queue."""
        if queue is not None and (queue_row is None or not queue_row.awaited):
            return
        self._notifications.notify(queue)
        with self.read as database:
            rows = database.execute("SELECT port FROM listeners WHERE until_us > ?", (time.time_ns() // 1000,))
            others = [port for (port,) in rows if port != self._notifications.port]
        if others:
            send(others, queue)

    def _register_listener(self, port: int, until_us: int) -> None:
        with self.write as database:
            database.execute("DELETE FROM listeners WHERE port = ? OR until_us <= ?", (port, time.time_ns() // 1000))
            if until_us:
                database.execute("INSERT INTO listeners VALUES (?, ?)", (port, until_us))

    def sweep(self) -> None:
        """Start deleting garbage in the background."""
        self._dirty.set()
        if self._sweeper is None:
            self._sweeper = threading.Thread(target=self._sweep, name="sqlite-sweeper", daemon=True)
            self._sweeper.start()

    def _sweep(self) -> None:
        database = self._connect()
        while not self._closing.is_set():
            self._dirty.wait()
            self._dirty.clear()
            for find, delete in _SWEEPS:
                try:
                    while not self._closing.is_set() and _sweep_some(database, find, delete):
                        self._closing.wait(SWEEP_PAUSE)
                except sqlite3.OperationalError as error:
                    log.info("sweep failed, retrying: %s", error)
                    self._dirty.set()
                    self._closing.wait(SWEEP_RETRY_SECONDS)
        database.close()

    def close(self) -> None:
        """Close the file. Remaining garbage is deleted after the file is opened again."""
        self._notifications.close()
        self._closing.set()
        self._dirty.set()
        if self._sweeper is not None:
            self._sweeper.join()
        with self._lock:
            self.database.close()


def _sweep_some(database: sqlite3.Connection, find: str, delete: str) -> bool:
    """Delete some garbage; return whether there may be more."""
    with database:
        # Select within the transaction: if another process sweeps too, a row ID can be reused for a task in between.
        database.execute("BEGIN IMMEDIATE")
        rows = database.execute(f"{find} LIMIT {SWEPT_ROWS}").fetchall()
        database.executemany(delete, rows)
    return len(rows) == SWEPT_ROWS
