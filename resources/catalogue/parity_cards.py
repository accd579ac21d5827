"""Parity cards: twenty squares to cut out, white on the front and coloured on the back, to show error detection."""

from __future__ import annotations

from resources.drawing import BLACK, CUT, Path, Stroke
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

COLUMNS, ROWS = 4, 5
COLOURS = {"black": BLACK, "blue": "#3366ff", "green": "#279f2d", "purple": "#6e3896", "red": "#cc0423"}


def draw(document: Document, choices: Choices) -> None:
    """Draw the fronts, and the backs in the same places."""
    side = min(document.paper.content_width / COLUMNS, document.paper.content_height / ROWS)
    with document.page() as page:
        sheet = page.area.centred(side * COLUMNS, side * ROWS)
        page.cut_lines(sheet.grid(COLUMNS, ROWS))
    colour = choices.text("back_colour")
    with document.page(back=True) as page:
        back = document.behind(sheet)
        with page.figure(document.translate(N_("The backs of the cards, in one colour"))):
            if document.ink_saver:
                for cell in back.grid(COLUMNS, ROWS):
                    page.hatch(Path().rectangle(cell), cell, COLOURS[colour], spacing=4)
            else:
                page.rectangle(back, COLOURS[colour], None)
        page.cut_lines(back.grid(COLUMNS, ROWS), CUT if document.ink_saver else Stroke("#ffffff", 0.15))


def subtitle(choices: Choices, paper: str) -> str:
    """Return the colour of the backs and the paper size."""
    return f"{choices.text('back_colour')} back - {paper}"


RESOURCE = Resource(
    view="parity_cards",
    name=N_("Parity Cards"),
    summary=N_("Two-sided cards for the magic trick that shows how computers find and mend errors."),
    options=(
        Choice(
            "back_colour",
            N_("Colour of the backs"),
            {
                "black": N_("Black"),
                "blue": N_("Blue"),
                "green": N_("Green"),
                "purple": N_("Purple"),
                "red": N_("Red"),
            },
            "black",
        ),
    ),
    subtitle=subtitle,
    pages=lambda choices: 2,
    draw=draw,
    flip="long-edge",
)
