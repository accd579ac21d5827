"""Query strings and requests convert into each other; a form shows each error next to its field."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from render_trio.web.documents.form import form_of
from render_trio.web.documents.query_string import DEFAULT_SEED, canonical, given_values, parse_values
from resources.options import Choice, Digits, Flag
from resources.parsing import RequestError
from resources.registry import CATALOGUE
from tests.requests import combinations

HUNT = CATALOGUE["number_hunt"]


@pytest.mark.parametrize("view", CATALOGUE)
def test_the_shortest_query_yields_the_same_request(view: str) -> None:
    resource = CATALOGUE[view]
    for chosen in combinations(resource):
        values = {name: ("yes" if v else "no") if isinstance(v, bool) else str(v) for name, v in chosen.items()}
        request = parse_values(resource, {**values, "header_text": "Room & Board", "paper_size": "letter", "seed": "7"})
        assert parse_values(resource, dict(parse_qsl(canonical(request)))) == request


def test_defaults_need_no_query() -> None:
    for resource in CATALOGUE.values():
        assert canonical(parse_values(resource, {})) == ""
    assert canonical(parse_values(HUNT, {"copies": "1", "seed": DEFAULT_SEED, "paper_size": "A4"})) == ""
    assert canonical(parse_values(HUNT, {"copies": "3", "resource_name": "Ours"})) == "copies=3&resource_name=Ours"


def test_a_repeated_key_or_one_that_the_path_replaces_is_an_error() -> None:
    with pytest.raises(RequestError, match="copies is given 2 times; allowed: once"):
        given_values(MultiDict([("copies", "1"), ("copies", "2")]))
    with pytest.raises(RequestError, match="resource_view is not allowed: the path"):
        given_values(MultiDict([("resource_view", "grid")]))
    assert given_values(MultiDict([("v", "x"), ("seed", "3")]), service_keys=("v",)) == {"seed": "3"}


@pytest.mark.parametrize("view", CATALOGUE)
def test_a_form_has_a_field_for_each_option_with_its_default(view: str) -> None:
    resource = CATALOGUE[view]
    form = form_of(resource, {})
    assert form.valid
    assert [field.name for field in form.own] == [option.name for option in resource.options]
    assert [field.name for field in form.common] == ["header_text", "paper_size", "copies", "ink_saver"]
    for option, field in zip(resource.options, form.own, strict=True):
        assert field.value == field.default
        if isinstance(option, Choice | Flag):
            assert field.kind in ("radios", "menu")
            assert field.value in [value for value, _ in field.choices]
        elif isinstance(option, Digits):
            assert field.kind == "digits"


def test_each_invalid_value_is_kept_for_correction_with_an_error_next_to_its_field() -> None:
    form = form_of(HUNT, {"copies": "99", "number_order": "upwards", "prefilled_values": "hard", "zzz": "1"})
    wrong = {field.name: (field.value, field.error) for field in (*form.own, *form.common) if field.error}
    assert wrong == {
        "copies": ("99", "Please use a whole number from 1 to 50."),
        "number_order": ("upwards", "Please choose “Sorted” or “Unsorted”."),
    }
    assert form.errors == ("“zzz” is not an option of Number Hunt",)
    assert not form.valid
    # The valid values are kept.
    assert canonical(form.request) == "prefilled_values=hard"


def test_an_invalid_combination_is_an_error_of_one_of_its_fields() -> None:
    form = form_of(CATALOGUE["barcode_checksum_poster"], {"barcode": "123456789012"})
    errors = {field.name: field.error for field in form.own if field.error}
    assert errors == {"barcode": "Please use 11 digits (the check digit is the 12th), or nothing."}


def test_thousands_of_unknown_keys_yield_one_error() -> None:
    form = form_of(HUNT, {f"k{number}": "" for number in range(5000)})
    assert len(form.errors) == 1
    assert " and 4995 others" in form.errors[0]


def test_values_without_a_field_are_hidden_fields() -> None:
    assert form_of(HUNT, {"seed": "7", "url": "https://example.org/x"}).hidden == {
        "seed": "7",
        "url": "https://example.org/x",
    }


@given(st.dictionaries(st.sampled_from(["copies", "header_text", "seed", "url", "", "x", "number_order"]), st.text()))
def test_any_values_yield_a_form(values: dict[str, Any]) -> None:
    form = form_of(HUNT, values)
    assert parse_values(HUNT, dict(parse_qsl(canonical(form.request)))) == form.request
