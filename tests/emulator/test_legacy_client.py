"""With the legacy formats, the older service's client and daemon work: their requests, and what they read of replies.

Both use google-api-python-client with the discovery document, a project prefix on writes, and a queue whose name has an
underscore. They read `items` and `payloadBase64` of every list and compare `leaseTimestamp` with numbers.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest
import trio
from googleapiclient.errors import HttpError

from emulator.wire.parameters import LEASE_REPLY_BYTES
from render_trio.queue.task_queue.client import TaskQueue
from tests.emulator.server.running import PAYLOAD, emulator
from tests.emulator.test_published_client import build
from tests.redis_server import RedisServer

READ, WRITE = "older_project", "b~older_project"
QUEUE = "older_queue"
TASKS = f"/taskqueue/v1beta2/projects/{WRITE}/taskqueues/{QUEUE}/tasks"
MICROSECONDS = 10**6


class OlderClient:
    """The requests of the older service's client."""

    def __init__(self, service: Any) -> None:
        self._queues, self._tasks = service.taskqueues(), service.tasks()

    def count(self) -> int:
        """Return the number of tasks in the queue."""
        reply = self._queues.get(project=READ, taskqueue=QUEUE, getStats=True).execute()
        assert all(isinstance(value, int) for value in reply["stats"].values())
        return int(reply["stats"]["totalTasks"])

    def create(self, payload: dict[str, Any], tag: str | None = None) -> str:
        """Insert a task; return its ID."""
        encoded = base64.b64encode(json.dumps(payload).encode()).decode()
        body = {"kind": "taskqueues#task", "queueName": QUEUE, "payloadBase64": encoded}
        body |= {"tag": tag} if tag is not None else {}
        return str(self._tasks.insert(project=WRITE, taskqueue=QUEUE, body=body).execute()["id"])

    def list(self) -> list[dict[str, Any]]:
        """Return the first tasks with their decoded payloads."""
        return self._decoded(self._tasks.list(project=READ, taskqueue=QUEUE).execute())

    def lease(self, count: int, seconds: float, tag: str | None = None) -> list[dict[str, Any]]:
        """Lease tasks; return them with their decoded payloads."""
        options = {"groupByTag": tag is not None, "tag": tag}
        request = self._tasks.lease(project=WRITE, taskqueue=QUEUE, numTasks=count, leaseSecs=seconds, **options)
        return self._decoded(request.execute())

    def update(self, task_id: str, seconds: int) -> dict[str, Any]:
        """Renew a lease without the fencing token."""
        options = {"newLeaseSeconds": seconds, "body": {"queueName": QUEUE}}
        return dict(self._tasks.patch(project=WRITE, taskqueue=QUEUE, task=task_id, **options).execute())

    def delete(self, task_id: str) -> None:
        """Delete a task."""
        self._tasks.delete(project=WRITE, taskqueue=QUEUE, task=task_id).execute()

    def _decoded(self, reply: dict[str, Any]) -> list[dict[str, Any]]:
        assert reply["kind"] == "taskqueue#tasks"
        for task in reply["items"]:
            task["payload"] = json.loads(base64.b64decode(task["payloadBase64"]))
        return list(reply["items"])


def near(found: Any, seconds_ahead: float) -> bool:
    """Return whether a timestamp of a reply is a number about this far in the future."""
    return isinstance(found, int) and abs(found - (time.time() + seconds_ahead) * MICROSECONDS) < 10 * MICROSECONDS


def use_client(client: OlderClient) -> None:
    assert (client.count(), client.list(), client.lease(10, 60.0)) == (0, [], [])
    ids = [client.create({"number": number}) for number in range(50)]
    assert client.count() == 50
    listed = client.list()
    assert {task["id"] for task in listed} == set(ids)
    assert [task["payload"]["number"] for task in listed] == list(range(50))
    assert all(near(task["enqueueTimestamp"], 0) and near(task["leaseTimestamp"], 0) for task in listed)
    assert {(task["queueName"], task["tag"], task["retry_count"]) for task in listed} == {(QUEUE, "", 0)}
    (first,) = client.lease(1, 3600)
    assert (first["payload"], first["queueName"]) == ({"number": 0}, QUEUE)
    assert near(first["leaseTimestamp"], 3600)
    assert len(client.lease(1000, 3600)) == 49
    assert near(client.update(first["id"], 30)["leaseTimestamp"], 30)
    assert len(client.list()) == 50  # a list contains leased tasks
    tagged = {client.create({"tagged": number}, tag="Special") for number in range(10)}
    for _ in range(20):
        client.create({"number": 0})
    assert {task["id"] for task in client.lease(1000, 3600, tag="Special")} == tagged
    while tasks := client.list():
        for task in tasks:
            client.delete(task["id"])
    assert client.count() == 0
    with pytest.raises(HttpError):
        client.update(first["id"], 30)


