"""Ten railway stations on one line, to plan journeys between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from resources.drawing import INK, Box, Path, Point, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

WIDTH, HEIGHT = 270.0, 178.0  # mm, before scaling to the paper
STATION = (45.0, 37.5)  # mm, of a figure
# The blank sign of a figure: its centre, as parts of the figure's width and height, and its radius, of the width.
SIGN = (0.5, 0.44, 0.092)
GROUND = 0.955  # the ground line of a figure, as a part of its height
GAUGE, SLEEPER, PITCH = 5.2, 9.4, 4.8  # mm: between the rails; length of a sleeper; between sleepers
PLATFORM = 1.2  # mm between the sleepers and the ground line
# Centres of the stations, in the order of the line: outside the upper half of the loop, and inside the lower half.
UPPER_X = (34.0, 84.5, 135.0, 185.5, 236.0)
LOWER_X = (226.0, 181.0, 135.0, 89.0, 44.0)
OVAL = (128.0, 63.0, 2.7)  # superellipse: semi-axes in mm, and the exponent (2 is an ellipse; more is squarer)
OVAL_Y = 108.0  # centre
# y of the line below each station of the wandering loop; it goes up and down between them.
WANDERING_UPPER = (46.0, 70.0, 46.0, 70.0, 46.0)
WANDERING_LOWER = (144.0, 170.0, 144.0, 170.0, 144.0)
HILL, VALLEY = 9.0, 19.0  # mm of straight line on either side of a station; a station in a valley needs more
LETTERS = "ABCDEFGHIJ"


def line_of(tracks: str) -> list[Point]:
    """Return closely spaced points of the closed line, clockwise from the left, in mm."""
    if tracks == "circular":
        a, b, exponent = OVAL
        angles = [math.pi + 2 * math.pi * i / 400 for i in range(401)]
        return [
            (WIDTH / 2 + a * _power(math.cos(t), 2 / exponent), OVAL_Y + b * _power(math.sin(t), 2 / exponent))
            for t in angles
        ]
    bends: list[Point] = []
    for i, (x, y) in enumerate(zip(UPPER_X, WANDERING_UPPER, strict=True)):
        reach = VALLEY if i % 2 else HILL
        bends += [(x - reach, y), (x + reach, y)]
    bends += [(263, 70), (250, 100), (263, 128)]
    for i, (x, y) in enumerate(zip(LOWER_X, WANDERING_LOWER, strict=True)):
        reach = VALLEY if i % 2 else HILL
        bends += [(x + reach, y), (x - reach, y)]
    bends += [(7, 128), (20, 100), (7, 70)]
    return _line_through(bends)


def _power(number: float, exponent: float) -> float:
    return math.copysign(abs(number) ** exponent, number)


def places_of(line: Sequence[Point]) -> list[Box]:
    """Return the boxes of the stations in the order of the line, each above the part of the line that passes it."""
    places = []
    for x, is_upper in [*((x, True) for x in UPPER_X), *((x, False) for x in LOWER_X)]:
        reach = STATION[0] * 0.45
        passing = min(py for px, py in line if abs(px - x) < reach and (py < OVAL_Y) == is_upper)
        ground = passing - SLEEPER / 2 - PLATFORM
        places.append(Box(x - STATION[0] / 2, ground - STATION[1] * GROUND, *STATION))
    return places


def draw(document: Document, choices: Choices) -> None:
    """Draw the track and the stations along it."""
    line = line_of(choices.text("tracks"))
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as land:
        _draw_track(land, line)
        for number, (letter, box) in enumerate(zip(LETTERS, places_of(line), strict=True), 1):
            land.artwork(f"stations/station-{number}", box)
            sign = (box.x + box.width * SIGN[0], box.y + box.height * SIGN[1])
            side = box.width * SIGN[2] * 1.5
            land.heading(Box(sign[0] - side / 2, sign[1] - side / 2, side, side), letter, 6.5)


def _line_through(places: Sequence[Point]) -> list[Point]:
    """Return closely spaced points of a smooth closed line through all `places`: a Catmull-Rom spline."""
    points: list[Point] = []
    count = len(places)
    for i in range(count):
        a, b, c, d = (places[(i + k) % count] for k in (-1, 0, 1, 2))
        for step in range(16):
            t = step / 16
            points.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
    return [*points, points[0]]


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def _draw_track(land: Surface, line: Sequence[Point]) -> None:
    """Draw two rails along the line, and sleepers across it, evenly spaced around the whole loop."""
    total = sum(math.dist(a, b) for a, b in itertools.pairwise(line))
    pitch = total / round(total / PITCH)
    sleepers = Path()
    rails: tuple[list[Point], list[Point]] = ([], [])
    to_next = pitch / 2  # from the current point to the next sleeper
    for (x, y), (nx, ny) in itertools.pairwise(line):
        length = math.dist((x, y), (nx, ny))
        along = ((nx - x) / length, (ny - y) / length)
        for rail, side in zip(rails, (-1, 1), strict=True):
            rail.append((x - along[1] * side * GAUGE / 2, y + along[0] * side * GAUGE / 2))
        while to_next <= length:
            sx, sy = x + along[0] * to_next, y + along[1] * to_next
            dx, dy = -along[1] * SLEEPER / 2, along[0] * SLEEPER / 2
            sleepers.polyline([(sx - dx, sy - dy), (sx + dx, sy + dy)])
            to_next += pitch
        to_next -= length
    with land.figure(land.translate(N_("A railway track in a closed loop"))):
        land.paint(sleepers, None, Stroke("#8c8c8c", 1.3))
        for rail in rails:
            land.paint(Path().polygon(rail), None, Stroke(INK, 0.55))


RESOURCE = Resource(
    view="train_stations",
    name=N_("Train Stations"),
    summary=N_("Ten stations on a loop of track, to plan journeys and program trains."),
    options=(
        Choice(
            "tracks", N_("Tracks"), {"circular": N_("In an oval"), "twisted": N_("In a wandering loop")}, "circular"
        ),
    ),
    subtitle=lambda choices, paper: f"{choices.text('tracks')} - {paper}",
    pages=lambda choices: 1,
    draw=draw,
    orientation="landscape",
)
