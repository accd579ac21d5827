"""Slots are kept alive: the rules by themselves, then the running thing under the autojump clock."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from trio.testing import MockClock

from render_trio.errors import FatalError
from render_trio.policy import BACKOFF_MOST, STABLE_SECONDS, GiveUp, Pulse, Restart, RestartPolicy, verdict
from render_trio.supervisor import Slot, Supervisor


class PolicyMachine(RuleBasedStateMachine):
    """Failures at random times: never more restarts in the window than allowed, delays always bounded."""

    LIMIT, WINDOW = 4, 60.0

    def __init__(self) -> None:
        super().__init__()
        self.policy = RestartPolicy(self.LIMIT, self.WINDOW, lambda low, high: high)
        self.now = 0.0
        self.restarts: list[float] = []
        self.gave_up = False

    @rule(run=st.floats(0, 2 * STABLE_SECONDS))
    def fail_after(self, run: float) -> None:
        started, self.now = self.now, self.now + run
        recent = [time for time in self.restarts if time > self.now - self.WINDOW]
        decision = self.policy.ended(started, self.now)
        if len(recent) >= self.LIMIT:
            assert isinstance(decision, GiveUp)
        else:
            assert isinstance(decision, Restart)
            assert 0 <= decision.delay <= BACKOFF_MOST
            self.restarts.append(self.now)

    @invariant()
    def never_too_many(self) -> None:
        for start in self.restarts:
            assert sum(start < time <= start + self.WINDOW for time in self.restarts) <= self.LIMIT


TestPolicy = PolicyMachine.TestCase


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

    with pytest.RaisesGroup(pytest.RaisesExc(FatalError, match="wedged in render"), flatten_subgroups=True):
        await supervise(child).run()


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
