"""The verbs of Task Queue v1beta2 for pull queues. Their paths are defined by the discovery document."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from emulator.permissions.access import Need
from emulator.queues.queue_service import QueueService
from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey, Task
from emulator.wire import parameters
from emulator.wire.calls import NO_CONTENT, Call, Reply, Verb
from emulator.wire.errors import LEASE_REASONS, ApiError, by_reason, invalid, required

ERRORS = by_reason
MAX_LISTED = 100
PAYLOAD_ALLOWED = "Base64 of 1 byte to 1 MiB"


def verbs(service: QueueService) -> Mapping[str, Verb]:
    """Return the verbs by their method ID in the discovery document."""
    api = TaskQueueApi(service, legacy=service.legacy_shapes)
    return {
        "taskqueue.taskqueues.get": api.get_queue,
        "taskqueue.tasks.list": api.list_tasks,
        "taskqueue.tasks.insert": api.insert_task,
        "taskqueue.tasks.lease": api.lease_tasks,
        "taskqueue.tasks.get": api.get_task,
        "taskqueue.tasks.patch": api.patch_task,
        "taskqueue.tasks.update": api.update_task,
        "taskqueue.tasks.delete": api.delete_task,
    }


class TaskQueueApi:
    """The verbs. `legacy` selects the format of replies that older clients need."""

    def __init__(self, service: QueueService, *, legacy: bool) -> None:
        self._service = service
        self._store = service.store
        self._legacy = legacy

    def _queue(self, call: Call, need: Need = Need.USE) -> QueueKey:
        return self._service.queue(call, call.parameters["project"], call.parameters["taskqueue"], need)

    def _int64(self, number: int) -> str | int:
        """Return an int64 as in Google's service, a string, or as in the legacy format."""
        return number if self._legacy else str(number)

    def _resource(self, task: Task, queue_name: str, *, payload: bool = True) -> dict[str, Any]:
        """Return the Task resource. In the legacy format it is always complete."""
        resource: dict[str, Any] = {"kind": "taskqueues#task", "id": task.id, "queueName": queue_name}
        if payload or self._legacy:
            resource["payloadBase64"] = task.payload
        resource["enqueueTimestamp"] = self._int64(task.enqueued_us)
        resource["leaseTimestamp"] = self._int64(task.eta_us)
        resource["retry_count"] = task.retry_count
        if task.tag is not None or self._legacy:
            resource["tag"] = task.tag or ""
        return resource

    def _listed(self, kind: str, items: list[dict[str, Any]]) -> Reply:
        """Return a list in the format of Google's service, which omits empty `items`, or in the legacy format."""
        if self._legacy:
            return Reply(value={"kind": "taskqueue#tasks", "items": items})
        return Reply(value={"kind": kind, "items": items} if items else {"kind": kind})

    async def get_queue(self, call: Call) -> Reply:
        """Return the queue, with its statistics if requested."""
        queue = self._queue(call)
        resource: dict[str, Any] = {
            "kind": "taskqueues#taskqueue",
            "id": long_name(queue),
            "maxLeases": self._service.retry_limit(queue) or 0,
        }
        if parameters.flag(call.query, "getStats"):
            stats = await self._service.call_store(self._store.stats, queue)
            resource["stats"] = {
                "totalTasks": stats.total,
                "oldestTask": self._int64((stats.oldest_us or 0) // SECOND),
                "leasedLastMinute": self._int64(stats.leased_last_minute),
                "leasedLastHour": self._int64(stats.leased_last_hour),
            }
        return Reply(value=resource)

    async def list_tasks(self, call: Call) -> Reply:
        """Return the first tasks, including leased ones, without payloads (in the legacy format, with them)."""
        queue = self._queue(call)
        tasks = await self._service.call_store(self._store.peek, queue, MAX_LISTED)
        if self._legacy:
            tasks = _within(tasks, parameters.payload_bytes(MAX_LISTED))
        return self._listed("taskqueues#tasks", [self._resource(task, queue.name, payload=False) for task in tasks])

    async def insert_task(self, call: Call) -> Reply:
        """Insert a task."""
        queue = self._queue(call, Need.INSERT)
        body = parameters.body_object(call)
        eta = _lease_timestamp(body)
        eta = None if eta is None else await self._service.due(eta, "leaseTimestamp")
        new = _new_task(body, queue, uuid.uuid4().hex, eta)
        task = await self._service.insert(queue, new)
        return Reply(value=self._resource(task, queue.name))

    async def lease_tasks(self, call: Call) -> Reply:
        """Lease due tasks. If none is due and the client sent `Prefer: wait=N`, wait for one."""
        queue = self._queue(call)
        order = _lease_order(call.query, self._service.retry_limit(queue))
        wait = self._service.wait_seconds(call)
        tasks = await self._service.lease(queue, order, wait, call.client)
        name = queue.name if self._legacy else long_name(queue)
        reply = self._listed("taskqueue#tasks", [self._resource(task, name) for task in tasks])
        return Reply(value=reply.value, headers=(("Preference-Applied", f"wait={wait}"),)) if wait else reply

    async def get_task(self, call: Call) -> Reply:
        """Return a task without leasing it."""
        queue = self._queue(call)
        task = await self._service.call_store(self._store.get, queue, parameters.task_name(call.parameters["task"]))
        return Reply(value=self._resource(task, queue.name))

    async def patch_task(self, call: Call) -> Reply:
        """Renew or end a lease."""
        queue = self._queue(call)
        task_id = parameters.task_name(call.parameters["task"])
        body = parameters.body_object(call)
        _check_queue_name(body, queue, is_required=True)
        return await self._renew(queue, call, body, task_id)

    async def update_task(self, call: Call) -> Reply:
        """Renew or end a lease. As in Google's service, an ID in the body takes precedence over that in the path."""
        queue = self._queue(call)
        body = parameters.body_object(call)
        _check_queue_name(body, queue)
        task_id = parameters.task_name(body.get("id") or call.parameters["task"], "id")
        return await self._renew(queue, call, body, task_id)

    async def _renew(self, queue: QueueKey, call: Call, body: dict[str, Any], task_id: str) -> Reply:
        seconds = parameters.integer(call.query, "newLeaseSeconds", 0, parameters.MAX_LEASE_SECONDS)
        lease_us = _lease_timestamp(body)
        task = await self._service.call_store(self._store.renew, queue, task_id, lease_us, seconds)
        return Reply(value=self._resource(task, queue.name))

    async def delete_task(self, call: Call) -> Reply:
        """Delete a task, even if it is leased; with If-Match, only if its current lease ends then."""
        queue, task_id = self._queue(call), parameters.task_name(call.parameters["task"])
        lease_us = _required_lease(call.headers.get("if-match"))
        try:
            await self._service.call_store(self._store.delete, queue, task_id, lease_us)
        except ApiError as error:
            if error.reason in LEASE_REASONS:
                raise ApiError(412, error.message, "conditionNotMet", "If-Match", "header") from None
            raise
        return NO_CONTENT


def long_name(queue: QueueKey) -> str:
    """Return the full name of the queue, including its project."""
    return f"projects/{queue.project}/taskqueues/{queue.name}"


def _within(tasks: list[Task], max_bytes: int) -> list[Task]:
    """Return the first tasks whose payloads have up to `max_bytes` in total."""
    kept: list[Task] = []
    for task in tasks:
        max_bytes -= len(task.payload)
        if max_bytes < 0:
            break
        kept.append(task)
    return kept


def _lease_order(query: Mapping[str, str], retry_limit: int | None) -> LeaseOrder:
    group = parameters.flag(query, "groupByTag")
    tag = parameters.tag(query.get("tag"))
    if tag is not None and not group:
        raise ApiError(400, "tag requires groupByTag=true; add it or omit tag", "invalidParameter", "tag")
    count = parameters.integer(query, "numTasks", 1, parameters.MAX_TASKS)
    return LeaseOrder(
        count=count,
        seconds=parameters.integer(query, "leaseSecs", 0, parameters.MAX_LEASE_SECONDS),
        group_by_tag=group,
        tag=tag,
        max_bytes=parameters.payload_bytes(count),
        retry_limit=retry_limit,
    )


def _check_queue_name(body: Mapping[str, Any], queue: QueueKey, *, is_required: bool = False) -> None:
    """Raise ApiError if queueName in the body, in short or full form, is not the queue in the path."""
    name = body.get("queueName") or None  # an empty name counts as missing
    if name is None and not is_required:
        return
    allowed = f"{queue.name!r}, the queue in the path"
    if name is None:
        raise required("queueName", allowed, location_type="field")
    if not isinstance(name, str) or name.rsplit("/", 1)[-1] != queue.name:
        raise invalid("queueName", name, allowed, location_type="field")


def _lease_timestamp(body: Mapping[str, Any]) -> int | None:
    """Return leaseTimestamp in the body, in µs, or None. An int64 is sent as a string. Raises ApiError."""
    value = body.get("leaseTimestamp")
    if value is None or value == "":
        return None
    microseconds = parameters.whole_number(value)
    if microseconds is None or not 0 <= microseconds < 10**18:
        raise invalid("leaseTimestamp", value, "microseconds since the epoch, as digits", location_type="field")
    return microseconds or None


def _required_lease(etag: str | None) -> int | None:
    """Return the leaseTimestamp in an If-Match header, or None if any will do. Raises ApiError."""
    if etag is None or etag == "*":
        return None
    if found := re.fullmatch(r'"([0-9]{1,18})"', etag, re.ASCII):
        return int(found[1])
    raise invalid("If-Match", etag, "a leaseTimestamp in quotation marks, or *", location_type="header")


def _new_task(body: Mapping[str, Any], queue: QueueKey, default_id: str, eta_us: int | None) -> NewTask:
    """Return the task to insert from a body, with the ETA `eta_us`. Raises ApiError."""
    _check_queue_name(body, queue)
    payload, task_id = body.get("payloadBase64"), body.get("id")
    if payload is None or payload == "":
        raise required("payloadBase64", PAYLOAD_ALLOWED, location_type="field")
    payload = parameters.payload_of(payload, "payloadBase64")
    if not payload:
        raise required("payloadBase64", PAYLOAD_ALLOWED, location_type="field")
    return NewTask(
        id=parameters.task_name(task_id, "id") if task_id not in (None, "") else default_id,
        payload=payload,
        tag=parameters.tag(body.get("tag")),
        eta_us=eta_us,
    )
