"""The document of an abandoned thread is never delivered, whether or not the task has a result by then."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pytest
import trio

from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import DocumentResult, LeasedTask
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.worker.limits import Limits
from resources.request import Request
from tests.render_trio.fakes import FakeHeartbeat, FakeQueue, storeless_worker

FIRST, LATER = b"too late", b"in time"


class Drawing:
    """The first attempt hangs until it is released, then returns a document; later attempts return at once."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.attempts = 0

    def __call__(self, request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
        self.attempts += 1
        pdf = LATER
        if self.attempts == 1:
            self.released.wait(30)
            pdf = FIRST
        return FinishedDocument("x.pdf", pdf, 1, hashlib.sha256(pdf).hexdigest())


@pytest.mark.parametrize("released_first", [True, False], ids=["before the second result", "after the second result"])
async def test_late_output_is_never_delivered(released_first: bool) -> None:
    drawing, queue, heartbeat = Drawing(), FakeQueue(), FakeHeartbeat()
    offload = ThreadOffload(Metrics(), 1, 2, produce=drawing)
    limits = Limits(task_count=1, task_seconds=0.1, task_time_mult=0, task_retry_limit=9, sleep_time=0.05)
    worker = storeless_worker(queue, offload.make, limits, Metrics())
    queue.add("one")

    async def release_first_attempt() -> None:
        drawing.released.set()
        with trio.fail_after(10):
            while offload.abandoned:  # noqa: ASYNC110 - Trio has no notification for this
                await trio.sleep(0.005)

    async def release_task(task: LeasedTask, seconds: int = 0) -> None:
        if released_first:  # its document is finished before the second attempt starts
            await release_first_attempt()
        await original_release(task, seconds)

    original_release, queue.release = queue.release, release_task  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, heartbeat)
        with trio.fail_after(20):
            while not queue.results:  # noqa: ASYNC110 - a queue in memory
                await trio.sleep(0.005)
            await release_first_attempt()
            await trio.testing.wait_all_tasks_blocked(0.05)
        nursery.cancel_scope.cancel()
    result = queue.results["one"]
    assert isinstance(result, DocumentResult)
    assert result.sha256 == hashlib.sha256(LATER).hexdigest()
    assert queue.log.count("insert") == 1
    assert drawing.attempts == 2
