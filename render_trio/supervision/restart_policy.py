"""The rules for restarting a worker, for detecting a stall, and for giving up, without a clock, tasks or I/O.

Times are in seconds on any monotonic clock; the caller passes `now`.

    waiting ──begin──▶ running ──over its budget──▶ cancelling ──does not end──▶ wedged
       ▲                  │                             │                          │
       └──── ended: Restart(delay), or GiveUp ◀─────────┴────── abandoned ─────────┘

A wedged worker was cancelled and doesn't end: it waits behind a shield, or for a thread that hangs (for example, in a
folder on a file system that is gone). Nothing in this process can end it. It is abandoned, and its slot starts a new
incarnation. An abandoned incarnation is harmless: if it ever continues, its first checkpoint raises Cancelled. If its
replacement wedges too, the cause is permanent and only a new process can help: GiveUp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

INITIAL_BACKOFF = 0.1  # s
MAX_BACKOFF = 10.0  # s
STABLE_SECONDS = 30.0  # a run of this length resets the backoff
START_BUDGET = 30.0  # s from the start of an incarnation until it enters its first phase
WEDGED_SECONDS = 10.0  # time for a cancelled worker to release its leases and end; after that, it is wedged
MAX_ABANDONED = 1  # incarnations of a slot that may be abandoned and still running

State = Literal["running", "cancelling", "wedged", "waiting", "stopped"]


@dataclass(frozen=True, slots=True)
class Restart:
    """Start a new incarnation after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Restarting doesn't help: the process must be replaced."""

    reason: str


@dataclass(slots=True)
class RestartPolicy:
    """Limits the restarts of one slot to `limit` within `window` seconds, and computes the delay before each.

    The delay has full jitter: it is uniform below a bound that doubles with each consecutive failure. `uniform`
    draws a random number between its two arguments.
    """

    limit: int
    window: float
    uniform: Callable[[float, float], float]
    _restarts: deque[float] = field(default_factory=deque)
    _failures: int = 0

    def ended(self, started: float, now: float) -> Restart | GiveUp:
        """Return what to do after an incarnation that began at `started` has ended."""
        if now - started >= STABLE_SECONDS:
            self._failures = 0
        while self._restarts and self._restarts[0] <= now - self.window:
            self._restarts.popleft()
        if len(self._restarts) >= self.limit:
            return GiveUp(f"restarted {self.limit} times within {self.window:.0f} s")
        self._restarts.append(now)
        bound = min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return Restart(self.uniform(0.0, bound))


@dataclass(slots=True)
class Pulse:
    """The current phase of a slot, as its incarnation last reported it, and the state of the incarnation."""

    phase: str = "starting"
    since: float = 0.0
    budget: float = START_BUDGET
    state: State = "waiting"
    cancelled_at: float = 0.0

    def overrun(self, now: float) -> float:
        """Return the number of seconds by which the phase exceeds its budget; negative while it is within it."""
        return now - self.since - self.budget


def verdict(pulse: Pulse, now: float) -> Literal["fine", "cancel", "wedged"]:
    """Return what the watchdog should do: nothing, cancel a stalled incarnation, or abandon a wedged one."""
    if pulse.state == "running" and pulse.overrun(now) > 0:
        return "cancel"
    if pulse.state in ("cancelling", "wedged") and now - pulse.cancelled_at > WEDGED_SECONDS:
        return "wedged"
    return "fine"


@dataclass(slots=True)
class SlotPolicy:
    """The state of one slot: its methods record events and return the decisions that follow."""

    restarts: RestartPolicy
    pulse: Pulse = field(default_factory=Pulse)
    abandoned: int = 0
    _started: float = 0.0

    def begin(self, now: float) -> None:
        """Record the start of a new incarnation."""
        self._started = now
        self.pulse.state = "running"
        self.enter("starting", START_BUDGET, now)

    def enter(self, phase: str, budget: float, now: float) -> None:
        """Record the start of a phase that may take `budget` seconds."""
        self.pulse.phase, self.pulse.since, self.pulse.budget = phase, now, budget

    def cancel(self, now: float) -> bool:
        """Record a cancellation; return False if the incarnation isn't running or was already cancelled."""
        if self.pulse.state != "running":
            return False
        self.pulse.state, self.pulse.cancelled_at = "cancelling", now
        return True

    def abandon(self) -> None:
        """Record that the incarnation is wedged and the slot continues without it."""
        self.pulse.state = "wedged"
        self.abandoned += 1

    def abandoned_ended(self) -> None:
        """Record that an abandoned incarnation has ended after all."""
        self.abandoned -= 1

    def ended(self, now: float) -> Restart | GiveUp:
        """Record that the incarnation has ended or was abandoned, and return what to do next."""
        if self.abandoned > MAX_ABANDONED:
            return GiveUp(f"wedged {self.abandoned} times in {self.pulse.phase} and did not end when cancelled")
        decision = self.restarts.ended(self._started, now)
        if isinstance(decision, Restart):
            self.pulse.state = "waiting"
        return decision

    def stop(self) -> None:
        """Record that the slot starts no further incarnation; a wedged slot stays wedged."""
        if self.pulse.state != "wedged":
            self.pulse.state = "stopped"
