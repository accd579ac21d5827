"""Health that doesn't recover → FatalError: only a new process can help."""

from __future__ import annotations

from collections.abc import Callable

import trio

from render_trio.errors import FatalError
from render_trio.supervision.health import Health

RECOVERY_SECONDS = 60.0  # the longest time that the service may be continuously unhealthy
POLL_INTERVAL = 1.0  # s between two checks


async def watch_recovery(health: Callable[[], Health], stopping: trio.Event, give_up: Callable[[str], None]) -> None:
    """Give up if the service stays unhealthy, above all because of hung threads; return when it stops.

    Calls `give_up` with the reason, then raises FatalError.
    """
    last_healthy = trio.current_time()
    while not stopping.is_set():
        now, current = trio.current_time(), health()
        if not current.restart_helps:
            last_healthy = now
        elif now - last_healthy > RECOVERY_SECONDS:
            reason = f"unwell for {RECOVERY_SECONDS:.0f} s: {'; '.join(current.reasons)}"
            give_up(reason)
            raise FatalError(reason)
        with trio.move_on_after(POLL_INTERVAL):
            await stopping.wait()
