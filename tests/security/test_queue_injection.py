"""Forms of other sites, and names that try to leave their place: in paths, headers, replies, pages and log lines."""

from __future__ import annotations

import logging
import re

import httpx
import pytest
import trio

from tests.emulator.server.running import CLOUD, PAYLOAD, PROJECT, TASKS, emulator, insert

EVIL = {"Origin": "http://evil.example"}


@pytest.mark.parametrize(
    "headers",
    [
        EVIL,
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        EVIL | {"X-HTTP-Method-Override": "GET"},
    ],
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
async def test_a_form_of_another_site_changes_nothing(
    client: httpx.AsyncClient, headers: dict[str, str], kind: str
) -> None:
    """A browser sends these content types without asking the server first."""
    await insert(client, id="one")
    for path, body in (
        ("/queues/shop/print", "verb=purge&sure=yes"),
        (f"{TASKS}/lease?numTasks=1&leaseSecs=60", ""),
        (TASKS, f'{{"payloadBase64": "{PAYLOAD}", "x": "=y"}}'),
        (f"{TASKS}/one?newLeaseSeconds=60", '{"queueName": "print"}'),
        (f"{CLOUD}:purge", ""),
        ("/batch", f"--x\r\nContent-Type: application/http\r\n\r\nDELETE {TASKS}/one HTTP/1.1\r\n\r\n\r\n--x--"),
    ):
        refused = await client.post(path, content=body, headers=headers | {"Content-Type": kind})
        assert refused.status_code == 403, path
    (task,) = (await client.get(TASKS)).json()["items"]
    assert (task["id"], task["retry_count"]) == ("one", 0)


@pytest.mark.parametrize(
    "name",
    [
        "../other/tasks/one",
        "..%2Fother%2Ftasks%2Fone",
        "%2e%2e/%2e%2e/other",
        "one%00",
        "one%0d%0aX-Injected:%20yes",
        "one%0a",
        "one%2Flease",
        "one:purge",
        "%E2%80%AEone",
        "<script>",
        "one;x",
    ],
)
async def test_a_name_cannot_leave_its_place_in_a_path(client: httpx.AsyncClient, name: str) -> None:
    await insert(client, id="one")
    await insert(client, f"{PROJECT}/other/tasks", id="one")
    for method in ("GET", "DELETE", "PATCH", "POST"):
        url = httpx.URL(str(client.base_url), raw_path=f"{TASKS}/{name}".encode())
        reply = await client.request(method, url, json={"queueName": "print"})
        assert reply.status_code in (400, 404, 405)
        assert "x-injected" not in reply.headers
        assert reply.headers["Content-Type"].startswith("application/json")
    for queue in (TASKS, f"{PROJECT}/other/tasks"):
        assert [task["id"] for task in (await client.get(queue)).json()["items"]] == ["one"]


@pytest.mark.parametrize("path", ["/static/../queues.py", "/static/..%2f..%2fcommand.py", "/static/%2e%2e/queues.py"])
async def test_static_files_are_only_those_of_their_folder(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(httpx.URL(str(client.base_url), raw_path=path.encode()))
    assert reply.status_code in (400, 404)
    assert "import" not in reply.text
    assert "root:" not in reply.text


async def test_what_clients_send_is_text_on_the_pages(client: httpx.AsyncClient) -> None:
    script = "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="  # <script>alert(1)</script>
    await insert(client, id="one", payloadBase64=script, tag="<script>alert(2)</script>")
    for path in (
        "/queues/shop/print",
        "/queues/%3Cscript%3E/x",
        "/try?project=%22%3E%3Cscript%3E",
        "/try/%3Cscript%3E",
    ):
        page = await client.get(path)
        assert not re.search(r"<script>|<script(?! src=)", page.text)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_a_reply_contains_no_header_of_the_client(client: httpx.AsyncClient) -> None:
    part = (
        "--x\r\nContent-Type: application/http\r\nContent-ID: <a\rX-Injected: yes>\r\n\r\nGET /health HTTP/1.1\r\n\r\n"
    )
    headers = {"Content-Type": "multipart/mixed; boundary=x"}
    reply = await client.post("/batch", content=f"{part}\r\n--x--", headers=headers)
    assert not re.search(r"^X-Injected", reply.text, re.MULTILINE)
    for raw in (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\rX-Injected: yes\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ):
        stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
        async with stream:
            await stream.send_all(raw)
            reply_bytes = await stream.receive_some()
        assert b"\nX-Injected" not in reply_bytes
        assert reply_bytes.startswith(b"HTTP/1.1 400") or b"Transfer-Encoding" in raw


@pytest.mark.parametrize("given", ["https", "javascript"])
async def test_nobody_else_decides_the_addresses_of_the_discovery_document(
    client: httpx.AsyncClient, given: str
) -> None:
    headers = {"X-Forwarded-Proto": given, "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    document = (await client.get("/api/taskqueue/v1beta2", headers=headers)).json()
    assert document["rootUrl"] == f"{client.base_url}".rstrip("/") + "/"


async def test_a_log_line_cannot_be_forged(store: str, caplog: pytest.LogCaptureFixture) -> None:
    async with emulator(store) as client:
        with caplog.at_level(logging.DEBUG, "emulator"):
            await client.get(httpx.URL(str(client.base_url), raw_path=b"/x%0aWARNING%20forged"))
            await client.get(TASKS, headers={"Host": "evil.example"})
    assert not any("\n" in record.getMessage() for record in caplog.records)
