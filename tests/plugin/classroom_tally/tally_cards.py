"""Tally cards: numbers as tally marks, to cut out, to match and to sort."""

from __future__ import annotations

from pathlib import Path as FilePath

from classroom_tally.marks import tally
from resources.drawing import Box, Stroke, Surface
from resources.drawing.document import Document
from resources.drawing.text_sheet import set_sheet
from resources.language import N_
from resources.options import Choice, Choices, Flag
from resources.resource import Resource

COLUMNS, ROWS = 2, 4
CARDS = COLUMNS * ROWS
MARK = Stroke(width=1.6)


def numbers(document: Document, choices: Choices) -> list[int]:
    """Return the numbers of one copy: all different, and other ones on each copy."""
    return document.random.sample(range(1, choices.number("highest") + 1), CARDS)


def draw(document: Document, choices: Choices) -> None:
    """Draw eight cards and, if wanted, a page that explains how to read them."""
    with document.page() as page:
        cards = page.area.grid(COLUMNS, ROWS)
        page.cut_lines(cards)
        for number, card in zip(numbers(document, choices), cards, strict=True):
            _draw_card(page, card.inset(6), number, with_digits=choices.flag("digits"))
    if choices.flag("instructions"):
        _draw_instructions(document)


def _draw_card(page: Surface, card: Box, number: int, *, with_digits: bool) -> None:
    digits, marks = card.split_top(14) if with_digits else (None, card)
    description = page.translate(N_("{number} as tally marks")).format(number=number)
    with page.figure(description):
        page.paint(tally(number, marks.inset(2)), None, MARK)
    if digits is not None:
        page.heading(digits, str(number), 10)


def _draw_instructions(document: Document) -> None:
    with document.page() as page:
        title, rest = page.area.inset(8).split_top(20)
        page.heading(title, document.translate(N_("Counting in fives")), 12)
        picture, text = rest.split_top(70)
        page.artwork("abacus", picture)
        set_sheet(page, text.inset(0, 8), document.sheet("tally_cards", group=5), 6)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the range, the variant and the paper."""
    return f"1 to {choices.number('highest')} - {'with' if choices.flag('digits') else 'without'} digits - {paper}"


RESOURCE = Resource(
    view="tally_cards",
    name=N_("Tally Cards"),
    summary=N_("Numbers as tally marks: cards to match, to sort and to count in fives."),
    options=(
        Choice("highest", N_("Largest number"), {10: "10", 20: "20", 50: "50"}, 20),
        Flag("digits", N_("With digits"), False),
        Flag("instructions", N_("With instructions"), True, required=False),
    ),
    subtitle=subtitle,
    pages=lambda choices: 2 if choices.flag("instructions") else 1,
    draw=draw,
    showcase={"digits": True},
    folder=FilePath(__file__).parent,
)
