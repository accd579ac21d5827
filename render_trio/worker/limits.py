"""Settings → the time limits of one worker: leases, long polls, renders, and the budgets for the watchdog."""

from __future__ import annotations

import math
from dataclasses import dataclass

from render_trio.queue.interface import MAX_RETRY_AFTER, REQUEST_SECONDS

POLL_WAIT = 20  # s; the longest time that the queue may hold a lease request
# The largest share of a lease that a long poll may use up: the lease counts from the request, and enough of it must be
# left for the work.
POLL_SHARE = 1 / 3
SETTLE_VERBS = 3  # the most queue operations that end a task: inserting a failure result, deleting, releasing
SLACK_SECONDS = 20.0  # added to a phase's budget: its parts may all take their longest without being a stall
LEASE_MARGIN = 10.0  # s by which a lease is longer than the time limit of its task


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of a worker; times in seconds."""

    task_count: int
    task_seconds: float
    task_time_mult: float
    task_retry_limit: int
    sleep_time: float
    queue_timeout: float = 10.0
    web_seconds: float = math.inf  # that a task from the web may wait

    @property
    def lease_seconds(self) -> int:
        """The duration of a lease in seconds. Leases are renewed while the work continues."""
        return math.ceil(self.task_seconds + LEASE_MARGIN)

    @property
    def poll_wait(self) -> int:
        """The number of seconds that the queue may hold a lease request."""
        return min(POLL_WAIT, int(self.lease_seconds * POLL_SHARE))

    @property
    def poll_budget(self) -> float:
        """The number of seconds that an iteration without tasks may take."""
        return self.poll_wait + self.queue_timeout + max(self.sleep_time, MAX_RETRY_AFTER) + SLACK_SECONDS

    def work_budget(self, retry_count: int) -> float:
        """Return the number of seconds that a task may take from the start of the attempt until it is settled."""
        settling = SETTLE_VERBS * (REQUEST_SECONDS + self.queue_timeout)
        return self.render_seconds(retry_count) + LEASE_MARGIN + settling + SLACK_SECONDS

    def render_seconds(self, retry_count: int) -> float:
        """Return the time limit in seconds of the attempt that follows `retry_count` earlier ones."""
        return self.task_seconds * (1 + self.task_time_mult * retry_count)
