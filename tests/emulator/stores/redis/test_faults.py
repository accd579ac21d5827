"""Each fault of a Redis: an error that states the cause, the same in the health, and recovery without a restart."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.stores.interface import (
    LeaseOrder,
    NewTask,
    QueueKey,
    Store,
    StoreUnavailableError,
    TaskExistsError,
)
from emulator.stores.opening import open_store
from emulator.stores.redis.layout import queue_keys
from tests import redis_faults
from tests.redis_faults import FAULTS, Stage, fail_over, failover, until
from tests.redis_server import RedisServer

QUEUE = QueueKey("project", "faults")
THREADS = 20


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with redis_faults.stage(tmp_path) as stage:
        yield stage


@pytest.fixture
def store(stage: Stage) -> Iterator[Store]:
    store = open_store(stage.address)
    yield store
    store.close()


def insert(store: Store, name: str) -> bool:
    """Insert a task; return whether it is in the queue."""
    try:
        store.insert(QUEUE, NewTask(name, "eA=="))
    except TaskExistsError:
        return True
    except StoreUnavailableError:
        return False
    return True


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_with_its_cause_and_ends_without_a_restart(name: str, stage: Stage, store: Store) -> None:
    fault, message = FAULTS[name]
    store.insert(QUEUE, NewTask("before", "eA=="))
    assert store.check().problem is None
    with fault(stage):
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match=message):
                store.insert(QUEUE, NewTask("during", "eA=="))
            problem = store.check().problem or ""
            assert redis_faults.matches(message, problem), problem
            assert "secret" not in problem
    until(lambda: insert(store, "during"))
    assert store.check().problem is None
    tasks = [task.id for task in store.lease(QUEUE, LeaseOrder(10, 60))]
    assert tasks == ["before", "during"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_store_that_is_opened_during_a_fault_is_used_when_it_has_ended(name: str, stage: Stage) -> None:
    fault, message = FAULTS[name]
    with fault(stage):
        store = open_store(stage.address)
        with pytest.raises(StoreUnavailableError, match=message):
            store.insert(QUEUE, NewTask("one", "eA=="))
    until(lambda: insert(store, "one"))
    store.close()


def test_while_redis_hangs_one_caller_waits_and_the_others_fail_at_once(stage: Stage, store: Store) -> None:
    store.insert(QUEUE, NewTask("one", "eA=="))
    with stage.server.frozen():
        assert not insert(store, "two")
        waiting = threading.Thread(target=insert, args=(store, "three"))
        waiting.start()
        until(lambda: store._calls._attempt.locked())  # type: ignore[attr-defined]
        for _ in range(THREADS):
            with pytest.raises(StoreUnavailableError, match="did not reply in time"):
                store.get(QUEUE, "one")
        assert waiting.is_alive()
        waiting.join()
    until(lambda: insert(store, "four"))


def test_after_a_failover_behind_one_address_the_first_insert_succeeds(stage: Stage, store: Store) -> None:
    threads = [threading.Thread(target=insert, args=(store, f"t{number}")) for number in range(THREADS)]
    for thread in threads:  # several connections are open
        thread.start()
    for thread in threads:
        thread.join()
    with failover(stage) as replica:
        fail_over(stage, replica)
        store.insert(QUEUE, NewTask("after", "eA=="))
        assert store.check().problem is None
        with replica.client() as client:
            assert client.hexists(queue_keys(QUEUE)[3], "after")
        # No connection leads to the old master any more.
        with stage.server.client() as old:
            old.replicaof("NO", "ONE")
        for number in range(THREADS):
            assert store.get(QUEUE, f"t{number}").payload == "eA=="
            store.delete(QUEUE, f"t{number}")
        with replica.client() as client:
            assert client.hlen(queue_keys(QUEUE)[3]) == 1


def test_an_idle_waiting_lease_notices_that_its_master_has_become_a_replica(stage: Stage, store: Store) -> None:
    awaited = LeaseOrder(1, 60, awaited=True)
    store.declare(QUEUE)
    with failover(stage) as replica:
        fail_over(stage, replica)
        assert store.lease(QUEUE, awaited) == []
        with replica.client() as client:
            assert client.hget(queue_keys(QUEUE)[0], "awaited") == "1"


def test_a_full_redis_can_be_drained_even_if_the_store_is_opened_then(stage: Stage) -> None:
    first = open_store(stage.address)
    for number in range(5):
        first.insert(QUEUE, NewTask(f"t{number}", "A" * 1000, "x"))
    first.close()
    with redis_faults.full(stage):
        store = open_store(stage.address)
        for task in store.lease(QUEUE, LeaseOrder(5, 60)):
            store.delete(QUEUE, task.id, task.eta_us)
        assert store.stats(QUEUE).total == 0
        assert "no memory left" in (store.check().problem or "")
        store.close()


def test_a_restart_without_persistence_is_reported_as_a_loss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer(tmp_path).running() as server:
        store = open_store(server.url)
        store.insert(QUEUE, NewTask("one", "eA=="))
        server.stop(kill=True)
        server.start()
        until(lambda: insert(store, "two"))
        assert "was deleted or replaced" in caplog.text
        assert any("lost all data" in warning for warning in store.check().warnings)
        store.close()


def test_a_restart_with_persistence_is_no_loss(stage: Stage, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        store.insert(QUEUE, NewTask("one", "eA=="))
        with redis_faults.stopped(stage):
            assert not insert(store, "two")
        until(lambda: insert(store, "two"))
        assert [task.id for task in store.peek(QUEUE, 10)] == ["one", "two"]
        assert store.check().warnings == ()
    assert "deleted or replaced" not in caplog.text


def test_a_restart_from_an_older_snapshot_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer(tmp_path).running() as server, server.client() as client:
        store = open_store(server.url)
        store.insert(QUEUE, NewTask("kept", "eA=="))
        client.save()
        store.insert(QUEUE, NewTask("lost", "eA=="))
        store.check()
        server.stop(kill=True)
        server.start()
        until(lambda: insert(store, "new"))
        assert [task.id for task in store.peek(QUEUE, 10)] == ["kept", "new"]
        assert caplog.text.count("Redis has restored older data") == 1
        for _ in range(2):
            assert any("Redis restored older data" in warning for warning in store.check().warnings)
        assert caplog.text.count("Redis has restored older data") == 1
        store.close()


def test_evicted_tasks_are_counted_and_the_others_are_processed(tmp_path: Path) -> None:
    with RedisServer(tmp_path, durable=True).running() as server, server.client() as client:
        store = open_store(server.url)
        queues = [QueueKey("project", f"q{number}") for number in range(20)]
        client.config_set("maxmemory-policy", "allkeys-random")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 1_000_000)
        accepted = 0
        for number in range(400):
            # Redis can evict keys again each time they are repaired: the task is then refused.
            with contextlib.suppress(StoreUnavailableError):
                store.insert(queues[number % len(queues)], NewTask(f"t{number}", "A" * 10_000, "x"))
                accepted += 1
        assert client.info("stats")["evicted_keys"] > 0
        client.config_set("maxmemory", 0)
        done = 0
        for queue in queues:
            while tasks := store.lease(queue, LeaseOrder(10, 60)):
                for task in tasks:
                    store.delete(queue, task.id, task.eta_us)
                    done += 1
            assert store.stats(queue).total == 0
        assert done < accepted
        assert any("lost keys" in warning or "lost all data" in warning for warning in store.check().warnings)
        store.close()


def test_a_key_of_another_program_with_our_name_is_reported_and_kept(stage: Stage, store: Store) -> None:
    with stage.server.client() as client:
        client.set(queue_keys(QUEUE)[4], "theirs")
        with pytest.raises(StoreUnavailableError, match="wrong type"):
            store.insert(QUEUE, NewTask("one", "eA=="))
        assert client.get(queue_keys(QUEUE)[4]) == "theirs"
