"""Drawn pages → finished PDF (pikepdf): copies, print settings, metadata, compression, and a final check."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import pikepdf
from pikepdf import Array, Dictionary, Name, ObjectStreamMode, Pdf

from render_trio.observation.versions import __version__
from render_trio.rendering.metadata import describe
from resources.rendering import Drawn
from resources.request import RequestWarning

SIZE_TOLERANCE = 0.01  # pt; media boxes are written with five decimals
DUPLEX = {"long-edge": Name.DuplexFlipLongEdge, "short-edge": Name.DuplexFlipShortEdge}


class FinishedDocumentError(Exception):
    """The finished PDF does not match what was drawn."""


@dataclass(frozen=True, slots=True)
class FinishedDocument:
    """A PDF ready for delivery.

    varies: another seed gives another document. warnings: what could not be drawn as the request asked.
    """

    filename: str
    pdf: bytes
    pages: int
    sha256: str
    varies: bool = False
    warnings: tuple[RequestWarning, ...] = ()


def finish(drawn: Drawn) -> FinishedDocument:
    """Return the finished and checked document. Raises FinishedDocumentError if the check fails."""
    with Pdf.open(io.BytesIO(drawn.pdf)) as pdf:
        _clean_pages(pdf)
        _repeat_copies(pdf, drawn)
        _set_print_behaviour(pdf, drawn)
        describe(
            pdf,
            title=drawn.title,
            subject=drawn.subject,
            language=drawn.language,
            creator=f"render-trio {__version__}",
            producer=f"pikepdf {pikepdf.__version__}",
        )
        output = io.BytesIO()
        # deterministic_id: the ID of the file is derived from its content, so that equal documents are equal bytes.
        pdf.save(
            output,
            deterministic_id=True,
            compress_streams=True,
            object_stream_mode=ObjectStreamMode.generate,
            # Both would parse our metadata again to look for PDF/A, which it never mentions.
            preserve_pdfa=False,
            fix_metadata_version=False,
        )
    finished = output.getvalue()
    check(finished, drawn)
    return FinishedDocument(
        filename=drawn.filename,
        pdf=finished,
        pages=drawn.pages * drawn.repeats,
        sha256=hashlib.sha256(finished).hexdigest(),
        varies=drawn.varies,
        warnings=drawn.warnings,
    )


def _clean_pages(pdf: Pdf) -> None:
    for page in pdf.pages:
        if Name.Trans in page:  # ReportLab writes an empty page transition
            del page.Trans


def _repeat_copies(pdf: Pdf, drawn: Drawn) -> None:
    """Append the pages again for each further copy: new page dictionaries that share their content."""
    originals = list(pdf.pages)
    for _ in range(drawn.repeats - 1):
        for page in originals:
            pdf.pages.append(page)


def _set_print_behaviour(pdf: Pdf, drawn: Drawn) -> None:
    preferences = Dictionary(DisplayDocTitle=True, PrintScaling=Name("/None"))
    if drawn.flip is not None:
        preferences.Duplex = DUPLEX[drawn.flip]
    pdf.Root.ViewerPreferences = preferences
    if len(pdf.pages) > drawn.pages_per_copy:
        # Pages are labelled "copy-page", so that the page range of a print dialog can select one copy.
        labels = Array()
        for copy in range(len(pdf.pages) // drawn.pages_per_copy):
            labels.append(copy * drawn.pages_per_copy)
            labels.append(Dictionary(S=Name.D, P=f"{copy + 1}-"))
        pdf.Root.PageLabels = Dictionary(Nums=labels)


def check(pdf_bytes: bytes, drawn: Drawn) -> None:
    """Open the finished PDF and compare it with what was drawn. Raises FinishedDocumentError."""
    try:
        with Pdf.open(io.BytesIO(pdf_bytes)) as pdf:
            if len(pdf.pages) != drawn.pages * drawn.repeats:
                raise FinishedDocumentError(f"{len(pdf.pages)} pages instead of {drawn.pages * drawn.repeats}")
            if not drawn.varies and drawn.pages > drawn.pages_per_copy:  # the pages of varying copies are all drawn
                raise FinishedDocumentError(f"more pages per copy than the declared {drawn.pages_per_copy}")
            for page in pdf.pages:
                _check_size(page, drawn.size)
            _check_fonts(pdf)
    except pikepdf.PdfError as error:
        raise FinishedDocumentError(f"the PDF can't be opened: {error}") from error


def _check_size(page: pikepdf.Page, size: tuple[float, float]) -> None:
    left, bottom, right, top = (float(number) for number in page.mediabox)
    if abs(right - left - size[0]) > SIZE_TOLERANCE or abs(top - bottom - size[1]) > SIZE_TOLERANCE:
        raise FinishedDocumentError(f"media box {right - left:.2f} × {top - bottom:.2f} pt instead of {size}")


def _check_fonts(pdf: Pdf) -> None:
    """Check that every font of every page is embedded. Pages share font dictionaries; each is checked once."""
    seen: set[tuple[int, int]] = set()
    for page in pdf.pages:
        fonts = page.obj.get(Name.Resources, Dictionary()).get(Name.Font, Dictionary())
        if fonts.is_indirect:
            if fonts.objgen in seen:
                continue
            seen.add(fonts.objgen)
        for name, font in fonts.items():
            if Name.FontFile2 not in font.get(Name.FontDescriptor, Dictionary()):
                raise FinishedDocumentError(f"font {name} ({font.get(Name.BaseFont)}) is not embedded")
