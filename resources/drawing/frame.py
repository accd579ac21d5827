"""What is drawn outside the content of every page: the header, the footer and the ruler. Sizes in mm."""

from __future__ import annotations

from dataclasses import dataclass

from resources.drawing import fonts, lettering
from resources.drawing.box import Box
from resources.drawing.colours import GREY, Stroke
from resources.drawing.drawable_text import drawable
from resources.drawing.paper import MARGIN_BOTTOM, MARGIN_LEFT, MARGIN_RIGHT, Paper
from resources.drawing.path import Path
from resources.drawing.surface import Surface
from resources.language import N_, Translate
from resources.request import Request, RequestWarning

HEADER_SIZE, MIN_HEADER_SIZE = 4.0, 2.6
# From the upper edge of the sheet. Printers can't print the outer 5 mm, and the content begins at 10 mm.
HEADER_BASELINE = 7.5
FOOTER_SIZE = 2.6
FOOTER_TOP = 6.0  # below the content
RULER_LENGTH = 50.0
FOOTER_LABEL = N_("Printable resource")
RULER_HINT = N_("50 mm if printed at full size")
GAP = 4.0
SHOWN_CHARACTERS = 5  # of those that can't be drawn, in one warning


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a document's pages, with every text as it is drawn.

    link_area: the left, top, right and bottom of the printed url, mm from the upper left corner of the sheet.
    warnings: the texts that can't be drawn in full.
    """

    paper: Paper
    header: str
    header_size: float
    name: str
    url: str
    warnings: tuple[RequestWarning, ...]

    @property
    def link_area(self) -> tuple[float, float, float, float]:
        _, box = _footer_lines(self.paper)
        return box.x, box.y, box.x + fonts.width("body", self.url) * FOOTER_SIZE, box.bottom

    def draw(self, surface: Surface) -> None:
        """Draw the frame on a surface as large as the whole sheet."""
        if self.header:
            x = (surface.area.width - fonts.width("body", self.header) * self.header_size) / 2
            surface.write((x, HEADER_BASELINE), self.header, self.header_size, colour=GREY)
        _draw_ruler(surface)
        first, second = _footer_lines(self.paper)
        surface.text(first, self.name, FOOTER_SIZE, align="left", colour=GREY)
        if self.url:
            surface.text(second, self.url, FOOTER_SIZE, align="left", colour=GREY)


def frame(request: Request, paper: Paper, translate: Translate) -> Frame:
    """Return the frame for the pages of a request. A text that is too long is truncated with an ellipsis."""
    warnings: list[RequestWarning] = []

    def fitted(field: str, text: str, size: float, width: float, before: str = "") -> str:
        line = drawable(text)
        shown = lettering.truncated("body", before + line.text, size, width)
        warnings.extend(_warnings(field, line.lost, line.unshaped, shown != before + line.text))
        return shown

    header_width = paper.width - MARGIN_LEFT - MARGIN_RIGHT
    ems = fonts.width("body", drawable(request.header_text).text)
    header_size = max(MIN_HEADER_SIZE, min(HEADER_SIZE, header_width / ems if ems else HEADER_SIZE))
    width = _footer_lines(paper)[0].width
    return Frame(
        paper,
        header=fitted("header_text", request.header_text, header_size, header_width),
        header_size=header_size,
        name=fitted("resource_name", request.name, FOOTER_SIZE, width, before=f"{translate(FOOTER_LABEL)} · "),
        url=fitted("url", request.url, FOOTER_SIZE, width),
        warnings=tuple(warnings),
    )


def _warnings(field: str, lost: tuple[str, ...], unshaped: bool, cut: bool) -> list[RequestWarning]:
    warnings = []
    if lost:
        names = ", ".join(f"U+{ord(character):04X}" for character in lost[:SHOWN_CHARACTERS])
        more = f" and {len(lost) - SHOWN_CHARACTERS} more" if len(lost) > SHOWN_CHARACTERS else ""
        message = f"{field} has characters that can't be drawn, and were replaced: {names}{more}"
        warnings.append(RequestWarning("undrawable", field, message))
    if unshaped:
        message = f"{field} has letters that should be joined; they are drawn side by side"
        warnings.append(RequestWarning("not_shaped", field, message))
    if cut:
        warnings.append(RequestWarning("truncated", field, f"{field} is too long for its line; its end was cut off"))
    return warnings


def _footer_lines(paper: Paper) -> tuple[Box, Box]:
    width = paper.content_width - RULER_LENGTH - 2 * GAP
    first = Box(MARGIN_LEFT, paper.height - MARGIN_BOTTOM + FOOTER_TOP, width, 4)
    return first, first.moved(y=4)


def _draw_ruler(surface: Surface) -> None:
    right = surface.area.width - MARGIN_RIGHT - 0.5
    left, y = right - RULER_LENGTH, surface.area.height - MARGIN_BOTTOM + FOOTER_TOP + 2
    path = Path().polyline([(left, y), (right, y)])
    for millimetre in range(0, 51, 5):
        path.polyline([(left + millimetre, y), (left + millimetre, y - (2 if millimetre % 10 == 0 else 1.2))])
    surface.paint(path, None, Stroke(GREY, 0.2))
    hint = Box(left, y + 1, RULER_LENGTH, 3.5)
    surface.text(hint, surface.translate(RULER_HINT), 2.2, align="right", colour=GREY)
