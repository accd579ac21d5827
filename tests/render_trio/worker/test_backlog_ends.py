"""What ends the waiting of a document: a lost lease, its own fault, or a shutdown."""

from __future__ import annotations

import math

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from render_trio.delivery.delivery import STORE_SECONDS
from render_trio.errors import DeliveryError, QueueUnavailableError, RenderFailedError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker import backlog as module
from render_trio.worker.backlog import FINISH_SECONDS, OWN_FAILURES
from render_trio.worker.limits import Limits
from resources.request import Request
from tests.render_trio.fakes import work_on_batch
from tests.render_trio.worker.outage import DOWN, LIMITS, Bench, working


async def test_a_lost_lease_discards_its_document_at_once_and_only_this_one(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("lost", "kept")
    with capture_logs() as lines:
        async with working(bench):
            await trio.sleep(1)
            del bench.queue.tasks["lost"]  # another worker has completed it
            await trio.sleep(60)
            assert bench.backlog.documents == 1
            bench.delivery.cause = ""
            await bench.settled("kept")
            await trio.sleep(20)
    assert list(bench.queue.results) == ["kept"]
    assert len([line for line in lines if line["event"] == "nothing delivered: lease lost"]) == 1
    assert sorted(bench.observer.outcomes) == ["done", "lost"]
    assert bench.observer.failures == [("lost", "lease_lost", "lost")]
    assert bench.observer.waiting == [1, 2, 1, 0]


async def test_leases_end_if_the_queue_is_unreachable_for_too_long(autojump_clock: MockClock) -> None:
    """The queue gives the tasks to others then. The store isn't known to fail any more: the next document tries it."""
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a", "b")
    async with working(bench):
        await trio.sleep(1)
        bench.queue.faults = {"renew": [QueueUnavailableError()] * 1000, "lease": [QueueUnavailableError()] * 100}
        await trio.sleep(LIMITS.lease_seconds)
        assert (bench.backlog.documents, bench.backlog.problem) == (0, "")
    assert bench.observer.outcomes == ["lost", "lost"]
    assert bench.queue.results == {}


async def test_a_document_does_not_wait_if_its_lease_was_lost_before_the_store_failed(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    bench.add("late")

    async def fail_late(pdf: bytes, sha256: str, seconds: float = STORE_SECONDS) -> str | None:
        (lease,) = bench.worker._leases._held.values()
        lease.deadline = trio.current_time()
        raise DeliveryError(DOWN)

    bench.delivery.deliver = fail_late  # type: ignore[method-assign]
    with capture_logs() as lines:
        async with working(bench):
            await trio.sleep(7)
            assert (bench.backlog.documents, bench.backlog.problem) == (0, "")
    assert [line["event"] for line in lines].count("nothing delivered: lease lost") == 1
    assert bench.observer.outcomes == ["lost"]
    assert bench.queue.results == {}


async def test_a_lost_lease_ends_a_delivery_that_hangs(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.seconds = math.inf
    bench.add("lost")
    async with working(bench):
        await trio.sleep(15)
        bench.delivery.limits.clear()
        bench.queue.lose_leases = True
        await trio.sleep(20)
        assert bench.backlog.documents == 0
        assert bench.observer.outcomes == ["lost"]


async def test_the_expiry_is_checked_right_before_the_result_is_inserted(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("late")
    async with working(bench):
        await trio.sleep(1)
        (lease,) = bench.backlog._leases._held.values()
        deliver = bench.delivery.deliver

        async def deliver_late(pdf: bytes, sha256: str, seconds: float = STORE_SECONDS) -> str | None:
            bench.delivery.cause = ""
            url = await deliver(pdf, sha256, seconds)
            lease.deadline = trio.current_time()
            return url

        bench.delivery.deliver = deliver_late  # type: ignore[method-assign]
        with capture_logs() as lines:
            await trio.sleep(5)
    assert bench.queue.results == {}
    assert bench.observer.outcomes == ["lost"]
    assert [line["event"] for line in lines].count("nothing delivered: lease lost") == 1


@pytest.mark.parametrize(
    ("others", "retry_limit", "outcomes"),
    [(OWN_FAILURES - 1, 1, []), (OWN_FAILURES, 1, ["failed"]), (OWN_FAILURES, 2, ["retried"])],
)
async def test_a_document_that_fails_while_others_are_stored_counts_as_a_failed_attempt(
    others: int, retry_limit: int, outcomes: list[str], autojump_clock: MockClock
) -> None:
    bench = Bench(Limits(20, 50, 1.33, retry_limit, 2))
    bench.delivery.faults["bad_______"] = DeliveryError("its name is taken")
    bench.add("bad")
    async with working(bench):
        await trio.sleep(100)
        assert bench.backlog.problem == "its name is taken; 1 document waits", "a store that fails looks the same"
        for number in range(others):
            bench.add(f"good-{number}")
            await bench.settled(f"good-{number}")
            await trio.sleep(0.1)
        assert [outcome for outcome in bench.observer.outcomes if outcome != "done"] == outcomes
        assert bench.backlog.documents == (0 if outcomes else 1)
        if outcomes:
            assert bench.backlog.problem == ""
        if outcomes == ["failed"]:
            assert bench.queue.results["bad"].error.message == "its name is taken"
        if outcomes == ["retried"]:
            assert bench.queue.free() == [], "released with a delay"
            assert bench.queue.leased_until["bad"] - trio.current_time() == pytest.approx(4, abs=0.5)


async def test_the_delay_of_a_failed_delivery_doubles_with_each_attempt(autojump_clock: MockClock) -> None:
    bench = Bench(Limits(20, 50, 1.33, 9, 2))
    bench.delivery.faults["bad_______"] = DeliveryError("its name is taken")
    bench.add("bad")
    for _ in range(2):
        await bench.queue.lease(1, 0)
    async with working(bench):
        await trio.sleep(1)
        for number in range(OWN_FAILURES):
            bench.add(f"good-{number}")
            await bench.settled(f"good-{number}")
            await trio.sleep(0.1)
        assert bench.queue.leased_until["bad"] - trio.current_time() == pytest.approx(16, abs=0.5)
        assert bench.observer.failures == [("bad", "delivery_failed", "retried")]


async def test_no_failure_result_is_delivered_if_the_lease_has_expired(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.add("late")

    async def fail_late(request: Request, seconds: float) -> FinishedDocument:
        (lease,) = bench.worker._leases._held.values()
        lease.deadline = trio.current_time()
        raise RenderFailedError("too late")

    bench.worker._runner._make = fail_late
    await work_on_batch(bench.worker, bench.heartbeat)
    assert bench.queue.results == {}
    assert bench.observer.outcomes == ["lost"]
    assert bench.observer.failures[-1] == ("late", "lease_lost", "lost")


async def test_a_document_that_fails_often_at_once_is_not_at_fault(autojump_clock: MockClock) -> None:
    """The failures count only if others were stored between them."""
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a", "b")
    async with working(bench):
        await trio.sleep(1000)
        bench.delivery.cause = ""
        await bench.settled("a", "b")
    assert bench.observer.outcomes == ["done", "done"]


async def test_a_lack_of_space_is_never_the_fault_of_a_document(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.faults["huge______"] = DeliveryError("no space", store_full=True)
    bench.add("huge")
    async with working(bench):
        for number in range(3 * OWN_FAILURES):
            bench.add(f"good-{number}")
            await bench.settled(f"good-{number}")
            await trio.sleep(0.1)
        assert bench.backlog.problem == "no space; 1 document waits"
        bench.delivery.faults.clear()
        await bench.settled("huge")
    assert set(bench.observer.outcomes) == {"done"}


async def test_a_result_that_the_queue_does_not_accept_delays_no_other(autojump_clock: MockClock) -> None:
    bench = Bench(Limits(20, 50, 1.33, 5, 2))
    bench.delivery.cause = DOWN
    bench.add("a", "b")
    async with working(bench):
        await trio.sleep(1)
        bench.queue.faults["insert"] = [QueueUnavailableError()]
        bench.delivery.cause = ""
        await trio.sleep(5)
        assert bench.observer.outcomes == ["unsettled", "done"]
        await bench.settled("a", "b")
    assert bench.queue.tasks == {}


async def test_a_waiting_document_is_tried_once_more_at_shutdown(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a", "b")
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(40)
        bench.delivery.cause = ""
        bench.stopping.set()
    assert sorted(bench.queue.results) == ["a", "b"]
    assert "release" not in bench.queue.log
    assert trio.current_time() - began < 40 + FINISH_SECONDS


async def test_tasks_are_released_at_once_if_the_store_fails_at_shutdown(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a", "b")
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        nursery.start_soon(bench.backlog.run)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(40)
        tries = len(bench.delivery.tries)
        bench.stopping.set()
    assert bench.queue.free() == ["a", "b"]
    assert bench.queue.results == {}
    assert len(bench.delivery.tries) == tries + 1
    assert trio.current_time() - began < 40.5
    assert bench.observer.outcomes == ["retried", "retried"]
    assert bench.observer.waiting[-1] == 0


@pytest.mark.parametrize("hangs_before", [True, False])
async def test_a_store_that_hangs_delays_shutdown_by_a_few_seconds(
    hangs_before: bool, autojump_clock: MockClock
) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.delivery.seconds = math.inf if hangs_before else 0
    bench.add("a", "b")
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(20)
        bench.delivery.seconds = math.inf
        began = trio.current_time()
        bench.stopping.set()
    assert trio.current_time() - began == pytest.approx(FINISH_SECONDS, abs=0.1)
    assert bench.queue.free() == ["a", "b"]


async def test_a_document_that_can_not_be_stored_during_shutdown_is_released_and_its_task_not_failed(
    autojump_clock: MockClock,
) -> None:
    """Although it was the only attempt that the task has: the store is at fault."""
    bench = Bench()
    bench.delivery.seconds = math.inf
    bench.add("a")
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(1)
        bench.stopping.set()
    assert bench.queue.results == {}
    assert bench.queue.free() == ["a"]
    assert bench.observer.outcomes == ["retried"]
    assert bench.backlog.documents == 0


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c")], ids=["without tasks", "with tasks"])
async def test_a_worker_that_waits_because_the_backlog_is_full_ends_at_once_at_shutdown(
    names: tuple[str, ...], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DOCUMENTS", 1)
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add(*names)
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(40.3)
        assert bench.heartbeat.phases[-1] == "store"
        polls, began = bench.queue.log.count("lease"), trio.current_time()
        bench.stopping.set()
    assert trio.current_time() - began < 0.1
    assert bench.queue.log.count("lease") == polls
    assert bench.queue.free() == list(names)
    assert len(bench.drawn) == 1


async def test_an_idle_backlog_ends_at_once_at_shutdown(autojump_clock: MockClock) -> None:
    bench = Bench()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        bench.stopping.set()
    assert trio.current_time() == began


async def test_a_cancelled_backlog_releases_its_leases(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a", "b")
    async with working(bench):
        await trio.sleep(10)
        assert bench.queue.free() == []
    assert bench.queue.free() == ["a", "b"]


@pytest.mark.parametrize("ran_before", [False, True])
async def test_a_backlog_that_is_not_running_takes_no_document(ran_before: bool, autojump_clock: MockClock) -> None:
    bench = Bench()
    if ran_before:
        with trio.move_on_after(1):
            await bench.backlog.run()
    bench.delivery.cause = DOWN
    bench.add("a")
    await work_on_batch(bench.worker, bench.heartbeat)
    assert (bench.backlog.documents, bench.backlog.problem) == (0, "")
    assert bench.queue.free() == ["a"]
    assert bench.observer.outcomes == ["retried"]


async def test_a_cancelled_worker_leaves_the_waiting_documents_alone(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.delivery.cause = DOWN
    bench.add("a")
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.backlog.run)
        with trio.move_on_after(29.5):  # a renewal begins now
            await bench.worker.run(bench.heartbeat)
        await trio.sleep(100)
        assert bench.queue.free() == []
        bench.delivery.cause = ""
        await bench.settled("a")
        nursery.cancel_scope.cancel()
    assert bench.queue.tasks == {}
