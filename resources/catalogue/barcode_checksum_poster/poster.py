"""A poster that shows in three steps how to calculate the check digit of a barcode."""

from __future__ import annotations

from collections.abc import Sequence

from resources.catalogue.barcode_checksum_poster.check_digit import Sums, calculate
from resources.drawing import BLUE, GREEN, INK, ORANGE, PINK, PURPLE, WHITE, Box, Path, Point, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices, Digits, OptionError
from resources.resource import Resource

MISSING = "□"
EXAMPLES = {12: "75318295342", 13: "940054700987"}
WIDTH, HEIGHT = 190.0, 249.0  # mm, before scaling to the paper
ODD, EVEN = ORANGE, BLUE
# y, height, background, title, hint of each step.
BANDS = (
    (19.0, 66.0, "#fdeef5", N_("Separate"), N_("Every second digit belongs to one group.")),
    (89.0, 48.0, "#fdf6e3", N_("Operate"), N_("Add up each group. Only the last digits go on.")),
    (141.0, 108.0, "#eef4fd", N_("Calculate"), ""),
)
CODE_Y, CODE_SIZE, PITCH = 59.0, 17.0, 12.4
SUM_ROWS, SUM_X, SUM_SIZE = (110.0, 126.0), 27.0, 9.5
ROWS, ROW_X, ROW_SIZE = (166.0, 189.0, 212.0, 234.0), 27.0, 12.0
HINT = (92.0, 62.0, 5.0)  # x, width, size of the text
LEFT_LANE, RIGHT_LANE = 4.5, 183.0  # x of the paths along the edges
DASHED = (1.8, 1.5)
HIGHLIGHT = "#fff3bf"
FRAME_GAP = 1.1  # mm before a framed digit


def draw(document: Document, choices: Choices) -> None:
    """Draw the poster for the given code, or for an example."""
    digits = choices.text("barcode") or EXAMPLES[choices.number("barcode_length")]
    sums = calculate(digits)
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as poster:
        poster.heading(Box(0, 0, WIDTH, 16), document.translate(N_("The check digit of a barcode")), 12)
        for y, height, colour, title, hint in BANDS:
            poster.rectangle(Box(0, y, WIDTH, height), colour, None, radius=4)
            poster.heading(Box(13, y + 2.5, 45, 9), document.translate(title), 7.5, align="left")
            if hint:
                poster.text(Box(60, y + 2.5, 120, 9), document.translate(hint), HINT[2], align="left")
        square = _draw_code(poster, digits)
        odd, even = _draw_sums(poster, digits, sums)
        _draw_calculation(poster, sums, *((odd, even) if len(digits) % 2 else (even, odd)), square)


def _draw_code(poster: Surface, digits: str) -> Box:
    """Draw the digits in two colours, and arcs that join each group and lead to its sum. Return the empty square."""
    left = (WIDTH - PITCH * len(digits)) / 2
    xs = [left + i * PITCH for i in range(len(digits) + 1)]
    for i, digit in enumerate(digits):
        place = Box(xs[i] - 6, CODE_Y - 9, 12, 18)
        poster.heading(place, digit, CODE_SIZE, colour=EVEN if i % 2 else ODD)
    square = Box(xs[-1] - 4.5, CODE_Y - 7, 10, 14)
    poster.rectangle(square, WHITE, Stroke(GREEN, 0.9), radius=1.5)
    # Arcs join the odd digits below and the even digits above. A line leads from each group to its sum.
    for first, colour, side in ((0, ODD, 1), (1, EVEN, -1)):
        path, edge, peak = Path(), CODE_Y + side * 9, CODE_Y + side * 15.5
        for i in range(first, len(digits) - 2, 2):
            a, b = xs[i], xs[i + 2]
            path.move(a, edge).curve((a + 2, peak), (b - 2, peak), (b, edge))
        poster.paint(path, None, Stroke(colour, 0.6, DASHED))
    below, above = (xs[0] + PITCH, CODE_Y + 13.9), (xs[1] + PITCH, CODE_Y - 13.9)
    turn, top, lane = 81.0, 40.0, LEFT_LANE + 5
    _draw_lead(poster, [below, (below[0], turn), (lane, turn), (lane, SUM_ROWS[0]), (SUM_X - 2, SUM_ROWS[0])], ODD)
    _draw_lead(
        poster, [above, (above[0], top), (LEFT_LANE, top), (LEFT_LANE, SUM_ROWS[1]), (SUM_X - 2, SUM_ROWS[1])], EVEN
    )
    return square


def _draw_lead(poster: Surface, points: list[Point], colour: str) -> None:
    """Draw a dashed line with rounded corners and an arrow head."""
    path = Path().rounded_line(points, 4)
    poster.paint(path, None, Stroke(colour, 0.6, DASHED))
    poster.arrow_head(points[-1], points[-2], Stroke(colour, 0.6), 2.8)


def _write(poster: Surface, start: Point, pieces: Sequence[tuple[str, str]], size: float) -> list[Box]:
    """Write pieces of (text, colour) on one line, with a square for the missing digit. Return their boxes."""
    x, y = start
    places = []
    for text, colour in pieces:
        if text == MISSING:
            box = Box(x, y - 5.5, 8, 11)
            poster.rectangle(box, WHITE, Stroke(GREEN, 0.9), radius=1.2)
        else:
            box = Box(x, y - size / 2, poster.text_width(text, size, role="hand") + 0.01, size)
            poster.text(box, text, size, role="hand", align="left", colour=colour)
        places.append(box)
        x = box.right
    return places


def _sum_pieces(number: int, colour: str) -> list[tuple[str, str]]:
    """Return a number as two pieces: its last digit, which the next step uses, and the digits before it."""
    return [(str(number)[:-1], INK), (str(number)[-1], colour)]


