"""Cards with LEFT and RIGHT, to fold and wear on the wrists."""

from __future__ import annotations

from resources.drawing import BLUE, ORANGE, Box, Path, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choices
from resources.resource import Resource

COLUMNS, ROWS = 2, 4


def draw(document: Document, choices: Choices) -> None:
    """Draw four pairs of cards, with the word below the fold and an arrow in the same direction above it."""
    left, right = document.translate(N_("LEFT")), document.translate(N_("RIGHT"))
    with document.page() as page:
        cards = page.area.grid(COLUMNS, ROWS)
        page.cut_lines(cards)
        for index, card in enumerate(cards):
            is_left = index % COLUMNS == 0
            flap, face = card.split_top(card.height * 0.42)
            page.fold_line((flap.x, flap.bottom), (flap.right, flap.bottom))
            page.heading(face.inset(8, 4), left if is_left else right, 20)
            _draw_arrow(page, flap, is_left)


def _draw_arrow(page: Surface, box: Box, is_left: bool) -> None:
    """Draw the arrow on the flap, which still points in the right direction on the back of the folded card.

    The left arrow is filled and the right one hatched, so that they also differ in grey.
    """
    (x, y), direction = box.centre, -1 if is_left else 1
    outline = [(-26, -4.5), (6, -4.5), (6, -11), (26, 0), (6, 11), (6, 4.5), (-26, 4.5)]
    arrow = Path().polygon([(x + direction * dx, y + dy) for dx, dy in outline])
    description = N_("A full arrow to the left") if is_left else N_("A hatched arrow to the right")
    with page.figure(page.translate(description)):
        if is_left:
            page.paint(arrow, BLUE, Stroke(BLUE, 0.9))
        else:
            page.hatch(arrow, box, ORANGE, spacing=2.2)
            page.paint(arrow, None, Stroke(ORANGE, 0.9))


RESOURCE = Resource(
    view="left_right_cards",
    name=N_("Left and Right Cards"),
    summary=N_("Cards to fold over that say which way is left and which is right."),
    options=(),
    subtitle=lambda choices, paper: paper,
    pages=lambda choices: 1,
    draw=draw,
)
