"""Whether a file works: it is the open one, it can be written, and from time to time, whether all pages are valid.

A check has a connection of its own and doesn't use the lock of the other callers, so it answers while they wait.
SQLite reports a damaged page only to the caller that reads it, so the pages are read again whenever the file has
changed. That is limited to a small part of the time and, for a large file, to the part that can be read in
MAX_SCAN_SECONDS.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

from emulator.stores.sqlite import clock as store_clock
from emulator.stores.sqlite import faults
from emulator.stores.sqlite.clock import MachineClock
from emulator.stores.sqlite.connection import Connection

BUSY_SECONDS = 0.3  # to wait for transactions of other processes
BUSY_PAUSE = 0.005
SCAN_PAUSE = 3.0  # s between two scans
SCAN_SHARE = 30  # a scan may take one part in this many of the time
MAX_SCAN_SECONDS = 0.5
SCAN_STEPS = 10_000  # instructions of SQLite between two looks at the time


class Check:
    """Checks the file of a connection, and records damage in it."""

    def __init__(self, connection: Connection, clock: MachineClock) -> None:
        self._connection = connection
        self._clock = clock
        self._scanned: tuple[int, int, int] | None = None
        self._scan_at = 0.0

    def require_healthy(self) -> None:
        """Return if the file works. Raises StoreUnavailableError."""
        path = self._connection.path
        if not self._connection.is_intact():
            with self._connection.read:  # opens the file again, or raises the reason
                pass
        try:
            file = path.stat()
            with contextlib.closing(self._connection.connect()) as database:
                self._write(database)
                self._scan(database, file)
        except sqlite3.Error as error:
            failure = self._connection.failed(error)
            if not self._connection.is_intact():
                with self._connection.read:  # closes the file, so that a disk with an error can be unmounted
                    pass
            raise failure from error
        except OSError as error:
            raise faults.unreachable(path, error) from error
        if self._connection.damage is not None:
            raise faults.damaged(path, self._connection.damage)

    def _write(self, database: sqlite3.Connection) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                database.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if not faults.is_busy(error) or time.monotonic() > deadline:
                    raise
            time.sleep(BUSY_PAUSE)
        store_clock.adjust(database, self._clock)
        database.execute("COMMIT")

    def _scan(self, database: sqlite3.Connection, file: os.stat_result) -> None:
        """Read the pages of the file if it has changed since the last scan."""
        found = (file.st_ino, file.st_mtime_ns, file.st_size)
        started = time.monotonic()
        unchanged = found == self._scanned and self._connection.damage is None
        if unchanged or (started < self._scan_at and self._scanned is not None and found[0] == self._scanned[0]):
            return
        database.set_progress_handler(lambda: time.monotonic() > started + MAX_SCAN_SECONDS, SCAN_STEPS)
        try:
            (result,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if result != "ok":
                self._connection.damage = str(result).replace("\n", " ")
            elif self._connection.damage is not None:
                self._connection.recovered()
        except sqlite3.OperationalError as error:
            if faults.code_of(error) != sqlite3.SQLITE_INTERRUPT:
                raise
        self._scanned = found
        self._scan_at = time.monotonic() + max(SCAN_PAUSE, (time.monotonic() - started) * SCAN_SHARE)
