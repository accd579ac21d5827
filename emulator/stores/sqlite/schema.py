"""The tables of a SQLite store: created in a new file, migrated in an older one.

Tasks are stored in *parts*: each queue has one part for its tasks and one for its dead letters. A purge assigns a
new part to the queue, which takes the same time for any number of tasks. The old part is garbage, deleted in small
steps later. The same applies to the tombstones and counts of a deleted queue, whose number is never reused.

The header of the file contains APPLICATION_ID and the version (`user_version`). Version 2 was written by release 0.1.0,
without an application ID. Before a migration, the file is copied to `FILE.backup-vN`.
"""

from __future__ import annotations

import contextlib
import filecmp
import logging
import os
import sqlite3
from pathlib import Path

from emulator.stores.interface import StoreUnavailableError

log = logging.getLogger(__name__)
VERSION = 3
APPLICATION_ID = 0x52545251  # "RTRQ"

# clock: see clock.py. Its offset has a new name since version 3, because an older program would misread it.
CLOCK = """
CREATE TABLE clock (
    steady_offset_us INTEGER NOT NULL, ahead_us INTEGER NOT NULL, boot TEXT NOT NULL, last_us INTEGER NOT NULL,
    next_part INTEGER NOT NULL
);
"""
TABLES = (
    CLOCK
    + """
INSERT INTO clock VALUES (0, 0, '', 0, 1);
CREATE TABLE queues (
    number INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, name TEXT NOT NULL,
    live INTEGER NOT NULL, dead INTEGER NOT NULL,
    live_count INTEGER NOT NULL DEFAULT 0, dead_count INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0, awaited INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project, name)
);
CREATE TABLE tasks (
    part INTEGER NOT NULL, id TEXT NOT NULL, tag TEXT,
    enqueued_us INTEGER NOT NULL, eta_us INTEGER NOT NULL, retry_count INTEGER NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (part, id)
);
CREATE INDEX tasks_by_eta ON tasks (part, eta_us, id);
CREATE INDEX tasks_by_tag ON tasks (part, tag, eta_us, id);
CREATE TABLE garbage (part INTEGER PRIMARY KEY);
CREATE TABLE tombstones (
    queue INTEGER NOT NULL, id TEXT NOT NULL, until_us INTEGER NOT NULL, PRIMARY KEY (queue, id)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_end ON tombstones (until_us);
CREATE TABLE lease_counts (
    queue INTEGER NOT NULL, second INTEGER NOT NULL, leased INTEGER NOT NULL, PRIMARY KEY (queue, second)
) WITHOUT ROWID;
CREATE TABLE listeners (port INTEGER PRIMARY KEY, until_us INTEGER NOT NULL);
"""
)

# Version 1 stored the name of the queue in every row, and no counts. Renaming a table does not rename its indexes, so
# they are dropped first to free their names.
FROM_1 = (
    """
DROP INDEX tasks_by_eta;
DROP INDEX tasks_by_tag;
DROP INDEX tombstones_by_end;
ALTER TABLE tasks RENAME TO tasks_1;
ALTER TABLE tombstones RENAME TO tombstones_1;
ALTER TABLE lease_counts RENAME TO lease_counts_1;
ALTER TABLE queues RENAME TO queues_1;
"""
    + TABLES
    + """
INSERT INTO queues (project, name, live, dead, live_count)
    SELECT project, queue, 2 * row_number() OVER () - 1, 2 * row_number() OVER (),
           (SELECT count(*) FROM tasks_1 t WHERE t.project = q.project AND t.queue = q.queue)
    FROM queues_1 q;
UPDATE clock SET next_part = 1 + 2 * (SELECT count(*) FROM queues);
INSERT INTO tasks (part, id, tag, enqueued_us, eta_us, retry_count, payload)
    SELECT live, id, tag, enqueued_us, eta_us, retry_count, payload
    FROM tasks_1 t JOIN queues q ON q.project = t.project AND q.name = t.queue;
INSERT INTO tombstones SELECT number, id, until_us
    FROM tombstones_1 t JOIN queues q ON q.project = t.project AND q.name = t.queue;
INSERT INTO lease_counts SELECT number, second, leased
    FROM lease_counts_1 t JOIN queues q ON q.project = t.project AND q.name = t.queue;
DROP TABLE tasks_1;
DROP TABLE tombstones_1;
DROP TABLE lease_counts_1;
DROP TABLE queues_1;
"""
)

# Version 2 had the offset from the machine's clock, which only tests advance. last_us, the latest time in the file, is
# taken from the counts of leases.
FROM_2 = (
    """
ALTER TABLE clock RENAME TO clock_2;
"""
    + CLOCK
    + """
INSERT INTO clock SELECT 0, offset_us, '', (SELECT 1000000 * coalesce(max(second), 0) FROM lease_counts), next_part
    FROM clock_2;
DROP TABLE clock_2;
DELETE FROM listeners;
"""
)

STEPS = {0: TABLES, 1: FROM_1, 2: FROM_2}
OWN_TABLES = {"queues", "tasks", "tombstones", "lease_counts"}


def prepare(database: sqlite3.Connection, path: Path | None) -> bool:
    """Create or migrate the tables within the current write transaction; return whether there was a migration.

    `path` is the file to back up before a migration, None for a store in memory. Raises StoreUnavailableError for a
    file that was written by a later version or by another program, and if it can't be backed up.
    """
    version = version_of(database)
    if version == VERSION:
        return False
    backup = None
    try:
        if version and path is not None:
            backup = _back_up(path, version)
        for statement in STEPS[version].split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except (sqlite3.Error, OSError):
        if backup is not None:  # the file is unchanged, and the next attempt makes another one
            with contextlib.suppress(OSError):
                backup.unlink()
        raise
    if backup is not None:
        log.warning("store migrated from version %d to %d, backup: %s", version, VERSION, backup)
    return bool(version)


def version_of(database: sqlite3.Connection) -> int:
    """Return the version of the file, 0 for an empty one. Raises StoreUnavailableError if it can't be used."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if application == 0 and version == 0 and not tables:
        return 0
    if application in (0, APPLICATION_ID) and version > VERSION and (not tables or tables >= OWN_TABLES):
        raise StoreUnavailableError(
            f"it was written by a later version (schema {version}; supported: up to {VERSION}); "
            "upgrade this program, or use a new file"
        )
    released = application == 0 and version in (1, 2)
    if not tables >= OWN_TABLES or not (released or (application == APPLICATION_ID and version == VERSION)):
        raise StoreUnavailableError(
            f"it is the database of another program (application ID {application}, version {version}); use another file"
        )
    return int(version)


def _back_up(path: Path, version: int) -> Path:
    """Copy the file, with the changes in its journal, to a file next to it; return its path."""
    backup = path.with_name(f"{path.name}.backup-v{version}")
    part = backup.with_name(f"{backup.name}.part")
    first, number = backup, 1
    _delete_partial(part)  # of a process that was killed
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(part)) as target,
        ):
            source.backup(target)
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        while backup.exists():  # an earlier backup can contain tasks that are nowhere else
            if filecmp.cmp(part, backup, shallow=False):  # of a migration that was killed
                return backup
            number += 1
            backup = first.with_name(f"{first.name}-{number}")
        part.replace(backup)
    finally:
        _delete_partial(part)
    return backup


def _delete_partial(part: Path) -> None:
    for path in (part, part.with_name(f"{part.name}-journal")):
        path.unlink(missing_ok=True)
