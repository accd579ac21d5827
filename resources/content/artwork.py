"""Artwork: an SVG file → PDF path operators, read once in the life of the process.

The files keep to a small part of SVG (static/artwork/README.md), so that a figure is only paths with a
fill and a stroke, and can be drawn in outline by painting its areas white.
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

DARK = 0.2  # areas darker than this (eyes, noses) stay dark in outline


class ArtworkError(ValueError):
    """A figure that isn't there, or a file that can't be drawn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure ready to draw, y down, in the units of its file's viewBox."""

    width: float
    height: float
    operators: str
    description: str


def load(name: str, *, plain: bool = False, folder: Path | None = None) -> Figure:
    """Return the figure artwork/{name}.svg; `plain` in outline.

    Searched in `folder`, where a plug-in keeps its own, then in static/. Raises ArtworkError.
    """
    return _read(find("artwork", name, ".svg", folder, ArtworkError), plain)


@lru_cache(maxsize=256)
def _read(path: Path, plain: bool) -> Figure:
    width, height, title = _head(path)
    name = path.stem
    drawing = svg2rlg(str(path))
    if drawing is None:
        raise ArtworkError(f"artwork {name!r} can't be read as SVG")
    canvas = Canvas(io.BytesIO(), pagesize=(drawing.width, drawing.height), invariant=1, pageCompression=0)
    start = len(canvas._code)
    renderPDF.draw(drawing, canvas, 0, 0)
    operators = _tidied("\n".join(canvas._code[start:]))
    if plain:
        operators = _in_outline(operators)
    # svglib turned the picture to y up: turn it back, and from its points to the file's own units.
    scale = width / drawing.width
    return Figure(width, height, f"{scale:.6g} 0 0 {-scale:.6g} 0 {height:.6g} cm\n{operators}", title)


def _head(path: Path) -> tuple[float, float, str]:
    """Return width and height by the viewBox, and the title."""
    root = ElementTree.parse(path).getroot()
    box = [float(number) for number in root.get("viewBox", "").split()]
    if len(box) != 4:
        raise ArtworkError(f"{path.name} has no viewBox")
    title = root.find("{http://www.w3.org/2000/svg}title")
    return box[2], box[3], (title.text or "").strip() if title is not None else ""


def title_messages(file: IO[bytes], *_: object, **__: object) -> Iterator[tuple[int, None, str, list[str]]]:
    """Give Babel the title of an SVG file as a message to translate (an extraction method; see locale/babel.cfg)."""
    title = ElementTree.parse(file).getroot().findtext("{http://www.w3.org/2000/svg}title", "").strip()
    if title:
        yield 1, None, title, []


def _tidied(operators: str) -> str:
    """Return the operators with numbers of three decimals, and without the text state that nothing here uses."""
    shapes = re.sub(r"BT\b.*?\bET\b", "", operators, flags=re.DOTALL)
    return re.sub(r"-?\d*\.\d{4,}", lambda number: f"{float(number[0]):.3f}".rstrip("0").rstrip("."), shapes)


def _in_outline(operators: str) -> str:
    """Return the operators with every light or coloured fill turned white."""

    def whitened(match: re.Match[str]) -> str:
        red, green, blue = (float(number) for number in match.groups())
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < DARK
        return match[0] if dark else "1 1 1 rg"

    return re.sub(r"(-?[\d.]+) (-?[\d.]+) (-?[\d.]+) rg", whitened, operators)
