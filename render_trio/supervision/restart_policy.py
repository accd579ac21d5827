"""When a worker is restarted, when it has stalled, when to give up: rules without clock, tasks or I/O.

Times are seconds on any clock that only goes forward; whoever asks passes `now`.

    waiting ──begin──▶ running ──over its budget──▶ cancelling ──does not end──▶ wedged
       ▲                  │                             │                          │
       └──── ended: Restart(delay), or GiveUp ◀─────────┴────── replaced: ─────────┘

A worker that is cancelled and does not end can't be ended by anybody: it waits behind a shield, or for a
thread that hangs (a folder on a file system that went away). It is left behind, and its slot begins anew. It
can do no harm any more: the first thing that it does when it comes back is to notice that it was cancelled.
A replacement that wedges as well shows that the trouble stays, and only a new process can help: GiveUp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

INITIAL_BACKOFF = 0.1  # s
MAX_BACKOFF = 10.0  # s
STABLE_SECONDS = 30.0  # a run this long forgets the failures before it
START_BUDGET = 30.0  # s from the begin of an incarnation to its first sign of life
WEDGED_SECONDS = 10.0  # for a cancelled worker to end, its leases given back; then it is wedged
LEFT_BEHIND_LIMIT = 1  # wedged incarnations that a slot may leave behind, and not have seen the end of

State = Literal["running", "cancelling", "wedged", "waiting", "stopped"]


@dataclass(frozen=True, slots=True)
class Restart:
    """Start a new incarnation after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Restarting doesn't help; the process must be replaced."""

    reason: str


@dataclass(slots=True)
class RestartPolicy:
    """How often one slot may be restarted: at most `limit` times within `window` seconds.

    The delay is full jitter: uniform below a bound that doubles with each failure in a row. `uniform`
    gives a number between its two arguments.
    """

    limit: int
    window: float
    uniform: Callable[[float, float], float]
    _restarts: deque[float] = field(default_factory=deque)
    _in_a_row: int = 0

    def ended(self, started: float, now: float) -> Restart | GiveUp:
        """Say what to do about an incarnation that began at `started` and ended now."""
        if now - started >= STABLE_SECONDS:
            self._in_a_row = 0
        while self._restarts and self._restarts[0] <= now - self.window:
            self._restarts.popleft()
        if len(self._restarts) >= self.limit:
            return GiveUp(f"restarted {self.limit} times within {self.window:.0f} s")
        self._restarts.append(now)
        bound = min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0 ** min(self._in_a_row, 30))
        self._in_a_row += 1
        return Restart(self.uniform(0.0, bound))


@dataclass(slots=True)
class Pulse:
    """What a slot last said of itself."""

    phase: str = "starting"
    since: float = 0.0
    budget: float = START_BUDGET
    state: State = "waiting"
    cancelled_at: float = 0.0

    def overrun(self, now: float) -> float:
        """Return by how many seconds the phase has outlasted its budget; 0 or less when it has not."""
        return now - self.since - self.budget


def verdict(pulse: Pulse, now: float) -> Literal["fine", "cancel", "wedged"]:
    """Say what a watchdog does: nothing, cancel what has stalled, or hold it for wedged."""
    if pulse.state == "running" and pulse.overrun(now) > 0:
        return "cancel"
    if pulse.state in ("cancelling", "wedged") and now - pulse.cancelled_at > WEDGED_SECONDS:
        return "wedged"
    return "fine"


@dataclass(slots=True)
class SlotPolicy:
    """All that is decided about one slot: it is told what happens, and says what is to be done."""

    restarts: RestartPolicy
    pulse: Pulse = field(default_factory=Pulse)
    left_behind: int = 0
    _started: float = 0.0

    def begin(self, now: float) -> None:
        """A new incarnation begins."""
        self._started = now
        self.pulse.state = "running"
        self.enter("starting", START_BUDGET, now)

    def enter(self, phase: str, budget: float, now: float) -> None:
        """The incarnation begins a phase that may last `budget` seconds."""
        self.pulse.phase, self.pulse.since, self.pulse.budget = phase, now, budget

    def cancel(self, now: float) -> bool:
        """Return whether the incarnation is to be cancelled now: it runs, and was not cancelled before."""
        if self.pulse.state != "running":
            return False
        self.pulse.state, self.pulse.cancelled_at = "cancelling", now
        return True

    def leave_behind(self) -> None:
        """The incarnation is wedged: the slot goes on without it."""
        self.pulse.state = "wedged"
        self.left_behind += 1

    def left_behind_ended(self) -> None:
        """One that was left behind has ended after all."""
        self.left_behind -= 1

    def ended(self, now: float) -> Restart | GiveUp:
        """The incarnation is over: say what follows."""
        if self.left_behind > LEFT_BEHIND_LIMIT:
            return GiveUp(f"wedged {self.left_behind} times in {self.pulse.phase}, not ending when cancelled")
        decision = self.restarts.ended(self._started, now)
        if isinstance(decision, Restart):
            self.pulse.state = "waiting"
        return decision

    def stop(self) -> None:
        """The slot takes no further incarnation; one that is wedged stays so."""
        if self.pulse.state != "wedged":
            self.pulse.state = "stopped"
