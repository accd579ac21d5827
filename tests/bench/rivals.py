"""Eight binary cards drawn with other libraries (extra `bench`): the same dots and numbers, in idiomatic code.

Sizes in pt on A4. There is no header, no footer and no check of the result, so this is less work than our own document.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import cairo
import fpdf
import typst
import weasyprint

from resources.drawing.fonts import FACES

GRIDS = ((1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16))
WIDTH, HEIGHT = 595.28, 841.89
LEFT, TOP, AREA_WIDTH, AREA_HEIGHT = 60.0, 60.0, 475.0, 590.0
BASELINE, NUMBER_SIZE = 745.0, 90.0
FONT = FACES["delius"]


def dots(columns: int, rows: int) -> tuple[float, list[tuple[float, float]]]:
    """Return the radius and the centres of one card's dots."""
    pitch = min(AREA_WIDTH / columns, AREA_HEIGHT / rows, 200)
    left, top = LEFT + (AREA_WIDTH - pitch * columns) / 2, TOP + (AREA_HEIGHT - pitch * rows) / 2
    centres = [(left + (x + 0.5) * pitch, top + (y + 0.5) * pitch) for y in range(rows) for x in range(columns)]
    return pitch * 0.38, centres


def by_cairo() -> bytes:
    """Draw with pycairo's PDF surface, in the font that its toy text API finds."""
    output = io.BytesIO()
    surface = cairo.PDFSurface(output, WIDTH, HEIGHT)
    context = cairo.Context(surface)
    context.select_font_face("sans-serif")
    context.set_font_size(NUMBER_SIZE)
    for columns, rows in GRIDS:
        context.rectangle(30, 30, WIDTH - 60, HEIGHT - 90)
        context.stroke()
        radius, centres = dots(columns, rows)
        for x, y in centres:
            context.new_sub_path()
            context.arc(x, y, radius, 0, 6.2832)
        context.fill()
        text = str(columns * rows)
        context.move_to((WIDTH - context.text_extents(text).width) / 2, BASELINE)
        context.show_text(text)
        context.show_page()
    surface.finish()
    return output.getvalue()


def by_fpdf2() -> bytes:
    """Draw with fpdf2, which is pure Python."""
    pdf = fpdf.FPDF(unit="pt", format="A4")
    pdf.add_font("delius", fname=str(FONT))
    pdf.set_auto_page_break(False)
    for columns, rows in GRIDS:
        pdf.add_page()
        pdf.set_font("delius", size=int(NUMBER_SIZE))
        pdf.rect(30, 30, WIDTH - 60, HEIGHT - 90)
        radius, centres = dots(columns, rows)
        for x, y in centres:
            pdf.ellipse(x - radius, y - radius, 2 * radius, 2 * radius, style="F")
        text = str(columns * rows)
        pdf.text((WIDTH - pdf.get_string_width(text)) / 2, BASELINE, text)
    return bytes(pdf.output())


def by_typst() -> bytes:
    """Typeset Typst markup that places every dot."""
    pages = []
    for columns, rows in GRIDS:
        radius, centres = dots(columns, rows)
        placed = "".join(
            f"#place(dx: {x - radius:.2f}pt, dy: {y - radius:.2f}pt, circle(radius: {radius:.2f}pt, fill: black))"
            for x, y in centres
        )
        frame = f"#place(dx: 30pt, dy: 30pt, rect(width: {WIDTH - 60}pt, height: {HEIGHT - 90}pt))"
        number = f"#place(dy: {BASELINE - 70}pt, box(width: {WIDTH}pt, align(center, text(90pt)[{columns * rows}])))"
        pages.append(frame + placed + number)
    source = '#set page(paper: "a4", margin: 0pt)\n#set text(font: "Delius")\n' + "\n#pagebreak()\n".join(pages)
    made = typst.compile(source.encode(), font_paths=[str(FONT.parent)])
    return bytes(made) if isinstance(made, bytes) else b"".join(made)


def _svg_pages() -> Iterator[str]:
    for columns, rows in GRIDS:
        radius, centres = dots(columns, rows)
        circles = "".join(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}"/>' for x, y in centres)
        yield (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="210mm" height="297mm">'
            f'<rect x="30" y="30" width="{WIDTH - 60}" height="{HEIGHT - 90}" fill="none" stroke="black"/>{circles}'
            f'<text x="{WIDTH / 2}" y="{BASELINE}" font-size="90" text-anchor="middle">{columns * rows}</text></svg>'
        )


def by_weasyprint() -> bytes:
    """Convert HTML with one page of inline SVG for each card, with WeasyPrint."""
    style = "<style>@page{size:A4;margin:0}svg{display:block;break-after:page}</style>"
    return bytes(weasyprint.HTML(string=style + "".join(_svg_pages())).write_pdf())


RIVALS: dict[str, Callable[[], bytes]] = {
    "cairo": by_cairo,
    "fpdf2": by_fpdf2,
    "Typst": by_typst,
    "WeasyPrint with SVG": by_weasyprint,
}
