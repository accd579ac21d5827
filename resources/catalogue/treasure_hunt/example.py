"""How to play the treasure hunt: the sheet at the end of a game, with callouts around it."""

from __future__ import annotations

from collections.abc import Sequence

from resources.catalogue.treasure_hunt.sheet import HEIGHT, LETTERS, MINE, WIDTH, draw_sheet, layout, plate_of
from resources.drawing import BLUE, ORANGE, WHITE, Box, Path, Point, Stroke, Surface
from resources.drawing.document import Document
from resources.drawing.text_sheet import set_sheet
from resources.language import N_

NUMBERS = (
    2, 5, 9, 12, 17, 20, 23, 28, 31, 36, 40, 43, 48, 52, 55, 59, 64, 66, 71, 75, 79, 83, 86, 90, 94, 97,
)  # fmt: skip
STRIDE = 7  # coprime with 26, so that it takes each number once, out of order
OPPONENT_GUESSES = "MGI"  # letters of my chests that the opponent named; the last contains the loot
# Letters of the opponent's chests that I named and the numbers in them, by whether the chests are sorted.
MY_GUESSES = {True: (("M", "47"), ("T", "71"), ("Q", "58")), False: (("M", "47"), ("T", "12"), ("Q", "58"))}

SCALE = 0.58
SHEET = Box((WIDTH - WIDTH * SCALE) / 2, 20, WIDTH * SCALE, HEIGHT * SCALE)  # place of the small sheet, mm
CALLOUT_WIDTH = 36.0
TEXT_SIZE = 3.8
PEN = Stroke(BLUE, 0.9)
LEADER = Stroke(ORANGE, 0.5, (1.4, 1.2))


def example_numbers(*, is_sorted: bool) -> list[str]:
    """Return the numbers in the chests of the example as texts, chest A first."""
    count = len(NUMBERS)
    return [str(NUMBERS[i if is_sorted else i * STRIDE % count]) for i in range(count)]


def draw_example(document: Document, *, is_sorted: bool) -> None:
    """Draw the page with instructions."""
    values = example_numbers(is_sorted=is_sorted)
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as design:
        design.heading(Box(0, 0, WIDTH, 15), document.translate(N_("How the pirate loot is found")), 9)
        with design.part(SHEET, WIDTH, HEIGHT) as small:
            small.rectangle(small.area, None, Stroke(width=0.6), radius=4)
            draw_sheet(small, values, is_sorted=is_sorted, in_colour=False)
            _write_game(small, values, MY_GUESSES[is_sorted])
        _draw_callouts(design, is_sorted=is_sorted)
        words = design.sheet("treasure_hunt_example", is_sorted=is_sorted)
        below = Box(0, SHEET.bottom + 8, WIDTH, HEIGHT - SHEET.bottom - 8)
        set_sheet(design, below.inset(4, 0), words, 5)


def _write_game(small: Surface, values: list[str], guesses: Sequence[tuple[str, str]]) -> None:
    """Write the entries that the players have made by hand."""
    places = layout()
    written = {
        places.my_loot: values[LETTERS.index(OPPONENT_GUESSES[-1])],
        places.their_loot: guesses[-1][1],
        places.their_guesses: str(len(OPPONENT_GUESSES)),
        places.my_guesses: str(len(guesses)),
    }
    for letter, number in guesses:
        written[places.rows[LETTERS.index(letter)].split_left(9)[1]] = number
    for box, number in written.items():
        small.text(box.inset(1), number, 7, role="hand", colour=PEN.colour)
    for letter in OPPONENT_GUESSES:
        small.rectangle(plate_of(places.chests[LETTERS.index(letter)]).inset(-0.8), None, PEN, radius=2.5)
    small.rectangle(_found(places.rows, guesses), None, PEN, radius=3)


def _found(rows: Sequence[Box], guesses: Sequence[tuple[str, str]]) -> Box:
    return rows[LETTERS.index(guesses[-1][0])].split_left(9)[1].inset(-0.4, 0.4)


def _draw_callouts(design: Surface, *, is_sorted: bool) -> None:
    places, translate = layout(), design.translate
    rule = N_("I name a letter, and write the number I am told into its row.")
    conclusion = (
        N_("47 is too small: the loot is further down.") if is_sorted else N_("It tells nothing about the others.")
    )
    # y on the page in mm, text, target of the callout.
    mine = (
        (22, N_("I choose one of my numbers as the loot, and tell it, but not its letter."), places.my_loot),
        (56, N_("These are my numbers. Nobody else may see them."), places.chests[6]),
        (84, N_("When my opponent names a letter, I tell the number and mark the chest."), places.chests[12]),
        (134, N_("I count how many guesses my opponent needs."), places.their_guesses),
    )
    theirs = (
        (22, N_("My opponent tells me which number I have to find."), places.their_loot),
        (54, f"{translate(rule)} {translate(conclusion)}", places.rows[LETTERS.index(MY_GUESSES[is_sorted][0][0])]),
        (104, N_("Found! That was my third guess."), _found(places.rows, MY_GUESSES[is_sorted])),
        (134, N_("Whoever needs fewer guesses wins."), places.my_guesses),
    )
    for number, (y, words, target) in enumerate((*mine, *theirs), 1):
        is_mine = number <= len(mine)
        x = 0.0 if is_mine else WIDTH - CALLOUT_WIDTH
        # The callouts on the left point to the left edge of the whole panel of chests.
        edge = MINE.x if is_mine else target.right
        tip = (SHEET.x + edge * SCALE, SHEET.y + target.centre[1] * SCALE)
        _draw_callout(design, (x, y), number, translate(words), tip)


def _draw_callout(design: Surface, corner: Point, number: int, words: str, tip: Point) -> None:
    x, y = corner
    room = Box(x + 2.5, y + 2, CALLOUT_WIDTH - 5, 60)
    text = f"{number}. {words}"
    height = design.paragraph(room, text, TEXT_SIZE) + 4
    box = Box(x, y, CALLOUT_WIDTH, height)
    side = box.right if tip[0] > box.right else box.x
    bend = (side + tip[0]) / 2
    middle = min(max(tip[1], box.y + 3), box.bottom - 3)
    with design.decoration():
        design.rectangle(box, None, Stroke(ORANGE, 0.5), radius=2)
        design.paint(Path().rounded_line([(side, middle), (bend, middle), (bend, tip[1]), tip], 2), None, LEADER)
        design.circle(tip, 0.9, WHITE, Stroke(ORANGE, 0.5))
