"""Tolerant parsing: a producer of any version gets a document, and a warning for whatever has no effect."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import rendering
from resources.parsing import COMMON_KEYS, RequestError, parse_request, read_task
from resources.registry import CATALOGUE
from resources.request import Request, RequestWarning

TASK: dict[str, Any] = {"resource_view": "grid", "paper_size": "a4"}


def read(**changes: object) -> tuple[Request, list[tuple[str, str]]]:
    """Return the request of a task for the grid, and the codes and fields of the warnings."""
    request, warnings = read_task(TASK | changes, default_seed="one")
    return request, [(warning.code, warning.field) for warning in warnings]


def drawn(**changes: object) -> tuple[RequestWarning, ...]:
    """Return the warnings of the drawing."""
    return rendering.render(read(**changes)[0], lambda: None).warnings


@pytest.mark.parametrize(
    "url",
    ["resources/grid.html", "/en/resources/grid", "", None, "пример.рф/ресурсы", "mailto:a@b", "x" * 2000, 7, 1.5],
)
def test_any_address_is_accepted_without_a_warning(url: object) -> None:
    request, warnings = read(url=url)
    assert warnings == []
    assert request.url == ("" if url is None else str(url))


def test_an_address_that_is_not_text_is_ignored_with_a_warning() -> None:
    request, warnings = read(url={"href": "https://example.org"})
    assert (request.url, warnings) == ("", [("ignored", "url")])


def test_null_means_missing() -> None:
    nulls = dict.fromkeys(COMMON_KEYS - {"resource_view", "paper_size"})
    assert read(**nulls) == read()
    with pytest.raises(RequestError, match="paper_size is missing"):
        read(paper_size=None)


def test_keys_of_other_versions_are_ignored_with_a_warning() -> None:
    request, warnings = read(template="grid.html", css=None, border="wide")
    assert request == read()[0]
    assert warnings == [("unknown_option", "border"), ("unknown_option", "template")]


def test_very_many_unknown_keys_have_one_warning_for_the_rest() -> None:
    _, warnings = read(**{f"key_{number:03}": 1 for number in range(500)})
    assert len(warnings) == 11
    assert warnings[-1] == ("unknown_option", "")


def test_the_name_of_the_drawing_file_is_a_view() -> None:
    assert read(resource_view="grid.py")[0] == read()[0]
    assert read(resource_view="binary-cards-small.py", **SMALL)[0].view == "binary_cards_small"


SMALL = {"number_bits": "4", "dot_counts": "yes", "black_back": "no"}


def test_numbers_are_text_where_text_is_expected() -> None:
    assert read(header_text=4, seed=12.5)[0].header_text == "4"
    assert read(seed=12.5)[0].seed == "12.5"


def test_whole_numbers_may_have_a_decimal_point() -> None:
    assert read(copies=2.0)[0].copies == 2
    with pytest.raises(RequestError, match=r"copies is 2\.5"):
        read(copies=2.5)


def test_a_long_header_is_cut_off_with_a_warning() -> None:
    request, warnings = read(header_text="long " * 2000)
    assert len(request.header_text) <= 200
    assert request.header_text.endswith("…")
    assert warnings == [("truncated", "header_text")]


def test_a_long_seed_is_a_seed() -> None:
    assert read(seed="x" * 5000)[0].seed != read(seed="x" * 4999)[0].seed
    assert len(read(seed="x" * 5000)[0].seed) <= 200


def test_a_path_in_a_name_is_only_a_name() -> None:
    request, warnings = read(resource_name="../../etc/cron.d/x")
    assert warnings == []
    assert CATALOGUE["grid"].filename(request) == "etc cron.d x (a4).pdf"


@pytest.mark.parametrize("key", ["header_text", "resource_name", "filename", "url"])
def test_control_characters_and_surrogates_are_replaced_with_a_warning(key: str) -> None:
    request, warnings = read(**{key: "a\x00b\ud800c\uffff"})
    assert warnings == [("undrawable", key)]
    assert "a\ufffdb\ufffdc\ufffd" in dataclasses.astuple(request)


@pytest.mark.parametrize(
    "changes",
    [{"copies": 0}, {"copies": []}, {"paper_size": "a5"}, {"language": "xx"}, {"language": 7}, {"ink_saver": "maybe"}],
)
def test_a_wrong_value_of_a_known_option_is_an_error(changes: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=f"{next(iter(changes))} is .*; allowed: "):
        read(**changes)


def test_a_missing_required_option_is_an_error() -> None:
    with pytest.raises(RequestError, match="display_numbers is missing; allowed: yes, no"):
        read_task({"resource_view": "binary_cards", "paper_size": "a4"}, default_seed="")


def test_a_valid_task_means_the_same_to_both_readers() -> None:
    values = TASK | {"header_text": "Room Four", "url": "https://example.org", "seed": 3, "copies": "2"}
    assert read_task(values, default_seed="x") == (parse_request(values, default_seed="x"), ())


def test_the_task_values_of_a_request_describe_the_same_request() -> None:
    request, _ = read(header_text="Ünï", url="a b", seed="s", copies=3, filename="mine", resource_name="My grid")
    assert read_task(request.task_values(), default_seed="another") == (request, ())


def test_characters_without_a_glyph_are_replaced_and_listed() -> None:
    (warning,) = drawn(header_text="a✓b漢")
    assert (warning.code, warning.field) == ("undrawable", "header_text")
    assert "U+2713, U+6F22" in warning.message


def test_letters_that_should_be_joined_are_listed() -> None:
    assert [(warning.code, warning.field) for warning in drawn(header_text="विद्यालय")] == [
        ("not_shaped", "header_text")
    ]


def test_invisible_characters_are_left_out_silently() -> None:
    assert drawn(header_text="a\u00adb\u200dc\u200ed") == ()


@pytest.mark.parametrize(("field", "text"), [("header_text", "W" * 200), ("url", "https://example.org/" + "m" * 500)])
def test_a_text_that_is_cut_off_on_the_page_is_listed(field: str, text: str) -> None:
    assert [(warning.code, warning.field) for warning in drawn(**{field: text})] == [("truncated", field)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KNOWN = {*COMMON_KEYS, *(option.name for option in CATALOGUE["grid"].options)}


@given(
    url=JSON | st.from_regex(r"https?://.*"),
    texts=st.dictionaries(st.sampled_from(["header_text", "resource_name", "filename", "seed", "resource_slug"]), JSON),
    unknown=st.dictionaries(st.text().filter(lambda name: name not in KNOWN), JSON, max_size=15),
)
def test_any_address_text_and_unknown_key_yields_a_document(
    url: object, texts: dict[str, object], unknown: dict[str, object]
) -> None:
    request, warnings = read_task({**unknown, **TASK, **texts, "url": url}, default_seed="one")
    result = rendering.render(request, lambda: None)
    assert result.pages == 1
    assert len(result.filename.encode()) <= 255
    ignored = {warning.field for warning in warnings if warning.code == "unknown_option"}
    assert len(ignored) >= min(len({name for name, value in unknown.items() if value is not None}), 1)


@pytest.mark.parametrize(("field", "limit"), [("url", 2000), ("filename", 1000)])
def test_a_text_is_cut_off_only_beyond_its_limit(field: str, limit: int) -> None:
    _, warnings = read(**{field: "x" * limit})
    assert ("truncated", field) not in warnings
    request, warnings = read(**{field: "x" * (limit + 1)})
    assert ("truncated", field) in warnings
    if field == "url":
        assert read(url="x" * limit)[0].url == "x" * limit
        assert request.url == "x" * (limit - 1) + "…"
