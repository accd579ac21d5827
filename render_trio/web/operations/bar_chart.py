"""Counts → a small chart for a page: bars as one SVG path, so that no style and no script is needed to draw them."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 600, 72  # of the view box
GAP = 2.0
LEAST = 1.5  # height of a bar that isn't nothing


def bars(counts: Sequence[int]) -> str:
    """Return the path of one bar for each count, the largest as high as the chart."""
    most = max(counts, default=0)
    step = WIDTH / max(len(counts), 1)
    drawn = []
    for number, count in enumerate(counts):
        if count:
            height = max(LEAST, HEIGHT * count / most)
            x, width = number * step, step - GAP
            drawn.append(f"M{x:.1f} {HEIGHT}v{-height:.1f}h{width:.1f}v{height:.1f}z")
    return "".join(drawn)
