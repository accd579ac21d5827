"""The other sheets of pixel painter: the reference page, the legends of codes, and the lists of run lengths."""

from __future__ import annotations

from resources.content import pixels
from resources.content.pixels import CODES, PAGE_COLUMNS, PAGE_ROWS, Code, PixelPicture
from resources.drawing import FOLD, GREY, INK, WHITE, Box, Path, Stroke, Surface
from resources.drawing.document import Document
from resources.drawing.text_sheet import set_sheet
from resources.language import N_

LEGENDS = (3, 3)  # columns and rows on a sheet, to cut apart
LISTS = (2, 2)
LENGTHS_SIZE = 5.2  # mm
TEXT_HEIGHT = 92.0  # mm, of the text on the reference page
# To save ink, each colour has its own hatching, wider for light ones: mm between the lines, degrees.
HATCHINGS = ((0.7, 45), (1.3, -45), (2.0, 45), (2.6, 0), (1.6, -70), (1.2, 20), (1.8, 90))


def page_label(column: int, row: int) -> str:
    """Return the label of a page: A1 is the first page of the first row, and B1 is below it."""
    return f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[row]}{column + 1}"


def places_of(picture: PixelPicture) -> list[tuple[int, int]]:
    """Return the column and row of each page, row by row, counted from 0."""
    across, down = picture.pages
    return [(column, row) for row in range(down) for column in range(across)]


def draw_reference(document: Document, picture: PixelPicture, title: str, method: str) -> None:
    """Draw the instructions, and the finished picture with the labels of its pages."""
    across, down = picture.pages
    blocks = document.sheet(
        "pixel_painter",
        method=method,
        pages=across * down,
        last=page_label(across - 1, down - 1),
    )
    with document.page() as page:
        head, rest = page.area.split_top(17)
        page.heading(head, title, 11)
        used = set_sheet(page, rest.split_top(TEXT_HEIGHT)[0].inset(3, 0), blocks, 4.6)
        _, area = rest.split_top(used + 4)
        frame = area.fitted(across * PAGE_COLUMNS / (down * PAGE_ROWS))
        cells = frame.grid(across, down)
        with page.figure(document.translate(N_("The finished picture, with the edges of its pages"))):
            _paint_picture(page, frame, picture, method)
            edges = Path()
            for cell in cells:
                edges.rectangle(cell)
            page.paint(edges, None, Stroke(WHITE, 0.9))  # so that the edges also show on black squares
            page.paint(edges, None, Stroke(GREY, 0.35))
        if across * down > 1:
            for cell, place in zip(cells, places_of(picture), strict=True):
                label = Box(cell.x + 0.8, cell.y + 0.8, 7.5, 5)
                page.rectangle(label, WHITE, Stroke(GREY, 0.2), radius=1)
                page.text(label.inset(0.6), page_label(*place), 3.6, role="strong")


def _paint_picture(page: Surface, frame: Box, picture: PixelPicture, method: str) -> None:
    side = frame.width / len(picture.rows[0])
    painted: dict[str, Path] = {}
    for y, row in enumerate(picture.in_bits(method)):
        for x, length, bits in pixels.runs_of(row):
            run = Box(frame.x + x * side, frame.y + y * side, length * side, side)
            painted.setdefault(bits, Path()).rectangle(run)
    for code in CODES[method]:
        if code.bits in painted:
            _shade(page, painted[code.bits], frame, code, method)


def _shade(surface: Surface, path: Path, bounds: Box, code: Code, method: str) -> None:
    """Fill a path with the colour of the code, or hatch it where `ink_saver` is set."""
    if code.colour == WHITE:
        return
    if surface.ink_saver:
        dark = [other for other in CODES[method] if other.colour != WHITE]
        spacing, angle = HATCHINGS[dark.index(code)]
        surface.hatch(path, bounds, INK, spacing=spacing, angle=angle)
    else:
        # A thin line in the same colour hides the gaps that antialiasing shows between rows on screens.
        surface.paint(path, code.colour, Stroke(code.colour, 0.05))


def draw_legends(document: Document, picture: PixelPicture, name: str, method: str) -> None:
    """Draw at least one legend for each page of the picture, nine per sheet, to cut apart. Every sheet is full."""
    columns, rows = LEGENDS
    across, down = picture.pages
    for _ in range(-(-across * down // (columns * rows))):
        with document.page() as page:
            cells = page.area.grid(columns, rows)
            page.cut_lines(cells, FOLD)
            legend = document.symbol("legend", cells[0].width, cells[0].height, lambda s: _draw_legend(s, name, method))
            for cell in cells:
                page.place(legend, cell)


def _draw_legend(legend: Surface, name: str, method: str) -> None:
    head, rest = legend.area.inset(4).split_top(10)
    legend.heading(head, name, 7, align="left")
    codes = CODES[method]
    used, _ = rest.split_top(min(rest.height, 20.0 * len(codes)))
    for code, row in zip(codes, used.rows(len(codes), gap=1.2), strict=True):
        _draw_code(legend, row, code, method)


def _draw_code(legend: Surface, row: Box, code: Code, method: str) -> None:
    swatch, words = row.split_left(min(row.height, 16))
    square = swatch.centred(swatch.width - 1, swatch.width - 1)
    size = min(6.5, square.height * 0.62)
    _shade(legend, Path().rectangle(square), square, code, method)
    legend.rectangle(square, None, Stroke(width=0.3))
    bits, word = words.inset(2, 0).split_left(0.68 * size * len(code.bits) + 2.5)
    legend.text(bits, code.bits, size, role="strong", align="left")
    legend.text(word, legend.translate(code.name), size * 0.92, align="left")


def draw_lists(document: Document, picture: PixelPicture, name: str) -> None:
    """Draw a list of run lengths for each page, four per sheet, to cut apart; four times if there is only one page."""
    columns, rows = LISTS
    places = places_of(picture)
    if len(places) == 1:
        places *= columns * rows
    for first in range(0, len(places), columns * rows):
        on_sheet = places[first : first + columns * rows]
        with document.page() as page:
            cells = page.area.grid(columns, rows)[: len(on_sheet)]
            page.cut_lines(cells, FOLD)
            for cell, place in zip(cells, on_sheet, strict=True):
                _draw_list(page, cell, picture, place, name)


def _draw_list(page: Surface, cell: Box, picture: PixelPicture, place: tuple[int, int], name: str) -> None:
    head, rest = cell.inset(4, 2).split_top(12)
    label, title = head.split_left(17)
    page.heading(label, page_label(*place), 9, align="left")
    page.text(title, name, 4.4, align="left")
    hint = Box(title.x + 24, title.y, title.width - 24, title.height)
    page.text(hint, page.translate(N_("white, black, white …")), 3.4, align="right", colour=GREY)
    numbers, lengths = rest.split_left(7)
    lines = [", ".join(map(str, run)) for run in lengths_of(picture, *place)]
    page.texts(((b, str(i)) for i, b in enumerate(numbers.rows(PAGE_ROWS), 1)), 3.6, align="left", colour=GREY)
    page.texts(zip(lengths.rows(PAGE_ROWS), lines, strict=True), LENGTHS_SIZE, align="left")


def lengths_of(picture: PixelPicture, column: int, row: int) -> list[list[int]]:
    """Return the run lengths of each row on one page, white first."""
    return [pixels.run_lengths([letter in picture.black for letter in line]) for line in picture.page(column, row)]
