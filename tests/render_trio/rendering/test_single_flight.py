"""Single flight on its own: shared errors, the time to retry, and independence from the tasks that wait."""

from __future__ import annotations

import functools
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from render_trio.errors import BusyError, RenderFailedError
from render_trio.rendering.single_flight import MAX_PAUSE, Flight, SingleFlight


@asynccontextmanager
async def single_flight(waiting: int = 0) -> AsyncIterator[SingleFlight]:
    async with trio.open_nursery() as nursery:
        yield SingleFlight(nursery, lambda kind, outcome: None, concurrent=1, waiting=waiting, cache_bytes=10)
        nursery.cancel_scope.cancel()


def taking(seconds: float, result: str = "x") -> Callable[[Flight], Awaitable[tuple[str, int]]]:
    async def work(flight: Flight) -> tuple[str, int]:
        flight.start()
        await trio.sleep(seconds)
        return result, len(result)

    return work


async def test_a_shared_error_has_a_short_traceback_for_every_waiter(autojump_clock: trio.testing.MockClock) -> None:
    """All waiters raise the same exception, which would otherwise gain frames from each of them."""
    lengths = []

    async def fail(flight: Flight) -> tuple[str, int]:
        await trio.sleep(1)
        raise RenderFailedError("broken")

    async def wait(flights: SingleFlight) -> None:
        try:
            await flights.get("document", "key", fail, bounded=True)
        except RenderFailedError as error:
            lengths.append(len(traceback.extract_tb(error.__traceback__)))

    async with single_flight() as flights, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(wait, flights)
    assert lengths == [lengths[0]] * 10


async def test_a_result_is_computed_again_once_it_was_evicted(autojump_clock: trio.testing.MockClock) -> None:
    async with single_flight() as flights:
        assert await flights.get("document", 1, taking(1, "old"), bounded=True) == "old"
        assert await flights.get("document", 1, taking(1, "new"), bounded=True) == "old"
        await flights.get("document", 2, taking(1, "ten bytes!"), bounded=True)
        assert await flights.get("document", 1, taking(1, "new"), bounded=True) == "new"


async def test_the_time_to_retry_grows_with_the_duration_of_the_work(autojump_clock: trio.testing.MockClock) -> None:
    async with single_flight() as flights, trio.open_nursery() as nursery:
        for number in range(100):
            await flights.get("document", number, taking(20, "larger than the cache"), bounded=True)
        nursery.start_soon(functools.partial(flights.get, "document", "busy", taking(20), bounded=True))
        await trio.testing.wait_all_tasks_blocked()
        retry_after = []
        for _ in range(100):
            with pytest.raises(BusyError) as raised:
                await flights.get("document", "rejected", taking(20), bounded=True)
            retry_after.append(raised.value.retry_after)
        nursery.cancel_scope.cancel()
    assert 20 <= min(retry_after) < max(retry_after) <= MAX_PAUSE, "with jitter, in whole seconds"
