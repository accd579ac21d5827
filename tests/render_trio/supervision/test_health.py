"""The health report: a worker that makes progress is healthy, one that only exists is not."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import FatalError
from render_trio.supervision.health import STORE_PHASE, Health, judge
from render_trio.supervision.recovery import watch_recovery
from render_trio.supervision.restart_policy import WEDGED_SECONDS, RestartPolicy, SlotPolicy
from render_trio.supervision.supervisor import Slot

NOW = 1000.0


def slot(**known: Any) -> Slot:
    policy = SlotPolicy(RestartPolicy(3, 60, lambda low, high: high))
    policy.begin(NOW - 100)
    policy.enter("poll", 80, NOW - 5)
    return Slot("worker-1", None, policy, **known)  # type: ignore[arg-type]


def health(*slots: Slot, **options: Any) -> Health:
    given = {"draining": False, "abandoned": 0, "abandoned_limit": 4, "queue_silence": 30.0} | options
    return judge(list(slots), NOW, **given)


def test_a_worker_that_polls_is_healthy_and_its_ages_are_reported() -> None:
    report = health(slot(last_polled=NOW - 7, reachable=True, finished=3, last_finished=NOW - 40, restarts=2))
    assert (report.status, report.reasons, report.ready) == ("ok", (), True)
    (worker,) = report.workers
    assert (worker.phase, worker.phase_seconds, worker.finished, worker.restarts) == ("poll", 5.0, 3, 2)
    assert (report.last_poll_seconds, worker.last_finished_seconds) == (7.0, 40.0)


def test_a_worker_that_exceeds_its_budget_is_unhealthy() -> None:
    stalled = slot(last_polled=NOW, reachable=True)
    stalled.policy.enter("work", 60, NOW - 61)
    assert health(stalled).reasons == ("worker-1 is running in work",)


@pytest.mark.parametrize(("seconds", "well"), [(WEDGED_SECONDS - 1, True), (WEDGED_SECONDS + 1, False)])
def test_a_cancelled_worker_is_healthy_until_it_counts_as_wedged(seconds: float, well: bool) -> None:
    cancelled = slot()
    cancelled.policy.cancel(NOW - seconds)
    assert health(cancelled).well is well


def test_an_abandoned_worker_is_reported_and_its_replacement_is_healthy() -> None:
    replaced = slot(restarts=1, last_error="wedged in settle")
    replaced.policy.cancel(NOW - 20)
    replaced.policy.abandon()
    replaced.policy.ended(NOW - 9)
    assert health(replaced).well, "it waits for its restart"
    replaced.policy.begin(NOW - 8)
    report = health(replaced)
    assert report.well
    assert (report.workers[0].abandoned, report.workers[0].last_error) == (1, "wedged in settle")
    assert json.loads(msgspec.json.encode(report))["workers"][0]["left_behind"] == 1, "its name in responses"


@pytest.mark.parametrize(
    ("known", "ready"),
    [
        ({"last_polled": NOW - 10, "reachable": True}, True),
        ({"last_polled": NOW - 31, "reachable": True}, False),
        ({"last_polled": NOW - 10, "reachable": False}, False),
        ({}, False),
    ],
)
def test_the_service_is_ready_if_the_queue_has_answered_recently(known: dict[str, Any], ready: bool) -> None:
    report = health(slot(**known))
    assert report.ready is ready
    assert report.well, "an unreachable queue is no reason to restart the service"


STORE = "document store: [Errno 28] No space left on device: '/documents'; free space there; 2 documents wait"


def test_documents_that_wait_for_the_store_degrade_the_service_and_are_no_reason_to_restart_it() -> None:
    report = health(slot(last_polled=NOW, reachable=True), document_store=STORE, waiting_documents=2)
    assert (report.status, report.reasons, report.document_store, report.waiting_documents) == (
        "degraded",
        (),
        STORE,
        2,
    )
    assert (report.well, report.ready, report.restart_helps) == (True, True, False), "it still takes tasks"
    hung = health(slot(), document_store=STORE, abandoned=4)
    assert (hung.status, hung.well, hung.restart_helps) == ("unwell", False, True)


def test_a_service_that_leases_no_tasks_because_of_the_store_is_not_ready() -> None:
    report = health(slot(last_polled=NOW, reachable=True), document_store=STORE, waiting_documents=20, leasing=False)
    assert (report.status, report.ready, report.leasing) == ("degraded", False, False)


@pytest.mark.parametrize(("phase", "reachable"), [(STORE_PHASE, True), ("work", True), ("poll", False)])
def test_a_worker_that_has_tasks_has_reached_the_queue(phase: str, reachable: bool) -> None:
    """It doesn't poll while it works, or waits for the document store."""
    busy = slot(last_polled=NOW - 1000, reachable=True)
    busy.policy.enter(phase, math.inf, NOW - 1000)
    report = health(busy)
    assert report.queue_reachable is reachable
    assert report.well, "there is no time limit for an outage of the document store"


def test_a_draining_service_is_healthy_but_not_ready() -> None:
    report = health(slot(last_polled=NOW, reachable=True), draining=True)
    assert (report.well, report.ready) == (True, False)


def test_hung_threads_make_the_service_unhealthy_at_their_limit() -> None:
    assert health(slot(), abandoned=3).well
    assert health(slot(), abandoned=4).reasons == ("4 drawing threads hang",)


