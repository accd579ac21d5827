"""axe-core finds no violation, of any impact, on any page in any of its states, and each page fits the window."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from render_trio.errors import FatalError, RenderFailedError, RenderTrioError
from render_trio.queue.identity import web_result_id
from render_trio.queue.messages import DocumentResult, Result, encode_result, failure
from render_trio.queue.producer import task_values
from resources.registry import CATALOGUE
from tests.browser import browser as run_browser
from tests.browser import overflow, served_in_thread, violations, visit
from tests.processes import queue
from tests.render_trio.web import operated, site
from tests.render_trio.web.documents.test_direct import Gate

TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"


@dataclass(frozen=True)
class Window:
    """A window: its size in CSS pixels, and the colour scheme."""

    width: int
    height: int
    scheme: str = "light"


PHONE = Window(360, 740)
DARK = Window(1280, 800, "dark")
ZOOMED = Window(640, 400)  # 1280 x 800 at 200 %
WINDOWS = (PHONE, DARK, ZOOMED)
INVALID = "copies=99&header_text=%F0%9F%98%80&number_order=x&instructions=x&art=x&prefilled_values=x&zzz=1"
PAGES = {
    "gallery": "/",
    "search": "/?q=hunt",
    "search without a result": "/?q=zzzz",
    "errors": f"/resources/treasure-hunt?{INVALID}",
    "error of a menu": "/resources/sorting-network-cards?type=x&ink_saver=x",
    "status": "/status",
    "status, restarted": "/status?restarted=worker-1",
    "health": "/health",
    "not found": "/nowhere",
}
STATES = ("queued", "rendering", "done", "failed", "unknown", "not ready", "no document")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as running:
        yield running


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The address of a site without workers, and of a task's page in each state."""
    store = tmp_path_factory.mktemp("queue") / "queue.sqlite3"
    with queue(f"sqlite:///{store}") as running_queue:

        @asynccontextmanager
        async def serve() -> AsyncIterator[dict[str, str]]:
            operated_site = operated.Site(running_queue.address, token="a-token")
            operated_site.activity.failure("a-task", "timed_out", "not drawn within 50 s", "retried")
            async with operated.running(operated_site):
                yield await tasks_in_each_state(operated_site, running_queue.address)

        with served_in_thread(serve) as found:
            yield found


async def tasks_in_each_state(running: operated.Site, queue_address: str) -> dict[str, str]:
    """Put tasks on the queue, and settle some as a worker does. Return the addresses of their pages."""
    ids: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=queue_address, trust_env=False) as client:
        for state in ("rendering", "done", "failed", "queued"):
            task: dict[str, Any] = task_values("parity_cards", {})[1]
            ids[state] = await running.web_tasks.submit(task, "127.0.0.1")
            if state == "rendering":
                (await client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 3600})).raise_for_status()
        results: dict[str, Result] = {
            "done": DocumentResult(
                success=True, task_id=ids["done"], filename="Parity Cards (a4).pdf", document="JVBERi0=", pages=2
            ),
            "failed": failure(ids["failed"], "timed_out", "not drawn within 50 s"),
        }
        for state, result in results.items():
            await running.queue.insert(web_result_id(ids[state]), encode_result(result), "web-result")
            await running.queue.delete(ids[state])
    addresses = {state: f"/tasks/{task_id}" for state, task_id in ids.items()}
    addresses["unknown"] = "/tasks/web-" + "0" * 32
    addresses["not ready"] = addresses["queued"] + "/document"
    addresses["no document"] = addresses["unknown"] + "/document"
    return {"": running.address, **addresses}


def opened(browser: Browser, address: str, window: Window) -> AbstractContextManager[Page]:
    """Open a page, which may be an error's."""
    return visit(
        browser,
        address,
        scheme=window.scheme,
        width=window.width,
        height=window.height,
        ignored=("status of",),
    )


def check(browser: Browser, address: str, window: Window, text: str = "") -> None:
    """Fail if the page has a violation, doesn't fit the window in either direction of writing, or lacks the text."""
    with opened(browser, address, window) as page:
        assert text in page.inner_text("main")
        assert violations(page) == []
        assert overflow(page) == 0
        page.evaluate("document.documentElement.dir = 'rtl'")
        assert overflow(page) == 0


def test_the_check_finds_violations_of_every_impact(addresses: dict[str, str], browser: Browser) -> None:
    """A control without a name is critical, a level of headings that is left out is moderate."""
    with opened(browser, addresses[""], PHONE) as page:
        page.evaluate("document.querySelector('#q').parentElement.querySelector('label').remove()")
        page.evaluate("document.querySelectorAll('h2').forEach((heading) => heading.remove())")
        page.locator("#q").evaluate("field => field.removeAttribute('placeholder')")
        found = " ".join(violations(page))
    assert "label (critical)" in found
    assert "heading-order (moderate)" in found


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_pages(addresses: dict[str, str], browser: Browser, window: Window) -> None:
    for path in PAGES.values():
        check(browser, addresses[""] + path, window)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_task_s_page_in_each_state(addresses: dict[str, str], browser: Browser, window: Window) -> None:
    texts = {
        "queued": "Waiting in the queue",
        "rendering": "Creating your document",
        "done": "Your document is ready",
        "failed": "Your document could not be created.",
        "not ready": "not ready yet",
    }
    for state in STATES:
        check(browser, addresses[""] + addresses[state], window, texts.get(state, ""))


@pytest.mark.parametrize("view", CATALOGUE)
def test_the_page_of_a_resource(addresses: dict[str, str], browser: Browser, view: str) -> None:
    for window in (PHONE, DARK):
        check(browser, f"{addresses['']}/resources/{CATALOGUE[view].slug}", window)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RenderFailedError("no page"), "could not create this document"),
        (FatalError("hung"), "Many people are printing"),
    ],
    ids=["not drawn", "busy"],
)
def test_a_document_that_is_not_drawn(browser: Browser, error: RenderTrioError, text: str) -> None:
    @asynccontextmanager
    async def serve() -> AsyncIterator[str]:
        async with site.running(Gate(error)) as running:
            yield str(running.client.base_url).rstrip("/")

    with served_in_thread(serve) as address:
        for window in WINDOWS:
            check(browser, f"{address}/resources/grid.pdf", window, text)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_refused_form(browser: Browser, window: Window) -> None:
    """The queue is unreachable."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[str]:
        async with operated.running(operated.Site()) as running:
            yield running.address

    with served_in_thread(serve) as address, opened(browser, f"{address}/resources/grid", window) as page:
        page.get_by_role("button", name="Create in the background").click()
        page.wait_for_url("**/tasks")
        assert "Please try again in 2 seconds." in page.inner_text("main")
        assert violations(page) == []
        assert overflow(page) == 0
