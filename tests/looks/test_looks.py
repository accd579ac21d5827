"""Every page looks like its reference picture; after an intended change: scripts/looks."""

from __future__ import annotations

import pytest
from PIL import ImageChops

from render_trio.testing.pictures import SCALE, TOLERANCE, compare, difference, rasterised
from tests.conftest import ROOT
from tests.looks.pictures import REFERENCES, Look, looks

OUT = ROOT / "out" / "looks"
LOOKS = list(looks())
MOVED = round(2 * 72 / 25.4 * SCALE)  # 2 mm


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_page_looks_like_its_reference(look: Look) -> None:
    compare(rasterised(look.request, look.page), look.reference, OUT, "scripts/looks")


def test_every_reference_picture_is_compared() -> None:
    assert {path.stem for path in REFERENCES.glob("*.png")} == {look.name for look in LOOKS}


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_other_antialiasing_passes_and_two_millimetres_do_not(look: Look) -> None:
    picture = rasterised(look.request, look.page)
    finer = rasterised(look.request, look.page, oversampling=6)
    assert difference(picture, finer)[0] <= TOLERANCE
    assert difference(picture, ImageChops.offset(picture, MOVED, 0))[0] > TOLERANCE
    assert difference(picture, ImageChops.offset(picture, 0, MOVED))[0] > TOLERANCE
