"""Calls on the event loop: none of them waits for long, connects, or sends a script twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.stores.interface import (
    LeaseOrder,
    NewTask,
    QueueKey,
    Store,
    StoreBusyError,
    StorePendingError,
    StoreUnavailableError,
)
from emulator.stores.opening import open_store
from tests.proxy import PASS, SWALLOW, Behaviour, Proxy, proxy
from tests.redis_faults import until
from tests.redis_server import RedisServer

QUEUE, OTHER = QueueKey("project", "inline"), QueueKey("project", "other")
TASKS = 20
ALL = LeaseOrder(TASKS, 600, max_bytes=1 << 30)
PAYLOAD = "A" * 100_000  # so that a lease of all tasks arrives in many pieces
SLOW = Behaviour("delay", seconds=0.05)  # each piece


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, durable=True).running() as server:
        yield server


@pytest.fixture
def between(server: RedisServer) -> Iterator[Proxy]:
    with proxy(server.url) as between:
        yield between


@pytest.fixture
def store(between: Proxy) -> Iterator[Store]:
    """A store with tasks, whose calls run on the event loop."""
    store = open_store(f"redis://127.0.0.1:{between.port}/0")
    for number in range(TASKS):
        store.insert(QUEUE, NewTask(f"t-{number:02}", PAYLOAD))
    store.lease(OTHER, ALL)  # loads the script
    become_inline(store)
    yield store
    store.close()


def become_inline(store: Store) -> None:
    until(lambda: store.stats(QUEUE) and store.runs_inline)


def leases(store: Store) -> set[int]:
    """Return the numbers of leases that the tasks have had."""
    return {task.retry_count for task in store.peek(QUEUE, TASKS)}


def answered_inline(store: Store) -> bool:
    """Return whether the reply to a call arrived while the event loop waited; check the reply."""
    try:
        stats = store.call_inline(store.stats, QUEUE)
    except StorePendingError as pending:  # the machine is busy
        stats = pending.resume(lambda: store.stats(QUEUE))
        become_inline(store)
        return False
    assert stats.total == TASKS
    return True


def test_a_call_is_answered_at_once(store: Store) -> None:
    until(lambda: answered_inline(store))
    until(lambda: answered_inline(store))


def test_a_late_reply_is_received_in_a_thread_piece_by_piece(store: Store, between: Proxy) -> None:
    between.behave(SLOW)
    with pytest.raises(StorePendingError) as pending:
        store.call_inline(store.lease, QUEUE, ALL)
    assert not store.runs_inline
    tasks = pending.value.resume(lambda: store.lease(QUEUE, ALL))
    assert [task.id for task in tasks] == [f"t-{number:02}" for number in range(TASKS)]
    assert {task.payload for task in tasks} == {PAYLOAD}
    between.behave(PASS)
    assert leases(store) == {1}
    become_inline(store)
    until(lambda: answered_inline(store))


def test_a_reply_that_is_not_used_does_not_become_that_of_another_call(store: Store, between: Proxy) -> None:
    between.behave(SLOW)
    with pytest.raises(StorePendingError) as pending:
        store.call_inline(store.lease, QUEUE, ALL)
    assert pending.value.resume(lambda: store.stats(QUEUE)).total == TASKS
    between.behave(PASS)
    become_inline(store)
    until(lambda: answered_inline(store))
    assert leases(store) == {1}


def test_a_late_reply_that_is_lost_is_reported_and_the_script_is_not_repeated(store: Store, between: Proxy) -> None:
    between.behave(Behaviour("delay", seconds=0.2))
    with pytest.raises(StorePendingError) as pending:
        store.call_inline(store.lease, QUEUE, ALL)
    between.behave(SWALLOW)
    with pytest.raises(StoreUnavailableError):
        pending.value.resume(lambda: store.lease(QUEUE, ALL))
    between.behave(PASS)
    become_inline(store)
    assert leases(store) == {1}


def test_the_event_loop_does_not_connect(store: Store, server: RedisServer) -> None:
    server.stop()
    server.start()
    with pytest.raises(StoreBusyError):
        store.call_inline(store.lease, QUEUE, ALL)
    assert len(store.lease(QUEUE, ALL)) == TASKS
    become_inline(store)
    until(lambda: answered_inline(store))


def test_an_unknown_script_is_loaded_in_a_thread(store: Store, server: RedisServer) -> None:
    with server.client() as client:
        client.script_flush()
    with pytest.raises(StoreBusyError):
        store.call_inline(store.lease, QUEUE, ALL)
    assert len(store.lease(QUEUE, ALL)) == TASKS


def test_a_new_queue_is_declared_in_a_thread(store: Store) -> None:
    new = QueueKey("project", "new")
    with pytest.raises(StoreBusyError):
        store.call_inline(store.insert, new, NewTask("one", "eA=="))
    assert store.insert(new, NewTask("one", "eA==")).id == "one"


def test_a_call_that_fails_is_reported_and_not_repeated(store: Store, server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailableError, match="no memory left"):
        store.call_inline(store.insert, QUEUE, NewTask("late", "eA=="))
