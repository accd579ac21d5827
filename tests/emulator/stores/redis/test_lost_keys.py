"""A Redis that loses keys or parts of them: the queue repairs itself, and every task that is left can be processed."""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey, Store, StoreError, TaskExistsError
from emulator.stores.opening import open_store
from emulator.stores.redis import layout
from emulator.stores.redis.layout import CLOCK_KEY, KEY_KINDS, QUEUES_KEY, STORE_KEY, queue_keys
from tests.redis_server import RedisServer

EXAMPLES = 1000 if os.environ.get("LONG_TESTS") == "1" else 100
QUEUE = QueueKey("project", "losing")
KEYS = [*queue_keys(QUEUE), QUEUES_KEY, CLOCK_KEY, STORE_KEY]
STATE, ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASED, DEAD, DEAD_RECORDS, DEAD_PAYLOADS = queue_keys(QUEUE)
LIVE, DEAD_IDS = ("due", "tagged", "tagged-2", "leased", "later"), ("dead-1", "dead-2")


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        yield client


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[Store]:
    store = open_store(redis_server.url)
    yield store
    store.close()


def fill(store: Store) -> None:
    """Make the queue contain a task in every state."""
    store.reset()
    for name in DEAD_IDS:
        store.insert(QUEUE, NewTask(name, f"payload-{name}", "x"))
    store.lease(QUEUE, LeaseOrder(2, 0))
    store.lease(QUEUE, LeaseOrder(2, 0, retry_limit=1))
    store.insert(QUEUE, NewTask("leased", "payload-leased", "x"))
    store.lease(QUEUE, LeaseOrder(1, 600))
    store.insert(QUEUE, NewTask("gone", "payload-gone"))
    store.delete(QUEUE, "gone")
    store.insert(QUEUE, NewTask("later", "payload-later", "y", store.now_us() + 60 * SECOND))
    store.insert(QUEUE, NewTask("due", "payload-due"))
    for name in ("tagged", "tagged-2"):
        store.insert(QUEUE, NewTask(name, f"payload-{name}", "x"))


OPERATIONS: list[Callable[[Store], object]] = [
    lambda store: store.stats(QUEUE),
    lambda store: store.get(QUEUE, "due"),
    lambda store: store.get(QUEUE, "dead-1"),
    lambda store: store.peek(QUEUE, 10),
    lambda store: store.dead_letters(QUEUE, 10),
    lambda store: store.due_in(QUEUE),
    lambda store: store.lease(QUEUE, LeaseOrder(1, 60)),
    lambda store: store.lease(QUEUE, LeaseOrder(1, 60, group_by_tag=True)),
    lambda store: store.lease(QUEUE, LeaseOrder(2, 60, group_by_tag=True, tag="x", awaited=True)),
    lambda store: store.lease(QUEUE, LeaseOrder(2, 60, retry_limit=1)),
    lambda store: store.renew(QUEUE, "leased", None, 60),
    lambda store: store.release(QUEUE, "leased"),
    lambda store: store.release(QUEUE, "later"),
    lambda store: store.revive(QUEUE, "dead-1"),
    lambda store: store.delete(QUEUE, "tagged"),
    lambda store: store.delete(QUEUE, "dead-2"),
    lambda store: store.insert(QUEUE, NewTask("due", "new", "x")),
    lambda store: store.insert(QUEUE, NewTask("new", "new", "x")),
    lambda store: store.pause(QUEUE),
    lambda store: store.resume(QUEUE),
    lambda store: store.declare(QUEUE),
    lambda store: store.queues(),
    lambda store: store.advance(1),
    lambda store: store.check(),
]


def check_consistency(client: redis.Redis, store: Store) -> None:
    """Compare all keys of the queue with each other."""
    stats = store.stats(QUEUE)
    ids = client.hkeys(PAYLOADS)
    assert sorted(client.hkeys(RECORDS)) == sorted(client.zrange(ETA, 0, -1)) == sorted(ids)
    assert sorted(member.split("\0")[2] for member in client.zrange(TAGGED, 0, -1)) == sorted(ids)
    dead = client.hkeys(DEAD_PAYLOADS)
    assert sorted(client.hkeys(DEAD_RECORDS)) == sorted(client.zrange(DEAD, 0, -1)) == sorted(dead)
    assert (stats.total, stats.dead) == (len(ids), len(dead))
    assert client.hmget(STATE, "tasks", "dead", "suspect") == [str(len(ids)), str(len(dead)), None]


