"""Blocks of a text sheet → lines on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from resources.content.text_sheets import Block
from resources.drawing.box import Box
from resources.drawing.lettering import MIN_TEXT_SIZE, does_not_fit, wrapped
from resources.drawing.surface import Surface
from resources.drawing.writing import LEADING

HEADING_SCALE = 1.35  # times the size of the body
INDENT = 1.5  # em, of a list item
SPACE = 0.55  # em, after each block


def _size(block: Block, size: float) -> float:
    return size * HEADING_SCALE if block.kind == "heading" else size


def _lines(block: Block, size: float, width: float) -> tuple[str, ...]:
    indent = INDENT * size if block.kind == "item" else 0
    role: Literal["hand", "body"] = "hand" if block.kind == "heading" else "body"
    return wrapped(role, block.text, _size(block, size), width - indent)


def _height(blocks: Sequence[Block], size: float, width: float) -> float:
    return sum(len(_lines(b, size, width)) * _size(b, size) * LEADING + SPACE * size for b in blocks)


def set_sheet(surface: Surface, box: Box, blocks: Sequence[Block], size: float) -> float:
    """Write the blocks from the top of the box, at `size` mm, or smaller if they would not fit.

    Returns the height used, mm. Raises TextDoesNotFitError, MissingCharacterError.
    """
    while _height(blocks, size, box.width) > box.height:
        if size <= MIN_TEXT_SIZE:
            raise does_not_fit(f"a text sheet of {len(blocks)} blocks", box.width, box.height)
        size = max(MIN_TEXT_SIZE, size * 0.95)
    y = box.y
    for block in blocks:
        lines, own = _lines(block, size, box.width), _size(block, size)
        height = len(lines) * own * LEADING
        indent = INDENT * size if block.kind == "item" else 0
        place = Box(box.x + indent, y, box.width - indent, height + 0.01)
        if block.kind == "item":
            surface.circle((box.x + 0.6 * size, y + own * LEADING / 2), 0.16 * size, "#222222", None)
        surface.paragraph(place, block.text, own, role="hand" if block.kind == "heading" else "body")
        y += height + SPACE * size
    return y - box.y
