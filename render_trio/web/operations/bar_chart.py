"""Counts → a small bar chart: one SVG path, which needs neither a style attribute nor a script."""

from __future__ import annotations

from collections.abc import Sequence

# Units of the view box.
WIDTH, HEIGHT = 600, 72
GAP = 2.0
MIN_HEIGHT = 1.5  # of a bar whose count isn't 0


def bar_chart(counts: Sequence[int]) -> str:
    """Return the path's data: a bar for each count, the highest as high as the chart; none for a count of 0."""
    highest = max(counts, default=0)
    step = WIDTH / max(len(counts), 1)
    bars = []
    for number, count in enumerate(counts):
        if count:
            height = max(MIN_HEIGHT, HEIGHT * count / highest)
            x, width = number * step, step - GAP
            bars.append(f"M{x:.1f} {HEIGHT}v{-height:.1f}h{width:.1f}v{height:.1f}z")
    return "".join(bars)
