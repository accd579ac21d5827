"""Request → drawn pages: a pure function around ReportLab, from values to bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resources.drawing import fonts
from resources.drawing.document import Document
from resources.drawing.paper import Flip
from resources.registry import CATALOGUE
from resources.request import Request, RequestWarning


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pages as ReportLab wrote them, uncompressed, with the values that the finisher needs.

    pdf: the PDF, whose pages the finished document repeats `repeats` times.
    pages: the number of pages in `pdf`.
    size: width and height of a page, pt.
    flip: the edge over which the paper is turned, or None if there are no back pages.
    varies: whether another seed gives another document.
    warnings: what could not be drawn as the request asked.
    """

    pdf: bytes
    filename: str
    title: str
    subject: str
    language: str
    pages: int
    repeats: int
    pages_per_copy: int
    size: tuple[float, float]
    flip: Flip | None
    varies: bool = False
    warnings: tuple[RequestWarning, ...] = ()


def render(request: Request, checkpoint: Callable[[], None]) -> Drawn:
    """Return the drawn pages of all copies, or of one copy if all are identical.

    `checkpoint` is called before each page, and may raise to stop the drawing. Raises what `checkpoint` and the
    resource's `draw` raise.
    """
    resource = CATALOGUE[request.view]
    title, paper = resource.title(request), resource.paper(request)
    with fonts.POOL.borrowed() as font_set:
        document = Document(request, title, paper, resource.flip, font_set, checkpoint, resource.folder)
        drawn = 0
        while drawn == 0 or (document.varies and drawn < request.copies):
            document.begin_copy(drawn)
            resource.draw(document, request.choices)
            drawn += 1
        return Drawn(
            pdf=document.save(),
            filename=resource.filename(request),
            title=title,
            subject=document.translate(resource.summary),
            language=request.language,
            pages=document.pages,
            repeats=request.copies // drawn,
            pages_per_copy=resource.pages(request.choices),
            size=paper.points,
            flip=resource.flip if document.has_backs else None,
            varies=document.varies,
            warnings=document.warnings,
        )
