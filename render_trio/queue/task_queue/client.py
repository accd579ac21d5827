"""The queue client: the operations of the Task Queue REST API v1beta2, each as one method.

An operation is repeated only where repeating is harmless. An insertion that was repeated finds its ID taken; the client
then reads the entry to find out whether it is the one that it inserted.
A renewal whose response was lost has already moved the end of the lease, so the repetition is refused; the client
then reads the task to find out whether the lease is still ours. A lease request whose response was lost is not
repeated: the protocol has no request IDs, so there is no way to find out which tasks were leased. They become
available again when their leases expire.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec

from render_trio.errors import LeaseLostError, QueueRefusedError, QueueUnavailableError, TaskExistsError
from render_trio.queue.identity import former_result_id, is_result_of, result_ids
from render_trio.queue.interface import FoundTask, LeasedBatch, QueueStats
from render_trio.queue.messages import TASK_TAG, LeasedTask
from render_trio.queue.task_queue.connection import (
    ATTEMPTS,
    INITIAL_BACKOFF,
    QueueConnection,
    describe,
    is_error,
    object_of,
    was_repeated,
)
from render_trio.queue.task_queue.transport import LoopTransport, Transport

SERVICE_PATH = "/taskqueue/v1beta2/projects/"
# Of a request to insert: the task was inserted, now or by an attempt whose response was lost; it was, and is completed
# since; or its ID is reserved by a task that is gone, or taken by another one.
Insertion = Literal["inserted", "completed", "reserved", "taken"]


class TaskQueue:
    """One pull queue. Each worker incarnation has a client of its own; close it with `aclose`."""

    def __init__(
        self,
        address: str,
        project: str,
        queue: str,
        *,
        timeout: float,
        discovery_url: str = "",
        token: str = "",
        token_file: Path | None = None,
        ca_file: Path | None = None,
        transport: Transport | None = None,
    ) -> None:
        """`timeout` is the time limit of one request in seconds; `discovery_url` takes precedence over `address`.

        Each request is authorised by the `token`, or by that in the `token_file`, which is read again when it changes.
        `ca_file` has certificates of authorities to trust. `transport` is the running event loop's if none is given;
        it has authorities of its own. Raises CredentialsError if a file can't be used.
        """
        self._queue = queue
        self._connection = QueueConnection(
            address + SERVICE_PATH,
            f"{project}/taskqueues/{queue}",
            timeout=timeout,
            discovery_url=discovery_url,
            token=token,
            token_file=token_file,
            transport=transport if transport is not None else LoopTransport(ca_file),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def lease(
        self, count: int, seconds: int, *, tag: str = TASK_TAG, wait: int = 0, repeat: bool = False
    ) -> LeasedBatch:
        """Lease at most `count` tasks of a tag for `seconds`; the queue may hold the request up to `wait` s.

        With `repeat`, a failed request is repeated: tasks that a lost response named arrive when their leases expire.
        Raises QueueUnavailableError, QueueRefusedError.
        """
        query = {"numTasks": count, "leaseSecs": seconds, "groupByTag": "true", "tag": tag}
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        response = await self._connection.request(
            "POST", "/tasks/lease", _is_task_list, query=query, headers=headers, repeat=repeat, extra_time=wait
        )
        items = (object_of(response) or {}).get("items", [])
        waited = "wait" in response.headers.get("Preference-Applied", "")
        return LeasedBatch(tuple(_leased_task(item, tag) for item in items), waited)

    async def insert(self, task_id: str, payload: str, tag: str) -> None:
        """Insert a task whose ID was never used before, once, even if a response is lost and the request repeated.

        Raises QueueRefusedError if the ID belongs to another task, QueueUnavailableError.
        """
        if await self._insert(task_id, payload, tag) in ("reserved", "taken"):
            raise QueueRefusedError(f"the ID {task_id} belongs to another task; use an ID that was never used before")

    async def _insert(self, task_id: str, payload: str, tag: str) -> Insertion:
        """Insert a task, and find out what an ID that exists means. Raises QueueError."""
        response = await self._post(task_id, payload, tag)
        if response.is_success:
            return "inserted"
        found = await self._find(task_id)
        if found is None:
            return "completed" if was_repeated(response) else "reserved"
        return "inserted" if (found.task.payload, found.tag) == (payload, tag) else "taken"

    async def _post(self, task_id: str, payload: str, tag: str) -> httpx.Response:
        """Return the response to an insertion: success, or 409 if the ID is taken."""
        body = {"id": task_id, "queueName": self._queue, "payloadBase64": payload, "tag": tag}
        return await self._connection.request(
            "POST", "/tasks", lambda response: _is_task(response, task_id) or is_error(response, 409), body=body
        )

    async def settle(self, task: LeasedTask, result: str, tag: str) -> None:
        """Insert the result of the task, an encoded payload, then delete the task. Raises QueueError.

        Repeating it has no further effect: after a kill between the two steps, the next attempt does both again.
        """
        if not await self._has_former_result(task):
            await self._insert_result(task, result, tag)
        await self._delete_submission(task)

    async def _has_former_result(self, task: LeasedTask) -> bool:
        """Return whether a worker of version 0.1.0 inserted a result, but was killed before it deleted the task."""
        if task.retry_count == 0:
            return False
        found = await self._find(former_result_id(task.id))
        return found is not None and is_result_of(task, found)

    async def _insert_result(self, task: LeasedTask, result: str, tag: str) -> None:
        for result_id in result_ids(task):
            response = await self._post(result_id, result, tag)
            if response.is_success:
                return
            found = await self._find(result_id)
            if found is not None and is_result_of(task, found):
                return
            # An ID that is reserved, but has no task: an earlier attempt inserted the result, and it was fetched.
            if found is None and (task.retry_count > 0 or was_repeated(response)):
                return
        raise QueueRefusedError(f"every ID for the result of task {task.id} belongs to another task")

    async def _delete_submission(self, task: LeasedTask) -> None:
        """Delete the task, but not one that was submitted under its ID since. Raises QueueError.

        The end of the lease identifies it (If-Match); a service that ignores this header deletes the task, which is
        leased by us. The deletion is not simply repeated if its response was lost: the ID may be in use again by then.
        """
        headers = {"If-Match": f'"{task.lease_us}"'}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = await self._connection.request(
                    "DELETE",
                    f"/tasks/{task.id}",
                    lambda response: _is_empty(response) or is_error(response, 404, 412),
                    headers=headers,
                    repeat=False,
                )
                if response.status_code != 412:
                    return
            except QueueUnavailableError as error:
                if attempt == ATTEMPTS:
                    raise
                await self._connection.sleep(error.pause or INITIAL_BACKOFF * 2**attempt)
            found = await self._find(task.id)
            if found is None or found.task.enqueued_us != task.enqueued_us:
                return
            headers = {}

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        """Return the task with a lease that ends `seconds` from now. Raises LeaseLostError, QueueError."""
        response = await self._patch(task, seconds)
        if response.status_code == 400 and (moved := await self._moved_by_us(task)):
            task = moved
            response = await self._patch(task, seconds)
        if response.status_code != 200:
            raise LeaseLostError(f"the lease of task {task.id} can't be renewed: {describe(response)}")
        return msgspec.structs.replace(task, lease_us=_leased_task(object_of(response)).lease_us)

    async def _patch(self, task: LeasedTask, seconds: int) -> httpx.Response:
        return await self._connection.request(
            "PATCH",
            f"/tasks/{task.id}",
            lambda response: _is_task(response, task.id) or is_error(response, 400, 404),
            query={"newLeaseSeconds": seconds},
            body={"queueName": self._queue, "leaseTimestamp": str(task.lease_us)},
        )

    async def _moved_by_us(self, task: LeasedTask) -> LeasedTask | None:
        """Return the task with the new end of its lease if a renewal of ours moved it but its response was lost.

        The retry_count in a lease response counts the leases before it; in the task itself, it includes ours.
        """
        response = await self._connection.request(
            "GET", f"/tasks/{task.id}", lambda response: _is_task(response, task.id) or is_error(response, 404)
        )
        if response.status_code != 200:
            return None
        found = _leased_task(object_of(response))
        ours = found.retry_count == task.retry_count + 1 and found.lease_us != task.lease_us
        return msgspec.structs.replace(task, lease_us=found.lease_us) if ours else None

    async def release(self, task: LeasedTask, seconds: int = 0) -> None:
        """Make the task available again after `seconds`; does nothing if the lease was lost. Raises QueueError."""
        try:
            await self.renew(task, seconds)
        except LeaseLostError:
            return

    async def delete(self, task_id: str) -> None:
        """Delete the task. Idempotent: a missing task is not an error. Raises QueueError."""
        await self._connection.request(
            "DELETE", f"/tasks/{task_id}", lambda response: _is_empty(response) or is_error(response, 404)
        )

    async def submit(self, task_id: str, payload: str, tag: str, *, generated: bool) -> None:
        """Insert a task under an ID that its producer chose: `generated` if no other task can ever have it.

        If the ID exists, it may be this very task, inserted by an attempt whose response was lost, or another one.
        Raises TaskExistsError in the second case, and if that can't be determined; QueueError.
        """
        outcome = await self._insert(task_id, payload, tag)
        if outcome == "taken":
            raise TaskExistsError(f"the ID {task_id!r} is taken by a task with other content; use another ID")
        if outcome in ("completed", "reserved") and not generated:
            raise TaskExistsError(
                f"the ID {task_id!r} is reserved: a task that had it was deleted less than an hour ago, "
                "perhaps this one, if it was accepted before and is done; use another ID"
            )

    async def get(self, task_id: str) -> FoundTask | None:
        """Return the task without leasing it, or None if it doesn't exist. Raises QueueError."""
        return await self._find(task_id, repeat=False)

    async def _find(self, task_id: str, *, repeat: bool = True) -> FoundTask | None:
        response = await self._connection.request(
            "GET",
            f"/tasks/{task_id}",
            lambda response: _is_task(response, task_id) or is_error(response, 404),
            repeat=repeat,
        )
        if response.status_code == 404:
            return None
        item = object_of(response) or {}
        tag = str(item.get("tag", ""))
        return FoundTask(_leased_task(item, tag), tag)

    async def tags(self) -> dict[str, str]:
        """Return the tags of the first tasks, by their ID; "" for a task without one. Raises QueueError."""
        query = {"fields": "kind,items(id,tag)"}
        response = await self._connection.request("GET", "/tasks", _is_task_list, query=query, repeat=False)
        items = (object_of(response) or {}).get("items", [])
        return {str(item.get("id", "")): str(item.get("tag", "")) for item in items if isinstance(item, dict)}

    async def stats(self) -> QueueStats:
        """Return the statistics of the queue. Raises QueueError."""
        response = await self._connection.request("GET", "", _has_stats, query={"getStats": "true"}, repeat=False)
        try:
            found = (object_of(response) or {})["stats"]
            return QueueStats(int(found["totalTasks"]), int(found["oldestTask"]), int(found["leasedLastMinute"]))
        except (KeyError, TypeError, ValueError) as error:
            raise QueueUnavailableError(
                f"the queue's response contains no valid statistics: {type(error).__name__}"
            ) from error


def _is_task_list(response: httpx.Response) -> bool:
    """Return whether the response is a list of tasks. An empty list has no `items`."""
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


def _leased_task(item: Any, tag: str = TASK_TAG) -> LeasedTask:
    """Return the task with `tag` that a JSON object of a response describes.

    Raises QueueUnavailableError if it is invalid.
    """
    try:
        return LeasedTask(
            id=str(item["id"]),
            payload=str(item.get("payloadBase64", "")),
            lease_us=int(item["leaseTimestamp"]),
            enqueued_us=int(item["enqueueTimestamp"]),
            retry_count=int(item.get("retry_count", 0)),
            tag=tag,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise QueueUnavailableError(f"the queue's response contains an invalid task: {type(error).__name__}") from error
