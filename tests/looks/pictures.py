"""The pages of our own resources that have reference pictures; render_trio/testing/pictures.py compares them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from render_trio.testing import request_for
from render_trio.testing.pictures import rasterised, save_reference
from resources.registry import CATALOGUE
from resources.request import Request

REFERENCES = Path(__file__).parent / "references"
# Pages that show more than the first one with the defaults: view → (name of the variant, options, pages from 0).
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
    """One page that has a reference picture."""

    name: str
    request: Request
    page: int

    @property
    def reference(self) -> Path:
        """The path of the picture."""
        return REFERENCES / f"{self.name}.png"


def looks() -> Iterator[Look]:
    """Yield every page that has a reference picture."""
    for view in CATALOGUE:
        for label, options, pages in [("default", {}, (0,)), *ADDITIONAL.get(view, [])]:
            request = request_for(view, header_text="Room Four", **options)
            for page in pages:
                yield Look(f"{view} {label} {page + 1}".replace(" ", "-"), request, page)


def main() -> None:
    """Draw all reference pictures again, after an intended change of looks."""
    REFERENCES.mkdir(exist_ok=True)
    for old in REFERENCES.glob("*.png"):
        old.unlink()
    for look in looks():
        save_reference(rasterised(look.request, look.page), look.reference)


if __name__ == "__main__":
    main()
