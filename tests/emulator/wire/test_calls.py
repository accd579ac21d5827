"""Behaviour common to all methods: partial replies, indentation, overrides, HTTP methods, sizes, failures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from emulator.app import create_app
from emulator.permissions.access import Access
from emulator.stores.opening import open_store
from emulator.wire.bodies import BODY_SECONDS, Message
from tests.emulator.server.running import CLOUD, PAYLOAD, TASKS, emulator, error_of, insert

LEASE = {"numTasks": 10, "leaseSecs": 60}
QUEUE = TASKS.removesuffix("/tasks")


async def lease(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    response = await client.post(f"{TASKS}/lease", params=LEASE | query)
    assert response.status_code == 200, response.text
    return dict(response.json())


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
async def test_fields_apply_to_the_items_of_lists(client: httpx.AsyncClient, fields: str) -> None:
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
async def test_an_invalid_selection_has_no_side_effects(client: httpx.AsyncClient, fields: str) -> None:
    await insert(client)
    response = await client.post(f"{TASKS}/lease", params=LEASE | {"fields": fields})
    assert (response.status_code, error_of(response)["location"]) == (400, "fields")
    assert len((await lease(client))["items"]) == 1


async def test_replies_are_indented_by_default(client: httpx.AsyncClient) -> None:
    assert (await client.get(TASKS)).text == '{\n "kind": "taskqueues#tasks"\n}'
    assert (await client.get(TASKS, params={"prettyPrint": "false"})).text == '{"kind":"taskqueues#tasks"}'
    assert "\n" not in (await client.get(f"{TASKS}/x", params={"prettyPrint": "false"})).text
    for name, value in (("prettyPrint", "maybe"), ("alt", "atom")):
        assert error_of(await client.get(TASKS, params={name: value}))["location"] == name
    ignored = {"alt": "json", "key": "k", "oauth_token": "t", "quotaUser": "u", "userIp": "1.2.3.4", "fields": ""}
    assert (await client.get(TASKS, params=ignored)).status_code == 200


async def test_a_post_can_override_its_method(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    (task,) = (await lease(client))["items"]
    body = {"queueName": "print", "leaseTimestamp": task["leaseTimestamp"]}
    headers = {"X-HTTP-Method-Override": "PATCH"}
    patched = await client.post(f"{TASKS}/one", params={"newLeaseSeconds": 0}, json=body, headers=headers)
    assert patched.status_code == 200
    # A GET whose query is too long for a URL is sent as a form, and must not become an insert.
    form = {"fields": ("items/id," * 200).rstrip(","), "prettyPrint": "false"}
    listed = await client.post(TASKS, data=form, headers={"X-HTTP-Method-Override": "GET"})
    assert listed.text == '{"items":[{"id":"one"}]}'
    wrong = await client.post(TASKS, content=b"{}", headers={"X-HTTP-Method-Override": "GET"})
    assert error_of(wrong)["location"] == "Content-Type"
    wrong = await client.post(TASKS, headers={"X-HTTP-Method-Override": "DANCE"})
    assert error_of(wrong)["location"] == "X-HTTP-Method-Override"
    assert (await client.post(f"{TASKS}/one", headers={"X-HTTP-Method-Override": "delete"})).status_code == 204


async def test_requests_that_are_too_long_are_refused_with_the_limit(client: httpx.AsyncClient) -> None:
    long = await client.get(f"{TASKS}?x={'y' * 16_500}")
    assert (long.status_code, error_of(long)["reason"]) == (414, "uriTooLong")
    headers = await client.get(TASKS, headers={f"x-{number}": "y" * 2000 for number in range(13)})
    assert (headers.status_code, error_of(headers)["reason"]) == (431, "headersTooLarge")
    many = await client.get(TASKS, params={f"p{number}": "" for number in range(101)})
    assert (many.status_code, "more than 100 parameters" in error_of(many)["message"]) == (400, True)
    assert "not valid UTF-8" in error_of(await client.get(f"{TASKS}?fields=%ff"))["message"]


async def test_a_body_needs_a_length(client: httpx.AsyncClient) -> None:
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
    async with stream:
        await stream.send_all(f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join([part async for part in stream])
    assert answer.startswith(b"HTTP/1.1 411 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["errors"][0]["reason"] == "required"
    chunked = await client.post(TASKS, content=_chunks(json.dumps({"payloadBase64": PAYLOAD}).encode()))
    assert chunked.status_code == 200


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
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
async def test_an_unsupported_method_is_answered_with_the_supported_ones(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert f"allowed: {allowed}" in error_of(response)["message"]


async def test_lease_is_a_verb_for_post_and_a_task_id_otherwise(client: httpx.AsyncClient) -> None:
    await insert(client, id="lease")
    assert (await client.get(f"{TASKS}/lease")).json()["id"] == "lease"
    assert (await client.delete(f"{TASKS}/lease")).status_code == 204


async def test_head_returns_no_body(client: httpx.AsyncClient) -> None:
    response = await client.head(TASKS)
    assert (response.status_code, response.content) == (200, b"")
    assert (await client.head("/nowhere")).status_code == 404


async def test_an_internal_error_has_the_error_format(
    store: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with emulator(store) as client:
        monkeypatch.setattr("emulator.queues.queue_service.QueueService.queue", None)
        response = await client.get(TASKS)
        assert (response.status_code, error_of(response)["reason"]) == (500, "backendError")
        assert "NoneType" not in response.text
    assert "request failed: GET /taskqueue" in caplog.text


async def replies_to(store: str, path: str, messages: list[Message]) -> list[Message]:
    """Return what the application sends for a request whose body has these messages, and then never ends."""
    sent: list[Message] = []

    async def receive() -> Message:
        if not messages:
            await trio.sleep_forever()
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    raw = path.encode()
    scope = {"type": "http", "method": "POST", "raw_path": raw, "path": path, "query_string": b"", "scheme": "http"}
    opened = open_store(store)
    await create_app(opened, Access())(scope | {"headers": [(b"host", b"x")]}, receive, send)
    opened.close()
    return sent


@pytest.mark.parametrize("path", [TASKS, f"{CLOUD}/tasks", "/", "/nowhere"])
async def test_a_body_that_arrives_too_slowly_is_refused(
    store: str, autojump_clock: trio.testing.MockClock, path: str
) -> None:
    part = {"type": "http.request", "body": b"{", "more_body": True}
    start, body = await replies_to(store, path, [part, part])
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert f"more than {BODY_SECONDS} s" in json.loads(body["body"])["error"]["message"]
    assert trio.current_time() >= BODY_SECONDS


async def test_a_client_that_disconnects_while_sending_gets_no_reply(store: str) -> None:
    part = {"type": "http.request", "body": b"{", "more_body": True}
    assert await replies_to(store, TASKS, [part, {"type": "http.disconnect"}]) == []


async def test_a_client_that_disconnects_while_waiting_leases_nothing(client: httpx.AsyncClient) -> None:
    query = "numTasks=1&leaseSecs=60"
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
    await stream.send_all(f"POST {TASKS}/lease?{query} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n".encode())
    with trio.move_on_after(0.1):
        await stream.receive_some()
    await stream.aclose()
    # The service notices this before it reads the next request, because one event loop handles both.
    await client.get("/health")
    await insert(client, id="one")
    assert [task["id"] for task in (await lease(client))["items"]] == ["one"]
