"""When waiting leases try to lease, by a clock that only waiting moves, and what happens to calls of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

from emulator.queues import long_poll
from emulator.queues.long_poll import MAX_WAIT, POLL_INTERVAL, Waiters, wait_preference
from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey, Task
from emulator.stores.sqlite.store import SqliteStore

QUEUE, OTHER = QueueKey("project", "waiting"), QueueKey("project", "other")
ONE = LeaseOrder(1, 60)


class Calls:
    """Calls the store inline. Records when each order is tried, and runs `during` once while a lease is tried."""

    def __init__(self) -> None:
        self.attempts: list[tuple[float, LeaseOrder]] = []
        self.due_in: int | None = None
        self.during: Callable[[], object] | None = None

    async def call_store(self, method: Callable[..., Any], *arguments: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if method.__name__ == "due_in":
            return self.due_in
        result = method(*arguments)
        if method.__name__ == "lease":
            self.attempts.append((trio.current_time() - self.started, arguments[1]))
            act, self.during = self.during, None
            if act is not None:
                act()
        return result

    def begin(self, clock: trio.testing.MockClock) -> None:
        self.started = clock.current_time()

    @property
    def times(self) -> list[float]:
        return [round(time, 3) for time, _ in self.attempts]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """A store in memory that sends no notifications."""
    with closing(SqliteStore(":memory:")) as store:
        monkeypatch.setattr(store, "watch", lambda notify: None)
        yield store


@pytest.fixture
def calls() -> Calls:
    return Calls()


async def test_a_lease_that_waits_polls_until_its_time_is_over(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    assert await waiters.lease(QUEUE, ONE, 3.5 * POLL_INTERVAL) == []
    assert trio.current_time() - calls.started == pytest.approx(3.5 * POLL_INTERVAL)
    assert calls.times == [0, POLL_INTERVAL, 2 * POLL_INTERVAL, 3 * POLL_INTERVAL]
    assert {order for _, order in calls.attempts} == {replace(ONE, awaited=True)}
    assert waiters._fifos == {}


async def test_a_lease_that_does_not_wait_is_tried_once(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    assert await waiters.lease(QUEUE, ONE, 0) == []
    assert calls.attempts == [(0, ONE)]  # without `awaited`, so the store sends no notifications
    store.insert(QUEUE, NewTask("one", "eA=="))
    assert [task.id for task in await waiters.lease(QUEUE, ONE, 0)] == ["one"]
    assert store.due_in(QUEUE) is not None  # it is leased
    assert trio.current_time() == calls.started
    await waiters.lease(QUEUE, ONE, 1)
    assert trio.current_time() - calls.started == pytest.approx(1)


@pytest.mark.parametrize(("due_in", "delay"), [(250_000, 0.25), (10 * SECOND, POLL_INTERVAL), (None, POLL_INTERVAL)])
async def test_a_lease_is_tried_again_when_the_next_task_becomes_due(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock, due_in: int | None, delay: float
) -> None:
    calls.begin(autojump_clock)
    calls.due_in = due_in
    await Waiters(store, calls.call_store).lease(QUEUE, ONE, delay + 0.01)
    assert calls.times == [0, delay]


async def test_only_the_first_of_equal_waiters_polls(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    orders = [LeaseOrder(1, 60), LeaseOrder(1, 61), LeaseOrder(1, 62, group_by_tag=True, tag="x")]
    async with trio.open_nursery() as nursery:
        for order in orders:
            nursery.start_soon(waiters.lease, QUEUE, order, 1.5 * POLL_INTERVAL)
            await trio.testing.wait_all_tasks_blocked()
    polled = [order.seconds for time, order in calls.attempts if time >= POLL_INTERVAL]
    assert polled == [60, 62]  # the second can't find a task that the first didn't find


async def test_the_next_waiter_polls_when_the_first_has_ended(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiters.lease, QUEUE, ONE, 1.5 * POLL_INTERVAL)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(waiters.lease, QUEUE, LeaseOrder(1, 61), 3.5 * POLL_INTERVAL)
    assert [(round(time, 3), order.seconds) for time, order in calls.attempts] == [
        (0, 60),
        (0, 61),
        (POLL_INTERVAL, 60),
        (2 * POLL_INTERVAL, 61),
        (3 * POLL_INTERVAL, 61),
    ]
    assert waiters._fifos == {}


async def test_the_first_waiter_polls_no_more_often_while_another_lease_is_tried(
    store: SqliteStore, calls: Calls, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    polled: list[float] = []
    notify = long_poll._Fifo.notify

    def counted(fifo: long_poll._Fifo) -> None:
        polled.append(round(trio.current_time() - calls.started, 3))
        assert len(polled) < 20
        notify(fifo)

    async def call_store(method: Callable[..., Any], *arguments: Any) -> Any:
        if arguments[1:] and arguments[1].seconds == 61 and polled:
            await trio.sleep(3.5 * POLL_INTERVAL)
        return await calls.call_store(method, *arguments)

    monkeypatch.setattr(long_poll._Fifo, "notify", counted)
    waiters = Waiters(store, call_store)
    async with trio.open_nursery() as nursery:
        for order in (ONE, LeaseOrder(1, 61, group_by_tag=True, tag="x")):
            nursery.start_soon(waiters.lease, QUEUE, order, 4.2 * POLL_INTERVAL)
            await trio.testing.wait_all_tasks_blocked()
    assert polled[:4] == [1, 2, 3, 4]


async def test_a_notification_starts_an_attempt_at_once(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    async with trio.open_nursery() as nursery:
        for queue in (QUEUE, OTHER):
            nursery.start_soon(waiters.lease, queue, ONE, 0.9 * POLL_INTERVAL)
        await trio.sleep(0.1)
        waiters.notify(OTHER)
        await trio.sleep(0.1)
        waiters.notify(QueueKey("project", "nobody-waits"))
        await trio.sleep(0.1)
        waiters.notify(None)
    assert calls.times == [0, 0, 0.1, 0.3, 0.3]


async def test_a_notification_during_an_attempt_causes_another_one(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)

    def insert() -> None:
        store.insert(QUEUE, NewTask("one", "eA=="))
        waiters.notify(QUEUE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiters.lease, QUEUE, ONE, 0.9 * POLL_INTERVAL)
        await trio.sleep(0.1)
        calls.during = insert
        waiters.notify(QUEUE)
    assert calls.times == [0, 0.1, 0.1]
    assert trio.current_time() - calls.started == pytest.approx(0.1)
    assert store.get(QUEUE, "one").retry_count == 1


async def test_rounds_end_although_notifications_were_repeated(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiters.lease, QUEUE, ONE, 0.9 * POLL_INTERVAL)
        await trio.sleep(0.1)
        calls.during = lambda: waiters.notify(QUEUE)
        waiters.notify(QUEUE)
        await trio.sleep(0.1)
        waiters.notify(QUEUE)
    assert calls.times == [0, 0.1, 0.1, 0.2]


async def test_one_notification_is_enough_for_several_tasks(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    got: list[str] = []

    async def lease() -> None:
        got.extend(task.id for task in await waiters.lease(QUEUE, ONE, 0.9 * POLL_INTERVAL))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(lease)
        await trio.sleep(0.1)
        for number in range(3):
            store.insert(QUEUE, NewTask(f"t{number}", "eA=="))
        waiters.notify(QUEUE)
        await trio.sleep(0.1)
        assert sorted(got) == ["t0", "t1", "t2"]


async def test_every_task_that_was_leased_for_a_disconnected_client_is_released(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    for number in range(3):
        store.insert(QUEUE, NewTask(f"t{number}", "eA=="))
    with trio.CancelScope() as client:
        calls.during = client.cancel
        await waiters.lease(QUEUE, LeaseOrder(3, 600), 60)
    assert client.cancelled_caught
    assert len(store.lease(QUEUE, LeaseOrder(3, 600))) == 3
    assert waiters._fifos == {}


async def test_tasks_of_a_connected_client_stay_leased(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    store.insert(QUEUE, NewTask("one", "eA=="))
    (task,) = await Waiters(store, calls.call_store).lease(QUEUE, ONE, 60)
    assert store.get(QUEUE, "one").eta_us == task.eta_us
    assert store.lease(QUEUE, ONE) == []


async def test_a_client_that_disconnects_while_it_waits_leaves_nothing(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock
) -> None:
    calls.begin(autojump_clock)
    waiters = Waiters(store, calls.call_store)
    with trio.move_on_after(0.5):
        await waiters.lease(QUEUE, ONE, 60)
    assert waiters._fifos == {}
    store.insert(QUEUE, NewTask("one", "eA=="))
    assert [task.id for task in await waiters.lease(QUEUE, ONE, 60)] == ["one"]


async def test_the_store_is_watched_once_from_the_first_wait(
    store: SqliteStore, calls: Calls, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.begin(autojump_clock)
    watchers: list[Callable[[QueueKey | None], None]] = []
    monkeypatch.setattr(store, "watch", watchers.append)
    waiters = Waiters(store, calls.call_store)
    await waiters.lease(QUEUE, ONE, 0)
    assert watchers == []
    for _ in range(2):
        await waiters.lease(QUEUE, ONE, 0.5)
    assert len(watchers) == 1


def test_a_notification_after_the_end_of_the_event_loop_is_ignored(store: SqliteStore) -> None:
    watchers: list[Callable[[QueueKey | None], None]] = []
    store.watch = watchers.append  # type: ignore[method-assign]  # restored by the fixture

    async def call_store(method: Callable[..., Any], *arguments: Any) -> Any:
        return method(*arguments)

    async def lease() -> list[Task]:
        store.insert(QUEUE, NewTask("one", "eA=="))
        return await Waiters(store, call_store).lease(QUEUE, ONE, 1)

    assert len(trio.run(lease)) == 1
    watchers[0](QUEUE)
    watchers[0](None)


@pytest.mark.parametrize(("header", "seconds"), [("wait=59", 59), ("wait=60", 60), ("wait=61", MAX_WAIT), ("a, b", 0)])
def test_a_lease_waits_for_at_most_a_minute(header: str, seconds: int) -> None:
    assert wait_preference(header) == seconds <= 60
