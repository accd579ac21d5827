"""Ten railway stations on one line: how do you get from one to another, and by which route?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resources.drawing import INK, WHITE, Box, Path, Point, Stroke, Surface
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

if TYPE_CHECKING:
    from resources.drawing.document import Document

WIDTH, HEIGHT = 270.0, 176.0  # mm of the design
STATIONS = 10
STATION = (40.0, 33.3)  # mm, the figures' size
SIGN = (0.5, 0.44, 0.092)  # of the figures: centre of the blank sign, and its radius in widths
GAUGE, SLEEPER, PITCH = 4.4, 7.6, 4.2  # mm: between rails, a sleeper's length, from sleeper to sleeper
# Places of the stations of the wandering loop, and points its track passes between them.
WANDERING: tuple[Point, ...] = (
    (26, 30), (92, 52), (158, 26), (236, 34), (196, 82), (244, 128), (172, 150), (118, 108), (72, 152), (24, 112),
)  # fmt: skip


def places_of(tracks: str) -> list[Point]:
    """Return the centres of the stations in the order of the line."""
    if tracks == "twisted":
        return list(WANDERING)
    x, y = WIDTH / 2, HEIGHT / 2
    angles = [2 * math.pi * i / STATIONS - math.pi / 2 for i in range(STATIONS)]
    return [(x + (x - 24) * math.cos(angle), y + (y - 20) * math.sin(angle)) for angle in angles]


def draw(document: Document, choices: Choices) -> None:
    """Draw the track, and the stations on it."""
    places = places_of(choices.text("tracks"))
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as land:
        _draw_track(land, _line_through(places))
        for number, (x, y) in enumerate(places, 1):
            box = Box(x - STATION[0] / 2, y - STATION[1] / 2, *STATION)
            # The ground under a station hides the track, so that its outline stays clear.
            land.rectangle(box.inset(-0.5), WHITE, None, radius=3)
            land.artwork(f"stations/station-{number}", box)
            sign = (box.x + box.width * SIGN[0], box.y + box.height * SIGN[1])
            side = box.width * SIGN[2] * 1.5
            land.heading(Box(sign[0] - side / 2, sign[1] - side / 2, side, side), "ABCDEFGHIJ"[number - 1], 6)


def _line_through(places: Sequence[Point]) -> list[Point]:
    """Return many points of a smooth closed line through all places (a Catmull-Rom spline)."""
    points: list[Point] = []
    count = len(places)
    for i in range(count):
        a, b, c, d = (places[(i + k) % count] for k in (-1, 0, 1, 2))
        for step in range(40):
            t = step / 40
            points.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
    return [*points, points[0]]


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def _draw_track(land: Surface, line: list[Point]) -> None:
    """Draw two rails along the line, and sleepers across it."""
    sleepers, rails = Path(), ([], [])  # type: tuple[Path, tuple[list[Point], list[Point]]]
    since = 0.0
    for (x, y), (nx, ny) in itertools.pairwise(line):
        length = math.hypot(nx - x, ny - y)
        across = (-(ny - y) / length, (nx - x) / length)
        for rail, way in zip(rails, (-1, 1), strict=True):
            rail.append((x + across[0] * way * GAUGE / 2, y + across[1] * way * GAUGE / 2))
        since += length
        if since >= PITCH:
            since -= PITCH
            dx, dy = across[0] * SLEEPER / 2, across[1] * SLEEPER / 2
            sleepers.polyline([(x - dx, y - dy), (x + dx, y + dy)])
    with land.figure(land.document.translate(N_("A railway track in a closed loop"))):
        land.paint(sleepers, None, Stroke("#8c8c8c", 1.1))
        for rail in rails:
            land.paint(Path().polyline([*rail, rail[0]]), None, Stroke(INK, 0.5))


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
