"""The 31 symbols of number hunt: seven shapes in four styles, and three shapes in a fifth, cross-hatched."""

from __future__ import annotations

import math
from collections.abc import Callable

from resources.drawing import BLUE, GREEN, PINK, RED, WHITE, Box, Path, Point, Stroke, Surface

YELLOW_INK = "#b8860b"  # a yellow that is visible on white, and prints as medium grey


def _regular(box: Box, corners: int, inner: float = 1.0) -> Path:
    """Return a regular polygon with a corner at the top or, if `inner` is below 1, a star.

    `inner`: radius of the inner corners, as a part of the outer radius.
    """
    x, y = box.centre
    radius, points = box.width / 2, corners if inner == 1 else corners * 2
    outline: list[Point] = []
    for i in range(points):
        reach = radius * (inner if i % 2 and inner != 1 else 1)
        angle = 2 * math.pi * i / points
        outline.append((x + reach * math.sin(angle), y - reach * math.cos(angle)))
    return Path().polygon(outline)


def _heart(box: Box) -> Path:
    x, y, s = box.x, box.y, box.width
    path = Path().move(x + s / 2, y + s * 0.95)
    path.curve((x + s * 0.1, y + s * 0.62), (x - s * 0.05, y + s * 0.35), (x + s * 0.08, y + s * 0.17))
    path.curve((x + s * 0.2, y), (x + s * 0.42, y + s * 0.03), (x + s / 2, y + s * 0.25))
    path.curve((x + s * 0.58, y + s * 0.03), (x + s * 0.8, y), (x + s * 0.92, y + s * 0.17))
    return path.curve((x + s * 1.05, y + s * 0.35), (x + s * 0.9, y + s * 0.62), (x + s / 2, y + s * 0.95)).close()


def _moon(box: Box) -> Path:
    x, y, s = box.x, box.y, box.width
    path = Path().move(x + s * 0.65, y + s * 0.02)
    path.curve((x + s * 0.0, y - s * 0.02), (x + s * 0.0, y + s * 1.02), (x + s * 0.65, y + s * 0.98))
    return path.curve((x + s * 0.3, y + s * 0.8), (x + s * 0.3, y + s * 0.2), (x + s * 0.65, y + s * 0.02)).close()


def _diamond(box: Box) -> Path:
    (x, y), reach = box.centre, box.width * 0.28
    return Path().polygon([(x, box.y), (x + reach, y), (x, box.bottom), (x - reach, y)])


SHAPES: tuple[Callable[[Box], Path], ...] = (
    lambda box: Path().circle(box.centre, box.width / 2),
    lambda box: _regular(box, 3),
    _diamond,
    _heart,
    lambda box: Path().rectangle(box.inset(box.width * 0.06)),
    lambda box: _regular(box, 8, 0.5),
    _moon,
)
FULL_STYLES = 4  # hatched; thick outline; thin, dashed outline; solid
CROSS_HATCHED = (0, 1, 2)  # the shapes of the last three symbols
COUNT = len(SHAPES) * FULL_STYLES + len(CROSS_HATCHED)


def draw_symbol(page: Surface, index: int, box: Box) -> None:
    """Draw symbol `index` (0–30) in a square box. Each is a different combination of shape and style."""
    style, number = divmod(index, len(SHAPES))
    shape = SHAPES[CROSS_HATCHED[number] if style == FULL_STYLES else number]
    path = shape(box)
    with page.decoration():
        if style == 0:
            page.hatch(path, box, RED, spacing=0.9)
            page.paint(path, None, Stroke(RED, 0.3))
        elif style == 1:
            page.paint(path, None, Stroke(BLUE, 0.6))
        elif style == 2:
            page.paint(path, WHITE, Stroke(PINK, 0.3, (0.7, 0.8)))
        elif style == 3:
            if page.ink_saver:  # an outline alone would look like the second style
                page.hatch(path, box, GREEN, spacing=0.9, angle=0)
            page.paint(path, GREEN, Stroke(GREEN, 0.3))
        else:
            page.hatch(path, box, YELLOW_INK, spacing=1.1, angle=45)
            page.hatch(path, box, YELLOW_INK, spacing=1.1, angle=-45)
            page.paint(path, None, Stroke(YELLOW_INK, 0.3))
