"""Writing on a surface: lines, headings, paragraphs and text sheets, in mm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

from resources.content.text_sheets import Block
from resources.drawing import fonts, lettering
from resources.drawing.box import Box, Point
from resources.drawing.colours import INK
from resources.drawing.fonts import Role
from resources.drawing.ink import Ink
from resources.drawing.lettering import Typesetter
from resources.language import Translate

Align = Literal["left", "centre", "right"]
LEADING = 1.35  # distance from line to line, em


class WritingContext(Protocol):
    """The parts of a document that are needed to write."""

    @property
    def translate(self) -> Translate: ...
    @property
    def language(self) -> str: ...
    @property
    def typesetter(self) -> Typesetter: ...

    def sheet(self, name: str, **values: object) -> list[Block]:
        """Return the blocks of a text sheet in the document's language. Raises jinja2.TemplateError."""
        ...


class Writing:
    """A surface's text. `translate` and `language` are the document's; pass texts through `translate` first.

    The size of text is the height of an em in mm (1 mm = 2.83 pt). Methods that write or measure text raise
    MissingCharacterError for a character that no font of the role has.
    """

    __slots__ = ("area", "context", "ink", "language", "translate")

    def __init__(self, context: WritingContext, ink: Ink, width: float, height: float) -> None:
        self.context = context
        self.translate = context.translate
        self.language = context.language
        self.ink = ink
        self.area = Box(0, 0, width, height)

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
