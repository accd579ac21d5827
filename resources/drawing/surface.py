"""The drawing vocabulary: what a resource's file says about its page.

All lengths in mm, x to the right, y down from the upper left corner of the surface. In a document
that saves ink solid areas become outlines here, so no resource needs to think of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

from resources.content.text_sheets import Block
from resources.drawing import fonts, lettering
from resources.drawing.box import Box, Point
from resources.drawing.colours import BLACK, CUT, FOLD, GREY, INK, OUTLINE, Stroke, lightness
from resources.drawing.fonts import Role
from resources.drawing.ink import Ink
from resources.drawing.lettering import Typesetter
from resources.drawing.path import Path, circles
from resources.drawing.symbol import Symbol
from resources.language import Translate

Align = Literal["left", "centre", "right"]
LEADING = 1.35  # line distance in em
DOT_LENGTH = 0.01  # mm, of the line that draws a dot: what two decimals can still tell


class DrawingContext(Protocol):
    """What a surface needs of the document that it belongs to."""

    @property
    def translate(self) -> Translate: ...
    @property
    def language(self) -> str: ...
    @property
    def ink_saver(self) -> bool: ...
    @property
    def typesetter(self) -> Typesetter: ...

    def artwork(self, name: str, *, plain: bool = False) -> Symbol:
        """Return a figure as a symbol. Raises ArtworkError."""
        ...

    def symbol(
        self, key: str, width: float, height: float, draw: Callable[[Surface], None], description: str = ""
    ) -> Symbol:
        """Return the symbol of this key, drawn by `draw` on first use."""
        ...

    def sheet(self, name: str, **values: object) -> list[Block]:
        """Return the blocks of a text sheet in the document's language."""
        ...


