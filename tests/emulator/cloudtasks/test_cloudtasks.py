"""Cloud Tasks v2beta2 on the same queues as Task Queue v1beta2."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.emulator.server.running import CLOUD, PAYLOAD, TASKS, emulator, insert

LOCATION = CLOUD.rpartition("/queues/")[0]
NAME = CLOUD.removeprefix("/v2beta2/")


def violation(response: httpx.Response, status: str = "INVALID_ARGUMENT") -> dict[str, Any]:
    """Return the field violation of an error, after checking that it has Google's newer format."""
    error = response.json()["error"]
    assert error["code"] == response.status_code
    assert error["status"] == status
    (detail,) = error["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    (first,) = detail["fieldViolations"]
    assert first["description"] == error["message"]
    return dict(first)


async def create(client: httpx.AsyncClient, name: str = "", **fields: Any) -> httpx.Response:
    task: dict[str, Any] = {"pullMessage": {"payload": PAYLOAD}, **fields}
    if name:
        task["name"] = f"{NAME}/tasks/{name}"
    return await client.post(f"{CLOUD}/tasks", json={"task": task})


async def lease(client: httpx.AsyncClient, **fields: Any) -> list[dict[str, Any]]:
    body = {"maxTasks": 10, "leaseDuration": "60s", **fields}
    response = await client.post(f"{CLOUD}/tasks:lease", json=body)
    assert response.status_code == 200, response.text
    return list(response.json().get("tasks", []))


async def test_the_life_cycle_of_a_task(client: httpx.AsyncClient) -> None:
    created = (await create(client, "one", pullMessage={"payload": "-_8", "tag": "x"})).json()
    assert created["name"] == f"{NAME}/tasks/one"
    assert created["pullMessage"] == {"tag": "x"}
    assert (created["view"], created["status"]) == ("BASIC", {"attemptDispatchCount": 0})
    assert created["createTime"].endswith("Z")
    assert (await create(client, "one")).json()["error"]["status"] == "ALREADY_EXISTS"
    (task,) = await lease(client, responseView="FULL")
    assert task["pullMessage"] == {"payload": "+/8=", "tag": "x"}
    assert task["status"] == {"attemptDispatchCount": 1}
    assert await lease(client) == []
    one = f"{CLOUD}/tasks/one"
    body = {"scheduleTime": task["scheduleTime"], "leaseDuration": "120.9s"}
    renewed = (await client.post(f"{one}:renewLease", json=body)).json()
    assert renewed["scheduleTime"] > task["scheduleTime"]
    stale = await client.post(f"{one}:acknowledge", json={"scheduleTime": task["scheduleTime"]})
    assert violation(stale, "FAILED_PRECONDITION")["field"] == "scheduleTime"
    acknowledged = await client.post(f"{one}:acknowledge", json={"scheduleTime": renewed["scheduleTime"]})
    assert (acknowledged.status_code, acknowledged.json()) == (200, {})
    gone = await client.get(one)
    assert (gone.status_code, gone.json()["error"]["status"]) == (404, "NOT_FOUND")


async def test_a_task_can_be_leased_again_immediately_after_cancelling_its_lease(client: httpx.AsyncClient) -> None:
    await create(client, "one")
    (task,) = await lease(client)
    cancelled = await client.post(f"/v2beta2/{task['name']}:cancelLease", json={"scheduleTime": task["scheduleTime"]})
    assert cancelled.json()["scheduleTime"] < task["scheduleTime"]
    (again,) = await lease(client)
    assert again["status"]["attemptDispatchCount"] == 2
    expired = await client.post(f"/v2beta2/{task['name']}:cancelLease", json={"scheduleTime": "2020-01-01T00:00:00Z"})
    assert expired.json()["error"]["status"] == "FAILED_PRECONDITION"
    assert (await client.delete(f"/v2beta2/{task['name']}")).json() == {}


async def test_both_apis_operate_on_the_same_tasks(client: httpx.AsyncClient) -> None:
    assert (await insert(client, id="old", tag="x")).status_code == 200
    (task,) = await lease(client, filter="tag=x", responseView="FULL")
    assert (task["name"], task["pullMessage"]["payload"]) == (f"{NAME}/tasks/old", PAYLOAD)
    # The fencing token is the same in both APIs.
    resource = (await client.get(f"{TASKS}/old")).json()
    acknowledged = await client.post(f"{CLOUD}/tasks/old:acknowledge", json={"scheduleTime": task["scheduleTime"]})
    assert acknowledged.status_code == 200
    assert int(resource["leaseTimestamp"]) % 1_000_000 == int(task["scheduleTime"][20:26])
    assert (await create(client, "new", pullMessage={"payload": PAYLOAD, "tag": "y"})).status_code == 200
    query = {"numTasks": 1, "leaseSecs": 60, "groupByTag": "true", "tag": "y"}
    (item,) = (await client.post(f"{TASKS}/lease", params=query)).json()["items"]
    assert (item["id"], item["payloadBase64"]) == ("new", PAYLOAD)
    assert (await client.delete(f"{TASKS}/new")).status_code == 204


async def test_leases_can_be_filtered_by_tag(client: httpx.AsyncClient) -> None:
    for name, tag in (("a", "x"), ("b", "y"), ("c", "x")):
        await create(client, name, pullMessage={"payload": PAYLOAD, "tag": tag})
    assert [task["name"][-1] for task in await lease(client, filter="tag_function=oldest_tag()")] == ["a", "c"]
    assert [task["name"][-1] for task in await lease(client, filter="tag=y")] == ["b"]


async def test_lists_are_paginated(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await create(client, f"t{number}")
    names: list[str] = []
    query: dict[str, Any] = {"pageSize": 2, "responseView": "FULL"}
    pages = 0
    while True:
        page = (await client.get(f"{CLOUD}/tasks", params=query)).json()
        names += [task["name"][-2:] for task in page["tasks"]]
        pages += 1
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]
    assert (names, pages) == (["t0", "t1", "t2", "t3", "t4"], 3)
    assert page["tasks"][0]["pullMessage"]["payload"] == PAYLOAD
    assert (await client.get(f"{CLOUD}-other/tasks")).json() == {}


async def test_the_schedule_time_is_limited(client: httpx.AsyncClient) -> None:
    later = await create(client, "later", scheduleTime="2020-01-01T00:00:00Z")
    assert later.json()["scheduleTime"] > "2026"  # a time in the past means now
    ahead = await create(client, "ahead", scheduleTime="2100-01-01T00:00:00+01:00")
    assert violation(ahead)["field"] == "task.scheduleTime"


async def test_queues_can_be_created_listed_paused_and_purged(client: httpx.AsyncClient) -> None:
    assert (await client.get(CLOUD)).status_code == 404
    created = await client.post(f"{LOCATION}/queues", json={"name": NAME, "pullTarget": {}})
    queue = {"name": NAME, "pullTarget": {}, "retryConfig": {"unlimitedAttempts": True}, "state": "RUNNING"}
    assert created.json() == queue
    again = await client.post(f"{LOCATION}/queues", json={"name": NAME})
    assert (again.status_code, again.json()["error"]["status"]) == (409, "ALREADY_EXISTS")
    await create(client)
    assert (await client.post(f"{CLOUD}:pause", json={})).json() == queue | {"state": "PAUSED"}
    assert await lease(client) == []
    assert (await client.post(f"{CLOUD}:resume")).json() == queue
    assert len(await lease(client)) == 1
    stats = (await client.get(CLOUD, params={"readMask": "stats"})).json()["stats"]
    assert (stats["tasksCount"], stats["executedLastMinuteCount"]) == ("1", "1")
    await client.post(f"{CLOUD}:purge")
    assert (await client.get(CLOUD, params={"readMask": "stats"})).json()["stats"]["tasksCount"] == "0"
    for name in ("a", "z"):
        await client.post(f"{LOCATION}/queues", json={"name": f"{NAME}-{name}"})
    first = (await client.get(f"{LOCATION}/queues", params={"pageSize": 2})).json()
    assert [found["name"] for found in first["queues"]] == [NAME, f"{NAME}-a"]
    rest = (await client.get(f"{LOCATION}/queues", params={"pageToken": first["nextPageToken"]})).json()
    assert [found["name"] for found in rest["queues"]] == [f"{NAME}-z"]
    assert "nextPageToken" not in rest


LEASE = {"maxTasks": 1, "leaseDuration": "1s"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("tasks", {}, "task"),
        ("tasks", {"task": []}, "task"),
        ("tasks", {"task": {}}, "task.pullMessage"),
        ("tasks", {"task": {"pullMessage": {"payload": "?"}}}, "task.pullMessage.payload"),
        ("tasks", {"task": {"pullMessage": {"payload": 1}}}, "task.pullMessage.payload"),
        ("tasks", {"task": {"pullMessage": {"tag": "x" * 501}}}, "task.pullMessage.tag"),
        ("tasks", {"task": {"pullMessage": {}, "name": "one"}}, "task.name"),
        ("tasks", {"task": {"pullMessage": {}, "name": f"{NAME}/tasks/a b"}}, "task.name"),
        ("tasks", {"task": {"pullMessage": {}, "scheduleTime": "soon"}}, "task.scheduleTime"),
        ("tasks", {"task": {"pullMessage": {}, "scheduleTime": "2026-02-30T00:00:00Z"}}, "task.scheduleTime"),
        ("tasks", {"task": {"pullMessage": {}}, "responseView": "ALL"}, "responseView"),
        ("tasks:lease", {"leaseDuration": "1s"}, "maxTasks"),
        ("tasks:lease", LEASE | {"maxTasks": 1001}, "maxTasks"),
        ("tasks:lease", LEASE | {"maxTasks": True}, "maxTasks"),
        ("tasks:lease", {"maxTasks": 1}, "leaseDuration"),
        ("tasks:lease", LEASE | {"leaseDuration": 5}, "leaseDuration"),
        ("tasks:lease", LEASE | {"leaseDuration": "604801s"}, "leaseDuration"),
        ("tasks:lease", LEASE | {"leaseDuration": "-1s"}, "leaseDuration"),
        ("tasks:lease", LEASE | {"filter": "state=x"}, "filter"),
        ("tasks/one:acknowledge", {}, "scheduleTime"),
        ("tasks/one:renewLease", {"scheduleTime": "2026-01-01T00:00:00Z"}, "leaseDuration"),
        ("tasks/a%2Fb:acknowledge", {"scheduleTime": "2026-01-01T00:00:00Z"}, "task"),
        ("tasks?pageSize=x", None, "pageSize"),
        ("tasks?pageToken=zzz", None, "pageToken"),
        ("tasks?responseView=zzz", None, "responseView"),
        ("?readMask=zzz", None, "readMask"),
    ],
)
async def test_errors_name_the_invalid_field(
    client: httpx.AsyncClient, path: str, body: dict[str, Any] | None, field: str
) -> None:
    url = f"{CLOUD}{path}" if path.startswith("?") else f"{CLOUD}/{path}"
    method = "GET" if body is None else "POST"
    await client.post(f"{LOCATION}/queues", json={"name": NAME})
    response = await client.request(method, url, json=body)
    assert response.status_code == 400
    assert violation(response)["field"] == field


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "print"}, {"name": NAME, "httpTarget": {}}, {"name": NAME, "retryConfig": {"maxAttempts": 3}}],
)
async def test_an_invalid_queue_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    response = await client.post(f"{LOCATION}/queues", json=body)
    assert (response.status_code, violation(response)["description"][:4] != "") == (400, True)


async def test_the_discovery_document_is_complete(client: httpx.AsyncClient) -> None:
    document = (await client.get("/discovery/v1/apis/cloudtasks/v2beta2/rest")).json()
    assert document["baseUrl"] == document["rootUrl"] == f"{client.base_url}/"
    assert json.dumps(document).count('"flatPath"') == 14


async def test_an_unreachable_store_is_reported_in_the_format_of_this_api() -> None:
    async with emulator("redis://127.0.0.1:1/0") as client:
        response = await create(client)
        assert (response.status_code, response.json()["error"]["status"]) == (503, "UNAVAILABLE")
        assert response.headers["Retry-After"] == "1"
