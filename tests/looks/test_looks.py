"""Every page matches its reference picture. After an intended change, run scripts/looks."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from tests.conftest import ROOT
from tests.looks.pictures import REFERENCES, SCALE, TOLERANCE, Look, difference, looks, rasterised

OUT = ROOT / "out" / "looks"
LOOKS = list(looks())
SHIFT = round(2 * 72 / 25.4 * SCALE)  # 2 mm


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_page_matches_its_reference_picture(look: Look) -> None:
    picture = rasterised(look.request, look.page)
    reference = Image.open(look.reference).convert("RGB")
    distance, differences = difference(picture, reference)
    if distance > TOLERANCE:
        OUT.mkdir(parents=True, exist_ok=True)
        for label, image in (("actual", picture), ("expected", reference), ("difference", differences)):
            image.save(OUT / f"{look.name} {label}.png")
    assert distance <= TOLERANCE, f"{look.name} looks different; see {OUT}. If that is intended, run scripts/looks"


def test_every_reference_picture_belongs_to_a_page() -> None:
    assert {path.stem for path in REFERENCES.glob("*.png")} == {look.name for look in LOOKS}


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_antialiasing_is_within_the_tolerance_but_a_shift_by_2_mm_is_not(look: Look) -> None:
    picture = rasterised(look.request, look.page)
    finer = rasterised(look.request, look.page, oversampling=6)
    assert difference(picture, finer)[0] <= TOLERANCE
    assert difference(picture, ImageChops.offset(picture, SHIFT, 0))[0] > TOLERANCE
    assert difference(picture, ImageChops.offset(picture, 0, SHIFT))[0] > TOLERANCE
