"""Arrow cards to cut out and lay in a row as a program: a walk across a grid on the floor."""

from __future__ import annotations

from resources.drawing import Path, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choices
from resources.resource import Resource

COLUMNS, ROWS = 8, 5
WIDTH, HEIGHT = 24.0, 32.0  # mm of a card, before scaling to the paper
LINE = Stroke(width=2.2)
HEAD = 6.5


def draw(document: Document, choices: Choices) -> None:
    """Draw one row of right turns, one of left turns, and three of steps straight on."""
    turn = document.symbol("turn", WIDTH, HEIGHT, _draw_turn, document.translate(N_("An arrow up, then to the right")))
    step = document.symbol("step", WIDTH, HEIGHT, _draw_step, document.translate(N_("An arrow straight up")))
    with document.page() as page, page.part(page.area, COLUMNS * WIDTH, ROWS * HEIGHT) as sheet:
        rows = sheet.area.rows(ROWS)
        for number, row in enumerate(rows):
            cells = row.columns(COLUMNS)
            with sheet.figure(_description(document, number)):
                for cell in cells:
                    sheet.place(turn if number < 2 else step, cell, mirrored=number == 1)
        sheet.cut_lines(sheet.area.grid(COLUMNS, ROWS))


def _description(document: Document, row: int) -> str:
    turns = (N_("Eight arrows that turn right"), N_("Eight arrows that turn left"))
    return document.translate(turns[row] if row < 2 else N_("Eight arrows straight on"))


def _draw_turn(card: Surface) -> None:
    path = Path().rounded_line([(7, 24.5), (7, 11), (19, 11)], 3)
    card.arrow(path, LINE, HEAD, before=(7, 11))


def _draw_step(card: Surface) -> None:
    card.arrow(Path().polyline([(12, 25.5), (12, 6.5)]), LINE, HEAD, before=(12, 25.5))


RESOURCE = Resource(
    view="arrows",
    name=N_("Arrows"),
    summary=N_("Arrow cards for a first program: turn right, turn left, walk straight on."),
    options=(),
    subtitle=lambda choices, paper: paper,
    pages=lambda choices: 1,
    draw=draw,
)
