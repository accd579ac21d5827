"""Tasks of producers and of the web compete for a worker; its requests fail, hang and answer late."""

from __future__ import annotations

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from render_trio.errors import QueueUnavailableError
from render_trio.observation.observer import Observer
from render_trio.queue.interface import LeasedBatch
from render_trio.supervision.supervisor import Supervisor
from render_trio.worker.limits import Limits
from tests.render_trio.fakes import FakeQueue, FakeRenderer, storeless_worker
from tests.render_trio.worker.test_worker import Bench

LIMITS = Limits(task_count=20, task_seconds=50, task_time_mult=1.33, task_retry_limit=3, sleep_time=2)


def add(queue: FakeQueue, *names: str) -> None:
    """Insert tasks; the names of those from the web begin with "web"."""
    for name in names:
        queue.add(name, tag="web-task" if name.startswith("web") else "task")


async def flood(queue: FakeQueue) -> None:
    """Keep two tasks from the web in the queue that are not leased."""
    number = 0
    while True:
        free = [name for name in queue.free() if name.startswith("web")]
        for _ in range(2 - len(free)):
            add(queue, f"web-{number}")
            number += 1
        await trio.sleep(0.01)


async def test_after_its_insertion_a_producer_s_task_waits_for_at_most_one_render_of_a_flood(
    autojump_clock: MockClock,
) -> None:
    bench = Bench(FakeRenderer(0.3))
    waited: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood, bench.queue)
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        for number in range(40):
            await trio.sleep(0.37 + number / 100)
            name = f"task-{number}"
            before = len(bench.queue.results)
            add(bench.queue, name)
            while name not in bench.queue.results:  # noqa: ASYNC110 - virtual time
                await trio.sleep(0.01)
            ended = list(bench.queue.results)
            waited.append(ended.index(name) - before)
        nursery.cancel_scope.cancel()
    assert max(waited) == 1
    assert sum(name.startswith("web") for name in bench.queue.results) > 20


