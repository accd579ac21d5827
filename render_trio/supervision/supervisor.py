"""Slots that are kept alive: each runs its child in one incarnation after another.

A child is `async def child(heartbeat)`. It says through the heartbeat what it does and how long that may
take; the watchdog cancels what overruns. The rules are in `policy`; what a child is for isn't known here.

Trio lets no task go before its children have ended, and a child behind a shield may not. So incarnations live
in a nursery outside that of the slots: a slot can turn its back on one, and begin anew. Only `run` waits for
what was left behind, at its end, and whoever calls it keeps a timer for that.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
import trio

from render_trio.errors import FatalError, first_error
from render_trio.supervision.restart_policy import GiveUp, Pulse, RestartPolicy, SlotPolicy, verdict

WATCH_SECONDS = 0.25  # between two looks of the watchdog
log = structlog.get_logger(__name__)


class Heartbeat(Protocol):
    """What a child is given, to say how it is."""

    def enter(self, phase: str, budget: float) -> None:
        """Begin a phase that may last `budget` seconds."""

    def progress(self, kind: str) -> None:
        """Note that something came to its end: `polled`, `finished` or `unreachable`."""


Child = Callable[[Heartbeat], Awaitable[None]]


@dataclass(slots=True)
class Slot:
    """One place for a child, and what is known of it over all its incarnations."""

    name: str
    child: Child
    policy: SlotPolicy
    restarts: int = 0
    finished: int = 0
    last_finished: float | None = None
    last_polled: float | None = None
    reachable: bool | None = None
    last_error: str = ""
    current: _Incarnation | None = None

    @property
    def pulse(self) -> Pulse:
        """What the present incarnation last said."""
        return self.policy.pulse

    def enter(self, phase: str, budget: float) -> None:
        """Begin a phase that may last `budget` seconds."""
        self.policy.enter(phase, budget, trio.current_time())

    def progress(self, kind: str) -> None:
        """Note that something came to its end: `polled`, `finished` or `unreachable`."""
        now = trio.current_time()
        if kind == "finished":
            self.finished, self.last_finished = self.finished + 1, now
        elif kind == "polled":
            self.last_polled, self.reachable = now, True
        elif kind == "unreachable":
            self.reachable = False


@dataclass(slots=True, eq=False)
class _Incarnation:
    """One run of a slot's child; the heartbeat that the child is given."""

    slot: Slot
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    over: trio.Event = field(default_factory=trio.Event)
    reason: str = "it returned, which it should not"
    left_behind: bool = False
    fatal: bool = False

    def enter(self, phase: str, budget: float) -> None:
        """Begin a phase; from one that was left behind this says nothing about the slot any more."""
        if not self.left_behind:
            self.slot.enter(phase, budget)

    def progress(self, kind: str) -> None:
        """Note that something came to its end."""
        if not self.left_behind:
            self.slot.progress(kind)

    def cancel(self, reason: str) -> None:
        if self.slot.policy.cancel(trio.current_time()):
            self.reason = reason
            self.scope.cancel(reason=reason)

    def leave_behind(self) -> None:
        self.left_behind = True
        self.reason = f"wedged in {self.slot.pulse.phase}: it did not end when cancelled ({self.reason})"
        self.slot.policy.leave_behind()
        self.over.set()

    async def run(self) -> None:
        """Run the child, in a cancel scope of its own. Raises FatalError, and nothing else of the child's."""
        try:
            with structlog.contextvars.bound_contextvars(worker=self.slot.name), self.scope:
                try:
                    await self.slot.child(self)
                except* FatalError as group:
                    first = first_error(group)
                    self.fatal, self.reason = True, str(first)
                    raise first from None
                except* Exception as group:
                    first = first_error(group)
                    self.reason = f"{type(first).__name__}: {first}"
                    log.error("a worker failed", exc_info=group)
        finally:
            if self.left_behind:
                self.slot.policy.left_behind_ended()
                log.warning("a worker that was left behind has ended", worker=self.slot.name)
            self.over.set()


