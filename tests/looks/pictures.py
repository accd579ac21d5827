"""Reference pictures of pages: which pages have one, how they are rasterised, and how they are compared.

A picture shows a page at 43 dpi, where 1 mm is 1.7 pixels. Two pictures match if no small tile differs much after both
have been blurred slightly. Another version of the rasteriser, of font hinting or of antialiasing moves edges by
fractions of a pixel, which the blur evens out; an object that has moved by 2 mm fails the comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pypdfium2
from PIL import Image, ImageChops, ImageFilter, ImageOps

from render_trio.rendering.pipeline import produce
from resources.registry import CATALOGUE
from resources.request import Request
from tests.requests import request_for

REFERENCES = Path(__file__).parent / "references"
SCALE = 0.6  # pixels per pt
OVERSAMPLING = 4  # rasterise larger, then reduce, because the rasteriser has a minimum line width
BLUR = 1.0  # radius, pixels
TILE = 3  # pixels
# Of 255, the mean of a tile. Measured on all pages: antialiasing causes up to 12, a shift by 2 mm at least 34.
TOLERANCE = 22

# Besides the first page with the default options: view → (label, options, pages counted from 0).
ADDITIONAL: dict[str, list[tuple[str, dict[str, Any], tuple[int, ...]]]] = {
    "barcode_checksum_poster": [("thirteen", {"barcode_length": 13}, (0,))],
    "binary_cards": [
        ("backs", {"black_back": True}, (14, 15)),
        ("saving", {"black_back": True, "ink_saver": True}, (15,)),
    ],
    "binary_cards_small": [("twelve-bits", {"number_bits": 12}, (1, 2))],
    "binary_to_alphabet": [("teacher", {"worksheet_version": "teacher"}, (0,))],
    "binary_windows": [
        ("bulbs", {"number_bits": 6, "value_type": "lightbulb"}, (0, 1)),
        ("eight-bits", {"number_bits": 8}, (0, 3)),
    ],
    "modulo_clock": [("blank", {"modulo_number": 1}, (0,))],
    "number_hunt": [("unsorted", {"prefilled_values": "hard", "number_order": "unsorted"}, (0,))],
    "parity_cards": [("back", {"back_colour": "green"}, (1,)), ("saving", {"ink_saver": True}, (1,))],
    "piano_keys": [("highlight", {"highlight": "C", "label": "solfege"}, (0,))],
    "pixel_painter": [
        ("parrots", {"image": "parrots", "method": "colour"}, (0, 5)),
        ("cat", {"image": "cat", "method": "greyscale"}, (1, 2)),
        ("star", {"image": "star", "method": "run-length-encoding"}, (2,)),
    ],
    "run_length_encoding": [
        (kind, {"worksheet_type": kind}, (0,)) for kind in ("student-create", "student-create-colour", "teacher")
    ],
    "searching_cards": [("letter", {"number_cards": 31, "max_number": 999, "paper_size": "letter"}, (7, 8))],
    "sorting_network": [("hard", {"prefilled_values": "hard"}, (0,))],
    "sorting_network_cards": [
        ("riding-hood", {"type": "riding_hood"}, (0, 1, 2)),
        ("butterfly", {"type": "butterfly"}, (1, 2)),
        ("tree", {"type": "tree_growth"}, (0, 2)),
        ("fractions", {"type": "fractions"}, (1,)),
        ("maori-numbers", {"type": "maori_numbers"}, (6,)),
    ],
    "train_stations": [("twisted", {"tracks": "twisted"}, (0,))],
    "treasure_hunt": [
        ("plain", {"art": "bw", "prefilled_values": "hard"}, (0,)),
        ("instructions", {"instructions": True}, (1,)),
    ],
    "treasure_island": [("posters", {"type": "island"}, (0, 2, 5, 6)), ("saving", {"ink_saver": True}, (0,))],
}


@dataclass(frozen=True, slots=True)
class Look:
    """A page that has a reference picture. `page` counts from 0."""

    name: str
    request: Request
    page: int

    @property
    def reference(self) -> Path:
        """The path of the reference picture."""
        return REFERENCES / f"{self.name}.png"


def looks() -> Iterator[Look]:
    """Yield every page that has a reference picture."""
    for view in CATALOGUE:
        for label, options, pages in [("default", {}, (0,)), *ADDITIONAL.get(view, [])]:
            request = request_for(view, header_text="Room Four", **options)
            for page in pages:
                yield Look(f"{view} {label} {page + 1}".replace(" ", "-"), request, page)


@lru_cache(maxsize=128)
def rasterised(request: Request, page: int, oversampling: int = OVERSAMPLING) -> Image.Image:
    """Return the page as a picture, rasterised `oversampling` times larger and then reduced."""
    pdf = pypdfium2.PdfDocument(produce(request, lambda: None).pdf)
    picture = pdf[page].render(scale=oversampling * SCALE).to_pil().convert("RGB")
    size = tuple(round(points * SCALE) for points in pdf[page].get_size())
    pdf.close()
    return picture.resize(size, Image.Resampling.BOX)  # type: ignore[arg-type]


def difference(first: Image.Image, second: Image.Image) -> tuple[int, Image.Image]:
    """Return the mean difference (0–255) of the tile that differs most, and a picture of the differences."""
    if first.size != second.size:
        return 255, Image.new("RGB", first.size, "red")
    blurred = [picture.filter(ImageFilter.GaussianBlur(BLUR)) for picture in (first, second)]
    differences = ImageChops.difference(*blurred)
    red, green, blue = differences.split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return int(strongest.reduce(TILE).getextrema()[1]), ImageChops.invert(
        strongest.point(lambda value: min(255, 3 * value))
    )


def main() -> None:
    """Replace all reference pictures, after an intended change of appearance."""
    REFERENCES.mkdir(exist_ok=True)
    for old in REFERENCES.glob("*.png"):
        old.unlink()
    for look in looks():
        # Six bits per channel halve the size of the files, and the loss is far below the tolerance.
        ImageOps.posterize(rasterised(look.request, look.page), 6).save(look.reference, optimize=True)


if __name__ == "__main__":
    main()
