"""Slots are kept alive: the rules by themselves, then the running thing under the autojump clock."""

from __future__ import annotations

import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from trio.testing import MockClock

from render_trio.errors import FatalError
from render_trio.supervision.restart_policy import (
    LEFT_BEHIND_LIMIT,
    MAX_BACKOFF,
    STABLE_SECONDS,
    WEDGED_SECONDS,
    GiveUp,
    Pulse,
    Restart,
    RestartPolicy,
    SlotPolicy,
    verdict,
)
from render_trio.supervision.supervisor import Slot, Supervisor


class SlotMachine(RuleBasedStateMachine):
    """One slot's life at random: budgets overrun, children that fail, end late or never."""

    LIMIT, WINDOW = 4, 60.0

    def __init__(self) -> None:
        super().__init__()
        self.policy = SlotPolicy(RestartPolicy(self.LIMIT, self.WINDOW, lambda low, high: high))
        self.now = 0.0
        self.begun = 0.0
        self.restarts: list[float] = []
        self.in_a_row = 0
        self.gave_up = False

    @property
    def state(self) -> str:
        return self.policy.pulse.state

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.state == "waiting" and not self.gave_up)
    @rule()
    def begins(self) -> None:
        self.policy.begin(self.now)
        self.begun = self.now
        assert verdict(self.policy.pulse, self.now) == "fine"

    @precondition(lambda self: self.state == "running")
    @rule(budget=st.floats(0.1, 60))
    def enters(self, budget: float) -> None:
        self.policy.enter("work", budget, self.now)
        assert verdict(self.policy.pulse, self.now) == "fine"

    @rule()
    def watchdog_looks(self) -> None:
        pulse = self.policy.pulse
        decision = verdict(pulse, self.now)
        if decision == "cancel":
            assert self.state == "running"
            assert self.now - pulse.since > pulse.budget
            assert self.policy.cancel(self.now)
            assert not self.policy.cancel(self.now), "nobody is cancelled twice"
        elif decision == "wedged" and self.state == "cancelling":
            assert self.now - pulse.cancelled_at > WEDGED_SECONDS
            self.policy.leave_behind()
            self.over()

    @precondition(lambda self: self.state in ("running", "cancelling"))
    @rule()
    def child_ends(self) -> None:
        self.over()

    @precondition(lambda self: self.policy.left_behind)
    @rule()
    def left_behind_ends(self) -> None:
        self.policy.left_behind_ended()

    def over(self) -> None:
        recent = [time for time in self.restarts if time > self.now - self.WINDOW]
        decision = self.policy.ended(self.now)
        if self.policy.left_behind > LEFT_BEHIND_LIMIT or len(recent) >= self.LIMIT:
            assert isinstance(decision, GiveUp)
            self.gave_up = True
            return
        assert isinstance(decision, Restart)
        self.in_a_row = 0 if self.now - self.begun >= STABLE_SECONDS else self.in_a_row
        assert decision.delay == pytest.approx(min(MAX_BACKOFF, 0.1 * 2**self.in_a_row))
        self.in_a_row += 1
        self.restarts.append(self.now)
        assert self.state == "waiting"

    @invariant()
    def never_too_many(self) -> None:
        for start in self.restarts:
            assert sum(start < time <= start + self.WINDOW for time in self.restarts) <= self.LIMIT
        assert 0 <= self.policy.left_behind <= LEFT_BEHIND_LIMIT + self.gave_up


TestSlot = SlotMachine.TestCase


def test_the_delay_doubles_and_a_stable_run_resets_it() -> None:
    policy = RestartPolicy(100, 60, lambda low, high: high)
    delays = [policy.ended(0, 0).delay for _ in range(4)]  # type: ignore[union-attr]
    assert delays == [0.1, 0.2, 0.4, 0.8]
    assert policy.ended(0, STABLE_SECONDS).delay == 0.1  # type: ignore[union-attr]


@given(st.floats(0, 100), st.floats(0.1, 100))
def test_only_an_overrun_is_cancelled(age: float, budget: float) -> None:
    pulse = Pulse("work", 0.0, budget, "running")
    assert verdict(pulse, age) == ("cancel" if age > budget else "fine")


async def sleep(heartbeat: Slot) -> None:
    heartbeat.enter("idle", 1e9)
    await trio.sleep_forever()


def supervise(child: object, **options: object) -> Supervisor:
    settings: dict[str, object] = {"restart_limit": 3, "restart_window": 60.0, "uniform": lambda low, high: high}
    return Supervisor({"one": child, "two": sleep}, **(settings | options))  # type: ignore[arg-type,dict-item]


async def test_a_child_that_fails_is_started_again(autojump_clock: MockClock) -> None:
    starts: list[float] = []

    async def child(heartbeat: Slot) -> None:
        starts.append(trio.current_time())
        if len(starts) < 3:
            raise ValueError("broken")
        await sleep(heartbeat)

    supervisor = supervise(child)
    with trio.move_on_after(10):
        await supervisor.run()
    assert len(starts) == 3
    assert supervisor.slots[0].restarts == 2
    assert supervisor.slots[0].last_error == "ValueError: broken"
    assert supervisor.slots[1].restarts == 0


