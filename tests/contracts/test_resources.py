"""Every resource, every combination of its options, both papers: one contract."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import io
from collections.abc import Callable
from typing import Any

import pikepdf
import pytest

from render_trio.rendering.pipeline import produce
from render_trio.testing import check_document, check_words
from render_trio.testing.contract import check_copies
from resources.drawing import fonts
from resources.registry import CATALOGUE
from resources.request import Request
from tests.requests import all_requests, combinations, request_for

# Which choices print numbers that nobody chose; everything else is the same whatever the seed.
RANDOM: dict[str, Callable[[dict[str, Any]], bool]] = {
    "number_hunt": lambda chosen: chosen["prefilled_values"] != "blank",
    "searching_cards": lambda chosen: chosen["max_number"] in (99, 999),
    "sorting_network": lambda chosen: chosen["prefilled_values"] != "blank",
    "sorting_network_cards": lambda chosen: chosen["type"] == "large_numbers",
    "treasure_hunt": lambda chosen: chosen["prefilled_values"] != "blank",
}

# Words that are the same on every class's sheets: pupils sort them.
SORTED_WORDS = """
ED GB IY LO NK SP ½⅓ ¾⅝ ⅔⅜
tahi rua toru whā rima ono whitu waru iwa tekau mā whero kākāriki kiwikiwi karaka kōwhai pango māwhero
"""
LESSON_WORDS = {"sorting_network_cards": frozenset(SORTED_WORDS.split())}


def make(request: Request) -> bytes:
    return produce(request, lambda: None).pdf


@pytest.mark.parametrize("request_", all_requests(), ids=lambda r: CATALOGUE[r.view].filename(r))
def test_every_document_keeps_the_contract(request_: Request) -> None:
    check_document(request_)


@pytest.mark.parametrize("request_", all_requests()[::2], ids=lambda r: CATALOGUE[r.view].filename(r))
def test_every_printed_word_can_be_translated(request_: Request) -> None:
    check_words(request_, data=LESSON_WORDS.get(request_.view, frozenset()))


@pytest.mark.parametrize("view", CATALOGUE)
@pytest.mark.parametrize("ink_saver", [False, True])
def test_fifty_copies_under_a_long_header_keep_the_contract(view: str, ink_saver: bool) -> None:
    check_copies(view, ink_saver=ink_saver)


@pytest.mark.parametrize("view", CATALOGUE)
def test_seeds_and_copies_differ_where_something_is_random_and_nowhere_else(view: str) -> None:
    resource = CATALOGUE[view]
    for chosen in combinations(resource):
        first, second = (request_for(view, seed=seed, copies=2, **chosen) for seed in ("a", "b"))
        pages, drawn = resource.pages(first.choices), make(first)
        with pikepdf.open(io.BytesIO(drawn)) as pdf:
            content = [page.Contents.read_bytes() for page in pdf.pages]
        random = content[:pages] != content[pages:]
        assert (drawn != make(second)) == random, chosen
        assert random == RANDOM.get(view, lambda chosen: False)(chosen), chosen


def test_copies_of_a_fixed_resource_share_their_content() -> None:
    one, fifty = (make(request_for("binary_cards", copies=copies)) for copies in (1, 50))
    assert len(fifty) < len(one) + 50 * 8 * 60  # a page of a further copy is a small dictionary, no more


def test_eight_renders_at_once_give_what_they_give_one_by_one() -> None:
    requests = [
        request_for(view, paper_size=paper, seed=str(i), header_text=f"Klasse {i} ō ⅔")
        for i in range(4)
        for view in CATALOGUE
        for paper in ("a4", "letter")
    ]
    one_by_one = [make(request) for request in requests]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(make, requests)) == one_by_one


def test_saving_ink_leaves_less_black() -> None:
    import pypdfium2

    def blackness(request: Request) -> float:
        pdf = pypdfium2.PdfDocument(make(request))
        histogram = pdf[1].render(scale=0.3, grayscale=True).to_pil().histogram()
        pdf.close()
        return sum(histogram[:64]) / sum(histogram)

    full = request_for("binary_cards", black_back=True)
    assert blackness(full) > 0.5
    assert blackness(dataclasses.replace(full, ink_saver=True)) < 0.1


def test_backs_ask_for_the_flip_that_they_are_drawn_for() -> None:
    with pikepdf.open(io.BytesIO(make(request_for("parity_cards")))) as pdf:
        assert pdf.Root.ViewerPreferences.Duplex == pikepdf.Name.DuplexFlipLongEdge
    with pikepdf.open(io.BytesIO(make(request_for("binary_cards", black_back=False)))) as pdf:
        assert "/Duplex" not in pdf.Root.ViewerPreferences


def test_the_address_can_be_clicked() -> None:
    with pikepdf.open(io.BytesIO(make(request_for("parity_cards")))) as pdf:
        for page in pdf.pages:
            assert str(page.Annots[0].A.URI) == "https://example.org/resources/parity_cards"


def test_every_role_has_macrons_and_fractions() -> None:
    for role in fonts.ROLES:
        assert fonts.missing_character("tekau mā whā Ā ⅔ ⅜ ⅝ ½", role) is None
        with pytest.raises(fonts.MissingCharacterError, match="U\\+2603"):
            fonts.runs(role, "a☃")


@pytest.mark.parametrize("view", CATALOGUE)
def test_what_a_resource_declares_is_whole(view: str) -> None:
    resource = CATALOGUE[view]
    assert resource.view == view
    for option in resource.options:
        assert option.parse(option.default) == option.default
    for chosen in combinations(resource):
        request = request_for(view, **chosen)
        assert resource.filename(request) == f"{resource.title(request)}.pdf"
        assert resource.page_count(request) >= 1
    promise: Callable[..., object]
    for promise in (resource.subtitle, resource.pages, resource.draw):
        assert f"{promise.__module__}.".startswith(f"resources.catalogue.{view}.")