class Supervisor:
    """Keeps the slots alive until it is told to stop."""

    def __init__(
        self,
        children: dict[str, Child],
        *,
        restart_limit: int,
        restart_window: float,
        on_restart: Callable[[str], None] = lambda name: None,
        on_give_up: Callable[[str], None] = lambda reason: None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`on_give_up` is told before FatalError is raised, whose way out a wedged child may block."""
        self.slots: Sequence[Slot] = [
            Slot(name, child, SlotPolicy(RestartPolicy(restart_limit, restart_window, uniform)))
            for name, child in children.items()
        ]
        self.stopping = trio.Event()
        self._on_restart = on_restart
        self._on_give_up = on_give_up

    async def run(self) -> None:
        """Run all slots; returns when told to stop and all have ended. Raises FatalError when it gives up."""
        async with trio.open_nursery() as incarnations, trio.open_nursery() as watching:
            watching.start_soon(self._watch)
            async with trio.open_nursery() as slots:
                for slot in self.slots:
                    slots.start_soon(self._keep_alive, slot, incarnations)
            watching.cancel_scope.cancel()

    def stop(self) -> None:
        """Let children end by themselves, and start none anew."""
        self.stopping.set()

    def cancel_all(self, reason: str) -> None:
        """Cancel every child; each gives back what it holds."""
        self.stopping.set()
        for slot in self.slots:
            _cancel(slot, reason)

    def restart_stalled(self) -> list[str]:
        """Cancel what overran its budget, for a restart; returns the names."""
        now = trio.current_time()
        stalled = [slot for slot in self.slots if verdict(slot.pulse, now) == "cancel"]
        for slot in stalled:
            _cancel_stalled(slot)
        return [slot.name for slot in stalled]

    def restart(self, name: str, reason: str) -> bool:
        """Cancel one child for a restart; returns whether there is one of this name."""
        for slot in self.slots:
            if slot.name == name:
                _cancel(slot, reason)
                return True
        return False

    async def _keep_alive(self, slot: Slot, incarnations: trio.Nursery) -> None:
        while not self.stopping.is_set():
            slot.current = incarnation = _Incarnation(slot)
            slot.policy.begin(trio.current_time())
            incarnations.start_soon(self._incarnate, incarnation)
            await incarnation.over.wait()
            if self.stopping.is_set():
                break
            slot.last_error = incarnation.reason
            if incarnation.fatal:  # its exception is on its way through the nursery of the incarnations
                break
            slot.restarts += 1
            self._on_restart(slot.name)
            decision = slot.policy.ended(trio.current_time())
            if isinstance(decision, GiveUp):
                raise self._give_up(f"{slot.name} was {decision.reason}; last: {incarnation.reason}")
            log.warning("restarting", worker=slot.name, reason=incarnation.reason, delay=round(decision.delay, 2))
            with trio.move_on_after(decision.delay):
                await self.stopping.wait()
        slot.policy.stop()

    async def _incarnate(self, incarnation: _Incarnation) -> None:
        try:
            await incarnation.run()
        except* FatalError as group:
            raise self._give_up(str(first_error(group))) from None

    def _give_up(self, reason: str) -> FatalError:
        self._on_give_up(reason)
        return FatalError(reason)

    async def _watch(self) -> None:
        while True:
            await trio.sleep(WATCH_SECONDS)
            now = trio.current_time()
            for slot in self.slots:
                decision = verdict(slot.pulse, now)
                if decision == "cancel":
                    _cancel_stalled(slot)
                elif decision == "wedged" and slot.current is not None and not slot.current.over.is_set():
                    log.error("wedged; left behind", worker=slot.name, phase=slot.pulse.phase)
                    slot.current.leave_behind()


def _cancel_stalled(slot: Slot) -> None:
    reason = f"stalled: {slot.pulse.phase} took over {slot.pulse.budget:.0f} s"
    log.error("cancelling", worker=slot.name, reason=reason)
    _cancel(slot, reason)


def _cancel(slot: Slot, reason: str) -> None:
    if slot.current is not None:
        slot.current.cancel(reason)
