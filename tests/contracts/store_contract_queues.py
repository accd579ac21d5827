"""The rest of the store contract: lists, dead letters, operations on queues, the clock, notifications."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from emulator.stores.interface import (
    SECOND,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    Store,
    Task,
    TaskExistsError,
    TaskUnknownError,
)
from tests.contracts.store_contract import new_task


def lists_are_paginated(store: Store, queue: QueueKey) -> None:
    same = time.time_ns() // 1000 + 3600 * SECOND
    for name in ("d", "b", "c", "a", "e"):
        store.insert(queue, new_task(name, eta_us=same))
    store.insert(queue, new_task("later", eta_us=same + 1))
    seen, after = [], None
    while page := store.peek(queue, 2, after):
        seen += [task.id for task in page]
        after = (page[-1].eta_us, page[-1].id)
    assert seen == ["a", "b", "c", "d", "e", "later"]
    store.delete(queue, "b")  # although the last task of a page is deleted, the next page starts after it
    assert [task.id for task in store.peek(queue, 2, (same, "b"))] == ["c", "d"]
    store.release(queue, "c")
    assert [task.id for task in store.peek(queue, 2, (same, "c"))] == ["d", "e"]


def a_task_at_its_retry_limit_becomes_a_dead_letter(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one", "x"))
    store.insert(queue, new_task("two"))
    order = LeaseOrder(1, 0, retry_limit=2)
    assert [store.lease(queue, LeaseOrder(2, 0, retry_limit=2))[0].id for _ in range(2)] == ["one", "one"]
    store.insert(queue, new_task("three"))
    assert [task.id for task in store.lease(queue, order)] == ["three"]
    dead = store.dead_letters(queue, 10)
    assert sorted(task.id for task in dead) == ["one", "two"]
    assert {task.retry_count for task in dead} == {2}
    assert next(task for task in dead if task.id == "one").tag == "x"
    stats = store.stats(queue)
    assert (stats.total, stats.dead) == (1, 2)
    for refused in (store.get, store.release):
        with pytest.raises(TaskUnknownError):
            refused(queue, "one")
    with pytest.raises(TaskUnknownError):
        store.renew(queue, "one", None, 60)
    with pytest.raises(TaskExistsError):
        store.insert(queue, new_task("one"))


def grouping_ignores_the_tags_of_tasks_at_their_retry_limit(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("spent", "x"))
    store.lease(queue, LeaseOrder(1, 0))
    store.insert(queue, new_task("fresh", "y"))
    store.insert(queue, new_task("other", "x"))
    order = LeaseOrder(10, 60, group_by_tag=True, retry_limit=1)
    assert [task.id for task in store.lease(queue, order)] == ["fresh"]
    assert [task.id for task in store.dead_letters(queue, 10)] == ["spent"]


def a_dead_letter_can_be_revived_or_deleted(store: Store, queue: QueueKey) -> None:
    for name in ("one", "two"):
        store.insert(queue, new_task(name, "x"))
    store.lease(queue, LeaseOrder(2, 0))
    assert store.lease(queue, LeaseOrder(2, 0, retry_limit=1)) == []
    revived = store.revive(queue, "one")
    assert (revived.retry_count, revived.tag, revived.payload) == (0, "x", new_task("one").payload)
    assert revived.eta_us >= revived.enqueued_us
    with pytest.raises(TaskUnknownError):
        store.revive(queue, "one")
    by_tag = LeaseOrder(2, 60, group_by_tag=True, tag="x", retry_limit=1)
    assert [task.id for task in store.lease(queue, by_tag)] == ["one"]
    # The last holder may finish late; its deletion of the dead letter must succeed.
    with pytest.raises(TaskUnknownError):
        store.delete(queue, "two", lease_us=1)
    store.delete(queue, "two")
    assert store.dead_letters(queue, 10) == []
    assert store.stats(queue).dead == 0
    with pytest.raises(TaskExistsError):
        store.insert(queue, new_task("two"))


def many_tasks_at_their_retry_limit_do_not_hide_one_that_can_be_leased(store: Store, queue: QueueKey) -> None:
    for number in range(1200):
        store.insert(queue, NewTask(f"t{number:04}", "eA=="))
    for _ in range(2):
        assert len(store.lease(queue, LeaseOrder(600, 0))) == 600
    store.insert(queue, new_task("last"))
    assert [task.id for task in store.lease(queue, LeaseOrder(5, 60, retry_limit=1))] == ["last"]
    assert store.stats(queue).dead == 1200
    assert store.purge(queue, dead=True) == 1200
    assert store.stats(queue).dead == 0
    store.insert(queue, new_task("t0000"))


def a_task_can_be_released_by_anyone(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one", "x"))
    (held,) = store.lease(queue, LeaseOrder(1, 600))
    released = store.release(queue, "one")
    assert released.eta_us < held.eta_us
    assert store.release(queue, "one").eta_us == released.eta_us  # it keeps its position
    with pytest.raises(LeaseConflictError):
        store.renew(queue, "one", held.eta_us, 60)
    assert [task.id for task in store.lease(queue, LeaseOrder(1, 60, group_by_tag=True, tag="x"))] == ["one"]
    with pytest.raises(TaskUnknownError):
        store.release(queue, "two")


def an_acknowledgement_is_fenced_by_the_lease(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    (first,) = store.lease(queue, LeaseOrder(1, 0))
    with pytest.raises(LeaseExpiredError):
        store.delete(queue, "one", first.eta_us)
    (second,) = store.lease(queue, LeaseOrder(1, 60))
    with pytest.raises(LeaseConflictError):
        store.delete(queue, "one", first.eta_us)
    store.delete(queue, "one", second.eta_us)
    with pytest.raises(TaskUnknownError):
        store.delete(queue, "one", second.eta_us)


def a_purge_empties_one_queue_and_frees_its_ids(store: Store, queue: QueueKey) -> None:
    other = QueueKey(queue.project, queue.name + "-other")
    for name in ("one", "two", "gone"):
        store.insert(queue, new_task(name, "x"))
    store.insert(other, new_task("one"))
    store.delete(queue, "gone")
    assert store.purge(queue) == 2
    assert store.purge(queue) == 0
    assert store.stats(queue).total == 0
    assert store.peek(queue, 10) == []
    assert store.lease(queue, LeaseOrder(10, 60, group_by_tag=True, tag="x")) == []
    store.insert(queue, new_task("one"))
    with pytest.raises(TaskExistsError):
        store.insert(queue, new_task("gone"))  # it was deleted, not purged
    assert store.get(other, "one").id == "one"


def a_paused_queue_leases_nothing(store: Store, queue: QueueKey) -> None:
    store.pause(queue)
    assert queue in store.queues()
    store.insert(queue, new_task("one"))
    assert store.stats(queue).paused
    assert store.lease(queue, LeaseOrder(1, 60)) == []
    assert store.get(queue, "one").retry_count == 0
    store.resume(queue)
    assert not store.stats(queue).paused
    assert [task.id for task in store.lease(queue, LeaseOrder(1, 60))] == ["one"]


def a_declared_queue_exists_before_its_first_task(store: Store, queue: QueueKey) -> None:
    assert queue not in store.queues()
    assert store.lease(queue, LeaseOrder(1, 60)) == []
    assert queue not in store.queues()
    store.declare(queue)
    store.declare(queue)
    assert store.queues().count(queue) == 1


def the_clock_can_be_advanced(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    (held,) = store.lease(queue, LeaseOrder(1, 600))
    later = store.insert(queue, new_task("later", eta_us=store.now_us() + 900 * SECOND))
    assert 590 * SECOND < (store.due_in(queue) or 0) <= 600 * SECOND
    before = store.now_us()
    now = store.advance(600.5)
    assert 600 * SECOND < now - before < 700 * SECOND
    assert 290 * SECOND < (store.due_in(queue) or 0) < later.eta_us - now + SECOND
    with pytest.raises(LeaseExpiredError):
        store.renew(queue, "one", held.eta_us, 60)
    assert [task.id for task in store.lease(queue, LeaseOrder(2, 60))] == ["one"]
    store.delete(queue, "one")
    store.advance(3599)
    with pytest.raises(TaskExistsError):
        store.insert(queue, new_task("one"))
    store.advance(2)
    fresh = store.insert(queue, new_task("one"))
    assert fresh.enqueued_us > now + 3600 * SECOND
    other = QueueKey(queue.project, queue.name + "-other")
    assert store.insert(other, new_task("one")).enqueued_us >= fresh.enqueued_us
    assert store.stats(queue).leased_last_minute == 0
    assert store.stats(queue).leased_last_hour == 0
    for refused in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="allowed: 0 to"):
            store.advance(refused)


def a_reset_deletes_everything(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    store.insert(queue, new_task("two"))
    store.lease(queue, LeaseOrder(1, 0))
    store.lease(queue, LeaseOrder(1, 0, retry_limit=1))
    store.delete(queue, "two")
    store.pause(queue)
    store.advance(1000)
    store.reset()
    assert store.queues() == []
    assert store.stats(queue) == QueueStats(0, None, 0, 0)
    assert abs(store.now_us() - time.time_ns() // 1000) < 60 * SECOND
    store.insert(queue, new_task("two"))
    assert [task.id for task in store.lease(queue, LeaseOrder(2, 60))] == ["two"]
    assert store.dead_letters(queue, 10) == []


def awaited_queues_are_notified(store: Store, queue: QueueKey) -> None:
    """Every operation that makes a task due sends a notification if an awaited lease found nothing before."""
    awaited = LeaseOrder(1, 600, awaited=True, retry_limit=3)
    notifications: SimpleQueue[QueueKey | None] = SimpleQueue()
    store.watch(notifications.put)
    assert notifications.get(timeout=10) is None  # the store has started to listen

    def lease_after(act: Callable[[], object]) -> Task:
        assert store.lease(queue, awaited) == []
        act()
        assert notifications.get(timeout=10) in (queue, None)
        (task,) = store.lease(queue, awaited)
        return task

    task = lease_after(lambda: store.insert(queue, new_task("one")))
    assert queue in store.queues()
    lease_after(lambda: store.renew(queue, "one", task.eta_us, 0))
    lease_after(lambda: store.release(queue, "one"))
    store.renew(queue, "one", None, 0)
    assert store.lease(queue, awaited) == []
    assert [task.id for task in store.dead_letters(queue, 1)] == ["one"]
    lease_after(lambda: store.revive(queue, "one"))
    lease_after(lambda: store.advance(601))
    store.delete(queue, "one")
    store.pause(queue)
    store.insert(queue, new_task("two"))
    while not notifications.empty():
        notifications.get()
    lease_after(lambda: store.resume(queue))


CONTRACT = (
    lists_are_paginated,
    a_task_at_its_retry_limit_becomes_a_dead_letter,
    grouping_ignores_the_tags_of_tasks_at_their_retry_limit,
    a_dead_letter_can_be_revived_or_deleted,
    many_tasks_at_their_retry_limit_do_not_hide_one_that_can_be_leased,
    a_task_can_be_released_by_anyone,
    an_acknowledgement_is_fenced_by_the_lease,
    a_purge_empties_one_queue_and_frees_its_ids,
    a_paused_queue_leases_nothing,
    a_declared_queue_exists_before_its_first_task,
    the_clock_can_be_advanced,
    a_reset_deletes_everything,
    awaited_queues_are_notified,
)