def drain(store: Store) -> tuple[set[str], set[str]]:
    """Lease and delete all tasks; revive and delete all dead letters. Return the IDs of both."""
    store.resume(QUEUE)
    tasks, dead = set(), set()
    for task in store.dead_letters(QUEUE, 100):
        assert store.revive(QUEUE, task.id).payload == task.payload
        store.delete(QUEUE, task.id)
        dead.add(task.id)
    store.advance(1000)
    while leased := store.lease(QUEUE, LeaseOrder(3, 60)):
        for task in leased:
            store.delete(QUEUE, task.id, task.eta_us)
            tasks.add(task.id)
    stats = store.stats(QUEUE)
    assert (stats.total, stats.dead, stats.oldest_us) == (0, 0, None)
    return tasks, dead


def check_after_loss(client: redis.Redis, store: Store, operations: list[int]) -> None:
    """Execute operations on a queue that may be damaged, and then process all its tasks."""
    for number in operations:
        with suppress(StoreError):
            OPERATIONS[number](store)
    store.declare(QUEUE)
    check_consistency(client, store)
    assert store.queues() == [QUEUE]
    left, dead_left = set(client.hkeys(PAYLOADS)), set(client.hkeys(DEAD_PAYLOADS))
    assert drain(store) == (left, dead_left)


PARTS: dict[str, Callable[[redis.Redis, str], object]] = {
    "string": lambda client, key: client.delete(key),
    "set": lambda client, key: client.spop(key),
    "hash": lambda client, key: client.hdel(key, client.hkeys(key)[0]),
    "zset": lambda client, key: client.zpopmin(key),
}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lost=st.sets(st.sampled_from(KEYS)),
    partly=st.sets(st.sampled_from(KEYS)),
    operations=st.lists(st.integers(0, len(OPERATIONS) - 1), max_size=8),
)
def test_any_operation_works_after_the_loss_of_any_keys(
    store: Store, client: redis.Redis, lost: set[str], partly: set[str], operations: list[int]
) -> None:
    fill(store)
    for key in partly - lost:
        kind = str(client.type(key))
        if kind in PARTS:
            PARTS[kind](client, key)
    if lost:
        client.delete(*lost)
    check_after_loss(client, store, operations)


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_each_operation_works_after_the_loss_of_each_key(store: Store, client: redis.Redis, number: int) -> None:
    for key in KEYS:
        fill(store)
        client.delete(key)
        check_after_loss(client, store, [number])


def test_every_combination_of_lost_keys_leaves_the_tasks_with_a_payload(store: Store, client: redis.Redis) -> None:
    important = [STATE, ETA, TAGGED, RECORDS, PAYLOADS, DEAD, DEAD_RECORDS, DEAD_PAYLOADS]
    for size in range(1, len(important) + 1):
        for lost in itertools.combinations(important, size):
            fill(store)
            client.delete(*lost)
            found = drain(store)
            assert found == (
                set() if PAYLOADS in lost else set(LIVE),
                set() if DEAD_PAYLOADS in lost else set(DEAD_IDS),
            ), lost


def test_a_restored_task_keeps_its_tag_and_lease_if_an_index_is_left(store: Store, client: redis.Redis) -> None:
    fill(store)
    before = {task.id: task for task in store.peek(QUEUE, 10)}
    client.delete(RECORDS, ETA)
    after = {task.id: task for task in store.peek(QUEUE, 10)}
    assert {name: (task.tag, task.eta_us, task.payload) for name, task in after.items()} == {
        name: (task.tag, task.eta_us, task.payload) for name, task in before.items()
    }
    store.renew(QUEUE, "leased", before["leased"].eta_us, 60)


