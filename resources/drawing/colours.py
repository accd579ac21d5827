"""Colours, written "#rrggbb" in sRGB, and line styles with widths in mm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

BLACK = "#000000"
INK = "#222222"  # outlines and text: softer than pure black
GREY = "#808080"
LIGHT_GREY = "#d5d5d5"
WHITE = "#ffffff"
RED = "#d94b3d"
ORANGE = "#d9641a"
YELLOW = "#f7cf46"
GREEN = "#2f8a3c"
BLUE = "#2f6fb7"
PURPLE = "#7b4fa3"
PINK = "#c83f7d"
BROWN = "#8f563b"


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line style.

    colour: "#rrggbb".
    width: mm.
    dash: alternating lengths of dashes and gaps in mm; empty for a solid line.
    """

    colour: str = INK
    width: float = 0.4
    dash: tuple[float, ...] = ()


OUTLINE = Stroke(INK, 0.5)
HAIRLINE = Stroke(GREY, 0.2)
CUT = Stroke(GREY, 0.3)
FOLD = Stroke(GREY, 0.3, (2.0, 1.5))


@lru_cache(maxsize=512)
def components(colour: str) -> tuple[float, float, float]:
    """Return red, green and blue, each 0–1. Raises ValueError unless `colour` is "#rrggbb"."""
    if len(colour) != 7 or colour[0] != "#":
        raise ValueError(f"colour is {colour!r}; allowed: #rrggbb, as in #d94b3d")
    return int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255


@lru_cache(maxsize=512)
def lightness(colour: str) -> float:
    """Return how light the colour is when printed in grey, from 0 (black) to 1 (white): luma by ITU-R BT.709."""
    red, green, blue = components(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
