"""Searching cards: folded cards that hide sorted numbers behind animals, and a sheet for the leader of the game."""

from __future__ import annotations

from resources.drawing import CUT, Box, Stroke, Surface
from resources.drawing.box import Point
from resources.drawing.document import Document
from resources.drawing.text_sheet import set_sheet
from resources.language import N_
from resources.options import Choice, Choices, Flag
from resources.resource import Resource

ANIMALS = (
    "cat", "bear", "rabbit", "pig", "sheep", "elephant", "cow", "monkey", "duck", "mouse", "dog", "lion",
)  # fmt: skip
MARKS = ("", "bow-tie", "medal")  # what an animal wears the first, second and third time
CARDS_PER_PAGE = 4
MAX_NUMBER_SIZE = 38.0  # mm; all numbers of a set have the same size
CARDS_PER_ROW = 16  # on the helper sheet
ROW_HEIGHT = 19.0  # mm, of a row of cards on the helper sheet
FIRST_STEPS = 3  # of a binary search, which the helper sheet marks


def numbers(document: Document, choices: Choices) -> list[int]:
    """Return the sorted numbers of one copy, or an empty list for blank cards."""
    count, maximum = choices.number("number_cards"), choices.text("max_number")
    if maximum == "blank":
        return []
    if maximum == "cards":
        return list(range(1, count + 1))
    return sorted(document.random.sample(range(1, int(maximum) + 1), count))


def draw(document: Document, choices: Choices) -> None:
    """Draw the cards, four per page, and the helper sheet."""
    values, count = numbers(document, choices), choices.number("number_cards")
    for first in range(0, count, CARDS_PER_PAGE):
        with document.page() as page:
            cards = page.area.columns(CARDS_PER_PAGE)[: count - first]
            page.cut_lines(cards)
            width = cards[0].inset(6, 0).width
            size = min([MAX_NUMBER_SIZE, *(width / page.text_width(str(value), 1, role="hand") for value in values)])
            for i, card in enumerate(cards, first):
                _draw_card(page, card, i, str(values[i]) if values else "", size)
    if choices.flag("help_sheet"):
        _draw_help(document, values, count)


def _draw_card(page: Surface, card: Box, index: int, number: str, size: float) -> None:
    upper, lower = card.rows(2)
    if number:
        page.heading(upper.inset(5, 15), number, size)
    page.fold_line((card.x, lower.y), (card.right, lower.y))
    animal, mark = figure_of(index)
    place = lower.inset(6).fitted(1)
    page.artwork(f"animals/{animal}", place)
    if mark:
        middle = (place.bottom + lower.bottom) / 2
        page.artwork(f"marks/{mark}", Box(place.x, middle - 9, place.width, 16))


def figure_of(index: int) -> tuple[str, str]:
    """Return the animal on a card and what it wears ("" for nothing). No two cards of a set are the same."""
    repetition, animal = divmod(index, len(ANIMALS))
    return ANIMALS[animal], MARKS[repetition]


def _draw_help(document: Document, values: list[int], count: int) -> None:
    blocks = document.sheet("searching_cards", count=count, numbers=values)
    with document.page() as page:
        title, rest = page.area.inset(4).split_top(14)
        page.heading(title, document.translate(N_("Helper sheet: which card comes next?")), 9, align="left")
        table, text = rest.split_top(ROW_HEIGHT * (count // CARDS_PER_ROW + 1) + 4)
        _draw_table(page, table, values, count)
        set_sheet(page, text, blocks, 6)


def _draw_table(page: Surface, area: Box, values: list[int], count: int) -> None:
    """Draw the cards in rows. Those that a binary search may look at first are marked with the step."""
    steps = search_steps(count)
    for row, line in enumerate(area.rows(count // CARDS_PER_ROW + 1)):
        first = row * CARDS_PER_ROW
        indices = range(first, min(first + CARDS_PER_ROW, count))
        for i, cell in zip(indices, line.columns(CARDS_PER_ROW), strict=False):
            box = Box(cell.x + 0.6, cell.y + 4, cell.width - 1.2, 12)
            page.rectangle(box, None, Stroke(width=0.9) if i in steps else CUT, radius=1.5)
            page.text(box.inset(1), str(values[i]) if values else "", 7, role="hand")
            if i in steps:
                _draw_mark(page, (box.centre[0], box.y), steps[i])


def _draw_mark(page: Surface, centre: Point, step: int) -> None:
    page.circle(centre, 2.8, "#ffffff")
    page.text(Box(centre[0] - 2.4, centre[1] - 2.4, 4.8, 4.8), str(step), 4, role="strong")


def search_steps(count: int) -> dict[int, int]:
    """Return the cards that a binary search may look at in its first steps: position → step, counted from 1."""
    steps: dict[int, int] = {}

    def halve(low: int, high: int, step: int) -> None:
        if low >= high or step > FIRST_STEPS:
            return
        middle = (low + high - 1) // 2
        steps[middle] = step
        halve(low, middle, step + 1)
        halve(middle + 1, high, step + 1)

    halve(0, count, 1)
    return steps


def pages(choices: Choices) -> int:
    """Return the number of pages of one copy: cards and helper sheet."""
    return -(-choices.number("number_cards") // CARDS_PER_PAGE) + (1 if choices.flag("help_sheet") else 0)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the number of cards, the range, whether there is a helper sheet, and the paper size."""
    count, maximum = choices.text("number_cards"), choices.text("max_number")
    span = "blank" if maximum == "blank" else f"1 to {count if maximum == 'cards' else maximum}"
    return f"{count} cards - {span} - {'with' if choices.flag('help_sheet') else 'without'} helper sheet - {paper}"


RESOURCE = Resource(
    view="searching_cards",
    name=N_("Searching Cards"),
    summary=N_("Fold cards that hide sorted numbers, to find out how few guesses a good search needs."),
    options=(
        Choice("number_cards", N_("Number of cards"), {15: "15", 31: "31"}, 15),
        Choice(
            "max_number",
            N_("Numbers"),
            {
                "cards": N_("1 to the number of cards"),
                99: N_("1 to 99"),
                999: N_("1 to 999"),
                "blank": N_("None: write your own"),
            },
            "cards",
        ),
        Flag("help_sheet", N_("With helper sheet"), True),
    ),
    subtitle=subtitle,
    pages=pages,
    draw=draw,
    orientation="landscape",
)