def test_a_lost_index_costs_nothing(store: Store, client: redis.Redis) -> None:
    fill(store)
    before = store.peek(QUEUE, 10), store.dead_letters(QUEUE, 10)
    client.delete(ETA, TAGGED, DEAD)
    assert (store.peek(QUEUE, 10), store.dead_letters(QUEUE, 10)) == before
    assert not any("lost keys" in warning for warning in store.check().warnings)


def test_lost_tasks_are_counted_in_the_log_and_in_the_health(
    store: Store, client: redis.Redis, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    client.delete(PAYLOADS)
    with caplog.at_level(logging.ERROR):
        assert store.lease(QUEUE, LeaseOrder(10, 60)) == []
    assert "queue project/losing: 5 tasks and 0 dead letters are lost" in caplog.text
    other = open_store(redis_server.url)
    for opened in (store, other):
        (warning,) = [text for text in opened.check().warnings if "lost keys" in text]
        assert "5 tasks" in warning
    other.close()
    command = re.search(r"HDEL (\S+) (.*)$", warning)
    assert command
    client.hdel(command[1], *command[2].split())
    assert not any("lost keys" in text for text in store.check().warnings)


def test_the_loss_of_all_keys_of_a_queue_is_reported(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    client.delete(*queue_keys(QUEUE))
    store.insert(QUEUE, NewTask("new", "eA=="))
    assert "lost all keys of queue project/losing" in caplog.text
    assert any("an unknown number of tasks" in warning for warning in store.check().warnings)


def test_a_reset_by_another_process_is_no_loss(
    store: Store, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    other = open_store(redis_server.url)
    other.reset()
    other.close()
    store.insert(QUEUE, NewTask("new", "eA=="))
    assert "Redis lost" not in caplog.text
    assert "deleted or replaced" not in caplog.text
    assert not any("Redis lost" in warning for warning in store.check().warnings)


def test_a_lost_version_is_written_again(
    store: Store, client: redis.Redis, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    for _ in range(3):
        store.check()
    before = client.hget(STORE_KEY, "id")
    client.delete(STORE_KEY)
    health = store.check()
    assert health.problem is None
    assert not any("Redis lost" in warning or "older" in warning for warning in health.warnings)
    assert client.hget(STORE_KEY, "id") == before
    assert client.hget(STORE_KEY, "version") is not None
    assert "lost the key render-trio:store" in caplog.text
    assert "older data" not in caplog.text
    assert "deleted or replaced" not in caplog.text
    assert store.stats(QUEUE).total == 5


def test_a_deleted_database_is_reported(
    store: Store, client: redis.Redis, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    client.flushall()
    store.insert(QUEUE, NewTask("new", "eA=="))
    assert "was deleted or replaced" in caplog.text
    assert "lost all keys of queue" not in caplog.text, "that the queue is gone too needs no report of its own"
    other = open_store(redis_server.url)
    assert any("lost all data" in warning for warning in other.check().warnings)
    other.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("reset", [False, True])
def test_a_queue_that_is_declared_after_a_deleted_database_loses_nothing(
    client: redis.Redis, redis_server: RedisServer, caplog: pytest.LogCaptureFixture, reset: bool
) -> None:
    client.flushall()
    store = open_store(redis_server.url)
    if reset:
        store.reset()
    store.insert(QUEUE, NewTask("old", "eA=="))
    assert errors(caplog) == [], "an empty database is no loss"
    client.flushall()
    assert "lost all data" in " ".join(store.check().warnings)
    caplog.clear()
    store.insert(QUEUE, NewTask("new", "eA=="))
    assert errors(caplog) == []
    assert not any("lost keys" in warning for warning in store.check().warnings)
    store.close()


def test_a_deleted_database_is_not_taken_for_older_data(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    for _ in range(3):
        store.check()
    client.flushall()
    for number in range(3):
        store.insert(QueueKey("project", f"new-{number}"), NewTask("one", "eA=="))
    assert caplog.text.count("was deleted or replaced") == 1
    assert "older data" not in caplog.text


def test_restored_older_data_is_reported_once(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """A snapshot that is older than the first check is recognised by its number of checks."""
    fill(store)
    for _ in range(3):
        store.check()
    client.hdel(STORE_KEY, "checks")
    for number in range(3):
        store.declare(QueueKey("project", f"new-{number}"))  # each looks at the data again
    assert caplog.text.count("restored older data") == 1


@pytest.mark.parametrize(
    ("text", "number"), [(None, 0), ("", 0), ("0", 0), ("7", 7), ("x", 0), ("-1", 0), ("\u00b2", 0), ("\u0663", 0)]
)
def test_a_count_that_is_missing_or_no_number_is_zero(text: str | None, number: int) -> None:
    assert layout._count(text) == number


def test_the_loss_of_a_task_with_all_its_entries_is_counted(store: Store, client: redis.Redis) -> None:
    fill(store)
    client.delete(ETA, TAGGED, RECORDS, PAYLOADS)
    assert store.stats(QUEUE).total == 0
    assert any("5 tasks" in warning for warning in store.check().warnings)


def test_a_task_that_is_missing_in_the_index_is_leased(store: Store, client: redis.Redis) -> None:
    fill(store)
    client.zrem(ETA, "due", "tagged", "tagged-2")
    assert {task.id for task in store.lease(QUEUE, LeaseOrder(10, 60))} == {"due", "tagged", "tagged-2"}


def test_an_outdated_entry_of_an_index_leases_no_task_twice(store: Store, client: redis.Redis) -> None:
    fill(store)
    client.zadd(TAGGED, {f"x\0{1:017}\0leased": 0})
    leased = store.lease(QUEUE, LeaseOrder(10, 60, group_by_tag=True, tag="x"))
    assert {task.id for task in leased} == {"tagged", "tagged-2"}


def test_damage_behind_a_new_dead_letter_hides_no_task(store: Store, client: redis.Redis) -> None:
    store.reset()
    store.insert(QUEUE, NewTask("spent", "eA=="))
    store.lease(QUEUE, LeaseOrder(1, 0))
    for name in ("broken", "good"):
        store.insert(QUEUE, NewTask(name, "eA=="))
    client.hdel(PAYLOADS, "broken")
    leased = store.lease(QUEUE, LeaseOrder(1, 60, retry_limit=1))
    assert [task.id for task in leased] == ["good"]
    assert [task.id for task in store.dead_letters(QUEUE, 10)] == ["spent"]


def test_a_lost_record_is_restored_when_its_task_is_requested(store: Store, client: redis.Redis) -> None:
    for operation in (
        lambda: store.get(QUEUE, "due"),
        lambda: store.release(QUEUE, "due"),
        lambda: store.delete(QUEUE, "due"),
    ):
        fill(store)
        client.hdel(RECORDS, "due")
        operation()


def test_an_id_whose_record_is_lost_is_in_use(store: Store, client: redis.Redis) -> None:
    fill(store)
    client.hdel(RECORDS, "due")
    with pytest.raises(TaskExistsError):
        store.insert(QUEUE, NewTask("due", "bmV3"))
    assert store.get(QUEUE, "due").payload == "payload-due"


def test_a_lost_part_of_the_state_is_no_loss_of_tasks(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store)
    client.hdel(STATE, "offset")
    store.insert(QUEUE, NewTask("new", "eA=="))
    assert store.stats(QUEUE).total == 6
    assert "lost all keys" not in caplog.text


def test_damage_found_after_a_change_is_repaired_by_the_next_lease(store: Store, client: redis.Redis) -> None:
    store.reset()
    for name in ("a", "b", "c"):
        store.insert(QUEUE, NewTask(name, "eA=="))
    client.hset(RECORDS, "x", "1|1|0|")
    client.hdel(RECORDS, "b")
    assert [task.id for task in store.lease(QUEUE, LeaseOrder(3, 60))] == ["a"]
    assert client.hget(STATE, "suspect") == "1"
    assert [task.id for task in store.lease(QUEUE, LeaseOrder(3, 60))] == ["b", "c"]
    check_consistency(client, store)


def test_a_key_kind_without_a_test_is_noticed() -> None:
    assert len(KEY_KINDS) == len(KEYS) - 3
