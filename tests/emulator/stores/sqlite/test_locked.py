"""A write transaction of another program: bounded waiting, then status 503, and recovery when it ends."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from emulator.stores.interface import NewTask, QueueKey, StoreBusyError
from emulator.stores.sqlite import connection
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.server.running import TASKS
from tests.emulator.stores.sqlite.faulty import Queue

CAUSE = "locked by a write transaction of another program"
KEY = QueueKey("p", "q")


@contextmanager
def locked(file: Path) -> Iterator[sqlite3.Connection]:
    """Hold a write transaction. SQLite's locks belong to the connection's process, so this is another program."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield database
        if database.in_transaction:
            database.execute("ROLLBACK")


def test_callers_wait_together_and_then_fail(queue: Queue, file: Path) -> None:
    """40 callers that waited one after another for 2 s each would take longer than a call may take."""
    assert queue.insert("before").status_code == 200
    with locked(file):
        with ThreadPoolExecutor(40) as pool:
            replies = list(pool.map(queue.insert, [f"t{number}" for number in range(40)]))
        assert {reply.status_code for reply in replies} == {503}
        assert {reply.headers["Retry-After"] for reply in replies} == {"1"}
        queue.refused(CAUSE)
        assert queue.client.get("/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks/before").status_code == 200
    assert queue.insert("after").status_code == 200
    assert queue.lease() == ["before", "after"]


def test_health_answers_while_callers_wait(queue: Queue, file: Path) -> None:
    queue.wait_for_health(200)
    with locked(file), ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(queue.insert, f"t{number}") for number in range(40)]
        assert CAUSE in queue.wait_for_health(503)
        assert {call.result().status_code for call in waiting} == {503}
    queue.wait_for_health(200)


def test_a_short_transaction_of_another_program_delays_a_call(queue: Queue, file: Path) -> None:
    with locked(file) as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.insert, "waits")
        time.sleep(0.5)
        assert not waiting.done()
        other.execute("ROLLBACK")
        assert waiting.result().status_code == 200


def test_a_queue_with_a_locked_store_ends_on_sigterm(queue: Queue, file: Path) -> None:
    with locked(file):
        assert queue.insert("refused").status_code == 503
        queue.end(signal.SIGTERM)


def test_reads_continue_while_a_write_waits(file: Path) -> None:
    """The lock of the connection is free while a caller waits for another program."""
    store = SqliteStore(file)
    store.insert(KEY, NewTask("one", "eA=="))
    failed: list[BaseException] = []

    def insert() -> None:
        try:
            store.insert(KEY, NewTask("two", "eA=="))
        except StoreBusyError as error:
            failed.append(error)

    with locked(file):
        writer = threading.Thread(target=insert)
        writer.start()
        while store.runs_inline:
            time.sleep(0.001)
        for _ in range(20):
            assert store.get(KEY, "one").id == "one"
        assert writer.is_alive()
        writer.join()
    assert len(failed) == 1
    store.insert(KEY, NewTask("three", "eA=="))
    assert store.runs_inline
    store.close()


def test_a_transaction_that_does_not_begin_leaves_the_store_usable(file: Path) -> None:
    store = SqliteStore(file)
    with locked(file), pytest.raises(StoreBusyError):
        store.insert(KEY, NewTask("one", "eA=="))
    store.insert(KEY, NewTask("one", "eA=="))
    store.close()


def test_a_lease_that_waits_for_a_task_is_refused(queue: Queue, file: Path) -> None:
    waiting = f"{TASKS}/lease?numTasks=1&leaseSecs=60"
    with locked(file):
        reply = queue.client.post(waiting, headers={"Prefer": "wait=60"})
        assert reply.status_code == 503
        assert CAUSE in reply.json()["error"]["message"]
    queue.insert("one")
    reply = queue.client.post(waiting, headers={"Prefer": "wait=60"})
    assert [item["id"] for item in reply.json()["items"]] == ["one"]


def test_a_caller_waits_again_after_a_pause(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock long ago, during which the last call failed, doesn't make the next call fail at once."""
    monkeypatch.setattr(connection, "BLOCK_GAP_SECONDS", 0.0)
    store = SqliteStore(file)
    with locked(file) as other:
        with pytest.raises(StoreBusyError):
            store.insert(KEY, NewTask("one", "eA=="))
        with ThreadPoolExecutor(1) as pool:
            monkeypatch.setattr(connection, "BLOCK_GAP_SECONDS", -1.0)
            waiting = pool.submit(store.insert, KEY, NewTask("one", "eA=="))
            time.sleep(0.2)
            assert not waiting.done()
            other.execute("ROLLBACK")
            assert waiting.result().id == "one"
    store.close()
