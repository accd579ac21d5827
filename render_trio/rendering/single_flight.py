"""Single flight: concurrent requests for equal keys share one computation, whose result is then cached.

A *flight* is one computation in progress. The first request for a key starts it, later ones wait for it. The number
of flights is bounded: a request that would exceed the bound is rejected with a time after which to retry.

Flights run in a nursery of their own, not in the tasks that wait for them. Otherwise a client that disconnects during
a render would cancel it and leave an abandoned thread behind each time. A flight is cancelled only if nobody waits for
it any more and its work hasn't started.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

import structlog
import trio

from render_trio.errors import BusyError, RenderTrioError
from render_trio.rendering.cache import Cache

MAX_PAUSE = 60  # s; the longest time after which a rejected client should retry
INITIAL_WORK_SECONDS = 0.05  # the estimate before the first flight
WORK_SECONDS_WEIGHT = 0.2  # of the latest flight in the running mean

Outcome = Literal[
    "kept", "drawn", "refused", "failed"
]  # labels of a metric: from the cache, computed, rejected, failed
Report = Callable[[str, Outcome], None]
Admission = Callable[[], Callable[[], None]]
"""Called for each bounded flight before it starts: raises a RenderTrioError to reject it, or returns a function that is
called when the flight has ended."""
T = TypeVar("T")
log = structlog.get_logger(__name__)


def admit_all() -> Callable[[], None]:
    """Admit every flight."""
    return lambda: None


@dataclass(slots=True)
class Flight:
    """One computation in progress; `bounded` flights count towards the bound on admission."""

    bounded: bool
    done: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    waiters: int = 0
    started_at: float | None = None
    result: object = None
    error: RenderTrioError | None = None

    def start(self) -> None:
        """Mark the start of the work: from now on it runs to completion, even if nobody waits for it any more."""
        self.started_at = trio.current_time()


class SingleFlight:
    """Computes results in `nursery`, and reports the kind and the outcome of every request."""

    def __init__(
        self,
        nursery: trio.Nursery,
        report: Report,
        *,
        concurrent: int,
        waiting: int,
        cache_bytes: int,
        admission: Admission = admit_all,
    ) -> None:
        """At most `concurrent` + `waiting` bounded flights are admitted; the work limits its own concurrency."""
        self._nursery = nursery
        self._report = report
        self._concurrent = concurrent
        self._max_flights = concurrent + waiting
        self._admission = admission
        self._cache = Cache(cache_bytes)
        self._flights: dict[Hashable, Flight] = {}
        self._work_seconds = INITIAL_WORK_SECONDS
        self._random = random.Random()

    async def get(
        self, kind: str, key: Hashable, work: Callable[[Flight], Awaitable[tuple[T, int]]], *, bounded: bool
    ) -> T:
        """Return the result for the key: from the cache, from a flight in progress, or from a new one.

        `work` returns the result and its size in bytes; it calls `Flight.start` once it has waited its turn. Equal
        keys must have equal types of results. Raises BusyError, or what `admission` raises, if a bounded flight is not
        admitted, and the RenderTrioError that `work` raises.
        """
        cached = self._cache.get(key)
        if cached is not None:
            self._report(kind, "kept")
            return cast(T, cached)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._admit(kind, key, work, bounded)
        flight.waiters += 1
        try:
            await flight.done.wait()
        finally:
            flight.waiters -= 1
            if not flight.waiters and flight.started_at is None and not flight.done.is_set():
                del self._flights[key]
                flight.scope.cancel()
        if flight.error is not None:
            # All waiters raise the same exception; without this, each would extend its traceback.
            raise flight.error.with_traceback(None)
        return cast(T, flight.result)

    def _admit(
        self, kind: str, key: Hashable, work: Callable[[Flight], Awaitable[tuple[T, int]]], bounded: bool
    ) -> Flight:
        """Return a new flight. Raises BusyError if there are too many already, and what `admission` raises."""
        release = admit_all()
        if bounded:
            try:
                if self._bounded_flights() >= self._max_flights:
                    raise BusyError(self._retry_after())
                release = self._admission()
            except RenderTrioError:
                self._report(kind, "refused")
                raise
        flight = self._flights[key] = Flight(bounded)
        self._nursery.start_soon(self._run, kind, key, flight, work, release)
        return flight

    async def _run(
        self,
        kind: str,
        key: Hashable,
        flight: Flight,
        work: Callable[[Flight], Awaitable[tuple[T, int]]],
        release: Callable[[], None],
    ) -> None:
        try:
            with flight.scope:
                await self._work(kind, key, flight, work)
        finally:
            release()

    async def _work(
        self, kind: str, key: Hashable, flight: Flight, work: Callable[[Flight], Awaitable[tuple[T, int]]]
    ) -> None:
        try:
            flight.result, size = await work(flight)
            self._cache.put(key, flight.result, size)
            if flight.started_at is not None:
                duration = trio.current_time() - flight.started_at
                self._work_seconds += WORK_SECONDS_WEIGHT * (duration - self._work_seconds)
        except RenderTrioError as error:
            log.warning("on-demand render failed", kind=kind, code=error.code, error=error.loggable)
            flight.error = error
        self._report(kind, "drawn" if flight.error is None else "failed")
        if self._flights.get(key) is flight:  # false if it was cancelled just as its turn came
            del self._flights[key]
        flight.done.set()

    def _bounded_flights(self) -> int:
        return sum(flight.bounded for flight in self._flights.values())

    def _retry_after(self) -> int:
        """Return the number of seconds after which to retry; Retry-After requires whole seconds.

        By then, the flights in progress should have finished. Jitter prevents all rejected clients from returning at
        once.
        """
        shortest = self._bounded_flights() * self._work_seconds / self._concurrent
        return max(1, min(MAX_PAUSE, math.ceil(shortest * self._random.uniform(1, 3))))
