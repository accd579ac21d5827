"""An empty grid of squares, for a robot to walk on or to paint a picture in."""

from __future__ import annotations

from resources.drawing import OUTLINE
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choices
from resources.resource import Resource

SIDE = 8  # squares


def draw(document: Document, choices: Choices) -> None:
    """Draw the grid as large as the paper allows."""
    with document.page() as page:
        square = page.area.fitted(1)
        with page.figure(document.translate(N_("A grid of eight by eight squares"))):
            for i in range(SIDE + 1):
                offset = i * square.width / SIDE
                page.line((square.x + offset, square.y), (square.x + offset, square.bottom), stroke=OUTLINE)
                page.line((square.x, square.y + offset), (square.right, square.y + offset), stroke=OUTLINE)


RESOURCE = Resource(
    view="grid",
    name=N_("Grid"),
    summary=N_("Eight by eight squares, to move on by commands or to draw in."),
    options=(),
    subtitle=lambda choices, paper: paper,
    pages=lambda choices: 1,
    draw=draw,
)
