"""Fold-over cards that say LEFT and RIGHT, for a wrist each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.drawing import BLUE, ORANGE, Box, Path, Stroke, Surface
from resources.language import N_
from resources.options import Choices
from resources.resource import Resource

if TYPE_CHECKING:
    from resources.drawing.document import Document

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
            page.heading(face.inset(8, 4), left if is_left else right, 17)
            _draw_arrow(page, flap, is_left)


def _draw_arrow(page: Surface, box: Box, is_left: bool) -> None:
    """An arrow on the flap: seen on the card's back when it is folded over, it still points the right way."""
    x, y = box.centre
    way = -1 if is_left else 1
    stroke = Stroke(BLUE if is_left else ORANGE, 1.6, () if is_left else (4, 2.5))
    description = N_("An arrow to the left") if is_left else N_("A dashed arrow to the right")
    with page.figure(page.document.translate(description)):
        page.arrow(Path().polyline([(x - way * 18, y), (x + way * 18, y)]), stroke, 6, before=(x - way * 18, y))


RESOURCE = Resource(
    view="left_right_cards",
    name=N_("Left and Right Cards"),
    summary=N_("Cards to fold over that say which way is left and which is right."),
    options=(),
    subtitle=lambda choices, paper: paper,
    pages=lambda choices: 1,
    draw=draw,
)
