"""A damaged file: no hang, inserts are refused, health reports the damage, and a good file in its place is used."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.emulator.stores.sqlite.faulty import Queue, refused_start, running_queue

CAUSE = "is damaged"
PAGE = 4096


def _fill(queue: Queue, count: int = 40) -> list[str]:
    """Insert tasks of several pages each; return their IDs."""
    names = [f"t{number}" for number in range(count)]
    assert {queue.insert(name, "A" * 12_000).status_code for name in names} == {200}
    return names


def _checkpoint(file: Path) -> None:
    """Copy the journal to the file, so that damage to the file matters."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _good_copy(file: Path) -> Path:
    """Return a copy of the store, made while it is in use."""
    copy = file.with_name("good.sqlite3")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
    return copy


def _overwrite(file: Path, offset: int, content: bytes) -> None:
    with file.open("r+b") as damaged:
        damaged.seek(offset)
        damaged.write(content)


def _damage_pages(file: Path) -> None:
    """Overwrite every page but the first few."""
    pages = file.stat().st_size // PAGE
    for page in range(3, pages):
        _overwrite(file, page * PAGE, b"\xff" * PAGE)


def _damage_header(file: Path) -> None:
    _overwrite(file, 0, b"This is not a database. " * 170)


def _truncate(file: Path) -> None:
    with file.open("r+b") as damaged:
        damaged.truncate(5 * PAGE)


def _empty(file: Path) -> None:
    with file.open("r+b") as damaged:
        damaged.truncate(0)


DAMAGES = [_damage_pages, _damage_header, _truncate, _empty]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_reported_and_a_good_file_is_used(queue: Queue, file: Path, damage: object) -> None:
    assert callable(damage)
    names = _fill(queue)
    _checkpoint(file)
    copy = _good_copy(file)
    queue.wait_for_health(200)
    damage(file)
    assert CAUSE in queue.wait_for_health(503)
    queue.refused(CAUSE)
    for _ in range(3):  # every call is answered, whether it succeeds or not
        reply = queue.client.get("/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks")
        assert reply.status_code in (200, 503)
    copy.rename(file)
    queue.wait_for_health(200)
    assert sorted(queue.lease()) == sorted(names)
    assert queue.insert("after").status_code == 200


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_queue_with_a_damaged_store_ends_on_sigterm(queue: Queue, file: Path, damage: object) -> None:
    assert callable(damage)
    _fill(queue)
    _checkpoint(file)
    damage(file)
    queue.wait_for_health(503)
    queue.insert("refused")
    queue.client.post("/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks/lease?numTasks=100&leaseSecs=60")
    queue.end(signal.SIGTERM)


def test_a_damaged_file_prevents_the_start(file: Path) -> None:
    file.write_bytes(b"This is not a database. " * 1000)
    assert f"{file} is damaged (file is not a database)" in refused_start(file)


def test_a_file_that_is_repaired_in_place_is_used(queue: Queue, file: Path) -> None:
    names = _fill(queue)
    _checkpoint(file)
    content = file.read_bytes()
    queue.wait_for_health(200)
    _damage_header(file)
    assert CAUSE in queue.wait_for_health(503)
    _overwrite(file, 0, content[:PAGE])
    queue.wait_for_health(200)
    assert sorted(queue.lease()) == sorted(names)


def test_an_empty_file_with_a_journal_prevents_the_start(file: Path) -> None:
    """SQLite would delete the journal, with tasks that are nowhere else."""
    with running_queue(file) as queue:
        queue.insert("one")
    _empty(file)
    file.with_name(f"{file.name}-wal").write_bytes(b"journal")
    assert "is missing or empty, but" in refused_start(file)
    assert file.with_name(f"{file.name}-wal").exists()
