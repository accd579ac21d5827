"""A resource's page on a phone: options, the page's picture and Print are in view together, and nothing is covered."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from resources.registry import CATALOGUE
from tests.browser import ENGINES, enter, overflow, violations, visit
from tests.browser import browser as run_browser
from tests.processes import Running, start_service

UNREACHABLE = "http://127.0.0.1:9"  # the pages work without a queue
WIDTH, HEIGHT = 360, 740
LONG = "/resources/treasure-hunt"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("phone") / "log"
    running = start_service(UNREACHABLE, log, RENDER_WORKERS=1)
    yield running
    assert running.end(signal.SIGTERM) == 0, log.read_text()


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with run_browser(request.param) as running:
        yield running


only_in_chromium = pytest.mark.parametrize("browser", ["chromium"], indirect=True)


def bar(page: Page) -> Locator:
    return page.get_by_role("group", name="Preview and print")


def in_view(locator: Locator) -> bool:
    """Return whether the element is completely inside the window, and nothing covers its centre."""
    return bool(
        locator.evaluate(
            """element => {
                const box = element.getBoundingClientRect();
                const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return box.x >= 0 && box.y >= 0 && box.right <= innerWidth && box.bottom <= innerHeight
                    && (element.contains(top) || top.contains(element) || top.parentElement.contains(element));
            }"""
        )
    )


@pytest.mark.parametrize("path", ["/resources/grid", LONG])
def test_options_preview_and_print_are_in_view_together(service: Running, browser: Browser, path: str) -> None:
    with visit(browser, service.address + path, width=WIDTH, height=HEIGHT) as page:
        option = page.locator("#options .field").first
        picture, button = bar(page).locator("img"), bar(page).get_by_role("button", name="Print")
        picture.evaluate("image => image.decode()")
        for element in (option, picture, button, bar(page).get_by_role("button", name="Download")):
            assert in_view(element)
        assert page.get_by_role("button", name="Print").count() == 1, "the one next to the preview is not displayed"
        page.locator("#options .field").last.scroll_into_view_if_needed()
        assert in_view(picture)
        assert in_view(button)
        assert overflow(page) == 0
        with page.context.expect_page() as opening:
            button.click()
        opening.value.wait_for_url(f"**{path}.pdf*")


def test_the_bar_covers_neither_a_focused_field_nor_the_end_of_the_page(service: Running, browser: Browser) -> None:
    with visit(browser, service.address + LONG, width=WIDTH, height=HEIGHT) as page:
        page.locator("#options input").first.focus()
        names = set()
        for _ in range(12):
            focused = page.locator(":focus")
            if focused.evaluate("element => element.closest('#options') === null"):
                break
            names.add(focused.evaluate("element => element.name || element.textContent"))
            shown = page.locator(":focus, :focus + span").last if focused.get_attribute("type") == "radio" else focused
            assert in_view(shown), names
            page.keyboard.press("Tab")
        assert {"header_text", "copies", "ink_saver", "Create in the background"} <= names
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        end = page.locator("footer").bounding_box()
        last = page.locator("#sheets li").last.bounding_box()
        box = bar(page).bounding_box()
        assert end
        assert last
        assert box
        assert last["y"] + last["height"] <= box["y"]
        assert box["y"] + box["height"] <= end["y"] + 1


def test_the_bar_shows_the_chosen_options_and_leads_to_the_preview(service: Running, browser: Browser) -> None:
    with visit(browser, f"{service.address}/resources/sorting-network", width=WIDTH, height=HEIGHT) as page:
        picture, first = bar(page).locator("img"), page.locator("#sheets img").first
        before = picture.get_attribute("src")
        page.get_by_label("Medium: 10 to 99").check()
        page.wait_for_url("**?prefilled_values=medium")
        assert picture.get_attribute("src") == first.get_attribute("src") != before
        enter(page.get_by_label("Copies"), "3")
        expect(bar(page).locator("p")).to_have_text("3 copies, 1 page each: 3 pages of A4 paper")
        enter(page.get_by_label("Copies"), "99")
        expect(bar(page).locator("p")).to_have_text("Please correct the options to update the preview.")
        bar(page).get_by_role("link", name="See the whole preview").click()
        page.wait_for_url("**#preview")
        assert in_view(page.get_by_role("heading", name="Preview"))
        assert violations(page) == []


def test_an_error_that_the_bar_would_cover_is_scrolled_into_view(service: Running, browser: Browser) -> None:
    with visit(browser, service.address + LONG, width=WIDTH, height=HEIGHT) as page:
        copies = page.get_by_label("Copies")
        enter(copies, "1")
        above = "(field) => { const bar = document.querySelector('.dock').getBoundingClientRect(); scrollBy(0, "
        copies.evaluate(above + "field.getBoundingClientRect().bottom + 4 - bar.top); }")
        assert in_view(copies)
        page.keyboard.type("99")
        expect(page.locator("#copies-error")).to_be_visible()
        assert in_view(page.locator("#copies-error"))


@only_in_chromium
def test_the_bar_works_without_scripts(service: Running, browser: Browser) -> None:
    address = f"{service.address}/resources/sorting-network"
    with visit(browser, address, width=WIDTH, height=HEIGHT, script=False) as page:
        page.get_by_label("Medium: 10 to 99").check()
        with page.context.expect_page() as opening:
            bar(page).get_by_role("button", name="Print").click()
        opening.value.wait_for_url(re.compile(r"/sorting-network\.pdf\?.*prefilled_values=medium"))
        bar(page).get_by_role("link", name="See the whole preview").click()
        assert in_view(page.get_by_role("heading", name="Preview"))


@only_in_chromium
@pytest.mark.parametrize(("width", "height"), [(360, 400), (320, 256)])
def test_the_bar_leaves_a_low_window_to_the_form(service: Running, browser: Browser, width: int, height: int) -> None:
    """An on-screen keyboard that shrinks the window, and a zoom of 400 %."""
    with visit(browser, service.address + LONG, width=width, height=height) as page:
        assert not in_view(bar(page).get_by_role("button", name="Print"))
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        assert in_view(bar(page).get_by_role("button", name="Print"))
        assert overflow(page) == 0


@only_in_chromium
@pytest.mark.parametrize(("width", "height"), [(740, 360), (640, 400)])
def test_the_bar_is_a_single_row_in_a_low_wide_window(
    service: Running, browser: Browser, width: int, height: int
) -> None:
    """A phone on its side, and a laptop at a zoom of 200 %."""
    with visit(browser, service.address + LONG, width=width, height=height) as page:
        box = bar(page).bounding_box()
        assert box
        assert box["height"] < height / 5
        page.get_by_label("Header").focus()
        for element in (page.get_by_label("Header"), bar(page).get_by_role("button", name="Print")):
            assert in_view(element)


@only_in_chromium
def test_a_wide_window_has_the_buttons_next_to_the_preview(service: Running, browser: Browser) -> None:
    with visit(browser, service.address + LONG) as page:
        expect(page.locator(".dock")).to_be_hidden()
        assert in_view(page.get_by_role("button", name="Print"))


@only_in_chromium
@pytest.mark.parametrize("view", CATALOGUE)
def test_no_page_needs_horizontal_scrolling(service: Running, browser: Browser, view: str) -> None:
    """At 320 CSS px (WCAG 1.4.10), with text of 200 % on a phone (1.4.4), and right to left."""
    with visit(browser, f"{service.address}/resources/{CATALOGUE[view].slug}", width=320) as page:
        assert overflow(page) == 0
        page.evaluate("document.documentElement.dir = 'rtl'")
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        page.evaluate("document.documentElement.dir = 'ltr'; document.documentElement.style.fontSize = '200%'")
        page.set_viewport_size({"width": 360, "height": 740})
        assert overflow(page) == 0
