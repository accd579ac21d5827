"""Binary cards: one card per page with 1 to 128 dots, optionally with their number and a black back."""

from __future__ import annotations

from resources.drawing import BLACK, OUTLINE, Box, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choices, Flag
from resources.resource import Resource

# The dots of each card: (columns, rows).
GRIDS = ((1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16))
CARD = Box(0, 0, 180, 240)  # mm, before scaling to the paper
NUMBER_HEIGHT = 34


def draw(document: Document, choices: Choices) -> None:
    """Draw the eight cards, each on a page, and their backs."""
    for columns, rows in GRIDS:
        with document.page() as page, page.part(page.area, CARD.width, CARD.height) as card:
            card.rectangle(card.area, radius=6)
            inner = card.area.inset(10)
            if choices.flag("display_numbers"):
                dots = Box(inner.x, inner.y, inner.width, inner.height - NUMBER_HEIGHT - 4)
                number = Box(inner.x, dots.bottom + 4, inner.width, NUMBER_HEIGHT)
                card.heading(number.inset(0, 5), str(columns * rows), 34)
            else:
                dots = inner
            _draw_dots(card, dots, columns, rows)
        if choices.flag("black_back"):
            with document.page(back=True) as page, page.part(page.area, CARD.width, CARD.height) as card:
                _draw_back(card)


def _draw_back(card: Surface) -> None:
    with card.figure(card.translate(N_("The back of the card: black"))):
        card.rectangle(card.area, BLACK, OUTLINE, radius=6)


def _draw_dots(card: Surface, area: Box, columns: int, rows: int) -> None:
    description = card.translate(N_("{dots} dots")).format(dots=columns * rows)
    pitch = min(area.width / columns, area.height / rows, 70)
    cells = area.centred(pitch * columns, pitch * rows).grid(columns, rows)
    with card.figure(description):
        card.dots((cell.centre for cell in cells), pitch * 0.38)


def subtitle(choices: Choices, paper: str) -> str:
    """Return whether there are numbers and black backs, and the paper size."""
    numbers = "with" if choices.flag("display_numbers") else "without"
    back = "with" if choices.flag("black_back") else "without"
    return f"{numbers} numbers - {back} black back - {paper}"


RESOURCE = Resource(
    view="binary_cards",
    name=N_("Binary Cards"),
    summary=N_("Eight large cards with 1 to 128 dots, to count and add in binary in front of a class."),
    options=(
        Flag("display_numbers", N_("Show the number of dots"), True),
        Flag("black_back", N_("Black backs"), False),
    ),
    subtitle=subtitle,
    pages=lambda choices: len(GRIDS) * (2 if choices.flag("black_back") else 1),
    draw=draw,
)
