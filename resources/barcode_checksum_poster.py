"""How the last digit of a barcode is calculated, in three steps, on one poster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.drawing import BLUE, GREEN, INK, ORANGE, PINK, PURPLE, WHITE, Box, Path, Point, Stroke, Surface
from resources.language import N_
from resources.options import Choice, Choices, Digits, OptionError
from resources.resource import Resource

if TYPE_CHECKING:
    from resources.drawing.document import Document

EXAMPLES = {12: "75318295342", 13: "940054700987"}
WIDTH, HEIGHT = 180.0, 238.0  # mm of the design
BANDS = ((20.0, 76.0, "#fdeef5"), (100.0, 46.0, "#fdf6e3"), (150.0, 88.0, "#eef4fd"))
ODD, EVEN = ORANGE, BLUE
SIZE = 11.0  # mm, of the sums
DASHED = (1.8, 1.5)


@dataclass(frozen=True, slots=True)
class Sums:
    """The figures on the way to the check digit. `tripled` and `added` are last digits of the two sums."""

    odd: int
    even: int
    tripled: int
    added: int
    product: int
    total: int
    missing: int
    check_digit: int


def calculate(digits: str) -> Sums:
    """Return the figures for a code without its check digit: 11 digits (UPC-A) or 12 (EAN-13).

    Counted from the left, the odd digits of 11 weigh three times, the even digits of 12: in both codes
    it is every second digit before the check digit, beginning with its neighbour (ISO/IEC 15420).
    """
    odd, even = sum(map(int, digits[0::2])), sum(map(int, digits[1::2]))
    tripled, added = (odd % 10, even % 10) if len(digits) % 2 else (even % 10, odd % 10)
    product = 3 * tripled
    total = product % 10 + added
    missing = total % 10
    return Sums(odd, even, tripled, added, product, total, missing, (10 - missing) % 10)


def draw(document: Document, choices: Choices) -> None:
    """Draw the poster for the code of the user's own, or the example."""
    length = choices.number("barcode_length")
    digits = choices.text("barcode") or EXAMPLES[length]
    sums = calculate(digits)
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as poster:
        poster.heading(Box(0, 0, WIDTH, 16), document.translate(N_("The check digit of a barcode")), 11)
        titles = (N_("Separate"), N_("Operate"), N_("Calculate"))
        for (y, height, colour), title in zip(BANDS, titles, strict=True):
            poster.rectangle(Box(0, y, WIDTH, height), colour, None, radius=4)
            poster.heading(Box(5, y + 3, 60, 9), document.translate(title), 7, align="left")
        places = _draw_code(poster, digits)
        _draw_sums(poster, digits, sums, places)
        _draw_calculation(poster, sums, len(digits) % 2 == 1)


def _draw_code(poster: Surface, digits: str) -> list[Point]:
    """Draw the digits in two colours, arcs that join those of a kind, an empty square; returns their places."""
    pitch, y = 10.2, 62.0
    left = (WIDTH - pitch * (len(digits) + 1)) / 2 + pitch / 2
    places = [(left + i * pitch, y) for i in range(len(digits) + 1)]
    for i, digit in enumerate(digits):
        x = places[i][0]
        poster.heading(Box(x - 6, y - 9, 12, 18), digit, 15, colour=EVEN if i % 2 else ODD)
    x = places[-1][0] + 1
    poster.rectangle(Box(x - 4.5, y - 6.5, 9, 13), WHITE, Stroke(GREEN, 0.9), radius=1.5)
    for first, colour, way in ((0, ODD, 1), (1, EVEN, -1)):
        path = Path()
        for i in range(first, len(digits) - 2, 2):
            (a, _), (b, _) = places[i], places[i + 2]
            edge, peak = y + way * 8.5, y + way * 16
            path.move(a, edge).curve((a + 2, peak), (b - 2, peak), (b, edge))
        poster.paint(path, None, Stroke(colour, 0.5, DASHED))
    return places


