"""Pixel pictures: small text files of static/pixels/ → squares, their codes of bits, and run lengths of their rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from resources.content.assets import find
from resources.language import N_

PAGE_COLUMNS, PAGE_ROWS = 15, 20  # squares of one page
# Letter in the file → colour on paper, its code of five bits, and what it is called.
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
    """Bits that stand for a colour: what it looks like, and what it is called."""

    bits: str
    colour: str
    name: str


# How the squares of a picture are written down → its codes. As on a screen, 1 is light and 0 is none.
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
    """A pixel picture that isn't there, or a file that is not one."""


@dataclass(frozen=True, slots=True)
class PixelPicture:
    """Rows of letters, and which of them are dark in fewer colours.

    `pages` across and down, 0 and 0 for a picture of any size; `black` letters print black in black and
    white; `greys` gives each letter's code of two bits.
    """

    rows: tuple[str, ...]
    pages: tuple[int, int]
    black: str
    greys: tuple[tuple[str, str], ...]

    def grey_of(self, letter: str) -> str:
        """Return the letter's code in grey: 00 black, 01 dark, 10 light, 11 white."""
        return dict(self.greys).get(letter, "11")

    def in_bits(self, method: str) -> list[list[str]]:
        """Return the bits of each square of each row, by a method of `CODES`."""
        if method == "colour":
            bits = {letter: code for letter, (_, code, _) in COLOURS.items()}
        elif method == "greyscale":
            bits = {letter: self.grey_of(letter) for letter in COLOURS}
        else:
            bits = {letter: "0" if letter in self.black else "1" for letter in COLOURS}
        return [[bits[letter] for letter in row] for row in self.rows]

    def page(self, column: int, row: int) -> list[str]:
        """Return the rows of one page."""
        left, top = column * PAGE_COLUMNS, row * PAGE_ROWS
        return [line[left : left + PAGE_COLUMNS] for line in self.rows[top : top + PAGE_ROWS]]


def _pages(spelt: str, rows: tuple[str, ...], file: str) -> tuple[int, int]:
    """Return pages across and down; a picture of no pages, for worksheets of their own, may have any size."""
    if not spelt:
        return 0, 0
    if not re.fullmatch(r"[1-9][0-9]?x[1-9][0-9]?", spelt):
        raise PixelError(f"{file}: pages is {spelt!r}; allowed: pages across x down, as 3x2")
    across, down = map(int, spelt.split("x"))
    if (len(rows[0]), len(rows)) != (across * PAGE_COLUMNS, down * PAGE_ROWS):
        wanted = f"{across * PAGE_COLUMNS} by {down * PAGE_ROWS}"
        raise PixelError(f"{file}: {len(rows[0])} by {len(rows)} squares; pages {spelt} need {wanted}")
    return across, down


def load(name: str, folder: Path | None = None) -> PixelPicture:
    """Return the picture pixels/{name}.txt.

    Searched in `folder`, where a plug-in keeps its own, then in static/. Raises PixelError, which says what is wrong
    with the file.
    """
    return _read(find("pixels", name, ".txt", folder, PixelError))


@lru_cache(maxsize=64)
def _read(path: Path) -> PixelPicture:
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    keys = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in head.splitlines())}
    rows = tuple(body.split())
    if not rows or any(len(row) != len(rows[0]) or set(row) - set(COLOURS) for row in rows):
        raise PixelError(f"{path.name}: rows must be of one length, of the letters {' '.join(COLOURS)}")
    across, down = _pages(keys.get("pages", ""), rows, path.name)
    greys = tuple((letter, code) for code in GREYS for letter in keys.get(code, ""))
    return PixelPicture(rows, (across, down), keys.get("black", "#"), greys)


def runs_of(codes: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return the runs of equal codes in a row: where each begins, how long it is, its code."""
    runs: list[tuple[int, int, str]] = []
    start = 0
    for code, squares in itertools.groupby(codes):
        length = len(list(squares))
        runs.append((start, length, code))
        start += length
    return runs


def run_lengths(row: Sequence[bool]) -> list[int]:
    """Return how many squares are white, then black, then white …; a row that begins black begins with 0.

    `row`: whether each square is black.
    """
    runs = [(black, len(list(squares))) for black, squares in itertools.groupby(row)]
    lengths = [length for _, length in runs]
    return [0, *lengths] if runs and runs[0][0] else lengths
