"""Every resource looks as its reference picture does; what is meant to look otherwise: scripts/looks."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from tests.conftest import ROOT
from tests.looks.pictures import REFERENCES, SCALE, TOLERANCE, Look, difference, looks, rasterised

OUT = ROOT / "out" / "looks"
LOOKS = list(looks())
MOVED = round(2 * 72 / 25.4 * SCALE)  # 2 mm


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_a_page_looks_as_it_should(look: Look) -> None:
    now = rasterised(look.request, look.page)
    reference = Image.open(look.reference).convert("RGB")
    apart, picture = difference(now, reference)
    if apart > TOLERANCE:
        OUT.mkdir(parents=True, exist_ok=True)
        for what, shown in (("is", now), ("should be", reference), ("difference", picture)):
            shown.save(OUT / f"{look.name} {what}.png")
    assert apart <= TOLERANCE, f"{look.name} looks different; see {OUT}. If that is meant: scripts/looks"


def test_every_reference_picture_is_looked_at() -> None:
    assert {path.stem for path in REFERENCES.glob("*.png")} == {look.name for look in LOOKS}


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_other_antialiasing_is_no_difference_but_two_millimetres_are(look: Look) -> None:
    picture = rasterised(look.request, look.page)
    finer = rasterised(look.request, look.page, finer=6)
    assert difference(picture, finer)[0] <= TOLERANCE
    assert difference(picture, ImageChops.offset(picture, MOVED, 0))[0] > TOLERANCE
    assert difference(picture, ImageChops.offset(picture, 0, MOVED))[0] > TOLERANCE
