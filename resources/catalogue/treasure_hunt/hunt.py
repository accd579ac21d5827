"""Treasure hunt, a game for two with 26 chests each: name the opponent's chests by letter until the loot is found."""

from __future__ import annotations

from resources.catalogue.treasure_hunt.example import draw_example
from resources.catalogue.treasure_hunt.sheet import HEIGHT, LETTERS, WIDTH, draw_sheet
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices, Flag
from resources.resource import Resource

HIGHEST = {"easy": 99, "medium": 999, "hard": 9999}


def numbers(document: Document, choices: Choices) -> list[str]:
    """Return the numbers of one copy as texts, chest A first, or empty texts for blank chests."""
    highest = HIGHEST.get(choices.text("prefilled_values"))
    if highest is None:
        return [""] * len(LETTERS)
    drawn = document.random.sample(range(highest + 1), len(LETTERS))
    return [str(number) for number in (sorted(drawn) if choices.text("number_order") == "sorted" else drawn)]


def draw(document: Document, choices: Choices) -> None:
    """Draw the sheet and, if chosen, a worked example of a game."""
    is_sorted, in_colour = choices.text("number_order") == "sorted", choices.text("art") == "colour"
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as design:
        draw_sheet(design, numbers(document, choices), is_sorted=is_sorted, in_colour=in_colour)
    if choices.flag("instructions"):
        draw_example(document, is_sorted=is_sorted)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the order and range, the art, whether there are instructions, and the paper size."""
    highest = HIGHEST.get(choices.text("prefilled_values"))
    order = choices.text("number_order").capitalize()
    return " - ".join(
        (
            "blank" if highest is None else f"{order} - 0 to {highest}",
            "full colour" if choices.text("art") == "colour" else "black and white",
            f"{'with' if choices.flag('instructions') else 'without'} instructions",
            paper,
        )
    )


RESOURCE = Resource(
    view="treasure_hunt",
    name=N_("Treasure Hunt"),
    summary=N_("The hidden pirate loot: a game for two on searching, in chests that are sorted or are not."),
    options=(
        Choice(
            "prefilled_values",
            N_("Numbers"),
            {
                "blank": N_("None: write your own"),
                "easy": N_("Easy: 0 to 99"),
                "medium": N_("Medium: 0 to 999"),
                "hard": N_("Hard: 0 to 9999"),
            },
            "easy",
        ),
        Choice("number_order", N_("Order"), {"sorted": N_("Sorted"), "unsorted": N_("Unsorted")}, "sorted"),
        Flag("instructions", N_("With instructions"), False),
        Choice(
            "art", N_("Art"), {"colour": N_("A treasure map in colour"), "bw": N_("Plain black and white")}, "colour"
        ),
    ),
    subtitle=subtitle,
    pages=lambda choices: 2 if choices.flag("instructions") else 1,
    draw=draw,
)
