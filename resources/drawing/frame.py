"""What is drawn outside the content of every page: the header, the footer and the ruler. Sizes in mm."""

from __future__ import annotations

from resources.drawing import fonts, lettering
from resources.drawing.box import Box
from resources.drawing.colours import GREY, Stroke
from resources.drawing.paper import MARGIN_BOTTOM, MARGIN_LEFT, MARGIN_RIGHT, Paper
from resources.drawing.path import Path
from resources.drawing.surface import Surface
from resources.language import N_
from resources.request import Request

HEADER_SIZE, MIN_HEADER_SIZE = 4.0, 2.6
# From the upper edge of the sheet. Printers can't print the outer 5 mm, and the content begins at 10 mm.
HEADER_BASELINE = 7.5
FOOTER_SIZE = 2.6
FOOTER_TOP = 6.0  # below the content
RULER_LENGTH = 50.0
FOOTER_LABEL = N_("Printable resource")
RULER_HINT = N_("50 mm if printed at full size")
GAP = 4.0


def draw_frame(surface: Surface, request: Request, paper: Paper) -> None:
    """Draw the header, the footer and the ruler on a surface as large as the whole sheet."""
    _draw_header(surface, request.header_text)
    _draw_ruler(surface)
    first, second = _footer_lines(paper)
    name = f"{surface.translate(FOOTER_LABEL)} · {request.name}"
    surface.text(first, _truncated(name, first.width), FOOTER_SIZE, align="left", colour=GREY)
    if request.url:
        surface.text(second, _truncated(request.url, second.width), FOOTER_SIZE, align="left", colour=GREY)


def link_area(paper: Paper, url: str) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of the printed `url`, mm from the upper left corner of the sheet."""
    _, box = _footer_lines(paper)
    width = fonts.width("body", _truncated(url, box.width)) * FOOTER_SIZE
    return box.x, box.y, box.x + width, box.bottom


def _footer_lines(paper: Paper) -> tuple[Box, Box]:
    width = paper.content_width - RULER_LENGTH - 2 * GAP
    first = Box(MARGIN_LEFT, paper.height - MARGIN_BOTTOM + FOOTER_TOP, width, 4)
    return first, first.moved(y=4)


def _truncated(text: str, width: float) -> str:
    return lettering.truncated("body", text, FOOTER_SIZE, width)


def _draw_header(surface: Surface, text: str) -> None:
    if not text:
        return
    width = surface.area.width - MARGIN_LEFT - MARGIN_RIGHT
    size = max(MIN_HEADER_SIZE, min(HEADER_SIZE, width / fonts.width("body", text)))
    shown = lettering.truncated("body", text, size, width)
    x = (surface.area.width - fonts.width("body", shown) * size) / 2
    surface.write((x, HEADER_BASELINE), shown, size, colour=GREY)


def _draw_ruler(surface: Surface) -> None:
    right = surface.area.width - MARGIN_RIGHT - 0.5
    left, y = right - RULER_LENGTH, surface.area.height - MARGIN_BOTTOM + FOOTER_TOP + 2
    path = Path().polyline([(left, y), (right, y)])
    for millimetre in range(0, 51, 5):
        path.polyline([(left + millimetre, y), (left + millimetre, y - (2 if millimetre % 10 == 0 else 1.2))])
    surface.paint(path, None, Stroke(GREY, 0.2))
    hint = Box(left, y + 1, RULER_LENGTH, 3.5)
    surface.text(hint, surface.translate(RULER_HINT), 2.2, align="right", colour=GREY)
