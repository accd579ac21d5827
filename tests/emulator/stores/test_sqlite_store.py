"""Behaviour specific to the SQLite store: kills, shared files, files of other versions, sweeping."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from emulator.stores.interface import (
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    StoreUnavailableError,
    Task,
    TaskExistsError,
)
from emulator.stores.opening import open_store
from emulator.stores.sqlite import clock, housekeeping, leasing
from emulator.stores.sqlite import file as sqlite_file
from emulator.stores.sqlite import store as sqlite_store
from emulator.stores.sqlite.file import SqliteFile
from emulator.stores.sqlite.store import SqliteStore


@pytest.fixture
def queue() -> QueueKey:
    return QueueKey("project", f"q-{uuid.uuid4().hex}")


def test_inserted_tasks_survive_a_kill(tmp_path: Path, queue: QueueKey) -> None:
    path = tmp_path / "queue.sqlite3"
    code = (
        "import os, signal; from emulator.stores.interface import *; from emulator.stores.opening import open_store\n"
        f"store = open_store('sqlite:///{path}')\n"
        f"store.insert({queue!r}, NewTask('one', 'eA=='))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    store = open_store(f"sqlite:///{path}")
    assert store.get(queue, "one").payload == "eA=="
    store.close()


def test_two_stores_share_one_file(tmp_path: Path, queue: QueueKey) -> None:
    first = open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")
    second = open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")
    first.insert(queue, NewTask("one", "eA=="))
    assert second.get(queue, "one").id == "one"
    first.close()
    second.close()


def _write_version_1(path: Path) -> None:
    """Create a file with the schema of version 1: two queues, a leased task, a tombstone."""
    database = sqlite3.connect(path)
    database.executescript(
        """
        CREATE TABLE tasks (
            project TEXT NOT NULL, queue TEXT NOT NULL, id TEXT NOT NULL, tag TEXT, payload TEXT NOT NULL,
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
        INSERT INTO queues VALUES ('p', 'a'), ('p', 'b');
        INSERT INTO tasks VALUES ('p', 'a', 'one', 'x', 'eA==', 1000, 1000, 1);
        INSERT INTO tasks VALUES ('p', 'b', 'one', NULL, 'eQ==', 5, 5, 0);
        INSERT INTO tombstones VALUES ('p', 'b', 'gone', 9000000000000000);
        INSERT INTO lease_counts VALUES ('p', 'a', strftime('%s', 'now'), 3);
        PRAGMA user_version = 1;
        """
    )
    database.close()


def test_a_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    _write_version_1(tmp_path / "q.sqlite3")
    store = open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")
    first, second = QueueKey("p", "a"), QueueKey("p", "b")
    assert store.queues() == [first, second]
    assert store.get(first, "one") == Task("one", "eA==", "x", 1000, 1000, 1)
    assert store.stats(first) == QueueStats(1, 1000, 3, 3)
    assert [task.payload for task in store.lease(second, LeaseOrder(5, 60))] == ["eQ=="]
    with pytest.raises(TaskExistsError):
        store.insert(second, NewTask("gone", "eA=="))
    new = QueueKey("p", "c")
    store.insert(new, NewTask("one", "eg=="))
    assert store.stats(new).total == 1
    store.close()
    again = open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")
    assert len(again.queues()) == 3
    again.close()


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "q.sqlite3")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreUnavailableError, match=r"written by a later version \(schema 99"):
        open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")


def _rows_left(path: Path) -> int:
    database = sqlite3.connect(path)
    tables = ("tasks", "tombstones", "lease_counts", "garbage")
    left = sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    database.close()
    return int(left)


def test_garbage_is_swept_after_a_restart(tmp_path: Path, queue: QueueKey) -> None:
    path = tmp_path / "q.sqlite3"
    first = SqliteFile(path)
    store = open_store(f"sqlite:///{path}")
    for number in range(1200):
        store.insert(queue, NewTask(f"t{number}", "eA=="))
    store.delete(queue, "t0")
    store.lease(queue, LeaseOrder(1, 60))
    store.close()
    # The state after a kill before the sweep.
    with first.write as database:
        database.execute("INSERT INTO garbage SELECT live FROM queues UNION SELECT dead FROM queues")
        database.execute("DELETE FROM queues")
    first.close()
    again = open_store(f"sqlite:///{path}")
    deadline = time.monotonic() + 20
    while _rows_left(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    again.close()
    assert _rows_left(path) == 0


def test_a_store_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnavailableError, match="can't be used"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'queue.sqlite3'}")


def test_no_statement_scans_a_table(tmp_path: Path) -> None:
    """The number of tasks doesn't matter: every statement uses an index to find its few rows."""
    statements: list[str] = []
    file = SqliteFile(tmp_path / "q.sqlite3")
    file.close()
    database = sqlite3.connect(tmp_path / "q.sqlite3", isolation_level=None)
    for module in (sqlite_store, sqlite_file, leasing, clock):
        for name, value in vars(module).items():
            if isinstance(value, str) and value.startswith(("SELECT", "DELETE")) and not name.startswith("__"):
                statements.append(value)
    statements += [statement for pair in housekeeping.SWEEPS for statement in pair]
    assert len(statements) > 10
    for statement in statements:
        plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", (1,) * statement.count("?")).fetchall()
        for *_, step in plan:
            # These tables have one row per process, purge, queue or store.
            assert not step.startswith("SCAN") or step.split()[1] in ("clock", "garbage", "g", "listeners", "q"), (
                statement
            )
            assert step != "SEARCH tombstones USING PRIMARY KEY (queue=?)", statement
            assert "USE TEMP B-TREE" not in step, statement
    database.close()


def test_a_full_disk_refuses_a_task_entirely_and_the_store_stays_usable(tmp_path: Path, queue: QueueKey) -> None:
    store = SqliteStore(tmp_path / "q.sqlite3")
    store.insert(queue, NewTask("one", "eA=="))
    database = store._file.database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailableError, match="full"):
        store.insert(queue, NewTask("large", "A" * 1_000_000))
    assert [task.id for task in store.lease(queue, LeaseOrder(5, 60))] == ["one"]
    assert store.stats(queue).total == 1
    database.execute("PRAGMA max_page_count = 1000000")
    store.insert(queue, NewTask("large", "A" * 1_000_000))
    store.close()


def test_sweeping_deletes_no_live_task(tmp_path: Path, queue: QueueKey) -> None:
    """Two stores sweep the same garbage while tasks are inserted, which may reuse the IDs of deleted rows."""
    url = f"sqlite:///{tmp_path / 'q.sqlite3'}"
    stores = [open_store(url), open_store(url)]
    kept: list[str] = []
    for round_ in range(6):
        other = QueueKey(queue.project, f"purged-{round_}")
        for number in range(60):
            stores[0].insert(other, NewTask(f"t{number}", "eA=="))
        for store in stores:
            store.purge(other)
            store.purge(QueueKey(queue.project, "purged-0"))
        for number in range(60):
            kept.append(stores[number % 2].insert(queue, NewTask(f"t{round_}-{number}", "eA==")).id)
    for store in stores:
        store.close()
    again = open_store(url)
    assert sorted(task.id for task in again.peek(queue, 1000)) == sorted(kept)
    assert again.stats(queue).total == len(kept)
    again.close()
