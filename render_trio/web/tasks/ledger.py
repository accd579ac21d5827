"""How much the tasks from the web take up, by client: their number, and their bytes on the queue and in the store.

A task counts from its submission until its result is deleted. Until its result is seen, the largest amount that it may
take is reserved for it; then the amount is corrected. A task whose end is never seen, because no worker runs or another
web server sweeps the results, is overdue in the end.

The ledger is in memory: each web server of several has quotas of its own, and they are empty when it is restarted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from render_trio.queue.messages import TASK_BYTES, WEB_DOCUMENT_BYTES
from render_trio.web.access.quotas import Quota, QuotaError

BASE64_GROWTH = 4 / 3
# The most that a task takes: its payload, which is replaced by that of its result, and its document, which is inside
# the result or in the document store.
RESERVED_BYTES = int((WEB_DOCUMENT_BYTES + TASK_BYTES) * BASE64_GROWTH)
CLIENT_SHARE = 4  # a client may take a quarter
RETRY_SECONDS = 60  # after which a client may try again: results are deleted all the time
WORK_SECONDS = 600.0  # in which a worker ends a task that it has begun, with all attempts


@dataclass(slots=True)
class _Entry:
    client: str | None
    size: int
    overdue_at: float
    doubtful: bool = False  # whether the task may not have been inserted


class Ledger:
    """The tasks that one web server has submitted and that are not deleted yet."""

    def __init__(self, tasks: int, size: int, keep: int, clock: Callable[[], float] = trio.current_time) -> None:
        """`tasks` and `size` (bytes) are the totals; tasks may wait for `keep` s, and results are kept as long."""
        self._tasks = Quota("tasks", tasks, tasks // CLIENT_SHARE, RETRY_SECONDS)
        self._bytes = Quota("bytes of documents", size, size // CLIENT_SHARE, RETRY_SECONDS)
        self._seconds = 2 * keep + WORK_SECONDS
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def reserve(self, task_id: str, client: str | None) -> None:
        """Count a task that is about to be submitted. Raises QuotaError, and then counts nothing."""
        self._tasks.take(client)
        try:
            self._bytes.take(client, RESERVED_BYTES)
        except QuotaError:
            self._tasks.adjust(client, -1)
            raise
        self._entries[task_id] = _Entry(client, RESERVED_BYTES, self._clock() + self._seconds)

    def correct(self, task_id: str, size: int) -> None:
        """Record the bytes that a task takes now that it has ended. Does nothing for tasks of other web servers."""
        if entry := self._entries.get(task_id):
            self._bytes.adjust(entry.client, size - entry.size)
            entry.size = size

    def release(self, task_id: str) -> None:
        """Count a task no longer. Does nothing if it isn't counted."""
        if entry := self._entries.pop(task_id, None):
            self._tasks.adjust(entry.client, -1)
            self._bytes.adjust(entry.client, -entry.size)

    def doubt(self, task_id: str) -> None:
        """Record that the task may not have been inserted: it counts until that is certain."""
        self._entries[task_id].doubtful = True

    def confirm(self, task_id: str) -> None:
        """Record that the task was inserted."""
        self._entries[task_id].doubtful = False

    def doubtful(self) -> list[str]:
        """Return the tasks that may not have been inserted."""
        return [task_id for task_id, entry in self._entries.items() if entry.doubtful]

    def overdue(self) -> list[str]:
        """Return the tasks whose result should have been deleted by now, oldest first."""
        now = self._clock()
        return [task_id for task_id, entry in self._entries.items() if entry.overdue_at <= now]

    @property
    def used_bytes(self) -> int:
        """The bytes that are reserved or taken."""
        return self._bytes.used
