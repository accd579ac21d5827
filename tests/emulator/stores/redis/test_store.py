"""Behaviour specific to the Redis store: a server that is unreachable, killed or out of memory."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest
import redis

from emulator.stores.interface import (
    LeaseOrder,
    NewTask,
    QueueKey,
    StoreUnavailableError,
    TaskUnknownError,
)
from emulator.stores.opening import open_store
from tests.redis_server import RedisServer, free_port


@pytest.fixture
def queue() -> QueueKey:
    return QueueKey("project", f"q-{uuid.uuid4().hex}")


def test_a_missing_redis_is_reported_as_unavailable(queue: QueueKey) -> None:
    store = open_store(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreUnavailableError):
        store.insert(queue, NewTask("one", "eA=="))
    store.close()


def test_calls_run_inline_while_redis_answers_fast(tmp_path: Path, queue: QueueKey) -> None:
    server = RedisServer(tmp_path)
    store = open_store(server.url)
    assert not store.runs_inline
    server.start()
    try:
        deadline = time.monotonic() + 20
        while not store.runs_inline:
            assert time.monotonic() < deadline
            store.stats(queue)
        server.stop(kill=True)
        with pytest.raises(StoreUnavailableError):
            store.stats(queue)
        assert not store.runs_inline
        store.close()
    finally:
        server.stop()


def test_inserted_tasks_survive_a_kill_of_a_durable_redis(tmp_path: Path, queue: QueueKey) -> None:
    server = RedisServer(tmp_path, durable=True)
    server.start()
    try:
        store = open_store(server.url)
        store.insert(queue, NewTask("one", "eA=="))
        server.stop(kill=True)
        with pytest.raises(StoreUnavailableError):
            store.insert(queue, NewTask("two", "eA=="))
        server.start()
        assert [task.id for task in store.peek(queue, 10)] == ["one"]
        store.close()
    finally:
        server.stop()


def test_a_full_redis_refuses_inserts_entirely_but_tasks_can_still_be_processed(
    tmp_path: Path, queue: QueueKey
) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        store = open_store(server.url)
        for number in range(3):
            store.insert(queue, NewTask(f"t{number}", "A" * 1000, "x"))
        with redis.Redis(port=server.port) as client:
            client.config_set("maxmemory", 1)
        with pytest.raises(StoreUnavailableError, match="memory"):
            store.insert(queue, NewTask("late", "A" * 1000))
        with pytest.raises(TaskUnknownError):
            store.get(queue, "late")
        tasks = store.lease(queue, LeaseOrder(2, 60))
        assert [task.id for task in tasks] == ["t0", "t1"]
        store.renew(queue, "t0", tasks[0].eta_us, 0)
        store.delete(queue, "t1")
        assert [task.id for task in store.lease(queue, LeaseOrder(5, 60, retry_limit=1, awaited=True))] == ["t2"]
        assert [task.id for task in store.dead_letters(queue, 5)] == ["t0"]
        assert store.lease(queue, LeaseOrder(5, 60, awaited=True)) == []
        with redis.Redis(port=server.port) as client:
            client.config_set("maxmemory", 0)
        assert store.insert(queue, NewTask("late", "eA==")).id == "late"
        store.close()
    finally:
        server.stop()
