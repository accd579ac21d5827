"""One connection to the file, shared by the threads of a process: transactions, waiting, and opening it again.

A transaction waits while another program writes, but not for long, and callers don't wait one after another: the time
counts from the first of them, and later ones fail at once until the file is free. The lock is free while a caller
waits, so that others can read. The event loop waits only for INLINE_SECONDS; the call is then repeated in a thread.

Before each transaction, the path is compared with the open file, because SQLite would continue to write to a deleted
one. If another file is in its place, that file is opened. After an error that a new connection may not have, the file
is opened again. It is created only when the store is first opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import trio

from emulator.stores.interface import StoreUnavailableError
from emulator.stores.sqlite import faults, schema

log = logging.getLogger(__name__)
BUSY_SECONDS = 2.0  # to wait for other programs. The transactions of our own processes take well under 1 ms.
INLINE_SECONDS = 0.02  # to wait on the event loop
BUSY_PAUSE = 0.0001  # s before the next attempt; doubled after each, up to MAX_BUSY_PAUSE
MAX_BUSY_PAUSE = 0.002
BLOCK_GAP_SECONDS = 3.0  # without a caller that had to wait, after which waiting counts from zero again
REOPEN_SECONDS = 0.5  # between attempts to open the file again
CACHE_KIB = 16 * 1024  # page cache: enough for the frequently used ends of large indexes
MEMORY = ":memory:"

Identity = tuple[int, int]


def identity_of(path: str) -> Identity:
    """Return what identifies the file at this path. Raises OSError."""
    found = os.stat(path)  # noqa: PTH116  (part of each transaction, and Path is slower)
    return found.st_dev, found.st_ino


class Transaction:
    """A context manager that begins a transaction and commits it, or rolls it back after an error.

    Raises StoreUnavailableError. Each instance is reused for all transactions, because entering it is a hot path.
    """

    def __init__(self, connection: Connection, statement: str) -> None:
        self._connection = connection
        self._statement = statement

    def __enter__(self) -> sqlite3.Connection:
        return self._connection.begin(self._statement)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._connection.end(error)


class Connection:
    """A connection to the file at `path` (MEMORY: a store that exists only in this object).

    `prepare` checks the tables and creates or migrates them, in a write transaction of each new connection.
    `checkpoint_pages` is the size of the journal from which it is copied to the file.
    """

    def __init__(self, path: Path, prepare: Callable[[sqlite3.Connection], None], checkpoint_pages: int) -> None:
        self.path = path
        self.in_memory = str(path) == MEMORY
        self._file_name, self._journal_name = str(path), f"{path}-wal"
        self.read = Transaction(self, "BEGIN")
        self.write = Transaction(self, "BEGIN IMMEDIATE")
        self.changed = False  # set by each write transaction
        self.damage: str | None = None  # found by a caller or a check
        self._prepare = prepare
        self._checkpoint_pages = checkpoint_pages
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._identity: Identity = (0, 0)
        self._journal: Identity | None = None
        self._populated: Identity | None = None  # of a file that contained the tables, and can't be new
        self._blocked_since: float | None = None
        self._blocked_at = 0.0  # when a caller last had to wait
        self._suspect = False
        self._fault: StoreUnavailableError | None = None
        self._opened_at = 0.0
        self._closed = False
        if not self.in_memory:
            self._create()
        self._open()

    @property
    def database(self) -> sqlite3.Connection:
        """The open connection; to be used within a transaction."""
        assert self._database is not None
        return self._database

    @property
    def runs_inline(self) -> bool:
        """Whether transactions currently begin at once."""
        return self._blocked_since is None

    def _create(self) -> None:
        """Create an empty file if there is none. Raises OSError, and StoreUnavailableError if tasks would be lost."""
        if self.path.exists() and self.path.stat().st_size:
            return
        journal = Path(self._journal_name)
        if journal.exists():  # it is deleted when the store is closed properly
            raise StoreUnavailableError(
                f"{self.path} is missing or empty, but {journal} contains its latest changes; move a copy of the file "
                "to its place, or delete the journal to start without tasks"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))

    def connect(self) -> sqlite3.Connection:
        """Return a new connection, which doesn't wait for others and never creates the file.

        Raises sqlite3.Error, OSError, and StoreUnavailableError for the file of another program.
        """
        target, uri = (MEMORY, False) if self.in_memory else (f"{self.path.as_uri()}?mode=rw", True)
        new = not self.in_memory and self.path.stat().st_size == 0
        if new and identity_of(self._file_name) == self._populated:
            self.damage = "it is empty"
            raise faults.damaged(self.path, self.damage)
        database = sqlite3.connect(target, timeout=0, isolation_level=None, check_same_thread=False, uri=uri)
        try:
            schema.version_of(database)  # before the first change
            if new:
                database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before anything is written
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            # Deleted payloads are overwritten, because they may contain names. Deleting a large one thereby takes as
            # long as inserting it (700 KB: 8 ms instead of 0.2 ms); for usual tasks, there is no measurable difference.
            database.execute("PRAGMA secure_delete = ON")
            database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            database.execute(f"PRAGMA wal_autocheckpoint = {self._checkpoint_pages}")
            database.execute(f"PRAGMA journal_size_limit = {self._checkpoint_pages * 4096}")
        except (sqlite3.Error, OSError, StoreUnavailableError):
            database.close()
            raise
        return database

    def _open(self) -> None:
        """Open the file and prepare its tables; the lock is held, or the object is new.

        Raises StoreUnavailableError, OSError.
        """
        deadline = time.monotonic() + (BUSY_SECONDS if self._identity == (0, 0) else 0)
        while True:
            try:
                self._open_once()
                return
            except sqlite3.Error as error:
                if not faults.is_busy(error) or time.monotonic() > deadline:
                    raise faults.described(error, self.path) from error
            time.sleep(MAX_BUSY_PAUSE)

    def _open_once(self) -> None:
        identity = (0, 1) if self.in_memory else identity_of(self._file_name)
        # SQLite would create a journal that is read-only too, and remain so.
        if not self.in_memory and not os.access(self.path, os.W_OK):
            raise faults.read_only(self.path)
        database = self.connect()
        try:
            database.execute("BEGIN IMMEDIATE")
            self._prepare(database)
            database.execute("COMMIT")
        except (sqlite3.Error, OSError, StoreUnavailableError):
            database.close()  # rolls back
            raise
        self._database, self._identity, self._suspect = database, identity, False
        self._populated = identity
        self._journal = None if self.in_memory else identity_of(self._journal_name)

    def begin(self, statement: str) -> sqlite3.Connection:
        """Begin a transaction and return the connection. Raises StoreUnavailableError."""
        deadline, pause = 0.0, BUSY_PAUSE
        while True:
            if self._lock.acquire(blocking=False) or self._lock.acquire(timeout=self._patience()):
                begun = False
                try:
                    if not self.in_memory:
                        self._require_file()
                    self.database.execute(statement)
                    begun = True
                    if statement != "BEGIN":
                        self.changed, self._blocked_since = True, None
                    return self.database
                except sqlite3.Error as error:
                    if not faults.is_busy(error):
                        raise self.failed(error) from error
                finally:
                    if not begun:
                        self._lock.release()
            now = time.monotonic()
            deadline = deadline or now + self._patience()
            if self._blocked_since is None or now > self._blocked_at + BLOCK_GAP_SECONDS:
                self._blocked_since = now
            self._blocked_at = now
            if now >= deadline:
                raise faults.busy(self.path)
            time.sleep(pause)
            pause = min(2 * pause, MAX_BUSY_PAUSE)

    def _patience(self) -> float:
        """Return the seconds to wait for the file: what is left since the first caller began to wait."""
        if trio.lowlevel.in_trio_run():
            return INLINE_SECONDS
        since, now = self._blocked_since, time.monotonic()
        if since is None or now > self._blocked_at + BLOCK_GAP_SECONDS:
            return BUSY_SECONDS
        return max(0.0, since + BUSY_SECONDS - now)

    def end(self, error: BaseException | None) -> None:
        """Commit, or roll back after an error; release the lock. Raises StoreUnavailableError."""
        try:
            try:
                if error is None:
                    self.database.execute("COMMIT")
            finally:
                # Needed after a failed commit too. If the disk is full, SQLite may already have rolled back.
                if self.database.in_transaction:
                    self.database.rollback()
        except sqlite3.Error as failure:
            raise self.failed(failure) from failure
        finally:
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise self.failed(error) from error

    def failed(self, error: sqlite3.Error) -> StoreUnavailableError:
        """Note an error, so that the file is opened again if that may help; return the error for the caller."""
        self._suspect = self._suspect or faults.needs_reopening(error)
        if faults.is_damage(error):
            self.damage = str(error)
        return faults.described(error, self.path)

    def recovered(self) -> None:
        """Note that a file in which damage was found is valid again. It is opened again, because pages are cached."""
        self.damage = None
        self._suspect = True

    def is_intact(self) -> bool:
        """Return whether the connection works, and its file and journal are those at the path."""
        try:
            same = identity_of(self._file_name) == self._identity and identity_of(self._journal_name) == self._journal
        except OSError:
            return False
        return same and not self._suspect and self._fault is None

    def _require_file(self) -> None:
        """Make sure that the open files are those at the path; the lock is held. Raises StoreUnavailableError."""
        if self.is_intact():
            return
        try:
            identity = identity_of(self._file_name)
        except OSError as error:
            raise faults.unreachable(self.path, error) from error
        if self._closed:
            raise StoreUnavailableError(f"the store {self.path} is closed")
        if identity == self._identity:
            self._recover_journal()
            if time.monotonic() < self._opened_at + REOPEN_SECONDS:
                if self._fault is not None:
                    raise self._fault
                return
        self._reopen(identity)

    def _recover_journal(self) -> None:
        """If the journal was deleted, copy it to the file through the connection that still has it open."""
        if self._database is None or Path(self._journal_name).exists():
            return
        log.warning("journal of the store was deleted, recovering its changes: %s", self._journal_name)
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._opened_at = 0.0

    def _reopen(self, identity: Identity) -> None:
        self._opened_at = time.monotonic()
        if self._database is not None:
            if identity != self._identity:
                log.warning("store file replaced, opening the new one: %s", self.path)
                self._detach(self._database)
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        self._identity = identity
        try:
            self._open()
        except StoreUnavailableError as error:
            self._fault = error
            raise
        except OSError as error:
            self._fault = faults.unreachable(self.path, error)
            raise self._fault from error
        self._fault = self.damage = None

    def _detach(self, database: sqlite3.Connection) -> None:
        """Make sure that the journal of a file that was replaced isn't applied to the new file."""
        with contextlib.suppress(sqlite3.Error):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with contextlib.suppress(OSError):
            if self._journal is not None and identity_of(self._journal_name) == self._journal:
                Path(self._journal_name).unlink()
                Path(f"{self._file_name}-shm").unlink()

    def close(self) -> None:
        """Close the connection, even if a transaction in another thread hangs."""
        self._closed = True
        held = self._lock.acquire(timeout=BUSY_SECONDS)
        try:
            if held and self._database is not None:
                self._database.close()
        except sqlite3.Error as error:
            log.warning("store not closed properly: %s", error)
        finally:
            if held:
                self._lock.release()
