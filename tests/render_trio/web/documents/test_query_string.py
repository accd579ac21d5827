"""A query and its request, there and back; a form whose errors stand beside their fields."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from render_trio.web.documents.form import form_of
from render_trio.web.documents.query_string import DEFAULT_SEED, canonical, checked, given_values
from resources.options import Choice, Digits, Flag
from resources.parsing import RequestError
from resources.registry import CATALOGUE
from tests.requests import combinations

HUNT = CATALOGUE["number_hunt"]


@pytest.mark.parametrize("view", CATALOGUE)
def test_a_short_query_spells_the_same_request(view: str) -> None:
    resource = CATALOGUE[view]
    for chosen in combinations(resource):
        values = {name: ("yes" if v else "no") if isinstance(v, bool) else str(v) for name, v in chosen.items()}
        asked = checked(resource, {**values, "header_text": "Room & StatusSource", "paper_size": "letter", "seed": "7"})
        assert checked(resource, dict(parse_qsl(canonical(asked)))) == asked


def test_all_by_default_is_no_query_at_all() -> None:
    for resource in CATALOGUE.values():
        assert canonical(checked(resource, {})) == ""
    assert canonical(checked(HUNT, {"copies": "1", "seed": DEFAULT_SEED, "paper_size": "A4"})) == ""
    assert canonical(checked(HUNT, {"copies": "3", "resource_name": "Ours"})) == "copies=3&resource_name=Ours"


def test_a_key_given_twice_or_that_the_address_holds_is_told() -> None:
    with pytest.raises(RequestError, match="copies is given 2 times; allowed: once"):
        given_values(MultiDict([("copies", "1"), ("copies", "2")]))
    with pytest.raises(RequestError, match="resource_view is given; the address says"):
        given_values(MultiDict([("resource_view", "grid")]))
    assert given_values(MultiDict([("v", "x"), ("seed", "3")]), service_keys=("v",)) == {"seed": "3"}


@pytest.mark.parametrize("view", CATALOGUE)
def test_a_form_has_a_field_for_each_option_with_its_default(view: str) -> None:
    resource = CATALOGUE[view]
    form = form_of(resource, {})
    assert form.well
    assert [field.name for field in form.own] == [option.name for option in resource.options]
    assert [field.name for field in form.common] == ["header_text", "paper_size", "copies", "ink_saver"]
    for option, field in zip(resource.options, form.own, strict=True):
        assert field.value == field.default
        if isinstance(option, Choice | Flag):
            assert field.kind in ("radios", "menu")
            assert field.value in [value for value, _ in field.choices]
        elif isinstance(option, Digits):
            assert field.kind == "digits"


def test_each_wrong_value_is_told_beside_its_field_and_kept_to_be_mended() -> None:
    form = form_of(HUNT, {"copies": "99", "number_order": "upwards", "prefilled_values": "hard", "zzz": "1"})
    wrong = {field.name: (field.value, field.error) for field in (*form.own, *form.common) if field.error}
    assert wrong == {
        "copies": ("99", "Please use a whole number from 1 to 50."),
        "number_order": ("upwards", "Please use sorted, unsorted."),
    }
    assert form.errors == ("unknown option 'zzz'; options of number_hunt: prefilled_values, number_order",)
    assert not form.well
    # The rest is drawn as it was asked for.
    assert canonical(form.request) == "prefilled_values=hard"


def test_choices_that_do_not_go_together_are_told_beside_one_of_them() -> None:
    form = form_of(CATALOGUE["barcode_checksum_poster"], {"barcode": "123456789012"})
    errors = {field.name: field.error for field in form.own if field.error}
    assert errors == {"barcode": "Please use 11 digits for a barcode_length of 12."}


def test_thousands_of_unknown_keys_are_told_of_at_once() -> None:
    form = form_of(HUNT, {f"k{number}": "" for number in range(5000)})
    assert len(form.errors) == 1
    assert " and 4995 more" in form.errors[0]


def test_what_has_no_field_is_passed_on() -> None:
    assert form_of(HUNT, {"seed": "7", "url": "https://example.org/x"}).passed_on == {
        "seed": "7",
        "url": "https://example.org/x",
    }


@given(st.dictionaries(st.sampled_from(["copies", "header_text", "seed", "url", "", "x", "number_order"]), st.text()))
def test_any_text_gives_a_form(values: dict[str, Any]) -> None:
    form = form_of(HUNT, values)
    assert checked(HUNT, dict(parse_qsl(canonical(form.request)))) == form.request
