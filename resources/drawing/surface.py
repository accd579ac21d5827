"""The drawing vocabulary: shapes, text, artwork and parts of a page.

All lengths are in mm, x to the right, y down from the upper left corner of the surface. In a document that saves ink,
solid areas become outlines here, so that resources need no code for it.
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
LEADING = 1.35  # distance from line to line, em
DOT_LENGTH = 0.01  # mm, of the line that draws a dot: the shortest that two decimals can express


class DrawingContext(Protocol):
    """The parts of a document that its surfaces use."""

    @property
    def translate(self) -> Translate: ...
    @property
    def language(self) -> str: ...
    @property
    def ink_saver(self) -> bool: ...
    @property
    def typesetter(self) -> Typesetter: ...

    def artwork(self, name: str, *, plain: bool = False) -> Symbol:
        """Return the figure artwork/{name}.svg as a symbol. Raises ArtworkError."""
        ...

    def symbol(
        self, key: str, width: float, height: float, draw: Callable[[Surface], None], description: str = ""
    ) -> Symbol:
        """Return the symbol with this key, drawn by `draw` on first use."""
        ...

    def sheet(self, name: str, **values: object) -> list[Block]:
        """Return the blocks of a text sheet in the document's language. Raises jinja2.TemplateError."""
        ...


class Surface:
    """An area to draw on: the content area of a page, a part of it, or a symbol.

    area: the whole surface as a box; its upper left corner is (0, 0).
    translate, language, ink_saver: those of the document. Pass texts through `translate` before drawing them.

    Colours are "#rrggbb"; a method raises ValueError for any other notation. Where a method takes `fill` and `stroke`,
    None leaves it out. The size of text is the height of an em in mm (1 mm = 2.83 pt). Methods that write or measure
    text raise MissingCharacterError for a character that no font of the role has.
    """

    __slots__ = ("area", "context", "ink", "ink_saver", "language", "translate")

    def __init__(self, context: DrawingContext, ink: Ink, width: float, height: float) -> None:
        self.context = context
        self.translate = context.translate
        self.language = context.language
        self.ink_saver = context.ink_saver
        self.ink = ink
        self.area = Box(0, 0, width, height)

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
        """Write one line, vertically centred in the box, at `size` mm, or smaller if it would not fit.

        Returns the size used, mm. Raises TextDoesNotFitError, MissingCharacterError.
        """
        size = lettering.fitted_size(role, text, size, box.width, box.height)
        spare = box.width - fonts.width(role, text) * size
        x = box.x + {"left": 0.0, "centre": spare / 2, "right": spare}[align]
        self.write((x, box.centre[1] + fonts.cap_height(role) * size / 2), text, size, role=role, colour=colour)
        return size

    def text_width(self, text: str, size: float, *, role: Role = "body") -> float:
        """Return the width of one line at `size` mm, mm. Raises MissingCharacterError."""
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
        """Write a heading of one line. Returns and raises the same as `text`."""
        return self.text(box, text, size, role=role, align=align, colour=colour)

    def write(self, start: Point, text: str, size: float, *, role: Role = "body", colour: str = INK) -> None:
        """Write one line at exactly `size` mm, with its baseline beginning at `start`."""
        self.write_many([(start, text)], size, role=role, colour=colour)

    def write_many(
        self, lines: Iterable[tuple[Point, str]], size: float, *, role: Role = "body", colour: str = INK
    ) -> None:
        """Write several lines in the same style, each with its baseline beginning at its point."""
        self.ink.fill_colour(colour)
        code = self.ink.code
        code.append("BT")
        current = None
        for (x, y), text in lines:
            code.append(f"1 0 0 -1 {x:.2f} {y:.2f} Tm")
            for font, operator in self.context.typesetter.operators(role, text):
                if font != current:
                    code.append(f"{font} {size:.3g} Tf")
                    current = font
                code.append(operator)
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
        """Write one line into each box, vertically centred, all at exactly `size` mm, even where it does not fit."""
        rise = fonts.cap_height(role) * size / 2
        start = {"left": 0.0, "centre": 0.5, "right": 1.0}[align]  # as a part of the spare width
        self.write_many(
            (((b.x + (b.width - fonts.width(role, t) * size) * start, b.y + b.height / 2 + rise), t) for b, t in cells),
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
        """Write text in as many lines as it needs, at `size` mm, or smaller if it would not fit into the box.

        The lines begin at the top of the box, or are vertically centred if `middle` is set. Returns the height used,
        mm. Raises TextDoesNotFitError, MissingCharacterError.
        """
        lines = lettering.wrapped(role, text, size, box.width)
        while len(lines) * size * LEADING > box.height + 1e-6 and size > lettering.MIN_TEXT_SIZE:
            size = max(lettering.MIN_TEXT_SIZE, size * 0.95)
            lines = lettering.wrapped(role, text, size, box.width)
        height = len(lines) * size * LEADING
        if height > box.height + 1e-6:
            raise lettering.does_not_fit(f"{text[:40]!r}", box.width, box.height)
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
        """Return the blocks of the text sheet `name` in the document's language; `values` are its variables.

        Raises jinja2.TemplateError.
        """
        return self.context.sheet(name, **values)

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
