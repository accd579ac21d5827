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
