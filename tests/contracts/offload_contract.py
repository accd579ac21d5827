"""What every offload promises, whatever a render does: ordinary functions that are given an open one.

`renders` are functions of this module's, so that other processes find them by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import trio

from render_trio.errors import RenderCrashedError, RenderFailedError, RenderTimedOutError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.offload import ProcessOffload, ThreadOffload
from render_trio.rendering.pipeline import produce
from resources.request import Request
from tests.requests import request_for

REQUEST = request_for("parity_cards")
Checkpoint = Callable[[], None]
AnyOffload = ThreadOffload | ProcessOffload


class AwkwardError(Exception):
    """Can't be rebuilt from what pickle keeps of it."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def complain(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    raise ValueError("no such colour")


def complain_awkwardly(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    raise AwkwardError("this", "that")


def use_up_memory(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    raise MemoryError


def never_end(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    """Draw page after page."""
    while True:
        time.sleep(0.005)
        checkpoint()


async def makes_the_document(offload: AnyOffload) -> None:
    assert await offload.make(REQUEST, 30) == produce(REQUEST, lambda: None)
    assert offload.abandoned == 0


async def tells_what_was_raised(offload: AnyOffload) -> None:
    offload._produce = complain
    with pytest.raises(RenderFailedError, match="ValueError: no such colour"):
        await offload.make(REQUEST, 30)
    offload._produce = complain_awkwardly
    with pytest.raises(RenderFailedError, match="AwkwardError: this and that"):
        await offload.make(REQUEST, 30)


async def calls_used_up_memory_a_crash(offload: AnyOffload) -> None:
    offload._produce = use_up_memory
    with pytest.raises(RenderCrashedError, match="memory"):
        await offload.make(REQUEST, 30)


async def keeps_the_time_limit(offload: AnyOffload) -> None:
    offload._produce = never_end
    with pytest.raises(RenderTimedOutError, match="not drawn within 1 s"):
        await offload.make(REQUEST, 0.6)


async def ends_at_once_when_cancelled(offload: AnyOffload) -> None:
    offload._produce = never_end
    with trio.fail_after(20), trio.move_on_after(0.3) as scope:
        await offload.make(REQUEST, 3600)
    assert scope.cancelled_caught


async def a_bad_render_leaves_the_others_alone(offload: AnyOffload) -> None:
    """One hangs, others are made beside it and after it."""
    made: list[FinishedDocument] = []

    async def hang() -> None:
        offload._produce = never_end
        with pytest.raises(RenderTimedOutError):
            await offload.make(REQUEST, 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hang)
        await trio.sleep(0.1)
        offload._produce = produce
        made += [await offload.make(REQUEST, 30) for _ in range(3)]
    made.append(await offload.make(REQUEST, 30))
    assert made == [produce(REQUEST, lambda: None)] * 4


CONTRACT = (
    makes_the_document,
    tells_what_was_raised,
    calls_used_up_memory_a_crash,
    keeps_the_time_limit,
    ends_at_once_when_cancelled,
    a_bad_render_leaves_the_others_alone,
)
