"""The gallery, the resources' pages and their previews, as browsers and programs request them."""

from __future__ import annotations

import html
import io
import re
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from render_trio.web.documents.preview import FULL_PIXELS
from resources.registry import CATALOGUE
from tests.conftest import ROOT
from tests.render_trio.web.site import PAGE, Site, running

FIRST_PAGE_BYTES = 100_000
THUMBNAIL = re.compile(r'/thumbnails/[^"]+')


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running() as site:
        yield site


def shown(page: str) -> list[str]:
    """Return the slugs of the gallery's entries that are not hidden."""
    return re.findall(r'<li class="card" data-words="[^"]*">.*?href="/resources/([^"]+)"', page, re.DOTALL)


async def test_the_gallery_shows_every_resource_with_its_own_picture(site: Site) -> None:
    page = (await site.get("/")).text
    assert sorted(shown(page)) == sorted(resource.slug for resource in CATALOGUE.values())
    for resource in CATALOGUE.values():
        assert html.escape(resource.summary, quote=False) in page.replace("&#39;", "'")
    pictures = {}
    for address in THUMBNAIL.findall(page):
        picture = await site.get(address)
        assert picture.headers["Content-Type"] == "image/png"
        assert "immutable" in picture.headers["Cache-Control"]
        image = Image.open(io.BytesIO(picture.content)).convert("L")
        darkest, lightest = image.getextrema()
        assert darkest < 180  # something is printed,
        assert lightest == 255  # on white paper
        pictures[address] = picture.content
    assert len(set(pictures.values())) == len(CATALOGUE)


async def test_the_gallery_with_all_its_pictures_is_small(site: Site) -> None:
    async def sent(address: str) -> int:
        response = await site.get(address, **{"Accept-Encoding": "gzip"})
        assert response.status_code == 200
        return int(response.headers["Content-Length"])

    page = (await site.get("/")).text
    addresses = ["/", *re.findall(r'(?:src|href)="(/(?:static|thumbnails)/[^"]+)"', page)]
    assert len(addresses) > len(CATALOGUE) + 2
    assert sum([await sent(address) for address in dict.fromkeys(addresses)]) < FIRST_PAGE_BYTES


async def test_a_thumbnail_is_rendered_once_and_revalidated(site: Site) -> None:
    for _ in range(3):
        first = await site.get("/thumbnails/grid.png")
    assert site.renderings("picture", "drawn") == 1
    assert first.headers["Cache-Control"] == "no-cache"  # an address without a version can change its content
    again = await site.get("/thumbnails/grid.png", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("CLOCK", ["modulo-clock"]),
        ("numbers sorted hunt", ["number-hunt", "treasure-hunt"]),
        ("solfege", ["piano-keys"]),  # a choice's label, without its accent
        ("no such thing", []),
    ],
)
async def test_the_server_answers_a_search_without_script(site: Site, search: str, found: list[str]) -> None:
    page = (await site.client.get("/", params={"q": search})).text
    assert shown(page) == found
    assert f"{len(found)} of {len(CATALOGUE)} resources" in page
    assert ('id="nothing" hidden' in page) == bool(found)


async def test_pages_contain_no_inline_script_or_style_and_no_other_host(site: Site) -> None:
    for path in ("/", "/resources/number-hunt", "/resources/number-hunt?copies=99", "/health", "/nowhere"):
        page = (await site.get(path, Accept=PAGE)).text
        assert page.startswith("<!doctype html>")
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)|javascript:", page)
        assert not re.search(r'(?:src|href|action)="(?!/|#)', page)
    for file in (ROOT / "static" / "web").iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/)", file.read_text(encoding="utf-8")), file


