"""The rules of a SQLite store that need a fault at one exact moment, or a clock or a disk that the tests set."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest

from emulator.stores.interface import (
    SECOND,
    LeaseOrder,
    NewTask,
    QueueKey,
    StoreBusyError,
    StoreFullError,
    StoreUnavailableError,
    Task,
)
from emulator.stores.sqlite import connection
from emulator.stores.sqlite.clock import MAX_AHEAD_US, TOLERANCE_US
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.stores.sqlite.test_clock import SetClock
from tests.emulator.stores.sqlite.test_locked import CountedTime, locked
from tests.emulator.stores.sqlite.test_reserve import FLOOR, KIB, MIB, Disk

KEY = QueueKey("p", "q")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(total=64 * MIB, free=64 * MIB)
    monkeypatch.setattr(os, "statvfs", disk.statvfs)
    return disk


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(file)) as store:
        yield store


# -- a full disk


def test_a_lease_that_the_full_disk_has_no_room_for_is_halved_until_one_task_is_too_many(store: SqliteStore) -> None:
    counts: list[int] = []

    def lease(queue: QueueKey, order: LeaseOrder) -> tuple[list[Task], int]:
        counts.append(order.count)
        assert len(counts) < 10
        raise StoreFullError("full")

    store._lease = lease  # type: ignore[assignment]
    with pytest.raises(StoreFullError):
        store.lease(KEY, LeaseOrder(13, 60))
    assert counts == [13, 6, 3, 1]


def test_after_a_refusal_a_task_needs_room_for_another_reserve(file: Path, disk: Disk) -> None:
    """Inserts and health don't change with every page that becomes free."""
    with closing(SqliteStore(file)) as store:
        store.insert(KEY, NewTask("first", "eA=="))
        disk.free = FLOOR - 512
        with pytest.raises(StoreFullError):
            store.insert(KEY, NewTask("refused", "eA=="))
        disk.free = FLOOR + 8 * MIB - 512
        with pytest.raises(StoreFullError):
            store.insert(KEY, NewTask("refused", "eA=="))
        assert "is full" in (store.check().problem or "")
        disk.free = FLOOR + 8 * MIB + KIB
        assert store.check().problem is None
        store.insert(KEY, NewTask("second", "eA=="))
        disk.free = FLOOR + KIB
        assert store.check().problem is None
        store.insert(KEY, NewTask("third", "eA=="))


def test_a_task_that_would_not_fit_on_the_empty_disk_is_refused_and_others_are_not(file: Path, disk: Disk) -> None:
    with closing(SqliteStore(file)) as store:
        disk.free = FLOOR + KIB
        with pytest.raises(StoreFullError):
            store.insert(KEY, NewTask("large", "A" * (23 * MIB)))
        assert store.check().problem is None
        store.insert(KEY, NewTask("small", "eA=="))


# -- notifications


def test_a_change_is_made_although_other_processes_can_not_be_notified(store: SqliteStore) -> None:
    class Failing:
        def __enter__(self) -> Self:
            raise StoreUnavailableError("locked")

        def __exit__(self, *exception: object) -> None: ...

    received: list[QueueKey | None] = []
    store._file._notifications._listeners.append(received.append)
    store._file.read = Failing()  # type: ignore[assignment]
    store.advance(1)
    assert received == [None], "listeners in this process need no file"


# -- the clock


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (-TOLERANCE_US, -TOLERANCE_US),
        (-TOLERANCE_US - 1, 0),
        (MAX_AHEAD_US, MAX_AHEAD_US),
        (MAX_AHEAD_US + 1, 0),
    ],
)
def test_an_offset_is_foreign_that_puts_the_time_a_second_back_or_two_days_ahead(
    file: Path, step: int, expected: int
) -> None:
    clock = SetClock()
    with closing(SqliteStore(file, clock=clock)) as store:
        before = store.now_us()
        clock.steady += step
        assert store.check().problem is None
        assert store.now_us() == before + expected


