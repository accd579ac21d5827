"""The tables of a SQLite store: created in a new file, migrated in an older one.

Tasks are stored in *parts*: each queue has one part for its tasks and one for its dead letters. A purge assigns a
new part to the queue, which takes the same time for any number of tasks. The old part is garbage, deleted in small
steps later. The same applies to the tombstones and counts of a deleted queue, whose number is never reused.
"""

from __future__ import annotations

import sqlite3

from emulator.stores.interface import StoreUnavailableError

VERSION = 2

TABLES = """
CREATE TABLE clock (offset_us INTEGER NOT NULL, next_part INTEGER NOT NULL);
INSERT INTO clock VALUES (0, 1);
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

STEPS = {0: TABLES, 1: FROM_1}


def prepare(database: sqlite3.Connection) -> None:
    """Create or migrate the tables within the current transaction.

    Raises StoreUnavailableError for a file that was written by a later version of this program.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version not in STEPS:
        raise StoreUnavailableError(
            f"the store was written by a later version (schema {version}; supported: {VERSION}); upgrade this program, "
            "or use a new file"
        )
    for statement in STEPS[version].split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {VERSION}")
