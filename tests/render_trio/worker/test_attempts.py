"""One attempt at a task: its time limit, and what is reported of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import LeaseLostError, QueueUnavailableError, RenderFailedError
from render_trio.queue.messages import LeasedTask, encode_task
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.limits import Limits
from render_trio.worker.stage_timer import StageTimer
from resources import registry
from resources.request import Choices, Request
from tests.render_trio.fakes import TASK, FakeHeartbeat, FakeQueue, batches, storeless_worker, work_on_batch
from tests.render_trio.worker.outage import Recorder

LIMITS = Limits(task_count=20, task_seconds=50, task_time_mult=1.33, task_retry_limit=3, sleep_time=2)
DOCUMENT = FinishedDocument("x.pdf", b"%PDF", 1, "0" * 64)
Make = Callable[[Request, float], Awaitable[FinishedDocument]]


class Reports(Recorder):
    """Records what a recorder ignores, too."""

    def __init__(self) -> None:
        super().__init__()
        self.queue_waits: list[float] = []
        self.stages: list[tuple[str, float]] = []
        self.changes: list[int] = []
        self.sizes: list[int] = []
        self.retries = self.lost = 0

    def queue_wait(self, seconds: float) -> None:
        self.queue_waits.append(seconds)

    def retried(self) -> None:
        self.retries += 1

    def stage(self, name: str, seconds: float) -> None:
        self.stages.append((name, seconds))

    def in_flight(self, change: int) -> None:
        super().in_flight(change)
        self.changes.append(change)

    def result_bytes(self, count: int) -> None:
        self.sizes.append(count)

    def lost_lease(self) -> None:
        self.lost += 1


async def draw(request: Request, seconds: float) -> FinishedDocument:
    await trio.sleep(0.25)
    return DOCUMENT


class Bench:
    """A worker that makes its attempts with `make`."""

    def __init__(self, make: Make = draw) -> None:
        self.queue = FakeQueue()
        self.observer = Reports()
        self.heartbeat = FakeHeartbeat()
        self.worker = storeless_worker(self.queue, make, LIMITS, self.observer, uniform=max)

    async def run_for(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.worker.run(self.heartbeat)

    async def iterate(self) -> None:
        await work_on_batch(self.worker, self.heartbeat)


@pytest.mark.parametrize(("seconds", "outcome"), [(54.5, "done"), (55.5, "retried")])
async def test_an_attempt_ends_shortly_after_its_time_limit_even_if_the_offload_does_not_end_it(
    seconds: float, outcome: str, autojump_clock: MockClock
) -> None:
    limits: list[float] = []

    async def hang(request: Request, limit: float) -> FinishedDocument:
        limits.append(limit)
        await trio.sleep(seconds)
        return DOCUMENT

    bench = Bench(hang)
    bench.queue.add("one")
    await bench.iterate()
    assert limits == [50]
    assert bench.observer.outcomes == [outcome]
    if outcome == "retried":
        assert bench.observer.failures == [("one", "timed_out", "retried")]
        assert bench.queue.free() == ["one"]


async def test_the_last_attempt_that_exceeds_its_time_limit_states_the_limit(autojump_clock: MockClock) -> None:
    async def hang(request: Request, limit: float) -> FinishedDocument:
        await trio.sleep_forever()

    bench = Bench(hang)
    bench.queue.add("one")
    for _ in range(LIMITS.task_retry_limit - 1):
        await bench.queue.lease(1, 0)
    await bench.run_for(200)
    error = bench.queue.results["one"].error
    assert (error.code, error.message) == ("timed_out", "not drawn within 183 s")
    assert bench.observer.outcomes == ["failed"]


async def test_a_finished_task_is_reported_with_its_stages_and_its_size(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue.add("one")
    await bench.iterate()
    assert [name for name, _ in bench.observer.stages] == ["render", "deliver", "settle"]
    assert bench.observer.stages[0][1] == pytest.approx(0.25)
    assert bench.observer.outcomes == ["done"]
    assert bench.observer.sizes == [len(DOCUMENT.pdf)]
    assert bench.observer.failures == []
    assert bench.observer.changes == [1, -1]
    assert bench.queue.results["one"].success


async def test_the_time_in_the_queue_is_reported_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated attempt is counted instead: its time in the queue would contain the attempts before."""
    monkeypatch.setattr(time, "time", lambda: 12.5)

    async def fail_once(request: Request, limit: float) -> FinishedDocument:
        if not bench.observer.retries:
            raise RenderFailedError
        return DOCUMENT

    bench = Bench(fail_once)
    bench.queue.tasks["one"] = LeasedTask("one", encode_task(TASK), 0, 2_000_000, 0)
    await bench.iterate()
    assert (bench.observer.queue_waits, bench.observer.retries) == ([pytest.approx(10.5)], 0)
    await bench.iterate()
    assert (bench.observer.queue_waits, bench.observer.retries) == ([pytest.approx(10.5)], 1)
    assert bench.observer.outcomes == ["retried", "done"]


