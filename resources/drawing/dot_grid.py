"""The layout of a power of two of dots."""

from __future__ import annotations

import math


def grid_of(dots: int) -> tuple[int, int]:
    """Return the columns and rows of a nearly square grid; `dots` is a power of two. There are never fewer rows."""
    columns = 2 ** (int(math.log2(dots)) // 2)
    return columns, dots // columns
