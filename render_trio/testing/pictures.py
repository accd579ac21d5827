"""The looks of pages: compared with reference pictures that a person has viewed.

A picture is a page at 43 dpi, where 1 mm is 1.7 pixels. Two are alike if no small tile of them differs much once both
are blurred a little: another version of a rasteriser, of font hinting or of antialiasing moves edges by parts of a
pixel, which the blur evens out; a card that moved by 2 mm does not pass.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import cast

import pypdfium2
from PIL import Image, ImageChops, ImageFilter, ImageOps

from render_trio.rendering.pipeline import produce
from render_trio.testing.requests import request_for, resource_of
from resources.request import Request

SCALE = 0.6  # pixels per point
OVERSAMPLING = 4  # rasterised this many times larger, then reduced: the minimum width of hairlines must not count
BLUR = 1.0  # pixels
TILE = 3  # pixels
TOLERANCE = 22  # of 255, the mean of a tile: antialiasing makes up to 12, 2 mm make 34 and more (measured on all pages)
UPDATE = "UPDATE_PICTURES"


@lru_cache(maxsize=128)
def rasterised(request: Request, page: int, oversampling: int = OVERSAMPLING) -> Image.Image:
    """Return a page, counted from 0, as a picture, reduced from one that is `oversampling` times larger."""
    pdf = pypdfium2.PdfDocument(produce(request, lambda: None).pdf)
    picture: Image.Image = pdf[page].render(scale=oversampling * SCALE).to_pil().convert("RGB")
    width, height = pdf[page].get_size()
    pdf.close()
    return picture.resize((round(width * SCALE), round(height * SCALE)), Image.Resampling.BOX)


def difference(first: Image.Image, second: Image.Image) -> tuple[int, Image.Image]:
    """Return the largest mean difference of a tile (0–255), and a picture of the differences."""
    if first.size != second.size:
        return 255, Image.new("RGB", first.size, "red")
    blurred = [picture.filter(ImageFilter.GaussianBlur(BLUR)) for picture in (first, second)]
    red, green, blue = ImageChops.difference(*blurred).split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    _, largest = cast(tuple[int, int], strongest.reduce(TILE).getextrema())  # one band of bytes
    return largest, ImageChops.invert(strongest.point(lambda value: min(255, 3 * value)))


def save_reference(picture: Image.Image, path: Path) -> None:
    """Save a reference picture. Six bits a colour: the loss is below the tolerance, and the files are half as large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ImageOps.posterize(picture, 6).save(path, optimize=True)


def compare(picture: Image.Image, reference: Path, out: Path, update: str = f"{UPDATE}=1") -> None:
    """Compare a picture with a reference; where they differ, save both and their difference in `out`.

    `update` says how to replace the references. Raises AssertionError.
    """
    assert reference.is_file(), f"{reference} is missing: run {update}, and view the picture"
    expected = Image.open(reference).convert("RGB")
    largest, shown = difference(picture, expected)
    if largest > TOLERANCE:
        out.mkdir(parents=True, exist_ok=True)
        for name, image in (("actual", picture), ("expected", expected), ("difference", shown)):
            image.save(out / f"{reference.stem} {name}.png")
    assert largest <= TOLERANCE, f"{reference.stem} looks different: see {out}. If that is intended: {update}"


def compare_pictures(view: str, folder: Path, **options: object) -> None:
    """Compare each page of a resource's document with its reference picture in `folder`.

    With the environment variable UPDATE_PICTURES=1 the references are replaced: view them before you commit them.
    Pages that differ are saved beside the folder, in `<folder>-differences`. Raises AssertionError.
    """
    resource = resource_of(view)
    request = request_for(view, header_text="Room Four", **options)
    name = "-".join([view, *(f"{key}-{value}" for key, value in options.items())])
    for page in range(resource.page_count(request)):
        picture, reference = rasterised(request, page), folder / f"{name}-{page + 1}.png"
        if os.environ.get(UPDATE):
            save_reference(picture, reference)
        compare(picture, reference, folder.with_name(f"{folder.name}-differences"))