def _draw_sums(poster: Surface, digits: str, sums: Sums, places: list[Point]) -> None:
    """Draw the two sums, each joined to the arcs of its digits."""
    for row, (first, colour, total) in enumerate(((0, ODD, sums.odd), (1, EVEN, sums.even))):
        y = 119.0 + row * 16
        text = " + ".join(digits[first::2]) + f" = {total}"
        poster.text(Box(44, y - 6, 130, 12), text, SIZE * 0.82, role="hand", align="left", colour=colour)
        # Odd digits: from below; even digits: from above, round the left side.
        arc_y = places[0][1] + (14.2 if first == 0 else -14.2)
        out = 36.0 if first == 0 else 14.0
        start = (places[first][0] + (places[2][0] - places[0][0]) / 2, arc_y)
        turn = 88.0 if first == 0 else 41.0
        points = [start, (start[0], turn), (out, turn), (out, y), (42.0, y)]
        poster.arrow(Path().rounded_line(points, 5), Stroke(colour, 0.6, DASHED), 2.6, before=(out, y))


def _draw_calculation(poster: Surface, sums: Sums, odd_weighs: bool) -> None:
    """Draw the four lines of the calculation; what goes on into the next is joined to it."""
    heavy, light = (ODD, EVEN) if odd_weighs else (EVEN, ODD)
    rows = [166.0, 185.0, 204.0, 223.0]
    lines: list[list[tuple[str, str]]] = [
        [("3", PURPLE), (" × ", INK), (str(sums.tripled), heavy), (" = ", INK), (str(sums.product), PINK)],
        [
            (str(sums.product % 10), PINK),
            (" + ", INK),
            (str(sums.added), light),
            (" = ", INK),
            (str(sums.total), PURPLE),
        ],
        [("□", GREEN), (" + ", INK), (str(sums.missing), PURPLE), (" = ", INK), ("10", INK)],
        [("□", GREEN), (" = ", INK), (str(sums.check_digit), GREEN)],
    ]
    hints = (
        N_("three times the last digit of the sum that weighs more"),
        N_("its last digit, and the last digit of the other sum"),
        N_("what is missing to 10?"),
        N_("that is the check digit (10 counts as 0)"),
    )
    for y, line, hint in zip(rows, lines, hints, strict=True):
        x = 30.0
        for text, colour in line:
            if text == "□":
                poster.rectangle(Box(x, y - 5, 7, 10), WHITE, Stroke(GREEN, 0.8), radius=1.2)
                x += 8
                continue
            size = SIZE
            width = poster.text_width(text, size, role="hand")
            poster.text(Box(x, y - 7, width + 0.1, 14), text, size, role="hand", align="left", colour=colour)
            x += width
        poster.text(Box(92, y - 4, 62, 8), poster.document.translate(hint), 3.4, align="left")
    # The check digit goes back to its place in the code.
    path = Path().rounded_line([(154, rows[3]), (173, rows[3]), (173, 62.0), (163, 62.0)], 6)
    poster.arrow(path, Stroke(GREEN, 0.6, DASHED), 2.6, before=(173, 62.0))
    for above, below, colour in ((rows[0], rows[1], PINK), (rows[1], rows[2], PURPLE)):
        poster.arrow(
            Path().rounded_line([(24, above), (18, above), (18, below), (26, below)], 4),
            Stroke(colour, 0.5, DASHED),
            2.4,
            before=(18, below),
        )


def check(choices: Choices) -> None:
    """Raise OptionError when the digits are not one fewer than the length."""
    length, digits = choices.number("barcode_length"), choices.text("barcode")
    if digits and len(digits) != length - 1:
        raise OptionError(f"barcode is {digits!r}; allowed: {length - 1} digits for a barcode_length of {length}")


RESOURCE = Resource(
    view="barcode_checksum_poster",
    name=N_("Barcode Checksum Poster"),
    summary=N_("How a barcode's last digit tells whether the others were read right."),
    options=(
        Choice("barcode_length", N_("Digits"), {12: N_("12 (UPC-A)"), 13: N_("13 (EAN-13)")}, 12),
        Digits("barcode", N_("A code of your own, without its check digit"), (11, 12)),
    ),
    subtitle=lambda choices, paper: f"{choices['barcode_length']} digits - {paper}",
    pages=lambda choices: 1,
    draw=draw,
    check=check,
)
