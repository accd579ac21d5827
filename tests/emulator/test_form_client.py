"""The requests of AppScale's test suite: JSON and forms with the content type of a form, and integers with a fraction.

Its HTTP library sends every body as `application/x-www-form-urlencoded` unless another type is set. Two of its
expectations are not met, on purpose: a delete returns 204, and the standard Base64 alphabet is accepted.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.emulator.server.running import error_of

QUEUE = "/taskqueue/v1beta2/projects/hawk27/taskqueues/rest-pull-queue"


async def send(client: httpx.AsyncClient, method: str, path: str, body: str = "") -> httpx.Response:
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    return await client.request(method, f"{QUEUE}{path}", content=body, headers=headers)


async def lease(client: httpx.AsyncClient, **parameters: Any) -> list[dict[str, Any]]:
    response = await send(client, "POST", "/tasks/lease", urlencode({"numTasks": 1000} | parameters))
    assert response.status_code == 200, response.text
    return list(response.json().get("items", []))


async def test_a_task_is_inserted_leased_updated_and_deleted(client: httpx.AsyncClient) -> None:
    for name, tag in (("one", None), ("two", "x"), ("three", "y")):
        task = {"id": name, "payloadBase64": "1234", "retry_count": 1} | ({"tag": tag} if tag else {})
        assert (await send(client, "POST", "/tasks", json.dumps(task))).status_code == 200
    assert len((await send(client, "GET", "/tasks")).json()["items"]) == 3
    assert [task["id"] for task in await lease(client, leaseSecs=60, groupByTag=True, tag="x")] == ["two"]
    assert [task["id"] for task in await lease(client, leaseSecs=10.0, groupByTag=True)] == ["one"]
    (three,) = await lease(client, leaseSecs=10.0)
    token = three["leaseTimestamp"]
    for method, extra in (("POST", {}), ("PATCH", {"queueName": "rest-pull-queue"})):
        body = json.dumps({"id": "three", "leaseTimestamp": token} | extra)
        updated = await send(client, method, "/tasks/three?newLeaseSeconds=60", body)
        assert updated.status_code == 200, updated.text
        assert updated.json()["leaseTimestamp"] > token
        token = updated.json()["leaseTimestamp"]
    assert (await send(client, "DELETE", "/tasks/three")).status_code == 204
    assert (await send(client, "GET", "/tasks/three")).status_code == 404
    stats = (await send(client, "GET", "?getStats=true")).json()["stats"]
    assert (stats["totalTasks"], stats["leasedLastMinute"]) == (2, "3")


@pytest.mark.parametrize(("payload", "stored"), [("_NDQaWRvMm_1UQ==", "_NDQaWRvMm_1UQ=="), ("asdf123", "asdf120=")])
async def test_payloads_are_completed(client: httpx.AsyncClient, payload: str, stored: str) -> None:
    response = await send(client, "POST", "/tasks", json.dumps({"payloadBase64": payload}))
    assert response.json()["payloadBase64"] == stored
    wrong = await send(client, "POST", "/tasks", json.dumps({"payloadBase64": "invalid#payload"}))
    assert (wrong.status_code, error_of(wrong)["location"]) == (400, "payloadBase64")


async def test_missing_parameters_are_named(client: httpx.AsyncClient) -> None:
    for parameters, missing in (({"leaseSecs": 1}, "numTasks"), ({"numTasks": 1}, "leaseSecs")):
        refused = await send(client, "POST", "/tasks/lease", urlencode(parameters))
        assert (error_of(refused)["reason"], error_of(refused)["location"]) == ("required", missing)
