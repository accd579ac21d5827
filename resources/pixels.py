"""Pixel pictures: small text files of static/pixels/ → squares; and run lengths of their rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from resources.assets import static_directory

PAGE_COLUMNS, PAGE_ROWS = 15, 20  # squares of one page
# Letter in the file → colour on paper, its code of five bits, and what it is called.
COLOURS = {
    ".": ("#ffffff", "11111", "white"),
    "#": ("#000000", "00000", "black"),
    "r": ("#d62828", "11000", "red"),
    "o": ("#f08a24", "11100", "orange"),
    "y": ("#f7d046", "11110", "yellow"),
    "g": ("#2f8a3c", "00110", "green"),
    "b": ("#2f5fd0", "00001", "blue"),
    "p": ("#8a3fb0", "10001", "purple"),
}
GREYS = ("00", "01", "10", "11")  # black, dark, light, white


class PixelError(ValueError):
    """A pixel picture that isn't there, or a file that is not one."""


@dataclass(frozen=True, slots=True)
class PixelPicture:
    """Rows of letters, and which of them are dark in fewer colours.

    `pages` across and down; `black` letters print black in black and white; `greys` gives each letter's
    code of two bits.
    """

    rows: tuple[str, ...]
    pages: tuple[int, int]
    black: str
    greys: tuple[tuple[str, str], ...]

    def grey_of(self, letter: str) -> str:
        """Return the letter's code in grey: 00 black, 01 dark, 10 light, 11 white."""
        return dict(self.greys).get(letter, "11")

    def page(self, column: int, row: int) -> list[str]:
        """Return the rows of one page."""
        left, top = column * PAGE_COLUMNS, row * PAGE_ROWS
        return [line[left : left + PAGE_COLUMNS] for line in self.rows[top : top + PAGE_ROWS]]


@lru_cache(maxsize=64)
def load(name: str) -> PixelPicture:
    """Return the picture static/pixels/{name}.txt. Raises PixelError, which says what is wrong with the file."""
    path = static_directory() / "pixels" / f"{name}.txt"
    if not re.fullmatch(r"[a-z0-9-]+", name) or not path.is_file():
        raise PixelError(f"pixel picture {name!r} is not in {path.parent}")
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    keys = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in head.splitlines())}
    rows = tuple(body.split())
    if not rows or any(len(row) != len(rows[0]) or set(row) - set(COLOURS) for row in rows):
        raise PixelError(f"{path.name}: rows must be of one length, of the letters {' '.join(COLOURS)}")
    across, down = map(int, keys.get("pages", "1x1").split("x"))
    greys = tuple((letter, code) for code in GREYS for letter in keys.get(code, ""))
    return PixelPicture(rows, (across, down), keys.get("black", "#"), greys)


def run_lengths(row: Sequence[bool]) -> list[int]:
    """Return how many squares are white, then black, then white …; a row that begins black begins with 0.

    `row`: whether each square is black.
    """
    runs = [(black, len(list(squares))) for black, squares in itertools.groupby(row)]
    lengths = [length for _, length in runs]
    return [0, *lengths] if runs and runs[0][0] else lengths


def squares_of(lengths: Sequence[int]) -> list[bool]:
    """Return the row that run lengths stand for: whether each square is black."""
    return [bool(index % 2) for index, length in enumerate(lengths) for _ in range(length)]
