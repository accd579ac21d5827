"""Slots that are kept alive: each runs its child in one incarnation after another.

A child is `async def child(heartbeat)`. It says through the heartbeat what it does and how long that may
take; the watchdog cancels what overruns. The rules are in `policy`; what a child is for isn't known here.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog
import trio

from render_trio.errors import FatalError
from render_trio.policy import GiveUp, Pulse, RestartPolicy, verdict

WATCH_SECONDS = 0.25  # between two looks of the watchdog
log = structlog.get_logger(__name__)

Child = Callable[["Slot"], Awaitable[None]]


@dataclass(slots=True)
class Slot:
    """One place for a worker; it is also the heartbeat that the worker is given."""

    name: str
    child: Child
    policy: RestartPolicy
    pulse: Pulse = field(default_factory=Pulse)
    restarts: int = 0
    finished: int = 0
    last_finished: float | None = None
    last_polled: float | None = None
    reachable: bool | None = None
    last_error: str = ""
    scope: trio.CancelScope | None = None

    def enter(self, phase: str, budget: float) -> None:
        """Begin a phase that may last `budget` seconds."""
        self.pulse.phase, self.pulse.since, self.pulse.budget = phase, trio.current_time(), budget

    def progress(self, kind: str) -> None:
        """Note that something came to its end: `polled`, `finished` or `unreachable`."""
        now = trio.current_time()
        if kind == "finished":
            self.finished, self.last_finished = self.finished + 1, now
        elif kind == "polled":
            self.last_polled, self.reachable = now, True
        elif kind == "unreachable":
            self.reachable = False


class Supervisor:
    """Keeps the slots alive until it is told to stop."""

    def __init__(
        self,
        children: dict[str, Child],
        *,
        restart_limit: int,
        restart_window: float,
        on_restart: Callable[[str], None] = lambda name: None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.slots: Sequence[Slot] = [
            Slot(name, child, RestartPolicy(restart_limit, restart_window, uniform)) for name, child in children.items()
        ]
        self.stopping = trio.Event()
        self._on_restart = on_restart

    async def run(self) -> None:
        """Run all slots; returns when told to stop and all have ended. Raises FatalError when it gives up."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            async with trio.open_nursery() as slots:
                for slot in self.slots:
                    slots.start_soon(self._keep_alive, slot)
            nursery.cancel_scope.cancel()

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
            self._cancel_stalled(slot)
        return [slot.name for slot in stalled]

    def restart(self, name: str, reason: str) -> bool:
        """Cancel one child for a restart; returns whether there is one of this name."""
        for slot in self.slots:
            if slot.name == name:
                _cancel(slot, reason)
                return True
        return False

    async def _keep_alive(self, slot: Slot) -> None:
        while not self.stopping.is_set():
            started = trio.current_time()
            reason = await self._incarnation(slot)
            if self.stopping.is_set():
                break
            slot.last_error = reason
            slot.restarts += 1
            self._on_restart(slot.name)
            decision = slot.policy.ended(started, trio.current_time())
            if isinstance(decision, GiveUp):
                raise FatalError(f"{slot.name} was {decision.reason}; last: {reason}")
            log.warning("restarting", worker=slot.name, reason=reason, delay=round(decision.delay, 2))
            slot.pulse.state = "waiting"
            with trio.move_on_after(decision.delay):
                await self.stopping.wait()
        slot.pulse.state = "stopped"

    async def _incarnation(self, slot: Slot) -> str:
        """Run the child once, in a cancel scope of its own; returns why it ended. A FatalError goes through."""
        reason = "it returned, which it should not"
        slot.enter("starting", 30.0)
        slot.pulse.state = "running"
        with structlog.contextvars.bound_contextvars(worker=slot.name), trio.CancelScope() as slot.scope:
            try:
                await slot.child(slot)
            except* FatalError as group:
                error: BaseException = group
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
                raise error from None
            except* Exception as group:
                reason = f"{type(group.exceptions[0]).__name__}: {group.exceptions[0]}"
                log.error("a worker failed", worker=slot.name, exc_info=group)
        if slot.scope.cancelled_caught:
            reason = slot.last_error or "cancelled"
        return reason

    async def _watch(self) -> None:
        while True:
            await trio.sleep(WATCH_SECONDS)
            now = trio.current_time()
            for slot in self.slots:
                decision = verdict(slot.pulse, now)
                if decision == "cancel":
                    self._cancel_stalled(slot)
                elif decision == "wedged":
                    slot.pulse.state = "wedged"
                    if not self.stopping.is_set():
                        raise FatalError(f"{slot.name} is wedged in {slot.pulse.phase}; it did not end when cancelled")

    def _cancel_stalled(self, slot: Slot) -> None:
        reason = f"stalled: {slot.pulse.phase} took over {slot.pulse.budget:.0f} s"
        log.error("cancelling", worker=slot.name, reason=reason)
        _cancel(slot, reason)


def _cancel(slot: Slot, reason: str) -> None:
    if slot.scope is not None and slot.pulse.state == "running":
        slot.last_error = reason
        slot.pulse.state, slot.pulse.cancelled_at = "cancelling", trio.current_time()
        slot.scope.cancel(reason=reason)
