"""Supervision: the rules on their own, then a running supervisor under the autojump clock."""

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
    MAX_ABANDONED,
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
from render_trio.supervision.supervisor import RETURNED, Slot, Supervisor


class SlotMachine(RuleBasedStateMachine):
    """Random lives of one slot: children exceed their budgets, fail, end late or never end."""

    LIMIT, WINDOW = 4, 60.0

    def __init__(self) -> None:
        super().__init__()
        self.policy = SlotPolicy(RestartPolicy(self.LIMIT, self.WINDOW, lambda low, high: high))
        self.now = 0.0
        self.started = 0.0
        self.restarts: list[float] = []
        self.failures = 0
        self.gave_up = False

    @property
    def state(self) -> str:
        return self.policy.pulse.state

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.state == "waiting" and not self.gave_up)
    @rule()
    def incarnation_starts(self) -> None:
        self.policy.begin(self.now)
        self.started = self.now
        assert verdict(self.policy.pulse, self.now) == "fine"

    @precondition(lambda self: self.state == "running")
    @rule(budget=st.floats(0.1, 60))
    def phase_starts(self, budget: float) -> None:
        self.policy.enter("work", budget, self.now)
        assert verdict(self.policy.pulse, self.now) == "fine"

    @rule()
    def watchdog_checks(self) -> None:
        pulse = self.policy.pulse
        decision = verdict(pulse, self.now)
        if decision == "cancel":
            assert self.state == "running"
            assert self.now - pulse.since > pulse.budget
            assert self.policy.cancel(self.now)
            assert not self.policy.cancel(self.now), "an incarnation is cancelled only once"
        elif decision == "wedged" and self.state == "cancelling":
            assert self.now - pulse.cancelled_at > WEDGED_SECONDS
            self.policy.abandon()
            self.end()

    @precondition(lambda self: self.state in ("running", "cancelling"))
    @rule()
    def child_ends(self) -> None:
        self.end()

    @precondition(lambda self: self.policy.abandoned)
    @rule()
    def abandoned_incarnation_ends(self) -> None:
        self.policy.abandoned_ended()

    def end(self) -> None:
        recent = [time for time in self.restarts if time > self.now - self.WINDOW]
        decision = self.policy.ended(self.now)
        if self.policy.abandoned > MAX_ABANDONED or len(recent) >= self.LIMIT:
            assert isinstance(decision, GiveUp)
            self.gave_up = True
            return
        assert isinstance(decision, Restart)
        self.failures = 0 if self.now - self.started >= STABLE_SECONDS else self.failures
        assert decision.delay == pytest.approx(min(MAX_BACKOFF, 0.1 * 2**self.failures))
        self.failures += 1
        self.restarts.append(self.now)
        assert self.state == "waiting"

    @invariant()
    def restarts_and_abandoned_incarnations_are_bounded(self) -> None:
        for start in self.restarts:
            assert sum(start < time <= start + self.WINDOW for time in self.restarts) <= self.LIMIT
        assert 0 <= self.policy.abandoned <= MAX_ABANDONED + self.gave_up


TestSlot = SlotMachine.TestCase


def test_the_delay_doubles_until_a_stable_run_resets_it() -> None:
    policy = RestartPolicy(100, 60, lambda low, high: high)
    delays = [policy.ended(0, 0).delay for _ in range(4)]  # type: ignore[union-attr]
    assert delays == [0.1, 0.2, 0.4, 0.8]
    assert policy.ended(0, STABLE_SECONDS).delay == 0.1  # type: ignore[union-attr]


@given(st.floats(0, 100), st.floats(0.1, 100))
def test_only_a_phase_that_exceeds_its_budget_is_cancelled(age: float, budget: float) -> None:
    pulse = Pulse("work", 0.0, budget, "running")
    assert verdict(pulse, age) == ("cancel" if age > budget else "fine")


async def sleep(heartbeat: Slot) -> None:
    heartbeat.enter("idle", 1e9)
    await trio.sleep_forever()


def supervise(child: object, **options: object) -> Supervisor:
    settings: dict[str, object] = {"restart_limit": 3, "restart_window": 60.0, "uniform": lambda low, high: high}
    return Supervisor({"one": child, "two": sleep}, **(settings | options))  # type: ignore[arg-type,dict-item]


async def test_a_child_that_fails_is_restarted(autojump_clock: MockClock) -> None:
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
    assert supervisor.slots[0].last_error.startswith("ValueError in child (test_supervisor.py:")
    assert supervisor.slots[1].restarts == 0


async def test_a_return_counts_as_a_failure(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Slot) -> None:
        await trio.lowlevel.checkpoint()

    supervisor = supervise(child)
    with pytest.RaisesGroup(FatalError, flatten_subgroups=True):
        await supervisor.run()
    assert supervisor.slots[0].restarts == 4
    assert supervisor.slots[0].last_error == RETURNED


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
    assert not [line for line in logs if line["event"] == "worker restarting"]


async def test_a_child_that_exceeds_its_budget_is_restarted(autojump_clock: MockClock) -> None:
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
    assert supervisor.slots[0].last_error == "stalled: render took longer than 5 s"


async def test_a_child_that_never_ends_when_cancelled_makes_the_supervisor_give_up(autojump_clock: MockClock) -> None:
    async def child(heartbeat: Slot) -> None:
        heartbeat.enter("render", 5)
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)

    reports: list[tuple[str, float]] = []
    supervisor = supervise(child, on_give_up=lambda reason: reports.append((reason, trio.current_time())))
    started = trio.current_time()
    with pytest.RaisesGroup(pytest.RaisesExc(FatalError, match="wedged 2 times in render"), flatten_subgroups=True):
        await supervisor.run()
    # Called while the two wedged children still delayed the exception, so that the process can be ended in time.
    ((reason, when),) = reports
    assert "one was wedged 2 times" in reason
    assert when - started < 40


async def test_a_wedged_child_is_abandoned_and_replaced(autojump_clock: MockClock) -> None:
    runs: list[Slot] = []
    delivered: list[str] = []

    async def child(heartbeat: Slot) -> None:
        runs.append(heartbeat)
        if len(runs) > 1:
            await sleep(heartbeat)
        heartbeat.enter("settle", 5)
        with trio.CancelScope(shield=True):
            await trio.sleep(100)  # a thread that hangs, for example in a folder on a file system that is gone
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
            assert (len(runs), slot.policy.abandoned, slot.pulse.phase) == (2, 1, "idle")
            assert slot.last_error.startswith("wedged in settle: did not end when cancelled (stalled: settle took")
            await trio.sleep(100)
            # The shield is gone, and its first checkpoint has raised Cancelled.
            assert (len(runs), slot.policy.abandoned, slot.pulse.phase) == (2, 0, "idle")
            assert slot.finished == 0
            nursery.cancel_scope.cancel()
    assert delivered == []


async def test_a_wedged_child_is_not_replaced_while_stopping(autojump_clock: MockClock) -> None:
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


async def test_a_stopping_supervisor_waits_for_its_children(autojump_clock: MockClock) -> None:
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
