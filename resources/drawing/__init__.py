"""The drawing vocabulary: a request goes in, drawn pages come out.

A resource draws with the methods of `Surface`. Lengths are in mm, unless a docstring states another unit.
"""

from resources.drawing.box import Box, Point
from resources.drawing.colours import (
    BLACK,
    BLUE,
    BROWN,
    CUT,
    FOLD,
    GREEN,
    GREY,
    HAIRLINE,
    INK,
    LIGHT_GREY,
    ORANGE,
    OUTLINE,
    PINK,
    PURPLE,
    RED,
    WHITE,
    YELLOW,
    Stroke,
)
from resources.drawing.path import Path, bezier_point, circles
from resources.drawing.surface import Surface
from resources.drawing.symbol import Symbol

__all__ = [
    "BLACK",
    "BLUE",
    "BROWN",
    "CUT",
    "FOLD",
    "GREEN",
    "GREY",
    "HAIRLINE",
    "INK",
    "LIGHT_GREY",
    "ORANGE",
    "OUTLINE",
    "PINK",
    "PURPLE",
    "RED",
    "WHITE",
    "YELLOW",
    "Box",
    "Path",
    "Point",
    "Stroke",
    "Surface",
    "Symbol",
    "bezier_point",
    "circles",
]
