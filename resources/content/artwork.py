"""Artwork: an SVG file → PDF operators. Each file is read once per process.

The files use a small subset of SVG (static/artwork/README.md). A figure therefore consists only of filled and stroked
paths, and filling them with white leaves its outlines.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from reportlab.graphics import renderPDF
from reportlab.pdfgen.canvas import Canvas
from svglib.svglib import svg2rlg

from resources.content.assets import find

DARK = 0.2  # luma (ITU-R BT.709): darker fills (eyes, noses) stay dark in an outline


class ArtworkError(ValueError):
    """A figure does not exist, or its file can't be drawn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as PDF operators.

    width, height: the size of the file's viewBox, in whose units (y down) the operators are.
    description: the file's title, in English.
    """

    width: float
    height: float
    operators: str
    description: str


def load(name: str, *, plain: bool = False, folder: Path | None = None) -> Figure:
    """Return the figure artwork/{name}.svg; with `plain`, only its outlines.

    The file is searched for in `folder` (that of a plug-in), then in the static directory. Raises ArtworkError.
    """
    return _read(find("artwork", name, ".svg", folder, ArtworkError), plain)


@lru_cache(maxsize=256)
def _read(path: Path, plain: bool) -> Figure:
    width, height, title = _header(path)
    drawing = svg2rlg(str(path))
    if drawing is None:
        raise ArtworkError(f"artwork {path} is not valid SVG")
    canvas = Canvas(io.BytesIO(), pagesize=(drawing.width, drawing.height), invariant=1, pageCompression=0)
    start = len(canvas._code)
    renderPDF.draw(drawing, canvas, 0, 0)
    operators = _simplified("\n".join(canvas._code[start:]))
    if plain:
        operators = _in_outline(operators)
    # svglib converts to points, with y up: convert back to the units of the file, with y down.
    scale = width / drawing.width
    return Figure(width, height, f"{scale:.6g} 0 0 {-scale:.6g} 0 {height:.6g} cm\n{operators}", title)


def _header(path: Path) -> tuple[float, float, str]:
    """Return the width and height of the viewBox, and the title."""
    root = ElementTree.parse(path).getroot()
    box = [float(number) for number in root.get("viewBox", "").split()]
    if len(box) != 4:
        raise ArtworkError(f'artwork {path}: viewBox is missing; write viewBox="0 0 WIDTH HEIGHT"')
    title = root.find("{http://www.w3.org/2000/svg}title")
    return box[2], box[3], (title.text or "").strip() if title is not None else ""


def title_messages(file: IO[bytes], *_: object, **__: object) -> Iterator[tuple[int, None, str, list[str]]]:
    """Yield the title of an SVG file as a message to translate: an extraction method for Babel (locale/babel.cfg)."""
    title = ElementTree.parse(file).getroot().findtext("{http://www.w3.org/2000/svg}title", "").strip()
    if title:
        yield 1, None, title, []


def _simplified(operators: str) -> str:
    """Return the operators without text objects, which no figure needs, and with at most three decimals."""
    shapes = re.sub(r"BT\b.*?\bET\b", "", operators, flags=re.DOTALL)
    return re.sub(r"-?\d*\.\d{4,}", lambda number: f"{float(number[0]):.3f}".rstrip("0").rstrip("."), shapes)


def _in_outline(operators: str) -> str:
    """Return the operators with every fill white, except those darker than `DARK`."""

    def whitened(match: re.Match[str]) -> str:
        red, green, blue = (float(number) for number in match.groups())
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < DARK
        return match[0] if dark else "1 1 1 rg"

    return re.sub(r"(-?[\d.]+) (-?[\d.]+) (-?[\d.]+) rg", whitened, operators)
