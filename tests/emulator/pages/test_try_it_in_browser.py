"""A developer tries methods of both APIs in a real browser, and runs the copied commands in a real shell."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.browser import browser, overflow, violations, visit
from tests.processes import Running, queue

TASKS = "/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks"
CLOUD = "cloudtasks.projects.locations.queues"
TRICKY = 'it\'s "$HOME" `id` !! \\ % {a,b}[1-9] ü 漢\nsecond line'


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as process:
        yield process


def send(page: Page, status: int) -> Any:
    """Send the request and return the JSON of the reply, None if it is empty."""
    page.click("text=Send")
    page.locator("#status", has_text=re.compile(r"^([1-5]\d\d|No reply)")).wait_for()
    assert page.inner_text("#status").startswith(f"{status} "), page.inner_text("main")
    shown = page.locator("#reply").text_content() or ""
    return json.loads(shown) if shown else None


def go(page: Page, running: Running, method: str) -> None:
    page.goto(f"{running.address}/try/{method}?project=shop&queue=print")


def run(command: str) -> Any:
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_a_task_goes_through_the_task_queue_api(chromium: Browser, running: Running) -> None:
    with visit(chromium, f"{running.address}/try") as page:
        page.click("text=insert")
        page.fill("#path-project", "shop")
        page.fill("#path-taskqueue", "print")
        page.fill("#text-payloadBase64", TRICKY)
        inserted = send(page, 200)
        assert base64.b64decode(inserted["payloadBase64"]).decode() == TRICKY
        assert page.inner_text("#payloads pre") == TRICKY

        go(page, running, "taskqueue.tasks.lease")
        page.fill("#query-numTasks", "1")
        page.fill("#query-leaseSecs", "60")
        (leased,) = send(page, 200)["items"]
        assert leased["id"] == inserted["id"]

        go(page, running, "taskqueue.tasks.patch")
        assert page.input_value("#path-task") == leased["id"], "the task of the last reply is filled in, and its lease"
        page.fill("#query-newLeaseSeconds", "0")
        assert send(page, 200)["retry_count"] == 1

        go(page, running, "taskqueue.tasks.list")
        assert [task["id"] for task in send(page, 200)["items"]] == [leased["id"]]

        go(page, running, "taskqueue.tasks.delete")
        page.click("text=Send")  # the browser requires the box to be ticked
        assert page.inner_text("#status") == "Nothing sent yet."
        page.check("text=Confirm")
        assert send(page, 204) is None
        assert not page.is_checked("text=Confirm"), "each deletion is confirmed"
    assert httpx.get(running.address + TASKS, trust_env=False).json() == {"kind": "taskqueues#tasks"}


def test_a_task_goes_through_the_cloud_tasks_api(chromium: Browser, running: Running) -> None:
    with visit(chromium, running.address) as page:
        go(page, running, f"{CLOUD}.tasks.create")
        page.fill("#text-task\\.pullMessage\\.payload", TRICKY)
        created = send(page, 200)
        go(page, running, f"{CLOUD}.tasks.lease")
        page.fill("#body", '{"maxTasks": 1, "leaseDuration": "60s", "responseView": "FULL"}')
        (leased,) = send(page, 200)["tasks"]
        assert leased["name"] == created["name"]
        assert page.inner_text("#payloads pre") == TRICKY
        go(page, running, f"{CLOUD}.tasks.acknowledge")
        assert json.loads(page.input_value("#body"))["scheduleTime"] == leased["scheduleTime"]
        assert send(page, 200) == {}
        go(page, running, f"{CLOUD}.purge")
        page.check("text=Confirm")
        assert send(page, 200)["state"] == "RUNNING"


@pytest.mark.parametrize("method", ["taskqueue.tasks.insert", f"{CLOUD}.tasks.create"])
def test_the_copied_command_sends_the_same_request(chromium: Browser, running: Running, method: str) -> None:
    with visit(chromium, running.address) as page:
        go(page, running, method)
        body = page.input_value("#body")
        field = page.locator("[data-bytes]")
        field.fill(TRICKY)
        page.fill("#body", page.input_value("#body").replace('"tag": ""', '"tag": "it\'s $5 \\"ü\\" !"'))
        assert page.input_value("#body") != body
        found = run(page.locator("#curl").text_content() or "")
    message = found.get("pullMessage") or {"tag": found["tag"]}
    assert message["tag"] == 'it\'s $5 "ü" !'
    (task,) = httpx.get(running.address + TASKS, trust_env=False).json()["items"]
    stored = httpx.get(f"{running.address}{TASKS}/{task['id']}", trust_env=False).json()
    assert base64.b64decode(stored["payloadBase64"]).decode() == TRICKY


def test_a_command_with_odd_parameters_works(chromium: Browser, running: Running) -> None:
    with visit(chromium, running.address, ignored=("404",)) as page:
        go(page, running, "taskqueue.tasks.lease")
        page.fill("#query-numTasks", "1")
        page.fill("#query-leaseSecs", "1")
        page.select_option("#query-groupByTag", "true")
        page.fill("#query-tag", "a'b\"c$d&e=f#g[1]{x}(y)*!")
        page.click("summary:has-text('Headers')")
        page.fill("#wait", "1")
        page.fill("#token", "secret-of-mine")
        command = page.locator("#curl").text_content() or ""
        assert "secret-of-mine" not in page.inner_text("main")
        assert '"Authorization: Bearer $TOKEN"' in command
        assert run(f"TOKEN=x; {command}") == {"kind": "taskqueue#tasks"}
        assert send(page, 200) == {"kind": "taskqueue#tasks"}
        assert "preference-applied: wait=1" in page.inner_text("#reply-headers")


def test_a_waiting_lease_can_be_stopped_and_leases_nothing(chromium: Browser, running: Running) -> None:
    with visit(chromium, running.address) as page:
        go(page, running, "taskqueue.tasks.lease")
        page.fill("#query-numTasks", "1")
        page.fill("#query-leaseSecs", "60")
        page.click("summary:has-text('Headers')")
        page.fill("#wait", "60")
        page.click("text=Send")
        page.click("text=Stop waiting")
        page.locator("#status", has_text="Stopped").wait_for()


def test_replies_are_shown_as_text(chromium: Browser, running: Running) -> None:
    payload = base64.b64encode(b"<img src=x onerror=document.title='broken'>").decode()
    httpx.post(running.address + TASKS, json={"id": "one", "payloadBase64": payload}, trust_env=False)
    with visit(chromium, running.address) as page:
        go(page, running, "taskqueue.tasks.get")
        page.fill("#path-task", "one")
        send(page, 200)
        assert page.inner_text("#payloads pre").startswith("<img src=x")
        assert page.locator("main img").count() == 0


def test_a_wrong_body_is_pointed_out(chromium: Browser, running: Running) -> None:
    with visit(chromium, running.address, ignored=("400",)) as page:
        go(page, running, "taskqueue.tasks.insert")
        page.fill("#body", '{"id": ')
        assert "not JSON" in page.inner_text("#body-problem")
        assert send(page, 400)["error"]["message"].startswith("the body is not valid JSON")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_pages_are_accessible_and_fit(chromium: Browser, running: Running, width: int, scheme: str) -> None:
    for path in ("/try", "/try/taskqueue.tasks.lease", f"/try/{CLOUD}.purge"):
        with visit(chromium, running.address + path, width=width, scheme=scheme) as page:
            assert violations(page) == []
            assert overflow(page) <= 0


def test_without_javascript_the_methods_are_documented(chromium: Browser, running: Running) -> None:
    with visit(chromium, f"{running.address}/try/taskqueue.tasks.insert", script=False) as page:
        assert "payloadBase64" in page.inner_text("main")
        assert "curl -X POST" in page.inner_text("#curl")
        assert not page.is_visible("text=Send")
