"""The keys in Redis that don't belong to one queue: the version of the layout, the identity of the store, its losses.

`render-trio:store` is a hash:
  version   the layout of the keys. 0.1.0 had layout 1 and did not write it.
  id        random, written with the version. If it changes or disappears, Redis has lost or replaced its data.
  declared  1 once a queue was declared: if the list of the queues is missing then, Redis has lost it.
  resets    the number of resets, after which queues may be missing.
  lost, lost_at        tasks and dead letters that Redis lost, and when this was last noticed (UTC).
  emptied_at           when the loss of all data was noticed (UTC).
  checks               the number of checks of the health. If it decreases, Redis has restored older data.
  older_at             when that was last noticed (UTC).
All keys of ours begin with `render-trio:`; keys of other programs in the same database are never changed.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache

from emulator.stores.interface import QueueKey, StoreUnavailableError
from emulator.stores.redis.calls import RedisCalls

log = logging.getLogger(__name__)
VERSION = 2
STORE_KEY = "render-trio:store"
QUEUES_KEY = "render-trio:queues"
CLOCK_KEY = "render-trio:clock"
CHANNEL = "render-trio:awaited"
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
SCAN_COUNT = 1000  # keys per step of a search through the database


class StoreVersionError(StoreUnavailableError):
    """The data has a layout that this version of the program does not support."""


@lru_cache(maxsize=1024)
def queue_keys(queue: QueueKey) -> list[str]:
    """Return the keys of a queue. The hash tag in braces puts them all into one cluster slot."""
    return [f"render-trio:{{{queue.project}/{queue.name}}}:{kind}" for kind in KEY_KINDS]


def name_of(queue: QueueKey) -> str:
    """Return the name of a queue in Redis: PROJECT/NAME."""
    return f"{queue.project}/{queue.name}"


def queue_of(name: str) -> QueueKey:
    """Return the queue with a name in Redis."""
    project, _, queue = name.rpartition("/")
    return QueueKey(project, queue)


def check_version(text: str) -> None:
    """Raise StoreVersionError for a version that is newer than VERSION."""
    if not text.isascii() or not text.isdigit() or int(text) > VERSION:
        raise StoreVersionError(
            f"the data in Redis has version {text[:20]} ({STORE_KEY}), this program supports {VERSION}; "
            "install the version of render-trio that wrote it, or use another database"
        )


class Layout:
    """What this process knows about the data in Redis. `migrate` is called for data without a version."""

    def __init__(self, migrate: Callable[[list[QueueKey]], None]) -> None:
        self._migrate = migrate
        self._id: str | None = None
        self._resets: str | None = None
        self._checks = 0
        self._declared: set[QueueKey] = set()
        self._lock = threading.Lock()  # held without any call to Redis

    def verify(self, calls: RedisCalls) -> dict[str, str]:
        """Return the content of STORE_KEY, after writing or restoring it if it is missing.

        It is called for a new or renewed connection, for every new queue and by every check of the health. Raises
        StoreVersionError, StoreUnavailableError.
        """
        checks = self._checks
        with calls.reached():
            pipeline = calls.client.pipeline(transaction=False)
            meta, listed = pipeline.hgetall(STORE_KEY).exists(QUEUES_KEY).execute()
        if "version" not in meta:
            meta, checks = self._register(calls, bool(listed)), 0
        check_version(meta["version"])
        if meta.get("declared") and not listed:
            restore_list(calls)
        older = False
        with self._lock:
            if self._id not in (None, meta.get("id")):
                log.error("the data in Redis was deleted or replaced: tasks that were stored until now may be lost")
                self._declared.clear()
                self._checks = 0
            elif _count(meta.get("checks")) < checks:
                log.error("Redis has restored older data: the tasks that were stored last may be lost")
                self._checks, older = 0, True
            if self._resets != meta.get("resets"):
                self._declared.clear()
            self._id, self._resets = meta.get("id"), meta.get("resets")
        if older:
            meta["older_at"] = now_text()
            with suppress(StoreUnavailableError), calls.reached():
                calls.client.hset(STORE_KEY, "older_at", meta["older_at"])
        calls.note_verified()
        return dict(meta)

    def write(self, calls: RedisCalls) -> None:
        """Make a change that has no effect. Raises StoreUnavailableError if Redis refuses it."""
        with calls.reached():
            self._checks = int(calls.client.hincrby(STORE_KEY, "checks", 1))

    def _register(self, calls: RedisCalls, listed: bool) -> dict[str, str]:
        """Write a missing version and identity, after migrating the data if there is any."""
        known = self._id
        queues = listed_queues(calls) if listed else queues_with_keys(calls)
        if queues:
            if known is not None:
                log.warning("Redis lost the key %s, writing it again", STORE_KEY)
            self._migrate(queues)
        new = known if known is not None and queues else uuid.uuid4().hex
        emptied = known is not None and not queues
        arguments: list[str | int] = [VERSION, new, now_text() if emptied else "", "1" if queues else ""]
        flat = calls.run("register", [STORE_KEY], arguments)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def uses(self, queue: QueueKey) -> bool:
        """Return whether this process has used the queue."""
        return queue in self._declared

    def remember(self, calls: RedisCalls, queue: QueueKey, *, lost: bool) -> None:
        """Record that this process uses the queue. `lost`: it had to be created a second time."""
        if lost:
            log.error("Redis lost all keys of queue %s: its tasks are lost", name_of(queue))
            count_losses(calls, 0)
        with suppress(StoreUnavailableError), calls.reached():  # it can fail while memory is exhausted
            calls.client.hset(STORE_KEY, "declared", "1")
        self._declared.add(queue)

    def forget_all(self, calls: RedisCalls) -> None:
        """Prepare for a reset, in this process and, by the number of resets, in the others."""
        with calls.reached():
            calls.client.hincrby(STORE_KEY, "resets", 1)
            calls.client.hdel(STORE_KEY, "declared", "lost", "lost_at", "emptied_at", "older_at")
        self._declared.clear()


def listed_queues(calls: RedisCalls) -> list[QueueKey]:
    """Return the queues in the list, sorted."""
    with calls.reached():
        names = calls.client.smembers(QUEUES_KEY)
    return sorted((queue_of(name) for name in names), key=lambda queue: (queue.project, queue.name))


def queues_with_keys(calls: RedisCalls) -> list[QueueKey]:
    """Return the queues that have a key, by a search through all keys of the database."""
    with calls.reached():
        keys = list(calls.client.scan_iter("render-trio:{*}:*", count=SCAN_COUNT))
    names = {key.partition("{")[2].partition("}")[0] for key in keys}
    return [queue_of(name) for name in sorted(names) if "/" in name]


def restore_list(calls: RedisCalls) -> None:
    """Restore the list of the queues from their keys."""
    names = [name_of(queue) for queue in queues_with_keys(calls)]
    if names:
        log.warning("Redis lost the list of the queues, restored from their keys: %s", ", ".join(names)[:500])
        calls.run("add_queues", [QUEUES_KEY], names)


def count_losses(calls: RedisCalls, number: int) -> None:
    """Add to the number of tasks that Redis lost, which every health check reports."""
    with suppress(StoreUnavailableError), calls.reached():
        calls.client.hincrby(STORE_KEY, "lost", number)
        calls.client.hset(STORE_KEY, "lost_at", now_text())


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0


def now_text() -> str:
    """Return the current time (UTC, ISO 8601, whole seconds)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def losses(meta: dict[str, str]) -> list[str]:
    """Return sentences about the data that Redis has lost."""
    hint = f"to remove this warning: redis-cli HDEL {STORE_KEY}"
    found = []
    if "emptied_at" in meta:
        found.append(
            f"Redis lost all data (noticed at {meta['emptied_at']}): it was restarted without persistence or emptied; "
            f"{hint} emptied_at"
        )
    if "older_at" in meta:
        found.append(
            f"Redis restored older data (noticed at {meta['older_at']}), from a snapshot or a replica that was behind: "
            f"the last tasks before that may be lost, and deleted ones may have returned; {hint} older_at"
        )
    if "lost_at" in meta:
        number = meta.get("lost", "0")
        found.append(
            f"Redis lost keys with {number if number != '0' else 'an unknown number of'} tasks "
            f"(last noticed at {meta['lost_at']}): they were evicted or deleted; {hint} lost lost_at"
        )
    return found
