"""The keys of a queue after each operation: every index fits the tasks, and nothing of a task is left behind."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue

import pytest
import redis

from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey, Store
from emulator.stores.redis.layout import queue_keys

QUEUE = QueueKey("project", "keys")
STATE, ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASED, DEAD, DEAD_RECORDS, DEAD_PAYLOADS = queue_keys(QUEUE)
FAR = 4_000_000_000_000_000  # µs, with as many digits as the times of today


def insert(store: Store, name: str, eta: int | None = None, tag: str | None = "x") -> None:
    store.insert(QUEUE, NewTask(name, f"payload-{name}", tag, eta))


def bury(store: Store, *names: str) -> None:
    """Make tasks dead letters, a second apart."""
    for name in names:
        insert(store, name)
        store.lease(QUEUE, LeaseOrder(1, 0))
        store.lease(QUEUE, LeaseOrder(1, 0, retry_limit=1))
        store.advance(1)


def indexes(client: redis.Redis) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Return the ETA of each task in each of the three keys that have it."""
    by_eta = {name: int(score) for name, score in client.zrange(ETA, 0, -1, withscores=True)}
    tagged = [entry.split("\0") for entry in client.zrange(TAGGED, 0, -1)]
    records = {name: int(record.split("|")[0]) for name, record in client.hgetall(RECORDS).items()}
    return by_eta, {name: int(eta) for _, eta, name in tagged}, records


@pytest.mark.parametrize(
    "operate",
    [
        lambda store, _: store.renew(QUEUE, "held", None, 30),
        lambda store, _: store.renew(QUEUE, "held", None, 0),
        lambda store, _: store.release(QUEUE, "held"),
        lambda store, _: store.release(QUEUE, "later"),
        lambda store, _: store.lease(QUEUE, LeaseOrder(5, 7)),
        lambda store, _: store.lease(QUEUE, LeaseOrder(5, 7, group_by_tag=True, tag="x")),
        lambda store, _: store.delete(QUEUE, "held"),
        lambda store, _: store.delete(QUEUE, "dead"),
        lambda store, _: store.revive(QUEUE, "dead"),
        lambda store, _: store.lease(QUEUE, LeaseOrder(5, 7, retry_limit=0)),
        lambda store, client: (client.zrem(ETA, "held"), store.stats(QUEUE)),
        lambda store, client: (client.delete(RECORDS), store.stats(QUEUE)),
        lambda store, client: (client.hdel(RECORDS, "held"), client.zrem(ETA, "held"), store.stats(QUEUE)),
    ],
)
def test_all_keys_of_a_queue_agree(
    store: Store, client: redis.Redis, operate: Callable[[Store, redis.Redis], object]
) -> None:
    bury(store, "dead")
    insert(store, "held")
    store.lease(QUEUE, LeaseOrder(1, 60))
    store.advance(1)
    insert(store, "later", store.now_us() + 90 * SECOND)
    insert(store, "due")
    before = {task.id: task for task in store.peek(QUEUE, 5)}
    operate(store, client)
    by_eta, tagged, records = indexes(client)
    tasks = {task.id: task for task in store.peek(QUEUE, 5)}
    assert by_eta == tagged == records == {name: task.eta_us for name, task in tasks.items()}
    assert sorted(client.hkeys(PAYLOADS)) == sorted(tasks)
    assert {task.payload for task in tasks.values()} == {f"payload-{name}" for name in tasks}
    assert {task.tag for task in tasks.values()} <= {"x"}
    dead = store.dead_letters(QUEUE, 5)
    assert sorted(client.hkeys(DEAD_RECORDS)) == sorted(client.hkeys(DEAD_PAYLOADS)) == sorted(t.id for t in dead)
    assert {name: int(end) for name, end in client.zrange(DEAD, 0, -1, withscores=True)} == {
        task.id: task.eta_us for task in dead
    }
    assert client.hmget(STATE, "tasks", "dead") == [str(len(tasks)), str(len(dead))]
    for name in before.keys() & tasks.keys():
        assert tasks[name].enqueued_us == before[name].enqueued_us or tasks[name].retry_count == 0


def test_a_queue_whose_tasks_are_done_keeps_tombstones_and_counts_of_leases_only(
    store: Store, client: redis.Redis
) -> None:
    bury(store, "dead", "revived")
    store.revive(QUEUE, "revived")
    insert(store, "done")
    insert(store, "dropped")
    (held, *_) = store.lease(QUEUE, LeaseOrder(1, 60))
    store.delete(QUEUE, held.id, held.eta_us)
    for name in {"dead", "revived", "done", "dropped"} - {held.id}:
        store.delete(QUEUE, name)
    assert set(client.scan_iter("render-trio:{project/keys}:*")) == {STATE, TOMBS, LEASED}
    assert client.zcard(TOMBS) == 4


