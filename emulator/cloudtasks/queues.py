"""The verbs of Cloud Tasks v2beta2 on queues. Locations are names that come back: each has the same queues."""

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
    """Return the name of the call's location, projects/PROJECT/locations/LOCATION. Raises ApiError."""
    location = call.parameters["locationsId"]
    if not LOCATION.fullmatch(location):
        raise invalid("location", location, "1 to 100 letters, digits and '-'")
    return f"projects/{call.parameters['projectsId']}/locations/{location}"


def queue_of(service: QueueService, call: Call, need: Need) -> tuple[QueueKey, str]:
    """Return the queue of a call, and its name. Raises ApiError."""
    queue = service.queue(call, call.parameters["projectsId"], call.parameters["queuesId"], need)
    return queue, f"{location_of(call)}/queues/{queue.name}"


class Queues:
    """The verbs on queues."""

    def __init__(self, service: QueueService) -> None:
        self._service = service

    async def create(self, call: Call) -> Reply:
        """Make a queue known."""
        location = location_of(call)
        body = parameters.body_object(call)
        match = re.fullmatch(rf"{re.escape(location)}/queues/([^/]+)", str(body.get("name", "")))
        if match is None:
            raise invalid("name", body.get("name"), f"{location}/queues/QUEUE", location_type="field")
        for field in ("appEngineHttpTarget", "httpTarget", "rateLimits"):
            if field in body:
                raise invalid(field, body[field], "nothing: this service has pull queues alone", location_type="field")
        retry = body.get("retryConfig")
        if isinstance(retry, dict) and "maxAttempts" in retry:
            allowed = "no maxAttempts here; a limit is said in the queue file"
            raise invalid("retryConfig", body["retryConfig"], allowed, location_type="field")
        queue = self._service.queue(call, call.parameters["projectsId"], match[1], Need.MANAGE)
        if queue in await self._service.known(queue.project):
            raise ApiError(409, f"queue {queue.name} exists already")
        await self._service.ask(self._service.store.declare, queue)
        return await self._resource(queue, match[0], mask_of(call.query))

    async def get(self, call: Call) -> Reply:
        """Return a queue."""
        queue, name = await self._known(call, Need.USE)
        return await self._resource(queue, name, mask_of(call.query))

    async def list(self, call: Call) -> Reply:
        """Return the queues that the caller may use."""
        location, mask = location_of(call), mask_of(call.query)
        if call.query.get("filter"):
            raise invalid("filter", call.query["filter"], "nothing: queues are not filtered")
        size = values.whole_of(call.query, "pageSize", 0, PAGE_QUEUES, PAGE_QUEUES) or PAGE_QUEUES
        start = page_start(call.query.get("pageToken"))
        project = parameters.queue_key(call.parameters["projectsId"], "any").project
        known = [queue for queue in await self._service.known(project) if self._service.may(call, Need.USE, queue)]
        rest = [queue for queue in known if start is None or queue.name > start[1]]
        body: dict[str, Any] = {}
        if rest:
            body["queues"] = [
                queue_resource(
                    f"{location}/queues/{queue.name}",
                    await self._service.ask(self._service.store.stats, queue),
                    self._service.retry_limit(queue),
                    mask,
                )
                for queue in rest[:size]
            ]
        if len(rest) > size:
            body["nextPageToken"] = page_token(0, rest[size - 1].name)
        return Reply(value=body)

    async def pause(self, call: Call) -> Reply:
        """Lease nothing until the queue is resumed."""
        queue, name = await self._known(call, Need.MANAGE)
        await self._service.ask(self._service.store.pause, queue)
        return await self._resource(queue, name)

    async def resume(self, call: Call) -> Reply:
        """Lease again."""
        queue, name = await self._known(call, Need.MANAGE)
        await self._service.ask(self._service.store.resume, queue)
        return await self._resource(queue, name)

    async def purge(self, call: Call) -> Reply:
        """Delete all tasks."""
        queue, name = await self._known(call, Need.MANAGE)
        await self._service.ask(self._service.store.purge, queue)
        return await self._resource(queue, name)

    async def _known(self, call: Call, need: Need) -> tuple[QueueKey, str]:
        """Return the queue of a call, and its name; unlike tasks, it must be there. Raises ApiError."""
        queue, name = queue_of(self._service, call, need)
        if queue not in await self._service.known(queue.project):
            raise ApiError(404, f"there is no queue {queue.name} in {queue.project}; create it, or a task in it")
        return queue, name

    async def _resource(self, queue: QueueKey, name: str, mask: tuple[str, ...] = WITHOUT_STATS) -> Reply:
        stats = await self._service.ask(self._service.store.stats, queue)
        return Reply(value=queue_resource(name, stats, self._service.retry_limit(queue), mask))
