"""A transaction that fails at its begin, in between or at its commit changes nothing, and the store stays usable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from emulator.stores.interface import NewTask, QueueKey, StoreUnavailableError, TaskUnknownError
from emulator.stores.sqlite import connection
from emulator.stores.sqlite.store import SqliteStore

KEY = QueueKey("p", "q")
ONE = NewTask("one", "eA==")
INSERT = "INSERT INTO queues (project, name, live, dead) VALUES ('p', 'lost', 1000, 1001)"


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(file)) as store:
        yield store


def require_usable(store: SqliteStore) -> None:
    """Check that no change was kept, and that threads can read and write."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(store.queues).result(20) == []
        assert pool.submit(store.insert, KEY, ONE).result(20).id == "one"
    with store._file.read as database:
        assert database.in_transaction
    assert not store._file.database.in_transaction
    assert store.check().problem is None


def execute(store: SqliteStore, *statements: str, error: Exception | None = None) -> None:
    """Execute statements in one transaction, in which the caller then raises an error."""
    with store._file.write as database:
        for statement in statements:
            database.execute(statement)
        if error is not None:
            raise error


def test_a_commit_that_fails_is_rolled_back(store: SqliteStore) -> None:
    """SQLite keeps a transaction open whose commit violates a deferred constraint."""
    database = store._file.database
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY)")
    database.execute("CREATE TEMP TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(StoreUnavailableError, match="FOREIGN KEY constraint failed"):
        execute(store, INSERT, "INSERT INTO child VALUES (1)")
    assert not database.in_transaction
    require_usable(store)


def test_a_begin_that_fails_leaves_the_store_usable(store: SqliteStore) -> None:
    store._file.database.execute("BEGIN")  # there can't be a second one
    with pytest.raises(StoreUnavailableError, match="within a transaction"):
        store.insert(KEY, ONE)
    require_usable(store)


def test_a_connection_that_is_closed_is_opened_again(store: SqliteStore) -> None:
    store._file.database.close()
    require_usable(store)


def test_a_connection_that_cannot_be_opened_again_is_not_tried_at_each_call(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0
    connect = sqlite3.connect
    now = 1000.0

    class Time:
        def monotonic(self) -> float:
            return now

        def sleep(self, seconds: float) -> None:
            nonlocal now
            now += seconds

    def failing(*_: object, **__: object) -> sqlite3.Connection:
        nonlocal attempts
        attempts += 1
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(connection, "time", Time())
    store._file.database.close()
    monkeypatch.setattr(sqlite3, "connect", failing)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            store.queues()
    assert attempts == 1
    now += connection.REOPEN_SECONDS
    with pytest.raises(StoreUnavailableError, match="disk I/O error"):
        store.queues()
    assert attempts == 2
    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(StoreUnavailableError, match="disk I/O error"):
        store.queues()
    now += connection.REOPEN_SECONDS
    require_usable(store)


def test_a_statement_that_fails_rolls_its_transaction_back(store: SqliteStore) -> None:
    with pytest.raises(StoreUnavailableError, match="no such table"):
        execute(store, INSERT, "SELECT * FROM nowhere")
    require_usable(store)


def test_an_error_of_the_caller_rolls_its_transaction_back_and_is_passed_on(store: SqliteStore) -> None:
    with pytest.raises(TaskUnknownError, match="one"):
        execute(store, INSERT, error=TaskUnknownError("one"))
    require_usable(store)


def test_a_closed_store_refuses_calls(file: Path) -> None:
    store = SqliteStore(file)
    store.insert(KEY, ONE)
    store.close()
    with pytest.raises(StoreUnavailableError):
        store.queues()
    with closing(SqliteStore(file)) as again:
        assert again.get(KEY, "one").id == "one"
