"""A worker that is told to stop while it asks the queue: the answer may be on its way, with tasks that are ours."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from render_trio.queue.task_queue.client import LeasedBatch
from tests.render_trio.fakes import FakeQueue
from tests.render_trio.worker.test_worker import Bench


class SlowQueue(FakeQueue):
    """Leases at once, and answers a second later."""

    async def lease(self, count: int, seconds: int, *, tag: str = "task", wait: int = 0) -> LeasedBatch:
        answer = await super().lease(count, seconds, tag=tag)
        await trio.sleep(1)
        return answer


async def test_tasks_that_were_leased_unseen_are_given_back_at_once(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue = bench.worker._queue = bench.worker._leases._queue = SlowQueue()
    bench.queue.add("one")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(0.5)
        bench.stopping.set()
    assert bench.queue.free() == ["one"]


async def test_a_request_that_the_queue_holds_keeps_nobody_waiting(autojump_clock: MockClock) -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(0.5)
        begun = trio.current_time()
        bench.stopping.set()
    assert trio.current_time() - begun < 5
