"""Request → finished document: draw (ReportLab), then finish and check (pikepdf). Threads and processes run this."""

from __future__ import annotations

from collections.abc import Callable

from render_trio.rendering.finisher import FinishedDocument, finish
from resources import rendering
from resources.request import Request

Produce = Callable[[Request, Callable[[], None]], FinishedDocument]


def produce(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    """Return the drawn, finished and checked document.

    `checkpoint` is called before each page and may raise to stop the drawing. Raises FinishedDocumentError if the
    check fails, and whatever drawing raises: invalid requests are rejected earlier, so an exception is a bug here.
    """
    return finish(rendering.render(request, checkpoint))
