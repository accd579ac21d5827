"""The sheet of the treasure hunt: my chests on the left, rows for the opponent's on the right, a map behind them."""

from __future__ import annotations

from dataclasses import dataclass

from resources.drawing import GREY, OUTLINE, WHITE, Box, Stroke, Surface
from resources.drawing.text_sheet import set_sheet
from resources.language import N_

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WIDTH, HEIGHT = 190.0, 249.0  # mm, before scaling to the paper
PANEL = Stroke(width=0.5)
TOP, BOTTOM = 7.0, 242.0  # y of the panels
MINE = Box(6, TOP, 60, BOTTOM - TOP)
THEIRS = Box(130, TOP, 54, BOTTOM - TOP)
TITLE = Box(71, TOP, 54, 29)
RULES = Box(71, 40, 54, 64)
HEAD, FOOT = 25.0, 14.0  # mm, heights of the top and bottom parts of a panel
PLATE = (0.11, 0.45, 0.78, 0.45)  # x, y, width and height on the figure of a chest, as parts of its width and height
SHIP = Box(79, 108, 38, 38)


@dataclass(frozen=True, slots=True)
class Layout:
    """The places on the sheet where numbers are written, in mm.

    chests: my chests with my numbers, A to Z.
    rows: a row for the number in each of the opponent's chests, A to Z.
    my_loot, their_loot: the number that the opponent looks for, and the one that I look for.
    their_guesses, my_guesses: the counts of guesses.
    """

    chests: tuple[Box, ...]
    rows: tuple[Box, ...]
    my_loot: Box
    their_loot: Box
    their_guesses: Box
    my_guesses: Box


def layout() -> Layout:
    """Return the layout of the sheet."""
    columns = MINE.inset(3, 0).split_top(HEAD)[1].split_top(MINE.height - HEAD - FOOT)[0].columns(2, gap=2)
    halves = [column.rows(len(LETTERS) // 2, gap=1.2) for column in columns]
    # Row by row, as one reads: B is to the right of A.
    chests = tuple(cell for pair in zip(*halves, strict=True) for cell in pair)
    rows = THEIRS.inset(3, 0).split_top(HEAD)[1].split_top(THEIRS.height - HEAD - FOOT)[0].rows(len(LETTERS))
    return Layout(
        chests,
        tuple(rows),
        my_loot=_box_at(MINE, MINE.y + 12),
        their_loot=_box_at(THEIRS, THEIRS.y + 12),
        their_guesses=_box_at(MINE, MINE.bottom - 11.5),
        my_guesses=_box_at(THEIRS, THEIRS.bottom - 11.5),
    )


def _box_at(panel: Box, y: float) -> Box:
    return Box(panel.right - 21, y, 18, 9.2)


def draw_sheet(page: Surface, values: list[str], *, is_sorted: bool, in_colour: bool) -> None:
    """Draw the sheet on a surface of WIDTH × HEIGHT mm; where a value is empty, a chest is left blank."""
    translate, places = page.translate, layout()
    if in_colour:
        page.artwork("treasure/map", page.area)
    page.artwork("treasure/ship", SHIP, plain=not in_colour)
    for panel in (MINE, THEIRS, TITLE, RULES):
        page.rectangle(panel, WHITE, PANEL, radius=3)
    title, order = TITLE.inset(2.5, 2).split_top(18)
    first, second = title.rows(2)
    page.heading(first, translate(N_("The hidden")), 9)
    page.heading(second, translate(N_("pirate loot")), 9)
    page.text(order, translate(N_("Sorted numbers") if is_sorted else N_("Unsorted numbers")), 4, colour=GREY)
    rules = page.sheet("treasure_hunt", is_sorted=is_sorted, filled=bool(values[0]))
    set_sheet(page, RULES.inset(3.5, 3), rules, 4.1)
    _draw_frame(page, MINE, (N_("My treasure chests"), N_("My opponent looks for"), N_("My opponent's guesses")))
    _draw_frame(page, THEIRS, (N_("My opponent's chests"), N_("I look for"), N_("My guesses")))
    for box in (places.my_loot, places.their_loot, places.their_guesses, places.my_guesses):
        page.rectangle(box, None, OUTLINE, radius=1.5)
    _draw_chests(page, places.chests, values, in_colour=in_colour)
    for letter, row in zip(LETTERS, places.rows, strict=True):
        label, box = row.split_left(9)
        page.text(label, letter, 5, role="strong")
        page.rectangle(box, None, Stroke(width=0.3))


def _draw_frame(page: Surface, panel: Box, words: tuple[str, str, str]) -> None:
    title, loot, guesses = (page.translate(word) for word in words)
    page.heading(Box(panel.x + 2, panel.y + 1.5, panel.width - 4, 9), title, 6)
    room = panel.width - 27
    page.paragraph(Box(panel.x + 4, panel.y + 11.5, room, 11), loot, 3.9, middle=True)
    page.paragraph(Box(panel.x + 4, panel.bottom - 12, room, 10), guesses, 3.9, middle=True)


def _draw_chests(page: Surface, chests: tuple[Box, ...], values: list[str], *, in_colour: bool) -> None:
    chest = page.artwork_symbol("treasure/chest", plain=not in_colour)
    with page.figure(page.translate(N_("26 treasure chests, A to Z"))):
        for cell in chests:
            page.place(chest, _chest_of(cell))
    for letter, value, cell in zip(LETTERS, values, chests, strict=True):
        page.text(cell.split_left(5)[0], letter, 5, role="strong")
        if value:
            page.text(plate_of(cell), value, 6, role="hand")


def _chest_of(cell: Box) -> Box:
    return cell.split_left(5)[1].fitted(100 / 60)


def plate_of(cell: Box) -> Box:
    """Return the box of the number on a chest, given the box of the chest and its letter."""
    chest = _chest_of(cell)
    x, y, width, height = PLATE
    return Box(chest.x + x * chest.width, chest.y + y * chest.height, width * chest.width, height * chest.height)
