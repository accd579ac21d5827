"""The area of the link on a page is where the address is printed, as another PDF library finds it."""

from __future__ import annotations

import io
from dataclasses import replace

import pypdfium2
import pytest
from pikepdf import Pdf

from resources import rendering
from resources.drawing.frame import FOOTER_SIZE
from tests.requests import request_for

MM = 72 / 25.4  # pt
URL = "https://example.org/resources/grid"


def printed(pdf: bytes, page: int, text: str) -> tuple[float, float, float, float]:
    """Return the left, bottom, right and top of a printed text, pt."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        content = document[page].get_textpage()
        start = content.get_text_range().index(text)
        boxes = [content.get_charbox(start + number) for number in range(len(text))]
    finally:
        document.close()
    left, bottom, right, top = zip(*boxes, strict=True)
    return min(left), min(bottom), max(right), max(top)


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize(("view", "url"), [("grid", URL), ("parity_cards", URL), ("grid", "https://a.org/i")])
def test_the_link_is_exactly_where_the_address_is_printed(view: str, url: str, paper: str) -> None:
    pdf = rendering.render(request_for(view, url=url, paper_size=paper), lambda: None).pdf
    with Pdf.open(io.BytesIO(pdf)) as opened:
        for number, page in enumerate(opened.pages):
            (annotation,) = page.Annots
            assert str(annotation.A.URI) == url
            left, bottom, right, top = (float(length) for length in annotation.Rect)
            text = printed(pdf, number, url)
            assert left == pytest.approx(text[0], abs=0.5 * MM)
            assert right == pytest.approx(text[2], abs=0.5 * MM)
            assert bottom <= text[1] < text[3] <= top
            assert top - bottom <= 2 * FOOTER_SIZE * MM


@pytest.mark.parametrize("url", ["", "ask in the office"])
def test_a_text_that_is_no_address_has_no_link(url: str) -> None:
    drawn = rendering.render(replace(request_for("grid"), url=url), lambda: None)
    with Pdf.open(io.BytesIO(drawn.pdf)) as opened:
        assert all("/Annots" not in page for page in opened.pages)
