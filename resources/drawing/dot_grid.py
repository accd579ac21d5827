"""How a power of two of dots is laid out."""

from __future__ import annotations

import math


def grid_of(dots: int) -> tuple[int, int]:
    """Return columns and rows of a near-square grid of a power of two of dots; rows are the more."""
    columns = 2 ** (int(math.log2(dots)) // 2)
    return columns, dots // columns