@pytest.mark.parametrize(("ahead", "taken_over"), [(TOLERANCE_US, False), (TOLERANCE_US + 1, True)])
def test_a_second_of_difference_to_the_machine_is_tolerated(file: Path, ahead: int, taken_over: bool) -> None:
    clock = SetClock()
    with closing(SqliteStore(file, clock=clock)) as store:
        before = store.now_us()
        clock.wall += ahead
        assert store.check().problem is None
        assert store.now_us() == before + (ahead if taken_over else 0)
    assert MAX_AHEAD_US == 2 * 86_400 * SECOND


# -- the connection


def test_opening_a_locked_file_waits_as_long_as_a_caller(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteStore(file).close()
    clock = CountedTime()
    monkeypatch.setattr(connection, "time", clock)
    with locked(file), pytest.raises(StoreUnavailableError, match="locked by a write transaction"):
        SqliteStore(file)
    assert connection.BUSY_SECONDS == 2
    assert 1002 < clock.now < 1002.01


def test_opening_a_locked_file_again_does_not_wait(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first opening waits, because callers wait behind the later ones."""
    clock = CountedTime()
    monkeypatch.setattr(connection, "time", clock)
    store._file.database.close()
    with locked(file):
        with pytest.raises(StoreUnavailableError):
            store.queues()
        with pytest.raises(StoreBusyError):
            store.queues()
    assert clock.now < 1000 + 0.1


class Recorded(sqlite3.Connection):
    """Records which connections are open."""

    opened: set[int] = set()  # noqa: RUF012

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened.add(id(self))

    def close(self) -> None:
        self.opened.discard(id(self))
        super().close()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    connect = sqlite3.connect
    Recorded.opened.clear()
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **named, factory=Recorded))
    return Recorded.opened


def test_a_connection_to_the_database_of_another_program_is_closed(file: Path, recorded: set[int]) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreUnavailableError, match=r"can.t be used as a store: it is the database of another"):
        SqliteStore(file)
    assert recorded == set()


def test_a_connection_whose_tables_can_not_be_prepared_is_closed(
    file: Path, recorded: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> bool:
        raise StoreUnavailableError("no tables")

    monkeypatch.setattr("emulator.stores.sqlite.schema.prepare", fail)
    with pytest.raises(StoreUnavailableError, match="no tables"):
        SqliteStore(file)
    assert recorded == set()


def test_a_closed_store_leaves_no_connection(file: Path, recorded: set[int]) -> None:
    store = SqliteStore(file)
    store.insert(KEY, NewTask("one", "eA=="))
    assert store.check().problem is None
    store.close()
    assert recorded == set()


# -- a connection that fails


class BrokenDatabase:
    """A connection that can be neither used nor closed."""

    in_transaction = False

    def execute(self, statement: str) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    def close(self) -> None:
        raise sqlite3.OperationalError("unable to close")


@pytest.mark.parametrize("change", ["nothing", "journal deleted", "file replaced"])
def test_a_file_is_opened_again_although_its_old_connection_can_not_be_closed(
    store: SqliteStore, file: Path, change: str
) -> None:
    connected: Any = store._file._connection
    connected._database.close()
    connected._database, connected._suspect = BrokenDatabase(), True
    if change == "journal deleted":
        file.with_name(f"{file.name}-wal").unlink(missing_ok=True)
    elif change == "file replaced":
        copy = file.with_name("copy.sqlite3")
        copy.write_bytes(file.read_bytes())
        copy.rename(file)
    assert store.queues() == []
    store.insert(KEY, NewTask("one", "eA=="))


def test_a_connection_that_can_not_be_closed_does_not_prevent_the_end(file: Path) -> None:
    store = SqliteStore(file)
    store._file.database.close()
    broken: Any = BrokenDatabase()
    store._file._connection._database = broken
    store.close()
    with pytest.raises(StoreUnavailableError):
        store.queues()
