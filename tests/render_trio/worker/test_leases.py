"""Leases are renewed during the work and concurrently, and are lost in time, by a monotonic clock."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import LeaseLostError, QueueRefusedError, QueueUnavailableError
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import LeasedTask
from render_trio.worker.leases import Lease, Leases
from tests.render_trio.fakes import FakeQueue
from tests.render_trio.worker.test_worker import Bench

SECONDS = 60.0


class SlowQueue(FakeQueue):
    """Renewals take `slow[task]` seconds, and fail with `broken` while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: dict[str, float] = {}
        self.broken: Exception | None = None
        self.renewals: list[tuple[str, float]] = []

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        self.renewals.append((task.id, trio.current_time()))
        await trio.sleep(self.slow.get(task.id, 0.0))
        if self.broken is not None:
            raise self.broken
        return await super().renew(task, seconds)


@asynccontextmanager
async def held(
    queue: SlowQueue,
    *names: str,
    uniform: Callable[[float, float], float] = random.uniform,
    leases: Leases | None = None,
) -> AsyncIterator[list[Lease]]:
    """Yield leases of these tasks, renewed until the block is left."""
    for name in names:
        queue.add(name)
    leases = leases or Leases(queue, Metrics(), uniform)
    requested_at = trio.current_time()
    batch = await queue.lease(len(names), round(SECONDS))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leases.keep_renewed)
        yield leases.hold(batch.tasks, SECONDS, requested_at)
        nursery.cancel_scope.cancel()


async def test_a_lease_is_renewed_at_half_its_duration(autojump_clock: MockClock) -> None:
    queue = SlowQueue()
    started = trio.current_time()
    async with held(queue, "one"):
        await trio.sleep(3 * SECONDS)
    assert [round(moment - started) for _, moment in queue.renewals] == [30, 60, 90, 120, 150]


async def test_a_slow_renewal_delays_no_other(autojump_clock: MockClock) -> None:
    queue = SlowQueue()
    queue.slow["stuck"] = 1e6
    started = trio.current_time()
    async with held(queue, "stuck", "one", "two", "three") as (stuck, *others):
        await trio.sleep(SECONDS + 1)
        assert stuck.lost
        assert not any(lease.lost for lease in others)
    assert {round(moment - started) for name, moment in queue.renewals if name != "stuck"} == {30, 60}


async def test_concurrent_renewals_are_bounded_and_all_are_in_time(autojump_clock: MockClock) -> None:
    names = [f"task-{number}" for number in range(60)]
    queue = SlowQueue()
    queue.slow = dict.fromkeys(names, 2.0)
    async with held(queue, *names) as leases:
        await trio.sleep(10 * SECONDS)
        assert not any(lease.lost for lease in leases)


async def test_the_work_is_cancelled_at_the_deadline_while_the_queue_does_not_answer(autojump_clock: MockClock) -> None:
    queue = SlowQueue()
    queue.slow["one"] = 1e6
    started = trio.current_time()
    async with held(queue, "one") as (lease,):
        with lease.work:
            await trio.sleep_forever()
        assert lease.work.cancelled_caught
        assert trio.current_time() - started == pytest.approx(SECONDS, abs=0.1)


async def test_a_task_released_during_its_renewal_stays_released(autojump_clock: MockClock) -> None:
    queue = SlowQueue()
    queue.slow["one"] = 5.0
    queue.add("one")
    leases = Leases(queue, Metrics())
    requested_at = trio.current_time()
    batch = await queue.lease(1, round(SECONDS))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leases.keep_renewed)
        (lease,) = leases.hold(batch.tasks, SECONDS, requested_at)
        await trio.sleep(SECONDS / 2 + 2)
        assert lease.renewing
        await leases.release(lease)
        await trio.sleep(10)
        assert queue.free() == ["one"]
        nursery.cancel_scope.cancel()


