"""How leases end and are extended: requests, times and reports, exactly."""

from __future__ import annotations

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from render_trio.errors import QueueUnavailableError
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import LeasedTask
from render_trio.worker.leases import Lease, Leases
from tests.render_trio.fakes import FakeQueue
from tests.render_trio.worker.test_leases import SECONDS, SlowQueue, held


class HangingQueue(FakeQueue):
    """A release takes `seconds`; records how many are in progress at once."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.in_progress = self.peak = 0
        self.delays: dict[str, int] = {}

    async def release(self, task: LeasedTask, seconds: int = 0) -> None:
        self.in_progress += 1
        self.peak = max(self.peak, self.in_progress)
        try:
            await trio.sleep(self.seconds)
        finally:
            self.in_progress -= 1
        self.delays[task.id] = seconds
        await super().release(task, seconds)


def hold(leases: Leases, queue: FakeQueue, *names: str, seconds: float = SECONDS) -> list[Lease]:
    """Return leases of these tasks, which begin now."""
    for name in names:
        queue.add(name)
        queue.leased_until[name] = trio.current_time() + seconds
    return leases.hold([queue.tasks[name] for name in names], seconds, trio.current_time())


@pytest.mark.parametrize("cancelled", [False, True])
async def test_all_leases_are_released_six_at_once_even_when_cancelled(
    cancelled: bool, autojump_clock: MockClock
) -> None:
    queue = HangingQueue(1.0)
    leases = Leases(queue, Metrics())
    names = [f"task-{number}" for number in range(20)]
    hold(leases, queue, *names)
    started = trio.current_time()
    with trio.CancelScope() as scope:
        if cancelled:
            scope.cancel()
        await leases.release_all()
    assert queue.free() == names
    assert queue.peak == 6
    assert trio.current_time() - started == pytest.approx(4)
    await leases.release_all()
    assert queue.log.count("release") == 20, "none is released twice"


async def test_a_queue_that_hangs_delays_the_release_of_all_leases_by_five_seconds(autojump_clock: MockClock) -> None:
    queue = HangingQueue(1e6)
    leases = Leases(queue, Metrics())
    hold(leases, queue, "one", "two")
    started = trio.current_time()
    await leases.release_all()
    assert trio.current_time() - started == pytest.approx(5)


async def test_a_release_that_fails_prevents_no_other(autojump_clock: MockClock) -> None:
    queue = FakeQueue()
    leases = Leases(queue, Metrics())
    hold(leases, queue, "one", "two", "three")
    queue.faults["release"] = [QueueUnavailableError("down")]
    await leases.release_all()
    assert len(queue.free()) == 2


async def test_a_lost_lease_is_not_released(autojump_clock: MockClock) -> None:
    """The task is another worker's: a release would make it available a second time."""
    queue = FakeQueue()
    leases = Leases(queue, Metrics())
    one, two = hold(leases, queue, "one", "two")
    one.lose()
    await leases.release(one)
    await leases.release_all()
    assert queue.log == ["release"]
    assert (queue.free(), two.lost) == (["two"], False)


@pytest.mark.parametrize("delay", [0, 7])
async def test_a_released_task_is_available_after_its_delay_and_not_renewed_any_more(
    delay: int, autojump_clock: MockClock
) -> None:
    queue = HangingQueue(0.0)
    leases = Leases(queue, Metrics())
    (lease,) = hold(leases, queue, "one")
    await leases.release(lease, delay)
    assert queue.delays == {"one": delay}
    with trio.move_on_after(2 * SECONDS):
        await leases.keep_renewed()
    assert "renew" not in queue.log


@pytest.mark.parametrize(("seconds", "requested"), [(60.0, 60), (2.6, 3), (0.4, 1)])
async def test_a_renewal_requests_the_duration_of_the_lease_in_whole_seconds(
    seconds: float, requested: int, autojump_clock: MockClock
) -> None:
    durations: list[int] = []

    class Recording(FakeQueue):
        async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
            durations.append(seconds)
            return await super().renew(task, seconds)

    queue = Recording()
    leases = Leases(queue, Metrics())
    (lease,) = hold(leases, queue, "one", seconds=seconds)
    with trio.move_on_after(seconds * 0.9):
        await leases.keep_renewed()
    assert durations == [requested]
    assert not lease.lost


async def test_a_renewed_lease_counts_from_its_request_and_is_lost_if_the_response_is_too_late(
    autojump_clock: MockClock,
) -> None:
    queue = SlowQueue()
    queue.slow["late"] = SECONDS / 2 + 0.5
    queue.slow["slow"] = SECONDS / 2 - 0.5
    started = trio.current_time()
    async with held(queue, "late", "slow") as (late, slow):
        await trio.sleep(SECONDS + 1.2)
        assert (late.lost, slow.lost) == (True, False)
        assert slow.deadline - started == pytest.approx(1.5 * SECONDS)
        assert queue.log.count("renew") == 1, "nothing is done with the late response"


async def test_a_short_lease_that_follows_long_ones_is_renewed_in_time(autojump_clock: MockClock) -> None:
    queue = SlowQueue()
    leases = Leases(queue, Metrics())
    started = trio.current_time()
    async with held(queue, "long", leases=leases):
        await trio.sleep(10.5)
        (short,) = hold(leases, queue, "short", seconds=3.0)
        await trio.sleep(10)
        assert not short.lost
    moments = [when - started - 10.5 for name, when in queue.renewals if name == "short"]
    assert moments[:3] == pytest.approx([1.5, 3.0, 4.5], abs=0.06)


async def test_the_newest_version_of_a_renewed_task_is_used(autojump_clock: MockClock) -> None:
    """Some queues accept only the lease that they have returned last."""

    class Renaming(FakeQueue):
        async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
            renewed = await super().renew(task, seconds)
            return LeasedTask(renewed.id, renewed.payload, renewed.lease_us + 1, 0, 0)

    queue = Renaming()
    leases = Leases(queue, Metrics())
    (lease,) = hold(leases, queue, "one")
    with trio.move_on_after(2.2 * SECONDS):
        await leases.keep_renewed()
    assert lease.task.lease_us == 1 + 4


async def test_a_lease_that_is_lost_is_counted_and_logged_once(autojump_clock: MockClock) -> None:
    queue, metrics = FakeQueue(), Metrics()
    leases = Leases(queue, metrics)
    queue.lose_leases = True
    with capture_logs() as lines:
        hold(leases, queue, "one")
        with trio.move_on_after(3 * SECONDS):
            await leases.keep_renewed()
    assert b"render_lost_leases_total 1.0" in metrics.exposition()
    assert [(line["event"], line["reason"]) for line in lines] == [("lease lost", "leased to another worker")]
    assert queue.log == ["renew"]
