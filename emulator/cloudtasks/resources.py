"""Tasks and queues → the resources of Cloud Tasks v2beta2, with the requested fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.cloudtasks import values
from emulator.stores.interface import SECOND, QueueStats, Task
from emulator.wire.errors import invalid
from emulator.wire.parameters import standard_base64
from emulator.wire.timestamps import time_text

VIEWS = ("VIEW_UNSPECIFIED", "BASIC", "FULL")
QUEUE_FIELDS = ("name", "pullTarget", "retryConfig", "state", "stats")
WITHOUT_STATS = QUEUE_FIELDS[:-1]


def wants_full(fields: Mapping[str, Any]) -> bool:
    """Return whether responseView requests payloads. Raises ApiError."""
    return values.choice_of(fields, "responseView", VIEWS) == "FULL"


def mask_of(query: Mapping[str, str]) -> tuple[str, ...]:
    """Return the fields of a queue that readMask requests. Raises ApiError."""
    text = query.get("readMask", "")
    if text in ("", "*"):
        return QUEUE_FIELDS if text else WITHOUT_STATS
    fields = tuple(values.camel_case(part.strip().partition(".")[0]) for part in text.split(","))
    for field in fields:
        if field not in QUEUE_FIELDS:
            raise invalid("readMask", field, ", ".join(QUEUE_FIELDS))
    return fields


def queue_resource(name: str, stats: QueueStats, retry_limit: int | None, mask: tuple[str, ...]) -> dict[str, Any]:
    """Return the Queue resource; int64 values are strings."""
    figures = {"tasksCount": str(stats.total), "executedLastMinuteCount": str(stats.leased_last_minute)}
    if stats.oldest_us is not None:
        figures["oldestEstimatedArrivalTime"] = time_text(stats.oldest_us)
    resource = {
        "name": name,
        "pullTarget": {},
        "retryConfig": {"unlimitedAttempts": True} if retry_limit is None else {"maxAttempts": retry_limit},
        "state": "PAUSED" if stats.paused else "RUNNING",
        "stats": figures,
    }
    return {field: value for field, value in resource.items() if field in mask}


def task_resource(task: Task, queue_name: str, *, full: bool) -> dict[str, Any]:
    """Return the Task resource. If `full`, it contains the payload in the standard Base64 alphabet, padded."""
    message: dict[str, str] = {}
    if full and task.payload:
        message["payload"] = standard_base64(task.payload)
    if task.tag is not None:
        message["tag"] = task.tag
    return {
        "name": f"{queue_name}/tasks/{task.id}",
        "pullMessage": message,
        "scheduleTime": time_text(task.eta_us),
        "createTime": time_text(task.enqueued_us // SECOND * SECOND),
        "status": {"attemptDispatchCount": task.retry_count},
        "view": "FULL" if full else "BASIC",
    }
