"""Ten railway stations on one line: how do you get from one to another, and by which route?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from resources.drawing import INK, Box, Path, Point, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

WIDTH, HEIGHT = 270.0, 178.0  # mm of the design
STATION = (45.0, 37.5)  # mm, the figures' size
SIGN = (0.5, 0.44, 0.092)  # of the figures: centre of the blank sign, and its radius in widths
GROUND = 0.955  # of the figures' height: the line they stand on
GAUGE, SLEEPER, PITCH = 5.2, 9.4, 4.8  # mm: between rails, a sleeper's length, from sleeper to sleeper
PLATFORM = 1.2  # mm between sleepers and ground
UPPER_X = (34.0, 84.5, 135.0, 185.5, 236.0)  # of the stations outside the upper half of the loop
LOWER_X = (226.0, 181.0, 135.0, 89.0, 44.0)  # of those inside its lower half: the order of the line
OVAL = (128.0, 63.0, 2.7)  # half axes, and the exponent: a little squarer than an ellipse, which has 2
OVAL_Y = 108.0
# Height of the line below each station of the wandering loop; between them it goes up and down.
WANDERING_UPPER = (46.0, 70.0, 46.0, 70.0, 46.0)
WANDERING_LOWER = (144.0, 170.0, 144.0, 170.0, 144.0)
HILL, VALLEY = 9.0, 19.0  # mm of straight line to either side of a station: in a valley it must have room
LETTERS = "ABCDEFGHIJ"


def line_of(tracks: str) -> list[Point]:
    """Return many points of the closed line, clockwise from the left."""
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
    """Return the stations in the order of the line: each stands above the part of it that passes below."""
    places = []
    for x, is_upper in [*((x, True) for x in UPPER_X), *((x, False) for x in LOWER_X)]:
        reach = STATION[0] * 0.45
        passing = min(py for px, py in line if abs(px - x) < reach and (py < OVAL_Y) == is_upper)
        ground = passing - SLEEPER / 2 - PLATFORM
        places.append(Box(x - STATION[0] / 2, ground - STATION[1] * GROUND, *STATION))
    return places


def draw(document: Document, choices: Choices) -> None:
    """Draw the track, and the stations beside it."""
    line = line_of(choices.text("tracks"))
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as land:
        _draw_track(land, line)
        for number, (letter, box) in enumerate(zip(LETTERS, places_of(line), strict=True), 1):
            land.artwork(f"stations/station-{number}", box)
            sign = (box.x + box.width * SIGN[0], box.y + box.height * SIGN[1])
            side = box.width * SIGN[2] * 1.5
            land.heading(Box(sign[0] - side / 2, sign[1] - side / 2, side, side), letter, 6.5)


def _line_through(places: Sequence[Point]) -> list[Point]:
    """Return many points of a smooth closed line through all places (a Catmull-Rom spline)."""
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
    """Draw two rails along the line, and sleepers across it, as many as close the loop evenly."""
    whole = sum(math.dist(a, b) for a, b in itertools.pairwise(line))
    pitch = whole / round(whole / PITCH)
    sleepers = Path()
    rails: tuple[list[Point], list[Point]] = ([], [])
    since = pitch / 2
    for (x, y), (nx, ny) in itertools.pairwise(line):
        length = math.dist((x, y), (nx, ny))
        along = ((nx - x) / length, (ny - y) / length)
        for rail, way in zip(rails, (-1, 1), strict=True):
            rail.append((x - along[1] * way * GAUGE / 2, y + along[0] * way * GAUGE / 2))
        while since <= length:
            sx, sy = x + along[0] * since, y + along[1] * since
            dx, dy = -along[1] * SLEEPER / 2, along[0] * SLEEPER / 2
            sleepers.polyline([(sx - dx, sy - dy), (sx + dx, sy + dy)])
            since += pitch
        since -= length
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
