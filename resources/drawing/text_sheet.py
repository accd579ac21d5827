"""Setting the blocks of a text sheet on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from resources.content.text_sheets import Block
from resources.drawing.box import Box
from resources.drawing.lettering import MIN_TEXT_SIZE, TextDoesNotFitError, broken
from resources.drawing.surface import LEADING, Surface

HEADING_SCALE = 1.35  # of the body's size
INDENT = 1.5  # em, of list items
SPACE = 0.55  # em, after each block


def _size(block: Block, size: float) -> float:
    return size * HEADING_SCALE if block.kind == "heading" else size


def _lines(block: Block, size: float, width: float) -> tuple[str, ...]:
    indent = INDENT * size if block.kind == "item" else 0
    role: Literal["hand", "body"] = "hand" if block.kind == "heading" else "body"
    return broken(role, block.text, _size(block, size), width - indent)


def _height(blocks: Sequence[Block], size: float, width: float) -> float:
    return sum(len(_lines(b, size, width)) * _size(b, size) * LEADING + SPACE * size for b in blocks)


def set_sheet(surface: Surface, box: Box, blocks: Sequence[Block], size: float) -> float:
    """Set the blocks from the top of the box, at `size` mm or as much smaller as it must be.

    Returns the height used, mm. Raises TextDoesNotFitError.
    """
    while _height(blocks, size, box.width) > box.height:
        if size <= MIN_TEXT_SIZE:
            raise TextDoesNotFitError(f"a sheet of {len(blocks)} blocks needs more than {box.height:.0f} mm")
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
