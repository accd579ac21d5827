"""The queue over HTTP from the perspective of a client: a real server on a free port."""

from __future__ import annotations

import base64
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import trio

from tests.emulator.server.running import PAYLOAD, TASKS, emulator, error_of, insert
from tests.redis_server import free_port


async def test_the_life_cycle_of_a_task(client: httpx.AsyncClient) -> None:
    inserted = (await insert(client, id="one", tag="task")).json()
    assert inserted["kind"] == "taskqueues#task"
    assert inserted["retry_count"] == 0
    assert inserted["enqueueTimestamp"] == inserted["leaseTimestamp"]
    leased = (await client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 60})).json()
    assert leased["kind"] == "taskqueue#tasks"
    (task,) = leased["items"]
    assert task["queueName"] == "projects/shop/taskqueues/print"
    assert task["payloadBase64"] == PAYLOAD
    body = {"queueName": "print", "leaseTimestamp": task["leaseTimestamp"]}
    renewed = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 120}, json=body)
    assert int(renewed.json()["leaseTimestamp"]) > int(task["leaseTimestamp"])
    assert renewed.json()["retry_count"] == 1
    stale = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": 120}, json=body)
    assert (stale.status_code, error_of(stale)["reason"]) == (400, "leaseConflict")
    deleted = await client.delete(f"{TASKS}/one?")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await client.delete(f"{TASKS}/one")).status_code == 404
    assert (await insert(client, id="one")).status_code == 409


async def test_an_empty_list_has_no_items(client: httpx.AsyncClient) -> None:
    assert (await client.get(TASKS)).json() == {"kind": "taskqueues#tasks"}
    empty = await client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 60})
    assert empty.json() == {"kind": "taskqueue#tasks"}


async def test_legacy_shapes_list_items_even_when_empty(store: str) -> None:
    async with emulator(store, legacy_shapes=True) as client:
        assert (await client.get(TASKS)).json() == {"kind": "taskqueue#tasks", "items": []}


