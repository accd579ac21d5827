"""The cards show the texts that the specification of the resource lists."""

from __future__ import annotations

import re

import pytest

from resources.catalogue.sorting_network_cards import ONE_FACE, TEXTS, size_for
from resources.drawing import fonts
from resources.registry import CATALOGUE
from tests.requests import request_for
from tests.resources.catalogue.test_semantics import text_of

# The specification: the texts of each deck, in order.
DECKS = {
    "small_numbers": "1, 2, 3, 4, 5, 6",
    "fractions": "½, ⅓, ⅔, ⅜, ¾, ⅝",
    "maori_numbers": "tahi, rua, toru, whā, rima, ono, whitu, waru, iwa, tekau, tekau mā tahi, tekau mā waru, "
    "tekau mā toru, tekau mā whā, rua tekau, rua tekau mā ono",
    "words": "crocodile, crochet, kiwi, weka, kiwi, kiwano",
    "letters": "L, O, N, K, E, D, S, P, G, B, I, Y",
    "maori_colours": "whero, kākāriki, kiwikiwi, karaka, kōwhai, pango, māwhero, mā",
}


def cards_of(kind: str, **values: object) -> list[str]:
    """Return the text of each page, without the header and footer and without spaces.

    Text extraction can't distinguish the line distance of very large letters from a missing space.
    """
    request = request_for("sorting_network_cards", type=kind)
    frame = (request.name, request.url, "Printable resource", "50 mm")
    pages = text_of("sorting_network_cards", type=kind, **values)
    texts = [[line for line in page.split("\r\n") if not any(word in line for word in frame)] for page in pages]
    return ["".join("".join(lines).split()) for lines in texts]


@pytest.mark.parametrize("kind", DECKS)
def test_a_deck_has_two_texts_per_page_in_order(kind: str) -> None:
    cards = DECKS[kind].replace(" ", "").split(",")
    assert cards_of(kind) == [first + second for first, second in zip(cards[::2], cards[1::2], strict=True)]


def test_large_numbers_are_distinct_have_commas_and_depend_on_the_seed() -> None:
    decks = [re.findall(r"\d,\d{3},\d{3}", "".join(cards_of("large_numbers", seed=seed))) for seed in ("a", "b")]
    for deck in decks:
        assert len(deck) == len(set(deck)) == 6
        assert all(1_700_000 <= int(number.replace(",", "")) <= 2_099_999 for number in deck)
    assert decks[0] != decks[1]


@pytest.mark.parametrize(
    ("kind", "pages"), [("small_numbers", 3), ("letters", 6), ("maori_numbers", 8), ("butterfly", 3)]
)
def test_a_deck_has_as_many_pages_as_its_cards_need(kind: str, pages: int) -> None:
    request = request_for("sorting_network_cards", type=kind)
    assert CATALOGUE[request.view].page_count(request) == pages


def test_the_file_name_contains_the_name_of_the_deck() -> None:
    request = request_for("sorting_network_cards", type="riding_hood", paper_size="letter")
    assert CATALOGUE[request.view].filename(request) == "Sorting Network Cards (riding hood - letter).pdf"


def test_a_deck_with_macrons_or_thirds_is_drawn_in_one_face() -> None:
    for kind in ONE_FACE:
        assert {face for text in TEXTS[kind] for face, _ in fonts.runs("plain", text)} == {"noto"}


@pytest.mark.parametrize(("width", "height"), [(170.0, 113.5), (175.9, 104.7)])
def test_the_widest_word_of_a_deck_determines_its_text_size(width: float, height: float) -> None:
    for texts in TEXTS.values():
        size = size_for(texts, "plain", width, height)
        widest = max(fonts.width("plain", word) for text in texts for word in text.split())
        assert size * widest <= width
        assert size > 35, "mm: legible from the far end of a hall"
