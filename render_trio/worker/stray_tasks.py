"""A watch for tasks without a tag, which no worker leases: without a report, they would stay in the queue unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, Protocol

import structlog
import trio

from render_trio.errors import QueueError
from render_trio.queue.messages import TASK_TAG

CHECK_SECONDS = 60.0
log = structlog.get_logger(__name__)


class ListedQueue(Protocol):
    """The operation of a queue that is used here."""

    async def tags(self) -> dict[str, str]:
        """Return the tags of the first tasks by their ID; "" for a task without one. Raises QueueError."""
        ...


async def watch_stray_tasks(
    queue: ListedQueue, observe: Callable[[int], None], *, seconds: float = CHECK_SECONDS
) -> NoReturn:
    """Look at the queue every `seconds`, and report how many of its first tasks have no tag, until cancelled.

    Logs a warning whenever their number changes. An unreachable queue is the workers' matter: they report it.
    """
    known = 0
    while True:
        try:
            stray = sorted(task_id for task_id, tag in (await queue.tags()).items() if not tag)
        except QueueError:
            stray = None
        if stray is not None:
            observe(len(stray))
            if stray and len(stray) != known:
                # Never the tag of tasks from the web: their results are deleted before a producer fetches them.
                advice = f"insert them again with the tag {TASK_TAG!r}"
                log.warning("tasks without a tag are not leased", tasks=len(stray), example=stray[0], advice=advice)
            known = len(stray)
        await trio.sleep(seconds)
