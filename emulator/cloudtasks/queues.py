"""The verbs of Cloud Tasks v2beta2 on queues. All locations share the same queues; a location is only a name."""

from __future__ import annotations

import re
from typing import Any

from emulator.cloudtasks import values
from emulator.cloudtasks.resources import WITHOUT_STATS, mask_of, queue_resource
from emulator.permissions.access import Need
from emulator.queues.queue_service import QueueService
from emulator.stores.interface import QueueKey
from emulator.wire import parameters
from emulator.wire.calls import Call, Reply
from emulator.wire.errors import ApiError, invalid
from emulator.wire.paging import page_start, page_token

PAGE_QUEUES = 9800
LOCATION = re.compile(r"[a-zA-Z0-9-]{1,100}", re.ASCII)


def location_of(call: Call) -> str:
    """Return the location of a call as projects/PROJECT/locations/LOCATION. Raises ApiError."""
    location = call.parameters["locationsId"]
    if not LOCATION.fullmatch(location):
        raise invalid("location", location, "1 to 100 letters, digits and '-'")
    return f"projects/{call.parameters['projectsId']}/locations/{location}"


def queue_of(service: QueueService, call: Call, need: Need) -> tuple[QueueKey, str]:
    """Return the queue of a call and its full name. Raises ApiError."""
    queue = service.queue(call, call.parameters["projectsId"], call.parameters["queuesId"], need)
    return queue, f"{location_of(call)}/queues/{queue.name}"


class Queues:
    """The verbs on queues."""

    def __init__(self, service: QueueService) -> None:
        self._service = service

    async def create(self, call: Call) -> Reply:
        """Create a queue."""
        location = location_of(call)
        body = values.body_of(call)
        match = re.fullmatch(rf"{re.escape(location)}/queues/([^/]+)", str(body.get("name", "")))
        if match is None:
            raise invalid("name", body.get("name"), f"{location}/queues/QUEUE", location_type="field")
        for field in ("appEngineHttpTarget", "httpTarget", "rateLimits"):
            if field in body:
                raise invalid(field, body[field], "omit it; this service has only pull queues", location_type="field")
        retry = body.get("retryConfig")
        if isinstance(retry, dict) and "maxAttempts" in values.message_of(retry):
            allowed = "omit maxAttempts; set the limit in the queue file"
            raise invalid("retryConfig", body["retryConfig"], allowed, location_type="field")
        queue = self._service.queue(call, call.parameters["projectsId"], match[1], Need.MANAGE)
        if queue in await self._service.queues_of(queue.project):
            raise ApiError(409, f"queue {queue.name} already exists")
        await self._service.create_queue(queue)
        await self._service.call_store(self._service.store.declare, queue)
        return await self._resource(queue, match[0], mask_of(values.message_of(call.query)))

    async def get(self, call: Call) -> Reply:
        """Return a queue."""
        queue, name = await self._existing(call, Need.USE)
        return await self._resource(queue, name, mask_of(values.message_of(call.query)))

    async def list(self, call: Call) -> Reply:
        """Return the queues that the caller may use."""
        query = values.message_of(call.query)
        location, mask = location_of(call), mask_of(query)
        if query.get("filter"):
            raise invalid("filter", query["filter"], "omit it; queues can't be filtered")
        size = values.integer_of(query, "pageSize", 0, PAGE_QUEUES, PAGE_QUEUES) or PAGE_QUEUES
        start = page_start(query.get("pageToken"))
        project = parameters.queue_key(call.parameters["projectsId"], "any").project
        known = [
            queue for queue in await self._service.queues_of(project) if self._service.permits(call, Need.USE, queue)
        ]
        rest = [queue for queue in known if start is None or queue.name > start[1]]
        body: dict[str, Any] = {}
        if rest:
            body["queues"] = [
                queue_resource(
                    f"{location}/queues/{queue.name}",
                    await self._service.call_store(self._service.store.stats, queue),
                    self._service.retry_limit(queue),
                    mask,
                )
                for queue in rest[:size]
            ]
        if len(rest) > size:
            body["nextPageToken"] = page_token(0, rest[size - 1].name)
        return Reply(value=body)

    async def pause(self, call: Call) -> Reply:
        """Pause a queue."""
        queue, name = await self._existing(call, Need.MANAGE)
        await self._service.call_store(self._service.store.pause, queue)
        return await self._resource(queue, name)

    async def resume(self, call: Call) -> Reply:
        """Resume a queue."""
        queue, name = await self._existing(call, Need.MANAGE)
        await self._service.call_store(self._service.store.resume, queue)
        return await self._resource(queue, name)

    async def purge(self, call: Call) -> Reply:
        """Delete all tasks of a queue."""
        queue, name = await self._existing(call, Need.MANAGE)
        await self._service.call_store(self._service.store.purge, queue)
        return await self._resource(queue, name)

    async def _existing(self, call: Call, need: Need) -> tuple[QueueKey, str]:
        """Return the queue of a call and its full name. Raises ApiError if the queue does not exist yet."""
        queue, name = queue_of(self._service, call, need)
        if queue not in await self._service.queues_of(queue.project):
            raise ApiError(404, f"queue {queue.name} does not exist in {queue.project}; create it, or a task in it")
        return queue, name

    async def _resource(self, queue: QueueKey, name: str, mask: tuple[str, ...] = WITHOUT_STATS) -> Reply:
        stats = await self._service.call_store(self._service.store.stats, queue)
        return Reply(value=queue_resource(name, stats, self._service.retry_limit(queue), mask))
