"""The files in PROTOCOL.md as they are: the service has a user's token, the site a writer's, and both do their work."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.processes import Running, start_queue, start_service

FILES = re.findall(
    r"^```yaml\n(.*?)^```$", (ROOT / "emulator" / "PROTOCOL.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
RENDER, SITE, ADMIN = "0123456789abcdef", "3b1f0c9e7a5d4c21", "f00dfeedf00dfeed"
TASKS = "/taskqueue/v1beta2/projects/school/taskqueues/print/tasks"
TASK = {
    "kind": "task#render",
    "resource_slug": "binary-cards",
    "resource_name": "Binary Cards",
    "resource_view": "binary_cards",
    "url": "https://example.org/resources/binary-cards",
    "paper_size": "a4",
    "display_numbers": True,
    "black_back": False,
}
PATIENCE = 60.0


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "queue.yaml").write_text(FILES[0])
    (tmp_path / "tokens.yaml").write_text(FILES[1])
    files = ("--queues", str(tmp_path / "queue.yaml"), "--token-file", str(tmp_path / "tokens.yaml"))
    running = start_queue(f"sqlite:///{tmp_path / 'q'}", *files)
    yield running
    running.end()


def request(queue: Running, token: str, method: str, path: str, **arguments: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, f"{queue.address}{path}", headers=headers, trust_env=False, **arguments)


def test_a_worker_with_a_user_s_token_completes_the_task_of_a_writer(queue: Running, tmp_path: Path) -> None:
    payload = base64.b64encode(json.dumps(TASK).encode()).decode()
    inserted = request(queue, SITE, "POST", TASKS, json={"id": "one", "payloadBase64": payload, "tag": "task"})
    assert inserted.status_code == 200
    lease: dict[str, str | int] = {"numTasks": 1, "leaseSecs": 60, "groupByTag": "true", "tag": "result"}
    for refused in (
        request(queue, SITE, "POST", f"{TASKS}/lease", params=lease),
        request(queue, SITE, "GET", f"{TASKS}/one"),
        request(queue, SITE, "DELETE", f"{TASKS}/one"),
    ):
        assert refused.status_code == 403
        assert "user_email" in refused.json()["error"]["message"]
    address = queue.address.replace("http://", f"http://render:{RENDER}@")
    service = start_service(address, tmp_path / "log", PROJECT_NAME="school", QUEUE_NAME="print", RENDER_WORKERS=1)
    try:
        deadline = time.monotonic() + PATIENCE
        items: list[dict[str, Any]] = []
        while not items:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            reply = httpx.post(
                f"{queue.address}{TASKS}/lease",
                params=lease,
                headers={"Authorization": f"Bearer {RENDER}", "Prefer": "wait=5"},
                timeout=PATIENCE,
                trust_env=False,
            )
            items = reply.json().get("items", [])
    finally:
        service.end()
    result = json.loads(base64.b64decode(items[0]["payloadBase64"]))
    assert (result["success"], result["task_id"]) == (True, "one")
    assert request(queue, RENDER, "GET", f"{TASKS}/one").status_code == 404  # deleted by the worker


def test_a_renderer_may_neither_manage_queues_nor_read_metrics(queue: Running) -> None:
    for method, path in (("POST", "/admin/reset"), ("GET", "/"), ("GET", "/metrics")):
        assert request(queue, RENDER, method, path).status_code == 403
        assert request(queue, ADMIN, method, path).status_code == 200
