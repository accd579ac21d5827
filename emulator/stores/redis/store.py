"""Tasks in Redis: one Lua script per operation, the clock of Redis, all keys of a queue in one cluster slot.

If a reply is lost after its script was executed, the script must not run a second time. Therefore redis-py's
retries are disabled: the caller gets StoreUnavailableError and decides.

Two keys don't belong to a queue and may be in other slots: the names of the queues, and the offset of the clock.
Each queue has a copy of the offset. Declaring a queue writes its name, reads the offset and writes the copy;
advancing the clock writes the offset, reads the names and writes the copies. These orders are opposite, so a
queue that is declared at the same time always gets the new offset.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

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
from emulator.stores.redis.notifications import RedisNotifications

QUEUES_KEY = "render-trio:queues"
CLOCK_KEY = "render-trio:clock"
CHANNEL = "render-trio:awaited"
# Switching to a thread and back takes more CPU time than a call to a Redis on the same host. The duration of a call is
# estimated as the shortest of the last few, because contention between threads slows down the others. Before the first
# call and after a failure, Redis is assumed to be slow.
MAX_INLINE_SECONDS = 0.0005
SLOW_SECONDS = 1.0
ESTIMATE_GROWTH = 1.2  # factor per call, so that an old minimum loses its weight
LUA = Path(__file__).parent / "lua"
KEY_KINDS = (
    "state",
    "eta",
    "tagged",
    "records",
    "payloads",
    "tombstones",
    "leased",
    "dead",
    "dead-records",
    "dead-payloads",
)


@lru_cache(maxsize=1024)
def queue_keys(queue: QueueKey) -> list[str]:
    """Return the keys of a queue. The hash tag in braces puts them all into one cluster slot."""
    return [f"render-trio:{{{queue.project}/{queue.name}}}:{kind}" for kind in KEY_KINDS]


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailableError(f"the store failed: {error}") from error


class RedisStore:
    """A store in one Redis database, which any number of processes and hosts can share."""

    def __init__(self, url: str, tombstone_seconds: int = TOMBSTONE_SECONDS) -> None:
        self._redis: Any = redis_connection.connect(url)
        self._fastest = SLOW_SECONDS
        self._notifications = RedisNotifications(self._redis, CHANNEL, _queue)
        self._tombstone_seconds = tombstone_seconds
        prelude = (LUA / "prelude.lua").read_text(encoding="utf-8")
        self._scripts = {
            path.stem: self._redis.register_script(prelude + path.read_text(encoding="utf-8"))
            for path in LUA.glob("*.lua")
            if path.stem != "prelude"
        }

    def _run(self, verb: str, queue: QueueKey, *arguments: str | int) -> Any:
        """Run a script and return its reply. The last two arguments of every script are for notifications."""
        all_arguments = (*arguments, CHANNEL, _name(queue))
        started = time.perf_counter()
        try:
            with _reached():
                # If the script is unknown (NOSCRIPT), it was not executed: redis-py loads it and calls it again.
                reply = self._scripts[verb](keys=queue_keys(queue), args=all_arguments)
        except StoreUnavailableError:
            self._fastest = SLOW_SECONDS
            raise
        self._fastest = min(time.perf_counter() - started, self._fastest * ESTIMATE_GROWTH)
        return reply

    @property
    def runs_inline(self) -> bool:
        """True while Redis answers fast; False before its first answer and after a failure."""
        return self._fastest < MAX_INLINE_SECONDS

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
        with _reached():
            self._redis.sadd(QUEUES_KEY, _name(queue))
            offset = self._redis.get(CLOCK_KEY) or 0
            self._run("declare", queue, offset)
            # Again, because a concurrent reset may have removed the name.
            self._redis.sadd(QUEUES_KEY, _name(queue))

    def queues(self) -> list[QueueKey]:
        with _reached():
            names = self._redis.smembers(QUEUES_KEY)
        return sorted((_queue(name) for name in names), key=lambda queue: (queue.project, queue.name))

    def reset(self) -> None:
        with _reached():
            self._redis.delete(CLOCK_KEY)
            for queue in self.queues():
                self._redis.srem(QUEUES_KEY, _name(queue))
                self._run("purge", queue, "all")

    def advance(self, seconds: float) -> int:
        ahead = microseconds_ahead(seconds)
        with _reached():
            offset = self._redis.incrby(CLOCK_KEY, ahead)
            for queue in self.queues():
                self._run("declare", queue, offset)
        return self.now_us()

    def now_us(self) -> int:
        with _reached():
            second, microsecond = self._redis.time()
            return int(second) * SECOND + int(microsecond) + int(self._redis.get(CLOCK_KEY) or 0)

    def watch(self, notify: Callable[[QueueKey | None], None]) -> None:
        self._notifications.add(notify)

    def check(self) -> StoreHealth:
        try:
            with _reached():
                self._redis.ping()
        except StoreUnavailableError as error:
            return StoreHealth(str(error))
        return StoreHealth()

    def close(self) -> None:
        self._notifications.close()
        self._redis.close()
        self._redis.connection_pool.disconnect()

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


def _name(queue: QueueKey) -> str:
    return f"{queue.project}/{queue.name}"


def _queue(name: str) -> QueueKey:
    project, _, queue = name.rpartition("/")
    return QueueKey(project, queue)


def _task(row: list[str]) -> Task:
    task_id, payload, tag, enqueued, eta, leases = row
    return Task(task_id, payload, tag or None, int(enqueued), int(eta), int(leases))
