"""On-demand rendering with a fake offload, under the autojump clock."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from render_trio.errors import BusyError, RenderFailedError, RenderTimedOutError
from render_trio.rendering import on_demand
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.on_demand import OnDemandLimits, OnDemandRenderer, open_on_demand
from resources.registry import CATALOGUE
from resources.request import Request
from tests.requests import request_for


class SlowOffload:
    """Takes a second for each document; records which documents it started and finished."""

    abandoned = 0

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.error: Exception | None = None

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        self.started.append(request.header_text)
        await trio.sleep(1)
        self.finished.append(request.header_text)
        if self.error is not None:
            raise self.error
        return FinishedDocument(
            CATALOGUE[request.view].filename(request), b"%PDF" + request.header_text.encode(), 1, ""
        )

    def with_capacity(self, workers: int) -> SlowOffload:
        return self


class Outcomes(Counter[tuple[str, str]]):
    def ordered(self, kind: str, outcome: str) -> None:
        self[kind, outcome] += 1


@asynccontextmanager
async def renderer_of(
    offload: Any, *, at_once: int = 1, waiting: int = 2
) -> AsyncIterator[tuple[OnDemandRenderer, Outcomes]]:
    outcomes = Outcomes()
    async with open_on_demand(offload, OnDemandLimits(at_once, waiting, 30, 1000), outcomes) as renderer:
        yield renderer, outcomes


def request_of(header: str = "") -> Request:
    return request_for("grid", header_text=header)


async def test_equal_requests_are_rendered_once(autojump_clock: trio.testing.MockClock) -> None:
    offload, answers = SlowOffload(), list[FinishedDocument]()

    async def get_document(renderer: OnDemandRenderer) -> None:
        answers.append(await renderer.document(request_of()))

    async with renderer_of(offload) as (renderer, outcomes):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(get_document, renderer)
        await renderer.document(request_of())
    assert len(answers) == 50
    assert offload.started == [""]
    assert outcomes == {("document", "drawn"): 1, ("document", "kept"): 1}


async def test_a_request_beyond_the_bound_is_rejected_with_a_time_to_retry(
    autojump_clock: trio.testing.MockClock,
) -> None:
    offload, refused = SlowOffload(), list[BusyError]()

    async def get_document(renderer: OnDemandRenderer, header: str) -> None:
        try:
            await renderer.document(request_of(header))
        except BusyError as error:
            refused.append(error)

    async with renderer_of(offload, at_once=2, waiting=3) as (renderer, _):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(get_document, renderer, str(number))
        assert len(offload.finished) == 5
        assert len(refused) == 15
        assert all(error.retry_after >= 1 for error in refused)
        # There is room again.
        assert (await renderer.document(request_of("later"))).pdf == b"%PDFlater"
        assert trio.current_time() == pytest.approx(4, abs=0.1)


async def test_a_render_that_nobody_waits_for_any_more_is_not_started(autojump_clock: trio.testing.MockClock) -> None:
    offload = SlowOffload()
    async with renderer_of(offload) as (renderer, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(renderer.document, request_of("first"))
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.5):
                await renderer.document(request_of("impatient"))
            with trio.move_on_after(0.1):
                await renderer.page(request_of("impatient page"), 1, 100)
        assert (await renderer.document(request_of("last"))).pdf == b"%PDFlast"
    assert offload.started == ["first", "last"]


async def test_a_started_render_is_finished_even_if_its_client_disconnects(
    autojump_clock: trio.testing.MockClock,
) -> None:
    offload = SlowOffload()
    async with renderer_of(offload) as (renderer, outcomes):
        with trio.move_on_after(0.5):
            await renderer.document(request_of())
        await trio.sleep(1)
        await renderer.document(request_of())
    assert offload.finished == [""]
    assert outcomes["document", "kept"] == 1


async def test_a_failure_is_raised_for_all_waiters_and_not_cached(autojump_clock: trio.testing.MockClock) -> None:
    offload, messages = SlowOffload(), list[str]()
    offload.error = RenderTimedOutError("too slow")

    async def get_document(renderer: OnDemandRenderer) -> None:
        with pytest.raises(RenderTimedOutError) as raised:
            await renderer.document(request_of())
        messages.append(str(raised.value))

    async with renderer_of(offload) as (renderer, outcomes):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(get_document, renderer)
        offload.error = None
        assert (await renderer.document(request_of())).pages == 1
    assert messages == ["too slow"] * 3
    assert outcomes == {("document", "failed"): 1, ("document", "drawn"): 1}


async def test_a_patient_request_is_never_rejected_and_a_page_that_can_not_be_drawn_is_a_failure(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with renderer_of(SlowOffload(), waiting=0) as (renderer, _), trio.open_nursery() as nursery:
        nursery.start_soon(renderer.document, request_of("first"))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(BusyError):
            await renderer.page(request_of(), 1, 100)
        with pytest.raises(RenderFailedError, match="no picture of page 1"):  # "%PDF" alone is not a document
            await renderer.page(request_of(), 1, 100, patient=True)


async def test_a_page_and_then_its_document_take_one_render() -> None:
    outcomes = Outcomes()
    offload = ThreadOffload(_Unobserved(), 1, 1)  # type: ignore[arg-type]
    async with open_on_demand(offload, OnDemandLimits(1, 9, 30, 2**20), outcomes) as renderer:
        picture = await renderer.page(request_of(), 1, 100)
        document = await renderer.document(request_of())
    assert picture.startswith(b"\x89PNG")
    assert document.pdf.startswith(b"%PDF")
    assert outcomes == {("document", "drawn"): 1, ("picture", "drawn"): 1, ("document", "kept"): 1}


async def test_pictures_are_drawn_one_at_a_time_and_only_if_they_are_still_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[int] = []
    first_started, release = trio.Event(), threading.Event()

    def draw(pdf: bytes, page: int, pixels: int) -> bytes:
        drawn.append(page)
        trio.from_thread.run_sync(first_started.set)
        release.wait(30)
        return b"PNG"

    monkeypatch.setattr(on_demand, "picture", draw)
    offload = ThreadOffload(_Unobserved(), 1, 1)  # type: ignore[arg-type]
    async with open_on_demand(offload, OnDemandLimits(1, 9, 30, 2**20), Outcomes()) as renderer:
        document = await renderer.document(request_of())
        assert document.pages == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(renderer.page, request_of(), 1, 100)
            await first_started.wait()
            async with trio.open_nursery() as impatient:
                impatient.start_soon(renderer.page, request_of(), 2, 100)
                await trio.testing.wait_all_tasks_blocked()
                impatient.cancel_scope.cancel()
            release.set()
        assert await renderer.page(request_of(), 3, 100) == b"PNG"
    assert drawn == [0, 2]


class _Unobserved:
    def abandoned(self) -> None:
        raise AssertionError("a thread was abandoned")
