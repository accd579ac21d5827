"""What every offload guarantees, whatever a render does: ordinary functions that take an open offload.

The renders are functions of this module, so that other processes can import them by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import trio

from render_trio.errors import RenderCrashedError, RenderFailedError, RenderTimedOutError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.process import ProcessOffload
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.pipeline import produce
from resources.request import Request
from tests.requests import request_for

REQUEST = request_for("parity_cards")
Checkpoint = Callable[[], None]
AnyOffload = ThreadOffload | ProcessOffload


class AwkwardError(Exception):
    """Can't be unpickled: pickle stores only the message, but the constructor needs two arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def raise_error(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    raise ValueError("no such colour")


def raise_awkward_error(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    raise AwkwardError("this", "that")


def exhaust_memory(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    raise MemoryError


def never_end(request: Request, checkpoint: Checkpoint) -> FinishedDocument:
    """Draw page after page."""
    while True:
        time.sleep(0.005)
        checkpoint()


async def makes_the_document(offload: AnyOffload) -> None:
    assert await offload.make(REQUEST, 30) == produce(REQUEST, lambda: None)
    assert offload.abandoned == 0


async def reports_what_was_raised(offload: AnyOffload) -> None:
    offload._produce = raise_error
    with pytest.raises(RenderFailedError, match="ValueError: no such colour"):
        await offload.make(REQUEST, 30)
    offload._produce = raise_awkward_error
    with pytest.raises(RenderFailedError, match="AwkwardError: this and that"):
        await offload.make(REQUEST, 30)


async def reports_exhausted_memory_as_a_crash(offload: AnyOffload) -> None:
    offload._produce = exhaust_memory
    with pytest.raises(RenderCrashedError, match="memory"):
        await offload.make(REQUEST, 30)


async def enforces_the_time_limit(offload: AnyOffload) -> None:
    offload._produce = never_end
    with pytest.raises(RenderTimedOutError, match="not drawn within 1 s"):
        await offload.make(REQUEST, 0.6)


async def ends_at_once_when_cancelled(offload: AnyOffload) -> None:
    offload._produce = never_end
    with trio.fail_after(20), trio.move_on_after(0.3) as scope:
        await offload.make(REQUEST, 3600)
    assert scope.cancelled_caught


async def a_render_that_hangs_does_not_affect_the_others(offload: AnyOffload) -> None:
    """While one render hangs and after it, other documents are made."""
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
    reports_what_was_raised,
    reports_exhausted_memory_as_a_crash,
    enforces_the_time_limit,
    ends_at_once_when_cancelled,
    a_render_that_hangs_does_not_affect_the_others,
)
