"""On-demand rendering for web requests: documents, and pictures of their pages, drawn at once and within bounds.

Equal requests are rendered once, and results are cached, so that a preview and then its PDF take one render. On-demand
rendering has its own capacity, separate from that of the queue's workers: neither can use up the other's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import trio

from render_trio.errors import RenderFailedError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.offload import Offload
from render_trio.rendering.raster import picture
from render_trio.rendering.single_flight import Admission, Flight, SingleFlight, admit_all
from resources.request import Request


class OnDemandObserver(Protocol):
    """Receives the outcome of every request."""

    def ordered(self, kind: str, outcome: str) -> None:
        """Record that a `document` or `picture` was served from the cache (`kept`), `drawn`, `refused`, or `failed`."""


@dataclass(frozen=True, slots=True)
class OnDemandLimits:
    """At most `at_once` renders run and `waiting` more wait; each may take `seconds`; `cache_bytes` are cached."""

    at_once: int
    waiting: int
    seconds: float
    cache_bytes: int


class OnDemandRenderer:
    """Renders documents and pictures while its nursery is open."""

    def __init__(
        self,
        offload: Offload,
        limits: OnDemandLimits,
        observer: OnDemandObserver,
        nursery: trio.Nursery,
        admission: Admission = admit_all,
    ) -> None:
        self._offload = offload
        self._seconds = limits.seconds
        self._render_limiter = trio.CapacityLimiter(limits.at_once)
        self._raster_limiter = trio.CapacityLimiter(1)  # PDFium is not thread-safe
        self._flights = SingleFlight(
            nursery,
            observer.ordered,
            concurrent=limits.at_once,
            waiting=limits.waiting,
            cache_bytes=limits.cache_bytes,
            admission=admission,
        )

    @property
    def abandoned(self) -> int:
        """The number of abandoned threads that have not exited yet."""
        return self._offload.abandoned

    async def document(self, request: Request) -> FinishedDocument:
        """Return the document. Raises BusyError, and what the admission and the offload raise."""
        return await self._document(request, bounded=True)

    async def page(self, request: Request, number: int, pixels: int, *, patient: bool = False) -> bytes:
        """Return a page of the first copy, counted from 1, as a PNG whose longer side has `pixels` pixels.

        A `patient` request is never rejected: it is for the few pictures that are cached permanently. Raises
        BusyError, and what the admission and the offload raise.
        """
        request = one_copy(request)

        async def draw_picture(flight: Flight) -> tuple[bytes, int]:
            # The document is not counted towards the bound: the picture already is.
            document = await self._document(request, bounded=False)
            async with self._raster_limiter:
                flight.start()
                try:
                    png = await trio.to_thread.run_sync(picture, document.pdf, number - 1, pixels)
                except Exception as error:  # whatever PDFium or Pillow raises
                    raise RenderFailedError(f"no picture of page {number}: {error}") from error
            return png, len(png)

        return await self._flights.get("picture", (request, number, pixels), draw_picture, bounded=not patient)

    async def _document(self, request: Request, *, bounded: bool) -> FinishedDocument:
        async def draw_document(flight: Flight) -> tuple[FinishedDocument, int]:
            async with self._render_limiter:
                flight.start()
                document = await self._offload.make(request, self._seconds)
            return document, len(document.pdf)

        return await self._flights.get("document", request, draw_document, bounded=bounded)


def one_copy(request: Request) -> Request:
    """Return the request for its first copy only, which is what a preview shows."""
    return replace(request, copies=1)


@asynccontextmanager
async def open_on_demand(
    offload: Offload, limits: OnDemandLimits, observer: OnDemandObserver, admission: Admission = admit_all
) -> AsyncIterator[OnDemandRenderer]:
    """Yield an on-demand renderer; its renders are cancelled when the block is left.

    `admission` decides on each render in addition to the limits.
    """
    async with trio.open_nursery() as nursery:
        yield OnDemandRenderer(offload, limits, observer, nursery, admission)
        nursery.cancel_scope.cancel()
