"""Renders that hang, run out of memory or crash. What both offloads guarantee is in tests/contracts."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from render_trio.errors import FatalError, RenderCrashedError, RenderTimedOutError
from render_trio.observation.metrics import Metrics
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.process import ProcessOffload, process_offload
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.pipeline import produce
from resources.request import Request
from tests.requests import request_for

GIB = 1024**3
REQUEST = request_for("parity_cards")
Checkpoint = Callable[[], None]


def loop_forever(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    while True:
        pass


def exit_process(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    os._exit(3)


def segfault(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    ctypes.string_at(0)
    raise AssertionError


def use_too_much_memory(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    filled = bytearray(4 * GIB)
    raise AssertionError(len(filled))


def return_process_id(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    return FinishedDocument(str(os.getpid()), b"", 0, "")


def grow(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    kept.append(bytearray(os.urandom(64) * 2**20))
    return return_process_id(request, checkpoint)


kept: list[bytearray] = []


@pytest.fixture
async def offload() -> AsyncIterator[ProcessOffload]:
    async with process_offload(Metrics(), 2, memory_limit=GIB, jobs_per_process=3, recycle_memory=0) as offload:
        yield offload


async def process_of(offload: ProcessOffload) -> int:
    offload._produce = return_process_id
    return int((await offload.make(REQUEST, 30)).filename)


@pytest.mark.parametrize(
    ("produce_badly", "error", "reason"),
    [
        (loop_forever, RenderTimedOutError, "not drawn within 1 s"),
        (exit_process, RenderCrashedError, "exit code 3"),
        (segfault, RenderCrashedError, "signal SIGSEGV"),
        (use_too_much_memory, RenderCrashedError, "RENDER_MEMORY_LIMIT"),
    ],
)
async def test_a_process_that_hangs_or_dies_costs_one_attempt(
    offload: ProcessOffload, produce_badly: Callable[..., FinishedDocument], error: type[Exception], reason: str
) -> None:
    bad, documents = offload.with_capacity(1), []
    bad._produce = produce_badly
    async with trio.open_nursery() as nursery:

        async def render_well() -> None:
            documents.append(await offload.make(REQUEST, 30))

        nursery.start_soon(render_well)
        with pytest.raises(error, match=reason):
            await bad.make(REQUEST, 0.7 if produce_badly is loop_forever else 60)
    assert documents == [produce(REQUEST, lambda: None)]
    assert await process_of(offload) != os.getpid()


async def test_an_offload_with_its_own_capacity_does_not_wait_for_the_other(offload: ProcessOffload) -> None:
    offload._produce = loop_forever
    other = offload.with_capacity(1)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(offload.make, REQUEST, 1000)
        await wait_all_tasks_blocked()
        assert await process_of(other) != os.getpid()
        nursery.cancel_scope.cancel()


async def test_cpu_time_is_bounded_by_the_kernel(offload: ProcessOffload, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backstop for a parent that fails to kill the process: here it never tries."""
    monkeypatch.setattr("render_trio.rendering.offload.process.attempt", attempt_without_margin)
    offload._produce = loop_forever
    with pytest.raises(RenderCrashedError, match="signal SIGXCPU"):
        await offload.make(REQUEST, 30)


def attempt_without_margin(produce: Callable[..., FinishedDocument], request: Request, seconds: float) -> object:
    from render_trio.rendering.offload import child

    child.CPU_MARGIN = 0
    return child.attempt(produce, request, 0.1)


async def test_a_process_is_replaced_after_its_number_of_jobs(offload: ProcessOffload) -> None:
    processes = [await process_of(offload) for _ in range(8)]
    # The first process has already had a job: the check at startup that processes can be started.
    assert [processes.count(process) for process in dict.fromkeys(processes)] == [2, 3, 3]


async def test_a_process_that_uses_too_much_memory_is_replaced() -> None:
    async with process_offload(
        Metrics(), 1, memory_limit=0, jobs_per_process=99, recycle_memory=150 * 2**20
    ) as offload:
        offload._produce = grow
        processes = [(await offload.make(REQUEST, 30)).filename for _ in range(6)]
    assert 1 < len(set(processes)) < 6


class FailingContext:
    """Can't start a process for a while."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def run_sync(self, *arguments: object, **options: object) -> FinishedDocument:
        await trio.lowlevel.checkpoint()
        self.failures -= 1
        if self.failures >= 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return produce(REQUEST, lambda: None)


async def test_starting_a_process_is_retried_until_the_time_limit_and_is_then_fatal(autojump_clock: MockClock) -> None:
    """A failed attempt instead would be wrong: it isn't the task's fault, and would use up its attempts in seconds."""
    metrics = Metrics()
    assert (await ProcessOffload(FailingContext(20), metrics, 1).make(REQUEST, 30)).pages == 2
    with pytest.raises(FatalError, match="no drawing process could be started for 30 s"):
        await ProcessOffload(FailingContext(10**6), metrics, 1).make(REQUEST, 30)
    assert b"render_killed_processes_total 0.0" in metrics.exposition()


async def test_a_hung_thread_is_abandoned_and_its_worker_continues() -> None:
    release = threading.Event()

    def hang(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
        release.wait(30)
        return FinishedDocument("late", b"", 0, "")

    metrics = Metrics()
    offload = ThreadOffload(metrics, 1, 2, produce=hang, parting_seconds=0.1)
    try:
        for abandoned in (1, 2):
            with pytest.raises(RenderTimedOutError):
                await offload.make(REQUEST, 0.05)
            assert offload.abandoned == abandoned
        with pytest.raises(FatalError, match="RENDER_ISOLATION=process"):
            await offload.make(REQUEST, 0.05)
    finally:
        release.set()
    assert b"render_abandoned_threads_total 2.0" in metrics.exposition()
    # Once they exit after all, there is room again.
    offload._produce = produce
    offload._parting_seconds = 10
    assert (await offload.make(REQUEST, 30)).pages == 2


async def test_a_thread_stops_between_pages_after_its_time_limit() -> None:
    ended = threading.Event()

    def draw_slowly(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
        try:
            while True:
                time.sleep(0.01)
                checkpoint()
        finally:
            ended.set()

    offload = ThreadOffload(Metrics(), 1, 1, produce=draw_slowly)
    with pytest.raises(RenderTimedOutError):
        await offload.make(REQUEST, 0.05)
    assert await trio.to_thread.run_sync(ended.wait, 10)
