"""Fonts by role, with a fallback per character.

ReportLab's font objects hold the state of the document that uses them. Two documents must never use the same object at
the same time: the result is a corrupted subset. Each document therefore borrows a set of font objects from a pool. What
never changes (which characters a face has, and their widths) is read once per process and shared.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import fontpkg_atkinson_hyperlegible
import fontpkg_delius
import fontpkg_noto_sans
from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

# ASCII85 would make every stream 24 % larger. It must be off before the first canvas is created.
rl_config.useA85 = 0

Role = Literal["hand", "body", "strong", "plain"]

FACES: dict[str, Path] = {
    "delius": fontpkg_delius.ROOT / "files" / "Delius-Regular.ttf",
    "atkinson": fontpkg_atkinson_hyperlegible.ROOT / "files" / "AtkinsonHyperlegible-Regular.ttf",
    "atkinson-bold": fontpkg_atkinson_hyperlegible.ROOT / "files" / "AtkinsonHyperlegible-Bold.ttf",
    "noto": fontpkg_noto_sans.ROOT / "files" / "NotoSans[wdth,wght].ttf",
}
# hand: hand-drawn, for numbers and titles; body; strong: bold. Noto, the last face of each, has macrons and all
# fractions. plain: Noto alone, for large words in which a letter of another face would stand out.
ROLES: dict[Role, tuple[str, ...]] = {
    "hand": ("delius", "noto"),
    "body": ("atkinson", "noto"),
    "strong": ("atkinson-bold", "noto"),
    "plain": ("noto",),
}
FOOTER_FACE = "atkinson"  # used on every page, so it can be the initial font of the canvas

# Height of a capital above the baseline, in em, measured on the outline of H. The font files are not used for this,
# because Delius states 0.195 (sCapHeight), which is wrong.
CAP_HEIGHTS: dict[str, float] = {"delius": 0.70, "atkinson": 0.668, "atkinson-bold": 0.668, "noto": 0.714}


class MissingCharacterError(ValueError):
    """No font of the role has a character of the text."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The widths of a face, in thousandths of an em: by code point, and for a character without its own."""

    widths: dict[int, float]
    default_width: float


@cache
def metrics(face: str) -> Metrics:
    """Return the widths of a face, a key of `FACES`. The file is read once per process."""
    loaded = TTFont(f"metrics of {face}", str(FACES[face]), asciiReadable=0).face
    widths = {code: float(loaded.charWidths.get(code, loaded.defaultWidth)) for code in loaded.charToGlyph}
    return Metrics(widths, float(loaded.defaultWidth))


def missing_character(text: str, role: Role = "body") -> str | None:
    """Return the first character of `text` that no face of the role has, or None."""
    for character in text:
        if not any(ord(character) in metrics(face).widths for face in ROLES[role]):
            return character
    return None


@lru_cache(maxsize=4096)
def runs(role: Role, text: str) -> tuple[tuple[str, str], ...]:
    """Return the text as pairs of a face and the piece that it draws. Raises MissingCharacterError."""
    pieces: list[tuple[str, str]] = []
    for character in text:
        face = next((face for face in ROLES[role] if ord(character) in metrics(face).widths), None)
        if face is None:
            raise MissingCharacterError(f"no {role!r} font has {character!r} (U+{ord(character):04X}); leave it out")
        if pieces and pieces[-1][0] == face:
            pieces[-1] = (face, pieces[-1][1] + character)
        else:
            pieces.append((face, character))
    return tuple(pieces)


@lru_cache(maxsize=8192)
def width(role: Role, text: str) -> float:
    """Return the width of one line of text, in em: multiply it by the size in mm. Raises MissingCharacterError."""
    return sum(metrics(face).widths[ord(c)] for face, piece in runs(role, text) for c in piece) / 1000


def cap_height(role: Role) -> float:
    """Return the height of the capitals and digits of a role above the baseline, in em."""
    return CAP_HEIGHTS[ROLES[role][0]]


class FontSet:
    """One font object per face, for one document at a time. A face is loaded on first use."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._fonts: dict[str, TTFont] = {}

    def font(self, face: str) -> TTFont:
        """Return the font object for a face, registered with ReportLab under a name that is unique to this set."""
        font = self._fonts.get(face)
        if font is None:
            # asciiReadable=0: embed only the characters in use, not all of ASCII.
            font = TTFont(f"{face} {self._number}", str(FACES[face]), asciiReadable=0)
            pdfmetrics.registerFont(font)
            self._fonts[face] = font
        return font


class FontPool:
    """A pool of font sets. It grows to the largest number of documents drawn at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[FontSet] = []
        self._created = 0

    @contextmanager
    def borrowed(self) -> Iterator[FontSet]:
        """Yield a font set for one document, and take it back at the end.

        A drawing that never ends keeps its set, which affects no other document.
        """
        with self._lock:
            fonts = self._idle.pop() if self._idle else None
            if fonts is None:
                self._created += 1
                fonts = FontSet(self._created)
        try:
            yield fonts
        finally:
            with self._lock:
                self._idle.append(fonts)


POOL = FontPool()
