"""Binary windows: flaps to fold up over dots, which show the bits of a number."""

from __future__ import annotations

from resources.drawing import Box, Surface
from resources.drawing.document import Document
from resources.drawing.dot_grid import grid_of
from resources.language import N_
from resources.options import Choice, Choices, Flag
from resources.resource import Resource

WINDOWS_PER_SHEET = {4: 4, 5: 5, 6: 6, 8: 4}  # by number of bits
MARGIN = 6.0  # mm around the dots
COUNT_HEIGHT = 14.0


def draw(document: Document, choices: Choices) -> None:
    """Draw the sheets, the most significant bit first, each followed by its back."""
    bits = choices.number("number_bits")
    per_sheet = WINDOWS_PER_SHEET[bits]
    lit = choices.text("value_type") == "lightbulb"
    for first in range(bits - 1, -1, -per_sheet):
        values = [2**bit for bit in range(first, first - per_sheet, -1)]
        with document.page() as page:
            columns = page.area.columns(per_sheet)
            for column, value in zip(columns, values, strict=True):
                upper, flap = column.rows(2)
                _draw_dots(page, upper, value, choices.flag("dot_counts"))
                _draw_bit(page, flap, 1, lit)
                page.fold_line((flap.x, flap.y), (flap.right, flap.y))
            page.cut_lines([page.area, *(column.rows(2)[1] for column in columns)])
            page.fold_line((page.area.x, page.area.centre[1]), (page.area.right, page.area.centre[1]))
        with document.page(back=True) as page:
            for column in columns:
                # The back of a flap is seen when it is folded up, so it is drawn upside down.
                _draw_bit(page, document.behind(column.rows(2)[1]), 0, lit, rotation=180)


def _draw_dots(page: Surface, box: Box, dots: int, with_count: bool) -> None:
    inner = box.inset(MARGIN)
    if with_count:
        page.heading(Box(inner.x, inner.bottom - COUNT_HEIGHT + 3, inner.width, COUNT_HEIGHT - 3), str(dots), 13)
        inner = Box(inner.x, inner.y, inner.width, inner.height - COUNT_HEIGHT)
    columns, rows = grid_of(dots)
    pitch = min(inner.width / columns, inner.height / rows, 18)
    cells = inner.centred(pitch * columns, pitch * rows).grid(columns, rows)
    with page.figure(page.translate(N_("{dots} dots")).format(dots=dots)):
        page.dots((cell.centre for cell in cells), pitch * 0.38)


def _draw_bit(page: Surface, box: Box, bit: int, lit: bool, *, rotation: float = 0) -> None:
    inner = box.inset(5, 8)
    if lit:
        page.artwork("bulbs/lit" if bit else "bulbs/unlit", inner, rotation=rotation)
    else:
        with page.part(inner, rotation=rotation) as part:
            part.heading(part.area, str(bit), 55)


def pages(choices: Choices) -> int:
    """Return the number of pages of one copy: the front and back of each sheet."""
    bits = choices.number("number_bits")
    return 2 * (bits // WINDOWS_PER_SHEET[bits])


def subtitle(choices: Choices, paper: str) -> str:
    """Return the number of bits, the symbol of a bit, and whether there are dot counts."""
    counts = "with" if choices.flag("dot_counts") else "without"
    return f"{choices['number_bits']} bits - {choices['value_type']} - {counts} dot counts"


RESOURCE = Resource(
    view="binary_windows",
    name=N_("Binary Windows"),
    summary=N_("Flaps that hide dots when folded up: which must stay open to show a number?"),
    options=(
        Choice("number_bits", N_("Windows (bits)"), {4: "4", 5: "5", 6: "6", 8: "8"}, 4),
        Choice("value_type", N_("A bit is"), {"binary": N_("1 or 0"), "lightbulb": N_("A light bulb")}, "binary"),
        Flag("dot_counts", N_("Show the number of dots"), True),
    ),
    subtitle=subtitle,
    pages=pages,
    draw=draw,
    orientation="landscape",
    flip="short-edge",
)
