"""How a render leaves the event loop, with renders that hang, explode and crash."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from render_trio.errors import FatalError, RenderCrashedError, RenderFailedError, RenderTimedOutError
from render_trio.finisher import FinishedDocument
from render_trio.metrics import Metrics
from render_trio.offload import ProcessOffload, ThreadOffload, process_offload, produce
from resources.request import Request
from tests.requests import request_for

GIB = 1024**3
REQUEST = request_for("parity_cards")


def loop_for_ever(request: Request) -> FinishedDocument:
    while True:
        pass


def vanish(request: Request) -> FinishedDocument:
    os._exit(3)


def fault(request: Request) -> FinishedDocument:
    ctypes.string_at(0)
    raise AssertionError


def explode(request: Request) -> FinishedDocument:
    filled = bytearray(4 * GIB)
    raise AssertionError(len(filled))


def complain(request: Request) -> FinishedDocument:
    raise ValueError("no such colour")


def tell_process(request: Request) -> FinishedDocument:
    return FinishedDocument(str(os.getpid()), b"", 0, "")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture
async def offload() -> AsyncIterator[ProcessOffload]:
    async with process_offload(Metrics(), 2, memory_limit=GIB, jobs_per_process=3, recycle_memory=0) as offload:
        yield offload


async def test_both_ways_give_the_same_document(offload: ProcessOffload) -> None:
    in_thread = await ThreadOffload(Metrics(), 2, 1).make(REQUEST, 30)
    assert await offload.make(REQUEST, 30) == in_thread == produce(REQUEST, lambda: None)


@pytest.mark.parametrize(
    ("way", "error"),
    [(loop_for_ever, RenderTimedOutError), (vanish, RenderCrashedError), (fault, RenderCrashedError)],
)
async def test_a_process_that_hangs_or_dies_costs_one_attempt(
    offload: ProcessOffload, way: Callable[[Request], FinishedDocument], error: type[Exception]
) -> None:
    offload._produce = way
    with pytest.raises(error):
        await offload.make(REQUEST, 1)
    offload._produce = tell_process
    assert int((await offload.make(REQUEST, 30)).filename) != os.getpid()


async def test_one_beside_another_has_places_of_its_own(offload: ProcessOffload) -> None:
    offload._produce = loop_for_ever
    beside = offload.beside(1)
    beside._produce = tell_process
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(offload.make, REQUEST, 1000)
        await trio.testing.wait_all_tasks_blocked()
        assert int((await beside.make(REQUEST, 30)).filename) != os.getpid()
        nursery.cancel_scope.cancel()


async def test_memory_is_bounded(offload: ProcessOffload) -> None:
    offload._produce = explode
    with pytest.raises(RenderCrashedError, match="MemoryError"):
        await offload.make(REQUEST, 30)


async def test_what_a_render_raises_is_told(offload: ProcessOffload) -> None:
    offload._produce = complain
    with pytest.raises(RenderFailedError, match="ValueError: no such colour"):
        await offload.make(REQUEST, 30)


async def test_processes_are_replaced_after_their_jobs(offload: ProcessOffload) -> None:
    offload._produce = tell_process
    processes = [(await offload.make(REQUEST, 30)).filename for _ in range(7)]
    assert len(set(processes)) == 3


async def test_nothing_is_left_of_killed_processes(offload: ProcessOffload) -> None:
    async def hang() -> None:
        with pytest.raises(RenderTimedOutError):
            await offload.make(REQUEST, 0.05)

    offload._produce = loop_for_ever
    await hang()
    files, threads = open_files(), threading.active_count()
    for _ in range(10):
        await hang()
    assert open_files() <= files
    assert threading.active_count() <= threads + 1
    assert len(children()) <= 3  # the resource tracker, and one that may be starting


async def test_a_hung_thread_is_abandoned_and_its_slot_goes_on() -> None:
    release = threading.Event()

    def hang(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
        release.wait(30)
        return FinishedDocument("late", b"", 0, "")

    offload = ThreadOffload(Metrics(), 1, 2, produce=hang)
    try:
        for abandoned in (1, 2):
            with pytest.raises(RenderTimedOutError):
                await offload.make(REQUEST, 0.05)
            assert offload.abandoned == abandoned
        with pytest.raises(FatalError, match="RENDER_ISOLATION=process"):
            await offload.make(REQUEST, 0.05)
    finally:
        release.set()
    with trio.fail_after(10):
        while offload.abandoned:  # noqa: ASYNC110 - the threads' end is not ours to be told
            await trio.sleep(0.01)
    offload._produce = produce
    assert (await offload.make(REQUEST, 30)).pages == 2


async def test_a_thread_stops_between_pages_when_its_time_is_over() -> None:
    ended = threading.Event()

    def draw_slowly(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
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
