"""Children → children kept alive: each slot runs its child in one incarnation after another.

A child is `async def child(heartbeat)`. It reports through the heartbeat which phase it enters and how long that may
take; the watchdog cancels a child that exceeds this budget. The rules are in `restart_policy`. The supervisor doesn't
depend on what the children do.

A Trio nursery closes only when all its tasks have ended, and a task behind a shield may never end. Incarnations
therefore run in a nursery outside that of the slots: a slot can abandon a wedged incarnation and start a new one. Only
`run` waits for abandoned incarnations, when it ends; its caller needs a timer for that.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
import trio

from render_trio.errors import FatalError, first_error, loggable
from render_trio.supervision.restart_policy import GiveUp, Pulse, RestartPolicy, SlotPolicy, verdict

POLL_INTERVAL = 0.25  # s between two checks of the watchdog
RETURNED = "returned unexpectedly"  # the reason for a restart if a child ends without an exception
log = structlog.get_logger(__name__)


class Heartbeat(Protocol):
    """The interface through which a child reports its progress."""

    def enter(self, phase: str, budget: float) -> None:
        """Enter a phase that may take `budget` seconds."""

    def progress(self, kind: str) -> None:
        """Report an event: the queue has answered (`polled`) or is `unreachable`, or a task is `finished`."""


Child = Callable[[Heartbeat], Awaitable[None]]


@dataclass(slots=True)
class Slot:
    """A child and its record over all its incarnations. Times are those of Trio's clock."""

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
        """What the current incarnation last reported."""
        return self.policy.pulse

    def enter(self, phase: str, budget: float) -> None:
        """Enter a phase that may take `budget` seconds."""
        self.policy.enter(phase, budget, trio.current_time())

    def progress(self, kind: str) -> None:
        """Record an event: `polled`, `finished` or `unreachable`."""
        now = trio.current_time()
        if kind == "finished":
            self.finished, self.last_finished = self.finished + 1, now
        elif kind == "polled":
            self.last_polled, self.reachable = now, True
        elif kind == "unreachable":
            self.reachable = False


@dataclass(slots=True, eq=False)
class _Incarnation:
    """One run of a slot's child, and the heartbeat that is passed to it."""

    slot: Slot
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    over: trio.Event = field(default_factory=trio.Event)
    reason: str = RETURNED
    abandoned: bool = False
    fatal: bool = False

    def enter(self, phase: str, budget: float) -> None:
        """Enter a phase. Ignored after the incarnation was abandoned: the slot has a new one."""
        if not self.abandoned:
            self.slot.enter(phase, budget)

    def progress(self, kind: str) -> None:
        """Record an event. Ignored after the incarnation was abandoned."""
        if not self.abandoned:
            self.slot.progress(kind)

    def cancel(self, reason: str) -> None:
        if self.slot.policy.cancel(trio.current_time()):
            self.reason = reason
            self.scope.cancel(reason=reason)

    def abandon(self) -> None:
        self.abandoned = True
        self.reason = f"wedged in {self.slot.pulse.phase}: did not end when cancelled ({self.reason})"
        self.slot.policy.abandon()
        self.over.set()

    async def run(self) -> None:
        """Run the child in its own cancel scope. Raises FatalError, but none of the child's other exceptions."""
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
                    self.reason = loggable(first)
                    log.error("worker failed", exc_info=group)
        finally:
            if self.abandoned:
                self.slot.policy.abandoned_ended()
                log.warning("abandoned worker exited", worker=self.slot.name)
            self.over.set()


class Supervisor:
    """Runs a slot for each child until it is stopped."""

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
        """`on_give_up` is called before FatalError is raised, because a wedged child can delay the exception."""
        self.slots: Sequence[Slot] = [
            Slot(name, child, SlotPolicy(RestartPolicy(restart_limit, restart_window, uniform)))
            for name, child in children.items()
        ]
        self.stopping = trio.Event()
        self._on_restart = on_restart
        self._on_give_up = on_give_up

    async def run(self) -> None:
        """Run all slots; return once the supervisor is stopped and all children have ended. Raises FatalError."""
        async with trio.open_nursery() as incarnations, trio.open_nursery() as watching:
            watching.start_soon(self._watch)
            async with trio.open_nursery() as slots:
                for slot in self.slots:
                    slots.start_soon(self._keep_alive, slot, incarnations)
            watching.cancel_scope.cancel()

    def stop(self) -> None:
        """Start no new incarnation; the running ones end by themselves."""
        self.stopping.set()

    def cancel_all(self, reason: str) -> None:
        """Cancel every child, and start no new incarnation."""
        self.stopping.set()
        for slot in self.slots:
            _cancel(slot, reason)

    def restart_stalled(self) -> list[str]:
        """Cancel the children that exceed their budget, so that they are restarted; return the names of their slots."""
        now = trio.current_time()
        stalled = [slot for slot in self.slots if verdict(slot.pulse, now) == "cancel"]
        for slot in stalled:
            _cancel_stalled(slot)
        return [slot.name for slot in stalled]

    def restart(self, name: str, reason: str) -> bool:
        """Cancel one child so that it is restarted; return False if there is no slot of this name."""
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
            if incarnation.fatal:  # its exception is propagating through the nursery of the incarnations
                break
            slot.restarts += 1
            self._on_restart(slot.name)
            decision = slot.policy.ended(trio.current_time())
            if isinstance(decision, GiveUp):
                raise self._give_up(f"{slot.name} was {decision.reason}; last reason: {incarnation.reason}")
            log.warning(
                "worker restarting", worker=slot.name, reason=incarnation.reason, delay=round(decision.delay, 2)
            )
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
            await trio.sleep(POLL_INTERVAL)
            now = trio.current_time()
            for slot in self.slots:
                decision = verdict(slot.pulse, now)
                if decision == "cancel":
                    _cancel_stalled(slot)
                elif decision == "wedged" and slot.current is not None and not slot.current.over.is_set():
                    log.error("worker wedged, abandoned", worker=slot.name, phase=slot.pulse.phase)
                    slot.current.abandon()


def _cancel_stalled(slot: Slot) -> None:
    reason = f"stalled: {slot.pulse.phase} took longer than {slot.pulse.budget:.0f} s"
    log.error("worker stalled, cancelling", worker=slot.name, reason=reason)
    _cancel(slot, reason)


def _cancel(slot: Slot, reason: str) -> None:
    if slot.current is not None:
        slot.current.cancel(reason)
