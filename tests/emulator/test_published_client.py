"""The published google-api-python-client works with both APIs, by discovery and with the document that it contains."""

from __future__ import annotations

from typing import Any

import httplib2
import pytest
import trio
from googleapiclient import discovery
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from tests.emulator.server.running import PAYLOAD, emulator
from tests.redis_server import RedisServer

QUEUE = {"project": "s~shop", "taskqueue": "print"}


def build(base_url: str, name: str, version: str) -> Any:
    """Return a client built from the discovery document of this service."""
    # Ignore a proxy that is configured on this machine.
    http = httplib2.Http(proxy_info=None, timeout=20)
    url = f"{base_url}/api/{{api}}/{{apiVersion}}"
    return discovery.build(name, version, http=http, discoveryServiceUrl=url, static_discovery=False)


def build_bundled(base_url: str) -> Any:
    """Return a client of Cloud Tasks built from the document that the package contains, which is Google's own."""
    options = {"api_endpoint": base_url}
    http = httplib2.Http(proxy_info=None, timeout=20)
    return discovery.build("cloudtasks", "v2beta2", http=http, client_options=options, static_discovery=True)


def use_task_queue(base_url: str) -> None:
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
        # For a URL of more than 2,048 characters, the client sends the GET as a POST with a method override.
        fields = ",".join(["items/id"] * 400)
        assert [task["id"] for task in tasks.list(**QUEUE, fields=fields).execute()["items"]] == ["three", "two"]


def send_a_batch(base_url: str) -> None:
    with build(base_url, "taskqueue", "v1beta2") as service:
        replies: dict[str, tuple[Any, Any]] = {}
        batch = service.new_batch_http_request(lambda name, reply, error: replies.update({name: (reply, error)}))
        for number in range(20):
            body = {"id": f"t{number}", "queueName": "print", "payloadBase64": PAYLOAD}
            batch.add(service.tasks().insert(**QUEUE, body=body), request_id=f"i{number}")
        batch.add(service.tasks().lease(**QUEUE, numTasks=5, leaseSecs=60), request_id="lease")
        batch.add(service.tasks().delete(**QUEUE, task="t0"), request_id="delete")
        batch.add(service.tasks().get(**QUEUE, task="gone"), request_id="get")
        batch.execute()
        assert len(replies) == 23
        assert all(replies[f"i{number}"][0]["id"] == f"t{number}" for number in range(20))
        assert len(replies["lease"][0]["items"]) == 5
        assert replies["delete"] == ("", None)
        assert replies["get"][1].resp.status == 404


def use_cloud_tasks(base_url: str) -> None:
    with build(base_url, "cloudtasks", "v2beta2") as service:
        use_cloud_tasks_with(service, base_url)


def use_the_bundled_document(base_url: str) -> None:
    with build_bundled(base_url) as service:
        use_cloud_tasks_with(service, base_url)


def use_cloud_tasks_with(service: Any, base_url: str) -> None:
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
    names = [f"{name}/tasks/{letter}" for letter in "abcde"]
    for task_name in names:
        tasks.create(parent=name, body={"task": {"name": task_name, "pullMessage": {"payload": PAYLOAD}}}).execute()
    request, found = tasks.list(parent=name, pageSize=2, fields="tasks(name),nextPageToken"), []
    while request is not None:
        page = request.execute()
        found.append([task["name"] for task in page["tasks"]])
        request = tasks.list_next(request, page)
    assert found == [names[:2], names[2:4], names[4:]]
    replies: dict[str, tuple[Any, Any]] = {}

    def collect(name: str, reply: Any, error: Any) -> None:
        replies[name] = reply, error

    # With the bundled document, the service's own batch object would use Google's address.
    batch = BatchHttpRequest(callback=collect, batch_uri=f"{base_url}/batch/cloudtasks/v2beta2")
    for task_name in [*names, again["name"]]:
        batch.add(tasks.get(name=task_name, responseView="FULL"), request_id=task_name)
    batch.execute()
    assert [replies[task_name][0]["pullMessage"]["payload"] for task_name in names] == [PAYLOAD] * 5
    assert replies[again["name"]][1].resp.status == 404
    for verb in ("pause", "resume", "purge"):
        assert getattr(queues, verb)(name=name, body={}).execute()["name"] == name
    assert queues.get(name=name, readMask="stats").execute()["stats"]["tasksCount"] == "0"
    assert [queue["name"] for queue in queues.list(parent=location).execute()["queues"]] == [name]
    with pytest.raises(HttpError, match="does not exist"):
        tasks.delete(name=again["name"]).execute()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("use", [use_task_queue, send_a_batch, use_cloud_tasks, use_the_bundled_document])
async def test_the_published_client_works(use: Any, kind: str, store: str, redis_server: RedisServer) -> None:
    address = store if kind == "sqlite" else redis_server.url
    async with emulator(address, test_verbs=True) as client:
        await client.post("/admin/reset")
        await trio.to_thread.run_sync(use, str(client.base_url))
