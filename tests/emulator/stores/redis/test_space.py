"""The space that a queue uses in Redis: it is released by a purge, and nothing accumulates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, Store
from emulator.stores.opening import open_store
from emulator.stores.redis.layout import queue_keys
from tests.redis_faults import until
from tests.redis_server import RedisServer

QUEUE = QueueKey("project", "space")
STATE, ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASED, *_ = queue_keys(QUEUE)
TASKS = 200
PAYLOAD = "A" * 20_000


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[Store]:
    store = open_store(redis_server.url)
    yield store
    store.close()


def fill(store: Store) -> None:
    for number in range(TASKS):
        store.insert(QUEUE, NewTask(f"t{number}", PAYLOAD, "x"))


def keys_of_queue(client: redis.Redis) -> set[str]:
    return set(client.scan_iter("render-trio:{project/space}:*"))


@pytest.mark.parametrize("dead", [False, True])
def test_a_purge_releases_the_memory_and_leaves_no_keys(dead: bool, store: Store, client: redis.Redis) -> None:
    store.declare(QUEUE)
    before = int(client.info("memory")["used_memory"])
    fill(store)
    if dead:
        store.lease(QUEUE, LeaseOrder(TASKS, 0))
        store.lease(QUEUE, LeaseOrder(TASKS, 0, retry_limit=1))
        client.delete(LEASED)
    assert int(client.info("memory")["used_memory"]) > before + TASKS * len(PAYLOAD)
    assert store.purge(QUEUE, dead) == TASKS
    assert keys_of_queue(client) == {STATE}
    until(lambda: int(client.info("memory")["used_memory"]) < before + TASKS * len(PAYLOAD) / 10)


def test_a_reset_leaves_no_keys_of_the_queue(store: Store, client: redis.Redis) -> None:
    fill(store)
    store.lease(QUEUE, LeaseOrder(1, 60))
    store.delete(QUEUE, "t0")
    store.reset()
    assert keys_of_queue(client) == set()


def test_processed_tasks_leave_only_tombstones_and_statistics(store: Store, client: redis.Redis) -> None:
    fill(store)
    for task in store.lease(QUEUE, LeaseOrder(TASKS, 60)):
        store.delete(QUEUE, task.id, task.eta_us)
    assert keys_of_queue(client) == {STATE, TOMBS, LEASED}
    assert client.zcard(TOMBS) == TASKS
    assert client.zcard(LEASED) <= 2


def test_deletions_remove_more_expired_tombstones_than_they_add(store: Store, client: redis.Redis) -> None:
    for number in range(100):
        store.insert(QUEUE, NewTask(f"t{number}", "eA=="))
        store.delete(QUEUE, f"t{number}")
    assert client.zcard(TOMBS) == 100
    store.advance(3601)
    for number in range(100, 110):
        store.insert(QUEUE, NewTask(f"t{number}", "eA=="))
        store.delete(QUEUE, f"t{number}")
    assert client.zcard(TOMBS) == 10


def test_polls_without_work_remove_expired_tombstones(store: Store, client: redis.Redis) -> None:
    for number in range(150):
        store.insert(QUEUE, NewTask(f"t{number}", "eA=="))
        store.delete(QUEUE, f"t{number}")
    store.lease(QUEUE, LeaseOrder(1, 60))
    assert client.zcard(TOMBS) == 150
    store.advance(3601)
    for left in (50, 0):
        store.lease(QUEUE, LeaseOrder(1, 60))
        assert client.zcard(TOMBS) == left


def test_a_purge_removes_expired_tombstones_and_keeps_the_others(store: Store, client: redis.Redis) -> None:
    for name in ("old", "new"):
        store.insert(QUEUE, NewTask(name, "eA=="))
        store.delete(QUEUE, name)
        store.advance(3000)
    store.purge(QUEUE)
    assert client.zrange(TOMBS, 0, -1) == ["new"]


def test_statistics_older_than_an_hour_are_removed(store: Store, client: redis.Redis) -> None:
    store.insert(QUEUE, NewTask("one", "eA=="))
    for _ in range(30):
        store.lease(QUEUE, LeaseOrder(1, 0))
        store.advance(1)
    assert client.zcard(LEASED) > 20
    store.advance(3600)
    for _ in range(5):
        store.lease(QUEUE, LeaseOrder(1, 0))
    assert client.zcard(LEASED) <= 2
