"""The content of the resources is correct: numbers, orders and counts."""

from __future__ import annotations

import io
import itertools
import math
import random
import re
from collections.abc import Sequence

import pikepdf
import pypdfium2
import pytest

from render_trio.rendering.pipeline import produce
from resources.catalogue import (
    binary_cards,
    run_length_encoding,
    searching_cards,
    sorting_network,
    train_stations,
)
from resources.catalogue.barcode_checksum_poster.check_digit import calculate
from resources.catalogue.number_hunt import sheet as number_hunt
from resources.catalogue.searching_cards import search_steps
from resources.content import assets, pixels
from resources.drawing import fonts
from resources.drawing.paper import MARGIN_LEFT, MARGIN_TOP, POINTS_PER_MM
from resources.parsing import RequestError
from tests.requests import document_for, request_for


def sort_by(wiring: sorting_network.Wiring, numbers: list[int]) -> list[int]:
    """Return the output of the network for these inputs, by following its lines."""
    waiting: dict[sorting_network.Place, list[int]] = {}
    out: dict[int, int] = {}
    for i, number in enumerate(numbers):
        waiting.setdefault((0, i // 2), []).append(number)
    for place in sorted(wiring):
        for target, number in zip(wiring[place], sorted(waiting[place]), strict=True):
            if isinstance(target, int):
                out[target] = number
            else:
                waiting.setdefault(target, []).append(number)
    return [out[i] for i in range(len(numbers))]


def squares_of(lengths: Sequence[int]) -> list[bool]:
    """Return the row that the run lengths encode: for each square, whether it is black."""
    return [bool(index % 2) for index, length in enumerate(lengths) for _ in range(length)]


def text_of(view: str, **values: object) -> list[str]:
    """Return the text of each page."""
    pdf = pypdfium2.PdfDocument(produce(request_for(view, **values), lambda: None).pdf)
    texts = [page.get_textpage().get_text_range() for page in pdf]
    pdf.close()
    return texts


def numbers_of(text: str) -> list[int]:
    """Return the numbers on a page, without the number of the ruler in the footer."""
    return [int(word) for word in re.findall(r"(?<!\S)\d+(?!\S)", text.replace("50 mm", ""))]


def test_the_network_sorts_every_order() -> None:
    orders = list(itertools.permutations([1, 2, 3, 4, 5, 6]))
    assert len(orders) == 720
    for order in orders:
        assert sort_by(sorting_network.WIRING, list(order)) == [1, 2, 3, 4, 5, 6]


def test_a_network_with_a_crossed_wire_does_not_sort() -> None:
    wiring = sorting_network.WIRING | {(4, 0): (3, 2)}
    assert sort_by(wiring, [1, 2, 3, 4, 5, 6]) != [1, 2, 3, 4, 5, 6]


def test_binary_cards_have_the_number_of_dots_that_they_show() -> None:
    document = produce(request_for("binary_cards"), lambda: None)
    with pikepdf.open(io.BytesIO(document.pdf)) as pdf:
        for page, (columns, rows), text in zip(pdf.pages, binary_cards.GRIDS, text_of("binary_cards"), strict=True):
            alt = f"{columns * rows} dots".encode("utf-16-be").hex()
            content = page.Contents.read_bytes().decode()
            inside = content.split(alt)[1].split("EMC")[0]
            # A dot is a short line with round caps.
            assert len(re.findall(r"^\S+ \S+ m \S+ \S+ l$", inside, re.MULTILINE)) == columns * rows
            assert str(columns * rows) in text
    assert [columns * rows for columns, rows in binary_cards.GRIDS] == [1, 2, 4, 8, 16, 32, 64, 128]


@pytest.mark.parametrize(("level", "lowest", "highest"), [("easy", 1, 9), ("medium", 10, 99), ("hard", 100, 999)])
def test_the_inputs_of_the_network_are_in_their_range(level: str, lowest: int, highest: int) -> None:
    for seed in range(20):
        numbers = numbers_of(text_of("sorting_network", prefilled_values=level, seed=seed)[0])
        assert len(set(numbers)) == 6
        assert all(lowest <= number <= highest for number in numbers)


@pytest.mark.parametrize("maximum", [99, 999])
def test_searching_cards_are_sorted(maximum: int) -> None:
    pages = text_of("searching_cards", number_cards=31, max_number=maximum)
    numbers = [number for page in pages[:-1] for number in numbers_of(page)]
    assert len(numbers) == 31
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= maximum


@pytest.mark.parametrize("count", [15, 31])
def test_the_helper_sheet_marks_the_steps_of_a_binary_search(count: int) -> None:
    steps = search_steps(count)
    assert [position for position, step in steps.items() if step == 1] == [count // 2]
    assert sorted(step for step in steps.values()) == [1, 2, 2, 3, 3, 3, 3]


def checksum_of(code: str) -> int:
    """Return the check digit as the standard defines it: weights 3 and 1 in turn, from the right."""
    total = sum(int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(code)))
    return -total % 10


def test_check_digits_are_correct() -> None:
    assert calculate("75318295342").check_digit == 7
    assert calculate("940054700987").check_digit == 9
    source = random.Random(1)
    for _ in range(1000):
        code = "".join(source.choices("0123456789", k=source.choice((11, 12))))
        assert calculate(code).check_digit == checksum_of(code)


def test_a_custom_barcode_must_have_the_right_length() -> None:
    assert "1 + 1 + 1 + 1 + 1 + 1 = 6" in text_of("barcode_checksum_poster", barcode="1" * 11)[0]
    with pytest.raises(RequestError, match="11 digits \\(the check digit is the 12th\\)"):
        request_for("barcode_checksum_poster", barcode="1" * 12)
    with pytest.raises(RequestError, match="barcode is '12'; allowed: 11 or 12 digits"):
        request_for("barcode_checksum_poster", barcode="12")


@pytest.mark.parametrize("name", sorted(path.stem for path in (assets.static_directory() / "pixels").glob("*.txt")))
def test_run_lengths_decode_to_the_picture(name: str) -> None:
    picture = pixels.load(name)
    for row in picture.rows:
        squares = [letter in picture.black for letter in row]
        lengths = pixels.run_lengths(squares)
        assert squares_of(lengths) == squares
        assert sum(lengths) == len(row)
        assert all(length > 0 for length in lengths[1:])


@pytest.mark.parametrize(("level", "highest"), [("easy", 99), ("medium", 999), ("hard", 9999)])
def test_the_numbers_of_number_hunt_have_their_range_and_order(level: str, highest: int) -> None:
    for order in ("sorted", "unsorted"):
        request = request_for("number_hunt", prefilled_values=level, number_order=order, seed=order)
        with fonts.POOL.borrowed() as font_set:
            drawn = number_hunt.numbers(document_for(request, font_set), request.choices)
        numbers = [int(number) for number in drawn]
        assert len(set(numbers)) == number_hunt.COUNT == 31
        assert all(0 <= number <= highest for number in numbers)
        assert (numbers == sorted(numbers)) == (order == "sorted")


def test_only_the_teachers_version_of_the_alphabet_shows_binary() -> None:
    teacher = text_of("binary_to_alphabet", worksheet_version="teacher")[0]
    student = text_of("binary_to_alphabet", worksheet_version="student")[0]
    for value in range(27):
        assert f"{value:05b}" in teacher
        assert f"{value:05b}" not in student


@pytest.mark.parametrize("tracks", ["circular", "twisted"])
def test_stations_do_not_overlap_each_other_or_the_closed_track(tracks: str) -> None:
    line = train_stations.line_of(tracks)
    places = train_stations.places_of(line)
    assert len(places) == 10
    assert math.dist(line[0], line[-1]) < 0.01
    assert max(math.dist(a, b) for a, b in itertools.pairwise(line)) < train_stations.STATION[0] / 4
    for place in places:
        assert 0 <= place.x < place.right <= train_stations.WIDTH
        assert 0 <= place.y < place.bottom <= train_stations.HEIGHT
        assert not any(place.x < x < place.right and place.y < y < place.bottom for x, y in line)
    for one, other in itertools.combinations(places, 2):
        apart = one.right <= other.x or other.right <= one.x or one.bottom <= other.y or other.bottom <= one.y
        assert apart, "two stations overlap"


def test_no_two_searching_cards_look_alike() -> None:
    figures = [searching_cards.figure_of(index) for index in range(31)]
    assert len(set(figures)) == 31


@pytest.mark.parametrize("ink_saver", [False, True])
def test_the_letter_of_the_worked_example_is_visible_in_its_grid(ink_saver: bool) -> None:
    request = request_for("run_length_encoding", worksheet_type="teacher", ink_saver=ink_saver)
    pdf = pypdfium2.PdfDocument(produce(request, lambda: None).pdf)
    picture = pdf[0].render(scale=2, grayscale=True).to_pil()
    pdf.close()
    letter = pixels.load("rle-letter")
    cells = run_length_encoding.LETTER.moved(MARGIN_LEFT, MARGIN_TOP).grid(len(letter.rows[0]), len(letter.rows))
    for square, cell in zip("".join(letter.rows), cells, strict=True):
        inner = cell.inset(1)
        corners = (inner.x, inner.y, inner.right, inner.bottom)
        histogram = picture.crop(tuple(round(2 * POINTS_PER_MM * at) for at in corners)).histogram()
        inked = sum(histogram[:128]) / sum(histogram)
        assert (inked > 0.1) == (square in letter.black)
