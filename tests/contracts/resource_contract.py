"""What every document must be, whatever its resource and options, as functions of the request and its bytes."""

from __future__ import annotations

import io

import pikepdf
import pypdfium2
from pikepdf import Name

from render_trio.rendering.finisher import FinishedDocument
from resources.drawing.paper import POINTS_PER_MM
from resources.registry import CATALOGUE
from resources.request import Request

CHECK_SCALE = 1  # pixels a point: fine enough to see a stray line
WHITE = 250  # of 255: what antialiasing leaves of nothing
TOUCHING = 0.6  # pt by which two pieces of text may overlap: what rounding gives
SLACK = 1.0  # mm: half a line's width, and the pixels' own size


def opens_without_complaint(request: Request, document: FinishedDocument) -> None:
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        assert pdf.check_pdf_syntax() == []


def has_its_pages_and_their_size(request: Request, document: FinishedDocument) -> None:
    width, height = CATALOGUE[request.view].paper(request).points
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        assert len(pdf.pages) == document.pages == CATALOGUE[request.view].page_count(request)
        for page in pdf.pages:
            left, bottom, right, top = (float(number) for number in page.mediabox)
            assert abs(right - left - width) < 0.01
            assert abs(top - bottom - height) < 0.01


def has_a_title_a_language_and_print_settings(request: Request, document: FinishedDocument) -> None:
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        assert str(pdf.docinfo["/Title"]) == CATALOGUE[request.view].title(request)
        assert str(pdf.Root.Lang) == request.language
        assert pdf.Root.ViewerPreferences.PrintScaling == Name("/None")
        assert pdf.Root.ViewerPreferences.DisplayDocTitle
        for page in pdf.pages:
            assert "/Trans" not in page


def embeds_every_font_and_holds_no_image(request: Request, document: FinishedDocument) -> None:
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        fonts = 0
        for thing in pdf.objects:
            if not isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
                continue
            assert thing.get(Name.Subtype) != Name.Image
            if thing.get(Name.Type) == Name.Font:
                fonts += 1
                assert Name.FontFile2 in thing.FontDescriptor
        assert fonts


def draws_inside_the_printable_area(request: Request, document: FinishedDocument) -> None:
    """Between the margins lies the content; outside stand only the header's line and the footer's."""
    paper = CATALOGUE[request.view].paper(request)
    pdf = pypdfium2.PdfDocument(document.pdf)
    for index in range(len(pdf)):
        picture = pdf[index].render(scale=CHECK_SCALE, grayscale=True).to_pil()
        unit = CHECK_SCALE * POINTS_PER_MM

        def darkest(left: float, top: float, right: float, bottom: float, picture=picture, unit=unit) -> int:  # type: ignore[no-untyped-def]
            box = (round(left * unit), round(top * unit), round(right * unit), round(bottom * unit))
            return int(picture.crop(box).getextrema()[0])

        assert darkest(0, 0, 10 - SLACK, paper.height) > WHITE, f"page {index + 1}, left"
        assert darkest(paper.width - 10 + SLACK, 0, paper.width, paper.height) > WHITE, f"page {index + 1}, right"
        assert darkest(0, 0, paper.width, 4) > WHITE, f"page {index + 1}, above the header"
        assert darkest(0, 9, paper.width, 10 - 0.5) > WHITE, f"page {index + 1}, below the header"
        below = paper.height - 20
        assert darkest(0, below + SLACK, paper.width, below + 5) > WHITE, f"page {index + 1}, above the footer"
        assert darkest(0, paper.height - 5, paper.width, paper.height) > WHITE, f"page {index + 1}, below the footer"
    pdf.close()


def has_text_that_can_be_read_out(request: Request, document: FinishedDocument) -> None:
    pdf = pypdfium2.PdfDocument(document.pdf)
    text = pdf[0].get_textpage().get_text_range()
    pdf.close()
    assert request.name in text
    assert request.header_text in text
    assert request.url[:30] in text


def writes_no_text_over_another(request: Request, document: FinishedDocument) -> None:
    pdf = pypdfium2.PdfDocument(document.pdf)
    for index in range(len(pdf)):
        text = pdf[index].get_textpage()
        boxes = sorted((text.get_rect(i) for i in range(text.count_rects())), key=lambda box: -box[3])
        for i, (left, bottom, right, top) in enumerate(boxes):
            for other in boxes[i + 1 :]:  # from the top of the page down, in pt
                if other[3] <= bottom + TOUCHING:
                    break
                width = min(right, other[2]) - max(left, other[0])
                height = min(top, other[3]) - max(bottom, other[1])
                if min(width, height) > TOUCHING:
                    words = text.get_text_bounded(left, bottom, right, top)
                    raise AssertionError(f"page {index + 1}: {words!r} is written over by another text")
    pdf.close()


def is_small(request: Request, document: FinishedDocument) -> None:
    assert len(document.pdf) < 1_000_000


CONTRACT = (
    opens_without_complaint,
    has_its_pages_and_their_size,
    has_a_title_a_language_and_print_settings,
    embeds_every_font_and_holds_no_image,
    draws_inside_the_printable_area,
    has_text_that_can_be_read_out,
    writes_no_text_over_another,
    is_small,
)
