"""The background work of a store: deleting what was purged, returning its space to the disk, and recovering.

A purge only marks rows as garbage. A thread deletes them with connections of its own, in transactions so short that
they don't delay other operations. Then it shortens the file and its journal, so that the disk gets the space back.
Periodically, it empties the journal, which has the payloads of deleted tasks until then, adjusts the clock and the
reserve, and checks a store that failed, so that it recovers on its own.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable

from emulator.stores.interface import StoreFullError, StoreUnavailableError
from emulator.stores.sqlite import clock as store_clock
from emulator.stores.sqlite import faults
from emulator.stores.sqlite.clock import MachineClock
from emulator.stores.sqlite.connection import Connection
from emulator.stores.sqlite.reserve import Reserve

log = logging.getLogger(__name__)
SWEPT_ROWS = 500  # garbage rows deleted per transaction; fewer if the disk is full
SWEEP_RETRY_SECONDS = 1.0  # after a failed transaction, and between the checks of a store that failed
SWEEP_PAUSE = 0.005  # s between two transactions, in which others can use the file
IDLE_SECONDS = 10.0  # between periodic tasks
STOP_SECONDS = 3.0  # to wait for the thread; it is a daemon
VACUUM_PAGES = 200  # returned to the disk per transaction
# Free pages that are kept in the file without a purge: they are reused, and moving pages is work.
MAX_FREE_PAGES = 1000

# A reset deletes all queues at once, and queue numbers only increase.
_DELETED_QUEUE = "queue < (SELECT coalesce(min(number), 9223372036854775807) FROM queues)"
# For each table, how to find garbage rows and how to delete one. CROSS JOIN makes SQLite start with the garbage.
SWEEPS = (
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


class Housekeeping:
    """The background work of one store, from `start` to `close`. `recheck` checks a store that is not healthy."""

    def __init__(
        self, connection: Connection, reserve: Reserve, clock: MachineClock, recheck: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._reserve = reserve
        self._clock = clock
        self._recheck = recheck
        self._purged = threading.Event()  # there may be garbage
        self._wanted = threading.Event()  # don't wait for the next period
        self._closing = threading.Event()
        self._rows = SWEPT_ROWS
        self._thread = threading.Thread(target=self._run, name="sqlite-housekeeping", daemon=True)

    def start(self, *, sweep: bool) -> None:
        """Start the thread. `sweep`: there may be garbage."""
        if sweep:
            self.sweep()
        if not self._connection.in_memory:
            self._thread.start()

    def sweep(self) -> None:
        """Delete garbage and return its space, in the background. A store in memory is swept at once."""
        if self._connection.in_memory:
            for find, delete in SWEEPS:
                with self._connection.write as database:
                    while _delete_some(database, find, delete, SWEPT_ROWS):
                        pass
            return
        self._purged.set()
        self._wanted.set()

    def wake(self) -> None:
        """Check a store that failed soon."""
        self._wanted.set()

    def _run(self) -> None:
        wait = IDLE_SECONDS
        while not self._closing.is_set():
            self._wanted.wait(wait)
            self._wanted.clear()
            wait = IDLE_SECONDS
            if self._closing.is_set():
                return
            try:
                self._recheck()
                self._work()
            except (sqlite3.Error, StoreUnavailableError, OSError) as error:
                log.info("housekeeping failed, retrying: %s", error)
                if isinstance(error, sqlite3.Error) and faults.code_of(error) == sqlite3.SQLITE_FULL:
                    self._reserve.release()
                    self._rows = max(1, self._rows // 2)
                wait = SWEEP_RETRY_SECONDS
            if self._purged.is_set() or not self._reserve.exists:
                wait = SWEEP_RETRY_SECONDS

    def _work(self) -> None:
        if not self._connection.is_intact():
            return  # the next transaction, or the next check, opens the file that is there now
        purged = self._purged.is_set()
        if purged or self._connection.changed:
            self._purged.clear()
            self._connection.changed = False
            shrink = purged or not self._reserve.has_room()
            emptied = False
            try:
                with contextlib.closing(self._connection.connect()) as database:
                    self._sweep(database)
                    shortened = self._vacuum(database, keep=0 if shrink else MAX_FREE_PAGES)
                    (blocked, *_) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                    emptied = not blocked
                    if blocked and shortened and shrink:
                        self._purged.set()
            except (sqlite3.Error, StoreUnavailableError):
                if purged:
                    self._purged.set()
                self._connection.changed = True
                raise
            self._adjust_clock()
            if not emptied:  # another connection was using the journal: empty it in the next period
                self._connection.changed = True
        self._reserve.create()

    def _adjust_clock(self) -> None:
        try:
            with self._connection.write as database:
                store_clock.adjust(database, self._clock)
        except StoreFullError:
            log.debug("clock not adjusted: the disk is full")  # not a reason to give up the reserve
        self._connection.changed = False

    def _sweep(self, database: sqlite3.Connection) -> None:
        for find, delete in SWEEPS:
            more = True
            while more and not self._closing.is_set():
                with database:
                    # Select within the transaction: if another process sweeps too, a row ID can be reused in between.
                    database.execute("BEGIN IMMEDIATE")
                    more = _delete_some(database, find, delete, self._rows)
                if more:
                    self._closing.wait(SWEEP_PAUSE)
        self._rows = SWEPT_ROWS

    def _vacuum(self, database: sqlite3.Connection, keep: int) -> bool:
        """Shorten the file until it has at most `keep` free pages, if it has many more; return whether it did."""
        pages = min(VACUUM_PAGES, self._reserve.checkpoint_pages)
        (free,) = database.execute("PRAGMA freelist_count").fetchone()
        if free <= 2 * keep:
            return False
        while free > keep and not self._closing.is_set():
            # `execute` would return after the first page.
            database.executescript(f"PRAGMA incremental_vacuum({min(pages, free - keep)})")
            (left,) = database.execute("PRAGMA freelist_count").fetchone()
            if left >= free:  # the file was created without auto_vacuum
                return False
            free = left
            self._closing.wait(SWEEP_PAUSE)
        return True

    def close(self) -> None:
        """End the thread. Remaining garbage is deleted after the file is opened again."""
        self._closing.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)


def _delete_some(database: sqlite3.Connection, find: str, delete: str, rows: int) -> bool:
    """Delete some garbage within the current transaction; return whether there may be more."""
    found = database.execute(f"{find} LIMIT {rows}").fetchall()
    database.executemany(delete, found)
    return len(found) == rows
