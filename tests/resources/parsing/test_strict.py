"""Strict parsing: values become a request, or an error that names the field and the allowed values."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from resources.parsing import MAX_COPIES, RequestError, parse_request
from resources.parsing.reader import HEADER_CHARACTERS, NAME_CHARACTERS, SEED_CHARACTERS
from resources.registry import CATALOGUE

VALID: dict[str, Any] = {
    "resource_slug": "binary-cards",
    "resource_name": "Binary Cards",
    "resource_view": "binary_cards",
    "url": "https://example.org/resources/binary-cards",
    "header_text": "Room Four",
    "copies": 1,
    "paper_size": "a4",
    "display_numbers": True,
    "black_back": False,
}


def parsed(**changes: Any) -> Any:
    values = {name: value for name, value in (VALID | changes).items() if value is not ...}
    return parse_request(values, default_seed="task-1")


def test_the_file_name_names_the_variant() -> None:
    assert CATALOGUE["binary_cards"].filename(parsed()) == "Binary Cards (with numbers - without black back - a4).pdf"


def test_booleans_and_numbers_are_accepted_as_text() -> None:
    assert parsed(display_numbers="yes", black_back="no", copies="3") == parsed(copies=3)
    assert parsed(display_numbers="True", black_back="FALSE").choices == parsed().choices


def test_optional_keys_have_defaults() -> None:
    request = parsed(header_text=..., copies=..., url=..., resource_name=..., resource_slug=...)
    assert (request.header_text, request.copies, request.name, request.url) == ("", 1, "Binary Cards", "")
    assert request.seed == "task-1"


def test_requests_and_errors_can_be_pickled() -> None:
    request = parsed()
    assert pickle.loads(pickle.dumps(request)) == request
    error = RequestError("invalid_option", "copies is 0", "copies")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.code, str(copy), copy.field) == (error.code, str(error), error.field)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"resource_view": "nothing"}, "unknown_resource", "resource_view is 'nothing'; allowed: arrows, "),
        ({"resource_view": 7}, "unknown_resource", "resource_view is 7"),
        ({"resource_view": ...}, "missing_option", "resource_view is missing"),
        ({"paper_size": ...}, "missing_option", "paper_size is missing; allowed: a4, letter"),
        ({"display_numbers": ...}, "missing_option", "display_numbers is missing; allowed: yes, no"),
        ({"display_numbers": "maybe"}, "invalid_option", "display_numbers is 'maybe'; allowed: yes, no"),
        ({"display_numbers": 1}, "invalid_option", "display_numbers is 1"),
        ({"paper_size": "a3"}, "invalid_option", "paper_size is 'a3'; allowed: a4, letter"),
        ({"copies": 0}, "invalid_option", "copies is 0; allowed: a whole number from 1 to 50"),
        ({"copies": 51}, "invalid_option", "copies is 51"),
        ({"copies": True}, "invalid_option", "copies is True"),
        ({"copies": 1.5}, "invalid_option", "copies is 1.5"),
        ({"copies": "٣"}, "invalid_option", "copies is"),
        ({"header_text": "x" * 10_000_000}, "invalid_option", "allowed: text of at most 200 characters"),
        ({"header_text": "a\x00b"}, "invalid_option", "U+0000"),
        ({"header_text": "a\u202eb"}, "invalid_option", "U+202E"),
        ({"header_text": "snow ☃"}, "invalid_option", "☃ (U+2603)"),
        ({"header_text": {"a": 1}}, "invalid_option", "header_text is {'a': 1}"),
        ({"resource_name": "../../etc/passwd"}, "invalid_option", "a name without /"),
        ({"resource_name": "a\\b"}, "invalid_option", "a name without /"),
        ({"resource_name": "..."}, "invalid_option", "a name without /"),
        ({"url": "javascript:alert(1)"}, "invalid_option", "an http or https address"),
        ({"url": "https://example.org/ä b"}, "invalid_option", "an http or https address"),
        ({"seed": []}, "invalid_option", "seed is []"),
        ({"seed": 10**5000}, "invalid_option", "at most 200 bits"),
        ({"language": "tlh"}, "invalid_option", "language is 'tlh'; allowed: en"),
        ({"colour": "red"}, "unknown_option", "unknown option 'colour'; options of binary_cards: display_numbers"),
        ({"x" * 1000: 1}, "unknown_option", "…"),
    ],
)
def test_an_error_names_the_field_and_the_allowed_values(changes: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        parsed(**changes)
    assert caught.value.code == code
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("language", ["en", "en-NZ", "EN", ""])
def test_every_variant_of_english_is_accepted(language: str) -> None:
    assert parsed(language=language).language == "en"


def test_white_space_is_collapsed() -> None:
    assert parsed(header_text="  Room\n\tFour ").header_text == "Room Four"


def test_decomposed_text_is_composed() -> None:
    """Text typed on macOS arrives decomposed, and a mark of its own would be drawn over the next letter."""
    assert parsed(header_text="O\u0304ta\u0304huhu").header_text == "Ōtāhuhu"


def test_null_means_missing() -> None:
    assert parsed(copies=None, header_text=None, ink_saver=None) == parsed(header_text=...)


@pytest.mark.parametrize("header", ["x\u0302", "q\u0308", "✓", "🎈", "漢字"])
def test_a_person_learns_at_once_which_character_can_not_be_drawn(header: str) -> None:
    with pytest.raises(RequestError, match=f"header_text is .* without .*U\\+{ord(header[-1]):04X}") as caught:
        parsed(header_text=header if header != "漢字" else "字")
    assert caught.value.field == "header_text"


@pytest.mark.parametrize("name", ["Room Four", "Room Four.pdf", "数字.pdf", "a" * 251])
def test_a_file_name_can_be_chosen(name: str) -> None:
    request = parsed(filename=name)
    assert CATALOGUE[request.view].filename(request) == f"{name.removesuffix('.pdf')}.pdf"


@pytest.mark.parametrize("name", ["a/b", "../x", ".hidden", "con", "a" * 252, "é" * 126, "a\nb", 7, "  ", "x?"])
def test_a_file_name_that_would_have_to_be_changed_is_rejected(name: object) -> None:
    with pytest.raises(RequestError, match="filename is ") as caught:
        parsed(filename=name)
    assert caught.value.field == "filename"


LIMITS: list[tuple[str, Any, Any]] = [
    ("url", "http://x/" + "y" * 491, "http://x/" + "y" * 492),  # 500 characters
    ("header_text", "h" * HEADER_CHARACTERS, "h" * (HEADER_CHARACTERS + 1)),
    ("resource_name", "n" * NAME_CHARACTERS, "n" * (NAME_CHARACTERS + 1)),
    ("seed", "s" * SEED_CHARACTERS, "s" * (SEED_CHARACTERS + 1)),
    ("seed", 2**SEED_CHARACTERS - 1, 2**SEED_CHARACTERS),
    ("copies", MAX_COPIES, MAX_COPIES + 1),
    ("copies", 1, 0),
    ("filename", "f" * 251 + ".pdf", "f" * 252 + ".pdf"),
]


@pytest.mark.parametrize(("field", "allowed", "refused"), LIMITS, ids=[f"{limit[0]}" for limit in LIMITS])
def test_each_limit_is_allowed_and_one_more_is_not(field: str, allowed: Any, refused: Any) -> None:
    parsed(**{field: allowed})
    with pytest.raises(RequestError) as raised:
        parsed(**{field: refused})
    assert raised.value.field == field
