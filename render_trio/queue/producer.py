"""Options → the values of a task, checked → a task in the queue."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from render_trio.errors import InvalidTaskError
from render_trio.queue.messages import TASK_TAG, LeasedTask, decode, encode_task
from resources.parsing import RequestError, parse_request
from resources.request import Request


class TaskSink(Protocol):
    """The operation that submitting a task needs; `TaskQueue` has it."""

    async def submit(self, task_id: str, payload: str, tag: str, *, generated: bool) -> None:
        """Insert a task under a new ID. Raises TaskExistsError, QueueError."""
        ...


def task_values(view: str, options: Mapping[str, object]) -> tuple[Request, dict[str, object]]:
    """Return the request and the keys of its task; missing options have their defaults. Raises RequestError."""
    request = parse_request({**options, "resource_view": view}, default_seed="", fill_defaults=True)
    return request, request.task_values()


def checked_values(view: str, reply_tag: str | None, options: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a task whose result is to have `reply_tag`. Raises RequestError for a value not allowed."""
    _, values = task_values(view, options)
    if reply_tag is not None:
        values["reply_tag"] = reply_tag
        check_values(values)
    return values


def check_values(values: Mapping[str, Any]) -> None:
    """Raise RequestError unless a task with these values can be drawn by the installed version."""
    try:
        decode(LeasedTask(id="", payload=encode_task(dict(values)), lease_us=0, enqueued_us=0, retry_count=0))
    except InvalidTaskError as error:
        raise RequestError(error.code, str(error), error.field) from None


def new_task_id() -> str:
    """Return an ID that no task has or will have."""
    return uuid.uuid4().hex


async def submit(
    queue: TaskSink, values: Mapping[str, Any], task_id: str | None = None, *, generated: bool = False
) -> str:
    """Insert a task into the queue and return its ID: a new one, unless one is given.

    `generated`: the given ID is from `new_task_id`, and perhaps from an attempt that was interrupted. A repeated
    attempt inserts nothing twice. Raises TaskExistsError if the ID is taken by another task, and QueueError.
    """
    chosen = new_task_id() if task_id is None else task_id
    await queue.submit(chosen, encode_task(dict(values)), TASK_TAG, generated=generated or task_id is None)
    return chosen
