"""From the gallery to a document, in a real browser: search, options, preview, print and download, and errors."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
from playwright.sync_api import Browser, Page, expect

from resources.registry import CATALOGUE
from tests.browser import ENGINES, enter, violations, visit
from tests.browser import browser as run_browser
from tests.processes import Running, start_service

UNREACHABLE = "http://127.0.0.1:9"  # printing and downloading work without a queue


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("pages") / "log"
    running = start_service(UNREACHABLE, log, RENDER_WORKERS=1)
    yield running
    assert running.end(signal.SIGTERM) == 0, log.read_text()


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with run_browser(request.param) as running:
        yield running


only_in_chromium = pytest.mark.parametrize("browser", ["chromium"], indirect=True)  # the one that can turn scripts off


def pictures(page: Page) -> list[str]:
    """Return the addresses of the preview's images, once the first two have loaded."""
    images = page.locator("#sheets img")
    images.evaluate_all("images => Promise.all(images.slice(0, 2).map(image => image.decode()))")
    addresses: list[str] = images.evaluate_all("images => images.map(image => image.getAttribute('src'))")
    return addresses


def test_a_sorting_network_with_chosen_options_takes_four_clicks(
    service: Running, browser: Browser, tmp_path: Path
) -> None:
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
            page.get_by_role("button", name="Print").click()  # three; the fourth is in the browser's print dialog
        opening.value.wait_for_url("**/resources/sorting-network.pdf?*prefilled_values=medium*")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download").click()
        assert downloading.value.suggested_filename == "Sorting Network (10 to 99 - a4).pdf"
        downloading.value.save_as(tmp_path / "network.pdf")
        link = page.url
    with pikepdf.open(tmp_path / "network.pdf") as pdf:
        assert len(pdf.pages) == 1
        assert str(pdf.docinfo.Title) == "Sorting Network (10 to 99 - a4)"
    # The address is a link to this very document.
    with visit(browser, link) as page:
        expect(page.get_by_label("Header")).to_have_value("Room Four")
        expect(page.get_by_label("Medium: 10 to 99")).to_be_checked()


def test_the_preview_follows_the_options(service: Running, browser: Browser) -> None:
    with visit(browser, f"{service.address}/resources/binary-cards") as page:
        expect(page.locator("#length")).to_have_text("8 pages of A4 paper")
        expect(page.get_by_role("button", name="New numbers")).to_be_hidden()
        page.get_by_role("radiogroup", name="Black backs").get_by_label("Yes").check()
        enter(page.get_by_label("Copies"), "3")
        expect(page.locator("#length")).to_have_text("3 copies, 16 pages each: 48 pages of A4 paper")
        assert len(pictures(page)) == 16
        assert violations(page) == []
    with visit(browser, f"{service.address}/resources/number-hunt") as page:
        before = pictures(page)
        page.get_by_role("button", name="New numbers").click()
        page.wait_for_url("**/resources/number-hunt?seed=*")
        assert pictures(page) != before
        page.get_by_label("None: write your own").check()
        expect(page.get_by_role("button", name="New numbers")).to_be_hidden()


def test_an_error_is_shown_next_to_its_field_until_it_is_corrected(service: Running, browser: Browser) -> None:
    address = f"{service.address}/resources/number-hunt"
    with visit(browser, address) as page:
        copies = page.get_by_label("Copies")
        enter(copies, "99")
        expect(page.locator("#copies-error")).to_have_text("Please use a whole number from 1 to 50.")
        expect(copies).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#length")).to_have_text("Please correct the options to update the preview.")
        assert violations(page) == []
        enter(copies, "2")
        expect(page.locator("#copies-error")).to_be_hidden()
        expect(copies).not_to_have_attribute("aria-invalid", "true")
        expect(page.locator("#length")).to_have_text("2 copies, 1 page each: 2 pages of A4 paper")


@only_in_chromium
def test_everything_works_without_scripts(service: Running, browser: Browser, tmp_path: Path) -> None:
    with visit(browser, service.address, script=False, ignored=("status of 400",)) as page:
        page.get_by_label("Search the resources").fill("hunt")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Number Hunt").click()
        page.get_by_label("Hard: 0 to 9999").check()
        page.get_by_role("button", name="Update preview").click()
        page.wait_for_url("**/resources/number-hunt?prefilled_values=hard")
        page.get_by_role("button", name="New numbers").click()
        page.wait_for_url("**/resources/number-hunt?prefilled_values=hard&seed=*")
        page.get_by_label("Copies").fill("0")
        page.get_by_role("button", name="Update preview").click()
        expect(page.locator("#copies-error")).to_have_text("Please use a whole number from 1 to 50.")
        page.get_by_label("Copies").fill("4")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download").click()
        downloading.value.save_as(tmp_path / "hunt.pdf")
    with pikepdf.open(tmp_path / "hunt.pdf") as pdf:
        assert len(pdf.pages) == 4


def test_the_pages_can_be_used_with_the_keyboard_only(service: Running, browser: Browser) -> None:
    with visit(browser, service.address) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
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
