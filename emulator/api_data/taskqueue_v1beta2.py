"""Task Queue v1beta2, pull queues: the verbs over HTTP. The discovery document stands beside this file."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import trio
from quart import Blueprint, Response, request

from emulator import longpoll, parameters, replies
from emulator.errors import ApiError
from emulator.store import (
    SECOND,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    QueueKey,
    Store,
    Task,
    TaskExistsError,
    TaskUnknownError,
)

LIST_MOST = 100
ROOT = "/taskqueue/v1beta2/projects/<project>/taskqueues/<taskqueue>"
T = TypeVar("T")


def task_resource(task: Task, queue_name: str, *, payload: bool = True) -> dict[str, Any]:
    """Return the Task resource; int64 values are strings."""
    resource: dict[str, Any] = {"kind": "taskqueues#task", "id": task.id, "queueName": queue_name}
    if payload:
        resource["payloadBase64"] = task.payload
    resource |= {
        "enqueueTimestamp": str(task.enqueued_us),
        "leaseTimestamp": str(task.eta_us),
        "retry_count": task.retry_count,
    }
    if task.tag is not None:
        resource["tag"] = task.tag
    return resource


def _listed(kind: str, items: list[dict[str, Any]], legacy: bool) -> dict[str, Any]:
    """Return a list as the service gave it: without `items` when there are none, unless old clients need it."""
    if legacy:
        return {"kind": "taskqueue#tasks", "items": items}
    return {"kind": kind, "items": items} if items else {"kind": kind}


def routes(store: Store, limiter: trio.CapacityLimiter) -> Blueprint:
    """Return the API's routes on this store. `limiter` bounds the threads that wait for the store."""
    api = Blueprint("taskqueue_v1beta2", __name__)
    waiters = longpoll.Waiters()
    legacy = os.environ.get("EMULATOR_LEGACY_SHAPES") == "1"

    async def ask(verb: Callable[..., T], *arguments: object) -> T:
        """Call the store in a thread. Never abandoned: what changes state must be known to have ended."""
        try:
            return await trio.to_thread.run_sync(verb, *arguments, limiter=limiter)
        except TaskUnknownError as error:
            raise ApiError(404, str(error)) from None
        except TaskExistsError as error:
            raise ApiError(409, str(error)) from None
        except LeaseExpiredError as error:
            raise ApiError(400, str(error), "leaseExpired") from None
        except LeaseConflictError as error:
            raise ApiError(400, str(error), "leaseConflict", "leaseTimestamp", "field") from None

    @api.get(ROOT)
    async def get_queue(project: str, taskqueue: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        resource: dict[str, Any] = {
            "kind": "taskqueues#taskqueue",
            "id": f"projects/{queue.project}/taskqueues/{queue.name}",
            "maxLeases": 0,
        }
        if parameters.flag(request.args, "getStats"):
            stats = await ask(store.stats, queue)
            resource["stats"] = {
                "totalTasks": stats.total,
                "oldestTask": str((stats.oldest_us or 0) // SECOND),
                "leasedLastMinute": str(stats.leased_last_minute),
                "leasedLastHour": str(stats.leased_last_hour),
            }
        return replies.json_reply(resource)

    @api.get(f"{ROOT}/tasks")
    async def list_tasks(project: str, taskqueue: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        tasks = await ask(store.peek, queue, LIST_MOST)
        items = [task_resource(task, queue.name, payload=False) for task in tasks]
        return replies.json_reply(_listed("taskqueues#tasks", items, legacy))

    @api.post(f"{ROOT}/tasks")
    async def insert_task(project: str, taskqueue: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        body = parameters.body_object(await _body())
        new = parameters.new_task(body, queue, uuid.uuid4().hex, time.time_ns() // 1000)
        task = await ask(store.insert, queue, new)
        waiters.wake(queue)
        return replies.json_reply(task_resource(task, queue.name))

    @api.post(f"{ROOT}/tasks/lease")
    async def lease_tasks(project: str, taskqueue: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        order = _lease_order()
        wait = longpoll.wait_preference(request.headers.get("Prefer", ""))
        tasks = await waiters.lease(queue, lambda: ask(store.lease, queue, order), wait)
        name = f"projects/{queue.project}/taskqueues/{queue.name}"
        items = [task_resource(task, name) for task in tasks]
        reply = replies.json_reply(_listed("taskqueue#tasks", items, legacy))
        if wait:
            reply.headers["Preference-Applied"] = f"wait={wait}"
        return reply

    @api.get(f"{ROOT}/tasks/<task>")
    async def get_task(project: str, taskqueue: str, task: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        return replies.json_reply(task_resource(await ask(store.get, queue, parameters.task_name(task)), queue.name))

    @api.patch(f"{ROOT}/tasks/<task>")
    async def patch_task(project: str, taskqueue: str, task: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        body = parameters.body_object(await _body())
        return await renew(queue, body, parameters.task_name(task))

    @api.post(f"{ROOT}/tasks/<task>")
    async def update_task(project: str, taskqueue: str, task: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        body = parameters.body_object(await _body())
        # The id is the body's, as in the real service; the one of the address only stands in for it.
        return await renew(queue, body, parameters.task_name(body.get("id", task), "id"))

    async def renew(queue: QueueKey, body: dict[str, Any], task_id: str) -> Response:
        parameters.queue_of_body(body, queue, must=True)
        seconds = parameters.whole(request.args, "newLeaseSeconds", 0, parameters.LEASE_SECONDS_MOST)
        task = await ask(store.renew, queue, task_id, parameters.lease_timestamp(body), seconds)
        if seconds == 0:
            waiters.wake(queue)
        return replies.json_reply(task_resource(task, queue.name))

    @api.delete(f"{ROOT}/tasks/<task>")
    async def delete_task(project: str, taskqueue: str, task: str) -> Response:
        queue = parameters.queue_key(project, taskqueue)
        await ask(store.delete, queue, parameters.task_name(task))
        return replies.nothing()

    return api


async def _body() -> bytes:
    data = await request.get_data(as_text=False)
    return data if isinstance(data, bytes) else data.encode()


def _lease_order() -> LeaseOrder:
    group = parameters.flag(request.args, "groupByTag")
    tag = parameters.tag(request.args.get("tag"))
    if tag is not None and not group:
        raise ApiError(400, "tag needs groupByTag=true", "invalidParameter", "tag")
    return LeaseOrder(
        count=parameters.whole(request.args, "numTasks", 1, parameters.TASKS_MOST),
        seconds=parameters.whole(request.args, "leaseSecs", 0, parameters.LEASE_SECONDS_MOST),
        group_by_tag=group,
        tag=tag,
    )
