"""The clock of a Redis that is set back or ahead: due tasks can be leased, leases end, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.stores.interface import (
    SECOND,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    Store,
)
from emulator.stores.opening import open_store
from tests.redis_faults import until
from tests.redis_server import RedisServer

QUEUE = QueueKey("project", "clock")
HOUR = 3600


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, clock=tmp_path / "clock").running() as server:
        yield server


@pytest.fixture
def store(server: RedisServer) -> Iterator[Store]:
    store = open_store(server.url)
    yield store
    store.close()


def test_the_clock_of_the_test_server_can_be_shifted(server: RedisServer, store: Store) -> None:
    for shift in (-HOUR, HOUR, 0):
        server.shift_clock(shift)
        assert abs(store.now_us() / SECOND - time.time() - shift) < 60


def test_due_tasks_can_be_leased_after_the_clock_was_set_back(server: RedisServer, store: Store) -> None:
    for task in (NewTask("one", "eA=="), NewTask("two", "eA==", "x")):
        store.insert(QUEUE, task)
    time.sleep(1.1)  # The next script records the clock: both tasks are due by it.
    store.insert(QUEUE, NewTask("three", "eA==", eta_us=store.now_us() + 60 * SECOND))
    server.shift_clock(-HOUR)
    assert [task.id for task in store.lease(QUEUE, LeaseOrder(1, 60))] == ["one"]
    assert [task.id for task in store.lease(QUEUE, LeaseOrder(1, 60, group_by_tag=True, tag="x"))] == ["two"]


def test_a_task_whose_time_was_not_recorded_is_due_within_a_second(server: RedisServer, store: Store) -> None:
    """Not every script records the clock, so after a shift the queue may continue from up to a second before."""
    store.insert(QUEUE, NewTask("one", "eA=="))
    time.sleep(0.5)
    store.insert(QUEUE, NewTask("two", "eA=="))
    server.shift_clock(-HOUR)
    assert [task.id for task in store.lease(QUEUE, LeaseOrder(2, 60))] == ["one"]
    until(lambda: store.lease(QUEUE, LeaseOrder(1, 60)))


def test_leases_end_in_time_after_the_clock_was_set_back(server: RedisServer, store: Store) -> None:
    store.insert(QUEUE, NewTask("one", "eA=="))
    (before,) = store.lease(QUEUE, LeaseOrder(1, 600))
    server.shift_clock(-HOUR)
    renewed = store.renew(QUEUE, "one", before.eta_us, 1)
    assert renewed.eta_us < before.eta_us
    until(lambda: store.lease(QUEUE, LeaseOrder(1, 60)))
    with pytest.raises(LeaseConflictError):
        store.renew(QUEUE, "one", renewed.eta_us, 60)


def test_time_passes_for_waiting_leases_only_after_the_clock_was_set_back(server: RedisServer, store: Store) -> None:
    """Without any other operation, a lease that ends later must still end."""
    store.insert(QUEUE, NewTask("one", "eA=="))
    store.lease(QUEUE, LeaseOrder(1, 2))
    server.shift_clock(-HOUR)
    until(lambda: store.lease(QUEUE, LeaseOrder(1, 60, awaited=True)))


def test_the_order_of_tasks_is_kept_across_a_clock_that_was_set_back(server: RedisServer, store: Store) -> None:
    names = []
    for number, shift in enumerate((0, -HOUR, -2 * HOUR, 0)):
        server.shift_clock(shift)
        names.append(f"t{number}")
        store.insert(QUEUE, NewTask(names[-1], "eA=="))
        assert abs(store.get(QUEUE, names[-1]).enqueued_us / SECOND - time.time()) < 60
    assert [task.id for task in store.lease(QUEUE, LeaseOrder(10, 60))] == names


def test_the_clock_returns_to_normal_when_it_is_corrected(server: RedisServer, store: Store) -> None:
    store.insert(QUEUE, NewTask("one", "eA=="))
    server.shift_clock(-HOUR)
    store.insert(QUEUE, NewTask("two", "eA=="))
    server.shift_clock(0)
    store.insert(QUEUE, NewTask("three", "eA=="))
    assert abs(store.get(QUEUE, "three").enqueued_us / SECOND - time.time()) < 60
    with server.client() as client:
        assert client.hget("render-trio:{project/clock}:state", "shift") == "0"


def test_a_deleted_id_stays_reserved_while_the_clock_is_behind(server: RedisServer, store: Store) -> None:
    store.insert(QUEUE, NewTask("one", "eA=="))
    store.delete(QUEUE, "one")
    server.shift_clock(-HOUR)
    with pytest.raises(Exception, match="already exists or was deleted recently"):
        store.insert(QUEUE, NewTask("one", "eA=="))


def test_nothing_is_lost_when_the_clock_is_set_ahead_and_corrected(server: RedisServer, store: Store) -> None:
    for name in ("one", "two"):
        store.insert(QUEUE, NewTask(name, "eA=="))
    (held,) = store.lease(QUEUE, LeaseOrder(1, 60))
    server.shift_clock(HOUR)
    with pytest.raises(LeaseExpiredError):
        store.renew(QUEUE, "one", held.eta_us, 60)
    ahead = store.lease(QUEUE, LeaseOrder(10, 60))
    assert sorted(task.id for task in ahead) == ["one", "two"]
    server.shift_clock(0)
    store.insert(QUEUE, NewTask("three", "eA=="))
    assert [task.id for task in store.lease(QUEUE, LeaseOrder(10, 60))] == ["three"]
    for task in ahead:
        store.renew(QUEUE, task.id, task.eta_us, 0)
    assert sorted(task.id for task in store.lease(QUEUE, LeaseOrder(10, 60))) == ["one", "two"]
    assert store.stats(QUEUE).total == 3
