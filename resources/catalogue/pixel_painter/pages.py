"""Pixel painter: a class paints a large picture from bit codes, square by square, each pupil a page."""

from __future__ import annotations

from resources.catalogue.pixel_painter.sheets import (
    LEGENDS,
    LISTS,
    draw_legends,
    draw_lists,
    draw_reference,
    page_label,
    places_of,
)
from resources.content import pixels
from resources.content.pixels import PAGE_COLUMNS, PAGE_ROWS, PixelPicture
from resources.drawing import GREY, INK, OUTLINE, Box, Path, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

RUN_LENGTHS = "run-length-encoding"
NAMES = {
    "star": N_("Star"),
    "teacup": N_("Teacup"),
    "cat": N_("Cat"),
    "fish": N_("Fish"),
    "butterfly": N_("Butterfly"),
    "tree": N_("Tree"),
    "balloon": N_("Balloon"),
    "boat": N_("Boat"),
    "parrots": N_("Parrots"),
}
HEAD = 13.0  # mm above the grid of a page
ROW_NUMBERS = 7.0  # mm to the left of the grid, for the numbers of the rows in the lists of run lengths
CODE_SIZES = {1: 5.0, 2: 4.6, 5: 3.4}  # mm, by the number of bits: five of them fill a square


def draw(document: Document, choices: Choices) -> None:
    """Draw the reference page, the pages to paint, and the legends or lists of run lengths."""
    method, name = choices.text("method"), document.translate(NAMES[choices.text("image")])
    picture = pixels.load(choices.text("image"))
    draw_reference(document, picture, f"{document.translate(RESOURCE.name)}: {name}", method)
    bits = picture.in_bits(method)
    for column, row in places_of(picture):
        rows = bits[row * PAGE_ROWS : (row + 1) * PAGE_ROWS]
        left = column * PAGE_COLUMNS
        codes = [square for line in rows for square in line[left : left + PAGE_COLUMNS]]
        with document.page() as page:
            _draw_head(page, picture, (column, row), name)
            _draw_squares(page, codes, page_label(column, row), by_rows=method == RUN_LENGTHS)
    if method == RUN_LENGTHS:
        draw_lists(document, picture, name)
    else:
        draw_legends(document, picture, name, method)


def _draw_head(page: Surface, picture: PixelPicture, place: tuple[int, int], name: str) -> None:
    """Draw the label of the page, the names of the picture and the painter, and the page's place in the picture."""
    head, _ = page.area.split_top(HEAD - 2)
    label, rest = head.split_left(page.text_width(page_label(*place), 11, role="hand") + 4)
    page.heading(label, page_label(*place), 11, align="left")
    page.text(Box(rest.x, rest.y, 40, rest.height), name, 5, align="left")
    page.text(Box(rest.x + 42, rest.y, 24, rest.height), page.translate(N_("Painted by")), 3.6, colour=GREY)
    across, down = picture.pages
    plan = Box(head.right - 24, head.y, 24, head.height).fitted(across * PAGE_COLUMNS / (down * PAGE_ROWS))
    plan = plan.moved(head.right - plan.right)
    line = head.bottom - 2
    page.line((rest.x + 67, line), (plan.x - 8, line), stroke=Stroke(GREY, 0.3))
    if across * down == 1:
        return
    cells = plan.grid(across, down)
    with page.figure(page.translate(N_("Where this page belongs in the picture"))):
        page.rectangle(cells[place[1] * across + place[0]], INK, None)
        page.cut_lines(cells, Stroke(GREY, 0.25))


def _draw_squares(page: Surface, codes: list[str], label: str, *, by_rows: bool) -> None:
    """Draw the grid, with a code in each square or, for run lengths, with the numbers of the rows to its left."""
    _, area = page.area.split_top(HEAD)
    if by_rows:
        area = area.split_left(ROW_NUMBERS)[1]
    grid = area.fitted(PAGE_COLUMNS / PAGE_ROWS)
    grid = grid.moved(y=area.y - grid.y)
    squares = page.symbol("squares", grid.width, grid.height, _draw_grid)
    description = N_("Page {page}: {columns} by {rows} squares to paint")
    values = {"page": label, "columns": PAGE_COLUMNS, "rows": PAGE_ROWS}
    with page.figure(page.translate(description).format(**values)):
        page.place(squares, grid)
    if by_rows:
        numbers = Box(grid.x - ROW_NUMBERS, grid.y, ROW_NUMBERS - 1.5, grid.height).rows(PAGE_ROWS)
        page.texts(((box, str(i)) for i, box in enumerate(numbers, 1)), 4, align="right", colour=GREY)
    else:
        cells = grid.grid(PAGE_COLUMNS, PAGE_ROWS)
        page.texts(zip(cells, codes, strict=True), CODE_SIZES[len(codes[0])], colour=GREY)


def _draw_grid(surface: Surface) -> None:
    area, lines = surface.area, Path()
    for column in area.columns(PAGE_COLUMNS)[1:]:
        lines.polyline([(column.x, 0), (column.x, area.bottom)])
    for row in area.rows(PAGE_ROWS)[1:]:
        lines.polyline([(0, row.y), (area.right, row.y)])
    surface.paint(lines, None, Stroke(GREY, 0.2))
    surface.rectangle(area, None, OUTLINE)


def pages(choices: Choices) -> int:
    """Return the number of pages of one copy: the reference, the picture, and the sheets of legends or lists."""
    across, down = pixels.load(choices.text("image")).pages
    columns, rows = LISTS if choices.text("method") == RUN_LENGTHS else LEGENDS
    return 1 + across * down + -(-across * down // (columns * rows))


RESOURCE = Resource(
    view="pixel_painter",
    name=N_("Pixel Painter"),
    summary=N_("A class paints a large picture page by page, from the bits that a computer keeps of it."),
    options=(
        Choice(
            "method",
            N_("Method"),
            {
                "black-white": N_("Black and white: 1 bit a square"),
                RUN_LENGTHS: N_("Black and white, run lengths"),
                "greyscale": N_("Four greys: 2 bits a square"),
                "colour": N_("Eight colours: 5 bits a square"),
            },
            "black-white",
        ),
        Choice(
            "image",
            N_("Picture"),
            {
                "star": N_("Star: 1 page"),
                "teacup": N_("Teacup: 1 page"),
                "cat": N_("Cat: 1 page"),
                "fish": N_("Fish: 6 pages"),
                "butterfly": N_("Butterfly: 6 pages"),
                "tree": N_("Tree: 6 pages"),
                "balloon": N_("Balloon: 8 pages"),
                "boat": N_("Boat: 9 pages"),
                "parrots": N_("Parrots: 32 pages"),
            },
            "fish",
        ),
    ),
    subtitle=lambda choices, paper: f"{choices.text('method')} - {choices.text('image')} - {paper}",
    pages=pages,
    draw=draw,
    showcase={"method": "colour"},
)
