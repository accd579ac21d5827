"""Space and leftovers: a purge shortens the files, and neither tombstones nor counts accumulate."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey
from emulator.stores.sqlite import housekeeping
from emulator.stores.sqlite.store import SqliteStore

KEY = QueueKey("p", "q")
WAIT_SECONDS = 20


@pytest.fixture(autouse=True)
def no_periodic_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything must happen because of the purge."""
    monkeypatch.setattr(housekeeping, "IDLE_SECONDS", 600.0)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _size(file: Path) -> int:
    """Return the bytes of the file and its journal."""
    return file.stat().st_size + file.with_name(f"{file.name}-wal").stat().st_size


def _count(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_purge_returns_space_to_the_disk_while_the_store_is_open(file: Path) -> None:
    store = SqliteStore(file)
    empty = _size(file)
    for number in range(300):
        store.insert(KEY, NewTask(f"t{number}", "A" * 30_000))
    kept = QueueKey("p", "kept")
    store.insert(kept, NewTask("one", "eA=="))
    assert _size(file) > 9_000_000
    store.purge(KEY)
    _wait_until(lambda: _size(file) < empty + 200_000)
    assert store.get(kept, "one").payload == "eA=="
    store.close()


def test_a_second_purge_is_swept_without_a_restart(file: Path) -> None:
    store = SqliteStore(file)
    for _ in range(3):
        for number in range(20):
            store.insert(KEY, NewTask(f"t{number}", "eA=="))
        store.purge(KEY)
        _wait_until(lambda: _count(file, "tasks") == _count(file, "garbage") == 0)
    store.close()


def test_a_reset_returns_space_to_the_disk_while_the_store_is_open(file: Path) -> None:
    store = SqliteStore(file)
    empty = _size(file)
    for number in range(100):
        store.insert(KEY, NewTask(f"t{number}", "A" * 30_000))
        store.insert(KEY, NewTask(f"d{number}", "eA=="))
        store.delete(KEY, f"d{number}")
        store.lease(KEY, LeaseOrder(1, 600))
    store.reset()
    for table in ("tasks", "garbage", "tombstones", "lease_counts", "queues"):
        _wait_until(lambda table=table: _count(file, table) == 0)
    _wait_until(lambda: _size(file) < empty + 200_000)
    store.close()


def test_a_sweep_continues_after_a_failure(file: Path) -> None:
    store = SqliteStore(file)
    empty = _size(file)
    for number in range(600):
        store.insert(KEY, NewTask(f"t{number}", "A" * 3000))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        store.purge(KEY)
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN IMMEDIATE")
        time.sleep(0.1)  # the sweep fails meanwhile
        other.execute("ROLLBACK")
    _wait_until(lambda: _count(file, "tasks") == 0)
    _wait_until(lambda: _size(file) < empty + 200_000)  # and the space is returned to the disk
    store.close()


def test_tombstones_do_not_accumulate(file: Path) -> None:
    store = SqliteStore(file, tombstone_seconds=0)
    for number in range(200):
        store.insert(KEY, NewTask(f"t{number}", "eA=="))
        store.delete(KEY, f"t{number}")
    assert _count(file, "tombstones") < 5
    store.close()


def test_expired_tombstones_are_removed_by_later_deletes(file: Path) -> None:
    store = SqliteStore(file, tombstone_seconds=60)
    for number in range(100):
        store.insert(KEY, NewTask(f"t{number}", "eA=="))
        store.delete(KEY, f"t{number}")
    assert _count(file, "tombstones") == 100
    store.advance(61)
    for number in range(6):
        store.insert(KEY, NewTask(f"u{number}", "eA=="))
        store.delete(KEY, f"u{number}")
    assert _count(file, "tombstones") == 6
    store.close()


def test_counts_of_leases_do_not_accumulate(file: Path) -> None:
    store = SqliteStore(file)
    for number in range(50):
        store.insert(KEY, NewTask(f"t{number}", "eA=="))
        store.lease(KEY, LeaseOrder(1, 600))
        store.advance(200)
    assert _count(file, "lease_counts") <= 3600 // 200 + 1
    store.close()


def test_a_store_in_memory_is_purged_and_has_no_files(tmp_path: Path) -> None:
    store = SqliteStore(":memory:")
    for number in range(1200):
        store.insert(KEY, NewTask(f"t{number}", "eA=="))
    assert store.purge(KEY) == 1200
    with store._file.read as database:
        assert database.execute("SELECT count(*) FROM tasks").fetchone() == (0,)
    assert store.check().problem is None
    store.close()
    assert not Path(":memory:").exists()
