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


async def retry_after(flights: SingleFlight) -> int:
    with pytest.raises(BusyError) as raised:
        await flights.get("document", "rejected", taking(1), bounded=True)
    return raised.value.retry_after


async def test_the_time_to_retry_is_at_least_a_second_and_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """Before the first computation has ended, its duration is estimated."""
    async with single_flight() as flights, trio.open_nursery() as nursery:
        nursery.start_soon(functools.partial(flights.get, "document", "busy", taking(1000), bounded=True))
        await trio.testing.wait_all_tasks_blocked()
        assert [await retry_after(flights) for _ in range(20)] == [1] * 20
        nursery.cancel_scope.cancel()
    async with single_flight() as flights, trio.open_nursery() as nursery:
        for number in range(100):
            await flights.get("document", number, taking(10**6, "larger than the cache"), bounded=True)
        nursery.start_soon(functools.partial(flights.get, "document", "busy", taking(1000), bounded=True))
        await trio.testing.wait_all_tasks_blocked()
        assert await retry_after(flights) == MAX_PAUSE
        nursery.cancel_scope.cancel()


async def test_one_slow_computation_does_not_dominate_the_time_to_retry(autojump_clock: trio.testing.MockClock) -> None:
    async with single_flight() as flights, trio.open_nursery() as nursery:
        for number in range(50):
            await flights.get("document", number, taking(1, "larger than the cache"), bounded=True)
        await flights.get("document", "slow", taking(11, "larger than the cache"), bounded=True)
        nursery.start_soon(functools.partial(flights.get, "document", "busy", taking(1000), bounded=True))
        await trio.testing.wait_all_tasks_blocked()
        found = {await retry_after(flights) for _ in range(200)}
        nursery.cancel_scope.cancel()
    # The mean is now 1 + 0.2 × 10 = 3 s, and jitter multiplies it by 1 to 3.
    assert min(found) in (3, 4)
    assert max(found) in (8, 9)


@pytest.mark.parametrize(("concurrent", "waiting"), [(1, 0), (1, 2), (3, 1)])
async def test_as_many_computations_are_admitted_as_may_run_and_wait(
    concurrent: int, waiting: int, autojump_clock: trio.testing.MockClock
) -> None:
    outcomes: list[tuple[str, str]] = []
    async with trio.open_nursery() as nursery:
        flights = SingleFlight(
            nursery,
            lambda kind, outcome: outcomes.append((kind, outcome)),
            concurrent=concurrent,
            waiting=waiting,
            cache_bytes=0,
        )
        for number in range(concurrent + waiting):
            nursery.start_soon(functools.partial(flights.get, "document", number, taking(5), bounded=True))
        await trio.testing.wait_all_tasks_blocked()
        await retry_after(flights)
        assert outcomes == [("document", "refused")]
        nursery.start_soon(functools.partial(flights.get, "picture", "unbounded", taking(5), bounded=False))
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(6)
        # There is room again, and unbounded computations don't count.
        assert await flights.get("document", "later", taking(1), bounded=True) == "x"
        nursery.cancel_scope.cancel()
    assert outcomes.count(("picture", "drawn")) == 1
    assert outcomes.count(("document", "drawn")) == concurrent + waiting + 1


async def test_unbounded_computations_leave_room_for_bounded_ones(autojump_clock: trio.testing.MockClock) -> None:
    async with single_flight() as flights, trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(functools.partial(flights.get, "picture", number, taking(5), bounded=False))
        await trio.testing.wait_all_tasks_blocked()
        assert await flights.get("document", "bounded", taking(1), bounded=True) == "x"
        nursery.cancel_scope.cancel()


async def test_a_computation_is_cancelled_with_its_last_waiter_and_only_before_its_work_starts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[str] = []

    def waiting_first(name: str) -> Callable[[Flight], Awaitable[tuple[str, int]]]:
        async def work(flight: Flight) -> tuple[str, int]:
            await trio.sleep(2)
            flight.start()
            await trio.sleep(2)
            ended.append(name)
            return name, 1

        return work

    async def wait(flights: SingleFlight, name: str, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await flights.get("document", name, waiting_first(name), bounded=False)

    async with single_flight() as flights:
        async with trio.open_nursery() as nursery:
            for seconds in (0.5, 1.0):
                nursery.start_soon(wait, flights, "both left early", seconds)
            for seconds in (0.5, 9.0):
                nursery.start_soon(wait, flights, "one stayed", seconds)
            nursery.start_soon(wait, flights, "left during the work", 3.0)
        assert sorted(ended) == ["left during the work", "one stayed"]
        # The key is free again, and the next request starts a new computation.
        assert await flights.get("document", "both left early", waiting_first("again"), bounded=False) == "again"
