"""The verbs of Cloud Tasks v2beta2 for pull queues. Their paths are defined by the discovery document.

Both APIs operate on the same tasks. In this one, the end of the lease, which fences it, is called scheduleTime, and
acknowledging means deleting a task that the caller holds.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emulator.cloudtasks import values
from emulator.cloudtasks.queues import Queues, queue_of
from emulator.cloudtasks.resources import task_resource, wants_full
from emulator.permissions.access import Need
from emulator.queues.queue_service import QueueService
from emulator.stores.interface import LeaseOrder, NewTask
from emulator.wire import parameters
from emulator.wire.calls import Call, Reply, Verb
from emulator.wire.errors import ApiError, by_status, invalid, required
from emulator.wire.paging import page_start, page_token
from emulator.wire.timestamps import TIME_ALLOWED, time_of

ERRORS = by_status
PAGE_TASKS = 1000
OLDEST_TAG = "tag_function=oldest_tag()"
FILTER_ALLOWED = f"tag=TAG, {OLDEST_TAG}"


def verbs(service: QueueService) -> Mapping[str, Verb]:
    """Return the verbs by their method ID in the discovery document."""
    queues, tasks = Queues(service), Tasks(service)
    prefix = "cloudtasks.projects.locations.queues"
    return {
        f"{prefix}.create": queues.create,
        f"{prefix}.get": queues.get,
        f"{prefix}.list": queues.list,
        f"{prefix}.pause": queues.pause,
        f"{prefix}.purge": queues.purge,
        f"{prefix}.resume": queues.resume,
        f"{prefix}.tasks.acknowledge": tasks.acknowledge,
        f"{prefix}.tasks.cancelLease": tasks.cancel_lease,
        f"{prefix}.tasks.create": tasks.create,
        f"{prefix}.tasks.delete": tasks.delete,
        f"{prefix}.tasks.get": tasks.get,
        f"{prefix}.tasks.lease": tasks.lease,
        f"{prefix}.tasks.list": tasks.list,
        f"{prefix}.tasks.renewLease": tasks.renew_lease,
    }


class Tasks:
    """The verbs on tasks."""

    def __init__(self, service: QueueService) -> None:
        self._service = service
        self._store = service.store

    async def create(self, call: Call) -> Reply:
        """Create a task."""
        queue, queue_name = queue_of(self._service, call, Need.INSERT)
        body = values.body_of(call)
        full = wants_full(body)
        fields = values.object_of(body, "task", "task", "a task with a pullMessage")
        message = values.object_of(fields, "pullMessage", "task.pullMessage", "an object with payload and tag")
        task_id = _new_id(fields.get("name"), queue_name)
        eta = time_of(fields, "scheduleTime", "task.scheduleTime")
        eta = None if eta is None else await self._service.due(eta, "task.scheduleTime")
        payload = message.get("payload") or ""
        if payload:
            payload = parameters.payload_of(payload, "task.pullMessage.payload")
        new = NewTask(task_id, payload, parameters.tag(message.get("tag"), "task.pullMessage.tag"), eta)
        task = await self._service.insert(queue, new)
        return Reply(value=task_resource(task, queue_name, full=full))

    async def get(self, call: Call) -> Reply:
        """Return a task without leasing it."""
        queue, queue_name = queue_of(self._service, call, Need.USE)
        full = wants_full(values.message_of(call.query))
        task = await self._service.call_store(self._store.get, queue, _id(call))
        return Reply(value=task_resource(task, queue_name, full=full))

    async def list(self, call: Call) -> Reply:
        """Return a page of tasks, including leased ones."""
        queue, queue_name = queue_of(self._service, call, Need.USE)
        query = values.message_of(call.query)
        full = wants_full(query)
        size = values.integer_of(query, "pageSize", 0, PAGE_TASKS, PAGE_TASKS) or PAGE_TASKS
        start = page_start(query.get("pageToken"))
        tasks = await self._service.call_store(self._store.peek, queue, size + 1, start)
        body: dict[str, Any] = {}
        if tasks:
            body["tasks"] = [task_resource(task, queue_name, full=full) for task in tasks[:size]]
        if len(tasks) > size:
            body["nextPageToken"] = page_token(tasks[size - 1].eta_us, tasks[size - 1].id)
        return Reply(value=body)

    async def lease(self, call: Call) -> Reply:
        """Lease due tasks. If none is due and the client sent `Prefer: wait=N`, wait for one."""
        queue, queue_name = queue_of(self._service, call, Need.USE)
        body = values.body_of(call)
        full = wants_full(body)
        count = values.integer_of(body, "maxTasks", 1, parameters.MAX_TASKS)
        order = LeaseOrder(
            count=count,
            seconds=values.duration_of(body, "leaseDuration", parameters.MAX_LEASE_SECONDS),
            max_bytes=parameters.payload_bytes(count),
            retry_limit=self._service.retry_limit(queue),
        )
        selector = body.get("filter")
        if selector == OLDEST_TAG:
            order = replace(order, group_by_tag=True)
        elif selector:
            if not isinstance(selector, str) or not selector.startswith("tag=") or selector == "tag=":
                raise invalid("filter", selector, FILTER_ALLOWED, location_type="field")
            order = replace(order, group_by_tag=True, tag=parameters.tag(selector.removeprefix("tag="), "filter"))
        wait = self._service.wait_seconds(call)
        leased = await self._service.lease(queue, order, wait, call.client)
        # In this API, the count includes the current lease; that of the store does not.
        counted = (replace(task, retry_count=task.retry_count + 1) for task in leased)
        tasks = [task_resource(task, queue_name, full=full) for task in counted]
        applied = (("Preference-Applied", f"wait={wait}"),) if wait else ()
        return Reply(value={"tasks": tasks} if tasks else {}, headers=applied)

    async def acknowledge(self, call: Call) -> Reply:
        """Delete a task that the caller holds."""
        queue, _ = queue_of(self._service, call, Need.USE)
        lease_us = _schedule_time(values.body_of(call))
        await self._fenced(call, self._store.delete, queue, _id(call), lease_us)
        return Reply(value={})

    async def renew_lease(self, call: Call) -> Reply:
        """Renew the lease that the caller holds."""
        body = values.body_of(call)
        seconds = values.duration_of(body, "leaseDuration", parameters.MAX_LEASE_SECONDS)
        return await self._renew(call, body, seconds)

    async def cancel_lease(self, call: Call) -> Reply:
        """Release a task that the caller holds."""
        return await self._renew(call, values.body_of(call), 0)

    async def _renew(self, call: Call, body: dict[str, Any], seconds: int) -> Reply:
        queue, queue_name = queue_of(self._service, call, Need.USE)
        full, lease_us = wants_full(body), _schedule_time(body)
        task = await self._fenced(call, self._store.renew, queue, _id(call), lease_us, seconds)
        return Reply(value=task_resource(task, queue_name, full=full))

    async def delete(self, call: Call) -> Reply:
        """Delete a task, even if it is leased."""
        queue, _ = queue_of(self._service, call, Need.USE)
        await self._service.call_store(self._store.delete, queue, _id(call))
        return Reply(value={})

    async def _fenced(self, call: Call, verb: Any, *arguments: Any) -> Any:
        """Call the store; translate a lease conflict into the terms of this API. Raises ApiError."""
        try:
            return await self._service.call_store(verb, *arguments)
        except ApiError as error:
            if error.reason != "leaseConflict":
                raise
            message = f"scheduleTime is not that of the current lease of task {_id(call)!r}; lease the task again"
            raise ApiError(400, message, error.reason, "scheduleTime", "field") from None


def _new_id(name: object, queue_name: str) -> str:
    """Return the ID in the full name of a new task, or a random ID if it has no name. Raises ApiError."""
    if name is None or name == "":
        return uuid.uuid4().hex
    match = re.fullmatch(rf"{re.escape(queue_name)}/tasks/([^/]+)", str(name))
    if match is None:
        raise invalid("task.name", name, f"{queue_name}/tasks/TASK", location_type="field")
    return parameters.task_name(match[1], "task.name")


def _id(call: Call) -> str:
    return parameters.task_name(call.parameters["tasksId"])


def _schedule_time(body: dict[str, Any]) -> int:
    """Return the scheduleTime in the body, which fences the lease. Raises ApiError if it is missing."""
    lease_us = time_of(body, "scheduleTime", "scheduleTime")
    if lease_us is None:
        raise required("scheduleTime", f"{TIME_ALLOWED}, as returned by the lease", location_type="field")
    return lease_us
