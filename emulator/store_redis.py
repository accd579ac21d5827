"""Tasks in Redis: one Lua script a transition, time by Redis, all keys of a queue in one cluster slot.

A reply that is lost after its script ran must not run the script again, so redis-py's own retries are
off: whoever asked learns that the store is unavailable, and decides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from emulator.store import (
    TOMBSTONE_SECONDS,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    StoreUnavailableError,
    Task,
    TaskExistsError,
    TaskUnknownError,
)

CONNECTIONS = 64  # as many as threads may ask at once; a further one waits for a place
CONNECT_SECONDS = 2
REPLY_SECONDS = 10  # a lease of 1,000 large tasks takes well under one
QUEUES_KEY = "render-trio:queues"
VERBS = ("insert", "get", "peek", "lease", "renew", "delete", "stats")
LUA = Path(__file__).parent / "lua"
KEY_KINDS = ("eta", "tagged", "records", "payloads", "tombstones", "leases", "seconds")


def queue_keys(queue: QueueKey) -> list[str]:
    """Return the queue's keys; the part in braces puts them all into one slot of a cluster."""
    return [f"render-trio:{{{queue.project}/{queue.name}}}:{kind}" for kind in KEY_KINDS]


class RedisStore:
    """The store in one Redis database, shared by any number of processes and hosts."""

    def __init__(self, url: str) -> None:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=REPLY_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._redis: Any = redis.Redis(connection_pool=pool)
        prelude = (LUA / "prelude.lua").read_text(encoding="utf-8")
        self._scripts = {
            verb: self._redis.register_script(prelude + (LUA / f"{verb}.lua").read_text(encoding="utf-8"))
            for verb in VERBS
        }
        self._announced: set[QueueKey] = set()

    def _run(self, verb: str, queue: QueueKey, *arguments: str | int) -> Any:
        try:
            # An unknown script (NOSCRIPT) did not run: redis-py loads it and asks once more.
            return self._scripts[verb](keys=queue_keys(queue), args=arguments)
        except redis.RedisError as error:
            raise StoreUnavailableError(f"the store does not answer: {error}") from error

    def insert(self, queue: QueueKey, task: NewTask) -> Task:
        if queue not in self._announced:
            # Not part of the script: this key lies in another slot. A queue without tasks does no harm.
            try:
                self._redis.sadd(QUEUES_KEY, f"{queue.project}/{queue.name}")
            except redis.RedisError as error:
                raise StoreUnavailableError(f"the store does not answer: {error}") from error
            self._announced.add(queue)
        eta = "" if task.eta_us is None else task.eta_us
        reply = self._run("insert", queue, task.id, task.payload, task.tag or "", eta)
        if reply == "exists":
            raise TaskExistsError(f"task {task.id!r} exists already, or did until not long ago")
        return _task(reply)

    def get(self, queue: QueueKey, task_id: str) -> Task:
        return self._known("get", queue, task_id)

    def peek(self, queue: QueueKey, count: int) -> list[Task]:
        return [_task(row) for row in self._run("peek", queue, count)]

    def lease(self, queue: QueueKey, order: LeaseOrder) -> list[Task]:
        rule = "any" if not order.group_by_tag else "oldest" if order.tag is None else "tag"
        rows = self._run("lease", queue, order.count, order.seconds, rule, order.tag or "", order.most_bytes)
        return [_task(row) for row in rows]

    def renew(self, queue: QueueKey, task_id: str, lease_us: int | None, seconds: int) -> Task:
        return self._known("renew", queue, task_id, "" if lease_us is None else lease_us, seconds)

    def delete(self, queue: QueueKey, task_id: str) -> None:
        if self._run("delete", queue, task_id, TOMBSTONE_SECONDS) == "unknown":
            raise _unknown(queue, task_id)

    def stats(self, queue: QueueKey) -> QueueStats:
        total, oldest, minute, hour = self._run("stats", queue)
        return QueueStats(int(total), int(oldest) if oldest else None, int(minute), int(hour))

    def queues(self) -> list[QueueKey]:
        try:
            names = sorted(self._redis.smembers(QUEUES_KEY))
        except redis.RedisError as error:
            raise StoreUnavailableError(f"the store does not answer: {error}") from error
        return [QueueKey(*name.rsplit("/", 1)) for name in names]

    def ping(self) -> None:
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise StoreUnavailableError(f"the store does not answer: {error}") from error

    def close(self) -> None:
        self._redis.close()
        self._redis.connection_pool.disconnect()

    def _known(self, verb: str, queue: QueueKey, task_id: str, *arguments: str | int) -> Task:
        reply = self._run(verb, queue, task_id, *arguments)
        if reply == "unknown":
            raise _unknown(queue, task_id)
        if reply == "expired":
            raise LeaseExpiredError(f"the lease of task {task_id!r} has expired; lease it again")
        if reply == "conflict":
            raise LeaseConflictError(
                f"leaseTimestamp {arguments[0]} of task {task_id!r} is not its current one; lease it again"
            )
        return _task(reply)


def _unknown(queue: QueueKey, task_id: str) -> TaskUnknownError:
    return TaskUnknownError(f"there is no task {task_id!r} in queue {queue.name}")


def _task(row: list[str]) -> Task:
    task_id, payload, tag, enqueued, eta, leases = row
    return Task(task_id, payload, tag or None, int(enqueued), int(eta), int(leases))