def test_the_style_works_right_to_left() -> None:
    """Logical properties only: start and end instead of left and right."""
    for folder in (ROOT / "static" / "web", ROOT / "emulator" / "pages" / "static"):
        for file in folder.glob("*.css"):
            style = re.sub(r"/\*.*?\*/|env\([^)]*\)", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
            assert not re.findall(r"[^\n]*(?<![\w-])(?:\w+-)?(?:left|right)(?![\w-])[^\n]*", style), file
            # Four different values of a shorthand name the left and the right side.
            for top, right, bottom, left in re.findall(
                r"(?:margin|padding|inset): ([^\s;]+) ([^\s;]+) ([^\s;]+) ([^\s;]+);", style
            ):
                assert right == left, (file, top, right, bottom, left)


async def test_a_resource_s_page_has_a_form_a_preview_and_buttons(site: Site) -> None:
    page = (await site.get("/resources/binary-cards?black_back=yes", Accept=PAGE)).text
    assert '<input type="radio" name="black_back" value="yes" checked>' in page
    assert "16 pages of A4 paper" in page
    pages = page.partition('id="sheets"')[2].partition("</ol>")[0]
    assert len(re.findall(r'src="/resources/binary-cards/pages/\d+\.png\?black_back=yes&amp;v=\w+"', pages)) == 16
    assert 'formaction="/resources/binary-cards.pdf"' in page
    assert re.search(r'name="new_numbers" value="1" hidden', page)  # nothing on these cards is random


async def test_the_address_is_made_as_short_as_possible(site: Site) -> None:
    long = "/resources/number-hunt?prefilled_values=medium&number_order=sorted&header_text=&paper_size=a4&copies=1"
    response = await site.get(long, Accept=PAGE)
    assert (response.status_code, response.headers["Location"]) == (
        303,
        "/resources/number-hunt?prefilled_values=medium",
    )
    assert (await site.get(response.headers["Location"], Accept=PAGE)).status_code == 200


async def test_new_numbers_put_another_seed_into_the_link(site: Site) -> None:
    addresses = set()
    for _ in range(2):
        response = await site.get("/resources/number-hunt?copies=2&seed=5&new_numbers=1", Accept=PAGE)
        assert re.fullmatch(r"/resources/number-hunt\?copies=2&seed=\d+", response.headers["Location"])
        addresses.add(response.headers["Location"])
    assert len(addresses) == 2
    page = (await site.get(addresses.pop(), Accept=PAGE)).text
    assert re.search(r'name="new_numbers" value="1">', page)
    assert re.search(r'<input type="hidden" name="seed" value="\d+">', page)


async def test_an_invalid_value_is_an_error_next_to_its_field(site: Site) -> None:
    response = await site.get("/resources/number-hunt?copies=99&header_text=Room", Accept=PAGE)
    assert response.status_code == 400
    field = response.text.partition('data-field="copies"')[2].partition("</div>")[0]
    assert 'value="99"' in field
    assert 'aria-describedby="copies-help copies-error" aria-invalid="true"' in field
    assert re.search(r'id="copies-error"[^>]*>Please use a whole number from 1 to 50\.<', field)
    assert 'value="Room"' in response.text
    twice = await site.get("/resources/number-hunt?copies=1&copies=2", Accept=PAGE)
    assert (twice.status_code, "“Copies” is given more than once" in twice.text) == (400, True)


async def test_the_preview_interprets_the_form_for_the_script(site: Site) -> None:
    preview = (await site.get("/resources/number-hunt/preview?copies=3&number_order=sorted&seed=9")).json()
    assert preview["query"] == "copies=3&seed=9"
    assert preview["told"] == "3 copies, 1 page each: 3 pages of A4 paper"
    assert (preview["page_count"], preview["varies"], len(preview["sheets"])) == (3, True, 1)
    sheet = preview["sheets"][0]
    picture = await site.get(sheet["address"])
    assert Image.open(io.BytesIO(picture.content)).size == (sheet["width"], sheet["height"])
    assert "immutable" in picture.headers["Cache-Control"]
    full = await site.get(sheet["full"])
    assert max(Image.open(io.BytesIO(full.content)).size) == FULL_PIXELS
    assert full.headers["ETag"] != picture.headers["ETag"]
    assert preview["paper"] == "a4-portrait"
    assert site.renderings("document", "drawn") == 1  # the number of copies changes no page
    invalid = (await site.get("/resources/number-hunt/preview?copies=0&number_order=x&zzz=1&header_text=Room")).json()
    assert invalid["errors"] == {
        "copies": "Please use a whole number from 1 to 50.",
        "number_order": "Please choose “Sorted” or “Unsorted”.",
    }
    assert invalid["notices"] == ["“zzz” is not an option of Number Hunt"]
    assert invalid["query"] == "header_text=Room"
    assert (await site.get("/resources/number-hunt/preview?copies=1&copies=2")).json()["field"] == "copies"
    blank = (await site.get("/resources/number-hunt/preview?prefilled_values=blank")).json()
    assert blank["varies"] is False


async def test_a_page_s_etag_depends_on_its_content(site: Site) -> None:
    address = "/resources/binary-cards/pages/2.png"
    head = await site.client.head(address)
    assert (head.status_code, head.content, site.renderings("picture", "drawn")) == (200, b"", 0)
    picture = await site.get(address, **{"If-None-Match": head.headers["ETag"]})
    assert picture.status_code == 304
    assert (await site.get("/resources/binary-cards/pages/1.png")).headers["ETag"] != head.headers["ETag"]
    for number in ("0", "9", "x", "-1"):
        assert (await site.get(f"/resources/binary-cards/pages/{number}.png")).status_code == 404
    assert (await site.get(f"{address}?copies=x")).status_code == 400


@pytest.mark.parametrize(
    "path", ["/resources/nothing", "/resources/nothing.pdf", "/resources/binary_cards", "/thumbnails/nothing.png"]
)
async def test_an_unknown_address_is_a_page_for_browsers_and_a_problem_for_programs(site: Site, path: str) -> None:
    page, problem = await site.get(path, Accept=PAGE), await site.get(path)
    assert (page.status_code, problem.status_code) == (404, 404)
    assert "There is no page at this address" in page.text
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert (problem.json()["status"], problem.json()["code"]) == (404, "not_found")
