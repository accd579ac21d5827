"""Tasks in Redis: one Lua script per operation, the clock of Redis, all keys of a queue in one cluster slot.

Three keys don't belong to a queue and may be in other slots: the names of the queues, the offset of the clock, and
the version of the data (layout.py). Each queue has a copy of the offset. Declaring a queue writes its name, reads the
offset and writes the copy; advancing the clock writes the offset, reads the names and writes the copies. These orders
are opposite, so a queue that is declared at the same time always gets the new offset.

Redis can lose single keys (eviction, a person with redis-cli). Every script compares the keys of the queue with the
number of its tasks, and replies 'damaged' if they don't fit. Then the queue is repaired and the script runs again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import redis

from emulator.stores.interface import (
    SECOND,
    TOMBSTONE_SECONDS,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    StoreHealth,
    StoreUnavailableError,
    Task,
    lease_conflict,
    lease_expired,
    microseconds_ahead,
    reserved_id,
    unknown_task,
)
from emulator.stores.redis import connection as redis_connection
from emulator.stores.redis import layout, migration
from emulator.stores.redis.calls import RedisCalls
from emulator.stores.redis.condition import Condition
from emulator.stores.redis.failures import refused_by_replica
from emulator.stores.redis.inline import INLINE_SECONDS, InlineConnection
from emulator.stores.redis.layout import CHANNEL, CLOCK_KEY, QUEUES_KEY, name_of, queue_keys, queue_of
from emulator.stores.redis.notifications import RedisNotifications

log = logging.getLogger(__name__)
T = TypeVar("T")
MAX_REPAIRS = 3  # of a queue during one operation
CHECK_SECONDS = 1.0  # for each reply during a check of the health


class RedisStore:
    """A store in one Redis database, which any number of processes and hosts can share."""

    def __init__(self, url: str, tombstone_seconds: int = TOMBSTONE_SECONDS) -> None:
        """Open the store. If Redis can't be reached now, it is used as soon as it can.

        Raises ValueError for a malformed URL, StoreVersionError for data of a newer version.
        """
        self._inline = InlineConnection(redis_connection.connect(url, INLINE_SECONDS), redis_connection.REPLY_SECONDS)
        self._calls = RedisCalls(redis_connection.connect(url), self._inline)
        self._checks = RedisCalls(redis_connection.connect(url, CHECK_SECONDS, CHECK_SECONDS))
        self._layout = layout.Layout(self._migrate)
        self._condition = Condition(self._checks)
        self._warned: tuple[str, ...] = ()
        self._notifications = RedisNotifications(self._calls.client, CHANNEL, queue_of)
        self._tombstone_seconds = tombstone_seconds
        try:
            self._layout.verify(self._calls)
        except layout.StoreVersionError:
            self.close()
            raise
        except StoreUnavailableError as error:
            log.warning("store unavailable at startup: %s", error)
        else:
            self.check()

    @property
    def runs_inline(self) -> bool:
        return self._calls.runs_inline

    def call_inline(self, method: Callable[..., T], *arguments: object) -> T:
        return self._inline.call(method, *arguments)

    def _run(self, verb: str, queue: QueueKey, *arguments: str | int) -> Any:
        """Run a script and return its reply. The last two arguments of every script are for notifications."""
        if not self._calls.verified:
            self._layout.verify(self._calls)
        keys, all_arguments = queue_keys(queue), (*arguments, CHANNEL, name_of(queue))
        for _ in range(MAX_REPAIRS):
            reply = self._calls.run(verb, keys, all_arguments)
            if reply != "damaged":
                return reply
            self._repair(queue)
        raise StoreUnavailableError(
            f"Redis loses keys of queue {queue.name} again and again; set its maxmemory-policy to noeviction"
        )

    def _repair(self, queue: QueueKey) -> None:
        """Restore what can be restored of a queue that has lost keys, and report what is lost."""
        self._calls.run("add_queues", [QUEUES_KEY], [name_of(queue)])
        with self._calls.reached():
            offset = self._calls.client.get(CLOCK_KEY) or 0
        reply = self._calls.run("repair", queue_keys(queue), (offset, CHANNEL, name_of(queue)))
        lost, restored, dead_lost, dead_restored, _ = reply
        if lost or restored or dead_lost or dead_restored:
            log.error(
                "Redis lost keys of queue %s: %d tasks and %d dead letters are lost, "
                "%d tasks and %d dead letters were restored without their count of leases",
                *(name_of(queue), lost, dead_lost, restored, dead_restored),
            )
        if lost or dead_lost:
            layout.count_losses(self._calls, lost + dead_lost)

    def _migrate(self, queues: list[QueueKey]) -> None:
        migration.migrate(self._calls, queues, self._repair)

    def _run_declared(self, verb: str, queue: QueueKey, *arguments: str | int) -> Any:
        """Run a script that replies 'undeclared', without any effect, until the queue is declared."""
        while (reply := self._run(verb, queue, *arguments)) == "undeclared":
            self.declare(queue)
        return reply

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
        eta = "" if task.eta_us is None else task.eta_us
        reply = self._run_declared("insert", queue, task.id, task.payload, task.tag or "", eta)
        if reply == "exists":
            raise reserved_id(task.id)
        return _task(reply)

    def get(self, queue: QueueKey, task_id: str) -> Task:
        return _task(self._run_on_task("get", queue, task_id))

    def peek(self, queue: QueueKey, count: int, after: tuple[int, str] | None = None) -> list[Task]:
        return [_task(row) for row in self._run("peek", queue, count, *(after or ("", "")))]

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        rule = "any" if not order.group_by_tag else "oldest" if order.tag is None else "tag"
        limit = "" if order.retry_limit is None else order.retry_limit
        awaited = "1" if order.awaited else ""
        arguments = (order.count, order.seconds, rule, order.tag or "", order.max_bytes, limit, awaited)
        while True:
            rows, more_buried = self._run_declared("lease", queue, *arguments)
            if rows or not more_buried:
                return [_task(row) for row in rows]

    def due_in(self, queue: QueueKey) -> int | None:
        ahead = self._run("due_in", queue)
        return int(ahead) if ahead else None

    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        return _task(self._run_on_task("renew", queue, task_id, "" if lease_us is None else lease_us, seconds))

    def release(self, queue: QueueKey, task_id: str) -> Task:
        return _task(self._run_on_task("release", queue, task_id))

    def delete(self, queue: QueueKey, task_id: str, lease_us: int | None = None) -> None:
        self._run_on_task("delete", queue, task_id, "" if lease_us is None else lease_us, self._tombstone_seconds)

    def stats(self, queue: QueueKey) -> QueueStats:
        total, oldest, minute, hour, dead, paused = self._run("stats", queue)
        return QueueStats(total, int(oldest) if oldest else None, minute, hour, dead, paused == "1")

    def dead_letters(self, queue: QueueKey, count: int) -> list[Task]:
        return [_task(row) for row in self._run("dead_letters", queue, count)]

    def revive(self, queue: QueueKey, task_id: str) -> Task:
        return _task(self._run_on_task("revive", queue, task_id))

    def purge(self, queue: QueueKey, dead: bool = False) -> int:
        return int(self._run("purge", queue, "dead" if dead else "live"))

    def pause(self, queue: QueueKey) -> None:
        self._run_declared("pause", queue, "1")

    def resume(self, queue: QueueKey) -> None:
        self._run_declared("pause", queue, "")

    def declare(self, queue: QueueKey) -> None:
        self._layout.verify(self._calls)
        self._calls.run("add_queues", [QUEUES_KEY], [name_of(queue)])
        with self._calls.reached():
            offset = self._calls.client.get(CLOCK_KEY) or 0
        # Read before the script, because other threads may declare the queue at the same time.
        used = self._layout.uses(queue)
        created = self._run("declare", queue, offset) == "created"
        # Again, because a concurrent reset may have removed the name.
        self._calls.run("add_queues", [QUEUES_KEY], [name_of(queue)])
        self._layout.remember(self._calls, queue, lost=used and created)

    def queues(self) -> list[QueueKey]:
        if not self._calls.verified:
            self._layout.verify(self._calls)
        found = layout.listed_queues(self._calls)
        if not found:
            self._layout.verify(self._calls)  # restores a lost list
            found = layout.listed_queues(self._calls)
        return found

    def reset(self) -> None:
        queues = self.queues()
        self._layout.forget_all(self._calls)
        with self._calls.reached():
            self._calls.client.delete(CLOCK_KEY)
        for queue in queues:
            with self._calls.reached():
                self._calls.client.srem(QUEUES_KEY, name_of(queue))
            self._run("purge", queue, "all")

    def advance(self, seconds: float) -> int:
        ahead = microseconds_ahead(seconds)
        with self._calls.reached():
            offset = self._calls.client.incrby(CLOCK_KEY, ahead)
        for queue in self.queues():
            self._run("declare", queue, offset)
        return self.now_us()

    def now_us(self) -> int:
        second, microsecond, offset = self._calls.run("now", [CLOCK_KEY], ())
        return int(second) * SECOND + int(microsecond) + int(offset)

    def watch(self, notify: Callable[[QueueKey | None], None]) -> None:
        self._notifications.add(notify)

    def check(self) -> StoreHealth:
        try:
            meta = self._layout.verify(self._checks)
            self._write()
            health = StoreHealth(None, (*layout.losses(meta), *self._condition.warnings()))
        except StoreUnavailableError as error:
            self._condition.expire()
            return StoreHealth.failed(error)
        new = [warning for warning in health.warnings if warning not in self._warned]
        if new:
            log.warning("tasks are at risk: %s", "; ".join(new))
        self._warned = health.warnings
        return health

    def _write(self) -> None:
        """Make a change. Raises StoreUnavailableError if Redis refuses it."""
        for last in (False, True):
            try:
                self._layout.write(self._checks)
                return
            except StoreUnavailableError as error:
                cause = error.__cause__
                if last or not (isinstance(cause, redis.RedisError) and refused_by_replica(cause)):
                    raise
                # The other connections may lead to the same replica.
                self._calls.drop_connections()

    def close(self) -> None:
        if self._notifications.close():
            self._calls.close()
        self._checks.close()

    def _run_on_task(self, verb: str, queue: QueueKey, task_id: str, *arguments: str | int) -> Any:
        """Run a script on a task and return its reply. Raises the StoreError for a refusal."""
        reply = self._run(verb, queue, task_id, *arguments)
        if reply == "unknown":
            raise unknown_task(queue, task_id)
        if reply == "expired":
            raise lease_expired(task_id)
        if reply == "conflict":
            raise lease_conflict(task_id, arguments[0])
        return reply


def _task(row: list[str]) -> Task:
    task_id, payload, tag, enqueued, eta, leases = row
    return Task(task_id, payload, tag or None, int(enqueued), int(eta), int(leases))
