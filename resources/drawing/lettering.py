"""Setting text: how large a line may be, where lines break, and how a piece becomes glyphs."""

from __future__ import annotations

from functools import lru_cache

from reportlab.pdfgen.canvas import Canvas

from resources.drawing import fonts
from resources.drawing.fonts import Role

MIN_TEXT_SIZE = 1.6  # mm (4.5 pt): text that would have to be smaller doesn't belong in its box
ELLIPSIS = "…"


class TextDoesNotFitError(ValueError):
    """A text that its box can't hold even at the smallest size."""


def fitted_size(role: Role, text: str, size: float, width: float, height: float | None = None) -> float:
    """Return the size in mm, at most `size`, at which one line fits into this width and height (mm).

    Raises TextDoesNotFitError when that would be too small to read.
    """
    ems = fonts.width(role, text)
    fitting = min(size, width / ems if ems else size)
    if height is not None:
        fitting = min(fitting, height / fonts.cap_height(role))
    if fitting < MIN_TEXT_SIZE and fitting < size:
        raise TextDoesNotFitError(f"{text[:40]!r} needs a box larger than {width:.0f} mm")
    return fitting


def shortened_to(role: Role, text: str, size: float, width: float) -> str:
    """Return the text, cut with an ellipsis if it is wider than `width` mm at this size."""
    if fonts.width(role, text) * size <= width:
        return text
    kept = text
    while kept and fonts.width(role, kept + ELLIPSIS) * size > width:
        kept = kept[:-1]
    return kept.rstrip() + ELLIPSIS


@lru_cache(maxsize=1024)
def broken(role: Role, text: str, size: float, width: float) -> tuple[str, ...]:
    """Return the text in lines of at most `width` mm; a word that is wider alone is broken too."""
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
            kept = line
            while len(kept) > 1 and fonts.width(role, kept) * size > width:
                kept = kept[:-1]
            lines.append(kept)
            line = line[len(kept) :]
    return (*lines, line) if line else tuple(lines)


class Typesetter:
    """Turns text into the operators of one document, by the fonts that the document borrowed."""

    def __init__(self, font_set: fonts.FontSet, canvas: Canvas) -> None:
        self._fonts = font_set
        self._document = canvas._doc
        self._shown: dict[tuple[Role, str], list[tuple[str, str]]] = {}

    def shown(self, role: Role, text: str) -> list[tuple[str, str]]:
        """Return (font's name in the page's resources, operand and operator) for each piece of a line."""
        key = (role, text)
        pieces = self._shown.get(key)
        if pieces is None:
            pieces = []
            for face, piece in fonts.runs(role, text):
                font = self._fonts.font(face)
                for subset, codes in font.splitString(piece, self._document):
                    pieces.append((font.getSubsetInternalName(subset, self._document), f"<{codes.hex()}> Tj"))
            self._shown[key] = pieces
        return pieces
