"""The rules and limits of Task Queue v1beta2 that clients rely on, one test each."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import pytest
import trio

from tests.emulator.server.running import PROJECT, TASKS, emulator, error_of, insert

LEASE = {"numTasks": 10, "leaseSecs": 60}
QUEUE = TASKS.removesuffix("/tasks")


async def lease(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    response = await client.post(f"{TASKS}/lease", params=LEASE | query)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_int64_are_strings_in_microseconds_and_int32_are_numbers(client: httpx.AsyncClient) -> None:
    task = (await insert(client)).json()
    for field in ("enqueueTimestamp", "leaseTimestamp"):
        assert isinstance(task[field], str)
        assert abs(int(task[field]) - time.time_ns() // 1000) < 60_000_000
    assert task["retry_count"] == 0
    queue = (await client.get(QUEUE, params={"getStats": "true"})).json()
    assert (queue["kind"], queue["id"]) == ("taskqueues#taskqueue", "projects/shop/taskqueues/print")
    assert queue["maxLeases"] == 0
    assert queue["stats"] == {
        "totalTasks": 1,
        "oldestTask": str(int(task["leaseTimestamp"]) // 1_000_000),
        "leasedLastMinute": "0",
        "leasedLastHour": "0",
    }


async def test_only_leased_tasks_have_the_full_queue_name(client: httpx.AsyncClient) -> None:
    assert (await insert(client, id="one")).json()["queueName"] == "print"
    assert (await client.get(f"{TASKS}/one")).json()["queueName"] == "print"
    (task,) = (await lease(client))["items"]
    assert task["queueName"] == "projects/shop/taskqueues/print"
    renewed = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 1}, json={"queueName": task["queueName"]})
    assert renewed.json()["queueName"] == "print"


async def test_the_first_lease_has_a_retry_count_of_zero(client: httpx.AsyncClient) -> None:
    await insert(client)
    counts = [(await lease(client, leaseSecs=0))["items"][0]["retry_count"] for _ in range(3)]
    assert counts == [0, 1, 2]


@pytest.mark.parametrize("flag", ["false", "False"])
async def test_false_is_false(client: httpx.AsyncClient, flag: str) -> None:
    for tag in ("x", "y"):
        await insert(client, tag=tag)
    assert len((await lease(client, groupByTag=flag))["items"]) == 2


async def test_grouping_without_a_tag_uses_that_of_the_oldest_task(client: httpx.AsyncClient) -> None:
    for tag in ("x", None, "x"):
        await insert(client, **({"tag": tag} if tag else {}))
    assert [item["tag"] for item in (await lease(client, groupByTag="true"))["items"]] == ["x", "x"]
    (untagged,) = (await lease(client, groupByTag="true"))["items"]
    assert "tag" not in untagged


async def test_project_prefixes_are_removed_only_at_the_start(client: httpx.AsyncClient) -> None:
    await insert(client, f"{PROJECT.replace('s~shop', 'dev~shop')}/print/tasks", id="one")
    for project in ("shop", "s~shop", "e~shop", "p~shop", "b~shop"):
        path = TASKS.replace("s~shop", project)
        assert (await client.get(f"{path}/one")).status_code == 200
    assert error_of(await client.get(TASKS.replace("s~shop", "shop~s~")))["location"] == "project"


async def test_update_uses_the_id_in_the_body(client: httpx.AsyncClient) -> None:
    for name in ("one", "two"):
        await insert(client, id=name)
    held = {task["id"]: task["leaseTimestamp"] for task in (await lease(client))["items"]}
    body = {"id": "two", "queueName": "print", "leaseTimestamp": held["two"], "retry_count": 7, "unknown": [1]}
    updated = (await client.post(f"{TASKS}/one", params={"newLeaseSeconds": 0}, json=body)).json()
    assert (updated["id"], updated["retry_count"]) == ("two", 1)
    assert [task["id"] for task in (await lease(client))["items"]] == ["two"]


async def test_only_the_current_lease_can_be_renewed(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    body = {"queueName": "print"}
    expired = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 1}, json=body)
    assert (expired.status_code, error_of(expired)["reason"]) == (400, "leaseExpired")
    await lease(client)
    stale = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 1}, json=body | {"leaseTimestamp": "1"})
    assert (error_of(stale)["reason"], error_of(stale)["location"]) == ("leaseConflict", "leaseTimestamp")
    gone = await client.patch(f"{TASKS}/two", params={"newLeaseSeconds": 1}, json=body)
    assert (gone.status_code, error_of(gone)["reason"]) == (404, "notFound")


async def test_a_task_can_have_a_future_eta(client: httpx.AsyncClient) -> None:
    later = str(time.time_ns() // 1000 + 3_600_000_000)
    assert (await insert(client, id="later", leaseTimestamp=later)).json()["leaseTimestamp"] == later
    past = (await insert(client, id="past", leaseTimestamp=1)).json()
    assert past["leaseTimestamp"] == past["enqueueTimestamp"]
    assert [task["id"] for task in (await lease(client))["items"]] == ["past"]


async def test_a_list_is_limited_to_100_tasks_and_a_lease_to_1000(client: httpx.AsyncClient) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(110):
            nursery.start_soon(lambda name: insert(client, id=name), f"t{number:03}")
    assert len((await client.get(TASKS)).json()["items"]) == 100
    assert len((await lease(client, numTasks=1000))["items"]) == 110


async def test_the_reply_to_a_lease_is_limited_to_32_mib(client: httpx.AsyncClient) -> None:
    payload = base64.b64encode(bytes(1024 * 1024)).decode()
    for number in range(25):
        await insert(client, id=f"t{number:02}", payloadBase64=payload)
    response = await client.post(f"{TASKS}/lease", params=LEASE | {"numTasks": 1000}, timeout=30)
    assert len(response.content) <= 32 * 1024 * 1024
    assert len(response.json()["items"]) == 21
    assert [task["id"] for task in (await lease(client))["items"]] == ["t21", "t22", "t23", "t24"]


async def test_legacy_lists_have_one_kind_and_always_items(store: str) -> None:
    async with emulator(store, legacy_shapes=True) as client:
        assert await lease(client) == {"kind": "taskqueue#tasks", "items": []}
        await insert(client)
        listed = (await client.get(TASKS)).json()
        assert (listed["kind"], len(listed["items"])) == ("taskqueue#tasks", 1)


async def test_a_deletion_can_require_a_lease(client: httpx.AsyncClient) -> None:
    """A task that was leased again, or submitted again under its ID, must not be deleted by mistake."""
    await insert(client, id="one")
    (task,) = (await lease(client))["items"]
    other = str(int(task["leaseTimestamp"]) + 1)
    refused = await client.delete(f"{TASKS}/one", headers={"If-Match": f'"{other}"'})
    assert (refused.status_code, error_of(refused)["reason"]) == (412, "conditionNotMet")
    assert (await client.delete(f"{TASKS}/one", headers={"If-Match": task["leaseTimestamp"]})).status_code == 400
    assert (await client.get(f"{TASKS}/one")).status_code == 200
    deleted = await client.delete(f"{TASKS}/one", headers={"If-Match": f'"{task["leaseTimestamp"]}"'})
    assert deleted.status_code == 204
    assert (await client.delete(f"{TASKS}/one", headers={"If-Match": "*"})).status_code == 404
