"""A sorting network for six numbers: follow the lines, compare in each box, and arrive in sorted order."""

from __future__ import annotations

from resources.drawing import BLUE, GREEN, ORANGE, PURPLE, RED, WHITE, Box, Path, Point, Stroke, Surface, bezier_point
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

RANGES = {"easy": (1, 9), "medium": (10, 99), "hard": (100, 999)}
INPUTS = 6

# Each comparator, as (row, position in the row), with its outputs: left for the smaller number, right for the larger.
# Row 0 comes first. An output leads to another comparator or, if it is a number, to that place in the sorted order.
Place = tuple[int, int]
Target = Place | int
Wiring = dict[Place, tuple[Target, Target]]
WIRING: Wiring = {
    (0, 0): ((1, 0), (1, 1)),
    (0, 1): ((1, 0), (1, 2)),
    (0, 2): ((1, 1), (1, 2)),
    (1, 0): ((2, 0), (2, 1)),
    (1, 1): ((2, 0), (2, 2)),
    (1, 2): ((2, 1), (2, 2)),
    (2, 0): (0, (3, 0)),
    (2, 1): ((3, 0), (3, 1)),
    (2, 2): ((3, 1), 5),
    (3, 0): (1, (4, 0)),
    (3, 1): ((4, 0), 4),
    (4, 0): (2, 3),
}

# mm, before scaling to the paper: the inputs are at the bottom, with the legend below them.
WIDTH, HEIGHT = 180.0, 247.0
LEGEND = Box(15, 239, 150, 8)
COLUMN_X = {3: (36.0, 90.0, 144.0), 2: (63.0, 117.0), 1: (90.0,)}
ROW_SIZES = (3, 3, 3, 2, 1)
ROW_Y = (188.0, 153.0, 118.0, 83.0, 48.0)
NODE = (26.0, 13.0)
ARROW_AT = 0.68  # Bézier parameter of an arrow head: not 0.5, where lines cross
END_X = tuple(15 + 30.0 * i for i in range(INPUTS))
INPUT_Y, OUTPUT_Y, RADIUS = 225.0, 14.0, 10.5
SMALLER = Stroke(BLUE, 0.7)
LARGER = Stroke(ORANGE, 1.8)
IN = Stroke(RED, 0.7)


def draw(document: Document, choices: Choices) -> None:
    """Draw the network, with numbers in its inputs unless they are blank."""
    values = RANGES.get(choices.text("prefilled_values"))
    numbers = document.random.sample(range(values[0], values[1] + 1), INPUTS) if values else []
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as design:
        _draw_lines(design)
        _draw_nodes(design)
        _draw_legend(design)
        inputs = [Box(x - RADIUS, INPUT_Y - RADIUS, 2 * RADIUS, 2 * RADIUS) for x in END_X]
        for box in inputs:
            design.circle(box.centre, RADIUS, WHITE, Stroke(RED, 0.7, (2.2, 1.8)))
        for box, number in zip(inputs, numbers, strict=False):
            design.text(box.inset(3), str(number), 9, role="hand")


def _draw_legend(design: Surface) -> None:
    """Explain which line each of the two numbers of a box follows."""
    words = (N_("smaller: left, thin"), N_("larger: right, thick"))
    for cell, stroke, text in zip(LEGEND.columns(2), (SMALLER, LARGER), words, strict=True):
        line, word = cell.inset(4, 0).split_left(17)
        start, end = (line.x, line.centre[1]), (line.right - 3, line.centre[1])
        design.line(start, end, stroke=stroke)
        design.arrow_head((line.centre[0] + 1, line.centre[1]), start, stroke, 3.4)
        design.text(word, design.translate(text), 5.2, align="left")


def _node(place: Place) -> Point:
    row, position = place
    return COLUMN_X[ROW_SIZES[row]][position], ROW_Y[row]


def _draw_nodes(design: Surface) -> None:
    with design.figure(design.translate(N_("Twelve boxes in which two numbers are compared"))):
        for place in WIRING:
            x, y = _node(place)
            box = Box(x - NODE[0] / 2, y - NODE[1] / 2, *NODE)
            design.rectangle(box, WHITE, Stroke(PURPLE, 0.7), radius=2)
        for x in END_X:
            design.circle((x, OUTPUT_Y), RADIUS, WHITE, Stroke(GREEN, 0.9))


def _draw_lines(design: Surface) -> None:
    with design.figure(
        design.translate(N_("Lines: thin to the left for the smaller, thick to the right for the larger"))
    ):
        for i in range(INPUTS):
            x, y = _node((0, i // 2))
            start, end = (END_X[i], INPUT_Y - RADIUS), (x + (-1 if i % 2 == 0 else 1) * 7, y + NODE[1] / 2)
            _draw_line(design, start, end, IN)
        sources: dict[Place, list[Place]] = {}
        for place, targets in WIRING.items():
            for target in targets:
                if not isinstance(target, int):
                    sources.setdefault(target, []).append(place)
        for place, targets in WIRING.items():
            x, y = _node(place)
            for target, side, stroke in zip(targets, (-1, 1), (SMALLER, LARGER), strict=True):
                start = (x + side * 7, y - NODE[1] / 2)
                if isinstance(target, int):
                    end = (END_X[target], OUTPUT_Y + RADIUS)
                else:
                    # The two lines into a box arrive side by side, in the order of their origins.
                    arrival = -1 if sorted(sources[target], key=_node).index(place) == 0 else 1
                    tx, ty = _node(target)
                    end = (tx + arrival * 7, ty + NODE[1] / 2)
                _draw_line(design, start, end, stroke)


def _draw_line(design: Surface, start: Point, end: Point, stroke: Stroke) -> None:
    """Draw a line that leaves and arrives vertically, with an arrow head beyond its middle, where lines cross."""
    reach = min(14.0, (start[1] - end[1]) / 2)
    first, second = (start[0], start[1] - reach), (end[0], end[1] + reach)
    design.paint(Path().move(*start).curve(first, second, end), None, stroke)
    tip, before = (
        bezier_point(start, first, second, end, ARROW_AT),
        bezier_point(start, first, second, end, ARROW_AT - 0.05),
    )
    design.arrow_head(tip, before, stroke, 3.4)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the range of the numbers and the paper size."""
    values = RANGES.get(choices.text("prefilled_values"))
    return f"{values[0]} to {values[1]} - {paper}" if values else f"blank - {paper}"


RESOURCE = Resource(
    view="sorting_network",
    name=N_("Sorting Network"),
    summary=N_("Six numbers walk through twelve comparisons, several at a time, and come out sorted."),
    options=(
        Choice(
            "prefilled_values",
            N_("Numbers"),
            {
                "blank": N_("None: write your own"),
                "easy": N_("Easy: 1 to 9"),
                "medium": N_("Medium: 10 to 99"),
                "hard": N_("Hard: 100 to 999"),
            },
            "blank",
        ),
    ),
    subtitle=subtitle,
    pages=lambda choices: 1,
    draw=draw,
    showcase={"prefilled_values": "medium"},
)
