"""The guarantees of a worker, with fake stages under the autojump clock."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import (
    QueueUnavailableError,
    RenderCrashedError,
    RenderFailedError,
    RenderTimedOutError,
)
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import DocumentResult
from render_trio.worker.leasing.requests import ANSWER_GRACE
from render_trio.worker.limits import LEASE_MARGIN, Limits
from tests.render_trio.fakes import (
    TASK,
    FakeHeartbeat,
    FakeQueue,
    FakeRenderer,
    batches,
    storeless_worker,
    work_on_batch,
)

LIMITS = Limits(task_count=20, task_seconds=50, task_time_mult=1.33, task_retry_limit=3, sleep_time=2)


class Bench:
    """A worker and its fakes."""

    def __init__(
        self,
        renderer: FakeRenderer | None = None,
        inline_bytes: int = 100_000,
        queue: FakeQueue | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self.queue = queue or FakeQueue()
        self.renderer = renderer or FakeRenderer()
        self.heartbeat = FakeHeartbeat()
        self.metrics = Metrics()
        self.stopping = trio.Event()
        self.worker = storeless_worker(
            self.queue, self.renderer.make, limits, self.metrics, stopping=self.stopping, inline_bytes=inline_bytes
        )

    async def run_for(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.worker.run(self.heartbeat)

    def result(self, task_id: str) -> DocumentResult:
        result = self.queue.results[task_id]
        assert isinstance(result, DocumentResult)
        return result


async def test_the_result_is_inserted_before_the_task_is_deleted(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue.add("one", TASK | {"reply_tag": "mine"})
    await bench.run_for(5)
    result = bench.result("one")
    assert result.success
    assert result.pages == 8
    assert result.filename == "Binary Cards (with numbers - without black back - a4).pdf"
    assert bench.queue.result_tags == {"one": "mine"}
    assert bench.queue.tasks == {}
    assert bench.queue.log.index("insert") < bench.queue.log.index("delete")
    assert list(dict.fromkeys(bench.heartbeat.progressed)) == ["polled", "finished"]
    assert bench.heartbeat.phases[:3] == ["poll", "work", "poll"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("!", "not_base64"),
        ("bm90IGpzb24=", "not_json"),
        ("W10=", "not_an_object"),
        ("e30=", "unknown_kind"),
        ("A" * 1_000_000, "too_large"),
    ],
)
async def test_a_payload_that_can_not_be_decoded_fails_at_once(
    payload: str, code: str, autojump_clock: MockClock
) -> None:
    bench = Bench()
    bench.queue.add("bad", payload=payload)
    bench.queue.add("good")
    await bench.run_for(5)
    error = bench.result("bad").error
    assert error
    assert error.code == code
    assert error.message
    assert bench.result("good").success
    assert bench.queue.tasks == {}
    assert len(bench.renderer.limits) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resource_view": "nothing"}, "unknown_resource"),
        ({"copies": 51}, "invalid_option"),
        ({"paper_size": "a5"}, "invalid_option"),
        ({"paper_size": None}, "missing_option"),
        ({"reply_tag": "task"}, "invalid_option"),
        ({"reply_tag": 3}, "invalid_option"),
    ],
)
async def test_a_task_that_can_never_succeed_fails_at_once(
    changes: dict[str, Any], code: str, autojump_clock: MockClock
) -> None:
    bench = Bench()
    bench.queue.add("bad", TASK | changes)
    await bench.run_for(5)
    assert bench.result("bad").error.code == code  # type: ignore[union-attr]
    assert bench.queue.result_tags == {"bad": "result"}
    assert bench.queue.tasks == {}


@pytest.mark.parametrize("fault", [RenderFailedError(), RenderTimedOutError(), RenderCrashedError()])
async def test_a_failed_attempt_is_retried_with_a_longer_time_limit(
    fault: Exception, autojump_clock: MockClock
) -> None:
    bench = Bench()
    bench.renderer.faults = [fault]
    bench.queue.add("one")
    await bench.run_for(5)
    assert bench.result("one").success
    assert bench.queue.log.count("release") == 1
    assert bench.renderer.limits == [50, 50 * 2.33]


async def test_the_failure_result_has_the_reason_of_the_last_attempt(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.renderer.faults = [RenderFailedError("first"), RenderFailedError("second"), RenderCrashedError("third")]
    bench.queue.add("one")
    await bench.run_for(60)
    assert (bench.result("one").error.code, bench.result("one").error.message) == ("crashed", "third")  # type: ignore[union-attr]
    assert bench.queue.tasks == {}
    assert len(bench.renderer.limits) == LIMITS.task_retry_limit


async def test_a_task_that_was_leased_too_often_is_not_rendered_again(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue.add("one")
    for _ in range(LIMITS.task_retry_limit):
        await bench.queue.lease(1, 0)
    await bench.run_for(5)
    assert bench.result("one").error.code == "attempts_exhausted"  # type: ignore[union-attr]
    assert bench.renderer.limits == []


async def test_a_document_that_is_too_large_to_deliver_fails_at_once(autojump_clock: MockClock) -> None:
    bench = Bench(inline_bytes=10)
    bench.queue.add("one")
    await bench.run_for(5)
    error = bench.result("one").error
    assert error
    assert error.code == "too_large"
    assert "DOCUMENT_STORE" in error.message


async def test_the_lease_is_renewed_during_a_long_render(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(seconds=45))
    bench.queue.add("one")
    await bench.run_for(60)
    assert bench.result("one").success
    assert "renew" in bench.queue.log


async def test_nothing_is_delivered_after_the_lease_was_lost(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(seconds=45))
    bench.queue.add("one")
    bench.queue.lose_leases = True
    await bench.run_for(59)
    assert bench.queue.results == {}
    assert "delete" not in bench.queue.log
    assert b"render_lost_leases_total 1.0" in bench.metrics.exposition()


async def test_nothing_is_delivered_after_the_lease_expired_unnoticed(autojump_clock: MockClock) -> None:
    """Renewals fail, and the lease has expired by the time that the document is finished."""
    bench = Bench(FakeRenderer(seconds=49), limits=Limits(20, 49, 1.33, 3, 2))
    bench.queue.add("one")
    bench.queue.faults["renew"] = [QueueUnavailableError()] * 1000
    with trio.move_on_after(58.5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.worker.run, bench.heartbeat)
            await trio.sleep(1)
            for lease in bench.worker._leases._held.values():
                lease.deadline = trio.current_time() + 10
    assert bench.queue.results == {}


@pytest.mark.parametrize("step", ["lease", "insert", "delete", "release"])
async def test_a_queue_failure_at_any_step_loses_nothing(step: str, autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue.add("one")
    bench.queue.faults[step] = [QueueUnavailableError()]
    if step == "release":
        bench.renderer.faults = [RenderFailedError()]
    await bench.run_for(200)
    assert bench.result("one").success
    assert bench.queue.tasks == {}
    assert list(bench.queue.results) == ["one"]


async def test_a_failure_result_that_can_not_be_inserted_is_inserted_when_the_lease_has_expired(
    autojump_clock: MockClock,
) -> None:
    bench = Bench()
    bench.queue.add("bad", TASK | {"copies": 51})
    bench.queue.faults["insert"] = [QueueUnavailableError()]
    await bench.run_for(200)
    assert not bench.result("bad").success
    assert bench.queue.tasks == {}
    assert b'render_tasks_total{outcome="unsettled",resource="unknown"} 1.0' in bench.metrics.exposition()


async def test_a_cancellation_at_any_moment_loses_nothing_and_produces_no_second_result(
    autojump_clock: MockClock,
) -> None:
    """A worker is cancelled at many different moments; another one finishes its tasks."""
    for hundredths in range(30):
        bench = Bench(FakeRenderer(seconds=0.1))
        bench.queue.add("one")
        bench.queue.add("two")
        await bench.run_for(hundredths / 100)
        await Bench(queue=bench.queue).run_for(300)
        assert sorted(bench.queue.results) == ["one", "two"]
        assert bench.queue.tasks == {}


async def test_a_stopping_worker_finishes_its_task_and_releases_the_others(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(seconds=10))
    for name in ("one", "two", "three"):
        bench.queue.add(name)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(1)
        bench.stopping.set()
    assert list(bench.queue.results) == ["one"]
    assert bench.queue.free() == ["two", "three"]


async def test_the_rest_of_a_batch_is_released_at_the_end_of_an_iteration(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(seconds=10))
    for name in ("one", "two", "three"):
        bench.queue.add(name)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work_on_batch, bench.worker, bench.heartbeat)
        await trio.sleep(1)
        bench.stopping.set()
    assert bench.queue.free() == ["two", "three"]


async def test_batches_are_as_small_as_the_tasks_before_were_long(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(seconds=2))
    for number in range(6):
        bench.queue.add(str(number))
    async with batches(bench.worker, bench.heartbeat) as work:
        await work()
        assert len(bench.queue.results) == 4, "a second's work, estimated without knowing the tasks"
        await work()
        assert len(bench.queue.results) == 5


async def test_a_cancelled_worker_releases_all_its_tasks(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(seconds=10))
    bench.queue.add("one")
    bench.queue.add("two")
    await bench.run_for(1)
    assert bench.queue.results == {}
    assert bench.queue.free() == ["one", "two"]


async def test_a_stopping_worker_waits_for_a_lease_response_in_transit_and_releases_its_tasks(
    autojump_clock: MockClock,
) -> None:
    """The tasks are already leased: if they were ignored, nobody could work on them until their leases expire."""
    bench = Bench()
    bench.queue.response_seconds = 0.3
    bench.queue.add("one")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(0.1)
        bench.stopping.set()
    assert bench.queue.free() == ["one"]
    assert bench.renderer.limits == []


async def test_a_stopping_worker_does_not_wait_for_a_long_poll(autojump_clock: MockClock) -> None:
    bench = Bench()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.worker.run, bench.heartbeat)
        await trio.sleep(1)
        bench.stopping.set()
    assert trio.current_time() - started < 1 + ANSWER_GRACE + 0.1


@pytest.mark.parametrize("retry_count", range(LIMITS.task_retry_limit))
async def test_the_budget_of_each_attempt_covers_its_longer_time_limit(
    retry_count: int, autojump_clock: MockClock
) -> None:
    bench = Bench(FakeRenderer(seconds=LIMITS.render_seconds(retry_count) - 1))
    bench.queue.add("one")
    for _ in range(retry_count):
        await bench.queue.lease(1, 0)
    await bench.run_for(1000)
    assert bench.result("one").success
    assert (
        bench.heartbeat.budgets[bench.heartbeat.phases.index("work")]
        > LIMITS.render_seconds(retry_count) + LEASE_MARGIN
    )


async def test_an_idle_worker_polls_rarely(autojump_clock: MockClock) -> None:
    bench = Bench()
    await bench.run_for(200)
    assert bench.queue.log.count("lease") <= 11


async def test_the_first_answer_of_an_empty_queue_shows_at_once_that_it_is_reachable(autojump_clock: MockClock) -> None:
    bench = Bench()
    await bench.run_for(1)
    assert bench.heartbeat.progressed == ["polled"]


async def test_an_unreachable_queue_is_retried_and_reported(autojump_clock: MockClock) -> None:
    bench = Bench()
    bench.queue.faults["lease"] = [QueueUnavailableError()] * 3
    bench.queue.add("one")
    await bench.run_for(30)
    assert bench.heartbeat.progressed[:4] == ["unreachable", "unreachable", "unreachable", "polled"]
    assert bench.result("one").success
