"""Request → drawn pages (ReportLab): a pure function; values in, bytes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resources.drawing import fonts
from resources.drawing.document import Document
from resources.drawing.paper import Flip
from resources.registry import CATALOGUE
from resources.request import Request


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pages as ReportLab wrote them, uncompressed, with what the finisher needs to know.

    `pages` are those in `pdf`; the finished document repeats them `repeats` times. `size` in pt. `varies`: another
    seed gives another document.
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


def render(request: Request, checkpoint: Callable[[], None]) -> Drawn:
    """Return the drawn pages: all copies or, where they are alike, one.

    `checkpoint` is called before each page; what it raises stops the drawing. Raises what the resource's `draw` raises.
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
        )