async def test_a_cancelled_attempt_is_reported_as_one_that_will_be_repeated(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue.add("one")
    await bench.run_for(0.1)
    assert bench.observer.outcomes == ["retried"]
    assert bench.observer.changes == [1, -1]
    assert bench.observer.failures == []
    assert bench.queue.free() == ["one"]


async def test_an_attempt_that_is_cancelled_because_its_lease_is_lost_is_reported_as_lost(
    autojump_clock: MockClock,
) -> None:
    async def slow(request: Request, limit: float) -> FinishedDocument:
        await trio.sleep(49)
        return DOCUMENT

    bench = Bench(slow)
    bench.queue.add("one")
    bench.queue.lose_leases = True
    await bench.run_for(45)
    assert bench.observer.outcomes == ["lost"]
    assert bench.observer.lost == 1
    assert bench.observer.in_progress == 0
    assert "release" not in bench.queue.log, "the task is another worker's"


@pytest.mark.parametrize("step", ["insert", "delete", "release"])
async def test_a_task_that_can_not_be_settled_is_reported(step: str, autojump_clock: MockClock) -> None:
    async def fail(request: Request, limit: float) -> FinishedDocument:
        raise RenderFailedError

    bench = Bench(fail if step == "release" else draw)
    bench.queue.add("one")
    bench.queue.faults[step] = [QueueUnavailableError("down")]
    await bench.iterate()
    assert bench.observer.outcomes == ["unsettled"]
    assert bench.observer.failures[-1] == ("one", "not_settled", "unsettled")
    assert bench.queue.free() == [], "it returns when its lease expires"
    assert bench.observer.sizes == []


async def test_a_task_that_can_never_succeed_is_reported_once(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue.add("one", TASK | {"copies": 51})
    await bench.iterate()
    assert bench.observer.outcomes == ["rejected"]
    assert bench.observer.failures == [("one", "invalid_option", "rejected")]
    assert bench.observer.stages == []


async def test_short_tasks_make_the_batches_larger(autojump_clock: MockClock) -> None:
    async def instant(request: Request, limit: float) -> FinishedDocument:
        return DOCUMENT

    bench = Bench(instant)
    for number in range(20):
        bench.queue.add(str(number))
    async with batches(bench.worker, bench.heartbeat) as work:
        await work()
        assert len(bench.queue.results) == 4
        await work()
        assert len(bench.queue.results) == 4 + 16
    assert bench.heartbeat.progressed.count("finished") == 20


async def test_the_durations_of_a_repeated_stage_are_added_up_and_a_cancelled_stage_counts(
    autojump_clock: MockClock,
) -> None:
    observer = Reports()
    timer = StageTimer(observer)
    with timer("deliver"):
        await trio.sleep(1.5)
    with trio.move_on_after(2), timer("deliver"):
        await trio.sleep_forever()
    with timer("settle"):
        await trio.sleep(0.12344)
    assert timer.seconds == {"deliver": 3.5, "settle": 0.1234}
    assert observer.stages == [
        ("deliver", pytest.approx(1.5)),
        ("deliver", pytest.approx(2)),
        ("settle", pytest.approx(0.12344)),
    ]


async def test_a_task_that_is_found_to_be_leased_to_another_worker_when_it_is_settled_counts_as_lost(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    bench.queue.add("one")
    bench.queue.faults["insert"] = [LeaseLostError("leased to another worker")]
    await bench.iterate()
    assert bench.observer.outcomes == ["lost"]
    assert bench.observer.failures == [("one", "lease_lost", "lost")]


async def test_a_task_whose_check_raises_anything_fails_after_its_last_attempt_and_ends_no_worker(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def broken(choices: Choices) -> None:
        raise ZeroDivisionError("division by zero")

    cards = dataclasses.replace(registry.CATALOGUE["binary_cards"], check=broken)
    monkeypatch.setitem(registry._resources, "binary_cards", cards)
    bench = Bench()
    bench.queue.add("one")
    await bench.run_for(600)
    error = bench.queue.results["one"].error
    assert (error.code, error.message) == ("render_failed", "ZeroDivisionError: division by zero")
    assert bench.observer.outcomes == ["retried"] * (LIMITS.task_retry_limit - 1) + ["failed"]
