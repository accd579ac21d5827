"""Who waits for a task gets it at once, from whichever process, and nobody else is troubled."""

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


class Counted:
    """Calls the store inline, and counts the looks."""

    def __init__(self) -> None:
        self.looks = 0

    async def ask(self, verb: Callable[..., Any], *arguments: Any) -> Any:
        self.looks += verb.__name__ == "lease"
        await trio.lowlevel.checkpoint()
        return verb(*arguments)


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Two processes' views of one store."""
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
def only_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks for no reason."""
    monkeypatch.setattr(long_poll, "POLL_INTERVAL", 3600.0)


class Line:
    """Some who wait, and what they got."""

    def __init__(self, nursery: trio.Nursery, waiters: Waiters) -> None:
        self.got: list[tuple[str, str]] = []
        self._nursery = nursery
        self._waiters = waiters
        self._got_one = trio.Event()

    async def stand(self, name: str, order: LeaseOrder, seconds: int = 60) -> None:
        tasks = await self._waiters.lease(QUEUE, order, seconds)
        self.got += [(name, task.id) for task in tasks]
        self._got_one.set()

    async def add(self, name: str, order: LeaseOrder = ONE) -> None:
        self._nursery.start_soon(self.stand, name, order)
        await trio.testing.wait_all_tasks_blocked(0.01)

    async def until(self, count: int) -> None:
        with trio.fail_after(PATIENCE):
            while len(self.got) < count:
                await self._got_one.wait()
                self._got_one = trio.Event()


@pytest.mark.usefixtures("only_rings")
async def test_a_task_of_another_process_wakes_who_waits(stores: tuple[Store, Store]) -> None:
    here, there = stores
    async with trio.open_nursery() as nursery:
        line = Line(nursery, Waiters(here, Counted().ask))
        for number in range(3):
            await line.add("first")
            await trio.to_thread.run_sync(there.insert, QUEUE, NewTask(f"t{number}", "eA=="))
            await line.until(number + 1)
    assert line.got == [("first", "t0"), ("first", "t1"), ("first", "t2")]


@pytest.mark.usefixtures("only_rings")
async def test_a_task_wakes_one_of_many(stores: tuple[Store, Store]) -> None:
    here, there = stores
    counted = Counted()
    async with trio.open_nursery() as nursery:
        line = Line(nursery, Waiters(here, counted.ask))
        for name in "abcdefgh":
            await line.add(name)
        # Redis rings once when it begins to listen.
        await trio.testing.wait_all_tasks_blocked(0.1)
        before = counted.looks
        there.insert(QUEUE, NewTask("one", "eA=="))
        await line.until(1)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert line.got == [("a", "one")]
        assert counted.looks - before <= 3  # who got it, and one more who asked whether there is more
        for number in range(7):
            there.insert(QUEUE, NewTask(f"t{number}", "eA=="))
        await line.until(8)
        assert sorted(name for name, _ in line.got) == list("abcdefgh")


@pytest.mark.usefixtures("only_rings")
async def test_a_task_reaches_who_wants_its_tag_past_those_who_do_not(stores: tuple[Store, Store]) -> None:
    here, there = stores
    async with trio.open_nursery() as nursery:
        line = Line(nursery, Waiters(here, Counted().ask))
        for name in ("x1", "x2", "y1"):
            await line.add(name, LeaseOrder(1, 60, group_by_tag=True, tag=name[0]))
        there.insert(QUEUE, NewTask("for-y", "eA==", "y"))
        await line.until(1)
        assert line.got == [("y1", "for-y")]
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("only_rings")
async def test_a_delayed_task_is_leased_when_it_falls_due(stores: tuple[Store, Store]) -> None:
    here, there = stores
    there.insert(QUEUE, NewTask("soon", "eA==", eta_us=there.now_us() + 150_000))
    async with trio.open_nursery() as nursery:
        line = Line(nursery, Waiters(here, Counted().ask))
        gone = trio.CancelScope()
        nursery.start_soon(_stand_until, gone, line)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await line.add("second")
        gone.cancel()  # who minded the alarm goes away: the next minds it
        await line.until(1)
    assert line.got == [("second", "soon")]


async def _stand_until(gone: trio.CancelScope, line: Line) -> None:
    with gone:
        await line.stand("first", ONE)


@pytest.mark.usefixtures("only_rings")
async def test_who_waits_sees_the_clock_moved_and_the_queue_resumed(stores: tuple[Store, Store]) -> None:
    here, there = stores
    there.insert(QUEUE, NewTask("one", "eA=="))
    there.lease(QUEUE, LeaseOrder(1, 600))
    async with trio.open_nursery() as nursery:
        line = Line(nursery, Waiters(here, Counted().ask))
        await line.add("first")
        there.advance(601)
        await line.until(1)
        there.pause(QUEUE)
        there.release(QUEUE, "one")
        await line.add("second")
        assert len(line.got) == 1
        there.resume(QUEUE)
        await line.until(2)


@pytest.mark.usefixtures("only_rings")
async def test_nobody_is_forgotten_when_the_subscription_is_cut(
    stores: tuple[Store, Store], request: pytest.FixtureRequest
) -> None:
    here, there = stores
    async with trio.open_nursery() as nursery:
        line = Line(nursery, Waiters(here, Counted().ask))
        await line.add("first")
        with redis.Redis(port=request.getfixturevalue("redis_server").port) as client:
            client.client_kill_filter(_type="pubsub")
        there.insert(QUEUE, NewTask("one", "eA=="))
        await line.until(1)


async def test_a_lost_ring_costs_a_moment_only(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = stores
    monkeypatch.setattr(long_poll, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(here, "watch", lambda ring: None)
    async with trio.open_nursery() as nursery:
        line = Line(nursery, Waiters(here, Counted().ask))
        await line.add("first")
        there.insert(QUEUE, NewTask("one", "eA=="))
        await line.until(1)


async def test_what_was_leased_for_a_client_that_went_away_is_given_back(stores: tuple[Store, Store]) -> None:
    here, there = stores
    there.insert(QUEUE, NewTask("one", "eA=="))
    with trio.CancelScope() as client:

        async def ask(verb: Callable[..., Any], *arguments: Any) -> Any:
            result = verb(*arguments)
            client.cancel()  # while the store was asked
            return result

        await Waiters(here, ask).lease(QUEUE, ONE, 60)
    assert client.cancelled_caught
    assert [task.id for task in there.lease(QUEUE, ONE)] == ["one"]


async def test_nobody_waits_longer_than_asked(stores: tuple[Store, Store]) -> None:
    waiters = Waiters(stores[0], Counted().ask)
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
def test_the_preference_is_read_from_its_header(header: str, seconds: int) -> None:
    assert wait_preference(header) == seconds
