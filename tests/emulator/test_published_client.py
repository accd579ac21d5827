"""google-api-python-client, as it is published, works with both dialects by their discovery documents alone."""

from __future__ import annotations

from typing import Any

import httplib2
import pytest
import trio
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from tests.emulator.server.running import PAYLOAD, emulator
from tests.redis_server import RedisServer

QUEUE = {"project": "s~shop", "taskqueue": "print"}


def build(base_url: str, name: str, version: str) -> Any:
    """Return the client, made from the document that this service tells."""
    # A proxy of the machine must not come between.
    http = httplib2.Http(proxy_info=None, timeout=20)
    url = f"{base_url}/api/{{api}}/{{apiVersion}}"
    return discovery.build(name, version, http=http, discoveryServiceUrl=url, static_discovery=False)


def live_a_task_queue_life(base_url: str) -> None:
    with build(base_url, "taskqueue", "v1beta2") as service:
        tasks = service.tasks()
        body = {"queueName": "print", "payloadBase64": PAYLOAD, "tag": "x"}
        for name in ("one", "two", "three"):
            assert tasks.insert(**QUEUE, body=body | {"id": name}).execute()["id"] == name
        assert [task["id"] for task in tasks.list(**QUEUE).execute()["items"]] == ["one", "two", "three"]
        leased = tasks.lease(**QUEUE, numTasks=2, leaseSecs=60, groupByTag=False).execute()["items"]
        assert [task["id"] for task in leased] == ["one", "two"]
        renewal = {"queueName": "print", "leaseTimestamp": leased[0]["leaseTimestamp"]}
        patched = tasks.patch(**QUEUE, task="one", newLeaseSeconds=120, body=renewal).execute()
        renewal = {"id": "one", "queueName": "print", "leaseTimestamp": patched["leaseTimestamp"]}
        updated = tasks.update(**QUEUE, task="one", newLeaseSeconds=0, body=renewal).execute()
        assert updated["retry_count"] == 1
        assert tasks.get(**QUEUE, task="one", fields="payloadBase64").execute() == {"payloadBase64": PAYLOAD}
        assert tasks.delete(**QUEUE, task="one").execute() == ""
        stats = service.taskqueues().get(**QUEUE, getStats=True).execute()["stats"]
        assert (stats["totalTasks"], stats["leasedLastMinute"]) == (2, "2")
        with pytest.raises(HttpError, match="task 'one' does not exist") as caught:
            tasks.get(**QUEUE, task="one").execute()
        assert caught.value.resp.status == 404
        # Over 2,048 characters of address, the client sends a GET as a POST with an override.
        fields = ",".join(["items/id"] * 400)
        assert [task["id"] for task in tasks.list(**QUEUE, fields=fields).execute()["items"]] == ["three", "two"]


def send_a_batch(base_url: str) -> None:
    with build(base_url, "taskqueue", "v1beta2") as service:
        answers: dict[str, tuple[Any, Any]] = {}
        batch = service.new_batch_http_request(lambda name, reply, error: answers.update({name: (reply, error)}))
        for number in range(20):
            body = {"id": f"t{number}", "queueName": "print", "payloadBase64": PAYLOAD}
            batch.add(service.tasks().insert(**QUEUE, body=body), request_id=f"i{number}")
        batch.add(service.tasks().lease(**QUEUE, numTasks=5, leaseSecs=60), request_id="lease")
        batch.add(service.tasks().delete(**QUEUE, task="t0"), request_id="delete")
        batch.add(service.tasks().get(**QUEUE, task="gone"), request_id="get")
        batch.execute()
        assert len(answers) == 23
        assert all(answers[f"i{number}"][0]["id"] == f"t{number}" for number in range(20))
        assert len(answers["lease"][0]["items"]) == 5
        assert answers["delete"] == ("", None)
        assert answers["get"][1].resp.status == 404


def live_a_cloud_tasks_life(base_url: str) -> None:
    with build(base_url, "cloudtasks", "v2beta2") as service:
        queues = service.projects().locations().queues()
        location = "projects/shop/locations/here"
        name = f"{location}/queues/print"
        assert queues.create(parent=location, body={"name": name}).execute()["state"] == "RUNNING"
        tasks = queues.tasks()
        created = tasks.create(parent=name, body={"task": {"pullMessage": {"payload": PAYLOAD}}}).execute()
        assert tasks.get(name=created["name"], responseView="FULL").execute()["pullMessage"]["payload"] == PAYLOAD
        lease = {"maxTasks": 1, "leaseDuration": "60s"}
        (leased,) = tasks.lease(parent=name, body=lease).execute()["tasks"]
        token = {"scheduleTime": leased["scheduleTime"]}
        renewed = tasks.renewLease(name=leased["name"], body=token | {"leaseDuration": "90s"}).execute()
        cancelled = tasks.cancelLease(name=leased["name"], body={"scheduleTime": renewed["scheduleTime"]}).execute()
        assert cancelled["status"] == {"attemptDispatchCount": 1}
        (again,) = tasks.lease(parent=name, body=lease).execute()["tasks"]
        assert tasks.acknowledge(name=again["name"], body={"scheduleTime": again["scheduleTime"]}).execute() == {}
        assert tasks.list(parent=name).execute() == {}
        for verb in ("pause", "resume", "purge"):
            assert getattr(queues, verb)(name=name, body={}).execute()["name"] == name
        assert queues.get(name=name, readMask="stats").execute()["stats"]["tasksCount"] == "0"
        assert [queue["name"] for queue in queues.list(parent=location).execute()["queues"]] == [name]
        with pytest.raises(HttpError, match="does not exist"):
            tasks.delete(name=again["name"]).execute()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("life", [live_a_task_queue_life, send_a_batch, live_a_cloud_tasks_life])
async def test_the_published_client_works(life: Any, kind: str, store: str, redis_server: RedisServer) -> None:
    address = store if kind == "sqlite" else redis_server.url
    async with emulator(address, test_verbs=True) as client:
        await client.post("/admin/reset")
        await trio.to_thread.run_sync(life, str(client.base_url))
