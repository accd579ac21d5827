"""A queue that has lost single entries: what the repair restores, and which losses it reports."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest
import redis

from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey, Store, TaskUnknownError
from emulator.stores.redis.layout import queue_keys

QUEUE = QueueKey("project", "repaired")
STATE, ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASED, DEAD, DEAD_RECORDS, DEAD_PAYLOADS = queue_keys(QUEUE)
REPORT = re.compile(r"(\d+) tasks and (\d+) dead letters are lost, (\d+) tasks and (\d+) dead letters were restored")
FAR = 4_000_000_000_000_000  # µs
HASHES = {RECORDS, PAYLOADS, DEAD_RECORDS, DEAD_PAYLOADS}


@pytest.fixture(autouse=True)
def _tasks(store: Store) -> None:
    """Two leased tasks, two that are due later, and three dead letters. The leases end at different times."""
    for name in ("dead-1", "dead-2", "dead-3"):
        store.insert(QUEUE, NewTask(name, "eA==", "x"))
    store.lease(QUEUE, LeaseOrder(3, 0))
    store.lease(QUEUE, LeaseOrder(1, 0, retry_limit=1))
    for name, tag in (("one", "x"), ("two", None)):
        store.insert(QUEUE, NewTask(name, "eA==", tag))
        store.lease(QUEUE, LeaseOrder(1, 60))
        store.advance(1)
    for name in ("later-1", "later-2"):
        store.insert(QUEUE, NewTask(name, "eA==", "y", store.now_us() + 100 * SECOND))


def lose(client: redis.Redis, key: str, *names: str) -> None:
    """Remove the entries of tasks from a key."""
    if key in HASHES:
        client.hdel(key, *names)
    elif key == TAGGED:
        client.zrem(key, *(entry for entry in client.zrange(key, 0, -1) if entry.rpartition("\0")[2] in names))
    else:
        client.zrem(key, *names)


def check_consistency(client: redis.Redis) -> None:
    live, dead = set(client.hkeys(RECORDS)), set(client.hkeys(DEAD_RECORDS))
    assert set(client.hkeys(PAYLOADS)) == set(client.zrange(ETA, 0, -1)) == live
    assert {entry.rpartition("\0")[2] for entry in client.zrange(TAGGED, 0, -1)} == live
    assert set(client.hkeys(DEAD_PAYLOADS)) == set(client.zrange(DEAD, 0, -1)) == dead
    assert client.hmget(STATE, "tasks", "dead", "suspect") == [str(len(live)), str(len(dead)), None]


@pytest.mark.parametrize(
    ("lost", "report"),
    [
        ({PAYLOADS: ["one"]}, (1, 0, 0, 0)),
        ({RECORDS: ["one"]}, (0, 0, 1, 0)),
        ({RECORDS: ["one", "two"]}, (0, 0, 2, 0)),
        ({DEAD_PAYLOADS: ["dead-1"]}, (0, 1, 0, 0)),
        ({DEAD_RECORDS: ["dead-1"]}, (0, 0, 0, 1)),
        ({DEAD_PAYLOADS: ["dead-1", "dead-2"]}, (0, 2, 0, 0)),
        ({PAYLOADS: ["one"], RECORDS: ["one"]}, (1, 0, 0, 0)),
        ({PAYLOADS: ["one"], ETA: ["one"], TAGGED: ["one"]}, (1, 0, 0, 0)),
        ({PAYLOADS: ["one"], RECORDS: ["one"], ETA: ["one"], TAGGED: ["one"]}, (1, 0, 0, 0)),
        ({PAYLOADS: ["one", "two"], RECORDS: ["later-1"]}, (2, 0, 1, 0)),
        (
            {PAYLOADS: ["one"], RECORDS: ["two"], DEAD_PAYLOADS: ["dead-1"], DEAD_RECORDS: ["dead-2"]},
            (1, 1, 1, 1),
        ),
    ],
)
def test_losses_are_reported_exactly(
    store: Store,
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    lost: dict[str, list[str]],
    report: tuple[int, ...],
) -> None:
    for key, names in lost.items():
        lose(client, key, *names)
    with caplog.at_level(logging.ERROR):
        stats = store.stats(QUEUE)
    assert [tuple(map(int, found)) for found in REPORT.findall(caplog.text)] == [report]
    assert (stats.total, stats.dead) == (4 - report[0], 3 - report[1])
    check_consistency(client)
    warnings = [text for text in store.check().warnings if "lost keys" in text]
    assert len(warnings) == bool(report[0] + report[1])
    assert all(f"with {report[0] + report[1]} tasks" in text for text in warnings)


@pytest.mark.parametrize(
    "operate",
    [
        lambda store: store.stats(QUEUE),
        lambda store: store.purge(QUEUE, dead=True),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60)),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60, group_by_tag=True)),
    ],
)
@pytest.mark.parametrize("key", [ETA, TAGGED, RECORDS, PAYLOADS, DEAD, DEAD_RECORDS, DEAD_PAYLOADS])
@pytest.mark.parametrize("surplus", [False, True])
def test_one_entry_too_few_or_too_many_in_a_key_is_noticed(
    store: Store, client: redis.Redis, key: str, surplus: bool, operate: Callable[[Store], object]
) -> None:
    dead = key in (DEAD, DEAD_RECORDS, DEAD_PAYLOADS)
    if not surplus:
        lose(client, key, "dead-3" if dead else "later-2")
    elif key in HASHES:
        client.hset(key, "surplus", f"{FAR}|1|0|")
    else:
        client.zadd(key, {f"y\0{FAR:017}\0surplus": 0} if key == TAGGED else {"surplus": FAR})
    operate(store)
    check_consistency(client)


@pytest.mark.parametrize(
    "operate",
    [
        lambda store: store.get(QUEUE, "one"),
        lambda store: store.renew(QUEUE, "one", None, 60),
        lambda store: store.release(QUEUE, "one"),
    ],
    ids=["get", "renew", "release"],
)
def test_a_task_without_its_payload_is_reported_by_the_operation_that_finds_it(
    store: Store, client: redis.Redis, operate: Callable[[Store], object], caplog: pytest.LogCaptureFixture
) -> None:
    lose(client, PAYLOADS, "one")
    with caplog.at_level(logging.ERROR), pytest.raises(TaskUnknownError):
        operate(store)
    assert [found.groups() for found in map(REPORT.search, caplog.messages) if found] == [("1", "0", "0", "0")]
    check_consistency(client)


def test_a_dead_letter_that_has_lost_its_payload_is_reported_by_its_revival(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    lose(client, DEAD_PAYLOADS, "dead-1")
    with caplog.at_level(logging.ERROR), pytest.raises(TaskUnknownError):
        store.revive(QUEUE, "dead-1")
    assert [found.groups() for found in map(REPORT.search, caplog.messages) if found] == [("0", "1", "0", "0")]
    check_consistency(client)


def test_a_dead_letter_that_has_lost_its_record_is_revived(
    store: Store, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    lose(client, DEAD_RECORDS, "dead-1")
    with caplog.at_level(logging.ERROR):
        assert store.revive(QUEUE, "dead-1").id == "dead-1"
    assert [found.groups() for found in map(REPORT.search, caplog.messages) if found] == [("0", "0", "0", "1")]
    check_consistency(client)


def test_a_restored_task_keeps_what_the_indexes_know(store: Store, client: redis.Redis) -> None:
    before = {task.id: task for task in store.peek(QUEUE, 5)}
    now = store.now_us()
    client.delete(RECORDS)
    lose(client, ETA, "two", "later-1")  # their ETA is also in the index of tags
    lose(client, TAGGED, "later-2")
    lose(client, ETA, "one")
    lose(client, TAGGED, "one")
    after = {task.id: task for task in store.peek(QUEUE, 5)}
    assert {name: task.eta_us for name, task in after.items()} == {
        "one": now,
        **{name: before[name].eta_us for name in ("two", "later-1", "later-2")},
    }
    assert {name: task.tag for name, task in after.items()} == {
        "one": None,
        "two": None,
        "later-1": "y",
        "later-2": None,
    }
    assert {task.retry_count for task in after.values()} == {0}
    assert {task.enqueued_us for task in after.values()} == {now}
    check_consistency(client)


def test_an_id_of_which_only_an_index_is_left_was_damaged_and_not_deleted(store: Store, client: redis.Redis) -> None:
    lose(client, RECORDS, "one")
    lose(client, PAYLOADS, "one")
    with pytest.raises(TaskUnknownError):
        store.get(QUEUE, "one")
    check_consistency(client)  # the request has noticed the damage
    with pytest.raises(TaskUnknownError):
        store.get(QUEUE, "never")


def test_a_lost_offset_of_the_clock_is_restored(store: Store, client: redis.Redis) -> None:
    store.advance(1000)
    now = store.now_us()
    client.hdel(STATE, "offset")
    assert store.insert(QUEUE, NewTask("new", "eA==")).enqueued_us == now


@pytest.mark.parametrize("behind", [0, 500])
def test_the_clock_of_a_queue_is_not_set_back_by_a_repair(store: Store, client: redis.Redis, behind: int) -> None:
    store.advance(1000)
    now = store.now_us()
    client.set("render-trio:clock", client.get("render-trio:clock") if not behind else str(behind * SECOND))
    lose(client, ETA, "one")
    store.stats(QUEUE)
    assert store.insert(QUEUE, NewTask("new", "eA==")).enqueued_us == now
