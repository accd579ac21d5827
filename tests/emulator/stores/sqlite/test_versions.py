"""The version in the file: older files are backed up and migrated, others are refused with one line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, QueueStats, StoreUnavailableError, Task
from emulator.stores.sqlite import schema
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.stores.sqlite.faulty import refused_start

KEY = QueueKey("shop", "print")
# The tables of release 0.1.0.
VERSION_2 = """
CREATE TABLE clock (offset_us INTEGER NOT NULL, next_part INTEGER NOT NULL);
INSERT INTO clock VALUES (0, 3);
CREATE TABLE queues (
    number INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, name TEXT NOT NULL,
    live INTEGER NOT NULL, dead INTEGER NOT NULL,
    live_count INTEGER NOT NULL DEFAULT 0, dead_count INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0, awaited INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project, name)
);
CREATE TABLE tasks (
    part INTEGER NOT NULL, id TEXT NOT NULL, tag TEXT,
    enqueued_us INTEGER NOT NULL, eta_us INTEGER NOT NULL, retry_count INTEGER NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (part, id)
);
CREATE INDEX tasks_by_eta ON tasks (part, eta_us, id);
CREATE INDEX tasks_by_tag ON tasks (part, tag, eta_us, id);
CREATE TABLE garbage (part INTEGER PRIMARY KEY);
CREATE TABLE tombstones (
    queue INTEGER NOT NULL, id TEXT NOT NULL, until_us INTEGER NOT NULL, PRIMARY KEY (queue, id)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_end ON tombstones (until_us);
CREATE TABLE lease_counts (
    queue INTEGER NOT NULL, second INTEGER NOT NULL, leased INTEGER NOT NULL, PRIMARY KEY (queue, second)
) WITHOUT ROWID;
CREATE TABLE listeners (port INTEGER PRIMARY KEY, until_us INTEGER NOT NULL);
INSERT INTO queues (project, name, live, dead, live_count) VALUES ('shop', 'print', 1, 2, 2);
INSERT INTO tasks VALUES (1, 'one', 'x', 1000, 1000, 1, 'eA==');
INSERT INTO tasks VALUES (1, 'two', NULL, 2000, 2000, 0, 'eQ==');
PRAGMA journal_mode = WAL;
PRAGMA user_version = 2;
"""


@pytest.fixture
def old(file: Path) -> Path:
    with closing(sqlite3.connect(file)) as database:
        database.executescript(VERSION_2)
    return file


def _version(file: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(file)) as database:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
    return application, version


def test_a_new_file_has_a_version_and_an_application_id(file: Path) -> None:
    SqliteStore(file).close()
    assert _version(file) == (schema.APPLICATION_ID, schema.VERSION)


def test_an_older_file_is_backed_up_and_migrated_with_its_tasks(old: Path) -> None:
    store = SqliteStore(old)
    assert store.get(KEY, "one") == Task("one", "eA==", "x", 1000, 1000, 1)
    assert store.stats(KEY) == QueueStats(2, 1000, 0, 0)
    assert [task.id for task in store.lease(KEY, LeaseOrder(5, 60))] == ["one", "two"]
    store.close()
    assert _version(old) == (schema.APPLICATION_ID, schema.VERSION)
    backup = old.with_name("queue.sqlite3.backup-v2")
    assert _version(backup) == (0, 2)
    with closing(sqlite3.connect(backup)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT id, payload FROM tasks ORDER BY id").fetchall() == [
            ("one", "eA=="),
            ("two", "eQ=="),
        ]
    assert not list(old.parent.glob("*.part*"))


def test_a_migrated_file_returns_space_to_the_disk(old: Path) -> None:
    SqliteStore(old).close()
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_a_second_backup_does_not_replace_the_first(old: Path) -> None:
    first = old.with_name("queue.sqlite3.backup-v2")
    first.write_bytes(b"earlier")
    SqliteStore(old).close()
    assert first.read_bytes() == b"earlier"
    assert _version(old.with_name("queue.sqlite3.backup-v2-2")) == (0, 2)


def test_changes_that_are_only_in_the_journal_are_backed_up(old: Path) -> None:
    with closing(sqlite3.connect(old)) as other:
        other.execute("INSERT INTO tasks VALUES (1, 'three', NULL, 3000, 3000, 0, 'eg==')")
        other.execute("UPDATE queues SET live_count = 3")
        other.commit()
        SqliteStore(old).close()
    with closing(sqlite3.connect(old.with_name("queue.sqlite3.backup-v2"))) as database:
        assert database.execute("SELECT count(*) FROM tasks").fetchone() == (3,)


def test_a_migration_that_fails_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(schema.STEPS, 2, schema.FROM_2 + "; INSERT INTO nowhere VALUES (1)")
    with pytest.raises(StoreUnavailableError, match="nowhere"):
        SqliteStore(old)
    assert _version(old) == (0, 2)
    assert not list(old.parent.glob("*.backup*"))
    monkeypatch.undo()
    store = SqliteStore(old)
    assert store.stats(KEY).total == 2
    store.close()


def test_an_older_file_that_cannot_be_backed_up_is_not_migrated(small_disk: Path) -> None:
    file = small_disk / "queue.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(VERSION_2)
        database.execute("UPDATE tasks SET payload = ?", ("A" * 600_000,))
        database.commit()
    assert "is full; free space" in refused_start(file)
    assert _version(file) == (0, 2)
    assert not list(small_disk.glob("*.backup*"))


def test_a_later_version_prevents_the_start(file: Path) -> None:
    SqliteStore(file).close()
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")
    assert "written by a later version (schema 99; supported: up to 3); upgrade" in refused_start(file)


def test_the_database_of_another_program_prevents_the_start(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE accounts (name TEXT)")
    assert "is the database of another program" in refused_start(file)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_another_application_id_prevents_the_start(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.executescript(VERSION_2)
        database.execute("PRAGMA application_id = 12345")
    assert "is the database of another program (application ID 12345, version 2)" in refused_start(file)


def test_a_new_task_can_be_inserted_after_a_migration(old: Path) -> None:
    store = SqliteStore(old)
    store.insert(KEY, NewTask("three", "eA=="))
    store.insert(QueueKey("shop", "other"), NewTask("one", "eA=="))
    assert store.stats(KEY).total == 3
    store.close()
