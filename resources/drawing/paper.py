"""Paper sizes, and the margins of every page. Sizes in mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Orientation = Literal["portrait", "landscape"]
Flip = Literal["long-edge", "short-edge"]

POINTS_PER_MM = 72 / 25.4

# Wide enough for any printer. The lower margin contains the footer with the ruler.
MARGIN_LEFT = MARGIN_RIGHT = MARGIN_TOP = 10.0
MARGIN_BOTTOM = 20.0


@dataclass(frozen=True, slots=True)
class Paper:
    """A sheet of paper in one orientation: its name (a4, letter), and width × height in mm."""

    name: str
    width: float
    height: float

    def oriented(self, orientation: Orientation) -> Paper:
        """Return the sheet in portrait (the height is the long side) or landscape (the width is)."""
        short, long = sorted((self.width, self.height))
        return Paper(self.name, *((short, long) if orientation == "portrait" else (long, short)))

    @property
    def content_width(self) -> float:
        """The width between the margins, mm."""
        return self.width - MARGIN_LEFT - MARGIN_RIGHT

    @property
    def content_height(self) -> float:
        """The height between the margins, mm."""
        return self.height - MARGIN_TOP - MARGIN_BOTTOM

    @property
    def points(self) -> tuple[float, float]:
        """The width and height in pt, as in the media box."""
        return self.width * POINTS_PER_MM, self.height * POINTS_PER_MM


PAPERS = {
    "a4": Paper("a4", 210.0, 297.0),  # ISO 216
    "letter": Paper("letter", 215.9, 279.4),  # ANSI/ASME Y14.1, 8.5 × 11 in
}
