"""When a worker is restarted, when it has stalled, when to give up: rules without clock, tasks or I/O.

Times are seconds on any clock that only goes forward; whoever asks passes `now`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

BACKOFF_FIRST = 0.1  # s
BACKOFF_MOST = 10.0  # s
STABLE_SECONDS = 30.0  # a run this long forgets the failures before it
WEDGED_SECONDS = 10.0  # for a cancelled worker to end, its leases given back; then it is wedged

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
        bound = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(self._in_a_row, 30))
        self._in_a_row += 1
        return Restart(self.uniform(0.0, bound))


@dataclass(slots=True)
class Pulse:
    """What a slot last said of itself."""

    phase: str = "starting"
    since: float = 0.0
    budget: float = 30.0
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
