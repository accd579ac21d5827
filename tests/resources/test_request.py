"""A request's own rules: safe file names, and the address that its url links to."""

from __future__ import annotations

import dataclasses
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resources.parsing import parse_request
from resources.registry import CATALOGUE
from resources.request import DEVICE_NAMES, FILENAME_BYTES, Request, safe_filename


def request(**changes: str) -> Request:
    parsed = parse_request({"resource_view": "binary_cards"}, default_seed="", fill_defaults=True)
    return dataclasses.replace(parsed, **changes)  # type: ignore[arg-type]


def filename(**changes: str) -> str:
    return CATALOGUE["binary_cards"].filename(request(**changes))


def test_characters_that_file_systems_reject_are_removed() -> None:
    assert filename(name='What? "Cards": <1*2>') == "What   Cards    1 2  (with numbers - without black back - a4).pdf"


@pytest.mark.parametrize("letter", ["a", "é", "विद्यालय", "🎈"])
def test_a_long_name_is_cut_so_that_the_variant_remains(letter: str) -> None:
    """File systems allow 255 bytes; 100 Devanagari letters have 300."""
    name = filename(name=letter * 100)
    assert len(name.encode()) <= FILENAME_BYTES
    assert name.startswith(letter[0])
    assert name.endswith(" (with numbers - without black back - a4).pdf")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("../../etc/passwd", "etc passwd.pdf"),
        ("Cards.PDF", "Cards.pdf"),
        ("-rf", "rf.pdf"),
        ("~root", "root.pdf"),
        ("nul.txt", "_nul.txt.pdf"),
        ("a\u202egpj.exe", "agpj.exe.pdf"),
        ("trailing. . ", "trailing.pdf"),
        ("O\u0304", "Ō.pdf"),
        (" . ", ""),
        ("", ""),
    ],
)
def test_any_text_becomes_a_harmless_file_name(text: str, expected: str) -> None:
    assert safe_filename(text) == expected


@example("", "-")
@given(st.text(), st.text(max_size=300))
def test_no_text_makes_a_file_name_that_a_file_system_rejects(text: str, keep: str) -> None:
    name = safe_filename(text, keep=keep)
    assert len(name.encode()) <= FILENAME_BYTES
    assert name == "" or name.endswith(".pdf")
    assert not set(name) & set('/\\:*?"<>|')
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in name)
    assert name[:1] not in (".", "-", " ", "~")
    assert not DEVICE_NAMES.match(name)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
        ("HTTP://example.org", "HTTP://example.org"),
        ("https://example.org/ēnā ‘x’", "https://example.org/%C4%93n%C4%81%20%E2%80%98x%E2%80%99"),
        ("https://example.org/%E2%82%AC", "https://example.org/%E2%82%AC"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ('https://example.org/(a)\\"<>', "https://example.org/(a)%5C%22%3C%3E"),
        ("resources/binary-cards.html", ""),
        ("/en/resources/", ""),
        ("example.org/resources", ""),
        ("javascript:alert(1)", ""),
        ("https://", ""),
        ("https:///etc", ""),
        ("", ""),
    ],
)
def test_only_http_addresses_become_links(url: str, link: str) -> None:
    assert request(url=url).link == link


@given(st.text())
def test_every_link_is_ascii_without_spaces(text: str) -> None:
    link = request(url=f"https://{text}").link
    assert link == "" or (link.isascii() and link.isprintable() and " " not in link)
