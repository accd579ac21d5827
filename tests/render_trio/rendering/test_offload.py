"""Renders that hang, explode and crash, each in the kind of offload where it can; the contract of both is elsewhere."""

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
from render_trio.rendering.offload.offload import ProcessOffload, ThreadOffload, process_offload
from render_trio.rendering.pipeline import produce
from resources.request import Request
from tests.requests import request_for

GIB = 1024**3
REQUEST = request_for("parity_cards")
Checkpoint = Callable[[], None]


def loop_for_ever(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    while True:
        pass


def vanish(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    os._exit(3)


def fault(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    ctypes.string_at(0)
    raise AssertionError


def explode(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    filled = bytearray(4 * GIB)
    raise AssertionError(len(filled))


def tell_process(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    return FinishedDocument(str(os.getpid()), b"", 0, "")


def grow(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    kept.append(bytearray(os.urandom(64) * 2**20))
    return tell_process(request, checkpoint)


kept: list[bytearray] = []


@pytest.fixture
async def offload() -> AsyncIterator[ProcessOffload]:
    async with process_offload(Metrics(), 2, memory_limit=GIB, jobs_per_process=3, recycle_memory=0) as offload:
        yield offload


async def process_of(offload: ProcessOffload) -> int:
    offload._produce = tell_process
    return int((await offload.make(REQUEST, 30)).filename)


@pytest.mark.parametrize(
    ("way", "error", "reason"),
    [
        (loop_for_ever, RenderTimedOutError, "not drawn within 1 s"),
        (vanish, RenderCrashedError, "exit code 3"),
        (fault, RenderCrashedError, "signal SIGSEGV"),
        (explode, RenderCrashedError, "RENDER_MEMORY_LIMIT"),
    ],
)
async def test_a_process_that_hangs_or_dies_costs_one_attempt(
    offload: ProcessOffload, way: Callable[..., FinishedDocument], error: type[Exception], reason: str
) -> None:
    bad, beside = offload.beside(1), []
    bad._produce = way
    async with trio.open_nursery() as nursery:

        async def render_beside() -> None:
            beside.append(await offload.make(REQUEST, 30))

        nursery.start_soon(render_beside)
        with pytest.raises(error, match=reason):
            await bad.make(REQUEST, 0.7 if way is loop_for_ever else 60)
    assert beside == [produce(REQUEST, lambda: None)]
    assert await process_of(offload) != os.getpid()


async def test_one_beside_another_has_places_of_its_own(offload: ProcessOffload) -> None:
    offload._produce = loop_for_ever
    beside = offload.beside(1)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(offload.make, REQUEST, 1000)
        await wait_all_tasks_blocked()
        assert await process_of(beside) != os.getpid()
        nursery.cancel_scope.cancel()


async def test_processor_time_is_bounded_by_the_kernel(
    offload: ProcessOffload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backstop for a parent that doesn't get to kill: here it never tries."""
    monkeypatch.setattr("render_trio.rendering.offload.process.attempt", attempt_with_no_margin)
    offload._produce = loop_for_ever
    with pytest.raises(RenderCrashedError, match="signal SIGXCPU"):
        await offload.make(REQUEST, 30)


def attempt_with_no_margin(produce: Callable[..., FinishedDocument], request: Request, seconds: float) -> object:
    from render_trio.rendering.offload import child

    child.CPU_MARGIN = 0
    return child.attempt(produce, request, 0.1)


async def test_processes_are_replaced_after_their_jobs(offload: ProcessOffload) -> None:
    processes = [await process_of(offload) for _ in range(8)]
    # The first one has had a job before: it was asked whether processes can be started.
    assert [processes.count(process) for process in dict.fromkeys(processes)] == [2, 3, 3]


async def test_a_process_that_has_grown_is_replaced() -> None:
    async with process_offload(
        Metrics(), 1, memory_limit=0, jobs_per_process=99, recycle_memory=150 * 2**20
    ) as offload:
        offload._produce = grow
        processes = [(await offload.make(REQUEST, 30)).filename for _ in range(6)]
    assert 1 < len(set(processes)) < 6


class Poor:
    """A machine that gives no process for a while."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    async def run_sync(self, *arguments: object, **options: object) -> FinishedDocument:
        await trio.lowlevel.checkpoint()
        self.refusals -= 1
        if self.refusals >= 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return produce(REQUEST, lambda: None)


async def test_a_machine_without_processes_is_waited_for_and_then_given_up(autojump_clock: MockClock) -> None:
    """The task is not to blame: its attempts would be used up within seconds."""
    metrics = Metrics()
    assert (await ProcessOffload(Poor(20), metrics, 1).make(REQUEST, 30)).pages == 2
    with pytest.raises(FatalError, match="no drawing process could be started for 30 s"):
        await ProcessOffload(Poor(10**6), metrics, 1).make(REQUEST, 30)
    assert b"render_killed_processes_total 0.0" in metrics.exposition()


async def test_a_hung_thread_is_abandoned_and_its_slot_goes_on() -> None:
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
    # When they end after all, there is room again.
    offload._produce = produce
    offload._parting_seconds = 10
    assert (await offload.make(REQUEST, 30)).pages == 2


async def test_a_thread_stops_between_pages_when_its_time_is_over() -> None:
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
