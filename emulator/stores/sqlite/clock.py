"""The clock of a SQLite store, which changes of the machine's clock don't disturb.

The time of the store is a steady clock of the machine, which cannot be set, plus an offset in the file. All processes
that share the file therefore have the same time, and an hour that is set back delays nothing. The rules:

- The time of the store never goes back. If the machine's clock is set back, the store keeps its time.
- If the machine's clock is ahead of the store, the store takes over its time as soon as no task is leased, so that no
  lease ends early.
- After a restart of the machine, the store continues with the machine's clock, but not before the last time that it
  recorded.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from emulator.stores.interface import SECOND

TOLERANCE_US = SECOND  # between both clocks, before the store takes over the machine's time
# An offset that puts the store this far ahead belongs to another steady clock, for example to that of a container.
MAX_AHEAD_US = 2 * 86_400 * SECOND
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_READ = "SELECT steady_offset_us, ahead_us, boot, last_us FROM clock"
# Scans the tasks that are leased or scheduled, at the end of the index.
_LEASED = (
    "SELECT 1 FROM queues q CROSS JOIN tasks t ON t.part = q.live WHERE t.eta_us > ? AND t.retry_count > 0 LIMIT 1"
)


class MachineClock:
    """The clocks of this machine, in µs. `boot` identifies the period in which `steady_us` counts."""

    def __init__(self) -> None:
        # CLOCK_BOOTTIME (Linux) also counts while the machine is suspended.
        self._clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
        self.boot = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""

    def steady_us(self) -> int:
        """Return the time of a clock that cannot be set."""
        return (time.monotonic_ns() if self._clock is None else time.clock_gettime_ns(self._clock)) // 1000

    def wall_us(self) -> int:
        """Return the time since the epoch. It jumps if the clock of the machine is set."""
        return time.time_ns() // 1000


def adjust(database: sqlite3.Connection, clock: MachineClock) -> int:
    """Apply the rules within the current transaction, record the time of the store, and return it."""
    offset, ahead, boot, last = one_row(database.execute(_READ))
    steady, wall = clock.steady_us(), clock.wall_us() + ahead
    now = int(steady + offset)
    latest = max(wall, int(last))
    # Without an ID, a restart of the machine shows only in its steady clock, which begins again.
    foreign = boot != clock.boot or not last - TOLERANCE_US <= now <= latest + MAX_AHEAD_US
    if foreign:
        now = latest
    elif wall > now + TOLERANCE_US and database.execute(_LEASED, (now,)).fetchone() is None:
        now = wall
    database.execute(
        "UPDATE clock SET steady_offset_us = ?, boot = ?, last_us = max(last_us, ?)", (now - steady, clock.boot, now)
    )
    return now


def one_row(cursor: sqlite3.Cursor) -> tuple[Any, ...]:
    """Return the row of the table `clock`, which always exists unless the file is damaged."""
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the clock of the store is missing")
    return row


def reset(database: sqlite3.Connection, clock: MachineClock) -> None:
    """Set the time of the store to that of the machine, within the current transaction."""
    database.execute(
        "UPDATE clock SET steady_offset_us = ?, ahead_us = 0, last_us = 0, boot = ?",
        (clock.wall_us() - clock.steady_us(), clock.boot),
    )
