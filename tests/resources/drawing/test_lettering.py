"""Typesetting: sizes that fit, truncation, line breaks, and the errors for text that does not fit."""

from __future__ import annotations

import pytest

from resources.drawing import fonts, lettering
from resources.drawing.fonts import MissingCharacterError
from resources.drawing.lettering import MIN_TEXT_SIZE, TextDoesNotFitError

TEXT = "one line of text"
WIDTH = fonts.width("body", TEXT)  # em


def test_a_text_that_fits_keeps_its_size() -> None:
    assert lettering.fitted_size("body", TEXT, 4, 4 * WIDTH + 1, 4) == 4


def test_a_text_that_is_too_wide_or_too_high_is_made_smaller() -> None:
    assert lettering.fitted_size("body", TEXT, 4, 3 * WIDTH) == pytest.approx(3)
    assert lettering.fitted_size("body", TEXT, 4, 100, 2 * fonts.cap_height("body")) == pytest.approx(2)


def test_the_error_for_a_text_that_does_not_fit_names_the_text_and_the_box() -> None:
    with pytest.raises(TextDoesNotFitError, match=r"'one line of text' does not fit into 5\.0 mm; make the box larger"):
        lettering.fitted_size("body", TEXT, MIN_TEXT_SIZE, 5)
    with pytest.raises(TextDoesNotFitError, match=r"'one line of text' does not fit into 90\.0 × 0\.5 mm"):
        lettering.fitted_size("body", TEXT, 4, 90, 0.5)


def test_a_truncated_text_ends_with_an_ellipsis_and_fits() -> None:
    assert lettering.truncated("body", TEXT, 4, 4 * WIDTH + 1) == TEXT
    truncated = lettering.truncated("body", TEXT, 4, 4 * WIDTH / 2)
    assert truncated.endswith("…")
    assert TEXT.startswith(truncated[:-1])
    assert fonts.width("body", truncated) * 4 <= 4 * WIDTH / 2


def test_lines_are_broken_between_words_and_inside_a_word_that_is_too_wide() -> None:
    lines = lettering.wrapped("body", TEXT, 4, 4 * fonts.width("body", "one line") + 0.01)
    assert lines == ("one line", "of text")
    pieces = lettering.wrapped("body", "immeasurable", 4, 4 * fonts.width("body", "immeas"))
    assert len(pieces) > 1
    assert "".join(pieces) == "immeasurable"


def test_a_character_without_a_font_is_named() -> None:
    with pytest.raises(MissingCharacterError, match=r"no 'body' font has '☃' \(U\+2603\)"):
        fonts.width("body", "snow ☃")


def test_a_text_may_be_reduced_to_the_minimum_size_and_no_further() -> None:
    width = MIN_TEXT_SIZE * WIDTH
    assert lettering.fitted_size("body", TEXT, 4, width + 1e-6) == pytest.approx(MIN_TEXT_SIZE)
    with pytest.raises(TextDoesNotFitError):
        lettering.fitted_size("body", TEXT, 4, width - 1e-3)
    height = MIN_TEXT_SIZE * fonts.cap_height("body")
    assert lettering.fitted_size("body", TEXT, 4, 1000, height + 1e-6) == pytest.approx(MIN_TEXT_SIZE)
    with pytest.raises(TextDoesNotFitError):
        lettering.fitted_size("body", TEXT, 4, 1000, height - 1e-3)
    assert MIN_TEXT_SIZE == 1.6, "4.5 pt: smaller text is too hard to read"


def test_a_text_that_was_requested_smaller_than_the_minimum_keeps_its_size_if_it_fits() -> None:
    assert lettering.fitted_size("body", TEXT, 1, WIDTH + 1e-6) == 1
    assert lettering.fitted_size("body", "", 4, 1) == 4


@pytest.mark.parametrize("share", [number / 100 for number in range(5, 100, 5)])
def test_the_ellipsis_counts_towards_the_width_and_no_more_is_cut_than_needed(share: float) -> None:
    text = "mmmmmmmmmmmmmmmmmmmm"
    width = share * fonts.width("body", text) * 4
    truncated = lettering.truncated("body", text, 4, width)
    start = truncated.removesuffix("…")
    assert truncated == start + "…"
    assert fonts.width("body", truncated) * 4 <= width or start == ""
    assert fonts.width("body", start + "m…") * 4 > width


def test_a_text_of_exactly_the_width_is_not_truncated() -> None:
    assert lettering.truncated("body", TEXT, 4, 4 * WIDTH) == TEXT
    assert lettering.truncated("body", TEXT, 4, 4 * WIDTH - 1e-6) != TEXT
    assert lettering.truncated("body", "one line", 4, 4 * fonts.width("body", "one …")) == "one…", "without the blank"


@pytest.mark.parametrize("letters", [2, 3, 7])
def test_a_word_that_is_wider_than_a_line_is_broken_into_full_lines(letters: int) -> None:
    width = 4 * fonts.width("body", "m" * letters) + 1e-6
    lines = lettering.wrapped("body", "to " + "m" * 15 + " end", 4, width)
    assert "".join(lines).replace(" ", "") == "to" + "m" * 15 + "end"
    assert all(fonts.width("body", line) * 4 <= width for line in lines)
    assert lines.count("m" * letters) == 15 // letters


def test_a_line_has_at_least_one_character_however_narrow_it_is() -> None:
    assert lettering.wrapped("body", "abc", 4, 0.01) == ("a", "b", "c")
    assert lettering.wrapped("body", "", 4, 10) == ()
