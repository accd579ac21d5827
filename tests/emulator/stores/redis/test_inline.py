"""Calls on the event loop: none of them waits for long, connects, or sends a script twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

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
from emulator.stores.redis import calls, connection
from emulator.stores.redis import store as redis_store
from emulator.stores.redis.inline import InlineConnection
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


@pytest.fixture(autouse=True)
def _any_redis_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run calls on the event loop even while the machine is busy."""
    monkeypatch.setattr(calls, "MAX_INLINE_SECONDS", 60.0)


def opened(between: Proxy) -> Store:
    """Return a store with tasks, whose calls run on the event loop."""
    store = open_store(f"redis://127.0.0.1:{between.port}/0")
    for number in range(TASKS):
        store.insert(QUEUE, NewTask(f"t-{number:02}", PAYLOAD))
    store.lease(OTHER, ALL)  # loads the script
    become_inline(store)
    return store


@pytest.fixture
def store(between: Proxy) -> Iterator[Store]:
    """A store that waits on the event loop as long as usual."""
    store = opened(between)
    yield store
    store.close()


@pytest.fixture
def patient_store(between: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store for which no reply is late."""
    monkeypatch.setattr(redis_store, "INLINE_SECONDS", 10.0)
    store = opened(between)
    yield store
    store.close()


def become_inline(store: Store) -> None:
    until(lambda: store.stats(QUEUE) and store.runs_inline)


def leases(store: Store) -> set[int]:
    """Return the numbers of leases that the tasks have had."""
    return {task.retry_count for task in store.peek(QUEUE, TASKS)}


def test_a_call_is_answered_on_the_event_loop(patient_store: Store) -> None:
    assert len(patient_store.call_inline(patient_store.lease, QUEUE, ALL)) == TASKS
    assert patient_store.call_inline(patient_store.stats, QUEUE).total == TASKS


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
    assert store.stats(QUEUE).total == TASKS


def test_a_reply_that_is_not_used_does_not_become_that_of_another_call(store: Store, between: Proxy) -> None:
    between.behave(SLOW)
    with pytest.raises(StorePendingError) as pending:
        store.call_inline(store.lease, QUEUE, ALL)
    assert pending.value.resume(lambda: store.stats(QUEUE)).total == TASKS
    between.behave(PASS)
    become_inline(store)
    assert store.stats(QUEUE).total == TASKS
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


def test_a_reply_after_the_time_limit_does_not_become_that_of_another_call(
    store: Store, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._inline, "_seconds", 0.1)  # type: ignore[attr-defined]
    between.behave(Behaviour("delay", seconds=1.0))
    with pytest.raises(StorePendingError) as pending:
        store.call_inline(store.lease, QUEUE, ALL)
    with pytest.raises(StoreUnavailableError, match="did not reply in time"):
        pending.value.resume(lambda: store.lease(QUEUE, ALL))
    between.behave(PASS)
    become_inline(store)
    try:
        total = store.call_inline(store.stats, QUEUE).total
    except StorePendingError as late:
        total = late.resume(lambda: store.stats(QUEUE)).total
    assert total == TASKS


def test_the_event_loop_does_not_connect(patient_store: Store, server: RedisServer) -> None:
    server.stop()
    server.start()
    with pytest.raises(StoreBusyError):
        patient_store.call_inline(patient_store.lease, QUEUE, ALL)
    assert len(patient_store.lease(QUEUE, ALL)) == TASKS
    become_inline(patient_store)
    assert patient_store.stats(QUEUE).total == TASKS


def test_an_unknown_script_is_loaded_in_a_thread(patient_store: Store, server: RedisServer) -> None:
    with server.client() as client:
        client.script_flush()
    with pytest.raises(StoreBusyError):
        patient_store.call_inline(patient_store.lease, QUEUE, ALL)
    assert len(patient_store.lease(QUEUE, ALL)) == TASKS


def test_a_new_queue_is_declared_in_a_thread(patient_store: Store) -> None:
    new = QueueKey("project", "new")
    with pytest.raises(StoreBusyError):
        patient_store.call_inline(patient_store.insert, new, NewTask("one", "eA=="))
    assert patient_store.insert(new, NewTask("one", "eA==")).id == "one"


def test_a_call_that_fails_is_reported_and_not_repeated(patient_store: Store, server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailableError, match="no memory left"):
        patient_store.call_inline(patient_store.insert, QUEUE, NewTask("late", "eA=="))


@pytest.mark.parametrize("end", ["used", "not used", "lost", "restarted"])
def test_calls_return_to_the_event_loop_however_often_they_have_left_it(
    between: Proxy, server: RedisServer, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """No connection of the event loop is lost: it can't have more than one here."""
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    store = opened(between)
    for _ in range(2):
        if end == "restarted":
            server.stop()
            server.start()
            with pytest.raises(StoreBusyError):
                store.call_inline(store.stats, QUEUE)
        else:
            between.behave(SLOW if end != "lost" else Behaviour("delay", seconds=0.2))
            with pytest.raises(StorePendingError) as pending:
                store.call_inline(store.lease, QUEUE, ALL)
            if end == "lost":
                between.behave(SWALLOW)
                with pytest.raises(StoreUnavailableError):
                    pending.value.resume(lambda: store.lease(QUEUE, ALL))
            else:
                pending.value.resume(lambda: store.lease(QUEUE, ALL) if end == "used" else store.stats(QUEUE))
            between.behave(PASS)
        become_inline(store)
    store.close()


class FaultyConnection:
    """A connection that fails at one step; it records what happens to it at the end."""

    epoch = 1

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.end: list[str] = []
        self.connection_pool = self  # it replaces its client and its pool, too

    def get_connection(self) -> FaultyConnection:
        return self

    def can_read(self) -> bool:
        return self.fault == "an unread reply"

    def send_command(self, *command: object) -> None:
        if self.fault == "sending":
            raise redis.ConnectionError("lost")

    def read_response(self, disconnect_on_error: bool) -> object:
        raise redis.ConnectionError("lost")

    def disconnect(self) -> None:
        self.end.append("disconnected")

    def release(self, connection: object) -> None:
        self.end.append("released")


@pytest.mark.parametrize(
    ("fault", "error"),
    [("an unread reply", StoreBusyError), ("sending", StoreBusyError), ("receiving", redis.ConnectionError)],
)
def test_a_connection_that_failed_is_disconnected_before_it_is_used_again(fault: str, error: type[Exception]) -> None:
    """Otherwise, a reply that arrives later would become that of another call."""
    faulty = FaultyConnection(fault)
    inline = InlineConnection(faulty, 1.0)  # type: ignore[arg-type]
    inline.connect()
    assert inline.ready
    with pytest.raises(error):
        inline.run("sha", ["key"], [1])
    assert faulty.end == ["disconnected", "released"]
    assert not inline.ready
