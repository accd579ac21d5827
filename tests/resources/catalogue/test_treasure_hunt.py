"""The numbers in the chests are correct, and the worked example follows the rules of the game."""

from __future__ import annotations

import pytest

from resources.catalogue.treasure_hunt import hunt
from resources.catalogue.treasure_hunt.example import MY_GUESSES, OPPONENT_GUESSES, example_numbers
from resources.catalogue.treasure_hunt.sheet import LETTERS, layout
from resources.drawing import fonts
from resources.registry import CATALOGUE
from tests.requests import document_for, request_for
from tests.resources.catalogue.test_semantics import numbers_of, text_of


@pytest.mark.parametrize(("level", "highest"), [("easy", 99), ("medium", 999), ("hard", 9999)])
@pytest.mark.parametrize("order", ["sorted", "unsorted"])
def test_chests_contain_26_numbers_with_their_range_and_order(level: str, highest: int, order: str) -> None:
    for seed in range(10):
        request = request_for("treasure_hunt", prefilled_values=level, number_order=order, seed=seed)
        with fonts.POOL.borrowed() as font_set:
            drawn = hunt.numbers(document_for(request, font_set), request.choices)
        numbers = [int(number) for number in drawn]
        assert len(set(numbers)) == len(LETTERS) == 26
        assert all(0 <= number <= highest for number in numbers)
        assert (numbers == sorted(numbers)) == (order == "sorted")


@pytest.mark.parametrize("art", ["colour", "bw"])
def test_the_numbers_on_the_sheet_are_in_the_order_of_the_letters(art: str) -> None:
    numbers = numbers_of(text_of("treasure_hunt", prefilled_values="medium", art=art)[0])
    assert len(numbers) == 26
    assert numbers == sorted(numbers)


def test_blank_chests_contain_no_numbers() -> None:
    assert numbers_of(text_of("treasure_hunt", prefilled_values="blank")[0]) == []


def test_chests_and_rows_do_not_overlap_and_are_in_reading_order() -> None:
    places = layout()
    for chest, neighbour in zip(places.chests[::2], places.chests[1::2], strict=True):
        assert chest.y == neighbour.y
        assert chest.right < neighbour.x
    for above, below in zip(places.chests, places.chests[2:], strict=False):
        assert above.bottom < below.y
    for above, below in zip(places.rows, places.rows[1:], strict=False):
        assert above.bottom <= below.y + 1e-9


def test_the_numbers_of_the_example_have_the_chosen_order() -> None:
    in_order, mixed = example_numbers(is_sorted=True), example_numbers(is_sorted=False)
    assert [int(number) for number in in_order] == sorted(set(map(int, mixed)))
    assert mixed != in_order


def test_the_example_follows_the_rules() -> None:
    for is_sorted in (True, False):
        found = {LETTERS.index(letter): int(number) for letter, number in MY_GUESSES[is_sorted]}
        assert ([found[place] for place in sorted(found)] == sorted(found.values())) == is_sorted
        loot = MY_GUESSES[is_sorted][-1][1]
        order = "sorted" if is_sorted else "unsorted"
        text = text_of("treasure_hunt", number_order=order, instructions=True, prefilled_values="blank")[1]
        numbers = numbers_of(text)
        chosen = int(example_numbers(is_sorted=is_sorted)[LETTERS.index(OPPONENT_GUESSES[-1])])
        assert numbers.count(int(loot)) == 2, "in the box of the number to find, and in the row where it was found"
        assert numbers.count(chosen) == 2, "in the box of the chosen number, and on its chest"
        assert numbers.count(len(OPPONENT_GUESSES)) == 2


def test_the_file_name_names_the_options() -> None:
    request = request_for("treasure_hunt", instructions=True)
    assert (
        CATALOGUE[request.view].filename(request)
        == "Treasure Hunt (Sorted - 0 to 99 - full colour - with instructions - a4).pdf"
    )
    request = request_for("treasure_hunt", prefilled_values="blank", art="bw", paper_size="letter")
    assert (
        CATALOGUE[request.view].subtitle(request.choices, request.paper_size)
        == "blank - black and white - without instructions - letter"
    )