def test_a_refused_operation_changes_nothing(store: Store, client: redis.Redis) -> None:
    insert(store, "one")
    (held,) = store.lease(QUEUE, LeaseOrder(1, 60))
    before = {key: client.dump(key) for key in queue_keys(QUEUE)}
    for refused in (
        lambda: insert(store, "one"),
        lambda: store.delete(QUEUE, "one", held.eta_us + 1),
        lambda: store.delete(QUEUE, "two"),
        lambda: store.renew(QUEUE, "one", held.eta_us + 1, 60),
        lambda: store.renew(QUEUE, "two", None, 60),
        lambda: store.release(QUEUE, "two"),
        lambda: store.revive(QUEUE, "one"),
    ):
        with pytest.raises(Exception, match="task"):
            refused()
    assert {key: client.dump(key) for key in queue_keys(QUEUE)} == before


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("change", ["nothing", "delete", "release"])
def test_pages_continue_after_the_last_task_of_the_previous_one(store: Store, count: int, change: str) -> None:
    eta = store.now_us() + SECOND
    for name in ("d", "b", "c", "a"):
        insert(store, name, eta)
    for number in range(3):
        insert(store, f"later-{number}", eta + 1 + number)
    names = ["a", "b", "c", "d", "later-0", "later-1", "later-2"]
    for position, name in enumerate(names):
        after = (eta if position < 4 else eta + position - 3, name)
        if change == "delete":
            store.delete(QUEUE, name)
        elif change == "release":
            store.release(QUEUE, name)
        assert [task.id for task in store.peek(QUEUE, count, after)] == names[position + 1 :][:count]
    assert len(store.peek(QUEUE, count)) == (0 if change == "delete" else count)


def test_dead_letters_are_listed_by_the_end_of_their_lease(store: Store) -> None:
    bury(store, "c", "a", "b")
    for count in (1, 2, 3, 4):
        assert [task.id for task in store.dead_letters(QUEUE, count)] == ["c", "a", "b"][:count]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("total", [99, 100, 101, 250])
def test_a_lease_takes_as_many_tasks_as_requested(store: Store, total: int, grouped: bool) -> None:
    names = [f"t{number:03}" for number in range(total)]
    for name in names:
        insert(store, name)
        if grouped:
            insert(store, f"other-{name}", tag="y")
    tag = "x" if grouped else None
    for count, expected in ((total - 1, names[:-1]), (1000, names[-1:])):
        assert [task.id for task in store.lease(QUEUE, LeaseOrder(count, 60, grouped, tag))] == expected
    others = [task.id for task in store.lease(QUEUE, LeaseOrder(1000, 60))]
    assert others == [f"other-{name}" for name in names if grouped]


@pytest.mark.parametrize(
    "operate",
    [
        lambda store: store.get(QUEUE, "held"),
        lambda store: store.peek(QUEUE, 1),
        lambda store: store.dead_letters(QUEUE, 1),
        lambda store: store.due_in(QUEUE),
        lambda store: store.stats(QUEUE),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60)),
        lambda store: store.insert(QUEUE, NewTask("new", "eA==")),
        lambda store: store.renew(QUEUE, "held", None, 60),
        lambda store: store.release(QUEUE, "held"),
        lambda store: store.delete(QUEUE, "held"),
        lambda store: store.revive(QUEUE, "dead"),
        lambda store: store.purge(QUEUE, dead=True),
        lambda store: store.pause(QUEUE),
        lambda store: store.resume(QUEUE),
        lambda store: store.declare(QUEUE),
    ],
)
@pytest.mark.parametrize("lost", [ETA, TAGGED, DEAD])
def test_each_operation_notices_and_restores_a_lost_index(
    store: Store, client: redis.Redis, operate: Callable[[Store], object], lost: str
) -> None:
    bury(store, "dead", "dead-2")
    for name in ("held", "other"):
        insert(store, name)
    store.lease(QUEUE, LeaseOrder(1, 60))
    client.delete(lost)
    operate(store)
    assert client.zcard(lost) == client.hlen(DEAD_RECORDS if lost == DEAD else RECORDS)
    assert store.check().problem is None


def test_waiting_leases_are_notified_of_tasks_that_a_repair_restores(store: Store, client: redis.Redis) -> None:
    notified: SimpleQueue[QueueKey | None] = SimpleQueue()
    insert(store, "one")
    store.watch(notified.put)
    assert notified.get(timeout=10) is None
    client.delete(ETA)
    store.get(QUEUE, "one")
    assert notified.get(timeout=10) == QUEUE


@pytest.mark.parametrize("spent", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_dead_letters_do_not_count_as_leased(store: Store, spent: int, count: int) -> None:
    for number in range(spent):
        insert(store, f"a-spent-{number}")
    store.lease(QUEUE, LeaseOrder(10, 0))
    for name in ("b", "c", "d", "e", "f"):
        insert(store, name)
    leased = store.lease(QUEUE, LeaseOrder(count, 60, retry_limit=1))
    assert [task.id for task in leased] == ["b", "c", "d", "e", "f"][:count]
    assert len(store.dead_letters(QUEUE, 10)) == spent


def test_the_greatest_time_is_kept_exactly(store: Store) -> None:
    insert(store, "one", FAR + 1)
    assert [task.eta_us for task in store.peek(QUEUE, 1)] == [FAR + 1]
    assert store.due_in(QUEUE) == FAR + 1 - store.now_us()


def test_a_paused_queue_is_not_swept_and_leases_nothing_even_if_awaited(store: Store, client: redis.Redis) -> None:
    insert(store, "one")
    store.pause(QUEUE)
    assert store.lease(QUEUE, LeaseOrder(1, 60, awaited=True)) == []
    assert client.hget(STATE, "awaited") == "1"
    store.resume(QUEUE)
    assert client.hget(STATE, "awaited") is None  # the waiting lease was notified
    assert client.hget(STATE, "paused") is None
