"""What a drawing thread that was left behind brings in the end goes nowhere, whoever has its task by then."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pytest
import trio

from render_trio.delivery.delivery import Delivery
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import DocumentResult, LeasedTask
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.offload import ThreadOffload
from render_trio.worker.worker import Limits, Worker
from resources.request import Request
from tests.render_trio.fakes import FakeHeartbeat, FakeQueue

FIRST, LATER = b"drawn too late", b"drawn in time"


class Drawing:
    """The first attempt hangs until it is let go, and returns a document then; later ones return at once."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.attempts = 0

    def __call__(self, request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
        self.attempts += 1
        pdf = LATER
        if self.attempts == 1:
            self.let_go.wait(30)
            pdf = FIRST
        return FinishedDocument("x.pdf", pdf, 1, hashlib.sha256(pdf).hexdigest())


@pytest.mark.parametrize("let_go_first", [True, False], ids=["before the second result", "after it"])
async def test_late_output_is_never_delivered(let_go_first: bool) -> None:
    drawing, queue, heartbeat = Drawing(), FakeQueue(), FakeHeartbeat()
    offload = ThreadOffload(Metrics(), 1, 2, produce=drawing)
    limits = Limits(task_count=1, task_seconds=0.1, task_time_mult=0, task_retry_limit=9, sleep_time=0.05)
    worker = Worker(queue, offload.make, Delivery(1000, None).deliver, limits, Metrics(), trio.Event())
    queue.add("one")

    async def let_go() -> None:
        drawing.let_go.set()
        with trio.fail_after(10):
            while offload.abandoned:  # noqa: ASYNC110 - Trio tells nobody when the thread has ended
                await trio.sleep(0.005)

    async def release(task: LeasedTask, seconds: int = 0) -> None:
        if let_go_first:  # the document is there before the second attempt begins
            await let_go()
        await give_back(task, seconds)

    give_back, queue.release = queue.release, release  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, heartbeat)
        with trio.fail_after(20):
            while not queue.results:  # noqa: ASYNC110 - a queue in memory
                await trio.sleep(0.005)
            await let_go()
            await trio.testing.wait_all_tasks_blocked(0.05)
        nursery.cancel_scope.cancel()
    result = queue.results["one-result"]
    assert isinstance(result, DocumentResult)
    assert result.sha256 == hashlib.sha256(LATER).hexdigest()
    assert queue.log.count("insert") == 1
    assert drawing.attempts == 2
