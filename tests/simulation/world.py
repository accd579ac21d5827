"""One simulated world: a queue, two services with a worker each, producers, visitors, and a network, all from one seed.

The queue's store is the real one, in memory; so are its dispatcher, the queue client, the worker, and the backlog of
documents that wait for a document store that fails now and then. Time is virtual: trio's clock jumps to the next event,
and the store's clock is derived from it. Nothing is random but the seed, so that the same seed gives the same run.

Two storms pass over the tasks. After them, in one world of eight, producers and visitors compete for the workers, and
the order in which tasks are begun is checked: no task from the web is begun while a producer's is free, unless it is
due.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import trio
from trio.testing import MockClock

from emulator import discovery
from emulator.app import create_dispatcher
from emulator.permissions.access import Access
from emulator.queues.queue_service import QueueService
from emulator.stores.interface import LeaseOrder, QueueKey, TaskUnknownError
from emulator.stores.sqlite.clock import MachineClock
from emulator.stores.sqlite.store import SqliteStore
from render_trio.delivery.delivery import STORE_SECONDS, Delivery
from render_trio.errors import DeliveryError, QueueError, RenderCrashedError, RenderFailedError
from render_trio.observation.observer import Observer
from render_trio.queue.messages import Result, decode_result, encode_task
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.backlog import Backlog
from render_trio.worker.limits import Limits
from render_trio.worker.worker import Worker
from resources.request import Request
from tests.render_trio.fakes import TASK, FakeHeartbeat
from tests.simulation.network import SimulatedTransport, Weather

QUEUE = QueueKey("p", "q")
EPOCH_US = 1_800_000_000_000_000
TASKS, WEB_TASKS, SERVICES = 3, 1, 2
RUSH_EVERY = 8  # worlds
RUSH_TASKS, RUSH_WEB_TASKS, RUSH_SECONDS = 4, 3, 1.5  # after the storms
SETTLED_SECONDS = 31.0  # of calm, after which no request or reply is under way any more
TAGS = {"task": "result", "web-task": "web-result"}
NOTICE_SECONDS = 0.1  # in which an idle worker gets a task that is free
LARGE, LARGE_TASKS = " large", (0,)  # the text of tasks whose documents need the document store
INLINE_BYTES = len("night 0")
STORM_SECONDS = 15.0  # of faults; calm follows
PATIENCE_SECONDS = 4000.0  # of calm, for all tasks to be settled
TOMBSTONE_SECONDS = 20_000  # longer than a storm and the calm after it
LIMITS = Limits(task_count=5, task_seconds=5, task_time_mult=1.33, task_retry_limit=1000, sleep_time=5)


class SimulatedClock(MachineClock):
    """The machine's clocks in virtual time; the wall clock can be set."""

    def __init__(self) -> None:
        self.boot = "simulated"
        self.set_by_us = 0

    def steady_us(self) -> int:
        return int(trio.current_time() * 1e6)

    def wall_us(self) -> int:
        return EPOCH_US + self.steady_us() + self.set_by_us


@dataclass(frozen=True)
class Submission:
    """A task that the queue accepted; `sure` unless the reply to its insertion was lost."""

    task_id: str
    text: str
    sure: bool


@dataclass
class Turns:
    """What one worker has begun: the number of producers' tasks since the last task from the web."""

    in_a_row: int = 0


