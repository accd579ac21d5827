"""A file that is deleted or replaced: nothing is acknowledged that would be lost, and nothing is created."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.emulator.stores.sqlite.faulty import Queue, refused_start, running_queue

DELETED = "was deleted or moved while in use"


def test_a_deleted_file_is_reported_and_not_created_again(queue: Queue, file: Path) -> None:
    assert queue.insert("one").status_code == 200
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    queue.refused(DELETED)
    assert DELETED in queue.wait_for_health(503)
    reply = queue.client.post("/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks/lease?numTasks=1&leaseSecs=60")
    assert reply.status_code == 503
    assert not file.exists()
    elsewhere.rename(file)
    queue.wait_for_health(200)
    assert queue.insert("two").status_code == 200
    assert queue.lease() == ["one", "two"]


def test_a_deleted_file_is_reported_while_no_requests_come_in(queue: Queue, file: Path) -> None:
    queue.wait_for_health(200)
    file.unlink()
    assert DELETED in queue.wait_for_health(503)
    assert not file.exists()


def test_a_queue_whose_file_was_deleted_ends_on_sigterm(queue: Queue, file: Path) -> None:
    queue.insert("one")
    file.unlink()
    queue.insert("two")
    queue.end(signal.SIGTERM)
    assert not file.exists()


def test_an_empty_file_in_the_place_of_a_deleted_one_starts_a_new_queue(queue: Queue, file: Path) -> None:
    queue.insert("one")
    file.unlink()
    assert queue.insert("two").status_code == 503
    file.touch()
    queue.wait_for_health(200)
    assert queue.insert("three").status_code == 200
    assert queue.lease() == ["three"]
    queue.end(signal.SIGTERM)
    with running_queue(file) as again:
        assert again.delete("three") == 204


@pytest.mark.parametrize("processes", [1, 2])
def test_a_copy_in_the_place_of_the_file_is_used(file: Path, processes: int) -> None:
    """The journal of the former file is not applied to it."""
    with running_queue(file, "--processes", str(processes)) as queue:
        queue.insert("one")
        copy = file.with_name("copy")
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        for number in range(50):
            assert queue.insert(f"later-{number}", "A" * 5000).status_code == 200
        copy.rename(file)
        queue.wait_for_health(200)
        assert queue.lease() == ["one"]
        with ThreadPoolExecutor(8) as pool:  # over several connections, so that each process inserts
            replies = pool.map(lambda number: httpx.post(**queue.insertion(f"new-{number}")), range(100))
            assert {reply.status_code for reply in replies} == {200}
        assert len(queue.lease()) == 100
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_database_of_another_program_in_the_place_of_the_file_is_refused(queue: Queue, file: Path) -> None:
    queue.insert("one")
    other = file.with_name("other")
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE accounts (name TEXT)")
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    other.rename(file)
    queue.refused("the database of another program")
    assert "the database of another program" in queue.wait_for_health(503)
    elsewhere.rename(file)
    queue.wait_for_health(200)
    assert queue.lease() == ["one"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_deleted_journal_is_recovered(file: Path, processes: int) -> None:
    """All changes since the last checkpoint are in the journal; after a kill, nothing else would have them."""
    with running_queue(file, "--processes", str(processes)) as queue:
        queue.insert("one")
        file.with_name(f"{file.name}-wal").unlink()
        assert queue.insert("two").status_code == 200
        queue.wait_for_health(200)
        queue.end(signal.SIGKILL)
    with running_queue(file) as queue:
        assert queue.lease() == ["one", "two"]


def test_a_missing_file_with_a_journal_prevents_the_start(file: Path) -> None:
    """SQLite would delete the journal, with tasks that are nowhere else."""
    with running_queue(file) as queue:
        queue.insert("one")
        kept = file.with_name("kept")
        kept.mkdir()
        for path in file.parent.glob("queue.sqlite3*"):
            shutil.copy(path, kept)
    lost = kept / file.name
    lost.rename(kept / "moved")
    assert "contains its latest changes" in refused_start(lost)
    (kept / "moved").rename(lost)
    with running_queue(lost) as queue:
        assert queue.lease() == ["one"]


def test_a_folder_that_cannot_be_created_prevents_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert "use another file, or make its folder writable" in refused_start(tmp_path / "file" / "queue.sqlite3")
