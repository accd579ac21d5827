"""A waiting lease gets a task at once, whichever process inserted it, and no other waiting lease is disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import trio
import trio.testing

from emulator.queues import long_poll
from emulator.queues.long_poll import Waiters, wait_preference
from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, Store, Task
from emulator.stores.opening import open_store

QUEUE = QueueKey("project", "waiting")
ONE = LeaseOrder(1, 60)
PATIENCE = 10.0


class CountingCaller:
    """Calls the store inline, and counts the attempts to lease."""

    def __init__(self) -> None:
        self.attempts = 0

    async def call_store(self, method: Callable[..., Any], *arguments: Any) -> Any:
        self.attempts += method.__name__ == "lease"
        await trio.lowlevel.checkpoint()
        return method(*arguments)


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """One store, opened twice as if by two processes."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    else:
        url = request.getfixturevalue("redis_server").url
    here, there = open_store(url), open_store(url)
    there.reset()
    yield here, there
    here.close()
    there.close()


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiters try only after a notification or when a task becomes due."""
    monkeypatch.setattr(long_poll, "POLL_INTERVAL", 3600.0)


class Leases:
    """Waiting leases by name, and the tasks that they got."""

    def __init__(self, nursery: trio.Nursery, waiters: Waiters) -> None:
        self.got: list[tuple[str, str]] = []
        self._nursery = nursery
        self._waiters = waiters
        self._got_one = trio.Event()

    async def wait(self, name: str, order: LeaseOrder, seconds: int = 60) -> None:
        tasks = await self._waiters.lease(QUEUE, order, seconds)
        self.got += [(name, task.id) for task in tasks]
        self._got_one.set()

    async def add(self, name: str, order: LeaseOrder = ONE) -> None:
        self._nursery.start_soon(self.wait, name, order)
        await trio.testing.wait_all_tasks_blocked(0.01)

    async def until(self, count: int) -> None:
        with trio.fail_after(PATIENCE):
            while len(self.got) < count:
                await self._got_one.wait()
                self._got_one = trio.Event()


@pytest.mark.usefixtures("no_polling")
async def test_a_task_from_another_process_wakes_a_waiting_lease(stores: tuple[Store, Store]) -> None:
    here, there = stores
    async with trio.open_nursery() as nursery:
        leases = Leases(nursery, Waiters(here, CountingCaller().call_store))
        for number in range(3):
            await leases.add("first")
            await trio.to_thread.run_sync(there.insert, QUEUE, NewTask(f"t{number}", "eA=="))
            await leases.until(number + 1)
    assert leases.got == [("first", "t0"), ("first", "t1"), ("first", "t2")]


@pytest.mark.usefixtures("no_polling")
async def test_a_task_wakes_one_of_many_waiting_leases(stores: tuple[Store, Store]) -> None:
    here, there = stores
    caller = CountingCaller()
    async with trio.open_nursery() as nursery:
        leases = Leases(nursery, Waiters(here, caller.call_store))
        for name in "abcdefgh":
            await leases.add(name)
        # The Redis store sends one notification when its subscription starts.
        await trio.testing.wait_all_tasks_blocked(0.1)
        before = caller.attempts
        there.insert(QUEUE, NewTask("one", "eA=="))
        await leases.until(1)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert leases.got == [("a", "one")]
        assert caller.attempts - before <= 3  # the one that got it, and the next one, because there may be more tasks
        for number in range(7):
            there.insert(QUEUE, NewTask(f"t{number}", "eA=="))
        await leases.until(8)
        assert sorted(name for name, _ in leases.got) == list("abcdefgh")


@pytest.mark.usefixtures("no_polling")
async def test_a_task_reaches_the_first_lease_with_a_matching_tag(stores: tuple[Store, Store]) -> None:
    here, there = stores
    async with trio.open_nursery() as nursery:
        leases = Leases(nursery, Waiters(here, CountingCaller().call_store))
        for name in ("x1", "x2", "y1"):
            await leases.add(name, LeaseOrder(1, 60, group_by_tag=True, tag=name[0]))
        there.insert(QUEUE, NewTask("for-y", "eA==", "y"))
        await leases.until(1)
        assert leases.got == [("y1", "for-y")]
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("no_polling")
async def test_a_delayed_task_is_leased_when_it_becomes_due(stores: tuple[Store, Store]) -> None:
    here, there = stores
    there.insert(QUEUE, NewTask("soon", "eA==", eta_us=there.now_us() + 150_000))
    async with trio.open_nursery() as nursery:
        leases = Leases(nursery, Waiters(here, CountingCaller().call_store))
        first = trio.CancelScope()
        nursery.start_soon(_wait_in_scope, first, leases)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await leases.add("second")
        first.cancel()  # the next waiter becomes responsible for trying at the ETA
        await leases.until(1)
    assert leases.got == [("second", "soon")]


async def _wait_in_scope(scope: trio.CancelScope, leases: Leases) -> None:
    with scope:
        await leases.wait("first", ONE)


@pytest.mark.usefixtures("no_polling")
async def test_advancing_the_clock_and_resuming_the_queue_wake_waiting_leases(stores: tuple[Store, Store]) -> None:
    here, there = stores
    there.insert(QUEUE, NewTask("one", "eA=="))
    there.lease(QUEUE, LeaseOrder(1, 600))
    async with trio.open_nursery() as nursery:
        leases = Leases(nursery, Waiters(here, CountingCaller().call_store))
        await leases.add("first")
        there.advance(601)
        await leases.until(1)
        there.pause(QUEUE)
        there.release(QUEUE, "one")
        await leases.add("second")
        assert len(leases.got) == 1
        there.resume(QUEUE)
        await leases.until(2)


@pytest.mark.usefixtures("no_polling")
async def test_no_waiting_lease_is_lost_when_the_subscription_is_cut(
    stores: tuple[Store, Store], request: pytest.FixtureRequest
) -> None:
    here, there = stores
    async with trio.open_nursery() as nursery:
        leases = Leases(nursery, Waiters(here, CountingCaller().call_store))
        await leases.add("first")
        with redis.Redis(port=request.getfixturevalue("redis_server").port) as client:
            client.client_kill_filter(_type="pubsub")
        there.insert(QUEUE, NewTask("one", "eA=="))
        await leases.until(1)


async def test_a_lost_notification_causes_only_a_short_delay(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = stores
    monkeypatch.setattr(long_poll, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(here, "watch", lambda notify: None)
    async with trio.open_nursery() as nursery:
        leases = Leases(nursery, Waiters(here, CountingCaller().call_store))
        await leases.add("first")
        there.insert(QUEUE, NewTask("one", "eA=="))
        await leases.until(1)


async def test_tasks_leased_for_a_disconnected_client_are_released(stores: tuple[Store, Store]) -> None:
    here, there = stores
    there.insert(QUEUE, NewTask("one", "eA=="))
    with trio.CancelScope() as client:

        async def call_store(method: Callable[..., Any], *arguments: Any) -> Any:
            result = method(*arguments)
            client.cancel()  # the client disconnects during the call
            return result

        await Waiters(here, call_store).lease(QUEUE, ONE, 60)
    assert client.cancelled_caught
    assert [task.id for task in there.lease(QUEUE, ONE)] == ["one"]


async def test_a_lease_waits_no_longer_than_requested(stores: tuple[Store, Store]) -> None:
    waiters = Waiters(stores[0], CountingCaller().call_store)
    with trio.fail_after(PATIENCE):
        nothing: list[Task] = await waiters.lease(QUEUE, ONE, 0.1)
    assert nothing == []
    assert await waiters.lease(QUEUE, ONE, 0) == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("wait=5", 5),
        ('respond-async, WAIT = "7"', 7),
        ("wait=999999999", 60),
        ("wait=-1", 0),
        ("wait=five", 0),
        ("waiting=5", 0),
    ],
)
def test_the_wait_preference_is_parsed(header: str, seconds: int) -> None:
    assert wait_preference(header) == seconds
