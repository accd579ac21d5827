"""Typesetting: the largest size that fits, line breaks, and the conversion of text to PDF operators."""

from __future__ import annotations

from functools import lru_cache

from reportlab.pdfgen.canvas import Canvas

from resources.drawing import fonts
from resources.drawing.fonts import Role

MIN_TEXT_SIZE = 1.6  # mm (4.5 pt): smaller text is too hard to read
ELLIPSIS = "…"


class TextDoesNotFitError(ValueError):
    """A text does not fit into its box, even at `MIN_TEXT_SIZE`."""


def does_not_fit(content: str, width: float, height: float | None) -> TextDoesNotFitError:
    """Return the error for `content` in a box of this size in mm; `height` is None if only the width is limited."""
    size = f"{width:.1f} mm" if height is None else f"{width:.1f} × {height:.1f} mm"
    return TextDoesNotFitError(f"{content} does not fit into {size}; make the box larger or the text shorter")


def fitted_size(role: Role, text: str, size: float, width: float, height: float | None = None) -> float:
    """Return the largest size in mm, up to `size`, at which one line fits into this width and height (mm).

    Raises TextDoesNotFitError if the text would have to be reduced below `MIN_TEXT_SIZE`, and MissingCharacterError.
    """
    ems = fonts.width(role, text)
    fitting = min(size, width / ems if ems else size)
    if height is not None:
        fitting = min(fitting, height / fonts.cap_height(role))
    if fitting < MIN_TEXT_SIZE and fitting < size:
        raise does_not_fit(f"{text[:40]!r}", width, height)
    return fitting


def truncated(role: Role, text: str, size: float, width: float) -> str:
    """Return the text, truncated with an ellipsis if one line at `size` mm is wider than `width` mm.

    Raises MissingCharacterError.
    """
    if fonts.width(role, text) * size <= width:
        return text
    start = text
    while start and fonts.width(role, start + ELLIPSIS) * size > width:
        start = start[:-1]
    return start.rstrip() + ELLIPSIS


@lru_cache(maxsize=1024)
def wrapped(role: Role, text: str, size: float, width: float) -> tuple[str, ...]:
    """Return the text in lines of at most `width` mm at `size` mm, broken between words.

    A word wider than a line is broken anywhere. Raises MissingCharacterError.
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if fonts.width(role, longer) * size <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while fonts.width(role, line) * size > width and len(line) > 1:
            start = line
            while len(start) > 1 and fonts.width(role, start) * size > width:
                start = start[:-1]
            lines.append(start)
            line = line[len(start) :]
    return (*lines, line) if line else tuple(lines)


class Typesetter:
    """Converts text to the PDF operators of one document, with the font set that the document borrowed."""

    def __init__(self, font_set: fonts.FontSet, canvas: Canvas) -> None:
        self._fonts = font_set
        self._document = canvas._doc
        self._operators: dict[tuple[Role, str], list[tuple[str, str]]] = {}

    def operators(self, role: Role, text: str) -> list[tuple[str, str]]:
        """Return one line of text as pairs: a font's name in the page's resources, and the operator that shows a piece.

        The operators are `Tj` with their operand (ISO 32000-1, 9.4.3). Raises MissingCharacterError.
        """
        key = (role, text)
        pieces = self._operators.get(key)
        if pieces is None:
            pieces = []
            for face, piece in fonts.runs(role, text):
                font = self._fonts.font(face)
                for subset, codes in font.splitString(piece, self._document):
                    pieces.append((font.getSubsetInternalName(subset, self._document), f"<{codes.hex()}> Tj"))
            self._operators[key] = pieces
        return pieces
