"""Fonts by role, with a fallback per character.

ReportLab's font objects hold the state of the document that uses them, so two documents must never
share one at a time: a corrupted subset is the result. Each document borrows a whole set of its own from
a pool; what can be shared (which characters a face has, and their widths) is read once and never changes.
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

# ASCII85 would add 24 % to every stream (set once, before any canvas).
rl_config.useA85 = 0

Role = Literal["hand", "body", "strong", "plain"]

FACES: dict[str, Path] = {
    "delius": fontpkg_delius.ROOT / "files" / "Delius-Regular.ttf",
    "atkinson": fontpkg_atkinson_hyperlegible.ROOT / "files" / "AtkinsonHyperlegible-Regular.ttf",
    "atkinson-bold": fontpkg_atkinson_hyperlegible.ROOT / "files" / "AtkinsonHyperlegible-Bold.ttf",
    "noto": fontpkg_noto_sans.ROOT / "files" / "NotoSans[wdth,wght].ttf",
}
# Hand-drawn numbers and titles; body; bold. The last face of each has macrons and all fractions. Plain is that
# face alone: for large words in which a letter of another face would be seen.
ROLES: dict[Role, tuple[str, ...]] = {
    "hand": ("delius", "noto"),
    "body": ("atkinson", "noto"),
    "strong": ("atkinson-bold", "noto"),
    "plain": ("noto",),
}
FOOTER_FACE = "atkinson"  # on every page, so it may stand as the canvas's first font

# Height of a capital above the baseline, in em, measured on the outline of H: Delius's own table
# says 0.195, which is wrong, so the figures of all faces stand here.
CAP_HEIGHTS: dict[str, float] = {"delius": 0.70, "atkinson": 0.668, "atkinson-bold": 0.668, "noto": 0.714}


class MissingCharacterError(ValueError):
    """A character that no font of the role has."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What never changes about a face: widths of its characters in thousandths of an em."""

    widths: dict[int, float]
    default_width: float


@cache
def metrics(face: str) -> Metrics:
    """Return the face's widths, read from its file once in the life of the process."""
    loaded = TTFont(f"metrics of {face}", str(FACES[face]), asciiReadable=0).face
    widths = {code: float(loaded.charWidths.get(code, loaded.defaultWidth)) for code in loaded.charToGlyph}
    return Metrics(widths, float(loaded.defaultWidth))


def missing_character(text: str, role: Role = "body") -> str | None:
    """Return the first character that no face of the role can draw, or None."""
    for character in text:
        if not any(ord(character) in metrics(face).widths for face in ROLES[role]):
            return character
    return None


@lru_cache(maxsize=4096)
def runs(role: Role, text: str) -> tuple[tuple[str, str], ...]:
    """Return the text in pieces, each with the face that draws it. Raises MissingCharacterError."""
    pieces: list[tuple[str, str]] = []
    for character in text:
        face = next((face for face in ROLES[role] if ord(character) in metrics(face).widths), None)
        if face is None:
            raise MissingCharacterError(f"no font has {character!r} (U+{ord(character):04X})")
        if pieces and pieces[-1][0] == face:
            pieces[-1] = (face, pieces[-1][1] + character)
        else:
            pieces.append((face, character))
    return tuple(pieces)


@lru_cache(maxsize=8192)
def width(role: Role, text: str) -> float:
    """Return the width of one line of text, in em. Raises MissingCharacterError."""
    return sum(metrics(face).widths[ord(c)] for face, piece in runs(role, text) for c in piece) / 1000


def cap_height(role: Role) -> float:
    """Return the height of the role's capitals and digits, in em."""
    return CAP_HEIGHTS[ROLES[role][0]]


class FontSet:
    """One font object a face, for one document at a time; a face is loaded when it is first used."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._fonts: dict[str, TTFont] = {}

    def font(self, face: str) -> TTFont:
        """Return this set's own object for the face, registered under its own name."""
        font = self._fonts.get(face)
        if font is None:
            # asciiReadable=0: only the characters in use, not all of ASCII, go into the document.
            font = TTFont(f"{face} {self._number}", str(FACES[face]), asciiReadable=0)
            pdfmetrics.registerFont(font)
            self._fonts[face] = font
        return font


class FontPool:
    """Sets of fonts to borrow; there are as many as documents were ever drawn at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[FontSet] = []
        self._made = 0

    @contextmanager
    def borrowed(self) -> Iterator[FontSet]:
        """Lend a set for one document. A drawing that never ends keeps its set, and harms no other."""
        with self._lock:
            fonts = self._idle.pop() if self._idle else None
            if fonts is None:
                self._made += 1
                fonts = FontSet(self._made)
        try:
            yield fonts
        finally:
            with self._lock:
                self._idle.append(fonts)


POOL = FontPool()