def _highlight(poster: Surface, place: Box, colour: str) -> Box:
    """Draw the frame of a digit that the next step uses, and return it. The digit is written over it later."""
    box = place.centred(place.width + 1.2, place.height * 0.98)
    poster.rectangle(box, HIGHLIGHT, Stroke(colour, 0.4), radius=1.6)
    return box


def _draw_sums(poster: Surface, digits: str, sums: Sums) -> tuple[Box, Box]:
    """Draw the two sums. Return the frames of their last digits, of the odd group first."""
    frames = []
    for y, first, colour, total in zip(SUM_ROWS, (0, 1), (ODD, EVEN), (sums.odd, sums.even), strict=True):
        pieces = [(" + ".join(digits[first::2]) + " = ", colour), *_sum_pieces(total, colour)]
        frames.append(_write_framed(poster, (SUM_X, y), pieces, SUM_SIZE))
    return frames[0], frames[1]


def _write_framed(poster: Surface, start: Point, pieces: Sequence[tuple[str, str]], size: float) -> Box:
    """Write a line whose last digit the next step uses. Return the frame of that digit."""
    *before, last = pieces
    x = _write(poster, start, before, size)[-1].right + FRAME_GAP
    width = poster.text_width(last[0], size, role="hand")
    frame = _highlight(poster, Box(x, start[1] - size / 2, width, size), last[1])
    _write(poster, (x, start[1]), [last], size)
    return frame


def _draw_calculation(poster: Surface, sums: Sums, tripled_frame: Box, added_frame: Box, square: Box) -> None:
    """Draw the four lines of the calculation, and lines from each digit to the place where it is used."""
    tripled_colour, added_colour = (ODD, EVEN) if tripled_frame.y < added_frame.y else (EVEN, ODD)
    first = [("3", PURPLE), (" × ", INK), (str(sums.tripled), tripled_colour), (" = ", INK)]
    first += _sum_pieces(sums.product, PINK)
    second = [(str(sums.product % 10), PINK), (" + ", INK), (str(sums.added), added_colour), (" = ", INK)]
    second += _sum_pieces(sums.total, PURPLE)
    product = _write_framed(poster, (ROW_X, ROWS[0]), first, ROW_SIZE)
    total = _write_framed(poster, (ROW_X, ROWS[1]), second, ROW_SIZE)
    third = [(MISSING, GREEN), (" + ", INK), (str(sums.missing), PURPLE), (" = ", INK), ("10", INK)]
    used = _write(poster, (ROW_X, ROWS[2]), third, ROW_SIZE)[2]
    fourth = [(MISSING, GREEN), (" = ", INK), (str(sums.check_digit), GREEN)]
    answer = _write(poster, (ROW_X, ROWS[3]), fourth, ROW_SIZE)[2]
    hints = (
        N_("three times the last digit of the group next to the square"),
        N_("the last digit, and that of the other group"),
        N_("what is missing to make ten?"),
        N_("This is the check digit. A ten counts as 0."),
    )
    for y, hint in zip(ROWS, hints, strict=True):
        x, width, size = HINT
        poster.paragraph(Box(x, y - 8, width, 16), poster.translate(hint), size, middle=True)
    tripled, carried, added = (_used(poster, row, i) for row, i in ((first, 2), (second, 0), (second, 2)))
    above, gap = ROWS[0] - 10.5, (ROWS[0] + ROWS[1]) / 2
    _draw_lead_down(
        poster,
        [_side(tripled_frame), (165, tripled_frame.centre[1]), (165, above), (tripled, above)],
        ROWS[0],
        tripled_colour,
    )
    lane = 173.0
    _draw_lead_down(
        poster,
        [_side(added_frame), (lane, added_frame.centre[1]), (lane, gap + 2), (added, gap + 2)],
        ROWS[1],
        added_colour,
    )
    _draw_lead_down(poster, [_foot(product), (product.centre[0], gap - 2.5), (carried, gap - 2.5)], ROWS[1], PINK)
    gap = (ROWS[1] + ROWS[2]) / 2
    _draw_lead_down(poster, [_foot(total), (total.centre[0], gap), (used.centre[0], gap)], ROWS[2], PURPLE)
    # A line leads from the check digit back to its place in the code.
    end = HEIGHT - 5
    path = [(answer.centre[0], answer.bottom - 0.5), (answer.centre[0], end), (RIGHT_LANE, end), (RIGHT_LANE, CODE_Y)]
    _draw_lead(poster, [*path, (square.right + 1.5, CODE_Y)], GREEN)


def _draw_lead_down(poster: Surface, points: list[Point], row: float, colour: str) -> None:
    """Draw a line that ends above a digit of a row."""
    _draw_lead(poster, [*points, (points[-1][0], row - 5.5)], colour)


def _used(poster: Surface, row: Sequence[tuple[str, str]], index: int) -> float:
    """Return the x coordinate of the centre of a piece of a row."""
    before = sum(poster.text_width(text, ROW_SIZE, role="hand") for text, _ in row[:index])
    return ROW_X + before + poster.text_width(row[index][0], ROW_SIZE, role="hand") / 2


def _side(frame: Box) -> Point:
    return frame.right, frame.centre[1]


def _foot(frame: Box) -> Point:
    return frame.centre[0], frame.bottom


def check(choices: Choices) -> None:
    """Raise OptionError unless the number of digits is one less than the length of the barcode."""
    length, digits = choices.number("barcode_length"), choices.text("barcode")
    if digits and len(digits) != length - 1:
        raise OptionError("barcode", digits, f"{length - 1} digits (the check digit is the {length}th), or nothing")


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