class SimulatedDelivery(Delivery):
    """A document store that takes a moment, and can be out. The document is its own address."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(INLINE_BYTES, None)
        self._rng = rng
        self.out = False

    async def deliver(self, pdf: bytes, sha256: str, seconds: float = STORE_SECONDS) -> str | None:
        if not self.needs_store(pdf):
            return None
        await trio.sleep(self._rng.expovariate(10))
        if self.out:
            raise DeliveryError("out")
        return f"memory:{pdf.decode()}"


class World:
    """One run. `check` compares what producers got with what they submitted."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.delivery = SimulatedDelivery(self.rng)
        self.clock = SimulatedClock()
        self.submitted: list[Submission] = []
        self.received: list[Result] = []
        self.inserted_at: dict[str, float] = {}
        self.begun: Counter[str] = Counter()  # in the rush, by kind
        self.unfair: list[str] = []
        self.rush = seed % RUSH_EVERY == 0
        self.rushing = False

    async def run(self) -> None:
        """Let a storm pass over a batch of tasks, then over the same IDs again, with other tasks."""
        self.store = SqliteStore(":memory:", TOMBSTONE_SECONDS, clock=self.clock)
        service = QueueService(self.store, Access())
        self.dispatcher = create_dispatcher(service, discovery.load(service))
        try:
            for night in range(2):
                await self._storm(night)
                if self.rng.random() < 0.5:  # otherwise the results of both nights wait in the queue together
                    self.fetch()
                self.store.advance(TOMBSTONE_SECONDS + 1)
            self.fetch()
        finally:
            self.store.close()

    async def _storm(self, night: int) -> None:
        draw = self.rng.random
        self.weather = Weather(draw() * 0.2, draw() * 0.2, draw() * 0.1, draw() * 0.1)
        async with trio.open_nursery() as nursery:
            for number in range(SERVICES):
                nursery.start_soon(self._keep_service_running, f"service-{number}")
            for number in range(TASKS):
                text = f"night {night}{LARGE if number in LARGE_TASKS else ''}"
                nursery.start_soon(self._submit, f"task-{number}", text)
            for number in range(WEB_TASKS if night == 1 else 0):
                nursery.start_soon(self._submit, f"web-{night}-{number}", web_text(night), "web-task")
            nursery.start_soon(self._set_clocks)
            nursery.start_soon(self._break_document_store)
            await trio.sleep(STORM_SECONDS)
            self.weather.calm = True
            await self._all_done()
            if night == 1 and self.rush:
                await trio.sleep(SETTLED_SECONDS)
                await self._rush()
            nursery.cancel_scope.cancel()

    async def _all_done(self) -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            while self._waiting():  # noqa: ASYNC110 - virtual time
                await trio.sleep(1)

    async def _rush(self) -> None:
        """Let producers and visitors compete for the workers."""
        self.rushing = True
        async with trio.open_nursery() as nursery:
            for number in range(RUSH_TASKS):
                nursery.start_soon(self._submit, f"rush-{number}", "night 2", "task", RUSH_SECONDS)
            for number in range(RUSH_WEB_TASKS):
                nursery.start_soon(self._submit, f"web-2-{number}", web_text(2), "web-task", RUSH_SECONDS)
        await self._all_done()
        self.rushing = False

    def _transport(self) -> SimulatedTransport:
        return SimulatedTransport(self.dispatcher, self.weather, self.rng)

    def _queue(self, transport: SimulatedTransport) -> TaskQueue:
        queue = TaskQueue("http://queue", "p", "q", timeout=10, transport=transport)
        queue._connection._random = self.rng
        return queue

    async def _submit(self, task_id: str, text: str, tag: str = "task", within: float = STORM_SECONDS / 2) -> None:
        await trio.sleep(self.rng.uniform(0, within))
        task = encode_task(TASK | {"header_text": text})
        sure = False
        try:
            await self._queue(self._transport()).submit(task_id, task, tag, generated=False)
            sure = True
        except QueueError:
            pass  # the queue may have it nevertheless
        finally:
            self.inserted_at[task_id] = trio.current_time()
            self.submitted.append(Submission(task_id, text, sure))

    async def _keep_service_running(self, name: str) -> None:
        while True:
            transport = self._transport()
            async with trio.open_nursery() as process:
                if not self.weather.calm:
                    process.start_soon(self._end, transport, process.cancel_scope)
                queue = self._queue(transport)
                stopping, observer, uniform = trio.Event(), Observer(), self.rng.uniform
                backlog = Backlog(queue, self.delivery, LIMITS, observer, stopping, uniform)
                make = partial(self._make, Turns())
                worker = Worker(queue, make, backlog, LIMITS, observer, stopping, uniform)
                await process.start(backlog.run)
                await worker.run(FakeHeartbeat())
            transport.dead = True
            await trio.sleep(self.rng.uniform(0, 5))

    async def _end(self, transport: SimulatedTransport, process: trio.CancelScope) -> None:
        """End a process some time later: it is killed and sends nothing more, or it releases its leases first."""
        await trio.sleep(self.rng.expovariate(1 / 8))
        if not self.rushing:
            transport.dead = self.rng.random() < 0.5
            process.cancel()

    async def _make(self, turns: Turns, request: Request, seconds: float) -> FinishedDocument:
        self._begin(turns, request.header_text)
        drawing = self.rng.expovariate(1)
        # In the rush, each task is begun once: none may take longer than its time limit.
        await trio.sleep(min(drawing, LIMITS.task_seconds - 1) if self.rushing else drawing)
        if not self.weather.calm and self.rng.random() < 0.1:
            raise self.rng.choice([RenderFailedError, RenderCrashedError])()
        return FinishedDocument("a.pdf", request.header_text.encode(), 1, "0" * 64)

    def _begin(self, turns: Turns, text: str) -> None:
        """Check that it is this task's turn on a worker."""
        web = text == web_text(2)
        if self.rushing:
            self.begun["web" if web else "producer"] += 1
        if self.rushing and web and turns.in_a_row < 3:
            earlier = trio.current_time() - NOTICE_SECONDS
            never_leased = [
                task.id for task in self.store.peek(QUEUE, 100) if (task.tag, task.retry_count) == ("task", 0)
            ]
            free = [task_id for task_id in never_leased if self.inserted_at.get(task_id, math.inf) < earlier]
            self.unfair += free
        turns.in_a_row = 0 if text.startswith("web") else turns.in_a_row + 1

    async def _break_document_store(self) -> None:
        """Let the document store be out now and then, for longer than a lease at times."""
        while not self.weather.calm:
            await trio.sleep(self.rng.expovariate(1 / 5))
            self.delivery.out = not self.weather.calm
            await trio.sleep(self.rng.expovariate(1 / 10))
            self.delivery.out = False

    async def _set_clocks(self) -> None:
        """Set the machine's clock back or ahead now and then."""
        while not self.weather.calm:
            await trio.sleep(self.rng.expovariate(1 / 20))
            self.clock.set_by_us += int(self.rng.uniform(-3600, 3600) * 1e6)

    def _waiting(self) -> bool:
        return any(task.tag in TAGS for task in self.store.peek(QUEUE, 100))

    def fetch(self) -> None:
        """Take all results from the queue."""
        for task_tag, tag in TAGS.items():
            while results := self.store.lease(QUEUE, LeaseOrder(100, 60, group_by_tag=True, tag=tag)):
                for task in results:
                    result = decode_result(task.payload)
                    assert result.task_id.startswith("web-") is (task_tag == "web-task"), "a result of the other kind"
                    self.received.append(result)
                    try:
                        self.store.delete(QUEUE, task.id)
                    except TaskUnknownError:
                        raise AssertionError("a result vanished") from None

    def check(self) -> None:
        """Check that every submission got one answer, its own, and that nothing else was answered."""
        answers = Counter((result.task_id, text_of(result)) for result in self.received)
        for submission in self.submitted:
            count = answers.pop((submission.task_id, submission.text), 0)
            allowed = (1,) if submission.sure else (0, 1)
            assert count in allowed, f"{submission} has {count} results"
        assert not answers, f"results without a submission: {answers}"
        assert all(result.success for result in self.received), "every task can succeed"
        assert not self.unfair, f"a task from the web was begun before those of producers: {self.unfair}"
        begun = {"producer": RUSH_TASKS, "web": RUSH_WEB_TASKS} if self.rush else {}
        assert self.begun == begun, "in the calm, each task is begun once"


def web_text(night: int) -> str:
    """Return the text of a task from the web. It is small enough for its result."""
    return f"web---{night}"


def text_of(result: Result) -> str:
    """Return the text of the task that a result answers."""
    assert isinstance(result.request, dict), result
    return str(result.request["header_text"])


def simulate(seed: int, use: Callable[[World], Awaitable[None]] | None = None) -> World:
    """Run the world of a seed and return it. The order in which trio runs tasks is determined by the seed, too."""
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio._core._run._r.seed(seed)
    world = World(seed)
    trio.run(
        world.run if use is None else use, *([] if use is None else [world]), clock=MockClock(autojump_threshold=0)
    )
    return world
