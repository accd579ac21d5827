"""Pixel pictures: text files in static/pixels/ (format: its README) → squares, bit codes and run lengths."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from resources.content.assets import find
from resources.language import N_

PAGE_COLUMNS, PAGE_ROWS = 15, 20  # squares on a page
# Letter in the file → printed colour, five-bit code, name.
COLOURS = {
    ".": ("#ffffff", "11111", N_("white")),
    "#": ("#000000", "00000", N_("black")),
    "r": ("#d62828", "11000", N_("red")),
    "o": ("#f08a24", "11100", N_("orange")),
    "y": ("#f7d046", "11110", N_("yellow")),
    "g": ("#2f8a3c", "00110", N_("green")),
    "b": ("#2f5fd0", "00001", N_("blue")),
    "p": ("#8a3fb0", "10001", N_("purple")),
}
GREYS = ("00", "01", "10", "11")  # black, dark, light, white


@dataclass(frozen=True, slots=True)
class Code:
    """A code of bits for a colour, with the colour ("#rrggbb") and its name in English."""

    bits: str
    colour: str
    name: str


# Encoding method → codes. As on a screen, 1 is light and 0 is dark.
_BLACK_WHITE = (Code("0", "#000000", N_("black")), Code("1", "#ffffff", N_("white")))
CODES: dict[str, tuple[Code, ...]] = {
    "black-white": _BLACK_WHITE,
    "run-length-encoding": _BLACK_WHITE,
    "greyscale": (
        Code("00", "#000000", N_("black")),
        Code("01", "#666666", N_("dark grey")),
        Code("10", "#b9b9b9", N_("light grey")),
        Code("11", "#ffffff", N_("white")),
    ),
    "colour": tuple(Code(bits, colour, name) for colour, bits, name in COLOURS.values()),
}


class PixelError(ValueError):
    """A pixel picture does not exist, or its file is invalid."""


@dataclass(frozen=True, slots=True)
class PixelPicture:
    """A picture as rows of letters, keys of `COLOURS`.

    rows: from top to bottom, all of the same length.
    pages: the number of pages across and down; (0, 0) for a picture of any size.
    black: the letters that print black in black and white.
    greys: pairs of a letter and its two-bit code in four greys; a letter without one is white.
    """

    rows: tuple[str, ...]
    pages: tuple[int, int]
    black: str
    greys: tuple[tuple[str, str], ...]

    def grey_of(self, letter: str) -> str:
        """Return the two-bit code of a letter in grey: 00 black, 01 dark, 10 light, 11 white."""
        return dict(self.greys).get(letter, "11")

    def in_bits(self, method: str) -> list[list[str]]:
        """Return the bit code of each square, row by row. `method` is a key of `CODES`."""
        if method == "colour":
            bits = {letter: code for letter, (_, code, _) in COLOURS.items()}
        elif method == "greyscale":
            bits = {letter: self.grey_of(letter) for letter in COLOURS}
        else:
            bits = {letter: "0" if letter in self.black else "1" for letter in COLOURS}
        return [[bits[letter] for letter in row] for row in self.rows]

    def page(self, column: int, row: int) -> list[str]:
        """Return the rows of letters on one page; `column` and `row` count pages from 0."""
        left, top = column * PAGE_COLUMNS, row * PAGE_ROWS
        return [line[left : left + PAGE_COLUMNS] for line in self.rows[top : top + PAGE_ROWS]]


def _pages(text: str, rows: tuple[str, ...], file: str) -> tuple[int, int]:
    """Return the pages across and down, or (0, 0) if the file names none: such a picture may have any size."""
    if not text:
        return 0, 0
    if not re.fullmatch(r"[1-9][0-9]?x[1-9][0-9]?", text):
        raise PixelError(f"{file}: pages is {text!r}; allowed: pages across x down, as in 3x2")
    across, down = map(int, text.split("x"))
    if (len(rows[0]), len(rows)) != (across * PAGE_COLUMNS, down * PAGE_ROWS):
        needed = f"{across * PAGE_COLUMNS} by {down * PAGE_ROWS}"
        raise PixelError(f"{file}: {len(rows[0])} by {len(rows)} squares; pages {text} need {needed}")
    return across, down


def load(name: str, folder: Path | None = None) -> PixelPicture:
    """Return the picture pixels/{name}.txt.

    The file is searched for in `folder` (that of a plug-in), then in the static directory. Raises PixelError, with the
    reason.
    """
    return _read(find("pixels", name, ".txt", folder, PixelError))


@lru_cache(maxsize=64)
def _read(path: Path) -> PixelPicture:
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    keys = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in head.splitlines())}
    rows = tuple(body.split())
    if not rows or any(len(row) != len(rows[0]) or set(row) - set(COLOURS) for row in rows):
        raise PixelError(f"{path.name}: rows must have the same length and consist of the letters {' '.join(COLOURS)}")
    across, down = _pages(keys.get("pages", ""), rows, path.name)
    greys = tuple((letter, code) for code in GREYS for letter in keys.get(code, ""))
    return PixelPicture(rows, (across, down), keys.get("black", "#"), greys)


def runs_of(codes: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return the runs of equal codes in a row, each as its start (from 0), its length in squares and its code."""
    runs: list[tuple[int, int, str]] = []
    start = 0
    for code, squares in itertools.groupby(codes):
        length = len(list(squares))
        runs.append((start, length, code))
        start += length
    return runs


def run_lengths(row: Sequence[bool]) -> list[int]:
    """Return the lengths of the runs in a row, white and black in turn; 0 comes first if the row begins with black.

    `row` contains for each square whether it is black.
    """
    runs = [(black, len(list(squares))) for black, squares in itertools.groupby(row)]
    lengths = [length for _, length in runs]
    return [0, *lengths] if runs and runs[0][0] else lengths
