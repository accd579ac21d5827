"""The finisher: what it adds to drawn pages, and that a PDF which doesn't match what was drawn is never delivered."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Pdf

from render_trio.observation.versions import __version__
from render_trio.rendering.finisher import SIZE_TOLERANCE, FinishedDocument, FinishedDocumentError, check, finish
from resources import rendering
from resources.rendering import Drawn
from resources.request import RequestWarning
from tests.requests import request_for


def drawn_pages(view: str = "parity_cards", **options: object) -> Drawn:
    return rendering.render(request_for(view, **options), lambda: None)


DRAWN = drawn_pages(copies=3)  # the copies are equal: the pages of one are repeated three times
FINISHED = finish(DRAWN).pdf


def changed(change: Callable[[Pdf], None], pdf: bytes = FINISHED) -> bytes:
    output = io.BytesIO()
    with Pdf.open(io.BytesIO(pdf)) as opened:
        change(opened)
        opened.save(output)
    return output.getvalue()


def delete_last_page(pdf: Pdf) -> None:
    del pdf.pages[-1]


def add_page(pdf: Pdf) -> None:
    pdf.pages.append(pdf.pages[0])


def resize(index: int, width: float, height: float) -> Callable[[Pdf], None]:
    """Return a change of one page's size by so many points; the media box doesn't start at 0."""

    def change(pdf: Pdf) -> None:
        box = [10, 20, 10 + DRAWN.size[0] + width, 20 + DRAWN.size[1] + height]
        pdf.pages[index].mediabox = Array([round(number, 5) for number in box])

    return change


def add_font(index: int, *, described: bool = False) -> Callable[[Pdf], None]:
    """Return a change that adds a font to one page; a `described` font has a descriptor, but no file."""

    def change(pdf: Pdf) -> None:
        page = pdf.pages[index].obj
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
        if described:
            font.FontDescriptor = Dictionary(FontName=Name.Helvetica)
        shared = page.Resources
        fonts = Dictionary(dict(shared.get(Name.Font, Dictionary()).items()))
        fonts["/Extra"] = pdf.make_indirect(font)
        page.Resources = Dictionary(dict(shared.items()) | {"/Font": fonts})

    return change


def add_indirect_fonts(pdf: Pdf) -> None:
    """Give the first two pages one dictionary of embedded fonts, and the last page another with a missing font."""
    embedded = Dictionary(F=Dictionary(FontDescriptor=Dictionary(FontFile2=pdf.make_stream(b"font"))))
    shared = pdf.make_indirect(embedded)
    for page in pdf.pages:
        page.obj.Resources = Dictionary(Font=shared)
    pdf.pages[-1].obj.Resources = Dictionary(Font=pdf.make_indirect(Dictionary(F=Dictionary(BaseFont=Name.Courier))))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (delete_last_page, "5 pages instead of 6"),
        (add_page, "7 pages instead of 6"),
        (resize(0, 1, 0), "media box .* pt instead of"),
        (resize(0, -1, 0), "media box"),
        (resize(0, 0, 1), "media box"),
        (resize(-1, 0, -1), "media box"),
        (resize(1, 2 * SIZE_TOLERANCE, 0), "media box"),
        (add_font(0), "font /Extra .* is not embedded"),
        (add_font(-1), "font /Extra .* is not embedded"),
        (add_font(1, described=True), "font /Extra .* is not embedded"),
        (add_indirect_fonts, "font /F .* is not embedded"),
    ],
)
def test_a_pdf_that_does_not_match_what_was_drawn_is_rejected(change: Callable[[Pdf], None], reason: str) -> None:
    with pytest.raises(FinishedDocumentError, match=reason):
        check(changed(change), DRAWN)


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", FINISHED[: len(FINISHED) // 2]])
def test_a_pdf_that_can_not_be_opened_is_rejected(content: bytes) -> None:
    with pytest.raises(FinishedDocumentError):
        check(content, DRAWN)


def blank_pages(count: int, size: tuple[float, float]) -> bytes:
    output = io.BytesIO()
    with Pdf.new() as pdf:
        for _ in range(count):
            pdf.add_blank_page(page_size=size)
        pdf.save(output)
    return output.getvalue()


@pytest.mark.parametrize(
    ("pages", "repeats", "varies", "accepted"),
    [
        (2, 1, False, True),
        (3, 1, False, False),
        (2, 4, False, True),
        (3, 4, False, False),
        (1, 2, False, True),  # a copy may have fewer pages than declared
        (6, 1, True, True),  # three copies that differ
    ],
)
def test_a_copy_has_at_most_the_declared_pages(pages: int, repeats: int, varies: bool, accepted: bool) -> None:
    drawn = replace(DRAWN, pages=pages, repeats=repeats, varies=varies, pages_per_copy=2)
    content = blank_pages(pages * repeats, drawn.size)
    if accepted:
        check(content, drawn)
    else:
        with pytest.raises(FinishedDocumentError, match="more pages per copy than the declared 2"):
            check(content, drawn)


def test_a_correct_pdf_is_accepted_with_sizes_that_are_rounded() -> None:
    check(FINISHED, DRAWN)
    check(changed(resize(0, SIZE_TOLERANCE / 2, -SIZE_TOLERANCE / 2)), DRAWN)


def test_finishing_checks_its_own_output() -> None:
    with pytest.raises(FinishedDocumentError, match="media box"):
        finish(replace(DRAWN, size=(100, 200)))


def test_pages_without_resources_have_no_fonts_to_check() -> None:
    def remove_resources(pdf: Pdf) -> None:
        for page in pdf.pages:
            del page.obj.Resources

    check(changed(remove_resources), DRAWN)


def test_a_finished_document_describes_itself() -> None:
    warning = RequestWarning("unknown_key", "colour", "colour is unknown")
    document = finish(replace(DRAWN, varies=True, warnings=(warning,)))
    assert document.filename == DRAWN.filename
    assert document.sha256 == hashlib.sha256(document.pdf).hexdigest()
    assert document.pages == DRAWN.pages * 3
    assert document.varies
    assert document.warnings == (warning,)
    assert finish(DRAWN).pdf == FINISHED, "equal documents are equal bytes"
    assert not finish(DRAWN).varies
    assert not FinishedDocument("x", b"", 1, "").varies


def test_copies_share_their_content_and_are_in_order() -> None:
    with Pdf.open(io.BytesIO(FINISHED)) as pdf:
        contents = [page.obj.Contents.objgen for page in pdf.pages]
    assert contents == contents[: DRAWN.pages] * 3
    assert len(set(contents)) == DRAWN.pages
    assert len(FINISHED) < 1.2 * len(finish(replace(DRAWN, repeats=1)).pdf)


def test_streams_and_objects_are_compressed() -> None:
    with Pdf.open(io.BytesIO(FINISHED)) as pdf:
        assert all(page.obj.Contents.get(Name.Filter) == Name.FlateDecode for page in pdf.pages)
    assert b"/ObjStm" in FINISHED


def test_pages_have_no_transition() -> None:
    with Pdf.open(io.BytesIO(DRAWN.pdf)) as pdf:
        assert all(Name.Trans in page for page in pdf.pages)
    with Pdf.open(io.BytesIO(FINISHED)) as pdf:
        assert not any(Name.Trans in page for page in pdf.pages)


@pytest.mark.parametrize(
    ("flip", "duplex"),
    [("long-edge", Name.DuplexFlipLongEdge), ("short-edge", Name.DuplexFlipShortEdge), (None, None)],
)
def test_a_print_dialog_keeps_the_scale_and_turns_the_paper_over_the_right_edge(
    flip: str | None, duplex: Name | None
) -> None:
    finished = finish(replace(DRAWN, flip=flip))  # type: ignore[arg-type]  # parametrised
    with Pdf.open(io.BytesIO(finished.pdf)) as pdf:
        preferences = pdf.Root.ViewerPreferences
        assert preferences.DisplayDocTitle
        assert preferences.PrintScaling == Name("/None")
        assert preferences.get(Name.Duplex) == duplex


def labels(pdf_bytes: bytes) -> list[str] | None:
    with Pdf.open(io.BytesIO(pdf_bytes)) as pdf:
        return [page.label for page in pdf.pages] if Name.PageLabels in pdf.Root else None


def test_the_pages_of_several_copies_are_labelled_with_copy_and_page() -> None:
    assert labels(FINISHED) == ["1-1", "1-2", "2-1", "2-2", "3-1", "3-2"]
    assert labels(finish(replace(DRAWN, repeats=1)).pdf) is None


def test_metadata_is_escaped_and_the_same_in_both_places() -> None:
    drawn = replace(DRAWN, title="Cats & <dogs>", subject="a < b & c", language="de")
    with Pdf.open(io.BytesIO(finish(drawn).pdf)) as pdf:
        with pdf.open_metadata(update_docinfo=False) as metadata:
            assert metadata["dc:title"] == "Cats & <dogs>"
            assert metadata["dc:description"] == "a < b & c"
            assert metadata["dc:language"] == {"de"}
            assert metadata["xmp:CreatorTool"] == f"render-trio {__version__}"
            assert metadata["pdf:Producer"] == f"pikepdf {pikepdf.__version__}"
        assert pdf.Root.Metadata.Type == Name.Metadata
        assert pdf.Root.Metadata.Subtype == Name.XML
        information = {name: str(value) for name, value in pdf.docinfo.items()}
    assert information == {
        "/Title": "Cats & <dogs>",
        "/Creator": f"render-trio {__version__}",
        "/Producer": f"pikepdf {pikepdf.__version__}",
    }


def test_the_size_in_an_error_is_that_of_the_page() -> None:
    with pytest.raises(FinishedDocumentError) as error:
        check(changed(resize(0, 1, 2)), DRAWN)
    found = re.search(r"media box (\S+) × (\S+) pt", str(error.value))
    assert found is not None
    width, height = float(found[1]), float(found[2])
    assert (width, height) == pytest.approx((DRAWN.size[0] + 1, DRAWN.size[1] + 2), abs=0.02)
