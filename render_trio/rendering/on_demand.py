"""The front on_demand: documents and pictures for those who ask on the web, drawn at once, within bounds.

What is asked is an order. Equal orders are one: the second asker waits for the first one's drawing. A finished order is
kept for a while, so that a preview and then its PDF are drawn once. At most so many orders are drawn at once, at most
so many wait, and who comes after that is told when to come again. It draws beside the queue's workers, with a
capacity of its own: neither side takes the other's places.

Orders are filled by tasks of the on_demand, not of who asks: a browser that goes away in the middle of a drawing would
otherwise leave a thread behind each time. Only what nobody waits for any more, and is not yet begun, is dropped.
"""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
import trio

from render_trio.errors import BusyError, RenderFailedError, RenderTrioError
from render_trio.rendering.cache import Cache
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.offload import Offload
from render_trio.rendering.raster import picture
from resources.request import Request

log = structlog.get_logger(__name__)
MAX_PAUSE = 60  # s that somebody is told to wait at most before asking again


class OnDemandObserver(Protocol):
    """Told of every order."""

    def ordered(self, kind: str, outcome: str) -> None:
        """A `document` or `picture` was asked for, and was `kept` ready, `drawn`, `refused` or `failed`."""


@dataclass(frozen=True, slots=True)
class OnDemandLimits:
    """`at_once` orders are drawn side by side, `waiting` more wait; `seconds` for one; `cache_bytes` are kept."""

    at_once: int
    waiting: int
    seconds: float
    cache_bytes: int


@dataclass(slots=True)
class _Order:
    bounded: bool
    done: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    wanted: int = 0
    begun: float | None = None  # the clock's time when the drawing began
    result: object = None
    error: RenderTrioError | None = None


class OnDemandRenderer:
    """Takes orders while its nursery is open."""

    def __init__(
        self, offload: Offload, limits: OnDemandLimits, observer: OnDemandObserver, nursery: trio.Nursery
    ) -> None:
        self._offload = offload
        self._limits = limits
        self._observer = observer
        self._nursery = nursery
        self._drawing = trio.CapacityLimiter(limits.at_once)
        self._picturing = trio.CapacityLimiter(1)  # PDFium does one thing at a time
        self._shelf = Cache(limits.cache_bytes)
        self._orders: dict[Hashable, _Order] = {}
        self._pace = 0.05  # s of drawing an order, a running mean
        self._random = random.Random()

    @property
    def abandoned(self) -> int:
        """Threads that were left behind and have not ended yet."""
        return self._offload.abandoned

    async def document(self, request: Request) -> FinishedDocument:
        """Return the document. Raises BusyError, and what the offload raises."""
        return await self._document(request, bounded=True)

    async def page(self, request: Request, number: int, pixels: int, *, patient: bool = False) -> bytes:
        """Return a page of the first copy, counted from 1, as a PNG with so many pixels on its longer side.

        A patient asker is never refused: for the few pictures that are kept for ever. Raises BusyError, and
        what the offload raises.
        """
        request = one_copy(request)

        async def draw(order: _Order) -> tuple[object, int]:
            document = await self._document(request, bounded=False)
            async with self._picturing:
                order.begun = trio.current_time()
                try:
                    drawn = await trio.to_thread.run_sync(picture, document.pdf, number - 1, pixels)
                except Exception as error:
                    raise RenderFailedError(f"no picture of page {number}: {error}") from error
            return drawn, len(drawn)

        found = await self._order("picture", (request, number, pixels), draw, bounded=not patient)
        assert isinstance(found, bytes)
        return found

    async def _document(self, request: Request, *, bounded: bool) -> FinishedDocument:
        async def draw(order: _Order) -> tuple[object, int]:
            async with self._drawing:
                order.begun = trio.current_time()
                document = await self._offload.make(request, self._limits.seconds)
            return document, len(document.pdf)

        found = await self._order("document", request, draw, bounded=bounded)
        assert isinstance(found, FinishedDocument)
        return found

    async def _order(
        self, kind: str, key: Hashable, draw: Callable[[_Order], Awaitable[tuple[object, int]]], *, bounded: bool
    ) -> object:
        """Return what is ordered: from the shelf, from an equal order that is being filled, or drawn."""
        kept = self._shelf.get(key)
        if kept is not None:
            self._observer.ordered(kind, "kept")
            return kept
        order = self._orders.get(key)
        if order is None:
            if bounded and self._taken() >= self._limits.at_once + self._limits.waiting:
                self._observer.ordered(kind, "refused")
                raise BusyError(self._pause())
            order = self._orders[key] = _Order(bounded)
            self._nursery.start_soon(self._fill, kind, key, order, draw)
        order.wanted += 1
        try:
            await order.done.wait()
        finally:
            order.wanted -= 1
            if not order.wanted and order.begun is None and not order.done.is_set():
                del self._orders[key]
                order.scope.cancel()
        if order.error is not None:
            raise order.error.with_traceback(None)  # shared by all who wait: each adds a traceback of its own
        return order.result

    async def _fill(
        self, kind: str, key: Hashable, order: _Order, draw: Callable[[_Order], Awaitable[tuple[object, int]]]
    ) -> None:
        with order.scope:
            try:
                order.result, size = await draw(order)
                self._shelf.put(key, order.result, size)
                if order.begun is not None:
                    self._pace += 0.2 * (trio.current_time() - order.begun - self._pace)
            except RenderTrioError as error:
                log.warning("an order failed", kind=kind, code=error.code, error=str(error))
                order.error = error
            self._observer.ordered(kind, "drawn" if order.error is None else "failed")
            if self._orders.get(key) is order:  # it may have been given up just as its turn came
                del self._orders[key]
            order.done.set()

    def _taken(self) -> int:
        """Return how many places are taken; the document behind a picture takes none of its own."""
        return sum(order.bounded for order in self._orders.values())

    def _pause(self) -> int:
        """Return after how many seconds to come again: whole ones, as Retry-After wants them.

        Then the line will be short again; a little more for some, or all who were refused would come at once.
        """
        shortest = self._taken() * self._pace / self._limits.at_once
        return max(1, min(MAX_PAUSE, math.ceil(shortest * self._random.uniform(1, 3))))


def one_copy(request: Request) -> Request:
    """Return the request for the first copy alone, which is what a preview shows."""
    return replace(request, copies=1)


@asynccontextmanager
async def open_on_demand(
    offload: Offload, limits: OnDemandLimits, observer: OnDemandObserver
) -> AsyncIterator[OnDemandRenderer]:
    """Give a on_demand; what it draws when the block is left is cancelled."""
    async with trio.open_nursery() as nursery:
        yield OnDemandRenderer(offload, limits, observer, nursery)
        nursery.cancel_scope.cancel()
