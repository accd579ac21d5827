"""A stored task → a row of the page: its state as text, and its payload in a readable form."""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import msgspec

from emulator.stores.interface import SECOND, Task
from emulator.wire.parameters import standard_base64
from emulator.wire.timestamps import time_text

SHOWN_CHARACTERS = 4000
SHOWN_BYTES = 512  # of a binary payload
INDENTED_BYTES = 64 * 1024  # larger JSON is shown without indentation, and truncated
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One row of the page. `state` is due, leased, scheduled or dead; `size` is in bytes."""

    id: str
    tag: str
    state: str
    when: str
    when_exactly: str
    inserted: str
    inserted_exactly: str
    leases: int
    size: int
    payload: str
    truncated: bool


def task_row(task: Task, now_us: int, *, dead: bool = False) -> TaskRow:
    """Return the row of a task at the time `now_us`."""
    ahead = task.eta_us - now_us
    if dead:
        state, when = "dead", f"since {duration(-ahead)}"
    elif ahead <= 0:
        state, when = "due", f"for {duration(-ahead)}"
    else:
        state, when = ("leased" if task.retry_count else "scheduled"), f"for {duration(ahead)} more"
        if state == "scheduled":
            when = f"in {duration(ahead)}"
    content = binascii.a2b_base64(standard_base64(task.payload))
    text = readable(content)
    return TaskRow(
        id=task.id,
        tag=task.tag or "",
        state=state,
        when=when,
        when_exactly=time_text(task.eta_us),
        inserted=f"{duration(now_us - task.enqueued_us)} ago",
        inserted_exactly=time_text(task.enqueued_us),
        leases=task.retry_count,
        size=len(content),
        payload=text[:SHOWN_CHARACTERS],
        truncated=len(text) > SHOWN_CHARACTERS,
    )


def readable(content: bytes) -> str:
    """Return a payload as text: JSON indented, other text unchanged, bytes in hexadecimal."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        shown = content[:SHOWN_BYTES].hex(" ", 2)
        return shown + (" …" if len(content) > SHOWN_BYTES else "")
    if len(content) > INDENTED_BYTES:
        return text
    try:
        msgspec.json.decode(content)
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return text


def duration(microseconds: int) -> str:
    """Return a duration in its two largest units, such as `1 h 5 min`."""
    seconds = max(0, microseconds) // SECOND
    parts: list[str] = []
    for size, unit in UNITS:
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
