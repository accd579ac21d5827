"""The pages in a real browser without JavaScript: their forms work, those of other sites don't."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser import browser
from tests.emulator.server.running import PAYLOAD, TASKS
from tests.processes import Running, queue

LEASE = {"numTasks": 1, "leaseSecs": 600}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as process:
        for name in ("one", "two"):
            task = {"id": name, "payloadBase64": PAYLOAD}
            httpx.post(process.address + TASKS, json=task, trust_env=False).raise_for_status()
        httpx.post(f"{process.address}{TASKS}/lease", params=LEASE, trust_env=False).raise_for_status()
        yield process


@pytest.fixture
def page() -> Iterator[Page]:
    with browser() as running_browser:
        yield running_browser.new_page(java_script_enabled=False, viewport={"width": 390, "height": 800})


def test_forms_work_without_javascript_and_not_from_other_sites(running: Running, page: Page) -> None:
    console_messages: list[str] = []
    page.on("console", lambda message: console_messages.append(message.text))
    page.goto(running.address)
    page.click("text=Pause")
    assert "paused" in page.inner_text("tbody")
    page.click("text=Resume")
    assert "running" in page.inner_text("tbody")
    page.click("tbody a")
    assert "leased" in page.inner_text("tr:has-text('one')")
    page.click("text=Release")
    assert "due" in page.inner_text("tr:has-text('one')")
    page.click("tr:has-text('one') summary")
    assert '"a": 1' in page.inner_text("tr:has-text('one') pre")
    page.click("text=Delete all tasks")  # the browser requires the box to be ticked
    assert "one" in page.inner_text("tbody")
    assert console_messages == []

    form = f'<form method="post" action="{page.url}"><button name="verb" value="pause">Win a prize</button></form>'
    page.goto(f"data:text/html,{quote(form)}")
    page.click("button")
    assert '"reason": "forbidden"' in page.inner_text("body")

    page.goto(f"{running.address}/queues/shop/print")
    assert "paused" not in page.inner_text("main")
    page.check("input[type=checkbox]")
    page.click("text=Delete all tasks")
    assert "The queue is empty." in page.inner_text("main")
