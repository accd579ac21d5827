"""Fold-over cards that say LEFT and RIGHT, for a wrist each."""

from __future__ import annotations

from resources.drawing import BLUE, ORANGE, Box, Path, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choices
from resources.resource import Resource

COLUMNS, ROWS = 2, 4


def draw(document: Document, choices: Choices) -> None:
    """Draw four pairs of cards: the words below the fold, arrows that point the same way above it."""
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
    """An arrow on the flap: seen on the card's back when it is folded over, it still points the right way.

    Left is full and right is hatched, so that they differ in grey too.
    """
    (x, y), way = box.centre, -1 if is_left else 1
    outline = [(-26, -4.5), (6, -4.5), (6, -11), (26, 0), (6, 11), (6, 4.5), (-26, 4.5)]
    arrow = Path().polygon([(x + way * dx, y + dy) for dx, dy in outline])
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
