"""Documents wait for the store: when it is tried, how many may wait, and what is logged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from render_trio.delivery.delivery import STORE_SECONDS
from render_trio.errors import DeliveryError
from render_trio.queue.messages import LinkResult
from render_trio.worker import backlog as module
from render_trio.worker.backlog import FIRST_SECONDS
from render_trio.worker.limits import Limits
from render_trio.worker.worker import SPACE_INTERVAL
from tests.render_trio.worker.outage import DOWN, INLINE_BYTES, Bench, working


async def test_a_document_waits_with_its_lease_renewed_and_is_delivered_when_the_store_works(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("large")
    async with working(bench):
        await trio.sleep(300)
        assert bench.queue.results == {}
        assert bench.backlog.problem == f"{DOWN}; 1 document waits"
        assert bench.queue.tasks["large"].retry_count == 1, "leased once, although TASK_RETRY_LIMIT is 1"
        assert bench.queue.log.count("renew") >= 9, "every 30 s"
        assert (bench.observer.outcomes, bench.observer.in_progress) == ([], 0)
        bench.delivery.cause = ""
        await bench.settled("large")
        await trio.sleep(0.1)
        result = bench.queue.results["large"]
        assert isinstance(result, LinkResult)
        assert result.url == "https://files.example.org/large_____"
        assert bench.drawn == ["large_____"]
        assert (bench.backlog.problem, bench.backlog.documents) == ("", 0)
        renewals = bench.queue.log.count("renew")
        await trio.sleep(100)
        assert bench.queue.log.count("renew") == renewals, "the lease was dropped"
    assert "release" not in bench.queue.log
    assert bench.observer.outcomes == ["done"]
    assert bench.observer.waiting == [1, 0]
    assert bench.observer.store_failures == len(bench.delivery.tries) - 1


@pytest.mark.parametrize(("uniform", "share"), [(max, 1.0), (min, 0.5)])
async def test_the_pause_doubles_and_is_short_again_after_a_success(
    uniform: Callable[[float, float], float], share: float, autojump_clock: MockClock
) -> None:
    bench = Bench(uniform=uniform)
    for round_number in range(2):
        bench.delivery.cause = DOWN
        bench.delivery.tries.clear()
        bench.add(f"large-{round_number}")
        async with working(bench):
            await trio.sleep(80)
            pauses = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(bench.delivery.tries)]
            expected = [0.5, 1, 2, 4, 8, 15, 15, 15]
            assert pauses[:8] == pytest.approx([pause * share for pause in expected], abs=0.001)
            bench.delivery.cause = ""
            await bench.settled(f"large-{round_number}")


async def test_the_pause_is_short_for_a_document_that_fails_after_another_was_stored(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.faults["bad_______"] = DeliveryError("its name is taken")
    bench.add("bad")
    async with working(bench):
        await trio.sleep(100)
        bench.add("good")
        await bench.settled("good")
        stored_at = bench.delivery.tries[bench.names_tried().index("good")][0]
        await trio.sleep(10)
        pauses = [when - stored_at for when, _ in bench.delivery.tries if when > stored_at - 0.001]
        assert pauses == pytest.approx([0, 0, 0.5, 1.5, 3.5, 7.5], abs=0.001)


async def test_one_document_at_a_time_is_tried_and_a_failed_one_again_after_the_others(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a", "b", "c")
    async with working(bench):
        await trio.sleep(20)
        # The worker tried the first one only: when it had drawn the others, the store was known to fail.
        assert bench.names_tried() == ["a", "a", "b", "c", "a", "b"]
        assert bench.delivery.limits == [FIRST_SECONDS] + [STORE_SECONDS] * 5
        assert bench.backlog.problem == f"{DOWN}; 3 documents wait"
        assert bench.observer.store_failures == 6


async def test_after_one_success_all_documents_are_delivered_without_pauses(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add(*(f"large-{number}" for number in range(8)))
    async with working(bench):
        await trio.sleep(40)
        bench.delivery.cause = ""
        bench.delivery.tries.clear()
        await bench.settled(*(f"large-{number}" for number in range(8)))
        moments = [when for when, _ in bench.delivery.tries]
        assert len(moments) == 8
        assert moments[-1] == moments[0]
    assert bench.observer.waiting == [*range(1, 9), *range(7, -1, -1)]


async def test_small_documents_are_delivered_during_an_outage(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("large")
    bench.add("small", size=INLINE_BYTES)
    async with working(bench):
        await bench.settled("small")
        await trio.sleep(100)
        assert list(bench.queue.results) == ["small"]
        assert bench.queue.results["small"].success


async def test_a_store_that_hangs_delays_a_worker_once(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.seconds = math.inf
    bench.add("large-1", "large-2")
    bench.add("small", size=INLINE_BYTES)
    began = trio.current_time()
    async with working(bench):
        await bench.settled("small")
        assert trio.current_time() - began == pytest.approx(FIRST_SECONDS, abs=1)
        assert bench.backlog.problem == "the store hangs; 2 documents wait"
        await trio.sleep(300)
        bench.delivery.seconds = 1.0
        await bench.settled("large-1", "large-2")
    assert len(bench.drawn) == 3


@pytest.mark.parametrize(("documents", "size", "full"), [(3, 10, True), (2, 10, False), (2, 50, True), (2, 49, False)])
async def test_the_backlog_is_bounded_in_documents_and_bytes(
    documents: int, size: int, full: bool, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DOCUMENTS", 3)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add(*(f"large-{number}" for number in range(documents)), size=size)
    async with working(bench):
        await trio.sleep(30)
        assert bench.backlog.documents == documents
        assert bench.backlog.full is full
        polls = bench.queue.log.count("lease")
        await trio.sleep(300)
        assert (bench.queue.log.count("lease") == polls) is full, "no task is leased while it is full"
        assert (bench.heartbeat.phases[-1] == "store") is full
        if full:
            assert bench.heartbeat.budgets[-1] == math.inf, "the watchdog must not restart a worker that waits"


def test_the_limits_are_those_of_the_documents() -> None:
    assert (module.MAX_DOCUMENTS, module.MAX_BYTES) == (20, 64 * 1024 * 1024)
    assert (FIRST_SECONDS, STORE_SECONDS, module.FINISH_SECONDS) == (10, 30, 2)
    assert module.OWN_FAILURES == 3
    assert SPACE_INTERVAL == 1


async def test_leased_tasks_wait_without_being_drawn_while_the_backlog_is_full(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DOCUMENTS", 2)
    bench = Bench()
    bench.delivery.cause = DOWN
    names = ["a", "b", "c", "d"]  # the first batch has four tasks
    bench.add(*names)
    async with working(bench):
        await trio.sleep(300)
        assert [name.strip("_") for name in bench.drawn] == ["a", "b"]
        assert bench.queue.free() == [], "its lease is renewed"
        assert [task.retry_count for task in bench.queue.tasks.values()] == [1] * 4
        bench.delivery.cause = ""
        await bench.settled("a", "b")
        resumed_at = trio.current_time()
        await bench.settled(*names)
        assert trio.current_time() - resumed_at <= SPACE_INTERVAL + 0.1
    assert all(isinstance(result, LinkResult) for result in bench.queue.results.values())


async def test_each_worker_may_exceed_the_bound_by_a_document_of_a_task_that_it_has_begun(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DOCUMENTS", 1)
    bench = Bench(Limits(1, 50, 1.33, 1, 2))
    bench.delivery.cause = DOWN
    bench.add("a", "b", "c")
    async with working(bench, workers=2):
        await trio.sleep(100)
        assert bench.backlog.documents == 2
        assert bench.queue.free() == ["c"]


async def test_the_log_states_when_the_store_fails_and_when_it_works_again(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a", "b")
    with capture_logs() as lines:
        async with working(bench):
            await trio.sleep(30)
            bench.delivery.cause = "another cause"
            await trio.sleep(60)
            bench.delivery.cause = ""
            await bench.settled("a", "b")
            await wait_all_tasks_blocked()
    logged: list[Any] = [
        (line["event"], line.get("error"), line.get("documents")) for line in lines if "store" in line["event"]
    ]
    assert logged == [
        ("document store failed", DOWN, None),
        ("document waits for the store", DOWN, 1),
        ("document waits for the store", DOWN, 2),
        ("document store failed", "another cause", None),
        ("document store works again", None, 2),
    ]
