"""The contract of every task store, as functions that take a store and a new queue."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from emulator.stores.interface import (
    SECOND,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    Store,
    TaskExistsError,
    TaskUnknownError,
)


def new_task(name: str, tag: str | None = None, eta_us: int | None = None) -> NewTask:
    return NewTask(name, base64.b64encode(name.encode()).decode(), tag, eta_us)


def an_inserted_task_is_returned_unchanged(store: Store, queue: QueueKey) -> None:
    inserted = store.insert(queue, new_task("one", "täg|with\\signs"))
    assert store.get(queue, "one") == inserted
    assert inserted.payload == base64.b64encode(b"one").decode()
    assert inserted.tag == "täg|with\\signs"
    assert inserted.retry_count == 0
    assert abs(inserted.enqueued_us - time.time_ns() // 1000) < 60 * SECOND
    assert inserted.eta_us == inserted.enqueued_us


def a_duplicate_id_is_refused(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    with pytest.raises(TaskExistsError, match="one"):
        store.insert(queue, new_task("one"))


def a_deleted_id_stays_reserved(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    store.delete(queue, "one")
    with pytest.raises(TaskExistsError):
        store.insert(queue, new_task("one"))
    with pytest.raises(TaskUnknownError):
        store.delete(queue, "one")
    with pytest.raises(TaskUnknownError):
        store.get(queue, "one")


def queues_are_isolated(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    other = QueueKey(queue.project, queue.name + "-other")
    store.insert(other, new_task("one"))
    store.delete(queue, "one")
    assert store.get(other, "one").id == "one"
    assert {queue, other} <= set(store.queues())


def the_oldest_task_is_leased_first(store: Store, queue: QueueKey) -> None:
    for name in ("c", "a", "b"):
        store.insert(queue, new_task(name))
    assert [task.id for task in store.lease(queue, LeaseOrder(2, 60))] == ["c", "a"]
    assert [task.id for task in store.lease(queue, LeaseOrder(2, 60))] == ["b"]
    assert store.lease(queue, LeaseOrder(2, 60)) == []


def a_lease_returns_its_end_and_the_previous_count(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    (first,) = store.lease(queue, LeaseOrder(1, 60))
    assert first.retry_count == 0
    assert 59 * SECOND < first.eta_us - first.enqueued_us < 120 * SECOND
    store.renew(queue, "one", first.eta_us, 0)
    (second,) = store.lease(queue, LeaseOrder(1, 60))
    assert second.retry_count == 1
    assert store.get(queue, "one").retry_count == 2


def a_task_with_a_future_eta_is_not_leased(store: Store, queue: QueueKey) -> None:
    later = time.time_ns() // 1000 + 3600 * SECOND
    assert store.insert(queue, new_task("one", eta_us=later)).eta_us == later
    assert store.lease(queue, LeaseOrder(1, 60)) == []


def an_expired_lease_frees_the_task(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    (first,) = store.lease(queue, LeaseOrder(1, 0))
    with pytest.raises(LeaseExpiredError, match="one"):
        store.renew(queue, "one", first.eta_us, 60)
    (second,) = store.lease(queue, LeaseOrder(1, 60))
    assert second.retry_count == 1


def a_renewal_is_fenced_by_the_lease(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one"))
    (task,) = store.lease(queue, LeaseOrder(1, 60))
    renewed = store.renew(queue, "one", task.eta_us, 120)
    assert renewed.eta_us > task.eta_us
    with pytest.raises(LeaseConflictError, match=str(task.eta_us)):
        store.renew(queue, "one", task.eta_us, 60)
    assert store.renew(queue, "one", None, 60).eta_us < renewed.eta_us
    with pytest.raises(TaskUnknownError):
        store.renew(queue, "two", None, 60)


def tags_are_leased_separately(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("plain"))
    for name in ("x1", "x2"):
        store.insert(queue, new_task(name, "x"))
    store.insert(queue, new_task("xx", "x" * 2))
    by_tag = store.lease(queue, LeaseOrder(10, 60, group_by_tag=True, tag="x"))
    assert [task.id for task in by_tag] == ["x1", "x2"]
    assert store.lease(queue, LeaseOrder(10, 60, group_by_tag=True, tag="x")) == []
    # Without a tag, the lease uses that of the oldest task, which has none.
    assert [task.id for task in store.lease(queue, LeaseOrder(10, 60, group_by_tag=True))] == ["plain"]
    assert [task.id for task in store.lease(queue, LeaseOrder(10, 60, group_by_tag=True))] == ["xx"]
    assert store.lease(queue, LeaseOrder(10, 60, group_by_tag=True)) == []


def a_released_tagged_task_can_be_leased_by_its_tag(store: Store, queue: QueueKey) -> None:
    store.insert(queue, new_task("one", "x"))
    order = LeaseOrder(1, 60, group_by_tag=True, tag="x")
    (task,) = store.lease(queue, order)
    store.renew(queue, "one", task.eta_us, 0)
    assert [task.id for task in store.lease(queue, order)] == ["one"]


def the_size_of_a_lease_is_limited(store: Store, queue: QueueKey) -> None:
    for name in ("a", "b", "c", "d"):
        store.insert(queue, NewTask(name, "A" * 1000))
    assert [task.id for task in store.lease(queue, LeaseOrder(3, 60, max_bytes=2000))] == ["a", "b"]
    assert [task.id for task in store.lease(queue, LeaseOrder(3, 60, max_bytes=1999))] == ["c"]
    assert [task.id for task in store.lease(queue, LeaseOrder(3, 60, max_bytes=10))] == ["d"]


def an_empty_payload_is_a_payload(store: Store, queue: QueueKey) -> None:
    store.insert(queue, NewTask("one", "", "x"))
    assert [task.payload for task in store.lease(queue, LeaseOrder(1, 0))] == [""]
    assert store.lease(queue, LeaseOrder(1, 0, retry_limit=1)) == []
    assert store.dead_letters(queue, 1)[0].payload == ""
    assert store.revive(queue, "one").payload == ""
    assert [task.id for task in store.lease(queue, LeaseOrder(1, 60, group_by_tag=True))] == ["one"]
    assert store.renew(queue, "one", None, 60).payload == ""
    assert store.release(queue, "one").payload == ""


def statistics_are_correct(store: Store, queue: QueueKey) -> None:
    assert store.stats(queue).total == 0
    assert store.stats(queue).oldest_us is None
    first = store.insert(queue, new_task("a"))
    store.insert(queue, new_task("b"))
    assert store.stats(queue).oldest_us == first.eta_us
    store.lease(queue, LeaseOrder(2, 60))
    store.delete(queue, "a")
    stats = store.stats(queue)
    assert (stats.total, stats.leased_last_minute, stats.leased_last_hour) == (1, 2, 2)
    assert [task.id for task in store.peek(queue, 100)] == ["b"]


def no_task_has_two_holders(store: Store, queue: QueueKey) -> None:
    """Eight threads lease and delete; each task is leased by exactly one of them."""
    names = [f"t{number:03}" for number in range(200)]
    for name in names:
        store.insert(queue, new_task(name))
    held: list[str] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            while tasks := store.lease(queue, LeaseOrder(3, 600)):
                for task in tasks:
                    held.append(task.id)
                    store.delete(queue, task.id)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(held) == names


CONTRACT = (
    an_inserted_task_is_returned_unchanged,
    a_duplicate_id_is_refused,
    a_deleted_id_stays_reserved,
    queues_are_isolated,
    the_oldest_task_is_leased_first,
    a_lease_returns_its_end_and_the_previous_count,
    a_task_with_a_future_eta_is_not_leased,
    an_expired_lease_frees_the_task,
    a_renewal_is_fenced_by_the_lease,
    tags_are_leased_separately,
    a_released_tagged_task_can_be_leased_by_its_tag,
    the_size_of_a_lease_is_limited,
    an_empty_payload_is_a_payload,
    statistics_are_correct,
    no_task_has_two_holders,
)
