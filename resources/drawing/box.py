"""Rectangles for page layout. Lengths in mm, x to the right, y down from the upper left corner."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: the coordinates of its upper left corner, its width and its height, all in mm."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x coordinate of the right edge, mm."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y coordinate of the lower edge, mm."""
        return self.y + self.height

    @property
    def centre(self) -> Point:
        """The centre, (x, y) in mm."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def edges(self) -> tuple[tuple[Point, Point], ...]:
        """The upper, lower, left and right edge, each from point to point.

        Coordinates are rounded to 0.01 mm, so that adjacent boxes have an equal edge in common.
        """
        left, top, right, bottom = (round(number, 2) for number in (self.x, self.y, self.right, self.bottom))
        return (
            ((left, top), (right, top)),
            ((left, bottom), (right, bottom)),
            ((left, top), (left, bottom)),
            ((right, top), (right, bottom)),
        )

    def inset(self, horizontal: float, vertical: float | None = None) -> Box:
        """Return the box reduced by `horizontal` mm at the left and right and `vertical` mm at the top and bottom.

        `vertical` defaults to `horizontal`. Negative values enlarge the box.
        """
        vertical = horizontal if vertical is None else vertical
        return Box(self.x + horizontal, self.y + vertical, self.width - 2 * horizontal, self.height - 2 * vertical)

    def moved(self, x: float = 0, y: float = 0) -> Box:
        """Return the box moved `x` mm to the right and `y` mm down."""
        return Box(self.x + x, self.y + y, self.width, self.height)

    def split_top(self, height: float) -> tuple[Box, Box]:
        """Return the upper part, `height` mm high, and the rest below it."""
        return (
            Box(self.x, self.y, self.width, height),
            Box(self.x, self.y + height, self.width, self.height - height),
        )

    def split_left(self, width: float) -> tuple[Box, Box]:
        """Return the left part, `width` mm wide, and the rest to its right."""
        return (
            Box(self.x, self.y, width, self.height),
            Box(self.x + width, self.y, self.width - width, self.height),
        )

    def rows(self, count: int, gap: float = 0) -> list[Box]:
        """Return `count` equal rows from top to bottom, `gap` mm apart."""
        height = (self.height - gap * (count - 1)) / count
        return [Box(self.x, self.y + i * (height + gap), self.width, height) for i in range(count)]

    def columns(self, count: int, gap: float = 0) -> list[Box]:
        """Return `count` equal columns from left to right, `gap` mm apart."""
        width = (self.width - gap * (count - 1)) / count
        return [Box(self.x + i * (width + gap), self.y, width, self.height) for i in range(count)]

    def grid(self, columns: int, rows: int, gap: float = 0) -> list[Box]:
        """Return the cells of a grid row by row, each row from left to right, `gap` mm apart."""
        return [cell for row in self.rows(rows, gap) for cell in row.columns(columns, gap)]

    def fitted(self, aspect: float) -> Box:
        """Return the largest box with this aspect ratio (width / height) that fits, centred."""
        width = min(self.width, self.height * aspect)
        return self.centred(width, width / aspect)

    def centred(self, width: float, height: float) -> Box:
        """Return a box of this size in mm with the same centre."""
        x, y = self.centre
        return Box(x - width / 2, y - height / 2, width, height)
