"""The SQLite file of a store: its connection, clock, reserve and health, and the rows of its queues."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from emulator.stores.interface import QueueKey, StoreFullError, StoreHealth, StoreUnavailableError
from emulator.stores.sqlite import clock as store_clock
from emulator.stores.sqlite import faults, schema
from emulator.stores.sqlite.check import Check
from emulator.stores.sqlite.clock import MachineClock
from emulator.stores.sqlite.connection import MEMORY, Connection
from emulator.stores.sqlite.housekeeping import Housekeeping
from emulator.stores.sqlite.notifications import Notifications, Notify, send
from emulator.stores.sqlite.reserve import Reserve

log = logging.getLogger(__name__)

_FIND = (
    "SELECT steady_offset_us, number, live, dead, live_count, dead_count, paused, awaited "
    "FROM clock LEFT JOIN queues ON project = ? AND name = ?"
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


class SqliteFile:
    """One file, or a store in memory (the path MEMORY). `read` (a consistent snapshot) and `write` are transactions.

    `find`, `find_or_create` and `now_us` must be called within one of them. Raises StoreUnavailableError.
    """

    def __init__(self, path: str | Path, clock: MachineClock | None = None) -> None:
        in_memory = str(path) == MEMORY
        self.path = Path(path) if in_memory else Path(os.path.realpath(path))
        self.clock = clock or MachineClock()
        self._notifications = Notifications(self._register_listener)
        self._migrated = False
        self._refused_bytes = 0  # of the largest payload that was refused since there was enough room
        try:
            self._reserve = Reserve(self.path)
            self._connection = self._open()
        except StoreUnavailableError as error:
            raise StoreUnavailableError(f"{path} can't be used as a store: {error}") from error
        except OSError as error:
            raise StoreUnavailableError(
                f"{path} can't be used as a store: {error.strerror}; use another file, or make its folder writable"
            ) from error
        self.read, self.write = self._connection.read, self._connection.write
        self._check = Check(self._connection, self.clock)
        if self._migrated:
            self._enable_vacuum()
        self._housekeeping = Housekeeping(self._connection, self._reserve, self.clock, self._recheck)
        if not in_memory:
            self._reserve.create()
        with self.read as database:
            left = database.execute("SELECT 1 FROM garbage").fetchone() is not None
        self._housekeeping.start(sweep=left or self._migrated)

    def _open(self) -> Connection:
        """Open the file; on a full disk, with the space of the reserve."""
        try:
            return Connection(self.path, self._prepare, self._reserve.checkpoint_pages)
        except StoreFullError:
            if not self._reserve.exists:
                raise
        self._reserve.release()
        return Connection(self.path, self._prepare, self._reserve.checkpoint_pages)

    def _prepare(self, database: sqlite3.Connection) -> None:
        in_memory = str(self.path) == MEMORY
        self._migrated = schema.prepare(database, None if in_memory else self.path) or self._migrated
        store_clock.adjust(database, self.clock)

    def _enable_vacuum(self) -> None:
        """Rewrite a file of an older version once, so that it can return free pages to the disk later."""
        try:
            with contextlib.closing(self._connection.connect()) as database:
                database.execute("PRAGMA auto_vacuum = INCREMENTAL")
                database.execute("VACUUM")
        except sqlite3.Error as error:
            log.warning("space of purged tasks will be reused but not returned to the disk: %s", error)

    @property
    def runs_inline(self) -> bool:
        """Whether transactions currently begin at once."""
        return self._connection.runs_inline

    @property
    def database(self) -> sqlite3.Connection:
        """The connection; to be used within a transaction."""
        return self._connection.database

    def now_us(self) -> int:
        """Return the time of the store."""
        (offset,) = store_clock.one_row(self.database.execute("SELECT steady_offset_us FROM clock"))
        return self.clock.steady_us() + int(offset)

    def find(self, queue: QueueKey) -> tuple[QueueRow | None, int]:
        """Return the queue, or None if it does not exist, and the time."""
        found = store_clock.one_row(self.database.execute(_FIND, (queue.project, queue.name)))
        offset, number, *values = found
        return (None if number is None else QueueRow(number, *values)), self.clock.steady_us() + offset

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

    def require_room(self, payload_bytes: int) -> None:
        """Raise StoreUnavailableError if the store should not accept a task of this size: it could be lost."""
        if self._connection.in_memory:
            return
        if self._connection.damage is not None:
            self._housekeeping.wake()
            raise faults.damaged(self.path, self._connection.damage)
        # After a refusal, inserts and health don't change with every page that becomes free.
        if not self._reserve.has_room(payload_bytes, spare=self._refused_bytes > 0):
            if self._reserve.could_have_room(payload_bytes):
                self._refused_bytes = max(self._refused_bytes, payload_bytes)
            self._housekeeping.sweep()
            raise faults.full(self.path)

    def release_reserve(self) -> None:
        """Make the space of the reserve available, because the disk is full."""
        self._reserve.release()
        self._housekeeping.sweep()

    def watch(self, notify: Notify) -> None:
        """Call `notify` when an awaited queue may have work."""
        self._notifications.listen(notify)

    def notify(self, queue: QueueKey | None, queue_row: QueueRow | None = None) -> None:
        """Notify every process of this queue if it was awaited when `queue_row` was read; if None, of any queue.

        Does not raise: what it notifies of is already stored.
        """
        if queue is not None and (queue_row is None or not queue_row.awaited):
            return
        self._notifications.notify(queue)
        try:
            with self.read as database:
                rows = database.execute("SELECT port FROM listeners WHERE until_us > ?", (self.clock.steady_us(),))
                others = [port for (port,) in rows if port != self._notifications.port]
        except StoreUnavailableError as error:
            log.info("other processes not notified: %s", error)
            return
        if others:
            send(others, queue)

    def _register_listener(self, port: int, lifetime_us: int) -> None:
        now = self.clock.steady_us()
        with self.write as database:
            database.execute("DELETE FROM listeners WHERE port = ? OR until_us <= ?", (port, now))
            if lifetime_us:
                database.execute("INSERT INTO listeners VALUES (?, ?)", (port, now + lifetime_us))

    def health(self) -> StoreHealth:
        """Return the result of a check."""
        try:
            if not self._connection.in_memory:
                self._check.require_healthy()
                if not self._reserve.has_room(self._refused_bytes, spare=self._refused_bytes > 0):
                    raise faults.full(self.path)
                self._refused_bytes = 0
        except StoreFullError as error:
            self._housekeeping.sweep()  # recovers on its own once there is space
            return StoreHealth.failed(error)
        except StoreUnavailableError as error:
            return StoreHealth.failed(error)
        return StoreHealth()

    def _recheck(self) -> None:
        """Notice faults without a request or a check of the health, which another process may get.

        On a disk that has become read-only, the file is closed: otherwise the disk couldn't be unmounted and repaired.
        """
        connection = self._connection
        if connection.damage is not None or not connection.is_intact() or faults.on_read_only_disk(self.path):
            self.health()

    def sweep(self) -> None:
        """Start deleting garbage in the background."""
        self._housekeeping.sweep()

    def close(self) -> None:
        """Close the file. Remaining garbage is deleted after the file is opened again."""
        self._notifications.close()
        self._housekeeping.close()
        self._connection.close()
