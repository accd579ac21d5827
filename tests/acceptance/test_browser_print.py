"""Printing a page from the browser (Ctrl-P): a resource's page prints its sheets at their real size."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator

import httpx
import pypdfium2
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat
from playwright.sync_api import Browser, Page

from tests.browser import ENGINES, print_to_pdf, visit
from tests.browser import browser as run_browser
from tests.processes import Running, start_service

UNREACHABLE = "http://127.0.0.1:9"
A4, LETTER = (210.0, 297.0), (215.9, 279.4)  # mm
POINTS_PER_MM = 72 / 25.4
PIXELS_PER_POINT = 1.0
TOLERANCE = 4  # pixels, 1.4 mm: the edge of what is printed, blurred by the pictures
MEAN_DIFFERENCE = 8  # of 255


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("print") / "log"
    running = start_service(UNREACHABLE, log, RENDER_WORKERS=1)
    yield running
    assert running.end(signal.SIGTERM) == 0, log.read_text()


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with run_browser(request.param) as running:
        yield running


only_in_chromium = pytest.mark.parametrize("browser", ["chromium"], indirect=True)


DECODE_ALL = """images => {
    for (const image of images) image.loading = "eager";
    return Promise.all(images.map((image) => image.decode()));
}"""


def pages_of(pdf: bytes) -> list[Image.Image]:
    """Return the pages as grey pictures, a pixel per point."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.render(scale=PIXELS_PER_POINT).to_pil().convert("L") for page in document]
    finally:
        document.close()


def wait_for_pictures(page: Page) -> None:
    page.locator("#sheets .sheet").first.evaluate("image => image.decode()")


def check_same_size(printed: Image.Image, sheet: Image.Image, paper: tuple[float, float]) -> None:
    """Fail if a printed page isn't on this paper, or shows the sheet in another size or at another place."""
    expected = tuple(round(side * POINTS_PER_MM) for side in paper)
    assert max(abs(a - b) for a, b in zip(printed.size, expected, strict=True)) <= 1
    assert max(abs(a - b) for a, b in zip(printed.size, sheet.size, strict=True)) <= 1
    edges = [
        ImageOps.invert(image).point(lambda value: 255 if value > 64 else 0).getbbox() for image in (printed, sheet)
    ]
    assert edges[0]
    assert edges[1]
    assert max(abs(a - b) for a, b in zip(*edges, strict=True)) <= TOLERANCE, edges
    difference = ImageChops.difference(printed.resize(sheet.size), sheet)
    assert ImageStat.Stat(difference).mean[0] < MEAN_DIFFERENCE


@pytest.mark.parametrize(
    ("path", "query", "paper"),
    [
        ("/resources/treasure-hunt", "", A4),
        ("/resources/treasure-hunt", "?paper_size=letter", LETTER),
        ("/resources/train-stations", "", A4[::-1]),
        ("/resources/train-stations", "?paper_size=letter", LETTER[::-1]),
        ("/resources/binary-cards", "", A4),
    ],
)
def test_a_resource_prints_its_sheets_at_their_real_size(
    service: Running, browser: Browser, path: str, query: str, paper: tuple[float, float]
) -> None:
    document = pages_of(httpx.get(f"{service.address}{path}.pdf{query}", trust_env=False, timeout=60).content)
    with visit(browser, f"{service.address}{path}{query}") as page:
        wait_for_pictures(page)
        page.locator("#sheets img").evaluate_all(DECODE_ALL)
        printed = pages_of(print_to_pdf(page, *paper))
    assert len(printed) == len(document)
    for one, other in zip(printed, document, strict=True):
        check_same_size(one, other, paper)


@only_in_chromium
@pytest.mark.parametrize(("query", "paper"), [("", "Letter"), ("?paper_size=letter", "A4")])
def test_on_other_paper_a_sheet_is_reduced_to_one_page(
    service: Running, browser: Browser, query: str, paper: str
) -> None:
    with visit(browser, f"{service.address}/resources/binary-cards{query}") as page:
        wait_for_pictures(page)
        printed = pages_of(page.pdf(format=paper))
    assert len(printed) == 8
    for sheet in printed:
        assert ImageOps.invert(sheet).getbbox() is not None


# No dialog can be operated here: record which pictures are complete when the page is printed.
REPLACE_PRINT = """() => { window.print = () => {
    const images = [...document.querySelectorAll("#sheets .full")];
    document.body.dataset.printed = images.map((image) => image.naturalWidth).join(" ");
}; }"""


def press_ctrl_p(page: Page) -> list[int]:
    """Press Ctrl-P and return the widths of the pictures for paper when the page was printed, in pixels."""
    page.evaluate("delete document.body.dataset.printed")
    page.keyboard.press("Control+p")
    printed = page.locator("body[data-printed]")
    printed.wait_for()
    return [int(width) for width in (printed.get_attribute("data-printed") or "").split()]


def test_ctrl_p_prints_once_the_pictures_for_paper_have_arrived(service: Running, browser: Browser) -> None:
    with visit(browser, f"{service.address}/resources/binary-cards") as page:
        wait_for_pictures(page)
        assert page.locator("#sheets .full").count() == 0, "they are requested only for printing"
        page.evaluate(REPLACE_PRINT)
        widths = press_ctrl_p(page)
        assert len(widths) == 8
        assert min(widths) > 1700  # 210 dpi on A4
        # Other options have other pictures.
        page.get_by_role("radiogroup", name="Black backs").get_by_label("Yes").check()
        page.wait_for_url("**?black_back=yes")
        assert len(press_ctrl_p(page)) == 16
        sources = page.locator("#sheets .full").evaluate_all("images => images.map((image) => image.src)")
        assert len(set(sources)) == 16
        assert all("black_back=yes" in source for source in sources)


@only_in_chromium
def test_a_stale_or_busy_preview_still_prints_pages(service: Running, browser: Browser) -> None:
    """Without the pictures for paper, the preview's are printed."""
    with visit(browser, f"{service.address}/resources/grid", ignored=("503",)) as page:
        page.route("**full_size*", lambda route: route.fulfill(status=503))
        wait_for_pictures(page)
        (printed,) = pages_of(print_to_pdf(page, *A4))
    (sheet,) = pages_of(httpx.get(f"{service.address}/resources/grid.pdf", trust_env=False).content)
    check_same_size(printed, sheet, A4)


@only_in_chromium
@pytest.mark.parametrize(
    ("path", "expected"), [("/", "Binary Cards"), ("/status", "worker-1"), ("/health", "worker-1")]
)
def test_other_pages_are_printed_without_their_controls(
    service: Running, browser: Browser, path: str, expected: str
) -> None:
    with visit(browser, service.address + path) as page:
        pdf = pypdfium2.PdfDocument(io.BytesIO(print_to_pdf(page, *A4)))
    text = " ".join(sheet.get_textpage().get_text_range() for sheet in pdf)
    pdf.close()
    assert expected in text
    for word in ("Skip to content", "Search the resources", "Metrics"):
        assert word not in text
