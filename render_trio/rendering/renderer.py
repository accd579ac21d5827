"""Request → drawn pages (ReportLab): a pure function; values in, bytes out."""

from __future__ import annotations

from collections.abc import Callable

from resources.rendering import Drawn
from resources.rendering import render as draw
from resources.request import Request


def render(request: Request, checkpoint: Callable[[], None]) -> Drawn:
    """Return the pages of the request, not yet finished.

    `checkpoint` is called before each page; what it raises stops the drawing. A text that no font
    has, or that fits nowhere, was refused at the edge; what fails here is ours, and raises as it is.
    """
    return draw(request, checkpoint)
