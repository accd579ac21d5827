"""Small binary cards, four per page, with 1 to 2048 dots, optionally with their number and black backs."""

from __future__ import annotations

from resources.drawing import BLACK, Box, Surface
from resources.drawing.document import Document
from resources.drawing.dot_grid import grid_of
from resources.language import N_
from resources.options import Choice, Choices, Flag
from resources.resource import Resource

CARDS_PER_PAGE = 4
COUNT_HEIGHT = 22.0  # mm at the lower end of a card


def draw(document: Document, choices: Choices) -> None:
    """Draw the cards in order of their dots, each page followed by its backs."""
    bits = choices.number("number_bits")
    for first in range(0, bits, CARDS_PER_PAGE):
        with document.page() as page:
            cards = page.area.grid(2, 2)
            for bit, card in enumerate(cards, first):
                _draw_card(page, card, 2**bit, choices.flag("dot_counts"))
            page.cut_lines(cards)
        if choices.flag("black_back"):
            with document.page(back=True) as page:
                with page.figure(document.translate(N_("The backs of the cards: black"))):
                    page.rectangle(document.behind(page.area), BLACK, None)
                page.cut_lines(document.behind(card) for card in cards)


def _draw_card(page: Surface, card: Box, dots: int, with_count: bool) -> None:
    inner = card.inset(9)
    if with_count:
        inner = Box(inner.x, inner.y, inner.width, inner.height - COUNT_HEIGHT)
        page.heading(Box(inner.x, inner.bottom + 4, inner.width, COUNT_HEIGHT - 6), str(dots), 20)
    columns, rows = grid_of(dots)
    pitch = min(inner.width / columns, inner.height / rows, 30)
    cells = inner.centred(pitch * columns, pitch * rows).grid(columns, rows)
    with page.figure(page.translate(N_("{dots} dots")).format(dots=dots)):
        page.dots((cell.centre for cell in cells), pitch * 0.38)


def pages(choices: Choices) -> int:
    """Return the number of pages of one copy."""
    return choices.number("number_bits") // CARDS_PER_PAGE * (2 if choices.flag("black_back") else 1)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the number of bits, whether there are counts and black backs, and the paper size."""
    counts = "with" if choices.flag("dot_counts") else "without"
    back = "with" if choices.flag("black_back") else "without"
    return f"{choices['number_bits']} bits - {counts} dot counts - {back} black back - {paper}"


RESOURCE = Resource(
    view="binary_cards_small",
    name=N_("Binary Cards (small)"),
    summary=N_("A set of binary cards for each pupil, with 1 to 2048 dots."),
    options=(
        Choice("number_bits", N_("Cards (bits)"), {4: "4", 8: "8", 12: "12"}, 4),
        Flag("dot_counts", N_("Show the number of dots"), True),
        Flag("black_back", N_("Black backs"), False),
    ),
    subtitle=subtitle,
    pages=pages,
    draw=draw,
)
