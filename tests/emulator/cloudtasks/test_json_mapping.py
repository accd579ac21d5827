"""Cloud Tasks v2beta2 accepts every form of a value that the JSON mapping of proto3 has, and every form in a query."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from tests.emulator.server.running import CLOUD, PAYLOAD

LOCATION = CLOUD.rpartition("/queues/")[0]
NAME = CLOUD.removeprefix("/v2beta2/")
LEASE = {"maxTasks": 10, "leaseDuration": "60s"}


async def create(client: httpx.AsyncClient, name: str = "one") -> None:
    task = {"name": f"{NAME}/tasks/{name}", "pullMessage": {"payload": PAYLOAD}}
    response = await client.post(f"{CLOUD}/tasks", json={"task": task})
    assert response.status_code == 200, response.text


async def leased(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post(f"{CLOUD}/tasks:lease", json=LEASE | fields)
    assert response.status_code == 200, response.text
    (task,) = response.json()["tasks"]
    return dict(task)


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        (None, "BASIC"),
        (0, "BASIC"),
        ("VIEW_UNSPECIFIED", "BASIC"),
        (1, "BASIC"),
        ("1", "BASIC"),
        (2, "FULL"),
        (2.0, "FULL"),
        ("2", "FULL"),
        ("FULL", "FULL"),
    ],
)
async def test_enums_are_names_or_numbers_in_every_method(client: httpx.AsyncClient, view: Any, shown: str) -> None:
    new = {"task": {"name": f"{NAME}/tasks/one", "pullMessage": {"payload": PAYLOAD}}, "responseView": view}
    assert (await client.post(f"{CLOUD}/tasks", json=new)).json()["view"] == shown
    task = await leased(client, responseView=view)
    assert (task["view"], "payload" in task["pullMessage"]) == (shown, shown == "FULL")
    one = f"{CLOUD}/tasks/one"
    body = {"scheduleTime": task["scheduleTime"], "responseView": view}
    renewed = (await client.post(f"{one}:renewLease", json=body | {"leaseDuration": "60s"})).json()
    assert renewed["view"] == shown
    body["scheduleTime"] = renewed["scheduleTime"]
    assert (await client.post(f"{one}:cancelLease", json=body)).json()["view"] == shown
    if view is not None:
        for name in ("responseView", "response_view"):
            assert (await client.get(one, params={name: str(view)})).json()["view"] == shown
            assert (await client.get(f"{CLOUD}/tasks", params={name: view})).json()["tasks"][0]["view"] == shown


@pytest.mark.parametrize("view", [3, -1, 1.5, "3", "full", "ALL", True, [], {}, ""])
async def test_an_unknown_enum_value_is_refused_with_names_and_numbers(client: httpx.AsyncClient, view: Any) -> None:
    refused = await client.post(f"{CLOUD}/tasks:lease", json=LEASE | {"responseView": view})
    assert refused.status_code == 400
    assert "allowed: VIEW_UNSPECIFIED (0), BASIC (1), FULL (2)" in refused.json()["error"]["message"]


@pytest.mark.parametrize("count", [1, 1.0, "1", "1.0", "1e0"])
async def test_int32_is_a_number_or_a_string(client: httpx.AsyncClient, count: Any) -> None:
    for name in ("one", "two"):
        await create(client, name)
    assert (await leased(client, maxTasks=count))["name"] == f"{NAME}/tasks/one"
    for name in ("pageSize", "page_size"):
        assert len((await client.get(f"{CLOUD}/tasks", params={name: count})).json()["tasks"]) == 1


async def test_fields_may_have_their_names_in_snake_case(client: httpx.AsyncClient) -> None:
    task = {"name": f"{NAME}/tasks/one", "pull_message": {"payload": PAYLOAD}, "schedule_time": "2020-01-01T00:00:00Z"}
    created = (await client.post(f"{CLOUD}/tasks", json={"task": task, "response_view": "FULL"})).json()
    assert created["pullMessage"] == {"payload": PAYLOAD}
    await create(client, "two")
    page = (await client.get(f"{CLOUD}/tasks", params={"page_size": 1})).json()
    rest = await client.get(f"{CLOUD}/tasks", params={"page_token": page["nextPageToken"]})
    assert [found["name"] for found in rest.json()["tasks"]] == [f"{NAME}/tasks/two"]
    body = {"max_tasks": 1, "lease_duration": "60s", "response_view": "FULL"}
    (held,) = (await client.post(f"{CLOUD}/tasks:lease", json=body)).json()["tasks"]
    assert held["pullMessage"] == {"payload": PAYLOAD}
    renewal = {"schedule_time": held["scheduleTime"], "lease_duration": "0s"}
    assert (await client.post(f"{CLOUD}/tasks/one:renewLease", json=renewal)).status_code == 200
    queue = (await client.get(CLOUD, params={"read_mask": "pull_target,retry_config.max_attempts"})).json()
    assert queue == {"pullTarget": {}, "retryConfig": {"unlimitedAttempts": True}}
    for field in ("app_engine_http_target", "http_target", "rate_limits"):
        refused = await client.post(f"{LOCATION}/queues", json={"name": f"{NAME}-2", field: {}})
        assert refused.status_code == 400
    limited = {"name": f"{NAME}-2", "retry_config": {"max_attempts": 3}}
    assert "queue file" in (await client.post(f"{LOCATION}/queues", json=limited)).json()["error"]["message"]


async def test_a_field_that_is_set_twice_is_refused(client: httpx.AsyncClient) -> None:
    refused = await client.post(f"{CLOUD}/tasks:lease", json=LEASE | {"max_tasks": 2})
    assert (refused.status_code, "set twice" in refused.json()["error"]["message"]) == (400, True)


async def test_null_means_unset(client: httpx.AsyncClient) -> None:
    message = {"payload": PAYLOAD, "tag": None}
    task = {"name": None, "pullMessage": message, "scheduleTime": None, "status": None, "view": None}
    created = await client.post(f"{CLOUD}/tasks", json={"task": task, "responseView": None})
    assert (created.status_code, created.json()["pullMessage"]) == (200, {})
    assert (await leased(client, filter=None, responseView=None, unknown=None))["view"] == "BASIC"
    queue = {"name": f"{NAME}-2", "httpTarget": None, "retryConfig": {"maxAttempts": None}, "state": 1}
    assert (await client.post(f"{LOCATION}/queues", json=queue)).status_code == 200
    missing = await client.post(f"{CLOUD}/tasks:lease", json=LEASE | {"maxTasks": None})
    assert "maxTasks is missing" in missing.json()["error"]["message"]


@pytest.mark.parametrize("duration", ["60s", "60.0s", "60.5s", "60.123456789s", "0000000060s"])
async def test_a_duration_may_have_a_fraction(client: httpx.AsyncClient, duration: str) -> None:
    await create(client)
    assert (await leased(client, leaseDuration=duration))["name"] == f"{NAME}/tasks/one"


@pytest.mark.parametrize(
    "duration", [60, "60", "60 s", "60ms", "-60s", "60.s", "60.1234567890s", "1e1s", {"seconds": 60}]
)
async def test_other_durations_are_refused(client: httpx.AsyncClient, duration: Any) -> None:
    refused = await client.post(f"{CLOUD}/tasks:lease", json=LEASE | {"leaseDuration": duration})
    assert (refused.status_code, "such as 3.5s" in refused.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize("offset", [0, 60, -60, 330, -210, 840, -720, 1439])
@pytest.mark.parametrize("digits", ["", "0", "000", "000000000"])
async def test_a_time_may_have_any_offset(client: httpx.AsyncClient, offset: int, digits: str) -> None:
    await create(client)
    task = await leased(client)
    moment = datetime.fromisoformat(task["scheduleTime"].replace("Z", "+00:00"))
    local = moment.astimezone(timezone(timedelta(minutes=offset)))
    written = local.isoformat(timespec="microseconds")
    written = written[:26] + digits[:3] + written[26:]  # up to nine digits
    acknowledged = await client.post(f"{CLOUD}/tasks/one:acknowledge", json={"scheduleTime": written})
    assert acknowledged.status_code == 200, acknowledged.text


@pytest.mark.parametrize("payload", ["+/8=", "-_8=", "+/8", "-_8", "-_9"])
async def test_bytes_are_standard_or_url_safe_base64(client: httpx.AsyncClient, payload: str) -> None:
    task = {"name": f"{NAME}/tasks/one", "pullMessage": {"payload": payload}}
    created = await client.post(f"{CLOUD}/tasks", json={"task": task, "responseView": 2})
    assert created.json()["pullMessage"]["payload"] == "+/8="


async def test_unknown_fields_and_output_fields_are_ignored(client: httpx.AsyncClient) -> None:
    task = {
        "pullMessage": {"payload": PAYLOAD, "new": 1},
        "view": 2,
        "status": {"attemptDispatchCount": "9"},
        "new": [],
    }
    created = await client.post(f"{CLOUD}/tasks", json={"task": task, "parent": NAME, "new": {"a": None}})
    assert created.json()["status"] == {"attemptDispatchCount": 0}
