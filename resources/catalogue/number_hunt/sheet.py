"""Number hunt, a game for two: guess where the opponent's number is, in a sorted or an unsorted list."""

from __future__ import annotations

from resources.catalogue.number_hunt.symbols import COUNT, draw_symbol
from resources.drawing import GREY, OUTLINE, Box, Stroke, Surface
from resources.drawing.document import Document
from resources.drawing.text_sheet import set_sheet
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

HIGHEST = {"easy": 99, "medium": 999, "hard": 9999}
SIDE_WIDTH = 46.0  # mm of each column of boxes
TITLE_HEIGHT = 9.0  # mm


def numbers(document: Document, choices: Choices) -> list[str]:
    """Return the numbers of one copy as texts, in the order in which they are printed, or empty texts for blank."""
    highest = HIGHEST.get(choices.text("prefilled_values"))
    if highest is None:
        return [""] * COUNT
    drawn = document.random.sample(range(highest + 1), COUNT)
    return [str(number) for number in (sorted(drawn) if choices.text("number_order") == "sorted" else drawn)]


def draw(document: Document, choices: Choices) -> None:
    """Draw my boxes on the left, the opponent's on the right, and the rules between them."""
    values = numbers(document, choices)
    with document.page() as page:
        left, rest = page.area.split_left(SIDE_WIDTH)
        middle, right = rest.split_left(rest.width - SIDE_WIDTH)
        _draw_boxes(page, left, document.translate(N_("My boxes")), values)
        _draw_boxes(page, right, document.translate(N_("My opponent's boxes")), [""] * COUNT)
        title, text = middle.inset(7, 0).split_top(20)
        page.heading(title, document.translate(N_("Number Hunt")), 11)
        blocks = document.sheet(
            "number_hunt",
            is_sorted=choices.text("number_order") == "sorted",
            filled=values[0],
        )
        used = set_sheet(page, text, blocks, 5.2)
        _draw_counters(page, Box(text.x, text.y + used + 6, text.width, 44))


def _draw_boxes(page: Surface, area: Box, title: str, values: list[str]) -> None:
    head, rest = area.split_top(TITLE_HEIGHT)
    page.text(head, title, 4.6, role="strong")
    for index, (row, value) in enumerate(zip(rest.rows(COUNT, gap=0.8), values, strict=True)):
        symbol, box = row.split_left(row.height * 1.5)
        draw_symbol(page, index, symbol.fitted(1).inset(0.9))
        page.rectangle(box, None, Stroke(width=0.3))
        if value:
            page.heading(box.inset(1), value, 6)


def _draw_counters(page: Surface, area: Box) -> None:
    """Draw boxes for the number to find and the number of guesses."""
    for row, words in zip(area.rows(2, gap=4), (N_("The number I look for"), N_("Guesses I needed")), strict=True):
        label, box = row.split_top(7)
        page.text(label, page.translate(words), 4.8, align="left", colour=GREY)
        page.rectangle(Box(box.x, box.y, box.width, 12), None, OUTLINE, radius=2)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the order, the range and the paper size."""
    highest = HIGHEST.get(choices.text("prefilled_values"))
    if highest is None:
        return f"blank - {paper}"
    return f"{choices.text('number_order').capitalize()} - 0 to {highest} - {paper}"


RESOURCE = Resource(
    view="number_hunt",
    name=N_("Number Hunt"),
    summary=N_("A game for two on searching: how many guesses does a sorted list save?"),
    options=(
        Choice(
            "prefilled_values",
            N_("Numbers"),
            {
                "easy": N_("Easy: 0 to 99"),
                "medium": N_("Medium: 0 to 999"),
                "hard": N_("Hard: 0 to 9999"),
                "blank": N_("None: write your own"),
            },
            "easy",
        ),
        Choice("number_order", N_("Order"), {"sorted": N_("Sorted"), "unsorted": N_("Unsorted")}, "sorted"),
    ),
    subtitle=subtitle,
    pages=lambda choices: 1,
    draw=draw,
)
