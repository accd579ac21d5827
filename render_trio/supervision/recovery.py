"""When nothing that the service does to itself helps: what stays unwell makes room for a new process."""

from __future__ import annotations

from collections.abc import Callable

import trio

from render_trio.errors import FatalError
from render_trio.supervision.health import Health

RECOVERY_SECONDS = 60.0  # that the service may be unwell without a break
POLL_INTERVAL = 1.0  # between two looks


async def watch_recovery(health: Callable[[], Health], stopping: trio.Event, give_up: Callable[[str], None]) -> None:
    """Give up when what is wrong stays so (hung threads, above all, which nobody can end); return when stopping.

    Raises FatalError, after `give_up` was told the reason.
    """
    well_at = trio.current_time()
    while not stopping.is_set():
        now, judged = trio.current_time(), health()
        if judged.well:
            well_at = now
        elif now - well_at > RECOVERY_SECONDS:
            reason = f"unwell for {RECOVERY_SECONDS:.0f} s: {'; '.join(judged.reasons)}"
            give_up(reason)
            raise FatalError(reason)
        with trio.move_on_after(POLL_INTERVAL):
            await stopping.wait()
