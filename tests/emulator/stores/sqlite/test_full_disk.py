"""A full disk: inserts are refused with the cause, and the queue can still be drained."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, StoreUnavailableError
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.stores.sqlite.faulty import Queue, fill, running_queue

CAUSE = "is full; free space, or purge a queue"


def _insert_until_refused(queue: Queue, payload: str) -> list[str]:
    """Insert tasks until the disk has no more room; return the IDs of those that were accepted."""
    accepted: list[str] = []
    while (reply := queue.insert(f"t{len(accepted)}", payload)).status_code == 200:
        accepted.append(reply.json()["id"])
    assert reply.status_code == 503, reply.text
    return accepted


def _drain(queue: Queue) -> list[str]:
    """Lease and delete all tasks; return their IDs."""
    drained: list[str] = []
    while leased := queue.lease():
        assert [queue.delete(name) for name in leased] == [204] * len(leased)
        drained += leased
    return drained


@pytest.mark.parametrize("payload_bytes", [400, 8000, 100_000])
def test_a_full_queue_can_be_drained(small_disk: Path, payload_bytes: int) -> None:
    with running_queue(small_disk / "queue.sqlite3") as queue:
        accepted = _insert_until_refused(queue, "A" * payload_bytes)
        assert len(accepted) > 5
        queue.wait_until_full(CAUSE)
        fill(small_disk)
        queue.refused(CAUSE)
        assert sorted(_drain(queue)) == sorted(accepted)
        (small_disk / "filler").unlink()
        queue.wait_for_health(200)
        assert queue.insert("again", "A" * payload_bytes).status_code == 200
        assert queue.lease() == ["again"]


def test_a_full_queue_accepts_tasks_again_once_it_is_drained(small_disk: Path) -> None:
    """The space of deleted tasks is returned to the disk, although nothing was purged and nothing else was deleted."""
    with running_queue(small_disk / "queue.sqlite3") as queue:
        accepted = _insert_until_refused(queue, "A" * 8000)
        assert sorted(_drain(queue)) == sorted(accepted)
        queue.wait_for_health(200)
        assert queue.insert("again", "A" * 8000).status_code == 200


def test_a_purge_frees_a_full_disk(small_disk: Path) -> None:
    with running_queue(small_disk / "queue.sqlite3") as queue:
        _insert_until_refused(queue, "A" * 8000)
        filler = fill(small_disk)
        form = {"verb": "purge", "sure": "yes"}
        assert queue.client.post("/queues/shop/print", data=form).status_code < 400
        queue.wait_for_health(200)
        assert filler.exists()
        assert queue.insert("again", "A" * 8000).status_code == 200


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_full_queue_can_be_drained_after_a_restart(small_disk: Path, end: signal.Signals) -> None:
    file = small_disk / "queue.sqlite3"
    with running_queue(file) as queue:
        accepted = _insert_until_refused(queue, "A" * 8000)
        queue.end(end)
    fill(small_disk)
    with running_queue(file) as queue:
        assert CAUSE in queue.health()[1]
        assert sorted(_drain(queue)) == sorted(accepted)


def test_a_full_disk_is_reported_while_no_requests_come_in(small_disk: Path) -> None:
    with running_queue(small_disk / "queue.sqlite3") as queue:
        queue.wait_for_health(200)
        filler = fill(small_disk)
        queue.wait_until_full(CAUSE)
        assert queue.client.get("/livez").status_code == 200
        filler.unlink()
        queue.wait_for_health(200)


def test_a_queue_on_a_full_disk_ends_on_sigterm(small_disk: Path) -> None:
    with running_queue(small_disk / "queue.sqlite3") as queue:
        accepted = _insert_until_refused(queue, "A" * 8000)
        fill(small_disk)
        queue.end(signal.SIGTERM)
    (small_disk / "filler").unlink()
    with running_queue(small_disk / "queue.sqlite3") as queue:
        assert sorted(_drain(queue)) == sorted(accepted)


def test_a_write_that_fails_for_lack_of_space_is_rolled_back(tmp_path: Path) -> None:
    """For example at a quota, which the free space of the disk doesn't show."""
    store, queue = SqliteStore(tmp_path / "q.sqlite3"), QueueKey("p", "q")
    store.insert(queue, NewTask("one", "eA=="))
    database: sqlite3.Connection = store._file.database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailableError, match="is full; free space"):
        store.insert(queue, NewTask("large", "A" * 1_000_000))
    assert [task.id for task in store.lease(queue, LeaseOrder(5, 60))] == ["one"]
    assert store.stats(queue).total == 1
    database.execute("PRAGMA max_page_count = 1000000")
    store.insert(queue, NewTask("large", "A" * 1_000_000))
    store.close()


def test_the_reserve_is_given_up_for_a_lease_and_created_again(small_disk: Path) -> None:
    reserve = small_disk / "queue.sqlite3-reserve"
    with running_queue(small_disk / "queue.sqlite3") as queue:
        accepted = _insert_until_refused(queue, "A" * 8000)
        size = reserve.stat().st_size
        assert size >= 64 * 1024
        filler = fill(small_disk)
        assert reserve.exists()
        leased = queue.lease()  # as many as the reserve has room for
        assert leased
        assert not reserve.exists()
        filler.unlink()
        assert {queue.delete(name) for name in leased} == {204}
        assert sorted(leased + _drain(queue)) == sorted(accepted)
        queue.wait_for_health(200)
        deadline = time.monotonic() + 20
        while not reserve.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert reserve.stat().st_blocks * 512 >= size  # the space is allocated, not only the length
