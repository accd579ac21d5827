"""Checks and background work of a SQLite store: what they do after each fault, how often, and for how long."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.stores.interface import (
    NewTask,
    QueueKey,
    StoreUnavailableError,
)
from emulator.stores.sqlite import check, housekeeping
from emulator.stores.sqlite.check import Check
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.stores.sqlite.test_locked import CountedTime, locked

KEY = QueueKey("p", "q")


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(file)) as store:
        yield store


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_store_that_nobody_has_written_to_restores_its_reserve(store: SqliteStore, file: Path) -> None:
    reserve = file.with_name(f"{file.name}-reserve")
    reserve.unlink()
    store._file._housekeeping.wake()
    until(reserve.exists)


def test_free_pages_are_returned_to_the_disk_if_there_are_more_than_twice_those_to_keep(
    store: SqliteStore, file: Path
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for number in range(20):
            store.insert(KEY, NewTask(f"t{number}", "A" * 20_000))
        for number in range(20):
            store.delete(KEY, f"t{number}")
        (free,) = database.execute("PRAGMA freelist_count").fetchone()
        assert free > 50
        half = free // 2
        work = store._file._housekeeping
        assert not work._vacuum(database, keep=half + free % 2)
        assert database.execute("PRAGMA freelist_count").fetchone() == (free,)
        assert work._vacuum(database, keep=half - 1)
        assert database.execute("PRAGMA freelist_count").fetchone() == (half - 1,)
    assert housekeeping.MAX_FREE_PAGES == 1000


class ScannedDatabase:
    """A database whose scan takes `seconds` of a clock; counts the scans."""

    def __init__(self, clock: CountedTime, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.scans = 0

    def set_progress_handler(self, handler: Callable[[], bool], steps: int) -> None:
        self.handler = handler

    def execute(self, statement: str) -> ScannedDatabase:
        assert statement == "PRAGMA quick_check(1)"
        self.scans += 1
        assert not self.handler()
        self.clock.now += 0.5
        assert not self.handler(), "half a second is allowed"
        self.clock.now += 0.001
        assert self.handler()
        self.clock.now += self.seconds - 0.501
        return self

    def fetchone(self) -> tuple[str]:
        return ("ok",)


@pytest.mark.parametrize(("seconds", "pause"), [(0.0625, 3.0), (0.5, 15.0)])
def test_the_pages_of_a_changing_file_are_read_every_three_seconds_and_a_thirtieth_of_the_time(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, seconds: float, pause: float
) -> None:
    clock = CountedTime()
    monkeypatch.setattr(check, "time", clock)
    checking = Check(store._file._connection, store._file.clock)
    database: Any = ScannedDatabase(clock, seconds)
    found: Any = SimpleNamespace(st_ino=1, st_mtime_ns=1, st_size=1)
    checking._scan(database, found)
    ended = clock.now
    for moment, scans in ((0.0, 1), (pause - 0.01, 1), (pause, 2)):
        clock.now = ended + moment
        found.st_mtime_ns += 1
        checking._scan(database, found)
        assert database.scans == scans
    found.st_ino = 2
    checking._scan(database, found)
    assert database.scans == 3, "another file is read at once"
    clock.now += 1000
    checking._scan(database, found)
    assert database.scans == 3, "an unchanged file isn't read"


def error_with(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("some error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(("code", "interrupted"), [(sqlite3.SQLITE_INTERRUPT, True), (sqlite3.SQLITE_IOERR, False)])
def test_a_scan_that_takes_too_long_ends_without_a_finding(store: SqliteStore, code: int, interrupted: bool) -> None:
    class Interrupted(ScannedDatabase):
        def execute(self, statement: str) -> ScannedDatabase:
            self.scans += 1
            raise error_with(code)

    database: Any = Interrupted(CountedTime(), 0)
    found: Any = SimpleNamespace(st_ino=1, st_mtime_ns=1, st_size=1)
    checking = Check(store._file._connection, store._file.clock)
    if interrupted:
        for _ in range(2):
            checking._scan(database, found)
        assert database.scans == 1
    else:
        with pytest.raises(sqlite3.OperationalError):
            checking._scan(database, found)


class UnlockingTime(CountedTime):
    """Ends the transaction of another program when something has slept for `seconds`."""

    def __init__(self, other: sqlite3.Connection, seconds: float) -> None:
        super().__init__()
        self.other = other
        self.end = self.now + seconds

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.now >= self.end and self.other.in_transaction:
            self.other.execute("ROLLBACK")


@pytest.mark.parametrize(("seconds", "healthy"), [(0.28, True), (0.33, False)])
def test_a_check_waits_three_tenths_of_a_second_for_other_programs(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, healthy: bool
) -> None:
    with locked(file) as other:
        monkeypatch.setattr(check, "time", UnlockingTime(other, seconds))
        problem = store.check().problem
    assert (problem is None) is healthy
    assert healthy or "locked by a write transaction" in str(problem)


def test_a_check_does_not_wait_after_another_error(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = CountedTime()
    monkeypatch.setattr(check, "time", clock)

    class Failing:
        def execute(self, statement: str) -> None:
            raise error_with(sqlite3.SQLITE_IOERR)

    failing: Any = Failing()
    with pytest.raises(sqlite3.OperationalError):
        Check(store._file._connection, store._file.clock)._write(failing)
    assert clock.now == 1000


@pytest.mark.parametrize("fault", ["damage", "another file", "a read-only disk", None])
def test_each_fault_is_noticed_without_a_request(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, fault: str | None
) -> None:
    checks: list[str | None] = []
    file = store._file
    monkeypatch.setattr(file, "health", lambda: checks.append(fault))
    monkeypatch.setattr("emulator.stores.sqlite.faults.on_read_only_disk", lambda _: fault == "a read-only disk")
    file._connection.damage = "a page" if fault == "damage" else None
    file._connection._suspect = fault == "another file"
    file._recheck()
    assert checks == ([fault] if fault else [])
    file._connection.damage, file._connection._suspect = None, False


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (error_with(sqlite3.SQLITE_FULL), False),
        (error_with(sqlite3.SQLITE_BUSY), True),
        (OSError(5, "Input/output error"), True),
        (StoreUnavailableError("locked"), True),
    ],
    ids=["full", "busy", "disk", "unavailable"],
)
def test_background_work_gives_up_the_reserve_only_if_the_disk_is_full(
    store: SqliteStore, file: Path, error: Exception, kept: bool
) -> None:
    work, reserve, failed = store._file._housekeeping, file.with_name(f"{file.name}-reserve"), []

    def fail() -> None:
        failed.append(reserve.exists())
        if len(failed) == 1:
            raise error

    work._work = fail  # type: ignore[method-assign]
    work.wake()
    until(lambda: len(failed) == 2)  # repeated a second later, not after the whole period
    assert failed == [True, kept]
    assert work._rows == (housekeeping.SWEPT_ROWS if kept else housekeeping.SWEPT_ROWS // 2)


@pytest.mark.parametrize("purged", [False, True])
def test_background_work_that_fails_is_repeated(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, purged: bool
) -> None:
    work, swept = store._file._housekeeping, []

    def fail(database: object) -> None:
        raise error_with(sqlite3.SQLITE_BUSY)

    store.insert(KEY, NewTask("one", "eA=="))
    if purged:
        work._purged.set()
    monkeypatch.setattr(work, "_sweep", fail)
    with pytest.raises(sqlite3.OperationalError):
        work._work()
    assert work._purged.is_set() is purged
    monkeypatch.setattr(work, "_sweep", swept.append)
    for _ in range(2):
        work._work()
    assert len(swept) == 1, "and once it succeeded, not again without a change"
