"""The contract and the looks: what every resource of the catalogue keeps, checked for these."""

from __future__ import annotations

from pathlib import Path

import pytest

from render_trio.testing import check_resource, compare_pictures

VIEWS = ("tally_cards", "tally_die", "binary_die")


@pytest.mark.parametrize("view", VIEWS)
def test_the_resource_keeps_the_contract(view: str) -> None:
    check_resource(view)


@pytest.mark.parametrize("view", VIEWS)
def test_the_pages_look_as_they_should(view: str) -> None:
    compare_pictures(view, Path(__file__).parent / "pictures")
