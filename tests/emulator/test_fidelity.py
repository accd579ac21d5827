"""The rules and limits of Task Queue v1beta2 that clients came to rely on, one test each."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.emulator.running import PAYLOAD, PROJECT, TASKS, emulator, error_of, insert

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


async def test_only_leases_have_the_queue_s_long_name(client: httpx.AsyncClient) -> None:
    assert (await insert(client, id="one")).json()["queueName"] == "print"
    assert (await client.get(f"{TASKS}/one")).json()["queueName"] == "print"
    (task,) = (await lease(client))["items"]
    assert task["queueName"] == "projects/shop/taskqueues/print"
    renewed = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 1}, json={"queueName": task["queueName"]})
    assert renewed.json()["queueName"] == "print"


async def test_a_lease_counts_from_zero(client: httpx.AsyncClient) -> None:
    await insert(client)
    counts = [(await lease(client, leaseSecs=0))["items"][0]["retry_count"] for _ in range(3)]
    assert counts == [0, 1, 2]


@pytest.mark.parametrize("flag", ["false", "False"])
async def test_false_is_false(client: httpx.AsyncClient, flag: str) -> None:
    for tag in ("x", "y"):
        await insert(client, tag=tag)
    assert len((await lease(client, groupByTag=flag))["items"]) == 2


async def test_without_a_tag_the_oldest_one_s_is_taken(client: httpx.AsyncClient) -> None:
    for tag in ("x", None, "x"):
        await insert(client, **({"tag": tag} if tag else {}))
    assert [item["tag"] for item in (await lease(client, groupByTag="true"))["items"]] == ["x", "x"]
    (untagged,) = (await lease(client, groupByTag="true"))["items"]
    assert "tag" not in untagged


async def test_project_prefixes_are_dropped_at_the_front_only(client: httpx.AsyncClient) -> None:
    await insert(client, f"{PROJECT.replace('s~shop', 'dev~shop')}/print/tasks", id="one")
    for project in ("shop", "s~shop", "e~shop", "p~shop", "b~shop"):
        path = TASKS.replace("s~shop", project)
        assert (await client.get(f"{path}/one")).status_code == 200
    assert error_of(await client.get(TASKS.replace("s~shop", "shop~s~")))["location"] == "project"


async def test_update_takes_the_id_of_the_body(client: httpx.AsyncClient) -> None:
    for name in ("one", "two"):
        await insert(client, id=name)
    held = {task["id"]: task["leaseTimestamp"] for task in (await lease(client))["items"]}
    body = {"id": "two", "queueName": "print", "leaseTimestamp": held["two"], "retry_count": 7, "unknown": [1]}
    updated = (await client.post(f"{TASKS}/one", params={"newLeaseSeconds": 0}, json=body)).json()
    assert (updated["id"], updated["retry_count"]) == ("two", 1)
    assert [task["id"] for task in (await lease(client))["items"]] == ["two"]


async def test_only_who_holds_the_lease_renews_it(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    body = {"queueName": "print"}
    expired = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 1}, json=body)
    assert (expired.status_code, error_of(expired)["reason"]) == (400, "leaseExpired")
    await lease(client)
    stale = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 1}, json=body | {"leaseTimestamp": "1"})
    assert (error_of(stale)["reason"], error_of(stale)["location"]) == ("leaseConflict", "leaseTimestamp")
    gone = await client.patch(f"{TASKS}/two", params={"newLeaseSeconds": 1}, json=body)
    assert (gone.status_code, error_of(gone)["reason"]) == (404, "notFound")


async def test_a_task_may_fall_due_later(client: httpx.AsyncClient) -> None:
    later = str(time.time_ns() // 1000 + 3_600_000_000)
    assert (await insert(client, id="later", leaseTimestamp=later)).json()["leaseTimestamp"] == later
    past = (await insert(client, id="past", leaseTimestamp=1)).json()
    assert past["leaseTimestamp"] == past["enqueueTimestamp"]
    assert [task["id"] for task in (await lease(client))["items"]] == ["past"]


async def test_a_list_holds_a_hundred_and_a_lease_a_thousand(client: httpx.AsyncClient) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(110):
            nursery.start_soon(lambda name: insert(client, id=name), f"t{number:03}")
    assert len((await client.get(TASKS)).json()["items"]) == 100
    assert len((await lease(client, numTasks=1000))["items"]) == 110


async def test_a_lease_brings_at_most_32_mb(client: httpx.AsyncClient) -> None:
    payload = base64.b64encode(bytes(1024 * 1024)).decode()
    for number in range(25):
        await insert(client, id=f"t{number:02}", payloadBase64=payload)
    response = await client.post(f"{TASKS}/lease", params=LEASE | {"numTasks": 1000}, timeout=30)
    assert len(response.content) <= 32 * 1024 * 1024
    assert len(response.json()["items"]) == 21
    assert [task["id"] for task in (await lease(client))["items"]] == ["t21", "t22", "t23", "t24"]


async def test_legacy_shapes_have_one_kind_and_always_items(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR_LEGACY_SHAPES", "1")
    async with emulator(store) as client:
        assert await lease(client) == {"kind": "taskqueue#tasks", "items": []}
        await insert(client)
        listed = (await client.get(TASKS)).json()
        assert (listed["kind"], len(listed["items"])) == ("taskqueue#tasks", 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("id", {"id": "one"}),
        ("id,tag", {"id": "one", "tag": "x"}),
        ("*", None),
    ],
)
async def test_fields_select_parts_of_a_task(
    client: httpx.AsyncClient, fields: str, expected: dict[str, str] | None
) -> None:
    await insert(client, id="one", tag="x")
    whole = (await client.get(f"{TASKS}/one")).json()
    assert (await client.get(f"{TASKS}/one", params={"fields": fields})).json() == (expected or whole)


@pytest.mark.parametrize("fields", ["items(id,tag)", "items/id,items/tag", "items(tag),items(id)", "*(id,tag)"])
async def test_fields_look_into_lists(client: httpx.AsyncClient, fields: str) -> None:
    await insert(client, id="one", tag="x")
    expected = {"items": [{"id": "one", "tag": "x"}]}
    assert (await client.get(TASKS, params={"fields": fields})).json() == expected
    assert await lease(client, fields=fields) == expected
    assert (await client.get(TASKS, params={"fields": "items,items/id"})).json()["items"][0]["retry_count"] == 1
    stats = await client.get(QUEUE, params={"fields": "stats/totalTasks", "getStats": "true"})
    assert stats.json() == {"stats": {"totalTasks": 1}}


DEEP = ("(" * 30, "items(" * 12, "items/" * 12 + "id", "*/" * 20 + "*", "x" * 8001)
WRONG = (
    "nothing",
    "id/nothing",
    "items(nothing)",
    "items/nothing",
    "items(id",
    "items)id",
    "a,,b",
    ",",
    "/",
    "é",
    "id tag",
)


@pytest.mark.parametrize("fields", [*WRONG, *DEEP])
async def test_a_selection_that_is_wrong_changes_nothing(client: httpx.AsyncClient, fields: str) -> None:
    await insert(client)
    response = await client.post(f"{TASKS}/lease", params=LEASE | {"fields": fields})
    assert (response.status_code, error_of(response)["location"]) == (400, "fields")
    assert len((await lease(client))["items"]) == 1


async def test_replies_are_indented_unless_told_otherwise(client: httpx.AsyncClient) -> None:
    assert (await client.get(TASKS)).text == '{\n "kind": "taskqueues#tasks"\n}'
    assert (await client.get(TASKS, params={"prettyPrint": "false"})).text == '{"kind":"taskqueues#tasks"}'
    assert "\n" not in (await client.get(f"{TASKS}/x", params={"prettyPrint": "false"})).text
    for name, value in (("prettyPrint", "maybe"), ("alt", "atom")):
        assert error_of(await client.get(TASKS, params={name: value}))["location"] == name
    ignored = {"alt": "json", "key": "k", "oauth_token": "t", "quotaUser": "u", "userIp": "1.2.3.4", "fields": ""}
    assert (await client.get(TASKS, params=ignored)).status_code == 200


async def test_a_post_can_stand_for_another_method(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    (task,) = (await lease(client))["items"]
    body = {"queueName": "print", "leaseTimestamp": task["leaseTimestamp"]}
    headers = {"X-HTTP-Method-Override": "PATCH"}
    patched = await client.post(f"{TASKS}/one", params={"newLeaseSeconds": 0}, json=body, headers=headers)
    assert patched.status_code == 200
    # A GET whose query is too long for an address comes as a form, and must not become an insert.
    form = {"fields": ("items/id," * 200).rstrip(","), "prettyPrint": "false"}
    listed = await client.post(TASKS, data=form, headers={"X-HTTP-Method-Override": "GET"})
    assert listed.text == '{"items":[{"id":"one"}]}'
    wrong = await client.post(TASKS, content=b"{}", headers={"X-HTTP-Method-Override": "GET"})
    assert error_of(wrong)["location"] == "Content-Type"
    wrong = await client.post(TASKS, headers={"X-HTTP-Method-Override": "DANCE"})
    assert error_of(wrong)["location"] == "X-HTTP-Method-Override"
    assert (await client.post(f"{TASKS}/one", headers={"X-HTTP-Method-Override": "delete"})).status_code == 204


async def test_what_is_too_long_is_told_how_long_it_may_be(client: httpx.AsyncClient) -> None:
    long = await client.get(f"{TASKS}?x={'y' * 16_500}")
    assert (long.status_code, error_of(long)["reason"]) == (414, "uriTooLong")
    heads = await client.get(TASKS, headers={f"x-{number}": "y" * 2000 for number in range(13)})
    assert (heads.status_code, error_of(heads)["reason"]) == (431, "headersTooLarge")
    many = await client.get(TASKS, params={f"p{number}": "" for number in range(101)})
    assert (many.status_code, "over 100 parameters" in error_of(many)["message"]) == (400, True)
    assert "not UTF-8" in error_of(await client.get(f"{TASKS}?fields=%ff"))["message"]


async def test_a_body_needs_its_length_and_no_compression(client: httpx.AsyncClient) -> None:
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
    async with stream:
        await stream.send_all(f"POST {TASKS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join([part async for part in stream])
    assert answer.startswith(b"HTTP/1.1 411 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["errors"][0]["reason"] == "required"
    packed = await client.post(TASKS, content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert error_of(packed)["location"] == "Content-Encoding"
    chunked = await client.post(TASKS, content=_chunks(json.dumps({"payloadBase64": PAYLOAD}).encode()))
    assert chunked.status_code == 200


async def _chunks(content: bytes) -> Any:
    for byte in content:
        yield bytes([byte])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", TASKS, "GET, POST"),
        ("DELETE", TASKS, "GET, POST"),
        ("OPTIONS", f"{TASKS}/one", "DELETE, GET, PATCH, POST"),
        ("PUT", f"{TASKS}/lease", "DELETE, GET, PATCH, POST"),
        ("POST", QUEUE, "GET"),
        ("POST", "/api/taskqueue/v1beta2", "GET"),
        ("GET", "/batch", "POST"),
        ("NONSENSE", "/health", "GET"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert f"allowed: {allowed}" in error_of(response)["message"]


async def test_lease_is_a_verb_on_post_and_a_name_otherwise(client: httpx.AsyncClient) -> None:
    await insert(client, id="lease")
    assert (await client.get(f"{TASKS}/lease")).json()["id"] == "lease"
    assert (await client.delete(f"{TASKS}/lease")).status_code == 204


async def test_a_head_is_a_get_without_its_body(client: httpx.AsyncClient) -> None:
    response = await client.head(TASKS)
    assert (response.status_code, response.content) == (200, b"")
    assert (await client.head("/nowhere")).status_code == 404


async def test_a_fault_of_the_service_has_the_shape_too(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with emulator(store) as client:
        monkeypatch.setattr("emulator.service.QueueService.queue", None)
        response = await client.get(TASKS)
        assert (response.status_code, error_of(response)["reason"]) == (500, "backendError")
        assert "NoneType" not in response.text
    assert "a request failed: GET /taskqueue" in caplog.text
