"""A Redis whose clock stands still: the first and the last microsecond at which each rule about time applies."""

from __future__ import annotations

import pytest
import redis

from emulator.stores.interface import (
    SECOND,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    Store,
    TaskExistsError,
)
from emulator.stores.redis.layout import queue_keys

QUEUE = QueueKey("project", "boundaries")
STATE, ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASED, *_ = queue_keys(QUEUE)
MICROSECOND = 1 / SECOND
PAYLOAD = "eA=="
MANY = LeaseOrder(10, 60)
TAG = LeaseOrder(10, 60, group_by_tag=True, tag="x")
OLDEST = LeaseOrder(10, 60, group_by_tag=True)


def ids(store: Store, order: LeaseOrder = MANY) -> list[str]:
    return [task.id for task in store.lease(QUEUE, order)]


def test_the_clock_stands_still(store: Store) -> None:
    assert store.now_us() == store.now_us()
    assert store.advance(MICROSECOND) == store.now_us()


@pytest.mark.parametrize("order", [MANY, TAG, OLDEST])
def test_a_task_is_due_from_its_eta_on(store: Store, order: LeaseOrder) -> None:
    eta = store.now_us() + 10 * SECOND
    store.insert(QUEUE, NewTask("one", PAYLOAD, "x", eta))
    assert store.due_in(QUEUE) == 10 * SECOND
    store.advance(10 - MICROSECOND)
    assert ids(store, order) == []
    assert store.due_in(QUEUE) == 1
    store.advance(MICROSECOND)
    assert store.due_in(QUEUE) is None
    assert ids(store, order) == ["one"]


@pytest.mark.parametrize("order", [MANY, TAG, OLDEST])
def test_a_lease_ends_at_its_last_microsecond(store: Store, order: LeaseOrder) -> None:
    store.insert(QUEUE, NewTask("one", PAYLOAD, "x"))
    (held,) = store.lease(QUEUE, order)
    assert held.eta_us == store.now_us() + 60 * SECOND
    store.advance(60 - MICROSECOND)
    assert ids(store, order) == []
    renewed = store.renew(QUEUE, "one", held.eta_us, 30)
    assert renewed.eta_us == store.now_us() + 30 * SECOND
    store.advance(30)
    with pytest.raises(LeaseExpiredError):
        store.renew(QUEUE, "one", renewed.eta_us, 60)
    with pytest.raises(LeaseExpiredError):
        store.renew(QUEUE, "one", None, 60)
    with pytest.raises(LeaseExpiredError):
        store.delete(QUEUE, "one", renewed.eta_us)
    assert ids(store, order) == ["one"]


def test_a_deletion_succeeds_until_the_last_microsecond_of_the_lease(store: Store) -> None:
    store.insert(QUEUE, NewTask("one", PAYLOAD))
    (held,) = store.lease(QUEUE, MANY)
    store.advance(60 - MICROSECOND)
    store.delete(QUEUE, "one", held.eta_us)
    assert store.stats(QUEUE).total == 0


@pytest.mark.parametrize("dead", [False, True])
def test_a_deleted_id_is_reserved_for_exactly_an_hour(store: Store, dead: bool) -> None:
    store.insert(QUEUE, NewTask("one", PAYLOAD))
    if dead:
        store.lease(QUEUE, LeaseOrder(1, 0))
        store.lease(QUEUE, LeaseOrder(1, 0, retry_limit=1))
    store.delete(QUEUE, "one")
    store.advance(3600 - MICROSECOND)
    with pytest.raises(TaskExistsError):
        store.insert(QUEUE, NewTask("one", PAYLOAD))
    store.advance(MICROSECOND)
    assert store.insert(QUEUE, NewTask("one", PAYLOAD)).eta_us == store.now_us()


@pytest.mark.parametrize("remove", ["lease", "delete", "purge"])
def test_a_tombstone_is_removed_when_it_has_expired_and_not_before(
    store: Store, client: redis.Redis, remove: str
) -> None:
    actions = {
        "lease": lambda: store.lease(QUEUE, MANY),
        "delete": lambda: store.delete(QUEUE, store.insert(QUEUE, NewTask("new", PAYLOAD)).id),
        "purge": lambda: store.purge(QUEUE),
    }
    for name in ("old", "later"):
        store.insert(QUEUE, NewTask(name, PAYLOAD))
        store.delete(QUEUE, name)
        store.advance(MICROSECOND)
    store.advance(3600 - 2 * MICROSECOND)
    assert client.zrange(TOMBS, 0, -1) == ["old", "later"]
    actions[remove]()
    assert [name for name in client.zrange(TOMBS, 0, -1) if name != "new"] == ["later"]


def test_leases_are_counted_for_exactly_a_minute_and_an_hour(store: Store) -> None:
    for name in ("one", "two"):
        store.insert(QUEUE, NewTask(name, PAYLOAD))
        ids(store, LeaseOrder(1, 7200))  # two leases in the same second
    for seconds, minute, hour in ((0, 2, 2), (59, 2, 2), (1, 0, 2), (3539, 0, 2), (1, 0, 0)):
        store.advance(seconds)
        stats = store.stats(QUEUE)
        assert (stats.leased_last_minute, stats.leased_last_hour) == (minute, hour)


def test_counts_of_leases_are_kept_for_an_hour(store: Store, client: redis.Redis) -> None:
    store.insert(QUEUE, NewTask("one", PAYLOAD))
    ids(store, LeaseOrder(1, 0))
    for seconds, kept in ((3599, 2), (1, 2), (3600, 1)):
        store.advance(seconds)
        ids(store, LeaseOrder(1, 0))
        assert client.zcard(LEASED) == kept


def test_a_due_task_that_is_released_keeps_its_place(store: Store) -> None:
    for name in ("b", "a"):
        store.advance(MICROSECOND)
        store.insert(QUEUE, NewTask(name, PAYLOAD))
    before = store.get(QUEUE, "b").eta_us
    assert store.release(QUEUE, "b").eta_us == before
    held = store.lease(QUEUE, MANY)
    assert [task.id for task in held] == ["b", "a"]
    assert store.release(QUEUE, "a").eta_us == store.now_us()


@pytest.mark.parametrize("order", [MANY, TAG, OLDEST])
def test_tasks_of_the_same_moment_are_leased_by_id_and_each_once(store: Store, order: LeaseOrder) -> None:
    for name in ("c", "a", "b"):
        store.insert(QUEUE, NewTask(name, PAYLOAD, "x"))
    again = LeaseOrder(10, 0, order.group_by_tag, order.tag)
    for leases in range(2):
        found = store.lease(QUEUE, again)
        assert [(task.id, task.retry_count) for task in found] == [(name, leases) for name in ("a", "b", "c")]
    assert store.stats(QUEUE).leased_last_minute == 6
