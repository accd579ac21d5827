"""The web pages: they show everything, lease nothing, and execute only forms of this service's own pages."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

import httpx
import pytest

from tests.emulator.server.running import TASKS, emulator, insert

QUEUE = "/queues/shop/print"
LEASE = {"numTasks": 1, "leaseSecs": 3600}
FILE = "queue: [{name: print, mode: pull, retry_parameters: {task_retry_limit: 1}}]"


async def act(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post(QUEUE, data=form)


async def show(client: httpx.AsyncClient, path: str = QUEUE) -> str:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", response.text)))


async def test_queues_are_shown_with_their_statistics(client: httpx.AsyncClient) -> None:
    assert "There are no queues yet" in await show(client, "/")
    await insert(client)
    await insert(client)
    assert re.search(r"print shop 2 \d+ s 0 0 0 running", await show(client, "/"))


async def test_tasks_are_shown_with_their_state_without_leasing_them(client: httpx.AsyncClient) -> None:
    await insert(client, id="held", tag="x")
    await client.post(f"{TASKS}/lease", params=LEASE)
    await insert(client, id="free")
    await insert(client, id="later", leaseTimestamp=str(4 * 10**15 // 2))
    text = await show(client)
    assert re.search(r"free due for \d+ s", text)
    assert re.search(r"held x leased for 59 min \d+ s more", text)
    assert '"a": 1' in text
    for _ in range(2):
        assert (await client.get(f"{TASKS}/free")).json()["retry_count"] == 0


async def test_payloads_are_shown_in_a_readable_form(client: httpx.AsyncClient) -> None:
    payloads = {
        "json": b'{"x":[1]}',
        "text": "grüße\n".encode(),
        "bytes": b"\xff\x00" * 400,
        "long": b"y" * 9000,
        "array": b"[0" + b",0" * 40_000 + b"]",
    }
    for name, payload in payloads.items():
        await insert(client, id=name, payloadBase64=base64.urlsafe_b64encode(payload).decode())
    text = await show(client)
    for shown in ('{ "x": [ 1 ] }', "grüße", "ff00 ff00", "800 bytes", "y" * 4000 + " …", "[0,0,0"):
        assert shown in text


async def test_the_content_of_a_task_is_escaped(client: httpx.AsyncClient) -> None:
    evil = "<script>alert(1)</script>'\"&"
    await insert(client, tag=evil, payloadBase64=base64.b64encode(evil.encode()).decode())
    response = await client.get(QUEUE)
    assert "<script" not in response.text
    assert response.text.count("&lt;script&gt;alert(1)") == 2
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'")
    assert "style=" not in response.text  # the policy would block it
    assert (await client.get("/static/queues.css")).headers["Content-Type"].startswith("text/css")


async def test_tasks_are_paginated(client: httpx.AsyncClient) -> None:
    for number in range(27):
        await insert(client, id=f"t{number:02}")
    first = await client.get(QUEUE)
    assert "t24" in first.text
    assert "t25" not in first.text
    following = re.search(r'href="(\?after=[^"]+)"', first.text)
    assert following
    second = await show(client, QUEUE + following[1])
    assert "t25" in second
    assert "t24" not in second
    assert "First page" in second


async def test_forms_can_release_delete_pause_resume_and_purge(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    await client.post(f"{TASKS}/lease", params=LEASE)
    done = await act(client, verb="release", task="one")
    assert (done.status_code, done.headers["Location"]) == (303, QUEUE)
    assert (await client.post(f"{TASKS}/lease", params=LEASE)).json()["items"][0]["retry_count"] == 1
    assert (await act(client, verb="pause", back="queues")).headers["Location"] == "/"
    assert "paused: nothing is leased" in await show(client)
    await insert(client, id="two")
    assert "items" not in (await client.post(f"{TASKS}/lease", params=LEASE)).json()
    await act(client, verb="resume")
    assert "items" in (await client.post(f"{TASKS}/lease", params=LEASE)).json()
    assert (await act(client, verb="delete", task="one")).status_code == 303
    assert (await act(client, verb="delete", task="one")).status_code == 404
    assert (await act(client, verb="purge")).status_code == 400
    assert (await client.get(f"{TASKS}/two")).status_code == 200
    assert (await act(client, verb="purge", sure="yes")).status_code == 303
    assert (await client.get(f"{TASKS}/two")).status_code == 404


async def test_dead_letters_can_be_viewed_revived_and_deleted(store: str, tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text(FILE)
    async with emulator(store, queue_file=str(tmp_path / "queue.yaml")) as client:
        await insert(client, id="poison")
        for _ in range(2):
            await client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 0})
        assert re.search(r"Dead letters These tasks were leased.* poison dead since \d+ s", await show(client))
        assert (await client.get(f"{TASKS}/poison")).status_code == 404
        await act(client, verb="revive", task="poison")
        assert (await client.get(f"{TASKS}/poison")).json()["retry_count"] == 0
        for _ in range(2):
            await client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 0})
        await act(client, verb="purge_dead", sure="yes")
        assert "poison" not in await show(client)
        assert (await client.get("/queues/shop/unknown")).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://x.example.org"}, 403),
        ({"Origin": "http://evil.example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://queue.example.org"}, 303),  # behind a proxy
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 303),
        ({}, 303),
    ],
)
async def test_forms_of_other_sites_are_refused(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    await insert(client)
    for path, form in ((QUEUE, {"verb": "purge", "sure": "yes"}), (f"{TASKS}/lease", {})):
        response = await client.post(path, data=form, params=LEASE, headers=headers)
        assert (response.status_code == 403) == (status == 403), path
        assert path != QUEUE or response.status_code == status


@pytest.mark.parametrize(
    ("method", "path", "form", "status", "message"),
    [
        ("POST", QUEUE, {"verb": "dance"}, 400, "verb is 'dance'; allowed: release, delete, revive"),
        ("POST", QUEUE, {"verb": "delete", "task": "<b>"}, 400, "task is '<b>'; allowed"),
        ("GET", "/queues/shop/a b", None, 400, "taskqueue is 'a b'; allowed"),
        ("GET", QUEUE + "?after=zzz", None, 400, "pageToken is 'zzz'"),
        ("GET", "/queues/x", None, 404, "404"),
        ("PUT", QUEUE, None, 405, "405"),
        ("POST", QUEUE, {"task": "x" * 17_000}, 413, "larger than 16384 bytes"),
        ("GET", "/static/%2e%2e/app.py", None, 404, "404"),
    ],
)
async def test_errors_are_shown_on_a_page(
    client: httpx.AsyncClient, method: str, path: str, form: dict[str, str] | None, status: int, message: str
) -> None:
    response = await client.request(method, path, data=form)
    assert response.status_code == status
    assert message in html.unescape(response.text)
    assert "Content-Security-Policy" in response.headers or status == 413  # refused before the pages are involved


async def test_an_unreachable_store_is_shown_with_retry_after() -> None:
    async with emulator("redis://127.0.0.1:1/0") as client:
        response = await client.get("/")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert "Redis is unreachable" in response.text


async def test_an_internal_error_is_shown_without_details(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("emulator.queues.queue_service.QueueService.all_stats", None)
    response = await client.get("/")
    assert response.status_code == 500
    assert "see the log" in response.text
    assert "NoneType" not in response.text
    assert "page failed" in caplog.text
