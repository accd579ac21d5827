"""The automaton of the islands matches its specification, the posters show it, and the treasure can be reached."""

from __future__ import annotations

import re
from collections import deque

import pytest

from resources.catalogue.treasure_island import ISLANDS
from tests.resources.catalogue.test_semantics import text_of

# The specification, with shortened names.
VOYAGES = """
Dead Man's A→Musket Hill, B→Shipwreck; Musket A→Pirates', B→Mutineers'; Mutineers' A→Smugglers', B→Dead Man's;
Pirates' A→Shipwreck, B→Musket; Shipwreck A→Musket, B→Dead Man's; Smugglers' A→Pirates', B→Treasure
"""
NAMES = (
    "Dead Man's Island", "Musket Hill", "Mutineers' Island", "Pirates' Island", "Shipwreck Bay", "Smugglers' Cove",
    "Treasure Island",
)  # fmt: skip


def full(short: str) -> str:
    (name,) = (name for name in NAMES if name.startswith(short.strip()))
    return name


def specified() -> dict[str, tuple[str, str]]:
    """Return the specified voyages: island → the islands that A and B sail to."""
    found = {}
    for entry in VOYAGES.strip().split(";"):
        match = re.fullmatch(r"\s*(.+) A→(.+), B→(.+)", entry)
        assert match is not None
        found[full(match[1])] = (full(match[2]), full(match[3]))
    return found


def test_the_table_matches_the_specification() -> None:
    table = {
        island.name: tuple(ISLANDS[goal].name for goal in island.sails_to)
        for island in ISLANDS.values()
        if island.sails_to is not None
    }
    assert table == specified()
    assert [island.name for island in ISLANDS.values() if island.sails_to is None] == ["Treasure Island"]


@pytest.mark.parametrize("ink_saver", [False, True])
def test_the_posters_show_the_specified_voyages(ink_saver: bool) -> None:
    pages = text_of("treasure_island", type="island", ink_saver=ink_saver)
    assert len(pages) == 7
    shown = {}
    for page in pages:
        lines = [line.strip() for line in page.splitlines()]
        (island,) = {name for name in NAMES if name in lines[: lines.index(fold_hint(lines))]}
        shown[island] = re.findall(r"Ship ([AB]) sails to\s+(.+?)\s*$", page, re.MULTILINE)
    assert shown.pop("Treasure Island") == []
    assert shown == {island: [("A", a), ("B", b)] for island, (a, b) in specified().items()}
    assert "You have found the treasure!" in pages[-1]


def fold_hint(lines: list[str]) -> str:
    """Return the line at the end of the front of a poster."""
    return next(line for line in lines if line.startswith("Fold this part back"))


def test_the_treasure_can_be_reached_from_every_island() -> None:
    for start in ISLANDS:
        seen, waiting = {start}, deque([start])
        while waiting:
            for goal in ISLANDS[waiting.popleft()].sails_to or ():
                if goal not in seen:
                    seen.add(goal)
                    waiting.append(goal)
        assert "treasure" in seen, start


def test_the_map_names_every_island_once_and_shows_no_voyage() -> None:
    (page,) = text_of("treasure_island", type="map")
    drawn = page.split("Find Treasure Island")[1]
    assert all(drawn.count(name) == 1 for name in NAMES)
    assert "sails" not in page
