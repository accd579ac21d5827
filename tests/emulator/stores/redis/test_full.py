"""A Redis whose memory is full: nothing new is accepted, everything else works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, Store, StoreUnavailableError
from emulator.stores.opening import open_store
from emulator.stores.redis.layout import STORE_KEY, queue_keys
from tests.redis_server import RedisServer

QUEUE, OTHER = QueueKey("project", "full"), QueueKey("project", "other")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path).running() as server:
        yield server


@pytest.fixture
def store(server: RedisServer) -> Iterator[Store]:
    store = open_store(server.url)
    store.insert(QUEUE, NewTask("dead", "A" * 1000, "x"))
    for _ in range(2):
        store.lease(QUEUE, LeaseOrder(1, 0, retry_limit=1))
    for name in ("one", "two", "three"):
        store.insert(QUEUE, NewTask(name, "A" * 1000, "x"))
    with server.client() as client:
        client.config_set("maxmemory", 1)
    yield store
    store.close()


def test_a_full_redis_refuses_new_tasks_only(store: Store) -> None:
    for queue in (QUEUE, OTHER):
        with pytest.raises(StoreUnavailableError, match="no memory left"):
            store.insert(queue, NewTask("late", "eA=="))
    store.pause(QUEUE)
    assert store.stats(QUEUE).paused
    store.resume(QUEUE)
    assert store.revive(QUEUE, "dead").retry_count == 0
    assert store.lease(OTHER, LeaseOrder(1, 60, awaited=True)) == []
    for task in store.lease(QUEUE, LeaseOrder(10, 60)):
        renewed = store.renew(QUEUE, task.id, task.eta_us, 90)
        store.delete(QUEUE, task.id, renewed.eta_us)
    stats = store.stats(QUEUE)
    assert (stats.total, stats.dead) == (0, 0)
    assert store.lease(QUEUE, LeaseOrder(10, 60, awaited=True)) == []


def test_a_full_redis_can_be_purged(store: Store) -> None:
    assert store.purge(QUEUE) == 3
    assert store.purge(QUEUE, dead=True) == 1


@pytest.mark.parametrize("kind", range(10))
def test_a_queue_of_a_full_redis_is_repaired(kind: int, store: Store, server: RedisServer) -> None:
    with server.client() as client:
        client.delete(queue_keys(QUEUE)[kind], STORE_KEY)
        left = client.hlen(queue_keys(QUEUE)[4])
    leased = store.lease(QUEUE, LeaseOrder(10, 60))
    assert len(leased) <= left
    for task in leased:
        store.delete(QUEUE, task.id, task.eta_us)
