"""The on_demand's promises, with an offload that does as it is told; no time passes but the clock's."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from render_trio.errors import BusyError, RenderFailedError, RenderTimedOutError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.offload import ThreadOffload
from render_trio.rendering.on_demand import OnDemandLimits, OnDemandRenderer, open_on_demand
from resources.registry import CATALOGUE
from resources.request import Request
from tests.requests import request_for


class SlowOffload:
    """Draws for a second; counts what it began and what it ended."""

    abandoned = 0

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.error: Exception | None = None

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        self.begun.append(request.header_text)
        await trio.sleep(1)
        self.ended.append(request.header_text)
        if self.error is not None:
            raise self.error
        return FinishedDocument(
            CATALOGUE[request.view].filename(request), b"%PDF" + request.header_text.encode(), 1, ""
        )

    def beside(self, workers: int) -> SlowOffload:
        return self


class Orders(Counter[tuple[str, str]]):
    def ordered(self, kind: str, outcome: str) -> None:
        self[kind, outcome] += 1


@asynccontextmanager
async def desk_of(
    offload: Any, *, at_once: int = 1, waiting: int = 2
) -> AsyncIterator[tuple[OnDemandRenderer, Orders]]:
    orders = Orders()
    async with open_on_demand(offload, OnDemandLimits(at_once, waiting, 30, 1000), orders) as on_demand:
        yield on_demand, orders


def asked(header: str = "") -> Request:
    return request_for("grid", header_text=header)


async def test_equal_orders_are_drawn_once(autojump_clock: trio.testing.MockClock) -> None:
    offload, answers = SlowOffload(), list[FinishedDocument]()

    async def ask(on_demand: OnDemandRenderer) -> None:
        answers.append(await on_demand.document(asked()))

    async with desk_of(offload) as (on_demand, orders):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ask, on_demand)
        await on_demand.document(asked())
    assert len(answers) == 50
    assert offload.begun == [""]
    assert orders == {("document", "drawn"): 1, ("document", "kept"): 1}


async def test_who_comes_when_the_line_is_full_is_told_when_to_come_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    offload, refused = SlowOffload(), list[BusyError]()

    async def ask(on_demand: OnDemandRenderer, header: str) -> None:
        try:
            await on_demand.document(asked(header))
        except BusyError as error:
            refused.append(error)

    async with desk_of(offload, at_once=2, waiting=3) as (on_demand, _):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, on_demand, str(number))
        assert len(offload.ended) == 5
        assert len(refused) == 15
        assert all(error.retry_after >= 1 for error in refused)
        # The line is short again.
        assert (await on_demand.document(asked("later"))).pdf == b"%PDFlater"
        assert trio.current_time() == pytest.approx(4, abs=0.1)


async def test_what_nobody_waits_for_any_more_is_not_begun(autojump_clock: trio.testing.MockClock) -> None:
    offload = SlowOffload()
    async with desk_of(offload) as (on_demand, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(on_demand.document, asked("first"))
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.5):
                await on_demand.document(asked("impatient"))
            with trio.move_on_after(0.1):
                await on_demand.page(asked("impatient page"), 1, 100)
        assert (await on_demand.document(asked("last"))).pdf == b"%PDFlast"
    assert offload.begun == ["first", "last"]


async def test_what_is_begun_is_drawn_to_its_end_though_its_asker_goes_away(
    autojump_clock: trio.testing.MockClock,
) -> None:
    offload = SlowOffload()
    async with desk_of(offload) as (on_demand, orders):
        with trio.move_on_after(0.5):
            await on_demand.document(asked())
        await trio.sleep(1)
        await on_demand.document(asked())
    assert offload.ended == [""]
    assert orders["document", "kept"] == 1


async def test_a_failure_is_told_to_all_who_wait_and_not_kept(autojump_clock: trio.testing.MockClock) -> None:
    offload, told = SlowOffload(), list[str]()
    offload.error = RenderTimedOutError("too slow")

    async def ask(on_demand: OnDemandRenderer) -> None:
        with pytest.raises(RenderTimedOutError) as raised:
            await on_demand.document(asked())
        told.append(str(raised.value))

    async with desk_of(offload) as (on_demand, orders):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, on_demand)
        offload.error = None
        assert (await on_demand.document(asked())).pages == 1
    assert told == ["too slow"] * 3
    assert orders == {("document", "failed"): 1, ("document", "drawn"): 1}


async def test_a_patient_asker_is_never_refused_and_a_page_that_can_t_be_drawn_is_a_failure(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk_of(SlowOffload(), waiting=0) as (on_demand, _), trio.open_nursery() as nursery:
        nursery.start_soon(on_demand.document, asked("first"))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(BusyError):
            await on_demand.page(asked(), 1, 100)
        with pytest.raises(RenderFailedError, match="no picture of page 1"):  # "%PDF" alone is no document
            await on_demand.page(asked(), 1, 100, patient=True)


async def test_a_page_and_then_its_document_are_drawn_once() -> None:
    orders = Orders()
    offload = ThreadOffload(_Unobserved(), 1, 1)  # type: ignore[arg-type]
    async with open_on_demand(offload, OnDemandLimits(1, 9, 30, 2**20), orders) as on_demand:
        picture = await on_demand.page(asked(), 1, 100)
        document = await on_demand.document(asked())
    assert picture.startswith(b"\x89PNG")
    assert document.pdf.startswith(b"%PDF")
    assert orders == {("document", "drawn"): 1, ("picture", "drawn"): 1, ("document", "kept"): 1}


class _Unobserved:
    def abandoned(self) -> None:
        raise AssertionError("a thread was abandoned")
