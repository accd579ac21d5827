"""A log of what clients were told about leases → whether each task was held by one at a time.

All times are the store's, in µs: a lease of S seconds that ends at E was made at E − S, so the log can be put in
order whoever wrote it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A lease made at a moment; or renewed or given back (`renews` is the end that it had), until another."""

    task: str
    at: int
    until: int
    client: int
    renews: int | None = None


def conflicts(log: list[Entry]) -> list[str]:
    """Return what must not be: a lease made before the last one ended, a renewal of one that had."""
    by_task: dict[str, list[Entry]] = defaultdict(list)
    for entry in log:
        by_task[entry.task].append(entry)
    found = []
    for task, entries in by_task.items():
        held_until, holder = 0, -1
        for entry in sorted(entries, key=lambda entry: entry.at):
            if entry.renews is None:
                if entry.at < held_until:
                    found.append(f"{task}: leased by {entry.client} at {entry.at}, held by {holder} until {held_until}")
            elif entry.renews != held_until or entry.at >= held_until:
                found.append(f"{task}: renewed by {entry.client} at {entry.at} when it was held until {held_until}")
            held_until, holder = entry.until, entry.client
    return found