async def test_a_list_has_no_payloads(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    (item,) = (await client.get(TASKS)).json()["items"]
    assert "payloadBase64" not in item
    assert (await client.get(f"{TASKS}/one")).json()["payloadBase64"] == PAYLOAD


async def test_a_queue_reports_its_statistics_on_request(client: httpx.AsyncClient) -> None:
    await insert(client)
    queue = TASKS.removesuffix("/tasks")
    assert "stats" not in (await client.get(queue)).json()
    stats = (await client.get(queue, params={"getStats": "true"})).json()["stats"]
    assert stats["totalTasks"] == 1
    assert int(stats["oldestTask"]) > 1_600_000_000
    assert stats["leasedLastMinute"] == "0"


async def test_the_discovery_document_contains_this_host(client: httpx.AsyncClient) -> None:
    document = (await client.get("/api/taskqueue/v1beta2")).json()
    assert document["rootUrl"] == f"{client.base_url}/".replace("//", "/").replace(":/", "://", 1)
    assert document["servicePath"] == "taskqueue/v1beta2/projects/"
    unknown = await client.get("/api/taskqueue/v9")
    assert (unknown.status_code, error_of(unknown)["reason"]) == (404, "notFound")


@pytest.mark.parametrize(
    ("method", "path", "body", "location"),
    [
        ("POST", "/lease?leaseSecs=60", None, "numTasks"),
        ("POST", "/lease?numTasks=0&leaseSecs=60", None, "numTasks"),
        ("POST", "/lease?numTasks=1&leaseSecs=604801", None, "leaseSecs"),
        ("POST", "/lease?numTasks=1&leaseSecs=60&tag=x", None, "tag"),
        ("POST", "/lease?numTasks=1&leaseSecs=60&groupByTag=maybe", None, "groupByTag"),
        ("POST", "", {"queueName": "other", "payloadBase64": PAYLOAD}, "queueName"),
        ("POST", "", {"payloadBase64": "not base64!"}, "payloadBase64"),
        ("POST", "", {"id": "a"}, "payloadBase64"),
        ("POST", "", {"id": "a/b", "payloadBase64": PAYLOAD}, "id"),
        ("POST", "", {"tag": "x" * 501, "payloadBase64": PAYLOAD}, "tag"),
        ("POST", "", {"leaseTimestamp": "soon", "payloadBase64": PAYLOAD}, "leaseTimestamp"),
        ("POST", "", {"leaseTimestamp": str(10**17), "payloadBase64": PAYLOAD}, "leaseTimestamp"),
        ("PATCH", "/one?newLeaseSeconds=1", {}, "queueName"),
        ("PATCH", "/one", {"queueName": "print"}, "newLeaseSeconds"),
    ],
)
async def test_errors_name_the_invalid_value(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None, location: str
) -> None:
    response = await client.request(method, TASKS + path, json=body)
    assert response.status_code == 400
    error = error_of(response)
    assert error["location"] == location
    assert location in error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_not_a_json_object_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post(TASKS, content=body)
    assert (response.status_code, error_of(response)["reason"]) == (400, "parseError")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", TASKS, 405), ("GET", f"{TASKS}/unknown", 404), ("GET", TASKS + "/a%2Fb", 400)],
)
async def test_all_errors_have_the_same_format(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    error_of(response)


async def test_a_body_that_is_too_large_is_refused_without_closing_the_connection(client: httpx.AsyncClient) -> None:
    large = await client.post(TASKS, content=b"x" * 3_000_000)
    assert (large.status_code, error_of(large)["reason"]) == (413, "uploadTooLarge")
    over = await insert(client, payloadBase64=base64.b64encode(bytes(1024 * 1024 + 1)).decode())
    assert (over.status_code, error_of(over)["location"]) == (400, "payloadBase64")
    assert (await insert(client, payloadBase64=base64.b64encode(bytes(1024 * 1024)).decode())).status_code == 200


async def test_payloads_are_returned_in_the_alphabet_in_which_they_were_sent(client: httpx.AsyncClient) -> None:
    assert (await insert(client, id="url", payloadBase64="-_-_")).status_code == 200
    assert (await client.get(f"{TASKS}/url")).json()["payloadBase64"] == "-_-_"


async def test_a_waiting_lease_is_answered_when_a_task_is_inserted(client: httpx.AsyncClient) -> None:
    replies: list[httpx.Response] = []

    async def wait() -> None:
        params = {"numTasks": 1, "leaseSecs": 60}
        replies.append(await client.post(f"{TASKS}/lease", params=params, headers={"Prefer": "wait=20"}, timeout=30))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(0.05)
        await insert(client, id="late")
    assert replies[0].headers["Preference-Applied"] == "wait=20"
    assert [item["id"] for item in replies[0].json()["items"]] == ["late"]


async def test_a_waiting_lease_times_out_without_tasks(client: httpx.AsyncClient) -> None:
    params = {"numTasks": 1, "leaseSecs": 60}
    response = await client.post(f"{TASKS}/lease", params=params, headers={"Prefer": "respond-async, wait=1"})
    assert response.json() == {"kind": "taskqueue#tasks"}
    assert response.headers["Preference-Applied"] == "wait=1"


async def test_an_unreachable_store_is_reported_with_retry_after() -> None:
    async with emulator(f"redis://127.0.0.1:{free_port()}/0") as client:
        response = await insert(client)
        assert (response.status_code, error_of(response)["reason"]) == (503, "backendError")
        assert response.headers["Retry-After"] == "1"
        assert (await client.get("/health")).status_code == 503


async def test_garbage_on_a_websocket_ends_only_its_own_connection(client: httpx.AsyncClient) -> None:
    host, port = client.base_url.host, client.base_url.port or 0
    for _ in range(3):
        stream = await trio.open_tcp_stream(host, port)
        async with stream:
            await stream.send_all(
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" + b"\xff" * 200
            )
            with trio.move_on_after(1):
                await stream.receive_some()
    assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    ("request_text", "status", "reason"),
    [
        (f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "badRequest"),
        (f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{{", 400, "badRequest"),
        (f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400, "badRequest"),
        (f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "badRequest"),
        (f"GET {TASKS} HTTP/9.9\r\nHost: localhost\r\n\r\n", 505, "badRequest"),
        (f"GET /{'x' * 400_000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, "badRequest"),
        ("hello\r\n\r\n", 400, "badRequest"),
    ],
)
async def test_invalid_framing_is_answered_with_an_error(
    client: httpx.AsyncClient, request_text: str, status: int, reason: str
) -> None:
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
    async with stream:
        await stream.send_all(request_text.encode())
        await stream.send_eof()
        reply = b"".join([part async for part in stream])
    head, _, body = reply.partition(b"\r\n\r\n")
    assert int(head[9:12]) == status
    response = httpx.Response(status, headers={"Content-Type": "application/json; charset=UTF-8"}, content=body)
    assert error_of(response)["reason"] == reason


async def test_head_with_an_unsupported_http_version_gets_no_body(client: httpx.AsyncClient) -> None:
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
    async with stream:
        await stream.send_all(b"HEAD / HTTP/9.9\r\nHost: localhost\r\n\r\n")
        reply = b"".join([part async for part in stream])
    assert reply.startswith(b"HTTP/1.1 505 ")
    assert reply.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", [TASKS, "/nowhere", "/", "/static/queues.css"])
async def test_every_reply_has_one_date_header(client: httpx.AsyncClient, path: str) -> None:
    dates = (await client.get(path)).headers.get_list("Date")
    assert len(dates) == 1
    assert abs(parsedate_to_datetime(dates[0]).timestamp() - time.time()) < 60
