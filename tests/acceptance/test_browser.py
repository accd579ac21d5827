"""The pages in a real browser, with a real queue and a real service."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pikepdf
import pytest
from playwright.sync_api import Browser, Page, expect

from render_trio.queue.producer import task_values
from tests.browser import ENGINES, violations, visit
from tests.browser import browser as run_browser
from tests.processes import Running, queue, start_service

TOKEN = "a-token-for-tests"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("browser")
    with queue(f"sqlite:///{folder / 'queue.sqlite3'}") as running_queue:
        running = start_service(running_queue.address, folder / "log", RENDER_WORKERS=2, ADMIN_TOKEN=TOKEN)
        yield running
        assert running.end(signal.SIGTERM) == 0, (folder / "log").read_text()


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with run_browser(request.param) as running:
        yield running


only_in_chromium = pytest.mark.parametrize("browser", ["chromium"], indirect=True)  # the one that can turn scripts off


def submit(service: Running, **options: Any) -> str:
    """Submit a task and return the address of its page."""
    task = {"kind": "task#render", **task_values("parity_cards", options)[1]}
    response = httpx.post(f"{service.address}/tasks", json=task, trust_env=False)
    assert response.status_code == 202
    return service.address + response.headers["Location"]


def count(page: Page, name: str) -> int:
    return int(page.locator(f"#{name}").inner_text())


def test_the_status_is_updated_while_tasks_run(service: Running, browser: Browser) -> None:
    with visit(browser, f"{service.address}/status") as page:
        expect(page.locator("[data-connection]")).to_have_text("Live.")
        page.evaluate("window.notReloaded = true")
        before = count(page, "last-hour")
        for number in range(3):
            submit(service, seed=number)
        expect(page.locator("#last-hour")).to_have_text(str(before + 3))
        expect(page.get_by_role("img", name=f"Last hour: {before + 3} tasks completed")).to_be_visible()
        assert page.evaluate("window.notReloaded")


@only_in_chromium
def test_the_status_works_without_scripts(service: Running, browser: Browser) -> None:
    with visit(browser, f"{service.address}/status", script=False) as page:
        assert "worker-2" in page.inner_text("main")
        assert page.locator('meta[http-equiv="refresh"]').count() == 1


def test_the_operator_can_restart_a_worker(service: Running, browser: Browser) -> None:
    with visit(browser, f"{service.address}/status") as page:
        page.get_by_label("Worker", exact=True).select_option("worker-2")
        page.get_by_label("Operator token").fill(TOKEN)
        page.get_by_role("button", name="Restart").click()
        expect(page.get_by_role("status")).to_have_text("Restarting worker-2.")
        expect(page.get_by_role("row", name="worker-2")).to_contain_text("restarted by the operator")


def test_a_document_is_created_in_the_background_and_downloaded(
    service: Running, browser: Browser, tmp_path: Path
) -> None:
    with visit(browser, f"{service.address}/resources/parity-cards") as page:
        page.get_by_label("Header").fill("Room Four")
        page.get_by_role("button", name="Create in the background").click()
        expect(page).to_have_url(re.compile("/tasks/web-[0-9a-f]{32}$"))
        expect(page.locator("#state")).to_have_text("Your document is ready.")
        with page.expect_download() as downloading:
            page.get_by_role("link", name="Download").click()
        assert downloading.value.suggested_filename == "Parity Cards (black back - a4).pdf"
        downloading.value.save_as(tmp_path / "document.pdf")
        assert violations(page) == []
    with pikepdf.open(tmp_path / "document.pdf") as pdf:
        assert len(pdf.pages) == 2
