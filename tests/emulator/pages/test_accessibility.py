"""axe-core finds no violation, of any impact, on the queue's pages, and they fit the window in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.browser import browser as run_browser
from tests.browser import overflow, violations, visit
from tests.emulator.server.running import PAYLOAD, TASKS
from tests.processes import queue

QUEUES = """
queue:
- name: print
  mode: pull
  retry_parameters:
    task_retry_limit: 1
"""
PATHS = {
    "queues": "/",
    "queue": "/queues/shop/print",
    "next page": "/queues/shop/print?after=zzz",
    "not found": "/queues/shop/none",
    "methods": "/try",
    "method": "/try/taskqueue.tasks.insert",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a queue that has a task in each state, a dead letter among them, and a paused queue."""
    folder = tmp_path_factory.mktemp("queue")
    (folder / "queue.yaml").write_text(QUEUES)
    running_queue = queue(f"sqlite:///{folder / 'queue.sqlite3'}", 1, "--queues", str(folder / "queue.yaml"))
    with running_queue as running, httpx.Client(base_url=running.address, trust_env=False) as client:
        client.post(TASKS, json={"id": "dead", "payloadBase64": PAYLOAD}).raise_for_status()
        for seconds in (0, 0, 600):  # the second lease makes it a dead letter, the third one finds the next task
            client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": seconds}).raise_for_status()
            client.post(TASKS, json={"payloadBase64": PAYLOAD, "tag": "a-tag"}).raise_for_status()
        assert client.post("/queues/shop/print", data={"verb": "pause"}).status_code == 303
        page = client.get("/queues/shop/print").text
        assert all(text in page for text in ("Dead letters", ">leased<", ">due<", "Resume", "a-tag"))
        yield running.address


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (640, 400), (1280, 800)])
def test_pages(browser: Browser, address: str, width: int, height: int, scheme: str) -> None:
    for path in PATHS.values():
        with visit(browser, address + path, scheme=scheme, width=width, height=height, ignored=("status of",)) as page:
            assert violations(page) == [], path
            assert overflow(page) <= 0, path
            page.evaluate("document.documentElement.dir = 'rtl'")
            assert overflow(page) <= 0, path


def test_an_empty_list_of_queues(browser: Browser, tmp_path: Path) -> None:
    with (
        queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running,
        visit(browser, running.address, width=360, height=740) as page,
    ):
        assert violations(page) == []
