"""Fakes that fail on demand: a queue in memory, a renderer, and a heartbeat that records its calls."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from render_trio.delivery.delivery import Delivery
from render_trio.errors import LeaseLostError
from render_trio.observation.observer import Observer
from render_trio.queue.interface import LeasedBatch, Queue
from render_trio.queue.messages import TASK_TAG, LeasedTask, decode_result, encode_task
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.backlog import Backlog
from render_trio.worker.limits import Limits
from render_trio.worker.worker import Worker
from resources.registry import CATALOGUE
from resources.request import Request

TASK: dict[str, Any] = {
    "resource_view": "binary_cards",
    "paper_size": "a4",
    "display_numbers": True,
    "black_back": False,
}


class FakeQueue:
    """A queue in memory on Trio's clock. An operation raises the exceptions listed under its name in `faults` first."""

    def __init__(self) -> None:
        self.tasks: dict[str, LeasedTask] = {}
        self.leased_until: dict[str, float] = {}
        self.results: dict[str, Any] = {}
        self.result_tags: dict[str, str] = {}
        self.log: list[str] = []
        self.faults: dict[str, list[Exception]] = {}
        self.lose_leases = False
        self.response_seconds = 0.0  # from the start of a lease to the response
        self.inserted = trio.Event()

    def add(
        self, task_id: str, values: dict[str, Any] | None = None, *, payload: str | None = None, tag: str = TASK_TAG
    ) -> None:
        content = payload if payload is not None else encode_task(values if values is not None else TASK)
        self.tasks[task_id] = LeasedTask(task_id, content, 1, 0, 0, tag)
        self.inserted.set()
        self.inserted = trio.Event()

    def _step(self, name: str, logged: str = "") -> None:
        self.log.append(logged or name)
        if self.faults.get(name):
            raise self.faults[name].pop(0)

    async def lease(self, count: int, seconds: int, *, tag: str = TASK_TAG, wait: int = 0) -> LeasedBatch:
        await trio.lowlevel.checkpoint()
        self._step("lease", "lease" if tag == TASK_TAG else "lease web")
        now = trio.current_time()
        free = [name for name in self.free() if self.tasks[name].tag == tag]
        if not free and wait:
            with trio.move_on_after(wait):
                await self.inserted.wait()
        leased = []
        for name in free[:count]:
            task = self.tasks[name]
            self.leased_until[name] = now + seconds
            leased.append(task)
            self.tasks[name] = msgspec.structs.replace(task, retry_count=task.retry_count + 1)
        await trio.sleep(self.response_seconds)
        return LeasedBatch(tuple(leased), waited=True)

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        await trio.lowlevel.checkpoint()
        self._step("renew")
        return self._move(task, seconds)

    def _move(self, task: LeasedTask, seconds: int) -> LeasedTask:
        if self.lose_leases or task.id not in self.tasks:
            raise LeaseLostError("leased to another worker")
        self.leased_until[task.id] = trio.current_time() + seconds
        return task

    async def release(self, task: LeasedTask, seconds: int = 0) -> None:
        await trio.lowlevel.checkpoint()
        self._step("release")
        self._move(task, seconds)

    async def settle(self, task: LeasedTask, result: str, tag: str) -> None:
        await trio.lowlevel.checkpoint()
        self._step("insert")
        self.results.setdefault(task.id, decode_result(result))
        self.result_tags[task.id] = tag
        await self.delete(task.id)

    async def delete(self, task_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self._step("delete")
        self.tasks.pop(task_id, None)

    def free(self) -> list[str]:
        """Return the IDs of the tasks that can be leased now."""
        return [task for task in self.tasks if self.leased_until.get(task, -1.0) <= trio.current_time()]


class FakeRenderer:
    """Takes `seconds` for each document; raises the exceptions in `faults` first."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.seconds = seconds
        self.faults: list[Exception] = []
        self.limits: list[float] = []

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        self.limits.append(seconds)
        await trio.sleep(self.seconds)
        if self.faults:
            raise self.faults.pop(0)
        resource = CATALOGUE[request.view]
        pdf = resource.filename(request).encode()
        return FinishedDocument(
            resource.filename(request), pdf, resource.page_count(request), hashlib.sha256(pdf).hexdigest()
        )


class FakeHeartbeat:
    def __init__(self) -> None:
        self.phases: list[str] = []
        self.budgets: list[float] = []
        self.progressed: list[str] = []

    def enter(self, phase: str, budget: float) -> None:
        assert budget > 0
        self.phases.append(phase)
        self.budgets.append(budget)

    def progress(self, kind: str) -> None:
        self.progressed.append(kind)


@asynccontextmanager
async def batches(worker: Worker, heartbeat: FakeHeartbeat) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Yield a function that works on one batch of tasks, as the worker does. Release the rest at the end."""
    async with trio.open_nursery() as nursery:
        intake = worker.open_intake(heartbeat, nursery)

        async def work() -> None:
            await worker.iterate(heartbeat, intake)
            while (intake._producers or intake._web) and not worker._stopping.is_set():
                await worker.iterate(heartbeat, intake)

        yield work
        nursery.cancel_scope.cancel()
    await worker._leases.release_all()


async def work_on_batch(worker: Worker, heartbeat: FakeHeartbeat) -> None:
    """Work on one batch of tasks, and release the rest."""
    async with batches(worker, heartbeat) as work:
        await work()


def storeless_worker(
    queue: Queue,
    make: Callable[[Request, float], Awaitable[FinishedDocument]],
    limits: Limits,
    observer: Observer,
    *,
    stopping: trio.Event | None = None,
    inline_bytes: int = 1_000_000,
    uniform: Callable[[float, float], float] = random.uniform,
) -> Worker:
    """Return a worker without a document store: documents of up to `inline_bytes` travel inside their results."""
    stopping = trio.Event() if stopping is None else stopping
    backlog = Backlog(queue, Delivery(inline_bytes, None), limits, observer, stopping, uniform)
    return Worker(queue, make, backlog, limits, observer, stopping, uniform)