async def test_a_transferred_lease_is_renewed_only_by_its_new_holder(autojump_clock: MockClock) -> None:
    queue = SlowQueue()
    first = Leases(queue, Metrics())
    async with held(queue, "one", leases=first) as (lease,), trio.open_nursery() as nursery:
        second = Leases(queue, Metrics())
        nursery.start_soon(second.keep_renewed)
        with lease.work as old_work:
            first.transfer(lease, second)
        assert lease.work is not old_work, "the work that follows needs a scope of its own"
        first.drop(lease)
        await first.release_all()
        await trio.sleep(SECONDS + 1)
        assert len(queue.renewals) == 2
        assert "release" not in queue.log
        await second.release_all()
        assert queue.free() == ["one"]
        nursery.cancel_scope.cancel()


async def test_a_transfer_does_not_interrupt_a_renewal(autojump_clock: MockClock) -> None:
    """Whether an interrupted renewal has moved the end of the lease would be unknown."""
    queue = SlowQueue()
    queue.slow["one"] = 5.0
    first = Leases(queue, Metrics())
    async with held(queue, "one", leases=first) as (lease,):
        await trio.sleep(SECONDS / 2 + 2)
        assert lease.renewing
        first.transfer(lease, Leases(queue, Metrics()))
        first.drop(lease)
        await trio.sleep(10)
        assert (lease.renewing, queue.log.count("renew")) == (False, 1)
        assert lease.deadline == pytest.approx(trio.current_time() + SECONDS - 12, abs=0.1)


async def test_a_lost_lease_is_not_transferred(autojump_clock: MockClock) -> None:
    queue = FakeQueue()
    first, second = Leases(queue, Metrics()), Leases(queue, Metrics())
    (lease,) = first.hold([LeasedTask("one", "", 1, 0, 0)], SECONDS, trio.current_time())
    lease.lose()
    with pytest.raises(LeaseLostError):
        first.transfer(lease, second)
    assert (list(first._held), list(second._held)) == (["one"], [])


async def test_a_later_lease_of_the_same_task_is_not_dropped_with_the_former(autojump_clock: MockClock) -> None:
    queue = FakeQueue()
    queue.add("one")
    leases = Leases(queue, Metrics())
    task = queue.tasks["one"]
    (former,) = leases.hold([task], SECONDS, trio.current_time())
    (later,) = leases.hold([task], SECONDS, trio.current_time())
    leases.drop(former)
    assert list(leases._held.values()) == [later]


@pytest.mark.parametrize("error", [QueueUnavailableError("down"), QueueRefusedError("unauthorized")])
@pytest.mark.parametrize(("uniform", "pause"), [(min, 1.5), (max, 3.0)])
async def test_a_failed_renewal_is_repeated_after_a_pause(
    error: Exception, uniform: Callable[[float, float], float], pause: float, autojump_clock: MockClock
) -> None:
    """The pause is between half and all of 5 % of the lease's duration: this tests both bounds."""
    queue = SlowQueue()
    queue.broken = error
    async with held(queue, "one", uniform=uniform) as (lease,):
        await trio.sleep(SECONDS * 0.9)
        moments = [when for _, when in queue.renewals]
        assert [later - earlier for earlier, later in itertools.pairwise(moments)] == pytest.approx(
            [pause] * (len(moments) - 1), abs=0.1
        )
        assert len(moments) == pytest.approx((SECONDS * 0.9 - SECONDS / 2) / pause, abs=1)
        queue.broken = None
        await trio.sleep(SECONDS)
        assert not lease.lost


async def test_a_lease_counts_from_the_request_not_from_the_response(autojump_clock: MockClock) -> None:
    """The response may have been delayed by any time: the queue may have started to count at the request."""
    leases = Leases(FakeQueue(), Metrics())
    (lease,) = leases.hold([LeasedTask("one", "", 1, 0, 0)], SECONDS, trio.current_time())
    await trio.sleep(SECONDS)
    with pytest.raises(LeaseLostError):
        leases.confirm(lease)
    assert lease.work.cancel_called


async def test_a_change_of_the_system_time_has_no_effect(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = iter([0.0, 4e9, -1.0] * 100)
    monkeypatch.setattr(time, "time", lambda: next(dates))
    bench = Bench()
    bench.renderer.seconds = 45
    for name in ("one", "two", "three"):
        bench.queue.add(name)
    await bench.run_for(200)
    assert all(bench.result(name).success for name in ("one", "two", "three"))
    assert b"render_lost_leases_total 0.0" in bench.metrics.exposition()