async def test_during_a_rebuild_one_slot_in_four_serves_the_web(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(0.02))
    add(bench.queue, *(f"task-{number}" for number in range(600)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood, bench.queue)
        await trio.sleep(0.1)
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        while sum(name.startswith("task") for name in bench.queue.results) < 600:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    order = "".join("w" if name.startswith("web") else "p" for name in bench.queue.results)
    assert set(order.strip("w").split("w")) == {"ppp"}


async def test_a_visitor_s_task_is_done_during_a_rebuild_that_is_under_way(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(0.1))
    add(bench.queue, *(f"task-{number}" for number in range(200)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(7)
        before = len(bench.queue.results)
        add(bench.queue, "web")
        while "web" not in bench.queue.results:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert list(bench.queue.results).index("web") - before <= 2 * 3 + 1


async def test_an_idle_worker_holds_one_request_for_each_tag(autojump_clock: MockClock) -> None:
    bench = Bench()
    await bench.run_for(200)
    assert bench.queue.log.count("lease") <= 11
    assert bench.queue.log.count("lease web") <= 11


@pytest.mark.parametrize("first", ["task", "web"])
async def test_the_answer_to_a_request_is_kept_while_the_worker_is_busy(first: str, autojump_clock: MockClock) -> None:
    """The other request is not cancelled when one is answered: its answer, with a leased task, would be lost."""
    second = "web" if first == "task" else "task"
    bench = Bench(FakeRenderer(10))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(1)
        add(bench.queue, first)
        await trio.sleep(1)
        add(bench.queue, second)
        await trio.sleep(12)
        assert bench.queue.free() == []
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert list(bench.queue.results) == [first, second]
    assert "release" not in bench.queue.log


async def test_a_busy_worker_leases_no_task_that_another_worker_could_begin(autojump_clock: MockClock) -> None:
    queue = FakeQueue()
    workers = [storeless_worker(queue, FakeRenderer(30).make, LIMITS, Observer()) for _ in range(2)]
    bench = Bench()
    add(queue, "web-1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workers[0].run, bench.heartbeat)
        await trio.sleep(25)  # the requests that were at the queue when the worker began its task have ended
        nursery.start_soon(workers[1].run, bench.heartbeat)
        await trio.sleep(0.5)
        started = trio.current_time()
        add(queue, "task-1", "web-2")
        await trio.sleep(1)
        assert queue.tasks["task-1"].retry_count == 1, "the idle worker has it"
        while "task-1" not in queue.results:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.01)
        assert trio.current_time() - started < 31
        nursery.cancel_scope.cancel()


async def test_a_stopping_worker_releases_the_tasks_of_both_kinds(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(10))
    add(bench.queue, "task-1", "task-2", "task-3", "task-4", "web-1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(25)  # a task from the web was requested when the third task began
        assert bench.queue.free() == [], "all are leased"
        bench.stopping.set()
    assert list(bench.queue.results) == ["task-1", "task-2", "task-3"]
    assert sorted(bench.queue.free()) == ["task-4", "web-1"]


class HungQueue(FakeQueue):
    """Never answers requests for one tag."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.hung_tag = tag
        self.hung = 0

    async def lease(self, count: int, seconds: int, *, tag: str = "task", wait: int = 0) -> LeasedBatch:
        if tag == self.hung_tag and wait:
            self.hung += 1
            await trio.sleep_forever()
        return await super().lease(count, seconds, tag=tag, wait=wait)


@pytest.mark.parametrize("tag", ["task", "web-task"])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_hung_request_of_one_tag_restarts_the_worker(tag: str, busy: bool, autojump_clock: MockClock) -> None:
    """Whether the other tag has tasks all the time, or none."""
    queue = HungQueue(tag)
    restarts: list[float] = []
    supervisor = Supervisor(
        {"worker-1": storeless_worker(queue, FakeRenderer(1).make, LIMITS, Observer()).run},
        restart_limit=100,
        restart_window=10,
        on_restart=lambda name: restarts.append(trio.current_time()),
    )
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        while not restarts:
            await trio.sleep(1)
            if busy and len(queue.free()) < 3:
                add(queue, f"{'web' if tag == 'task' else 'task'}-{trio.current_time()}")
        nursery.cancel_scope.cancel()
    assert LIMITS.poll_budget - 1 < restarts[0] - started < LIMITS.poll_budget + 25
    assert supervisor.slots[0].last_error.startswith("stalled: poll")


async def test_an_idle_worker_is_never_restarted(autojump_clock: MockClock) -> None:
    restarts: list[str] = []
    worker = storeless_worker(FakeQueue(), FakeRenderer(1).make, LIMITS, Observer())
    supervisor = Supervisor({"w": worker.run}, restart_limit=9, restart_window=60, on_restart=restarts.append)
    with trio.move_on_after(2000):
        await supervisor.run()
    assert restarts == []


async def test_an_outage_of_an_hour_restarts_no_worker_and_is_logged_rarely(autojump_clock: MockClock) -> None:
    queue, restarts = FakeQueue(), list[str]()
    queue.faults["lease"] = [QueueUnavailableError("down") for _ in range(100_000)]
    worker = storeless_worker(queue, FakeRenderer(1).make, LIMITS, Observer())
    supervisor = Supervisor({"w": worker.run}, restart_limit=9, restart_window=60, on_restart=restarts.append)
    with capture_logs() as lines:
        with trio.move_on_after(3700) as outage:
            await supervisor.run()
        assert outage.cancelled_caught
    assert restarts == []
    assert 10 < sum(line["event"] == "queue unreachable" for line in lines) < 16
    assert queue.log.count("lease") + queue.log.count("lease web") < 3700 / 2.5 + 10, "one request at a time"


async def test_the_requests_of_a_cancelled_worker_end(autojump_clock: MockClock) -> None:
    queue = FakeQueue()
    ended: list[str] = []

    async def watched(count: int, seconds: int, *, tag: str = "task", wait: int = 0) -> LeasedBatch:
        try:
            return await FakeQueue.lease(queue, count, seconds, tag=tag, wait=wait)
        except trio.Cancelled:
            ended.append(tag)
            raise

    queue.lease = watched  # type: ignore[method-assign]
    worker = storeless_worker(queue, FakeRenderer(1).make, LIMITS, Observer())
    with trio.move_on_after(5):
        await worker.run(Bench().heartbeat)
    assert sorted(ended) == ["task", "web-task"]
