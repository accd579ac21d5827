"""Request → finished document: draw (ReportLab), then finish and check (pikepdf). Threads and processes run this."""

from __future__ import annotations

from collections.abc import Callable

from render_trio.errors import RenderFailedError
from render_trio.rendering.finisher import FinishedDocument, FinishedDocumentError, finish
from resources import rendering
from resources.parsing import parse_request
from resources.request import Request

Produce = Callable[[Request, Callable[[], None]], FinishedDocument]


def produce(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    """Return the drawn, finished and checked document.

    `checkpoint` is called before each page and may raise to stop the drawing. Raises FinishedDocumentError if the
    check fails, and whatever drawing raises: invalid requests are rejected earlier, so an exception is a bug here.
    """
    return finish(rendering.render(request, checkpoint))


def render(view: str, /, **options: object) -> FinishedDocument:
    """Draw one document in this thread, without a queue or a running service.

    `view` names a resource of the catalogue, with underscores or hyphens. `options` are the resource's own and the
    common ones (`header_text`, `url`, `copies`, `paper_size`, `seed`, `language`, `ink_saver`, `filename`), as
    in a task; an option that is missing has its default. `render-trio resources VIEW` lists them.

    The document has the PDF (`pdf`, bytes), a proposed file name (`filename`), the number of pages of all copies
    (`pages`), the SHA-256 of the PDF in hexadecimal (`sha256`), and the texts that don't fit on the page (`warnings`).
    Lengths inside the PDF are in points (1/72 inch).
    The same view, options and version yield the same bytes.

    Raises RequestError if the view, an option or its value is not allowed, and RenderFailedError if the check of the
    finished PDF fails. Any other exception is a bug in the resource. Can be called from several threads at once.
    It blocks, from a few milliseconds to seconds for many copies: an event loop should call it in a thread.

    >>> import render_trio
    >>> document = render_trio.render("binary-cards", display_numbers=True, header_text="Room Four")
    >>> document.pages
    8
    >>> document.pdf[:5]
    b'%PDF-'
    >>> document.filename
    'Binary Cards (with numbers - without black back - a4).pdf'
    >>> render_trio.render("grid", copies=0)
    Traceback (most recent call last):
        ...
    resources.parsing.errors.RequestError: copies is 0; allowed: a whole number from 1 to 50
    """
    request = parse_request({**options, "resource_view": view}, default_seed="", fill_defaults=True)
    try:
        return produce(request, lambda: None)
    except FinishedDocumentError as error:
        raise RenderFailedError(f"the finished PDF of {request.view} is invalid: {error}") from error
