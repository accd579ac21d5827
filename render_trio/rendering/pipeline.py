"""Request → finished document, in one go: the function that threads and processes run."""

from __future__ import annotations

from collections.abc import Callable

from render_trio.rendering.finisher import FinishedDocument, finish
from render_trio.rendering.renderer import render
from resources.request import Request

Produce = Callable[[Request, Callable[[], None]], FinishedDocument]


def produce(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    """Return the drawn, finished and checked document; `checkpoint` may raise between pages to stop."""
    return finish(render(request, checkpoint))