def use_daemon(client: OlderClient) -> None:
    """Run the loop of the older daemon: lease, insert a result, delete, or shorten the lease of a failed task."""
    client.create({"kind": "task#render", "resource_slug": "binary-cards"}, tag="task")
    client.create({"kind": "task#unknown"}, tag="task")
    seconds = 20 * 50.0  # a float, from the older daemon's settings
    tasks = client.lease(20, seconds, tag="task")
    assert [task["retry_count"] for task in tasks] == [0, 0]
    for task in tasks:
        if task["payload"]["kind"] == "task#render":
            document = base64.b64encode(bytes(500 * 1024)).decode()
            client.create({"kind": "result#document", "success": True, "document": document}, tag="result")
            client.delete(task["id"])
        else:
            client.update(task["id"], 0)
    (again,) = client.lease(20, seconds, tag="task")
    assert (again["retry_count"], again["payload"]["kind"]) == (1, "task#unknown")
    results = [task for task in client.list() if task["payload"]["kind"] == "result#document"]
    assert [(task["tag"], len(task["payload"]["document"])) for task in results] == [("result", 682_668)]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("use", [use_client, use_daemon])
async def test_the_older_service_s_client_works(use: Any, kind: str, store: str, redis_server: RedisServer) -> None:
    def run(base_url: str) -> None:
        with build(base_url, "taskqueue", "v1beta2") as service:
            use(OlderClient(service))

    address = store if kind == "sqlite" else redis_server.url
    async with emulator(address, test_verbs=True, legacy_shapes=True) as client:
        await client.post("/admin/reset")
        await trio.to_thread.run_sync(run, str(client.base_url))


async def test_a_complete_task_can_be_sent_back(store: str) -> None:
    async with emulator(store, legacy_shapes=True) as client:
        body = {"queueName": QUEUE, "payloadBase64": PAYLOAD}
        assert (await client.post(TASKS, json=body)).status_code == 200
        (task,) = (await client.post(f"{TASKS}/lease?numTasks=1&leaseSecs=10.0")).json()["items"]
        updated = await client.post(f"{TASKS}/{task['id']}?newLeaseSeconds=30", json=task)
        assert updated.status_code == 200
        complete = {
            "id",
            "kind",
            "enqueueTimestamp",
            "leaseTimestamp",
            "payloadBase64",
            "queueName",
            "retry_count",
            "tag",
        }
        for reply in (task, updated.json(), (await client.get(f"{TASKS}/{task['id']}")).json()):
            assert reply.keys() == complete
            assert isinstance(reply["leaseTimestamp"], int)


async def test_the_render_service_works_with_the_legacy_formats(store: str) -> None:
    async with emulator(store, legacy_shapes=True) as client:
        queue = TaskQueue(str(client.base_url), READ, QUEUE, timeout=20)
        await queue.insert("one", PAYLOAD, "task")
        (task,) = (await queue.lease(10, 60)).tasks
        assert (task.id, task.payload, task.retry_count) == ("one", PAYLOAD, 0)
        renewed = await queue.renew(task, 120)
        assert renewed.lease_us > task.lease_us
        found = await queue.get("one")
        assert found is not None
        assert found.tag == "task"
        assert (await queue.stats()).total == 1
        await queue.delete("one")
        assert (await queue.lease(10, 60)).tasks == ()
        await queue.aclose()


async def test_a_list_with_payloads_has_a_limited_size(store: str) -> None:
    async with emulator(store, legacy_shapes=True) as client:
        payload = base64.b64encode(bytes(1024 * 1024)).decode()
        for number in range(25):
            body = {"id": f"t{number:02}", "payloadBase64": payload}
            assert (await client.post(TASKS, json=body)).status_code == 200
        listed = await client.get(TASKS, timeout=30)
        assert len(listed.content) <= LEASE_REPLY_BYTES
        assert [task["id"] for task in listed.json()["items"]][:2] == ["t00", "t01"]
        assert 20 <= len(listed.json()["items"]) < 25


async def test_the_pages_show_a_queue_with_an_underscore(store: str) -> None:
    async with emulator(store, legacy_shapes=True) as client:
        await client.post(TASKS, json={"payloadBase64": PAYLOAD})
        assert (await client.get(f"/queues/{READ}/{QUEUE}")).status_code == 200


async def test_other_clients_get_the_specified_formats(client: httpx.AsyncClient) -> None:
    refused = await client.post(TASKS, json={"payloadBase64": PAYLOAD})
    assert (refused.status_code, "taskqueue is 'older_queue'" in refused.text) == (400, True)
    path = TASKS.replace("_", "-")
    inserted = (await client.post(path, json={"payloadBase64": PAYLOAD})).json()
    assert isinstance(inserted["leaseTimestamp"], str)
    assert "tag" not in inserted
    assert "payloadBase64" not in (await client.get(path)).json()["items"][0]
