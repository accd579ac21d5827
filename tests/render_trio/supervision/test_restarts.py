"""When children are restarted, cancelled and given up, on the autojump clock; and what is recorded of it."""

from __future__ import annotations

import itertools

import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import (
    BrokenResultError,
    BusyError,
    DeliveryError,
    FatalError,
    InvalidTaskError,
    QueueUnavailableError,
    RenderFailedError,
    first_error,
)
from render_trio.supervision.restart_policy import GiveUp, Pulse, Restart, RestartPolicy, SlotPolicy, verdict
from render_trio.supervision.supervisor import Heartbeat, Supervisor
from tests.render_trio.supervision.test_supervisor import sleep, supervise


class Child:
    """Records when it starts; then returns, `seconds` later, which counts as a failure."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.starts: list[float] = []
        self.seconds = seconds

    async def __call__(self, heartbeat: Heartbeat) -> None:
        self.starts.append(trio.current_time())
        await trio.sleep(self.seconds)

    @property
    def pauses(self) -> list[float]:
        """The times between the end of a run and the start of the next."""
        return [later - earlier - self.seconds for earlier, later in itertools.pairwise(self.starts)]


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 1.0), (0.25, 1.0), (1.0, 29.0)])
async def test_the_pause_before_a_restart_doubles(share: float, seconds: float, autojump_clock: MockClock) -> None:
    child = Child(seconds)
    supervisor = supervise(child, restart_limit=100, uniform=lambda low, high: low + share * (high - low))
    with trio.move_on_after(330):
        await supervisor.run()
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10][: len(child.pauses)]
    assert len(expected) >= 8
    assert child.pauses[: len(expected)] == pytest.approx([share * pause for pause in expected])


async def test_the_pause_is_short_again_after_a_long_run(autojump_clock: MockClock) -> None:
    child = Child(30.01)
    with trio.move_on_after(200):
        await supervise(child, restart_limit=100).run()
    assert child.pauses == pytest.approx([0.1] * 6)


async def test_a_pause_before_a_restart_does_not_delay_stopping(autojump_clock: MockClock) -> None:
    child = Child(0.0)
    supervisor = Supervisor({"one": child}, restart_limit=3, restart_window=60, uniform=lambda low, high: 1e6)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(100)
        assert supervisor.slots[0].pulse.state == "waiting"
        supervisor.stop()
        stopped_at = trio.current_time()
    assert trio.current_time() == stopped_at
    assert (len(child.starts), supervisor.slots[0].pulse.state) == (1, "stopped")


async def test_restarts_are_reported_and_the_reason_for_giving_up_names_the_last_failure(
    autojump_clock: MockClock,
) -> None:
    restarted: list[str] = []
    given_up: list[str] = []
    supervisor = supervise(Child(), on_restart=restarted.append, on_give_up=given_up.append)
    with pytest.RaisesGroup(FatalError, flatten_subgroups=True):
        await supervisor.run()
    assert restarted == ["one"] * 4
    assert given_up == ["one was restarted 3 times within 60 s; last reason: returned unexpectedly"]


async def test_a_fatal_error_of_a_child_is_reported_before_it_propagates(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Heartbeat) -> None:
        raise FatalError("threads hang")

    given_up: list[str] = []
    with pytest.RaisesGroup(FatalError, flatten_subgroups=True):
        await supervise(child, on_give_up=given_up.append).run()
    assert given_up == ["threads hang"]


@pytest.mark.parametrize(("seconds", "gave_up"), [(14.9, True), (15.2, False)])
async def test_only_restarts_within_the_window_count(seconds: float, gave_up: bool, autojump_clock: MockClock) -> None:
    """Four runs, each followed by a pause of nothing, in a window of 45 s that allows three restarts."""
    supervisor = supervise(Child(seconds), restart_window=45.0, uniform=lambda low, high: 0.0)
    with trio.move_on_after(1000) as scope:
        try:
            await supervisor.run()
        except* FatalError:
            pass
    assert scope.cancelled_caught is not gave_up


@pytest.mark.parametrize(("limit", "restarts"), [(0, 0), (1, 1), (3, 3)])
def test_the_limit_is_the_number_of_restarts(limit: int, restarts: int) -> None:
    policy = RestartPolicy(limit, 60, lambda low, high: low)
    decisions = [policy.ended(0, 1) for _ in range(limit + 1)]
    assert sum(isinstance(decision, Restart) for decision in decisions) == restarts
    assert decisions[-1] == GiveUp(f"restarted {limit} times within 60 s")


def test_a_restart_counts_until_the_window_is_over() -> None:
    policy = RestartPolicy(1, 60, lambda low, high: low)
    assert policy.ended(0, 10) == Restart(0.0)
    assert isinstance(policy.ended(10, 69.9), GiveUp)
    assert policy.ended(10, 70) == Restart(0.0)
    assert isinstance(policy.ended(70, 129), GiveUp)


def test_the_pause_stays_bounded_however_often_a_child_fails() -> None:
    policy = RestartPolicy(10_000, 1e9, lambda low, high: high)
    delays = [policy.ended(now, now) for now in range(2000)]
    assert delays[-1] == Restart(10.0)


@pytest.mark.parametrize(("seconds", "runs"), [(29.0, 1), (31.0, 2)])
async def test_a_child_that_enters_no_phase_is_restarted_after_half_a_minute(
    seconds: float, runs: int, autojump_clock: MockClock
) -> None:
    starts: list[float] = []

    async def child(heartbeat: Heartbeat) -> None:
        starts.append(trio.current_time())
        await trio.sleep_forever()

    supervisor = supervise(child)
    with trio.move_on_after(seconds):
        await supervisor.run()
    assert len(starts) == runs
    assert supervisor.slots[0].last_error == ("" if runs == 1 else "stalled: starting took longer than 30 s")


async def test_a_child_is_cancelled_as_soon_as_it_exceeds_its_budget(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def child(heartbeat: Heartbeat) -> None:
        heartbeat.enter("work", 5.1)
        started = trio.current_time()
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time() - started)

    with trio.move_on_after(5.5):
        await supervise(child).run()
    assert ended[0] == pytest.approx(5.25)


async def test_a_budget_counts_from_the_start_of_its_phase(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Heartbeat) -> None:
        for _ in range(10):
            heartbeat.enter("work", 5)
            await trio.sleep(4)
        await trio.sleep_forever()

    supervisor = supervise(child)
    with trio.move_on_after(40):
        await supervisor.run()
    assert supervisor.slots[0].restarts == 0


async def test_a_cancelled_child_has_ten_seconds_to_end(autojump_clock: MockClock) -> None:
    states: list[tuple[float, str, int]] = []

    async def child(heartbeat: Heartbeat) -> None:
        heartbeat.enter("work", 5)
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)

    supervisor = Supervisor({"one": child}, restart_limit=3, restart_window=60, uniform=lambda low, high: 100.0)
    slot = supervisor.slots[0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        for moment in (4.9, 5.6, 15.1, 15.9):
            await trio.sleep_until(moment)
            states.append((moment, slot.pulse.state, slot.policy.abandoned))
        nursery.cancel_scope.cancel()
    assert states == [(4.9, "running", 0), (5.6, "cancelling", 0), (15.1, "cancelling", 0), (15.9, "waiting", 1)]


async def test_a_stalled_child_can_be_restarted_before_the_watchdog_looks(autojump_clock: MockClock) -> None:
    """After the system was suspended, the clock has jumped: every budget is exceeded at once."""

    async def stall(heartbeat: Heartbeat) -> None:
        heartbeat.enter("work", 5)
        await trio.sleep_forever()

    supervisor = supervise(stall)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(4.8)
        assert supervisor.restart_stalled() == []
        await trio.sleep(0.21)
        assert supervisor.restart_stalled() == ["one"]
        assert supervisor.restart_stalled() == [], "it is cancelled already"
        await trio.sleep(0.05)
        assert supervisor.slots[0].last_error == "stalled: work took longer than 5 s"
        nursery.cancel_scope.cancel()


async def test_one_child_can_be_restarted_by_its_name(autojump_clock: MockClock) -> None:
    supervisor = supervise(sleep)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(1)
        assert supervisor.restart("two", "as requested")
        assert not supervisor.restart("three", "as requested")
        await trio.sleep(1)
        assert [slot.restarts for slot in supervisor.slots] == [0, 1]
        assert supervisor.slots[1].last_error == "as requested"
        nursery.cancel_scope.cancel()


async def test_no_child_is_restarted_after_all_were_cancelled(autojump_clock: MockClock) -> None:
    supervisor = supervise(sleep)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(1)
        supervisor.cancel_all("the time to drain is over")
    assert [(slot.pulse.state, slot.restarts, slot.last_error) for slot in supervisor.slots] == [("stopped", 0, "")] * 2


async def test_a_slot_records_what_its_child_reports(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Heartbeat) -> None:
        heartbeat.enter("work", 100)
        for kind in ("polled", "finished", "finished", "unreachable"):
            await trio.sleep(1)
            heartbeat.progress(kind)
        await trio.sleep(1)
        heartbeat.progress("something else")
        await trio.sleep_forever()

    supervisor = Supervisor({"one": child}, restart_limit=3, restart_window=60)
    slot = supervisor.slots[0]
    started = trio.current_time()
    with trio.move_on_after(1.5):
        await supervisor.run()
    assert (slot.last_polled, slot.reachable, slot.finished) == (started + 1, True, 0)
    assert (slot.pulse.phase, slot.pulse.budget, slot.pulse.since) == ("work", 100, started)

    supervisor = Supervisor({"one": child}, restart_limit=3, restart_window=60)
    slot = supervisor.slots[0]
    started = trio.current_time()
    with trio.move_on_after(10):
        await supervisor.run()
    assert (slot.last_polled, slot.reachable) == (started + 1, False)
    assert (slot.finished, slot.last_finished) == (2, started + 3)


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [
        ("cancelling", 10.0, "fine"),
        ("cancelling", 10.1, "wedged"),
        ("wedged", 10.1, "wedged"),
        ("waiting", 1e6, "fine"),
        ("stopped", 1e6, "fine"),
    ],
)
def test_only_a_cancelled_child_can_be_wedged(state: str, seconds: float, expected: str) -> None:
    assert verdict(Pulse("work", 0.0, 5.0, state), seconds) == expected  # type: ignore[arg-type]


def test_a_child_may_be_wedged_once_and_again_when_the_first_incarnation_has_ended() -> None:
    policy = SlotPolicy(RestartPolicy(100, 60, lambda low, high: low))
    policy.begin(0)
    policy.abandon()
    assert isinstance(policy.ended(1), Restart)
    policy.abandoned_ended()
    policy.begin(1)
    policy.abandon()
    assert isinstance(policy.ended(2), Restart)
    policy.begin(2)
    policy.enter("settle", 5, 2)
    policy.abandon()
    assert policy.ended(3) == GiveUp("wedged 2 times in settle and did not end when cancelled")


def test_an_error_without_a_message_has_a_description() -> None:
    assert str(RenderFailedError()) == "The document could not be drawn."
    assert str(RenderFailedError("no ink")) == "no ink"
    assert str(DeliveryError(store_full=True)) == "The document could not be stored."
    assert str(QueueUnavailableError(pause=5)).startswith("The queue can't be reached at the moment.")
    assert QueueUnavailableError().pause == 0
    assert str(BusyError(7)) == "too many documents are being requested; try again in 7 s"
    assert BusyError(7).retry_after == 7


def test_an_error_has_its_message_and_what_is_known_of_the_cause() -> None:
    broken = BrokenResultError("not a PDF", "one")
    assert (str(broken), broken.task_id, BrokenResultError("x").task_id) == ("not a PDF", "one", "")
    full = DeliveryError("no space", store_full=True)
    assert (str(full), full.store_full, DeliveryError("x").store_full) == ("no space", True, False)
    unavailable = QueueUnavailableError("503 busy", 5)
    assert (str(unavailable), unavailable.pause) == ("503 busy", 5)
    invalid = InvalidTaskError("invalid_option", "copies is 51", "copies")
    assert (str(invalid), invalid.code, invalid.field) == ("copies is 51", "invalid_option", "copies")


def test_the_first_error_of_a_group_is_found_at_any_depth() -> None:
    first, second = ValueError("first"), ValueError("second")
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [first, second]), second])
    assert first_error(group) is first
    assert first_error(second) is second
