"""Painting by the codes and lists of pixel painter produces the picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resources.catalogue.pixel_painter.pages import NAMES
from resources.catalogue.pixel_painter.sheets import LENGTHS_SIZE, lengths_of, page_label, places_of
from resources.content import assets, pixels
from resources.drawing import fonts
from resources.registry import CATALOGUE
from tests.requests import combinations, request_for
from tests.resources.catalogue.test_semantics import squares_of, text_of

EXPECTED_PAGES = {
    "star": 1, "teacup": 1, "cat": 1, "fish": 6, "butterfly": 6, "tree": 6, "balloon": 8, "boat": 9, "parrots": 32,
}  # fmt: skip
BITS = {"black-white": 1, "greyscale": 2, "colour": 5}


def rows_of(picture: pixels.PixelPicture, method: str, column: int, row: int) -> list[list[str]]:
    return [line[column * 15 : column * 15 + 15] for line in picture.in_bits(method)[row * 20 : row * 20 + 20]]


@pytest.mark.parametrize("image", EXPECTED_PAGES)
def test_a_picture_fills_its_pages_and_has_a_name(image: str) -> None:
    picture = pixels.load(image)
    across, down = picture.pages
    assert across * down == EXPECTED_PAGES[image]
    assert (len(picture.rows[0]), len(picture.rows)) == (across * 15, down * 20)
    assert set(NAMES) == set(EXPECTED_PAGES)
    assert dict(picture.greys)["#"] == "00"
    assert "#" in picture.black


@pytest.mark.parametrize("method", BITS)
@pytest.mark.parametrize("image", ["cat", "fish", "balloon"])
def test_the_pages_show_the_codes_of_the_picture(method: str, image: str) -> None:
    picture = pixels.load(image)
    pages = text_of("pixel_painter", method=method, image=image)
    for (column, row), text in zip(places_of(picture), pages[1:], strict=False):
        assert re.findall(r"(?<!\S)[A-Z]\d+(?!\S)", text) == [page_label(column, row)]
        codes = re.findall(rf"(?<!\S)[01]{{{BITS[method]}}}(?!\S)", text)
        assert codes == [code for line in rows_of(picture, method, column, row) for code in line]


def test_each_colour_has_its_code() -> None:
    picture = pixels.load("parrots")
    letters = "".join(picture.rows)
    codes = [code for line in picture.in_bits("colour") for code in line]
    named = {code.bits: code.name for code in pixels.CODES["colour"]}
    assert {named[code] for letter, code in zip(letters, codes, strict=True) if letter == "r"} == {"red"}
    assert named == {
        "11111": "white", "00000": "black", "11000": "red", "11100": "orange", "11110": "yellow",
        "00110": "green", "00001": "blue", "10001": "purple",
    }  # fmt: skip


@pytest.mark.parametrize("image", EXPECTED_PAGES)
def test_the_code_lists_decode_to_the_picture(image: str) -> None:
    picture = pixels.load(image)
    across, down = picture.pages
    sheets = text_of("pixel_painter", method="run-length-encoding", image=image)[1 + across * down :]
    printed = re.findall(r"(?<!\S)\d+(?:, \d+)+(?!\S)", " ".join(sheets))
    expected = [", ".join(map(str, runs)) for place in places_of(picture) for runs in lengths_of(picture, *place)]
    several = [line for line in expected if "," in line]
    assert printed == several * (4 if across * down == 1 else 1)
    for (column, row), lines in zip(places_of(picture), _in_pages(expected), strict=True):
        decoded = [squares_of([int(length) for length in line.split(", ")]) for line in lines]
        painted = [[letter in picture.black for letter in line] for line in picture.page(column, row)]
        assert decoded == painted
    assert all(fonts.width("body", line) * LENGTHS_SIZE < 78 for line in expected)


def _in_pages(lines: list[str]) -> list[list[str]]:
    return [lines[first : first + 20] for first in range(0, len(lines), 20)]


def test_a_page_is_labelled_by_row_and_column() -> None:
    assert [page_label(*place) for place in places_of(pixels.load("fish"))] == ["A1", "A2", "A3", "B1", "B2", "B3"]
    assert [page_label(*place) for place in places_of(pixels.load("parrots"))][-1] == "D8"


def test_there_is_a_legend_for_every_page() -> None:
    text = text_of("pixel_painter", method="colour", image="boat")[-1]
    assert text.count("10001") == text.count("purple") == 9


def test_the_page_count_includes_the_reference_and_the_sheets() -> None:
    counted = {
        (chosen["method"], chosen["image"]): CATALOGUE["pixel_painter"].page_count(
            request_for("pixel_painter", **chosen)
        )
        for chosen in combinations(CATALOGUE["pixel_painter"])
    }
    assert counted["colour", "star"] == 1 + 1 + 1
    assert counted["black-white", "fish"] == 1 + 6 + 1
    assert counted["run-length-encoding", "boat"] == 1 + 9 + 3
    assert counted["greyscale", "parrots"] == 1 + 32 + 4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty pixels/ folder of a new static directory."""
    monkeypatch.setattr(assets, "static_directory", lambda: tmp_path)
    (tmp_path / "pixels").mkdir()
    return tmp_path / "pixels"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pages: 1x1\n\n" + ("." * 15 + "\n") * 19, "15 by 19 squares; pages 1x1 need 15 by 20"),
        ("pages: many\n\n" + ("." * 15 + "\n") * 20, "pages is 'many'; allowed: pages across x down"),
        ("black: #\n\n..#\n.#\n", "rows must have the same length"),
        ("black: #\n\n..#\n.z.\n", "of the letters"),
        ("", "rows must have the same length"),
    ],
)
def test_an_invalid_picture_file_is_reported_with_the_reason(folder: Path, text: str, message: str) -> None:
    (folder / "mine.txt").write_text(text, encoding="utf-8")
    with pytest.raises(pixels.PixelError, match=message):
        pixels.load("mine")


def test_a_missing_picture_is_named(folder: Path) -> None:
    for name in ("unknown", "../pixels/fish"):
        with pytest.raises(pixels.PixelError, match=re.escape(name)):
            pixels.load(name)
