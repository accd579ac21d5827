"""The queue's verbs: the Task Queue REST API v1beta2, the only queue there is so far.

A verb is repeated only where that does no harm. Inserting and deleting twice is as good as once. A renewal
whose answer was lost has moved the lease's end, so its repetition is refused; a look at the task then tells
whether the lease is still ours. A lease whose answer was lost is not asked for again: the protocol has no
id for requests, so nobody could tell which tasks it brought. They come back when their lease is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from render_trio.errors import LeaseLostError, QueueUnavailableError
from render_trio.queue.messages import TASK_TAG, LeasedTask
from render_trio.queue.task_queue.connection import QueueConnection, message_of, object_of, says

SERVICE_PATH = "/taskqueue/v1beta2/projects/"


@dataclass(frozen=True, slots=True)
class LeasedBatch:
    """Answer to a lease request. `waited`: the queue held the request until a task came, or its time was up."""

    tasks: tuple[LeasedTask, ...]
    waited: bool


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task that was looked at, not leased."""

    task: LeasedTask
    tag: str


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of the queue. `oldest`: earliest moment at which a task can be leased, s since the epoch, 0 for none."""

    total: int
    oldest: int
    leased_last_minute: int


class TaskQueue:
    """One pull queue. A client of its own for each worker incarnation; close it with `aclose`."""

    def __init__(self, address: str, project: str, queue: str, *, timeout: float, discovery_url: str = "") -> None:
        self._queue = queue
        self._connection = QueueConnection(
            address + SERVICE_PATH,
            f"{project}/taskqueues/{queue}",
            timeout=timeout,
            discovery_url=discovery_url,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def lease(self, count: int, seconds: int, *, tag: str = TASK_TAG, wait: int = 0) -> LeasedBatch:
        """Lease at most `count` tasks of a tag for `seconds`; may be held up to `wait` s until there is one.

        Raises QueueUnavailableError, QueueRefusedError.
        """
        query = {"numTasks": count, "leaseSecs": seconds, "groupByTag": "true", "tag": tag}
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        response = await self._connection.ask(
            "POST", "/tasks/lease", _is_list, query=query, headers=headers, repeat=False, extra_time=wait
        )
        items = (object_of(response) or {}).get("items", [])
        return LeasedBatch(
            tuple(_leased(item) for item in items), "wait" in response.headers.get("Preference-Applied", "")
        )

    async def insert(self, task_id: str, payload: str, tag: str) -> None:
        """Insert a task; one that is there already is as good. Raises QueueError."""
        body = {"id": task_id, "queueName": self._queue, "payloadBase64": payload, "tag": tag}
        await self._connection.ask(
            "POST", "/tasks", lambda answer: _is_task(answer, task_id) or says(answer, 409), body=body
        )

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        """Return the task with its lease ending `seconds` from now. Raises LeaseLostError, QueueError."""
        response = await self._patch(task, seconds)
        if response.status_code == 400 and (moved := await self._moved_by_us(task)):
            task = moved
            response = await self._patch(task, seconds)
        if response.status_code != 200:
            raise LeaseLostError(f"the lease of task {task.id} can't be renewed: {message_of(response)}")
        return msgspec.structs.replace(task, lease_us=_leased(object_of(response)).lease_us)

    async def _patch(self, task: LeasedTask, seconds: int) -> httpx.Response:
        return await self._connection.ask(
            "PATCH",
            f"/tasks/{task.id}",
            lambda answer: _is_task(answer, task.id) or says(answer, 400, 404),
            query={"newLeaseSeconds": seconds},
            body={"queueName": self._queue, "leaseTimestamp": str(task.lease_us)},
        )

    async def _moved_by_us(self, task: LeasedTask) -> LeasedTask | None:
        """Return the task with its lease's new end when an earlier renewal of ours moved it, unknown to us.

        What a lease answers in retry_count are the leases before it; what the task itself says counts ours too.
        """
        response = await self._connection.ask(
            "GET", f"/tasks/{task.id}", lambda answer: _is_task(answer, task.id) or says(answer, 404)
        )
        if response.status_code != 200:
            return None
        now = _leased(object_of(response))
        ours = now.retry_count == task.retry_count + 1 and now.lease_us != task.lease_us
        return msgspec.structs.replace(task, lease_us=now.lease_us) if ours else None

    async def release(self, task: LeasedTask, seconds: int = 0) -> None:
        """Give the task back, at once or in so many seconds; one that is no longer ours stays. Raises QueueError."""
        try:
            await self.renew(task, seconds)
        except LeaseLostError:
            return

    async def delete(self, task_id: str) -> None:
        """Delete the task; one that is gone already is as good. Raises QueueError."""
        await self._connection.ask("DELETE", f"/tasks/{task_id}", lambda answer: _is_empty(answer) or says(answer, 404))

    async def get(self, task_id: str) -> FoundTask | None:
        """Return the task without leasing it, None when there is none. Raises QueueError."""
        response = await self._connection.ask(
            "GET", f"/tasks/{task_id}", lambda answer: _is_task(answer, task_id) or says(answer, 404), repeat=False
        )
        if response.status_code == 404:
            return None
        item = object_of(response) or {}
        return FoundTask(_leased(item), str(item.get("tag", "")))

    async def stats(self) -> QueueStats:
        """Return the queue's figures. Raises QueueError."""
        response = await self._connection.ask("GET", "", _has_stats, query={"getStats": "true"}, repeat=False)
        try:
            found = (object_of(response) or {})["stats"]
            return QueueStats(int(found["totalTasks"]), int(found["oldestTask"]), int(found["leasedLastMinute"]))
        except (KeyError, TypeError, ValueError) as error:
            raise QueueUnavailableError(f"the queue's answer holds no figures: {error!r}") from error


def _is_list(response: httpx.Response) -> bool:
    """Whether the answer is a list of tasks; an empty one has no `items`."""
    values = object_of(response)
    return (
        response.is_success
        and values is not None
        and str(values.get("kind", "")).startswith("taskqueue")
        and isinstance(values.get("items", []), list)
    )


def _has_stats(response: httpx.Response) -> bool:
    return response.is_success and isinstance((object_of(response) or {}).get("stats"), dict)


def _is_task(response: httpx.Response, task_id: str) -> bool:
    return response.is_success and (object_of(response) or {}).get("id") == task_id


def _is_empty(response: httpx.Response) -> bool:
    return response.is_success and not response.content


def _leased(item: Any) -> LeasedTask:
    """Return the task of an answer. Raises QueueUnavailableError when it isn't one."""
    try:
        return LeasedTask(
            id=str(item["id"]),
            payload=str(item.get("payloadBase64", "")),
            lease_us=int(item["leaseTimestamp"]),
            enqueued_us=int(item["enqueueTimestamp"]),
            retry_count=int(item.get("retry_count", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise QueueUnavailableError(f"the queue's answer holds no task: {error!r}") from error
