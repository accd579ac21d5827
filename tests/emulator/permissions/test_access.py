"""queue.yaml and the token file: which queues exist, and what each token permits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from emulator.permissions.queue_file import QueueFileError, QueueRule, read_queue_file
from emulator.permissions.tokens import TokenFileError, read_token_file
from tests.emulator.server.running import CLOUD, PROJECT, TASKS, emulator, error_of, insert
from tests.processes import queue

FILE = """
total_storage_limit: 120M
queue:
- name: print
  mode: pull
  retry_parameters: {task_retry_limit: 2}
  acl:
  - user_email: Render@example.org
  - writer_email: site@example.org
- {name: closed, mode: pull}
- {name: mails, rate: 1/s}
"""
TOKENS = """
site@example.org: site-token-0123456789
render@example.org: [render-token-new-01, render-token-old-01]
admin: admin-token-0123456789
metrics: metrics-token-0123456789
"""
SITE, RENDER, OLD = "site-token-0123456789", "render-token-new-01", "render-token-old-01"
ADMIN, METRICS = "admin-token-0123456789", "metrics-token-0123456789"
LEASE = {"numTasks": 1, "leaseSecs": 0}
CLOSED = f"{PROJECT}/closed/tasks"


@pytest.fixture
def files(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "queue.yaml").write_text(FILE)
    (tmp_path / "tokens.yaml").write_text(TOKENS)
    return {"queue_file": str(tmp_path / "queue.yaml"), "token_file": str(tmp_path / "tokens.yaml")}


async def status_for(client: httpx.AsyncClient, token: str, method: str, path: str, body: object = None) -> int:
    """Return the status of a request with this token."""
    response = await client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
    return response.status_code


async def test_with_a_queue_file_only_its_queues_exist(store: str, files: Mapping[str, str]) -> None:
    async with emulator(store, queue_file=files["queue_file"]) as client:
        assert (await insert(client)).status_code == 200
        assert (await client.get(TASKS.removesuffix("/tasks"))).json()["maxLeases"] == 2
        unknown = await insert(client, f"{PROJECT}/nowhere/tasks")
        assert (unknown.status_code, error_of(unknown)["reason"]) == (404, "notFound")
        assert "closed, print" in error_of(unknown)["message"]
        assert "push queue" in error_of(await insert(client, f"{PROJECT}/mails/tasks"))["message"]
        listed = (await client.get(CLOUD.removesuffix("/print"))).json()["queues"]
        assert [found["name"].rpartition("/")[2] for found in listed] == ["closed", "print"]
        assert listed[1]["retryConfig"] == {"maxAttempts": 2}
        created = await client.post(CLOUD.removesuffix("/print"), json={"name": CLOUD[9:].replace("print", "new")})
        assert created.status_code == 404


async def test_a_task_is_leased_as_often_as_the_queue_file_allows(store: str, files: Mapping[str, str]) -> None:
    async with emulator(store, queue_file=files["queue_file"]) as client:
        await insert(client, id="one")
        counts = []
        for _ in range(4):
            leased = (await client.post(f"{TASKS}/lease", params=LEASE)).json()
            counts += [item["retry_count"] for item in leased.get("items", [])]
        assert counts == [0, 1]
        assert (await client.get(f"{TASKS}/one")).status_code == 404
        assert (await insert(client, id="one")).status_code == 409


async def test_writers_only_insert_and_users_do_the_rest_too(store: str, files: Mapping[str, str]) -> None:
    async with emulator(store, **files) as client:
        task = {"id": "one", "payloadBase64": "eA=="}
        cloud_task = {"task": {"pullMessage": {"payload": "eA=="}}}
        cloud_lease = {"maxTasks": 1, "leaseDuration": "0s"}
        renew = {"queueName": "print"}
        for method, path, body, writer, user in (
            ("POST", TASKS, task, 200, 409),
            ("POST", f"{CLOUD}/tasks", cloud_task, 200, 200),
            ("GET", TASKS, None, 403, 200),
            ("GET", f"{TASKS}/one", None, 403, 200),
            ("GET", f"{CLOUD}/tasks", None, 403, 200),
            ("GET", TASKS.removesuffix("/tasks"), None, 403, 200),
            ("POST", f"{TASKS}/lease?numTasks=1&leaseSecs=60", None, 403, 200),
            ("POST", f"{CLOUD}/tasks:lease", cloud_lease, 403, 200),
            ("PATCH", f"{TASKS}/one?newLeaseSeconds=60", renew, 403, 200),
            ("DELETE", f"{TASKS}/one", None, 403, 204),
            ("POST", f"{CLOUD}:purge", {}, 403, 403),
            ("POST", f"{CLOUD}:pause", {}, 403, 403),
            ("POST", "/admin/reset", None, 403, 403),
            ("GET", "/", None, 403, 403),
            ("GET", "/metrics", None, 403, 403),
            ("POST", CLOSED, {"payloadBase64": "eA=="}, 403, 403),
            ("GET", CLOSED, None, 403, 403),
        ):
            assert await status_for(client, SITE, method, path, body) == writer, (method, path)
            assert await status_for(client, RENDER, method, path, body) == user, (method, path)
        assert await status_for(client, OLD, "GET", TASKS) == 200
        for method, path in (("GET", CLOSED), ("GET", "/"), ("POST", f"{CLOUD}:pause"), ("POST", "/admin/reset")):
            assert await status_for(client, ADMIN, method, path) == 200, path
        assert await status_for(client, METRICS, "GET", "/metrics") == 200
        assert await status_for(client, METRICS, "GET", TASKS) == 403
        listed = await client.get(CLOUD.removesuffix("/print"), headers={"Authorization": f"Bearer {RENDER}"})
        assert [found["name"] for found in listed.json()["queues"]] == [CLOUD.removeprefix("/v2beta2/")]


async def test_a_request_without_a_valid_token_is_refused_with_instructions(
    store: str, files: Mapping[str, str]
) -> None:
    async with emulator(store, **files) as client:
        for header in ("", "Bearer", "Bearer wrong", "Basic ?", "Digest x"):
            refused = await client.get(TASKS, headers={"Authorization": header} if header else {})
            assert (refused.status_code, error_of(refused)["location"]) == (401, "Authorization")
            assert refused.headers["WWW-Authenticate"] == 'Bearer realm="queues"'
            assert "Authorization: Bearer TOKEN" in error_of(refused)["message"]
        cloud = (await client.get(f"{CLOUD}/tasks")).json()["error"]
        assert (cloud["code"], cloud["status"]) == (401, "UNAUTHENTICATED")
        page = await client.get("/")
        assert (page.status_code, page.headers["WWW-Authenticate"][:5]) == (401, "Basic")
        assert (await client.get("/", auth=("anybody", ADMIN))).status_code == 200
        for path in ("/health", "/discovery/v1/apis", "/api/taskqueue/v1beta2"):
            assert (await client.get(path)).status_code == 200


async def test_a_batch_needs_a_token_which_applies_to_every_call(store: str, files: Mapping[str, str]) -> None:
    async with emulator(store, **files) as client:
        body = f"--x\r\nContent-Type: application/http\r\n\r\nGET {TASKS} HTTP/1.1\r\n\r\n--x--\r\n"
        headers = {"Content-Type": "multipart/mixed; boundary=x"}
        assert (await client.post("/batch", content=body, headers=headers)).status_code == 401
        headers["Authorization"] = f"Bearer {RENDER}"
        assert "HTTP/1.1 200" in (await client.post("/batch", content=body, headers=headers)).text


async def test_without_a_queue_file_every_token_permits_every_queue(store: str, files: Mapping[str, str]) -> None:
    async with emulator(store, token_file=files["token_file"]) as client:
        assert await status_for(client, SITE, "GET", TASKS) == 200
        assert await status_for(client, RENDER, "POST", TASKS, {"payloadBase64": "eA=="}) == 200
        assert await status_for(client, METRICS, "GET", TASKS) == 403
        assert await status_for(client, "nobody-0123456789", "GET", TASKS) == 401


async def test_the_verbs_for_tests_need_an_option_or_the_admin_token(store: str) -> None:
    async with emulator(store) as client:
        await insert(client, id="one")
        for verb in ("reset", "clock"):
            refused = await client.post(f"/admin/{verb}", json={"advance": 1})
            assert (refused.status_code, "--test-verbs" in error_of(refused)["message"]) == (403, True)
    async with emulator(store, test_verbs=True) as client:
        await client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 3600})
        before = int((await client.post("/admin/clock", json={"advance": 0})).json()["nowTimestamp"])
        after = int((await client.post("/admin/clock", json={"advance": 3600.5})).json()["nowTimestamp"])
        assert 3_600_500_000 <= after - before < 3_660_000_000
        leased = (await client.post(f"{TASKS}/lease", params=LEASE)).json()["items"]
        assert leased[0]["retry_count"] == 1
        for wrong in (None, -1, "1", True, 1e12):
            refused = await client.post("/admin/clock", json={"advance": wrong})
            assert (refused.status_code, error_of(refused)["location"]) == (400, "advance")
        assert (await client.post("/admin/reset")).json() == {}
        assert (await insert(client, id="one")).status_code == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid YAML"),
        ("queue: []\nqueue: []", "duplicate key 'queue' in the mapping at line 1"),
        ("- x", "the file is ['x']; allowed: a mapping with queue"),
        ("queues: []", "a field of the file is 'queues'; allowed: queue, total_storage_limit"),
        ("queue: []", "queue is []; allowed: a list of queues"),
        ("total_storage_limit: much\nqueue: [{name: a, mode: pull}]", "total_storage_limit is 'much'; allowed"),
        ("queue: [x]", "queue[0] is 'x'; allowed"),
        ("queue: [{mode: pull}]", "queue[0].name is None; allowed: 1 to 100 letters"),
        ("queue: [{name: a_b, mode: pull}]", "queue[0].name is 'a_b'; allowed"),
        ("queue: [{name: a, mode: pull}, {name: a}]", "queue[1].name is 'a'; allowed: a name that no other"),
        ("queue: [{name: a, mode: both}]", "queue[0].mode is 'both'; allowed: pull, push"),
        ("queue: [{name: a, mode: pull, rate: 1/s}]", "a field of queue[0] is 'rate'; allowed: name, mode, acl"),
        (
            "queue: [{name: a, mode: pull, retry_parameters: {task_age_limit: 1d}}]",
            "is 'task_age_limit'; allowed: task",
        ),
        ("queue: [{name: a, mode: pull, retry_parameters: {task_retry_limit: 0}}]", "task_retry_limit is 0; allowed"),
        ("queue: [{name: a, mode: pull, retry_parameters: {task_retry_limit: yes}}]", "task_retry_limit is True"),
        ("queue: [{name: a, mode: pull, acl: x}]", "queue[0].acl is 'x'; allowed: a list"),
        ("queue: [{name: a, mode: pull, acl: [{owner: x}]}]", "a field of queue[0].acl[0] is 'owner'; allowed: user"),
        ("queue: [{name: a, mode: pull, acl: [{user_email: x}]}]", "acl[0].user_email is 'x'; allowed: an e-mail"),
    ],
)
def test_errors_in_a_queue_file_are_reported_precisely(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text(content)
    with pytest.raises(QueueFileError) as caught:
        read_queue_file(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_queue_file_may_use_yaml_merge_keys(tmp_path: Path) -> None:
    common = "&common {mode: pull, retry_parameters: {task_retry_limit: 3}, name: a}"
    (tmp_path / "queue.yaml").write_text(f"queue:\n- {common}\n- {{<<: *common, name: b}}\n")
    assert read_queue_file(tmp_path / "queue.yaml").rules == {"a": QueueRule("a", 3), "b": QueueRule("b", 3)}


def test_a_valid_queue_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text(FILE)
    found = read_queue_file(tmp_path / "queue.yaml")
    emails = frozenset({"render@example.org"}), frozenset({"site@example.org"})
    assert found.rules == {"print": QueueRule("print", 2, *emails), "closed": QueueRule("closed")}
    assert found.push == {"mails"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a@b: [", "is not valid YAML"),
        ("a@b: secret-0123456789\na@b: secret-9876543210", "without duplicates"),
        ("secret-0123456789", "is not a mapping"),
        ("someone: secret-0123456789", "a key is 'someone'; allowed: an e-mail address, admin, metrics"),
        ("a@b: secret", "the token of a@b is invalid"),
        ("a@b: 12345678901234567890", "in quotes if it consists of digits"),
        ("a@b: []", "the token of a@b is invalid"),
        ("a@b: secret-0123456789\nc@d: secret-0123456789", "c@d has the same token as a@b; give each its own"),
    ],
)
def test_errors_in_a_token_file_are_reported_without_tokens(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(content)
    with pytest.raises(TokenFileError) as caught:
        read_token_file(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("module", ["emulator", "render_trio"])
def test_an_invalid_file_prevents_startup_with_one_line(tmp_path: Path, module: str) -> None:
    (tmp_path / "queue.yaml").write_text("queue: []")
    command = [sys.executable, "-m", module, *(["emulator"] if module == "render_trio" else [])]
    command += ["--port", "0", "--store", f"sqlite:///{tmp_path / 'q'}", "--queues", str(tmp_path / "queue.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=os.environ)
    assert ended.returncode == 1
    assert f"Error: {tmp_path / 'queue.yaml'}: queue is []; allowed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_service_reports_at_startup_who_has_access(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with queue(f"sqlite:///{tmp_path / 'q.sqlite3'}") as running:
        assert running.address.startswith("http://127.0.0.1:")
    assert (
        "no --token-file: queues are open to every program on this machine (127.0.0.1 only)" in capfd.readouterr().err
    )