async def test_the_service_gives_up_when_it_stays_unhealthy_but_not_when_it_recovers(autojump_clock: MockClock) -> None:
    reports: list[tuple[str, float]] = []
    started = trio.current_time()

    def current_health() -> Health:
        now = trio.current_time() - started
        return health(slot(), abandoned=0 if now < 10 or 60 < now < 62 else 4)

    def give_up(reason: str) -> None:
        reports.append((reason, trio.current_time() - started))

    with pytest.raises(FatalError, match="unwell for 60 s: 4 drawing threads hang"):
        await watch_recovery(current_health, trio.Event(), give_up)
    ((reason, when),) = reports
    assert reason.startswith("unwell for 60 s")
    assert 120 < when < 125, "counted from the last time that it was healthy"


async def test_a_stopping_service_does_not_give_up(autojump_clock: MockClock) -> None:
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_recovery, lambda: health(slot(), abandoned=4), stopping, pytest.fail)
        await trio.sleep(59)
        stopping.set()


@pytest.mark.parametrize(
    ("polls", "silence", "reachable"),
    [
        ([30.0], 30.0, True),
        ([30.1], 30.0, False),
        ([90.0, 10.0], 30.0, True),
        ([10.0, 90.0], 30.0, True),
        ([None, 10.0], 30.0, True),
        ([None, None], 30.0, False),
    ],
)
def test_the_latest_answer_to_any_worker_counts(polls: list[float | None], silence: float, reachable: bool) -> None:
    slots = [slot(last_polled=None if ago is None else NOW - ago, reachable=None) for ago in polls]
    report = health(*slots, queue_silence=silence)
    assert report.queue_reachable is reachable
    latest = min((ago for ago in polls if ago is not None), default=None)
    assert report.last_poll_seconds == latest


@pytest.mark.parametrize(
    ("states", "reachable"),
    [([True, False], True), ([False, False], False), ([None, False], False), ([None, None], True)],
)
def test_the_queue_is_reachable_if_any_worker_has_reached_it(states: list[bool | None], reachable: bool) -> None:
    report = health(*(slot(last_polled=NOW - 1, reachable=state) for state in states))
    assert report.queue_reachable is reachable


def test_a_worker_that_failed_in_its_work_does_not_show_that_the_queue_is_reachable() -> None:
    failed = slot(last_polled=NOW - 1000, reachable=True)
    failed.policy.enter("work", 1e6, NOW - 900)
    failed.policy.ended(NOW - 1)
    assert not health(failed).queue_reachable
    working = slot(last_polled=NOW - 1000, reachable=True)
    working.policy.enter("work", 1e6, NOW - 900)
    assert health(failed, working).queue_reachable


def test_ages_are_reported_in_tenths_of_a_second() -> None:
    known = slot(last_polled=NOW - 7.26, reachable=True, last_finished=NOW - 40.04)
    known.policy.enter("poll", 80, NOW - 5.18)
    report = health(known)
    (worker,) = report.workers
    assert (report.last_poll_seconds, worker.last_finished_seconds, worker.phase_seconds) == (7.3, 40.0, 5.2)


def test_what_is_not_known_yet_is_reported_as_unknown() -> None:
    report = health(slot())
    assert (report.last_poll_seconds, report.workers[0].last_finished_seconds) == (None, None)
    assert (report.missing_files, report.document_store, report.waiting_documents, report.leasing) == ("", "", 0, True)
    assert (report.workers[0].name, report.workers[0].state, report.workers[0].last_error) == (
        "worker-1",
        "running",
        "",
    )


def test_a_report_of_a_service_without_faults_needs_only_what_differs_between_services() -> None:
    report = Health(
        "ok", (), draining=False, queue_reachable=True, last_poll_seconds=1, abandoned_threads=0, workers=()
    )
    assert (report.well, report.ready, report.leasing, report.restart_helps) == (True, True, True, False)
    assert (report.missing_files, report.document_store, report.waiting_documents) == ("", "", 0)


def test_missing_files_make_the_service_unhealthy_but_no_restart_would_find_them() -> None:
    missing = health(slot(last_polled=NOW, reachable=True), missing_files="/fonts: a.ttf")
    assert (missing.status, missing.reasons) == ("unwell", ("/fonts: a.ttf",))
    assert (missing.well, missing.ready, missing.restart_helps) == (False, False, False)
    both = health(slot(last_polled=NOW, reachable=True), missing_files="/fonts: a.ttf", abandoned=4)
    assert both.restart_helps


def test_a_wedged_worker_is_unhealthy() -> None:
    wedged = slot()
    wedged.policy.cancel(NOW - 1)
    wedged.policy.abandon()
    assert health(wedged).reasons == ("worker-1 is wedged in poll",)


@pytest.mark.parametrize(("seconds", "gave_up"), [(60, False), (61, True)])
async def test_the_service_may_be_unhealthy_for_a_minute(
    seconds: float, gave_up: bool, autojump_clock: MockClock
) -> None:
    started = trio.current_time()
    reasons: list[str] = []

    def current_health() -> Health:
        now = trio.current_time() - started
        return health(slot(), abandoned=4 if 100 < now <= 100.5 + seconds else 0)

    with trio.move_on_after(1000), contextlib.suppress(FatalError):
        await watch_recovery(current_health, trio.Event(), reasons.append)
    assert reasons == (["unwell for 60 s: 4 drawing threads hang"] if gave_up else [])


async def test_health_is_checked_every_second_until_the_service_stops(autojump_clock: MockClock) -> None:
    stopping, moments = trio.Event(), list[float]()

    def current_health() -> Health:
        moments.append(trio.current_time())
        return health(slot())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_recovery, current_health, stopping, pytest.fail)
        await trio.sleep(4.5)
        stopping.set()
        stopped_at = trio.current_time()
    assert [moment - moments[0] for moment in moments] == pytest.approx([0, 1, 2, 3, 4])
    assert trio.current_time() == stopped_at
