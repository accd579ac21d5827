"""Rectangles to lay a page out with. Millimetres; x to the right, y DOWN from the top left corner."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: its upper left corner, its width and its height, mm."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """x of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """y of the lower edge."""
        return self.y + self.height

    @property
    def centre(self) -> Point:
        """The point in the middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def edges(self) -> tuple[tuple[Point, Point], ...]:
        """Upper, lower, left and right edge, in hundredths of a mm: boxes side by side have one in common."""
        left, top, right, bottom = (round(number, 2) for number in (self.x, self.y, self.right, self.bottom))
        return (
            ((left, top), (right, top)),
            ((left, bottom), (right, bottom)),
            ((left, top), (left, bottom)),
            ((right, top), (right, bottom)),
        )

    def inset(self, horizontal: float, vertical: float | None = None) -> Box:
        """Return the box without a rim of this thickness; a negative one grows it."""
        vertical = horizontal if vertical is None else vertical
        return Box(self.x + horizontal, self.y + vertical, self.width - 2 * horizontal, self.height - 2 * vertical)

    def moved(self, x: float = 0, y: float = 0) -> Box:
        """Return the box shifted to the right and down."""
        return Box(self.x + x, self.y + y, self.width, self.height)

    def split_top(self, height: float) -> tuple[Box, Box]:
        """Return the upper part of this height, and the rest."""
        return (
            Box(self.x, self.y, self.width, height),
            Box(self.x, self.y + height, self.width, self.height - height),
        )

    def split_left(self, width: float) -> tuple[Box, Box]:
        """Return the left part of this width, and the rest."""
        return (
            Box(self.x, self.y, width, self.height),
            Box(self.x + width, self.y, self.width - width, self.height),
        )

    def rows(self, count: int, gap: float = 0) -> list[Box]:
        """Return `count` equal rows from top to bottom, `gap` mm between them."""
        height = (self.height - gap * (count - 1)) / count
        return [Box(self.x, self.y + i * (height + gap), self.width, height) for i in range(count)]

    def columns(self, count: int, gap: float = 0) -> list[Box]:
        """Return `count` equal columns from left to right, `gap` mm between them."""
        width = (self.width - gap * (count - 1)) / count
        return [Box(self.x + i * (width + gap), self.y, width, self.height) for i in range(count)]

    def grid(self, columns: int, rows: int, gap: float = 0) -> list[Box]:
        """Return the cells of a grid, row by row."""
        return [cell for row in self.rows(rows, gap) for cell in row.columns(columns, gap)]

    def fitted(self, aspect: float) -> Box:
        """Return the largest centred box with `aspect` = width / height."""
        width = min(self.width, self.height * aspect)
        return self.centred(width, width / aspect)

    def centred(self, width: float, height: float) -> Box:
        """Return a box of this size about the same centre."""
        x, y = self.centre
        return Box(x - width / 2, y - height / 2, width, height)
