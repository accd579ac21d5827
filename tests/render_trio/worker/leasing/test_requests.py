"""When a worker requests tasks, how many, and for how long; and how long it pauses if there are none."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import QueueRefusedError, QueueUnavailableError
from render_trio.observation.observer import Observer
from render_trio.queue.interface import LeasedBatch
from render_trio.queue.messages import LeasedTask
from render_trio.worker.leases import Lease, Leases
from render_trio.worker.leasing.outage import BackOff, OutageLog
from render_trio.worker.leasing.requests import LeaseRequests
from render_trio.worker.limits import Limits
from tests.render_trio.fakes import FakeHeartbeat, FakeQueue

LIMITS = Limits(task_count=20, task_seconds=50, task_time_mult=1.33, task_retry_limit=3, sleep_time=2)
HELD, NOT_HELD = LeasedBatch((), waited=True), LeasedBatch((), waited=False)
TASKS = LeasedBatch((LeasedTask("one", "", 1, 0, 0), LeasedTask("two", "", 1, 0, 0)), waited=False)
DOWN = QueueUnavailableError("down")


class ScriptedQueue(FakeQueue):
    """Gives `answers` one after another, each after `seconds`; records the time and the arguments of each request."""

    def __init__(self, *answers: LeasedBatch | Exception, seconds: float = 0.0) -> None:
        super().__init__()
        self.answers = list(answers)
        self.seconds = seconds
        self.moments: list[float] = []
        self.counts: list[int] = []
        self.durations: list[int] = []
        self.waits: list[int] = []

    async def lease(self, count: int, seconds: int, *, tag: str = "task", wait: int = 0) -> LeasedBatch:
        self.moments.append(trio.current_time())
        self.counts.append(count)
        self.durations.append(seconds)
        self.waits.append(wait)
        await trio.sleep(self.seconds)
        answer = self.answers.pop(0) if self.answers else HELD
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def pauses(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.moments)]


class Counts(Observer):
    def __init__(self) -> None:
        self.counts: list[int] = []

    def leased(self, tasks: int) -> None:
        self.counts.append(tasks)


class Bench:
    """The requests for one tag, and their fakes."""

    def __init__(
        self, queue: ScriptedQueue, limits: Limits = LIMITS, uniform: Callable[[float, float], float] = max
    ) -> None:
        self.observer = Counts()
        self.stopping = trio.Event()
        self.heartbeat = FakeHeartbeat()
        leases = Leases(queue, self.observer)
        back_off = BackOff(self.stopping, uniform, OutageLog())
        self.requests = LeaseRequests(
            queue, "task", limits.task_count, leases, limits, self.observer, self.stopping, back_off, uniform
        )

    async def poll(self, times: int) -> list[list[Lease]]:
        return [await self.requests.lease_batch(self.heartbeat) for _ in range(times)]


@pytest.mark.parametrize(("uniform", "share"), [(max, 1.0), (min, 0.5)])
@pytest.mark.parametrize("error", [DOWN, QueueRefusedError("unauthorized")])
async def test_the_pause_before_an_unreachable_queue_is_tried_again_doubles(
    uniform: Callable[[float, float], float], share: float, error: Exception, autojump_clock: MockClock
) -> None:
    """Each pause is between half and all of its length: this tests both bounds."""
    queue = ScriptedQueue(*[error] * 8)
    await Bench(queue, uniform=uniform).poll(8)
    expected = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert queue.pauses == pytest.approx([pause * share for pause in expected])


async def test_the_pause_is_short_again_after_the_queue_has_answered(autojump_clock: MockClock) -> None:
    queue = ScriptedQueue(DOWN, DOWN, DOWN, HELD, DOWN, DOWN)
    await Bench(queue).poll(7)
    assert queue.pauses == pytest.approx([0.2, 0.4, 0.8, 0.0, 0.2, 0.4])


async def test_the_pause_is_at_least_as_long_as_the_queue_requires(autojump_clock: MockClock) -> None:
    queue = ScriptedQueue(QueueUnavailableError("busy", pause=7.0), DOWN)
    await Bench(queue).poll(3)
    assert queue.pauses == pytest.approx([7.2, 0.4])


async def test_the_first_request_and_the_first_after_an_outage_are_not_held(autojump_clock: MockClock) -> None:
    """The answer shows at once that the queue is reachable."""
    queue = ScriptedQueue(HELD, HELD, DOWN, DOWN, HELD, HELD)
    bench = Bench(queue)
    await bench.poll(6)
    assert queue.waits == [0, 20, 20, 0, 0, 20]
    assert bench.heartbeat.progressed == ["polled", "polled", "unreachable", "unreachable", "polled", "polled"]


@pytest.mark.parametrize(("uniform", "share"), [(max, 1.0), (min, 0.5)])
async def test_the_pause_doubles_if_the_queue_does_not_hold_requests_and_is_short_again_after_a_task(
    uniform: Callable[[float, float], float], share: float, autojump_clock: MockClock
) -> None:
    queue = ScriptedQueue(*[NOT_HELD] * 8, TASKS, *[NOT_HELD] * 2)
    await Bench(queue, uniform=uniform).poll(11)
    expected = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 0.0, 0.05]
    assert queue.pauses == pytest.approx([pause * share for pause in expected])


@pytest.mark.parametrize("answer", [NOT_HELD, DOWN, QueueUnavailableError("busy", pause=30.0)])
async def test_no_pause_delays_stopping(answer: LeasedBatch | Exception, autojump_clock: MockClock) -> None:
    bench = Bench(ScriptedQueue(answer))
    bench.stopping.set()
    started = trio.current_time()
    assert await bench.poll(1) == [[]]
    assert trio.current_time() == started


@pytest.mark.parametrize(("seconds", "leased"), [(1.9, 2), (2.1, 0)])
async def test_a_response_is_used_within_two_seconds_of_the_request_to_stop(
    seconds: float, leased: int, autojump_clock: MockClock
) -> None:
    bench = Bench(ScriptedQueue(TASKS, seconds=seconds))
    bench.stopping.set()
    started = trio.current_time()
    (leases,) = await bench.poll(1)
    assert len(leases) == leased
    assert trio.current_time() - started == pytest.approx(min(seconds, 2.0))
    assert bench.observer.counts == ([2] if leased else [])
    assert bench.heartbeat.progressed == (["polled"] if leased else [])


@pytest.mark.parametrize(
    ("durations", "task_count", "expected"),
    [
        ([], 20, 4),
        ([], 3, 3),
        ([0.25], 20, 4),
        ([0.0], 20, 5),
        ([0.5], 20, 3),
        ([0.5, 0.5, 0.5], 20, 2),
        ([60.0], 20, 1),
        ([60.0] + [0.0] * 30, 20, 20),
        ([0.0] * 5000, 20, 20),
    ],
)
async def test_a_batch_is_a_second_of_work_as_estimated_from_the_tasks_before(
    durations: list[float], task_count: int, expected: int, autojump_clock: MockClock
) -> None:
    queue = ScriptedQueue()
    bench = Bench(queue, Limits(task_count, 50, 1.33, 3, 2))
    for seconds in durations:
        bench.requests.task_finished(seconds)
    await bench.poll(1)
    assert queue.counts == [expected]


async def test_leases_count_from_the_request_however_late_the_response_is(autojump_clock: MockClock) -> None:
    """The queue may have started to count as soon as the request was sent."""
    queue = ScriptedQueue(TASKS, seconds=7.0)
    bench = Bench(queue)
    started = trio.current_time()
    (leases,) = await bench.poll(1)
    assert queue.durations == [60]
    assert [lease.task.id for lease in leases] == ["one", "two"]
    assert [lease.deadline - started for lease in leases] == pytest.approx([60, 60])
    assert [lease.renew_at - started for lease in leases] == pytest.approx([30, 30])
    assert bench.observer.counts == [2]


@pytest.mark.parametrize(("task_seconds", "lease_seconds"), [(50, 60), (49.2, 60), (0.5, 11)])
def test_a_lease_is_longer_than_the_time_limit_of_its_task(task_seconds: float, lease_seconds: int) -> None:
    assert Limits(20, task_seconds, 1.33, 3, 2).lease_seconds == lease_seconds


@pytest.mark.parametrize(("task_seconds", "poll_wait"), [(200, 20), (50, 20), (47, 19), (20, 10), (1, 3)])
def test_a_long_poll_leaves_most_of_the_lease_for_the_work(task_seconds: float, poll_wait: int) -> None:
    assert Limits(20, task_seconds, 1.33, 3, 2).poll_wait == poll_wait


@pytest.mark.parametrize(("sleep_time", "budget"), [(2, 20 + 10 + 30 + 20), (40, 20 + 10 + 40 + 20)])
def test_the_budget_of_a_poll_covers_the_longest_request_and_the_longest_pause(
    sleep_time: float, budget: float
) -> None:
    assert Limits(20, 50, 1.33, 3, sleep_time).poll_budget == budget


@pytest.mark.parametrize(("retry_count", "render_seconds"), [(0, 50), (1, 116.5), (2, 183)])
def test_the_budget_of_an_attempt_covers_its_time_limit_and_three_queue_operations(
    retry_count: int, render_seconds: float
) -> None:
    limits = Limits(20, 50, 1.33, 3, 2, queue_timeout=15)
    assert limits.render_seconds(retry_count) == pytest.approx(render_seconds)
    assert limits.work_budget(retry_count) == pytest.approx(render_seconds + 10 + 3 * (30 + 15) + 20)
