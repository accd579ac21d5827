"""What every document must be, whatever its resource and options: a function for each promise.

Each takes the request and the finished document, and raises AssertionError if the promise is broken.
"""

from __future__ import annotations

import dataclasses
import io

import pikepdf
import pypdfium2
from pikepdf import Name

from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.pipeline import produce
from render_trio.testing.requests import request_for, requests_of, resource_of
from render_trio.testing.words import check_words
from resources.drawing.paper import MARGIN_BOTTOM, MARGIN_LEFT, MARGIN_TOP, POINTS_PER_MM
from resources.parsing import MAX_COPIES
from resources.registry import CATALOGUE
from resources.request import Request

CHECK_SCALE = 1  # pixels per point: fine enough to see a stray line
WHITE = 250  # of 255: antialiasing leaves a little grey beside a line
TOUCHING = 0.6  # pt by which two pieces of text may overlap, through rounding
SLACK = 1.0  # mm: half a line's width, and the size of a pixel
EDGE = 4  # mm that no ink comes nearer to the upper edge
FOOTER_EDGE = 5  # mm that no ink comes nearer to the lower edge
MAX_BYTES = 1_000_000


def opens_without_a_syntax_error(request: Request, document: FinishedDocument) -> None:
    """The file opens, and qpdf finds nothing to complain about."""
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        assert pdf.check_pdf_syntax() == []


def has_the_declared_pages_and_size(request: Request, document: FinishedDocument) -> None:
    """There are as many pages as the resource declares, each of the paper's size."""
    resource = CATALOGUE[request.view]
    width, height = resource.paper(request).points
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        declared = resource.page_count(request)
        assert len(pdf.pages) == document.pages == declared, f"{len(pdf.pages)} pages; declared: {declared}"
        for page in pdf.pages:
            left, bottom, right, top = (float(number) for number in page.mediabox)
            assert abs(right - left - width) < 0.01
            assert abs(top - bottom - height) < 0.01


def has_a_title_a_language_and_print_settings(request: Request, document: FinishedDocument) -> None:
    """The document has its title and language, and is printed at its real size."""
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        assert str(pdf.docinfo["/Title"]) == CATALOGUE[request.view].title(request)
        assert str(pdf.Root.Lang) == request.language
        assert pdf.Root.ViewerPreferences.PrintScaling == Name("/None")
        assert pdf.Root.ViewerPreferences.DisplayDocTitle
        for page in pdf.pages:
            assert "/Trans" not in page


def embeds_every_font_and_has_no_bitmap(request: Request, document: FinishedDocument) -> None:
    """Every font is in the file, and everything is drawn as vectors."""
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        fonts = 0
        for item in pdf.objects:
            if not isinstance(item, pikepdf.Dictionary | pikepdf.Stream):
                continue
            assert item.get(Name.Subtype) != Name.Image, "a page holds a bitmap"
            if item.get(Name.Type) == Name.Font:
                fonts += 1
                assert Name.FontFile2 in item.FontDescriptor, "a font is not embedded"
        assert fonts


def keeps_the_margins_free(request: Request, document: FinishedDocument) -> None:
    """The content lies inside the margins; only the header's and the footer's lines are outside."""
    paper = CATALOGUE[request.view].paper(request)
    unit = CHECK_SCALE * POINTS_PER_MM
    pdf = pypdfium2.PdfDocument(document.pdf)
    for index in range(len(pdf)):
        picture = pdf[index].render(scale=CHECK_SCALE, grayscale=True).to_pil()
        below = paper.height - MARGIN_BOTTOM
        areas = {
            "left": (0.0, 0.0, MARGIN_LEFT - SLACK, paper.height),
            "right": (paper.width - MARGIN_LEFT + SLACK, 0.0, paper.width, paper.height),
            "above the header": (0.0, 0.0, paper.width, EDGE),
            "below the header": (0.0, MARGIN_TOP - 1, paper.width, MARGIN_TOP - 0.5),
            "above the footer": (0.0, below + SLACK, paper.width, below + 5),
            "below the footer": (0.0, paper.height - FOOTER_EDGE, paper.width, paper.height),
        }
        for name, area in areas.items():
            darkest = picture.crop(tuple(round(length * unit) for length in area)).getextrema()[0]
            assert darkest > WHITE, f"page {index + 1} has ink {name}"
    pdf.close()


def has_text_that_can_be_read_out(request: Request, document: FinishedDocument) -> None:
    """The first page's text can be extracted: name, header and address are found in it."""
    pdf = pypdfium2.PdfDocument(document.pdf)
    text = pdf[0].get_textpage().get_text_range()
    pdf.close()
    assert request.name in text
    assert request.header_text in text
    assert request.url[:30] in text


def writes_no_text_over_another(request: Request, document: FinishedDocument) -> None:
    """No two pieces of text overlap."""
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
                words = text.get_text_bounded(left, bottom, right, top)
                assert min(width, height) <= TOUCHING, f"page {index + 1}: {words!r} overlaps another text"
    pdf.close()


def is_small(request: Request, document: FinishedDocument) -> None:
    """The file is under 1 MB."""
    assert len(document.pdf) < MAX_BYTES


PROMISES = (
    opens_without_a_syntax_error,
    has_the_declared_pages_and_size,
    has_a_title_a_language_and_print_settings,
    embeds_every_font_and_has_no_bitmap,
    keeps_the_margins_free,
    has_text_that_can_be_read_out,
    writes_no_text_over_another,
    is_small,
)


def check_document(request: Request) -> FinishedDocument:
    """Render the request, check every promise, and return the document.

    The same request must give the same bytes again. Raises AssertionError, and whatever the resource's code raises.
    """
    document = produce(request, lambda: None)
    for promise in PROMISES:
        promise(request, document)
    assert produce(request, lambda: None).pdf == document.pdf, "the same request gave other bytes"
    return document


def check_resource(view: str, *, words: frozenset[str] = frozenset()) -> None:
    """Check everything that is expected of a resource: what it declares, and all its documents.

    Every combination of the options that list their values, on each paper, keeps every promise and prints only words
    that can be translated; so do as many copies as are allowed, with an overlong header. `words` are the same in
    every language, because they are the lesson's subject. Raises AssertionError.
    """
    resource = resource_of(view)
    for option in resource.options:
        assert option.parse(option.default) == option.default, f"{option.name} rejects its own default"
    for request in requests_of(view):
        try:
            check_document(request)
            check_words(request, data=words)
        except AssertionError as error:
            error.add_note(f"in {resource.filename(request)}")
            raise
    for ink_saver in (False, True):
        check_copies(view, ink_saver=ink_saver)


def check_copies(view: str, *, ink_saver: bool) -> None:
    """Check the largest number of copies under a header that is too long. Raises AssertionError."""
    request = request_for(view, header_text="Wörd " * 40, copies=MAX_COPIES, ink_saver=ink_saver)
    document = produce(request, lambda: None)
    one = produce(dataclasses.replace(request, copies=1), lambda: None)
    assert document.pages == MAX_COPIES * one.pages
    opens_without_a_syntax_error(request, document)
