"""Is the service well? A pure judgement of what it last did; what exists but doesn't move is not well."""

from __future__ import annotations

import msgspec

from render_trio.supervision.restart_policy import verdict
from render_trio.supervision.supervisor import Slot


class WorkerHealth(msgspec.Struct, frozen=True):
    """One worker as it stands; ages in seconds."""

    name: str
    state: str
    phase: str
    phase_seconds: float
    finished: int
    restarts: int
    last_finished_seconds: float | None
    last_error: str
    well: bool
    left_behind: int
    """Incarnations that could not be cancelled and have not ended; the slot goes on without them."""


class Health(msgspec.Struct, frozen=True):
    """The judgement. `reasons` is empty when all is well."""

    status: str
    reasons: tuple[str, ...]
    draining: bool
    queue_reachable: bool
    last_poll_seconds: float | None
    abandoned_threads: int
    workers: tuple[WorkerHealth, ...]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons

    @property
    def ready(self) -> bool:
        """Whether work can be done now: not draining, and the queue was reached not long ago."""
        return self.queue_reachable and not self.draining


def judge(
    slots: list[Slot], now: float, *, draining: bool, abandoned: int, abandoned_limit: int, queue_silence: float
) -> Health:
    """Return the health at `now`; a worker waiting for its restart was recovered, one that is wedged was not."""
    workers = tuple(_worker(slot, now) for slot in slots)
    polls = [slot.last_polled for slot in slots if slot.last_polled is not None]
    last_poll = now - max(polls) if polls else None
    # A worker at work doesn't poll: it has reached the queue, or it would have nothing to work on.
    working = any(slot.pulse.phase == "work" and slot.pulse.state == "running" for slot in slots)
    reachable = working or (last_poll is not None and last_poll <= queue_silence)
    if any(slot.reachable is False for slot in slots) and not any(slot.reachable for slot in slots):
        reachable = False
    reasons = [f"{worker.name} is {worker.state} in {worker.phase}" for worker in workers if not worker.well]
    if abandoned >= abandoned_limit:
        reasons.append(f"{abandoned} drawing threads hang")
    return Health(
        status="ok" if not reasons else "unwell",
        reasons=tuple(reasons),
        draining=draining,
        queue_reachable=reachable,
        last_poll_seconds=None if last_poll is None else round(last_poll, 1),
        abandoned_threads=abandoned,
        workers=workers,
    )


def _worker(slot: Slot, now: float) -> WorkerHealth:
    pulse = slot.pulse
    return WorkerHealth(
        name=slot.name,
        state=pulse.state,
        phase=pulse.phase,
        phase_seconds=round(now - pulse.since, 1),
        finished=slot.finished,
        restarts=slot.restarts,
        last_finished_seconds=None if slot.last_finished is None else round(now - slot.last_finished, 1),
        last_error=slot.last_error,
        well=verdict(pulse, now) == "fine" and pulse.state != "wedged",
        left_behind=slot.policy.left_behind,
    )
