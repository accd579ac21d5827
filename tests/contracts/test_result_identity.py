"""Every submission of a task gets one result, and its own: whatever is resubmitted, killed or lost on the way.

A real worker works on the real queue, through a connection that loses requests and replies, and kills the worker, as
the example demands. Producers submit IDs again as soon as the queue allows it, and choose IDs that clash with those of
results.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from emulator.app import create_app
from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, TaskExistsError
from emulator.stores.sqlite.store import SqliteStore
from render_trio.errors import QueueRefusedError
from render_trio.observation.metrics import Metrics
from render_trio.queue.identity import former_result_id, result_ids
from render_trio.queue.messages import LeasedTask, Result, decode_result, encode_result, encode_task, failure
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.worker.limits import Limits
from tests.render_trio.fakes import TASK, FakeHeartbeat, FakeRenderer, storeless_worker

QUEUE = QueueKey("p", "q")
Fault = Literal["none", "lose request", "lose reply", "kill before", "kill after"]
FAULTS: list[Fault] = ["none", "lose request", "lose reply", "kill before", "kill after"]
LEASE_SECONDS = 2000  # longer than any lease of the worker
TOMBSTONE_SECONDS = 80_000  # longer than all attempts of an example take


@dataclass
class Connection(httpx.AsyncBaseTransport):
    """A connection to the queue. Each request takes the next of `faults`; when they are used up, all is well."""

    inner: httpx.ASGITransport
    faults: Iterator[Fault]
    killed: trio.Event = field(default_factory=trio.Event)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.killed.is_set():
            raise httpx.ConnectError("the process is dead")
        # An empty lease costs no fault, so that the faults of an example hit what matters.
        fault = "none" if request.url.path.endswith("/lease") else next(self.faults, "none")
        if fault in ("kill before", "lose request"):
            return await self._fail(fault)
        response = await self.inner.handle_async_request(request)
        await response.aread()
        return response if fault == "none" else await self._fail(fault)

    async def _fail(self, fault: Fault) -> httpx.Response:
        if fault.startswith("kill"):
            self.killed.set()
            await trio.sleep_forever()
        raise httpx.ReadError(fault)


@dataclass(frozen=True)
class Submission:
    task_id: str
    enqueued_us: int
    text: str


def use(queue: TaskQueue, connection: httpx.AsyncBaseTransport) -> None:
    """Let a client send its requests through `connection`, even after it has replaced its pool."""
    transport: Any = queue._connection._transport
    transport._new_client = lambda: httpx.AsyncClient(transport=connection)
    transport._client = transport._new_client()


class Field:
    """A queue, its producers and its workers."""

    def __init__(self, store: SqliteStore, faults: list[Fault]) -> None:
        self.store = store
        self.faults = iter(faults)
        self.submitted: list[Submission] = []
        self.results: list[tuple[Submission, Result]] = []
        self.transport = httpx.ASGITransport(create_app(store))

    def submit(self, task_id: str) -> None:
        """Submit a task with a text of its own, if the queue accepts the ID."""
        text = f"submission {len(self.submitted)}"
        try:
            task = self.store.insert(QUEUE, NewTask(task_id, encode_task(TASK | {"header_text": text}), "task"))
        except TaskExistsError:
            return
        self.submitted.append(Submission(task_id, task.enqueued_us, text))

    def clash(self, number: int) -> None:
        """Submit a task under the ID that the result of a waiting task will have."""
        waiting = [task for task in self.store.peek(QUEUE, 100) if task.tag == "task"]
        if waiting:
            task = waiting[number % len(waiting)]
            self.submit(next(result_ids(LeasedTask(task.id, "", 0, task.enqueued_us, 0))))

    def fetch(self) -> None:
        """Take all results, as their producers do."""
        for task in self.store.lease(QUEUE, LeaseOrder(1000, 60, group_by_tag=True, tag="result")):
            result = decode_result(task.payload)
            key = (result.task_id, result.enqueue_timestamp)
            (submission,) = [found for found in self.submitted if (found.task_id, str(found.enqueued_us)) == key]
            self.results.append((submission, result))
            self.store.delete(QUEUE, task.id)

    def advance(self) -> None:
        """Let the leases end and, if no task waits whose result may have been fetched, the reserved IDs too."""
        waiting = any(task.tag == "task" for task in self.store.peek(QUEUE, 100))
        self.store.advance(LEASE_SECONDS if waiting else TOMBSTONE_SECONDS)

    async def work(self) -> None:
        """Run a worker until it has been idle for a minute or is killed."""
        connection = Connection(self.transport, self.faults)
        queue = TaskQueue("http://queue", "p", "q", timeout=5)
        use(queue, connection)
        worker = storeless_worker(queue, FakeRenderer(0.1).make, Limits(20, 50, 1.33, 50, 2), Metrics())
        with trio.move_on_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(worker.run, FakeHeartbeat())
                await connection.killed.wait()
                nursery.cancel_scope.cancel()
        connection.killed.set()  # from here on, cancelled tasks can't reach the queue either


IDS = ["a", "b", "a-result", "x" * 495]
Step = tuple[str, int]


def some(*names: str) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 3)), max_size=14)


def in_a_field(use: Callable[[Field], Any], faults: list[Fault]) -> None:
    """Run `use` with a queue of its own, on a clock that never makes it wait."""
    folder = tempfile.mkdtemp()
    store = SqliteStore(Path(folder) / "queue", TOMBSTONE_SECONDS - 1)
    try:
        trio.run(use, Field(store, faults), clock=MockClock(autojump_threshold=0))
    finally:
        store.close()
        shutil.rmtree(folder)


async def run_steps(field: Field, steps: list[Step]) -> None:
    for step, number in steps:
        if step == "submit":
            field.submit(IDS[number])
        elif step == "clash":
            field.clash(number)
        elif step == "work":
            await field.work()
        elif step == "fetch":
            field.fetch()
        else:
            field.advance()
    while any(task.tag == "task" for task in field.store.peek(QUEUE, 100)):
        field.store.advance(LEASE_SECONDS)
        await field.work()
        field.fetch()
    field.fetch()


async def check(field: Field, steps: list[Step]) -> None:
    await run_steps(field, steps)
    counts = Counter(submission for submission, _ in field.results)
    assert counts == Counter(field.submitted), "each submission has exactly one result"
    for submission, result in field.results:
        assert isinstance(result.request, dict)
        assert result.request["header_text"] == submission.text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some("submit", "submit", "work", "work", "fetch", "advance"), st.lists(st.sampled_from(FAULTS), max_size=10))
def test_every_submission_gets_one_result_and_its_own(steps: list[Step], faults: list[Fault]) -> None:
    in_a_field(lambda field: check(field, steps), faults)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some("submit", "submit", "clash", "clash", "work", "fetch", "advance"))
def test_a_task_under_the_id_of_a_result_changes_nothing(steps: list[Step]) -> None:
    """Such an ID can only be chosen on purpose: it contains the microsecond in which another task was inserted."""
    in_a_field(lambda field: check(field, steps), [])


@pytest.mark.parametrize("fault", FAULTS[1:])
@pytest.mark.parametrize("request_number", range(6))
def test_a_task_that_is_submitted_again_gets_its_own_document(fault: Fault, request_number: int) -> None:
    """The nightly rebuild: the first result may still be in the queue, or its ID may be reserved."""
    steps: list[Step] = [("submit", 0), ("work", 0), ("advance", 0), ("submit", 0), ("work", 0), ("fetch", 0)]

    async def use(field: Field) -> None:
        await run_steps(field, steps)
        assert Counter(submission for submission, _ in field.results) == Counter(field.submitted)
        assert len(field.submitted) >= 1

    in_a_field(use, [*(["none"] * request_number), fault])  # type: ignore[list-item]


def test_a_result_of_version_0_1_0_that_names_the_task_is_accepted() -> None:
    """A worker of 0.1.0 was killed between the insertion of the result and the deletion of the task."""

    async def use(field: Field) -> None:
        field.submit("a")
        field.store.lease(QUEUE, LeaseOrder(1, 60))
        old = encode_result(failure("a", "render_failed", "the answer of the old worker"))
        field.store.insert(QUEUE, NewTask(former_result_id("a"), old, "result"))
        field.store.advance(LEASE_SECONDS)
        await field.work()
        tasks = field.store.lease(QUEUE, LeaseOrder(10, 60))
        assert [task.id for task in tasks] == ["a-result"]

    in_a_field(use, [])


def test_a_result_of_version_0_1_0_that_is_older_than_the_task_is_not() -> None:
    async def use(field: Field) -> None:
        old = encode_result(failure("a", "render_failed", "last week's"))
        field.store.insert(QUEUE, NewTask(former_result_id("a"), old, "result"))
        field.submit("a")
        field.store.lease(QUEUE, LeaseOrder(1, 60, group_by_tag=True, tag="task"))
        field.store.advance(LEASE_SECONDS)
        await field.work()
        tasks = field.store.lease(QUEUE, LeaseOrder(10, 60))
        assert len(tasks) == 2
        assert {decode_result(task.payload).success for task in tasks} == {True, False}

    in_a_field(use, [])


async def test_an_id_of_another_task_is_never_taken_for_an_insertion_of_ours(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "queue")
    queue = TaskQueue("http://queue", "p", "q", timeout=5)
    use(queue, httpx.ASGITransport(create_app(store)))
    await queue.insert("one", "eA==", "task")
    await queue.insert("one", "eA==", "task")
    for payload, tag in (("eQ==", "task"), ("eA==", "other")):
        with pytest.raises(QueueRefusedError, match="the ID one belongs to another task"):
            await queue.insert("one", payload, tag)
    await queue.delete("one")
    with pytest.raises(QueueRefusedError, match="belongs to another task"):
        await queue.insert("one", "eA==", "task")
    await queue.aclose()
    store.close()


def test_ids_of_results_are_short_enough_and_differ() -> None:
    tasks = [LeasedTask(name, "", 0, time, 0) for name in ("a", "x" * 500, "x" * 499 + "y") for time in (1, 2)]
    ids = [result_id for task in tasks for result_id in result_ids(task)]
    assert len(set(ids)) == len(ids) == 24
    assert all(len(result_id) <= 500 for result_id in ids)
    assert next(result_ids(LeasedTask("web-1", "", 0, 5, 0))) == "web-1-result"
