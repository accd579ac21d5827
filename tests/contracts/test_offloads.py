"""Threads and processes behave the same from outside: one contract, run against both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from render_trio.observation.metrics import Metrics
from render_trio.rendering.offload.process import process_offload
from render_trio.rendering.offload.thread import ThreadOffload
from tests.contracts.offload_contract import CONTRACT, AnyOffload

Clause = Callable[[AnyOffload], Awaitable[None]]


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.__name__)
async def test_threads_keep_the_contract(clause: Clause) -> None:
    offload = ThreadOffload(Metrics(), 2, 2)
    await clause(offload)
    with trio.fail_after(10):
        while offload.abandoned:  # noqa: ASYNC110 - an abandoned thread exits at its next page
            await trio.sleep(0.005)


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.__name__)
async def test_processes_keep_the_contract(clause: Clause) -> None:
    async with process_offload(Metrics(), 2, memory_limit=0, jobs_per_process=500, recycle_memory=0) as offload:
        await clause(offload)
