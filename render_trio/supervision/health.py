"""Slots → a health report, computed without I/O. A worker that makes no progress is unhealthy."""

from __future__ import annotations

import msgspec

from render_trio.supervision.restart_policy import verdict
from render_trio.supervision.supervisor import Slot

STORE_PHASE = "store"  # of a worker that waits, because no more documents may wait for the document store


class WorkerHealth(msgspec.Struct, frozen=True):
    """The state of one worker; ages in seconds."""

    name: str
    state: str
    phase: str
    phase_seconds: float
    finished: int
    restarts: int
    last_finished_seconds: float | None
    last_error: str
    well: bool
    abandoned: int = msgspec.field(name="left_behind")
    """Incarnations that did not end when cancelled and are still running; the slot has replaced them."""


class Health(msgspec.Struct, frozen=True):
    """The health of the service. `reasons` is empty if it is healthy.

    `status` is "unwell" if there are reasons, "degraded" if documents wait for the document store, otherwise "ok".
    """

    status: str
    reasons: tuple[str, ...]
    draining: bool
    queue_reachable: bool
    last_poll_seconds: float | None
    abandoned_threads: int
    workers: tuple[WorkerHealth, ...]
    missing_files: str = ""
    """The folder and the first files that documents need and that have vanished; empty if all are there."""
    document_store: str = ""
    """Why the document store fails, what to do, and how many documents wait for it; empty if it works."""
    waiting_documents: int = 0
    """Finished documents that wait for the document store, with the leases of their tasks."""
    leasing: bool = True
    """False while so many documents wait that no further task is leased."""

    @property
    def well(self) -> bool:
        """Whether the service is healthy."""
        return not self.reasons

    @property
    def restart_helps(self) -> bool:
        """Whether the service is unhealthy in a way that a new process would not be."""
        return bool(self.reasons) and self.reasons != (self.missing_files,)

    @property
    def ready(self) -> bool:
        """Whether the service takes tasks now: it has what it needs, and has reached the queue recently."""
        return self.queue_reachable and self.leasing and not self.draining and not self.missing_files


def judge(
    slots: list[Slot],
    now: float,
    *,
    draining: bool,
    abandoned: int,
    abandoned_limit: int,
    queue_silence: float,
    missing_files: str = "",
    document_store: str = "",
    waiting_documents: int = 0,
    leasing: bool = True,
) -> Health:
    """Return the health at `now`. A worker that waits for its restart counts as healthy, a wedged one does not.

    `queue_silence`: s since the last answer after which the queue counts as unreachable. The other arguments are
    those of `Health`. A document store that fails is no reason, as an unreachable queue is none: a restart doesn't
    help, and would use up an attempt of each task whose document waits.
    """
    workers = tuple(_worker(slot, now) for slot in slots)
    polls = [slot.last_polled for slot in slots if slot.last_polled is not None]
    last_poll = now - max(polls) if polls else None
    # A worker doesn't poll while it works or waits for the store; it must have reached the queue to have a task.
    working = any(slot.pulse.phase in ("work", STORE_PHASE) and slot.pulse.state == "running" for slot in slots)
    reachable = working or (last_poll is not None and last_poll <= queue_silence)
    if any(slot.reachable is False for slot in slots) and not any(slot.reachable for slot in slots):
        reachable = False
    reasons = [f"{worker.name} is {worker.state} in {worker.phase}" for worker in workers if not worker.well]
    if abandoned >= abandoned_limit:
        reasons.append(f"{abandoned} drawing threads hang")
    if missing_files:
        reasons.append(missing_files)
    return Health(
        status="unwell" if reasons else "degraded" if document_store else "ok",
        reasons=tuple(reasons),
        draining=draining,
        queue_reachable=reachable,
        last_poll_seconds=None if last_poll is None else round(last_poll, 1),
        abandoned_threads=abandoned,
        workers=workers,
        missing_files=missing_files,
        document_store=document_store,
        waiting_documents=waiting_documents,
        leasing=leasing,
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
        abandoned=slot.policy.abandoned,
    )