class Surface:
    """An area to draw on: a page's content area, a part of it, or a symbol.

    `translate`, `language` and `ink_saver` are the document's.
    """

    __slots__ = ("area", "context", "ink", "ink_saver", "language", "translate")

    def __init__(self, context: DrawingContext, ink: Ink, width: float, height: float) -> None:
        self.context = context
        self.translate = context.translate
        self.language = context.language
        self.ink_saver = context.ink_saver
        self.ink = ink
        self.area = Box(0, 0, width, height)

    # -- what is drawn, for those who can't see it

    def figure(self, description: str) -> AbstractContextManager[None]:
        """Say in one line what the shapes inside show."""
        return self.ink.marked("Figure", description)

    def decoration(self) -> AbstractContextManager[None]:
        """Say that what is drawn inside means nothing."""
        return self.ink.marked("Artifact")

    # -- shapes

    def paint(self, path: Path, fill: str | None = None, stroke: Stroke | None = OUTLINE) -> None:
        """Fill and stroke an outline."""
        if fill is not None and self.ink_saver and lightness(fill) < 0.999:
            fill, stroke = None, stroke or Stroke(INK if lightness(fill) < 0.5 else GREY, 0.3)
        self.ink.paint(path.text(), fill, stroke)

    def rectangle(self, box: Box, fill: str | None = None, stroke: Stroke | None = OUTLINE, radius: float = 0) -> None:
        """Draw a rectangle, its corners rounded by `radius`."""
        self.paint(Path().rectangle(box, radius), fill, stroke)

    def circle(self, centre: Point, radius: float, fill: str | None = None, stroke: Stroke | None = OUTLINE) -> None:
        """Draw a circle."""
        self.paint(Path().circle(centre, radius), fill, stroke)

    def dots(self, centres: Iterable[Point], radius: float, colour: str = BLACK) -> None:
        """Draw filled dots of one size; circles where ink is saved."""
        if self.ink_saver:
            self.ink.paint(circles(centres, radius).text(), None, Stroke(INK, min(0.4, radius / 6)))
            return
        # A short line with round ends is a dot, in a fifth of a circle's operators. Not of no length at all:
        # ISO 32000-1 (8.5.3.2) would paint that too, but viewers that draw on an HTML canvas leave it out.
        lines = [f"{x:.2f} {y:.2f} m {x + DOT_LENGTH:.2f} {y:.2f} l" for x, y in centres]
        self.ink.paint("\n".join(lines), None, Stroke(colour, 2 * radius))

    def line(self, *points: Point, stroke: Stroke = OUTLINE) -> None:
        """Draw straight lines from point to point."""
        self.paint(Path().polyline(points), None, stroke)

    def hatch(self, path: Path, bounds: Box, colour: str, spacing: float = 1.5, angle: float = 45) -> None:
        """Fill an outline that lies within `bounds` with parallel lines, `spacing` apart, at `angle` degrees."""
        (x, y), reach = bounds.centre, math.hypot(bounds.width, bounds.height) / 2
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        lines = Path()
        for i in range(-math.floor(reach / spacing), math.floor(reach / spacing) + 1):
            px, py = x - sin * i * spacing, y + cos * i * spacing
            lines.polyline([(px - cos * reach, py - sin * reach), (px + cos * reach, py + sin * reach)])
        with self.ink.kept():
            self.ink.clip(path.text())
            self.ink.paint(lines.text(), None, Stroke(colour, spacing / 5))

    def cut_lines(self, boxes: Iterable[Box], stroke: Stroke = CUT) -> None:
        """Outline what is to be cut out; what two neighbours share is one line, so that its dashes stay dashes."""
        path = Path()
        for edge in dict.fromkeys(edge for box in boxes for edge in box.edges):
            path.polyline(edge)
        with self.decoration():
            self.paint(path, None, stroke)

    def fold_line(self, start: Point, end: Point, stroke: Stroke = FOLD) -> None:
        """Draw a dashed line to fold along."""
        with self.decoration():
            self.line(start, end, stroke=stroke)

    def arrow(self, path: Path, stroke: Stroke, head: float = 3, before: Point | None = None) -> None:
        """Draw a line with an open arrow head of `head` mm at its end.

        `before` is a point that the line comes from at its end; needed when the path's last part is a
        curve, whose second control point it then is.
        """
        self.paint(path, None, stroke)
        self.arrow_head(path.end, before or self.area.centre, stroke, head)

    def arrow_head(self, tip: Point, before: Point, stroke: Stroke, size: float = 3) -> None:
        """Draw an open arrow head whose tip is at `tip`, coming from the direction of `before`."""
        angle = math.atan2(tip[1] - before[1], tip[0] - before[0])
        wings = [
            (tip[0] - size * math.cos(angle + turn), tip[1] - size * math.sin(angle + turn))
            for turn in (math.radians(28), -math.radians(28))
        ]
        self.paint(Path().polyline([wings[0], tip, wings[1]]), None, Stroke(stroke.colour, stroke.width))

    # -- text

    def text(
        self,
        box: Box,
        text: str,
        size: float,
        *,
        role: Role = "body",
        align: Align = "centre",
        colour: str = INK,
    ) -> float:
        """Write one line into the box, centred in its height, made smaller where it must be.

        Returns the size used, mm. Raises TextDoesNotFitError, MissingCharacterError.
        """
        size = lettering.fitted_size(role, text, size, box.width, box.height)
        spare = box.width - fonts.width(role, text) * size
        x = box.x + {"left": 0.0, "centre": spare / 2, "right": spare}[align]
        self.write((x, box.centre[1] + fonts.cap_height(role) * size / 2), text, size, role=role, colour=colour)
        return size

    def text_width(self, text: str, size: float, *, role: Role = "body") -> float:
        """Return the width of one line at this size, mm. Raises MissingCharacterError."""
        return fonts.width(role, text) * size

    def heading(
        self,
        box: Box,
        text: str,
        size: float,
        *,
        role: Role = "hand",
        align: Align = "centre",
        colour: str = INK,
    ) -> float:
        """Write a heading of one line into the box. Returns and raises as `text` does."""
        return self.text(box, text, size, role=role, align=align, colour=colour)

    def write(self, start: Point, text: str, size: float, *, role: Role = "body", colour: str = INK) -> None:
        """Write a line whose baseline begins at `start`, at exactly this size (mm)."""
        self.write_many([(start, text)], size, role=role, colour=colour)

    def write_many(
        self, lines: Iterable[tuple[Point, str]], size: float, *, role: Role = "body", colour: str = INK
    ) -> None:
        """Write many short lines of one look, each from its own start on the baseline."""
        self.ink.fill_colour(colour)
        code = self.ink.code
        code.append("BT")
        current = None
        for (x, y), text in lines:
            code.append(f"1 0 0 -1 {x:.2f} {y:.2f} Tm")
            for font, shown in self.context.typesetter.shown(role, text):
                if font != current:
                    code.append(f"{font} {size:.3g} Tf")
                    current = font
                code.append(shown)
        code.append("ET")

    def texts(
        self,
        cells: Iterable[tuple[Box, str]],
        size: float,
        *,
        role: Role = "body",
        align: Align = "centre",
        colour: str = INK,
    ) -> None:
        """Write one short text into each box, all at one size, which must fit."""
        rise = fonts.cap_height(role) * size / 2
        share = {"left": 0.0, "centre": 0.5, "right": 1.0}[align]
        self.write_many(
            (((b.x + (b.width - fonts.width(role, t) * size) * share, b.y + b.height / 2 + rise), t) for b, t in cells),
            size,
            role=role,
            colour=colour,
        )

    def paragraph(
        self,
        box: Box,
        text: str,
        size: float,
        *,
        role: Role = "body",
        align: Align = "left",
        colour: str = INK,
        middle: bool = False,
    ) -> float:
        """Write text in lines from the top of the box (or about its middle), smaller where it must be.

        Returns the height used, mm. Raises TextDoesNotFitError, MissingCharacterError.
        """
        lines = lettering.broken(role, text, size, box.width)
        while len(lines) * size * LEADING > box.height + 1e-6 and size > lettering.MIN_TEXT_SIZE:
            size = max(lettering.MIN_TEXT_SIZE, size * 0.95)
            lines = lettering.broken(role, text, size, box.width)
        height = len(lines) * size * LEADING
        if height > box.height + 1e-6:
            raise lettering.TextDoesNotFitError(f"{text[:40]!r} needs a box larger than {box.height:.0f} mm")
        top = box.y + (box.height - height) / 2 if middle else box.y
        self.texts(
            ((Box(box.x, top + i * size * LEADING, box.width, size * LEADING), line) for i, line in enumerate(lines)),
            size,
            role=role,
            align=align,
            colour=colour,
        )
        return height

    def sheet(self, name: str, **values: object) -> list[Block]:
        """Return the blocks of a text sheet in the document's language. Raises jinja2.TemplateError."""
        return self.context.sheet(name, **values)

    # -- parts

    @contextmanager
    def part(
        self, box: Box, width: float | None = None, height: float | None = None, *, turned: float = 0
    ) -> Iterator[Surface]:
        """Give a surface of its own inside the box.

        With `width` and `height` it has that size, scaled to fit and centred, its aspect kept.
        `turned`: degrees clockwise about the centre of the box.
        """
        width, height = width or box.width, height or box.height
        scale = min(box.width / width, box.height / height)
        cos, sin = math.cos(math.radians(turned)) * scale, math.sin(math.radians(turned)) * scale
        (x, y), (dx, dy) = box.centre, (width / 2, height / 2)
        with self.ink.kept():
            self.ink.transform(cos, sin, -sin, cos, x - cos * dx + sin * dy, y - sin * dx - cos * dy)
            yield Surface(self.context, self.ink, width, height)

    def place(self, symbol: Symbol, box: Box, *, turned: float = 0, mirrored: bool = False) -> None:
        """Draw a symbol as large as fits the box, centred."""
        scale = min(box.width / symbol.width, box.height / symbol.height)
        cos, sin = math.cos(math.radians(turned)) * scale, math.sin(math.radians(turned)) * scale
        way = -1 if mirrored else 1
        (x, y), (dx, dy) = box.centre, (symbol.width / 2, symbol.height / 2)
        with self.ink.kept():
            self.ink.transform(
                way * cos, way * sin, -sin, cos, x - way * cos * dx + sin * dy, y - way * sin * dx - cos * dy
            )
            self.ink.form(symbol.name)

    def symbol(
        self, key: str, width: float, height: float, draw: Callable[[Surface], None], description: str = ""
    ) -> Symbol:
        """Return the document's symbol of this key, of this size in mm, drawn by `draw` on first use."""
        return self.context.symbol(key, width, height, draw, description)

    def artwork_symbol(self, name: str, *, plain: bool = False) -> Symbol:
        """Return a figure as a symbol, to be placed many times. Raises ArtworkError."""
        return self.context.artwork(name, plain=plain)

    def artwork(self, name: str, box: Box, *, plain: bool = False, turned: float = 0, mirrored: bool = False) -> None:
        """Draw the figure static/artwork/{name}.svg as large as fits the box, with its own description.

        `plain`: outlines only, for colouring in or for a grey printer.
        """
        symbol = self.artwork_symbol(name, plain=plain)
        with self.figure(self.translate(symbol.description)):
            self.place(symbol, box, turned=turned, mirrored=mirrored)
