"""From the gallery to paper, in a real browser: find a resource, change it, see it, take it; and when it goes wrong."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
from playwright.sync_api import Browser, Page, expect

from resources.registry import CATALOGUE
from tests.browser import browser as run_browser
from tests.browser import grave_violations, visit
from tests.processes import Running, start_service

NOBODY = "http://127.0.0.1:9"  # no queue: who prints at once needs none


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("pages") / "log"
    running = start_service(NOBODY, log, RENDER_WORKERS=1)
    yield running
    assert running.end(signal.SIGTERM) == 0, log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as running:
        yield running


def pictures(page: Page) -> list[str]:
    """Return the addresses of the preview's pictures, when the first two have arrived."""
    images = page.locator("#sheets img")
    images.evaluate_all("images => Promise.all(images.slice(0, 2).map(image => image.decode()))")
    addresses: list[str] = images.evaluate_all("images => images.map(image => image.getAttribute('src'))")
    return addresses


def test_a_sorting_network_made_to_measure_in_four_clicks(service: Running, browser: Browser, tmp_path: Path) -> None:
    with visit(browser, service.address) as page:
        page.get_by_label("Search the resources").press_sequentially("sorting")
        expect(page.get_by_role("status")).to_have_text(re.compile(rf"^\d of {len(CATALOGUE)} resources$"))
        expect(page.get_by_role("link", name="Grid")).to_be_hidden()
        page.get_by_role("link", name="Sorting Network", exact=True).click()  # one
        page.wait_for_url("**/resources/sorting-network")
        before = pictures(page)
        page.get_by_label("Medium: 10 to 99").check()  # two
        page.get_by_label("Header").fill("Room Four")
        page.wait_for_url("**/resources/sorting-network?prefilled_values=medium&header_text=Room+Four")
        assert pictures(page) != before
        with page.context.expect_page() as opening:
            page.get_by_role("button", name="Print").click()  # three; the fourth is the printer's own
        opening.value.wait_for_url("**/resources/sorting-network.pdf?*prefilled_values=medium*")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download").click()
        assert downloading.value.suggested_filename == "Sorting Network (10 to 99 - a4).pdf"
        downloading.value.save_as(tmp_path / "network.pdf")
        link = page.url
    with pikepdf.open(tmp_path / "network.pdf") as pdf:
        assert len(pdf.pages) == 1
        assert str(pdf.docinfo.Title) == "Sorting Network (10 to 99 - a4)"
    # The address is a link to just this document.
    with visit(browser, link) as page:
        expect(page.get_by_label("Header")).to_have_value("Room Four")
        expect(page.get_by_label("Medium: 10 to 99")).to_be_checked()


def test_the_preview_follows_pages_and_numbers(service: Running, browser: Browser) -> None:
    with visit(browser, f"{service.address}/resources/binary-cards") as page:
        expect(page.locator("#told")).to_have_text("8 pages of A4 paper")
        expect(page.get_by_role("button", name="New numbers")).to_be_hidden()
        page.get_by_role("radiogroup", name="Black backs").get_by_label("Yes").check()
        page.get_by_label("Copies").fill("3")
        expect(page.locator("#told")).to_have_text("3 copies of 16 pages of A4 paper: 48 in all")
        assert len(pictures(page)) == 16
        assert grave_violations(page) == []
    with visit(browser, f"{service.address}/resources/number-hunt") as page:
        before = pictures(page)
        page.get_by_role("button", name="New numbers").click()
        page.wait_for_url("**/resources/number-hunt?seed=*")
        assert pictures(page) != before
        page.get_by_label("None: write your own").check()
        expect(page.get_by_role("button", name="New numbers")).to_be_hidden()


def test_a_wrong_value_is_told_beside_its_field_until_it_is_mended(service: Running, browser: Browser) -> None:
    address = f"{service.address}/resources/number-hunt"
    with visit(browser, address) as page:
        copies = page.get_by_label("Copies")
        copies.fill("99")
        expect(page.locator("#copies-error")).to_have_text("Please use a whole number from 1 to 50.")
        expect(copies).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#told")).to_have_text("The preview waits for your correction.")
        assert grave_violations(page) == []
        copies.fill("2")
        expect(page.locator("#copies-error")).to_be_hidden()
        expect(copies).not_to_have_attribute("aria-invalid", "true")
        expect(page.locator("#told")).to_have_text("2 copies of 1 page of A4 paper: 2 in all")


def test_it_all_works_without_scripts(service: Running, browser: Browser, tmp_path: Path) -> None:
    with visit(browser, service.address, script=False, forgiven=("status of 400",)) as page:
        page.get_by_label("Search the resources").fill("hunt")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Number Hunt").click()
        page.get_by_label("Hard: 0 to 9999").check()
        page.get_by_role("button", name="Update the preview").click()
        page.wait_for_url("**/resources/number-hunt?prefilled_values=hard")
        page.get_by_role("button", name="New numbers").click()
        page.wait_for_url("**/resources/number-hunt?prefilled_values=hard&seed=*")
        page.get_by_label("Copies").fill("0")
        page.get_by_role("button", name="Update the preview").click()
        expect(page.locator("#copies-error")).to_have_text("Please use a whole number from 1 to 50.")
        page.get_by_label("Copies").fill("4")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download").click()
        downloading.value.save_as(tmp_path / "hunt.pdf")
    with pikepdf.open(tmp_path / "hunt.pdf") as pdf:
        assert len(pdf.pages) == 4


def test_a_keyboard_is_enough(service: Running, browser: Browser) -> None:
    with visit(browser, service.address) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.get_by_label("Search the resources").focus()
        page.keyboard.type("clock")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Modulo Clock")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**/resources/modulo-clock")
        page.get_by_label("10").focus()
        page.keyboard.press("ArrowUp")
        page.wait_for_url("**/resources/modulo-clock?modulo_number=2")
        expect(page.get_by_label("2", exact=True)).to_be_checked()
