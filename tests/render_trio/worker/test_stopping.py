"""A worker that stops during a lease request: the response may be in transit, with tasks that are leased to it."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from render_trio.queue.interface import LeasedBatch
from tests.render_trio.fakes import FakeQueue
from tests.render_trio.worker.test_worker import Bench


class SlowQueue(FakeQueue):
    """Leases tasks at once, and returns them a second later."""

    async def lease(self, count: int, seconds: int, *, tag: str = "task", wait: int = 0) -> LeasedBatch:
        batch = await super().lease(count, seconds, tag=tag)
        await trio.sleep(1)
        return batch


async def test_tasks_whose_lease_response_arrives_late_are_released_at_once(autojump_clock: MockClock) -> None:
    bench = Bench(queue=SlowQueue())
    bench.queue.add("one")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(0.5)
        bench.stopping.set()
    assert bench.queue.free() == ["one"]


async def test_a_long_poll_does_not_delay_stopping(autojump_clock: MockClock) -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(0.5)
        stopped_at = trio.current_time()
        bench.stopping.set()
    assert trio.current_time() - stopped_at < 5
