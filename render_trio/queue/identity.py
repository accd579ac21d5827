"""Which result belongs to which submission of a task: the IDs of results, and how an existing entry is recognised.

A task is identified by its ID and the time of its insertion: a producer may submit another task under an old ID. Its
result has an ID that is derived from both, so that inserting it twice has the effect of once, and so that it never
collides with the result of an earlier submission. An ID that is already taken counts as this task's result only if
the entry is one: any producer may have chosen that ID for a task of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from render_trio.queue.interface import FoundTask
from render_trio.queue.messages import WEB_PREFIX, LeasedTask, decode_result

ID_CHARACTERS = 500  # of a task: the limit of Task Queue
ALTERNATIVES = 3  # IDs to try if others have taken the first ones


def web_result_id(task_id: str) -> str:
    """Return the ID of the result of a task that was submitted over the web, for which its own ID is enough."""
    return f"{task_id}-result"


def result_ids(task: LeasedTask) -> Iterator[str]:
    """Yield the ID for the task's result, then those to use if the ones before it are taken by something else."""
    submission = f"{task.id}-{task.enqueued_us}"
    plain = web_result_id(task.id) if task.id.startswith(WEB_PREFIX) else f"{submission}-result"
    yield plain if len(plain) <= ID_CHARACTERS else f"{_digest(submission)}-result"
    for number in range(ALTERNATIVES):
        yield f"{_digest(f'{submission}-{number}')}-result"


def former_result_id(task_id: str) -> str:
    """Return the ID that version 0.1.0 gave to a task's result; the time of the insertion was not part of it."""
    plain = f"{task_id}-result"
    return plain if len(plain) <= ID_CHARACTERS else f"{_digest(task_id)}-result"


def is_result_of(task: LeasedTask, found: FoundTask) -> bool:
    """Return whether an entry of the queue is the result of this submission of the task, and of no earlier one."""
    if found.task.enqueued_us < task.enqueued_us:
        return False
    try:
        result = decode_result(found.task.payload)
    except (ValueError, RecursionError):  # the first includes msgspec.DecodeError and binascii.Error
        return False
    submission = result.enqueue_timestamp
    return result.task_id == task.id and submission in (msgspec.UNSET, str(task.enqueued_us))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
