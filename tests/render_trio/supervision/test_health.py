"""The judgement of health, pure: what moves is well, what exists but doesn't is not."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import FatalError
from render_trio.supervision.health import Health, judge
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


def test_a_worker_that_polls_is_well_and_its_ages_are_told() -> None:
    told = health(slot(last_polled=NOW - 7, reachable=True, finished=3, last_finished=NOW - 40, restarts=2))
    assert (told.status, told.reasons, told.ready) == ("ok", (), True)
    (worker,) = told.workers
    assert (worker.phase, worker.phase_seconds, worker.finished, worker.restarts) == ("poll", 5.0, 3, 2)
    assert (told.last_poll_seconds, worker.last_finished_seconds) == (7.0, 40.0)


def test_one_that_overruns_its_phase_is_not_well() -> None:
    stalled = slot(last_polled=NOW, reachable=True)
    stalled.policy.enter("work", 60, NOW - 61)
    assert health(stalled).reasons == ("worker-1 is running in work",)


@pytest.mark.parametrize(("seconds", "well"), [(WEDGED_SECONDS - 1, True), (WEDGED_SECONDS + 1, False)])
def test_one_that_is_being_cancelled_is_well_until_it_counts_as_wedged(seconds: float, well: bool) -> None:
    cancelled = slot()
    cancelled.policy.cancel(NOW - seconds)
    assert health(cancelled).well is well


def test_one_that_was_left_behind_is_told_and_its_successor_is_well() -> None:
    replaced = slot(restarts=1, last_error="wedged in settle")
    replaced.policy.cancel(NOW - 20)
    replaced.policy.leave_behind()
    replaced.policy.ended(NOW - 9)
    assert health(replaced).well, "waiting for its restart: recovered"
    replaced.policy.begin(NOW - 8)
    told = health(replaced)
    assert told.well
    assert (told.workers[0].left_behind, told.workers[0].last_error) == (1, "wedged in settle")


@pytest.mark.parametrize(
    ("known", "ready"),
    [
        ({"last_polled": NOW - 10, "reachable": True}, True),
        ({"last_polled": NOW - 31, "reachable": True}, False),
        ({"last_polled": NOW - 10, "reachable": False}, False),
        ({}, False),
    ],
)
def test_it_is_ready_while_the_queue_was_reached_not_long_ago(known: dict[str, Any], ready: bool) -> None:
    told = health(slot(**known))
    assert told.ready is ready
    assert told.well, "a queue that is away is no reason to restart us"


def test_while_draining_it_is_well_but_not_ready() -> None:
    told = health(slot(last_polled=NOW, reachable=True), draining=True)
    assert (told.well, told.ready) == (True, False)


def test_threads_that_hang_are_a_reason_at_their_limit() -> None:
    assert health(slot(), abandoned=3).well
    assert health(slot(), abandoned=4).reasons == ("4 drawing threads hang",)


async def test_what_stays_unwell_is_given_up_and_what_recovers_is_not(autojump_clock: MockClock) -> None:
    told: list[tuple[str, float]] = []
    begun = trio.current_time()

    def judged() -> Health:
        now = trio.current_time() - begun
        return health(slot(), abandoned=0 if now < 10 or 60 < now < 62 else 4)

    def give_up(reason: str) -> None:
        told.append((reason, trio.current_time() - begun))

    with pytest.raises(FatalError, match="unwell for 60 s: 4 drawing threads hang"):
        await watch_recovery(judged, trio.Event(), give_up)
    ((reason, when),) = told
    assert reason.startswith("unwell for 60 s")
    assert 120 < when < 125, "counted from the last time it was well"


async def test_while_stopping_nothing_is_given_up(autojump_clock: MockClock) -> None:
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_recovery, lambda: health(slot(), abandoned=4), stopping, pytest.fail)
        await trio.sleep(59)
        stopping.set()
