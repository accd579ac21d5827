"""A table of numbers, their binary digits and letters. In the pupils' version, the binary column is blank."""

from __future__ import annotations

from resources.drawing import LIGHT_GREY, OUTLINE, Box, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BITS = 5
BLOCKS = 3
ROWS = len(LETTERS) // BLOCKS
COLUMN_WIDTHS = (0.26, 0.5, 0.24)  # as parts of a block's width
TITLE_HEIGHT = 16.0  # mm


def draw(document: Document, choices: Choices) -> None:
    """Draw the table in three blocks of nine rows."""
    filled = choices.text("worksheet_version") == "teacher"
    with document.page() as page:
        title, rest = page.area.split_top(TITLE_HEIGHT)
        page.heading(title, document.translate(N_("Binary to alphabet")), 10)
        for number, block in enumerate(rest.columns(BLOCKS, gap=7)):
            _draw_block(page, block, range(number * ROWS, (number + 1) * ROWS), filled)


def _draw_block(page: Surface, block: Box, values: range, filled: bool) -> None:
    heads = [page.translate(text) for text in (N_("Base 10"), N_("Binary"), N_("Letter"))]
    rows = block.rows(ROWS + 1)
    page.rectangle(rows[0], LIGHT_GREY, None)
    for row, value in zip(rows, (None, *values), strict=True):
        cells, x = [], row.x
        for part in COLUMN_WIDTHS:
            cells.append(Box(x, row.y, row.width * part, row.height))
            x += row.width * part
        if value is None:
            for cell, head in zip(cells, heads, strict=True):
                page.text(cell.inset(1.5), head, 4.6, role="strong")
        else:
            letter = page.translate(N_("space")) if LETTERS[value] == " " else LETTERS[value]
            page.heading(cells[0].inset(2), str(value), 8)
            page.heading(cells[2].inset(2), letter, 8 if len(letter) == 1 else 5)
            if filled:
                page.heading(cells[1].inset(2), f"{value:0{BITS}b}", 8)
        for cell in cells:
            page.rectangle(cell, None, Stroke(width=0.25))
    page.rectangle(block, None, OUTLINE)


RESOURCE = Resource(
    view="binary_to_alphabet",
    name=N_("Binary to Alphabet"),
    summary=N_("The key to secret messages: each letter has a number, each number its binary digits."),
    options=(
        Choice(
            "worksheet_version",
            N_("Version"),
            {"student": N_("For pupils, binary left blank"), "teacher": N_("For teachers, filled in")},
            "student",
        ),
    ),
    subtitle=lambda choices, paper: f"{choices.text('worksheet_version')} - {paper}",
    pages=lambda choices: 1,
    draw=draw,
    orientation="landscape",
)
