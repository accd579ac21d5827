"""Keys of layout 1 (0.1.0, which wrote no version) → layout 2, which counts the tasks of each queue.

Each queue is migrated by itself: its keys except the payloads, which never change, are copied to
`render-trio:{PROJECT/QUEUE}:backup-1:KIND`, and the repair writes the counts. The copies expire after a week. A
migration that was interrupted is continued by the next process.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from emulator.stores.interface import QueueKey, StoreUnavailableError
from emulator.stores.redis.calls import RedisCalls
from emulator.stores.redis.layout import KEY_KINDS, name_of, queue_keys

log = logging.getLogger(__name__)
LOCK_KEY = "render-trio:migration"
LOCK_SECONDS = 60  # for one queue; a process that is killed blocks the migration for as long
BACKUP_SECONDS = 7 * 86_400


def migrate(calls: RedisCalls, queues: list[QueueKey], repair: Callable[[QueueKey], None]) -> None:
    """Migrate the queues, with one process at a time. Raises StoreUnavailableError if another process does it."""
    token = uuid.uuid4().hex
    if calls.run("lock", [LOCK_KEY], [token, LOCK_SECONDS]) == "taken":
        raise StoreUnavailableError("another process is migrating the data in Redis; wait until it has finished")
    try:
        for queue in queues:
            if calls.run("back_up", [*queue_keys(queue), *backup_keys(queue)], [BACKUP_SECONDS]) == "copied":
                log.warning("migrating queue %s to a new layout; a backup is kept for 7 days", name_of(queue))
                repair(queue)
            with calls.reached():
                calls.client.expire(LOCK_KEY, LOCK_SECONDS)
    finally:
        with calls.reached():
            if calls.client.get(LOCK_KEY) == token:
                calls.client.delete(LOCK_KEY)


def backup_keys(queue: QueueKey) -> list[str]:
    """Return the keys of the backup of a queue, in the order of `queue_keys`."""
    return [f"render-trio:{{{name_of(queue)}}}:backup-1:{kind}" for kind in KEY_KINDS]
