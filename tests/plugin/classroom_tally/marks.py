"""Tally marks: four strokes and a fifth across them."""

from __future__ import annotations

from resources.drawing import Box, Path

GROUP = 5
STROKES = 4  # upright ones of a whole group
GAP = 1.6  # between two groups, in distances between strokes


def tally(number: int, box: Box) -> Path:
    """Return the strokes for `number` as a path in the middle of the box, as large as fits.

    Groups stand side by side; the fifth stroke of each crosses the four before it.
    """
    groups = [GROUP] * (number // GROUP) + ([number % GROUP] if number % GROUP else [])
    widths = [min(size, STROKES) - 1 for size in groups]  # in distances between strokes
    total = sum(widths) + GAP * max(0, len(groups) - 1) + 1
    distance = min(box.width / total, box.height / 4.5)
    height = 4.5 * distance
    (x, y), path = box.centre, Path()
    left = x - distance * (total - 1) / 2
    for size, width in zip(groups, widths, strict=True):
        for stroke in range(min(size, STROKES)):
            at = left + stroke * distance
            path.polyline([(at, y - height / 2), (at, y + height / 2)])
        if size == GROUP:
            reach = distance * 0.45
            path.polyline([(left - reach, y + height * 0.3), (left + width * distance + reach, y - height * 0.3)])
        left += (width + GAP) * distance
    return path
