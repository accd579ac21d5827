"""The drawing vocabulary: shapes, text, artwork and parts of a page.

All lengths are in mm, x to the right, y down from the upper left corner of the surface. In a document that saves ink,
solid areas become outlines here, so that resources need no code for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from resources.drawing.box import Box, Point
from resources.drawing.colours import BLACK, CUT, FOLD, GREY, INK, OUTLINE, Stroke, lightness
from resources.drawing.ink import Ink
from resources.drawing.path import Path, circles
from resources.drawing.symbol import Symbol
from resources.drawing.writing import Writing, WritingContext

DOT_LENGTH = 0.01  # mm, of the line that draws a dot: the shortest that two decimals can express


class DrawingContext(WritingContext, Protocol):
    """The parts of a document that its surfaces use."""

    @property
    def ink_saver(self) -> bool: ...

    def artwork(self, name: str, *, plain: bool = False) -> Symbol:
        """Return the figure artwork/{name}.svg as a symbol. Raises ArtworkError."""
        ...

    def symbol(
        self, key: str, width: float, height: float, draw: Callable[[Surface], None], description: str = ""
    ) -> Symbol:
        """Return the symbol with this key, drawn by `draw` on first use."""
        ...


class Surface(Writing):
    """An area to draw on: the content area of a page, a part of it, or a symbol.

    area: the whole surface as a box; its upper left corner is (0, 0).
    translate, language, ink_saver: those of the document. Pass texts through `translate` before drawing them.

    Colours are "#rrggbb"; a method raises ValueError for any other notation. Where a method takes `fill` and `stroke`,
    None leaves it out.

    The size of text is the height of an em in mm (1 mm = 2.83 pt). `role` is the kind of text: hand (friendly, for
    headings and numbers), body, strong (bold body) or plain. `align` is left, centre or right. `text`, `heading` and
    `paragraph` make a text that is too large smaller, down to 1.6 mm, and raise TextDoesNotFitError if that is not
    enough. Methods that write or measure text raise MissingCharacterError for a character that no font of the role has.
    """

    __slots__ = ("ink_saver",)
    context: DrawingContext

    def __init__(self, context: DrawingContext, ink: Ink, width: float, height: float) -> None:
        super().__init__(context, ink, width, height)
        self.ink_saver = context.ink_saver

    # -- descriptions for accessibility

    def figure(self, description: str) -> AbstractContextManager[None]:
        """Describe the shapes drawn inside, in one line of already translated text, for screen readers.

        For use in a `with` statement: the shapes become a Figure with an alternate text (ISO 32000-1, 14.9.3).
        """
        return self.ink.marked_content("Figure", description)

    def decoration(self) -> AbstractContextManager[None]:
        """Mark the shapes drawn inside as decoration, which screen readers skip.

        For use in a `with` statement: the shapes become an Artifact (ISO 32000-1, 14.8.2.2).
        """
        return self.ink.marked_content("Artifact")

    # -- shapes

    def paint(self, path: Path, fill: str | None = None, stroke: Stroke | None = OUTLINE) -> None:
        """Fill and stroke a path. To save ink, only its outline is drawn, unless the fill is white."""
        if fill is not None and self.ink_saver and lightness(fill) < 0.999:
            fill, stroke = None, stroke or Stroke(INK if lightness(fill) < 0.5 else GREY, 0.3)
        self.ink.paint(path.text(), fill, stroke)

    def rectangle(self, box: Box, fill: str | None = None, stroke: Stroke | None = OUTLINE, radius: float = 0) -> None:
        """Draw a rectangle, with corners rounded by `radius` mm."""
        self.paint(Path().rectangle(box, radius), fill, stroke)

    def circle(self, centre: Point, radius: float, fill: str | None = None, stroke: Stroke | None = OUTLINE) -> None:
        """Draw a circle with this radius in mm."""
        self.paint(Path().circle(centre, radius), fill, stroke)

    def dots(self, centres: Iterable[Point], radius: float, colour: str = BLACK) -> None:
        """Draw a filled dot of `radius` mm at each centre, or a circle to save ink."""
        if self.ink_saver:
            self.ink.paint(circles(centres, radius).text(), None, Stroke(INK, min(0.4, radius / 6)))
            return
        # A short line with round caps is a dot, and takes a fifth of the operators of a circle. It must have a length:
        # ISO 32000-1 (8.5.3.2) also paints a line of length 0, but viewers that draw on an HTML canvas omit it.
        lines = [f"{x:.2f} {y:.2f} m {x + DOT_LENGTH:.2f} {y:.2f} l" for x, y in centres]
        self.ink.paint("\n".join(lines), None, Stroke(colour, 2 * radius))

    def line(self, *points: Point, stroke: Stroke = OUTLINE) -> None:
        """Draw an open line through the points."""
        self.paint(Path().polyline(points), None, stroke)

    def hatch(self, path: Path, bounds: Box, colour: str, spacing: float = 1.5, angle: float = 45) -> None:
        """Fill a path with parallel lines, `spacing` mm apart, at `angle` degrees clockwise from horizontal.

        `bounds` is a box that contains the path. The path itself is not stroked.
        """
        (x, y), reach = bounds.centre, math.hypot(bounds.width, bounds.height) / 2
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        lines = Path()
        for i in range(-math.floor(reach / spacing), math.floor(reach / spacing) + 1):
            px, py = x - sin * i * spacing, y + cos * i * spacing
            lines.polyline([(px - cos * reach, py - sin * reach), (px + cos * reach, py + sin * reach)])
        with self.ink.saved_state():
            self.ink.clip(path.text())
            self.ink.paint(lines.text(), None, Stroke(colour, spacing / 5))

    def cut_lines(self, boxes: Iterable[Box], stroke: Stroke = CUT) -> None:
        """Draw the edges of the boxes as lines to cut along.

        An edge that two boxes share is drawn once, so that dashes do not overlap.
        """
        path = Path()
        for edge in dict.fromkeys(edge for box in boxes for edge in box.edges):
            path.polyline(edge)
        with self.decoration():
            self.paint(path, None, stroke)

    def fold_line(self, start: Point, end: Point, stroke: Stroke = FOLD) -> None:
        """Draw a line to fold along, dashed unless `stroke` says otherwise."""
        with self.decoration():
            self.line(start, end, stroke=stroke)

    def arrow(self, path: Path, stroke: Stroke, head: float = 3, before: Point | None = None) -> None:
        """Stroke a path, with an open arrow head of `head` mm at its end.

        `before` is the point from which the line comes at its end, and gives the head its direction: the last point
        but one or, if the path ends with a curve, the second control point. By default it is the centre of the surface.
        """
        self.paint(path, None, stroke)
        self.arrow_head(path.end, before or self.area.centre, stroke, head)

    def arrow_head(self, tip: Point, before: Point, stroke: Stroke, size: float = 3) -> None:
        """Draw an open arrow head of `size` mm at `tip` that points away from `before`."""
        angle = math.atan2(tip[1] - before[1], tip[0] - before[0])
        wings = [
            (tip[0] - size * math.cos(angle + turn), tip[1] - size * math.sin(angle + turn))
            for turn in (math.radians(28), -math.radians(28))
        ]
        self.paint(Path().polyline([wings[0], tip, wings[1]]), None, Stroke(stroke.colour, stroke.width))

    # -- parts

    @contextmanager
    def part(
        self, box: Box, width: float | None = None, height: float | None = None, *, rotation: float = 0
    ) -> Iterator[Surface]:
        """Yield a new surface inside the box, with its own coordinates.

        The surface is `width` × `height` mm (by default as large as the box), and is scaled to fit into the box,
        centred, with its aspect ratio kept. `rotation`: degrees clockwise about the centre of the box.
        """
        width, height = width or box.width, height or box.height
        scale = min(box.width / width, box.height / height)
        cos, sin = math.cos(math.radians(rotation)) * scale, math.sin(math.radians(rotation)) * scale
        (x, y), (dx, dy) = box.centre, (width / 2, height / 2)
        with self.ink.saved_state():
            self.ink.transform(cos, sin, -sin, cos, x - cos * dx + sin * dy, y - sin * dx - cos * dy)
            yield Surface(self.context, self.ink, width, height)

    def place(self, symbol: Symbol, box: Box, *, rotation: float = 0, mirrored: bool = False) -> None:
        """Draw a symbol as large as fits into the box, centred.

        `rotation`: degrees clockwise about the centre of the box. `mirrored`: flip left and right.
        """
        scale = min(box.width / symbol.width, box.height / symbol.height)
        cos, sin = math.cos(math.radians(rotation)) * scale, math.sin(math.radians(rotation)) * scale
        flip = -1 if mirrored else 1
        (x, y), (dx, dy) = box.centre, (symbol.width / 2, symbol.height / 2)
        with self.ink.saved_state():
            self.ink.transform(
                flip * cos, flip * sin, -sin, cos, x - flip * cos * dx + sin * dy, y - flip * sin * dx - cos * dy
            )
            self.ink.form(symbol.name)

    def symbol(
        self, key: str, width: float, height: float, draw: Callable[[Surface], None], description: str = ""
    ) -> Symbol:
        """Return the document's symbol with this key.

        On first use, `draw` draws it on a surface of `width` × `height` mm, and `description` says what it shows.
        """
        return self.context.symbol(key, width, height, draw, description)

    def artwork_symbol(self, name: str, *, plain: bool = False) -> Symbol:
        """Return the figure artwork/{name}.svg as a symbol, to place it many times. Raises ArtworkError."""
        return self.context.artwork(name, plain=plain)

    def artwork(self, name: str, box: Box, *, plain: bool = False, rotation: float = 0, mirrored: bool = False) -> None:
        """Draw the figure artwork/{name}.svg as large as fits into the box, centred, with its title as the description.

        `plain`: outlines only, to colour in or to print in grey. `rotation`: degrees clockwise about the centre of the
        box. `mirrored`: flip left and right. Raises ArtworkError.
        """
        symbol = self.artwork_symbol(name, plain=plain)
        with self.figure(self.translate(symbol.description)):
            self.place(symbol, box, rotation=rotation, mirrored=mirrored)
