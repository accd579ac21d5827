"""The capacity of threads: each offload has its own."""

from __future__ import annotations

import threading

import trio

from render_trio.observation.metrics import Metrics
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.thread import ThreadOffload
from resources.request import Request
from tests.requests import request_for

REQUEST = request_for("parity_cards")


async def test_an_offload_with_its_own_capacity_draws_in_the_same_way_and_does_not_wait_for_the_other() -> None:
    release, started = threading.Event(), trio.Event()

    def draw(request: Request, checkpoint: object) -> FinishedDocument:
        if not started.is_set():
            trio.from_thread.run_sync(started.set)
            release.wait(30)
        return FinishedDocument("drawn", b"", 1, "")

    offload = ThreadOffload(Metrics(), 1, 1, produce=draw)
    other = offload.with_capacity(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(offload.make, REQUEST, 30)
        await started.wait()
        assert (await other.make(REQUEST, 30)).filename == "drawn"
        assert (offload.abandoned, other.abandoned) == (0, 0)
        release.set()
