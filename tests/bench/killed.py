"""Renders that time out or are cancelled in process isolation: processes, threads and descriptors that they leak.

usage: scripts/bench killed [--count 1000]
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

import trio

from render_trio.errors import RenderTimedOutError
from render_trio.observation.metrics import Metrics
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.process import ProcessOffload, process_offload
from render_trio.rendering.pipeline import produce
from resources.request import Request
from tests.requests import request_for

REQUEST = request_for("parity_cards")
SIDE_BY_SIDE = 4
SECONDS = 0.02, 0.05, 0.1  # some are killed while their process starts, others inside the loop


@dataclass(frozen=True, slots=True)
class Remains:
    """How many more processes, threads of this process and open descriptors there are than before."""

    processes: int
    threads: int
    descriptors: int


def loop_for_ever(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    """Never finish a page."""
    while True:
        pass


async def kill_many(count: int) -> Remains:
    """Kill `count` renders, every other one by cancellation, and return what remains."""
    async with process_offload(
        Metrics(), SIDE_BY_SIDE, memory_limit=0, jobs_per_process=500, recycle_memory=0
    ) as offload:
        await _kill(offload, SIDE_BY_SIDE)
        before = _measure()
        await _kill(offload, count)
        after = await _settled(before)
    return Remains(*(max(0, late - early) for late, early in zip(after, before, strict=True)))


async def _kill(offload: ProcessOffload, count: int) -> None:
    offload._produce = loop_for_ever
    numbers = iter(range(count))

    async def kill_some() -> None:
        for number in numbers:
            seconds = SECONDS[number % len(SECONDS)]
            if number % 2:
                with trio.move_on_after(seconds):
                    await offload.make(REQUEST, 3600)
            else:
                try:
                    await offload.make(REQUEST, seconds)
                except RenderTimedOutError:
                    continue

    async with trio.open_nursery() as nursery:
        for _ in range(SIDE_BY_SIDE):
            nursery.start_soon(kill_some)
    offload._produce = produce
    await offload.make(REQUEST, 60)  # the offload still works; and one process is idle at each measurement


def _measure() -> tuple[int, int, int]:
    gc.collect()
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    drawing = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    descriptors = sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in ("self", server))
    return len(drawing) + len(own), threading.active_count(), descriptors


async def _settled(before: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the counts once they are no higher than before; Trio keeps idle threads for 10 s."""
    with trio.move_on_after(15):
        while any(late > early for late, early in zip(_measure(), before, strict=True)):  # noqa: ASYNC110
            await trio.sleep(0.1)
    return _measure()


def main() -> None:
    """Print what remains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    print(trio.run(_timed, arguments.count))


async def _timed(count: int) -> str:
    begun = trio.current_time()
    remains = await kill_many(count)
    return f"{count} renders killed in {trio.current_time() - begun:.0f} s; left: {remains}"


if __name__ == "__main__":
    main()
