"""A store that fails on demand, and a worker with a backlog that use it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
import trio.lowlevel

from render_trio.delivery.delivery import STORE_SECONDS, Delivery
from render_trio.errors import DeliveryError
from render_trio.observation.observer import Observer
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.backlog import Backlog
from render_trio.worker.limits import Limits
from render_trio.worker.worker import Worker
from resources.request import Request
from tests.render_trio.fakes import TASK, FakeHeartbeat, FakeQueue

LIMITS = Limits(task_count=20, task_seconds=50, task_time_mult=1.33, task_retry_limit=1, sleep_time=2)
INLINE_BYTES = 9
DOWN = "the store is down"


class FakeDelivery(Delivery):
    """A store that fails with `cause` while there is one, and always for the documents in `faults`; records its use."""

    def __init__(self) -> None:
        super().__init__(INLINE_BYTES, None)
        self.cause = ""
        self.faults: dict[str, DeliveryError] = {}
        self.seconds = 0.0
        self.tries: list[tuple[float, str]] = []
        self.limits: list[float] = []

    async def deliver(self, pdf: bytes, sha256: str, seconds: float = STORE_SECONDS) -> str | None:
        if not self.needs_store(pdf):
            return None
        name = pdf.decode().strip()
        self.tries.append((trio.current_time(), name))
        self.limits.append(seconds)
        with trio.move_on_after(seconds) as limit:
            await trio.sleep(self.seconds)
        if limit.cancelled_caught:
            raise DeliveryError("the store hangs")
        if name in self.faults:
            raise self.faults[name]
        if self.cause:
            raise DeliveryError(self.cause)
        return f"https://files.example.org/{name}"


class Recorder(Observer):
    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.failures: list[tuple[str, str, str]] = []
        self.waiting: list[int] = []
        self.in_progress = self.store_failures = 0

    def rendered(self, resource: str, outcome: str) -> None:
        self.outcomes.append(outcome)

    def failure(self, task: str, code: str, reason: str, outcome: str) -> None:
        self.failures.append((task, code, outcome))

    def waiting_documents(self, count: int) -> None:
        self.waiting.append(count)

    def in_flight(self, change: int) -> None:
        self.in_progress += change

    def store_failed(self) -> None:
        self.store_failures += 1


class Bench:
    """A worker, a backlog and their fakes. Pauses are as long as `uniform` draws them, here the longest."""

    def __init__(self, limits: Limits = LIMITS, uniform: Callable[[float, float], float] = max) -> None:
        self.queue = FakeQueue()
        self.delivery = FakeDelivery()
        self.observer = Recorder()
        self.heartbeat = FakeHeartbeat()
        self.stopping = trio.Event()
        self.drawn: list[str] = []
        self.backlog = Backlog(self.queue, self.delivery, limits, self.observer, self.stopping, uniform)
        self.worker = Worker(self.queue, self.make, self.backlog, limits, self.observer, self.stopping, uniform)

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return a document that consists of the header's text; one of more than INLINE_BYTES needs the store."""
        await trio.sleep(0.01)
        self.drawn.append(request.header_text)
        pdf = request.header_text.encode()
        return FinishedDocument("x.pdf", pdf, 1, hashlib.sha256(pdf).hexdigest())

    def add(self, *names: str, size: int = INLINE_BYTES + 1) -> None:
        for name in names:
            self.queue.add(name, TASK | {"header_text": name.ljust(size, "_")})

    async def settled(self, *names: str) -> None:
        """Return when these tasks have results."""
        with trio.fail_after(1000):
            while not set(names) <= set(self.queue.results):  # noqa: ASYNC110 - virtual time
                await trio.sleep(0.01)

    def names_tried(self) -> list[str]:
        return [name.strip("_") for _, name in self.delivery.tries]


@asynccontextmanager
async def working(bench: Bench, *, workers: int = 1) -> AsyncIterator[None]:
    """Run the worker and the backlog until the block is left."""
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        for _ in range(workers):
            nursery.start_soon(bench.worker.run, bench.heartbeat)
        yield
        nursery.cancel_scope.cancel()
