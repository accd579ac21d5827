"""Paths to stroke and fill, stored as PDF operators (ISO 32000-1, 8.5.2). Lengths in mm, y down.

The operators are written as the path grows, so that a path can be built once and drawn on many pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from resources.drawing.box import Box, Point

# Distance of the control points, in radii, of the four Bézier curves that approximate a circle to within 0.03 %.
CIRCLE = 4 / 3 * (math.sqrt(2) - 1)


class Path:
    """A path of one or more parts. Every method that adds to it returns the path itself, so that calls can be chained.

    Points are (x, y) in mm.
    """

    __slots__ = ("_last", "_start", "operators")

    def __init__(self) -> None:
        self.operators: list[str] = []
        self._start: Point = (0.0, 0.0)
        self._last: Point = (0.0, 0.0)

    @property
    def end(self) -> Point:
        """The current point, (x, y) in mm."""
        return self._last

    def move(self, x: float, y: float) -> Path:
        """Begin a new part at this point, mm."""
        self.operators.append(f"{x:.2f} {y:.2f} m")
        self._start = self._last = (x, y)
        return self

    def line(self, *points: Point) -> Path:
        """Add straight lines from the current point through all points."""
        for x, y in points:
            self.operators.append(f"{x:.2f} {y:.2f} l")
            self._last = (x, y)
        return self

    def curve(self, first: Point, second: Point, to: Point) -> Path:
        """Add a cubic Bézier curve with the control points `first` and `second` that ends at `to`."""
        self.operators.append(
            f"{first[0]:.2f} {first[1]:.2f} {second[0]:.2f} {second[1]:.2f} {to[0]:.2f} {to[1]:.2f} c"
        )
        self._last = to
        return self

    def close(self) -> Path:
        """Close the part with a straight line to the point where it began."""
        self.operators.append("h")
        self._last = self._start
        return self

    def circle(self, centre: Point, radius: float) -> Path:
        """Add a circle with this radius in mm."""
        return self.ellipse(Box(centre[0] - radius, centre[1] - radius, 2 * radius, 2 * radius))

    def ellipse(self, box: Box) -> Path:
        """Add the ellipse that touches all four edges of the box."""
        (x, y), a, b = box.centre, box.width / 2, box.height / 2
        i, j = a * CIRCLE, b * CIRCLE
        self.move(x + a, y)
        self.curve((x + a, y + j), (x + i, y + b), (x, y + b)).curve((x - i, y + b), (x - a, y + j), (x - a, y))
        self.curve((x - a, y - j), (x - i, y - b), (x, y - b)).curve((x + i, y - b), (x + a, y - j), (x + a, y))
        return self.close()

    def rectangle(self, box: Box, radius: float = 0) -> Path:
        """Add a rectangle, with corners rounded by `radius` mm."""
        if radius <= 0:
            self.operators.append(f"{box.x:.2f} {box.y:.2f} {box.width:.2f} {box.height:.2f} re")
            self._start = self._last = (box.x, box.y)
            return self
        left, top, right, bottom, k = box.x, box.y, box.right, box.bottom, radius * (1 - CIRCLE)
        self.move(left + radius, top).line((right - radius, top))
        self.curve((right - k, top), (right, top + k), (right, top + radius)).line((right, bottom - radius))
        self.curve((right, bottom - k), (right - k, bottom), (right - radius, bottom)).line((left + radius, bottom))
        self.curve((left + k, bottom), (left, bottom - k), (left, bottom - radius)).line((left, top + radius))
        return self.curve((left, top + k), (left + k, top), (left + radius, top)).close()

    def polygon(self, points: Sequence[Point]) -> Path:
        """Add a closed part with straight edges through the points."""
        return self.move(*points[0]).line(*points[1:]).close()

    def polyline(self, points: Sequence[Point]) -> Path:
        """Add an open line through the points."""
        return self.move(*points[0]).line(*points[1:])

    def rounded_line(self, points: Sequence[Point], radius: float) -> Path:
        """Add an open line through the points, with corners rounded by `radius` mm, or less between close points."""
        self.move(*points[0])
        for before, corner, after in zip(points, points[1:], points[2:], strict=False):
            reach = min(radius, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
            enter, leave = _towards(corner, before, reach), _towards(corner, after, reach)
            inner = reach * (1 - CIRCLE)
            self.line(enter).curve(_towards(corner, before, inner), _towards(corner, after, inner), leave)
        return self.line(points[-1])

    def text(self) -> str:
        """Return the PDF operators, one per line."""
        return "\n".join(self.operators)


def _towards(start: Point, goal: Point, distance: float) -> Point:
    length = math.dist(start, goal) or 1.0
    part = distance / length
    return start[0] + (goal[0] - start[0]) * part, start[1] + (goal[1] - start[1]) * part


def circles(centres: Iterable[Point], radius: float) -> Path:
    """Return one path with a circle of `radius` mm at each centre."""
    path = Path()
    for centre in centres:
        path.circle(centre, radius)
    return path


def bezier_point(start: Point, first: Point, second: Point, end: Point, t: float) -> Point:
    """Return the point of a cubic Bézier curve at parameter `t`: 0 is `start`, 1 is `end`."""
    rest = 1 - t
    weights = (rest**3, 3 * rest**2 * t, 3 * rest * t**2, t**3)
    points = (start, first, second, end)
    return (
        sum(weight * point[0] for weight, point in zip(weights, points, strict=True)),
        sum(weight * point[1] for weight, point in zip(weights, points, strict=True)),
    )
