"""Every resource's first page with its defaults, rasterised side by side → one picture."""

from __future__ import annotations

import sys
from pathlib import Path

import pypdfium2
from PIL import Image, ImageDraw, ImageFont

from render_trio.queue.producer import task_values
from render_trio.rendering.pipeline import produce
from resources.drawing.fonts import FACES
from resources.registry import CATALOGUE

COLUMNS = 7
CELL, TITLE, GAP = 210, 22, 10  # pixels


def first_page(view: str) -> Image.Image:
    """Return the resource's first page, at most CELL pixels wide and high."""
    options = {"header_text": "Room Four", "url": "https://example.org", "seed": "gallery", **CATALOGUE[view].showcase}
    request, _ = task_values(view, options)
    pdf = pypdfium2.PdfDocument(produce(request, lambda: None).pdf)
    page = pdf[0]
    picture: Image.Image = page.render(scale=3 * CELL / max(page.get_size())).to_pil()
    pdf.close()
    picture.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return picture


def main(path: Path) -> None:
    """Write the contact sheet to `path`."""
    columns = min(COLUMNS, len(CATALOGUE))
    rows = -(-len(CATALOGUE) // columns)
    size = (columns * (CELL + GAP) + GAP, rows * (CELL + TITLE + GAP) + GAP)
    sheet = Image.new("RGB", size, "#e8e8e8")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(str(FACES["atkinson"]), 15)
    for index, (view, resource) in enumerate(sorted(CATALOGUE.items())):
        left, top = GAP + index % columns * (CELL + GAP), GAP + index // columns * (CELL + TITLE + GAP)
        picture = first_page(view)
        sheet.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
        draw.text((left + CELL / 2, top + CELL + TITLE / 2), resource.name, "#222222", font=font, anchor="mm")
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
