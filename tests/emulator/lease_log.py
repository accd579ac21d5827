"""The leases that clients received → the conflicts between them: each task must have one holder at a time.

All times are those of the store, in µs. A lease of S seconds that ends at E was made at E − S, so the entries of
several clients can be ordered.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A lease from `at` until `until`. For a renewal or release, `renews` is the previous end."""

    task: str
    at: int
    until: int
    client: int
    renews: int | None = None


def conflicts(log: list[Entry]) -> list[str]:
    """Return the conflicts: a lease made before the previous one ended, or a renewal of an ended lease."""
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
