"""Run-length encoding: draw pictures from numbers, and write numbers for pictures."""

from __future__ import annotations

from resources.content import pixels
from resources.drawing import BLACK, BLUE, GREEN, GREY, OUTLINE, RED, Box, Path, Stroke, Surface
from resources.drawing.colours import FOLD
from resources.drawing.document import Document
from resources.drawing.text_sheet import set_sheet
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

BASIC = ("rle-kite", "rle-snail", "rle-mug")
TITLE_HEIGHT = 13.0  # mm
LENGTHS_WIDTH = 66.0  # mm to the right of a grid
LETTER = Box(4, 26, 105, 105)  # mm, the grid of the worked example on the page
OWN_SIDE = 16  # squares of an empty grid to draw in
KEY = (("0", N_("white")), ("1", N_("black")), ("2", N_("red")), ("3", N_("blue")), ("4", N_("green")))
KEY_COLOURS = ("#ffffff", BLACK, RED, BLUE, GREEN)


def draw(document: Document, choices: Choices) -> None:
    """Draw the chosen worksheet."""
    worksheet = choices.text("worksheet_type")
    with document.page() as page:
        if worksheet == "student-basic":
            _draw_basic(page)
        elif worksheet == "teacher":
            _draw_teacher(page)
        else:
            _draw_create(page, with_colours=worksheet == "student-create-colour")


def lengths_of(name: str) -> list[list[int]]:
    """Return the run lengths of each row of a picture, white first."""
    picture = pixels.load(name)
    return [pixels.run_lengths([letter in picture.black for letter in row]) for row in picture.rows]


def _draw_basic(page: Surface) -> None:
    title, rest = page.area.split_top(TITLE_HEIGHT)
    page.heading(title, page.translate(N_("Which pictures hide in these numbers?")), 9)
    for name, part in zip(BASIC, rest.rows(len(BASIC), gap=5), strict=True):
        picture = pixels.load(name)
        columns, rows = len(picture.rows[0]), len(picture.rows)
        pitch = min(part.height / rows, (part.width - LENGTHS_WIDTH) / columns)
        grid = Box(part.x, part.y + (part.height - rows * pitch) / 2, columns * pitch, rows * pitch)
        _draw_grid(page, grid, columns, rows)
        _write_lengths(page, grid, lengths_of(name), 5.4)


def _draw_grid(page: Surface, grid: Box, columns: int, rows: int) -> None:
    path = Path()
    for i in range(columns + 1):
        x = grid.x + i * grid.width / columns
        path.polyline([(x, grid.y), (x, grid.bottom)])
    for i in range(rows + 1):
        y = grid.y + i * grid.height / rows
        path.polyline([(grid.x, y), (grid.right, y)])
    description = N_("An empty grid, {columns} squares wide and {rows} high")
    with page.figure(page.translate(description).format(columns=columns, rows=rows)):
        page.paint(path, None, Stroke(GREY, 0.25))
        page.rectangle(grid, None, OUTLINE)


def _write_lengths(page: Surface, grid: Box, lengths: list[list[int]], size: float) -> None:
    rows = Box(grid.right + 4, grid.y, page.area.right - grid.right - 4, grid.height).rows(len(lengths))
    texts = [", ".join(map(str, row)) for row in lengths]
    size = min(size, rows[0].width / max(page.text_width(text, 1) for text in texts))
    page.texts(zip(rows, texts, strict=True), size, align="left")


def _draw_create(page: Surface, *, with_colours: bool) -> None:
    """Draw the same sheet twice: a grid to draw in, and lines for its numbers, to cut apart and pass on."""
    halves = page.area.rows(2, gap=8)
    middle = (halves[0].bottom + halves[1].y) / 2
    page.fold_line((0, middle), (page.area.right, middle), FOLD)
    for half in halves:
        title, rest = half.split_top(TITLE_HEIGHT)
        words = N_("Draw a picture, write its numbers, cut here, pass them on")
        page.heading(title, page.translate(words), 7, align="left")
        if with_colours:
            key, rest = rest.split_top(10)
            _draw_key(page, key.split_left(150)[0])
        side = min(rest.height, rest.width * 0.56)
        grid = Box(rest.x, rest.y, side, side)
        _draw_grid(page, grid, OWN_SIDE, OWN_SIDE)
        lines = Box(grid.right + 14, grid.y, rest.right - grid.right - 14, side)
        page.fold_line((grid.right + 7, rest.y), (grid.right + 7, half.bottom))
        for row in lines.rows(OWN_SIDE):
            page.line((row.x, row.bottom - 1), (row.right, row.bottom - 1), stroke=Stroke(GREY, 0.25))


def _draw_key(page: Surface, area: Box) -> None:
    for (digit, name), colour, cell in zip(KEY, KEY_COLOURS, area.columns(len(KEY)), strict=True):
        swatch, word = cell.moved(y=-2).split_left(6.5)
        page.rectangle(swatch.centred(6, 6), colour, Stroke(width=0.25))
        page.text(word.inset(2, 1), f"{digit} {page.translate(name)}", 4.6, align="left")


def _draw_teacher(page: Surface) -> None:
    """Draw the worked example: a picture, its numbers and an explanation."""
    title, rest = page.area.split_top(LETTER.y - 4)
    page.heading(title, page.translate(N_("picture element")), 17)
    picture, grid = pixels.load("rle-letter"), LETTER
    cells = grid.grid(len(picture.rows[0]), len(picture.rows))
    black = Path()
    for letter, cell in zip("".join(picture.rows), cells, strict=True):
        if letter in picture.black:
            black.rectangle(cell)
    with page.figure(page.translate(N_("The letter a in eight by eight squares"))):
        if page.ink_saver:  # an outline would not stand out from the grid
            page.hatch(black, grid, BLACK, spacing=2)
        else:
            page.paint(black, BLACK, None)
    _draw_grid(page, grid, len(picture.rows[0]), len(picture.rows))
    _write_lengths(page, grid, lengths_of("rle-letter"), 7.5)
    text = Box(rest.x + 4, grid.bottom + 12, rest.width - 8, rest.bottom - grid.bottom - 12)
    set_sheet(page, text, page.sheet("run_length_encoding"), 5.5)


RESOURCE = Resource(
    view="run_length_encoding",
    name=N_("Run Length Encoding"),
    summary=N_("How pictures are packed: count the squares of one colour instead of listing them."),
    options=(
        Choice(
            "worksheet_type",
            N_("Worksheet"),
            {
                "student-basic": N_("For pupils: three pictures in numbers"),
                "student-create": N_("For pupils: a picture of your own"),
                "student-create-colour": N_("For pupils: a picture of your own, in colour"),
                "teacher": N_("For teachers: a worked example"),
            },
            "student-basic",
        ),
    ),
    subtitle=lambda choices, paper: f"{choices.text('worksheet_type')} - {paper}",
    pages=lambda choices: 1,
    draw=draw,
)