async def test_a_return_counts_as_a_failure(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Slot) -> None:
        await trio.lowlevel.checkpoint()

    supervisor = supervise(child)
    with pytest.RaisesGroup(FatalError, flatten_subgroups=True):
        await supervisor.run()
    assert supervisor.slots[0].restarts == 4


async def test_a_fatal_error_ends_everything(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Slot) -> None:
        raise FatalError("threads hang")

    with pytest.RaisesGroup(pytest.RaisesExc(FatalError, match="threads hang"), flatten_subgroups=True):
        await supervise(child).run()


async def test_a_fatal_error_is_neither_a_restart_nor_a_return(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Slot) -> None:
        await trio.sleep(1)
        raise FatalError("threads hang")

    restarted: list[str] = []
    supervisor = supervise(child, on_restart=restarted.append)
    with structlog.testing.capture_logs() as logs, pytest.RaisesGroup(FatalError, flatten_subgroups=True):
        await supervisor.run()
    assert restarted == []
    assert supervisor.slots[0].restarts == 0
    assert supervisor.slots[0].last_error == "threads hang"
    assert not [line for line in logs if line["event"] == "restarting"]


async def test_what_overruns_its_budget_is_restarted(autojump_clock: MockClock) -> None:
    runs = 0

    async def child(heartbeat: Slot) -> None:
        nonlocal runs
        runs += 1
        heartbeat.enter("render", 5)
        await trio.sleep_forever()

    supervisor = supervise(child)
    with trio.move_on_after(13):
        await supervisor.run()
    assert runs == 3
    assert supervisor.slots[0].last_error == "stalled: render took over 5 s"


async def test_what_ignores_its_cancellation_is_given_up(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Slot) -> None:
        heartbeat.enter("render", 5)
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)

    told: list[tuple[str, float]] = []
    supervisor = supervise(child, on_give_up=lambda reason: told.append((reason, trio.current_time())))
    begun = trio.current_time()
    with pytest.RaisesGroup(pytest.RaisesExc(FatalError, match="wedged 2 times in render"), flatten_subgroups=True):
        await supervisor.run()
    # Told while the two still blocked the way out: somebody has to end the process.
    ((reason, when),) = told
    assert "one was wedged 2 times" in reason
    assert when - begun < 40


async def test_a_wedged_child_is_left_behind_and_its_slot_begins_anew(autojump_clock: MockClock) -> None:
    runs: list[Slot] = []
    delivered: list[str] = []

    async def child(heartbeat: Slot) -> None:
        runs.append(heartbeat)
        if len(runs) > 1:
            await sleep(heartbeat)
        heartbeat.enter("settle", 5)
        with trio.CancelScope(shield=True):
            await trio.sleep(100)  # a thread that hangs, on a folder that went away
        heartbeat.enter("more work", 5)
        heartbeat.progress("finished")
        await trio.lowlevel.checkpoint()
        delivered.append("late")

    supervisor = supervise(child)
    slot = supervisor.slots[0]
    with trio.move_on_after(200):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.run)
            await trio.sleep(20)
            assert (len(runs), slot.policy.left_behind, slot.pulse.phase) == (2, 1, "idle")
            assert slot.last_error.startswith("wedged in settle: it did not end when cancelled (stalled: settle took")
            await trio.sleep(100)
            # It came back, and the first thing it noticed was that it had been cancelled.
            assert (len(runs), slot.policy.left_behind, slot.pulse.phase) == (2, 0, "idle")
            assert slot.finished == 0
            nursery.cancel_scope.cancel()
    assert delivered == []


async def test_while_stopping_a_wedged_child_is_not_replaced(autojump_clock: MockClock) -> None:
    runs: list[Slot] = []

    async def child(heartbeat: Slot) -> None:
        runs.append(heartbeat)
        heartbeat.enter("settle", 1e9)
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)

    supervisor = Supervisor({"one": child}, restart_limit=3, restart_window=60)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(1)
        supervisor.cancel_all("the time to drain is over")
        await trio.sleep(15)
        assert (len(runs), supervisor.slots[0].pulse.state) == (1, "wedged")
        nursery.cancel_scope.cancel()


async def test_told_to_stop_it_waits_for_its_children(autojump_clock: MockClock) -> None:
    ended: list[float] = []
    supervisor: Supervisor

    async def child(heartbeat: Slot) -> None:
        heartbeat.enter("work", 100)
        await supervisor.stopping.wait()
        await trio.sleep(3)
        ended.append(trio.current_time())

    supervisor = Supervisor({"one": child}, restart_limit=3, restart_window=60)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(1)
        supervisor.stop()
    assert len(ended) == 1
    assert supervisor.slots[0].pulse.state == "stopped"
